// SPDX-License-Identifier: MIT OR Apache-2.0
//! Values of our types out of a document, with every mistake on the way.

use std::borrow::Cow;
use std::marker::PhantomData;
use std::ops::Range;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_path_to_error::{Path, Segment, Track};
use serde_yaml::Value;
use serde_yaml::with::singleton_map_recursive;

use super::fault::Fault;
use super::part::Part;
use super::tree::{self, Entry, Kind, Node};
use crate::diagnostic::{Diagnostic, ENOUGH};
use crate::suggest;

/// A part of the document that is set aside and read on its own, so that a mistake in it does not hide the next.
#[derive(Debug)]
pub(crate) struct Later<T> {
    value: Value,
    kind: PhantomData<fn() -> T>,
}

impl<T> Later<T> {
    /// The part together with its places.
    pub(crate) fn with(self, node: Node) -> Part {
        Part::new(self.value, node)
    }
}

impl<'de, T> Deserialize<'de> for Later<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(|value| Self {
            value,
            kind: PhantomData,
        })
    }
}

impl<T: JsonSchema> JsonSchema for Later<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

/// Reads the values and places of a text that begins at `base` among all texts; says why if it is no document.
pub(crate) fn open(text: &str, base: usize) -> Result<Part, Vec<Diagnostic>> {
    open_here(text)
        .map(|(value, node)| Part::new(value, node.moved(base)))
        .map_err(|found| {
            let found = found.into_iter();
            found.map(|diagnostic| diagnostic.moved(base)).collect()
        })
}

fn open_here(text: &str) -> Result<(Value, Node), Vec<Diagnostic>> {
    let node = tree::parse(text)?;
    let value: Value = serde_yaml::from_str(text).map_err(|error| {
        let place = error
            .location()
            .map_or(0, |location| location.index().min(text.len()));
        vec![
            Diagnostic::new(format!("this is not YAML: {error}"))
                .at(place..place, "here")
                .help("look at the indentation and the quotes around this place"),
        ]
    })?;
    let mut found = Vec::new();
    if value.is_null() {
        return Err(vec![tree::nothing_in_it()]);
    }
    refuse_silence(&value, &node, &mut found);
    if found.is_empty() {
        Ok((value, node))
    } else {
        Err(found)
    }
}

/// Refuses what YAML would let pass and what would then be lost without a word.
///
/// A key without a value reads as "not given", so that a forgotten indentation would take an expectation away. A key that
/// is a number to YAML would be taken for the position of a field, not for its name.
fn refuse_silence(value: &Value, node: &Node, found: &mut Vec<Diagnostic>) {
    match (value, &node.kind) {
        (Value::Mapping(mapping), Kind::Map(entries)) if mapping.len() == entries.len() => {
            for ((key, value), entry) in mapping.iter().zip(entries) {
                let Entry {
                    key: name,
                    key_span,
                    value: below,
                } = entry;
                if key.as_str().is_some_and(|key| key != name) {
                    found.push(ambiguous(key_span));
                } else if !key.is_string() {
                    found.push(
                        Diagnostic::new(format!("the key `{name}` is not text to YAML"))
                            .at(key_span.clone(), "a number, a truth value or nothing")
                            .help(format!(
                                "a key is one of the language's words; a name is quoted: \"{name}\""
                            )),
                    );
                }
                if value.is_null() {
                    found.push(
                        Diagnostic::new(format!("`{name}` has no value"))
                            .at(key_span.clone(), "nothing follows")
                            .help(match name.as_str() {
                                "mount" | "unmount" | "sync" | "list" | "freeze" | "thaw" | "repair"
                                | "shutdown" | "drop-caches" => format!("write `{name}: {{}}`"),
                                _ => {
                                    format!("indent what belongs to `{name}` below it, or leave the key out")
                                }
                            }),
                    );
                }
                refuse_silence(value, below, found);
            }
        }
        (Value::Sequence(items), Kind::List(nodes)) if items.len() == nodes.len() => {
            for (value, node) in items.iter().zip(nodes) {
                if value.is_null() {
                    found.push(
                        Diagnostic::new("an item of this list is empty")
                            .at(node.handle.clone(), "nothing follows")
                            .help("write the item, or take the `-` away"),
                    );
                }
                refuse_silence(value, node, found);
            }
        }
        (Value::Mapping(_) | Value::Sequence(_), _) | (_, Kind::Map(_) | Kind::List(_)) => {
            found.push(ambiguous(&node.handle));
        }
        (_, Kind::Scalar(_)) => {}
    }
}

/// The values come from one parser and the places from another. Should they ever read a document differently, then neither
/// reading is worth anything.
fn ambiguous(span: &Range<usize>) -> Diagnostic {
    Diagnostic::new("this can be read in two ways")
        .at(span.clone(), "from here on")
        .help("write it more plainly: quote the text, and put brackets round lists and mappings")
}

/// Reads a value; see [`Part::read_past`].
pub(super) fn read_past<T: DeserializeOwned>(
    mut value: Value,
    node: &mut Node,
    what: &str,
    found: &mut Vec<Diagnostic>,
) -> Option<T> {
    loop {
        let mut track = Track::new();
        let deserializer = serde_path_to_error::Deserializer::new(value.clone(), &mut track);
        let error = match singleton_map_recursive::deserialize::<T, _>(deserializer) {
            Ok(read) => return Some(read),
            Err(error) => error.to_string(),
        };
        let path = steps(&track.path());
        let fault = Fault::of(&error);
        found.push(diagnose(&fault, what, &path, node));
        if found.len() > ENOUGH || !repair(&fault, &path, &mut value, node) {
            return None;
        }
    }
}

/// The path as the keys and indices that lead to a place.
fn steps(path: &Path) -> Vec<String> {
    path.iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Map { key } => Some(key.clone()),
            Segment::Enum { variant } => Some(variant.clone()),
            Segment::Unknown => None,
        })
        .collect()
}

/// The node at the end of a path, or the last one on the way that exists.
fn follow<'a>(node: &'a Node, path: &[String]) -> &'a Node {
    path.iter().fold(node, |node, step| match &node.kind {
        Kind::List(_) => step.parse().map_or(node, |index| node.nth(index)),
        _ => node.at(step),
    })
}

/// The path to the mapping that has a key; serde's path may or may not end in the key itself.
fn mapping_with<'a>(path: &'a [String], key: &str) -> &'a [String] {
    match path.split_last() {
        Some((last, start)) if last == key => start,
        _ => path,
    }
}

fn diagnose(fault: &Fault<'_>, what: &str, path: &[String], root: &Node) -> Diagnostic {
    match fault {
        Fault::UnknownField { name, known } => {
            let node = follow(root, mapping_with(path, name));
            let diagnostic =
                Diagnostic::new(format!("unknown key `{name}`")).at(node.key(name), "not known here");
            // What is there already was not meant.
            let open: Vec<_> = known
                .iter()
                .copied()
                .filter(|key| node.entry(key).is_none())
                .collect();
            let meant = suggest::elsewhere(name, &open)
                .or_else(|| suggest::nearest(name, open))
                .map(suggest::did_you_mean);
            match meant.or_else(|| suggest::way_out(name, "key", known)) {
                Some(help) => diagnostic.help(help),
                None if known.is_empty() => diagnostic.help("leave it out: nothing can be said here"),
                None => diagnostic.help("testcases/README.md lists the keys that can stand here"),
            }
        }
        Fault::UnknownVariant { name, known } => {
            let path = mapping_with(path, name);
            let node = follow(root, path);
            // The word is either the value itself or the one key of a mapping.
            let span = node
                .entry(name)
                .map_or_else(|| node.handle.clone(), |entry| entry.key_span.clone());
            let what = match path {
                _ if known.contains(&"EIO") => "errno",
                [] => what,
                _ => "word",
            };
            let diagnostic = Diagnostic::new(format!("unknown {what} `{name}`")).at(span, "not known here");
            match suggest::way_out(name, what, known) {
                Some(help) => diagnostic.help(help),
                None if what == "errno" => {
                    diagnostic.help("errno(3) lists the names; a number is taken as well")
                }
                None => diagnostic.help(format!("testcases/README.md lists every {what}")),
            }
        }
        Fault::MissingField { name } => {
            let node = follow(root, path);
            Diagnostic::new(format!("`{name}` is missing"))
                .at(node.handle.clone(), format!("this needs `{name}`"))
                .help(format!("add `{name}: …`"))
        }
        // serde's words for a variant that holds something, of which only the name is written.
        Fault::Invalid {
            expected: "newtype variant",
            ..
        } => {
            let node = follow(root, path);
            let word = match &node.kind {
                Kind::Scalar(word) => word.as_str(),
                Kind::Map(_) | Kind::List(_) => what,
            };
            let more = match word {
                "shutdown" => "corrupt-ondisk",
                _ => "…",
            };
            Diagnostic::new(format!("`{word}` alone says too little"))
                .at(node.handle.clone(), "more belongs to this word")
                .help(format!("write `{{ {word}: {more} }}`"))
        }
        Fault::Invalid { found, expected } => {
            let node = follow(root, path);
            Diagnostic::new(format!("expected {expected}, found {found}"))
                .at(node.handle.clone(), format!("found {found}"))
                .help(format!("write {expected}"))
        }
        Fault::Other { sentence } => {
            let node = follow(root, path);
            // Our own sentences say what is wrong, and behind the last colon what to do.
            match sentence.rsplit_once(": ") {
                Some((wrong, help)) => Diagnostic::new(wrong).at(node.handle.clone(), "here").help(help),
                None => Diagnostic::new(sentence).at(node.handle.clone(), "here"),
            }
        }
    }
}

/// Makes the value readable past an unknown key; false if there is nothing to be done.
fn repair(fault: &Fault<'_>, path: &[String], value: &mut Value, node: &mut Node) -> bool {
    let Fault::UnknownField { name, known } = fault else {
        return false;
    };
    let path = mapping_with(path, name);
    let mut place = value;
    for step in path {
        let below = match place {
            Value::Mapping(mapping) => mapping.get_mut(step.as_str()),
            Value::Sequence(items) => step.parse::<usize>().ok().and_then(|index| items.get_mut(index)),
            _ => None,
        };
        match below {
            Some(below) => place = below,
            None => return false,
        }
    }
    let Value::Mapping(mapping) = place else {
        return false;
    };
    let Some(orphan) = mapping.shift_remove(*name) else {
        return false;
    };
    let open: Vec<_> = known
        .iter()
        .copied()
        .filter(|key| !mapping.contains_key(*key))
        .collect();
    if let Some(meant) = suggest::elsewhere(name, &open).or_else(|| suggest::nearest(name, open)) {
        mapping.insert(Value::String(meant.to_owned()), orphan);
        node.rename(path, name, meant);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::{refuse_silence, tree};

    #[test]
    fn two_readings_of_one_document_are_noticed() {
        let read = |values: &str, places: &str| {
            let mut found = Vec::new();
            let node = tree::parse(places).unwrap();
            refuse_silence(&serde_yaml::from_str(values).unwrap(), &node, &mut found);
            found.len()
        };
        assert_eq!(read("a: [b, c]", "a: [b, c]"), 0);
        assert_eq!(read("a: [b, c]", "a: b"), 1);
        assert_eq!(read("a: b", "a: [b]"), 1);
        assert_eq!(read("a: [b, c]", "a: [b]"), 1);
        assert_eq!(read("a: b", "{a: b, c: d}"), 1);
        assert_eq!(read("a: b", "c: b"), 1);
    }
}
