// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where everything stands: the document as a tree of byte ranges.
//!
//! serde_yaml knows the values and forgets the places; this keeps the places. On the way it refuses what the case
//! language leaves out of YAML, and what would be dangerous or silently wrong: duplicate keys, anchors and aliases, tags,
//! several documents, keys that are no plain text, and nesting without end.

use std::collections::BTreeMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use crate::diagnostic::Diagnostic;

/// Deeper than any case; far below where a recursive reader of ours would run out of stack.
const DEEPEST: usize = 32;

/// A value and the bytes of the document that spell it.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    /// From its first byte to its last.
    pub(crate) span: Range<usize>,
    /// What to point at: the value itself if it fits into one line, else what introduces it.
    pub(crate) handle: Range<usize>,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// Its text, without the quotes.
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Range<usize>,
    pub(crate) value: Node,
}

impl Node {
    /// The entry of a mapping.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The value of a key; where there is none, this node, which then is the nearest thing to point at.
    pub(crate) fn at(&self, key: &str) -> &Self {
        self.entry(key).map_or(self, |entry| &entry.value)
    }

    /// The one key of a mapping, and its value; nothing if there is not just one.
    pub(crate) fn only(&self) -> Option<(&str, &Self)> {
        match &self.kind {
            Kind::Map(entries) => match entries.as_slice() {
                [only] => Some((only.key.as_str(), &only.value)),
                _ => None,
            },
            _ => None,
        }
    }

    /// The item of a list; where there is none, this node.
    pub(crate) fn nth(&self, index: usize) -> &Self {
        match &self.kind {
            Kind::List(items) => items.get(index).unwrap_or(self),
            _ => self,
        }
    }

    /// Where a key of this mapping stands; where there is none, what to point at for this node.
    pub(crate) fn key(&self, key: &str) -> Range<usize> {
        self.entry(key)
            .map_or_else(|| self.handle.clone(), |entry| entry.key_span.clone())
    }

    /// The value of a key or the item of a list.
    pub(crate) fn at_mut(&mut self, key: &str) -> Option<&mut Self> {
        match &mut self.kind {
            Kind::Map(entries) => entries
                .iter_mut()
                .find(|entry| entry.key == key)
                .map(|entry| &mut entry.value),
            Kind::List(items) => items.get_mut(key.parse::<usize>().ok()?),
            Kind::Scalar(_) => None,
        }
    }

    /// The same node of a text that does not stand at the beginning of all texts, but here.
    pub(super) fn moved(self, base: usize) -> Self {
        let shift = |span: Range<usize>| span.start + base..span.end + base;
        Self {
            span: shift(self.span),
            handle: shift(self.handle),
            kind: match self.kind {
                Kind::Scalar(text) => Kind::Scalar(text),
                Kind::List(items) => Kind::List(items.into_iter().map(|item| item.moved(base)).collect()),
                Kind::Map(entries) => Kind::Map(
                    entries
                        .into_iter()
                        .map(|entry| Entry {
                            key: entry.key,
                            key_span: shift(entry.key_span),
                            value: entry.value.moved(base),
                        })
                        .collect(),
                ),
            },
        }
    }

    /// Calls the key of a mapping further down something else, so that what is read by its right name is found.
    pub(crate) fn rename(&mut self, path: &[String], old: &str, new: &str) {
        let mut node = self;
        for step in path {
            match node.at_mut(step) {
                Some(below) => node = below,
                None => return,
            }
        }
        if let Kind::Map(entries) = &mut node.kind
            && let Some(entry) = entries.iter_mut().find(|entry| entry.key == old)
        {
            new.clone_into(&mut entry.key);
        }
    }
}

/// Reads the places of a document, or says why it is no document.
pub(super) fn parse(text: &str) -> Result<Node, Vec<Diagnostic>> {
    if let Some(control) = control_character(text) {
        return Err(vec![control]);
    }
    let mut builder = Builder {
        text,
        offsets: byte_offsets(text),
        open: Vec::new(),
        root: None,
        found: Vec::new(),
    };
    for event in Parser::new_from_str(text).keep_tags(true) {
        match event {
            Ok((event, span)) => {
                if !builder.take(event, span) {
                    break;
                }
            }
            Err(error) => {
                builder.refuse_syntax(&error);
                break;
            }
        }
    }
    match (builder.root, builder.found) {
        (Some(root), found) if found.is_empty() => Ok(root),
        (None, found) if found.is_empty() => Err(vec![nothing_in_it()]),
        (_, found) => Err(found),
    }
}

fn is_odd(letter: char) -> bool {
    letter.is_control() && !matches!(letter, '\n' | '\r' | '\t') || matches!(letter, '\u{2028}' | '\u{2029}')
}

fn alias(span: Range<usize>) -> Diagnostic {
    Diagnostic::new("anchors and aliases are not part of the case language")
        .at(span, "a value with an anchor, or an alias")
        .help("write the value out where it is needed")
}

/// A character that YAML forbids, or that ends a line in YAML 1.1 and does not in 1.2: our two parsers would each read on in
/// its own way.
fn control_character(text: &str) -> Option<Diagnostic> {
    let (offset, letter) = text.char_indices().find(|(_, letter)| is_odd(*letter))?;
    Some(
        Diagnostic::new(format!(
            "there is a control character in this file, {}",
            letter.escape_default()
        ))
        .at(offset..offset + letter.len_utf8(), "here")
        .help("take it away; a case is plain text"),
    )
}

/// The file is empty, or has only comments.
pub(super) fn nothing_in_it() -> Diagnostic {
    Diagnostic::new("the file has nothing in it")
        .at(0..0, "a case begins here")
        .help("a case has `summary`, `why`, `template` and `steps`")
}

/// The byte at which each character begins, for the parser counts characters; nothing if they are the same.
fn byte_offsets(text: &str) -> Option<Vec<usize>> {
    (!text.is_ascii()).then(|| text.char_indices().map(|(offset, _)| offset).collect())
}

/// A collection whose end has not come yet.
struct Open {
    /// The keys so far, to find one that comes again.
    seen: BTreeMap<String, Range<usize>>,
    start: usize,
    end: usize,
    key: Option<(String, Range<usize>)>,
    kind: Kind,
}

struct Builder<'a> {
    text: &'a str,
    offsets: Option<Vec<usize>>,
    open: Vec<Open>,
    root: Option<Node>,
    found: Vec<Diagnostic>,
}

impl Builder<'_> {
    fn offset(&self, characters: usize) -> usize {
        let offset = match &self.offsets {
            Some(offsets) => offsets.get(characters).copied(),
            None => Some(characters),
        };
        offset.unwrap_or(self.text.len()).min(self.text.len())
    }

    fn bytes(&self, span: Span) -> Range<usize> {
        let start = self.offset(span.start.index());
        start..self.offset(span.end.index()).max(start)
    }

    /// Takes the next event; false ends the reading.
    fn take(&mut self, event: Event<'_>, span: Span) -> bool {
        let span = self.bytes(span);
        let (anchor, tag) = match &event {
            Event::Scalar(_, _, anchor, tag)
            | Event::SequenceStart(anchor, tag)
            | Event::MappingStart(anchor, tag) => (*anchor, tag.as_ref()),
            _ => (0, None),
        };
        if anchor != 0 || matches!(event, Event::Alias(_)) {
            self.found.push(alias(span));
            return false;
        }
        if tag.is_some() {
            self.found.push(
                Diagnostic::new("tags are not part of the case language")
                    .at(span, "a value with a tag")
                    .help("leave out the word that begins with `!`"),
            );
            return false;
        }
        match event {
            Event::Scalar(text, style, ..) => self.scalar(text.into_owned(), style, span),
            Event::SequenceStart(..) => self.begin(Kind::List(Vec::new()), span),
            Event::MappingStart(..) => self.begin(Kind::Map(Vec::new()), span),
            Event::SequenceEnd | Event::MappingEnd => {
                self.end(span);
                true
            }
            Event::DocumentStart(_) if self.root.is_some() => {
                self.found.push(
                    Diagnostic::new("a file holds one case, this one goes on with a second document")
                        .at(span, "the second document begins here")
                        .help("put the second case into a file of its own"),
                );
                false
            }
            _ => true,
        }
    }

    fn scalar(&mut self, text: String, style: ScalarStyle, span: Range<usize>) -> bool {
        if let Some(Open {
            kind: Kind::Map(_),
            key: key @ None,
            ..
        }) = self.open.last_mut()
        {
            if text.is_empty() && style == ScalarStyle::Plain {
                self.found.push(
                    Diagnostic::new("a key is missing")
                        .at(span, "nothing stands before the colon")
                        .help("write `key: value`"),
                );
                return false;
            }
            *key = Some((text, span));
            return true;
        }
        // A literal block's span ends behind its last newline.
        let end = span.start + self.text[span.clone()].trim_end().len();
        self.put(Kind::Scalar(text), span.start..end);
        true
    }

    fn begin(&mut self, kind: Kind, span: Range<usize>) -> bool {
        if self.open.len() >= DEEPEST {
            self.found.push(
                Diagnostic::new(format!("the document is nested more than {DEEPEST} levels deep"))
                    .at(span, "this is one level too many")
                    .help("nothing in a case needs that: look for brackets that are not closed"),
            );
            return false;
        }
        if let Some(Open {
            kind: Kind::Map(_),
            key: None,
            ..
        }) = self.open.last()
        {
            self.found.push(
                Diagnostic::new("a list or mapping cannot be a key")
                    .at(span, "used as a key")
                    .help("write a plain word before the colon"),
            );
            return false;
        }
        self.open.push(Open {
            seen: BTreeMap::new(),
            start: span.start,
            end: span.end,
            key: None,
            kind,
        });
        true
    }

    fn end(&mut self, span: Range<usize>) {
        if let Some(open) = self.open.pop() {
            // A block ends where its last value does; only brackets have an end of their own.
            let bracket = self.text[span.clone()].starts_with([']', '}']);
            let end = if bracket { span.end } else { open.end };
            self.put(open.kind, open.start..end.max(open.start));
        }
    }

    /// Puts a finished value where it belongs.
    fn put(&mut self, kind: Kind, span: Range<usize>) {
        let one_line = !span.is_empty() && !self.text[span.clone()].contains('\n');
        let Some(parent) = self.open.last_mut() else {
            let first = match &kind {
                Kind::Map(entries) => entries.first().map(|entry| entry.key_span.clone()),
                _ => None,
            };
            let handle = first.unwrap_or(span.start..span.start);
            self.root = Some(Node { span, handle, kind });
            return;
        };
        parent.end = parent.end.max(span.end);
        match &mut parent.kind {
            Kind::Scalar(_) => {}
            Kind::List(items) => {
                let handle = match &kind {
                    _ if one_line => span.clone(),
                    Kind::Map(entries) => entries
                        .first()
                        .map_or(span.start..span.start, |entry| entry.key_span.clone()),
                    _ => span.start..span.start,
                };
                items.push(Node { span, handle, kind });
            }
            Kind::Map(entries) => {
                let Some((key, key_span)) = parent.key.take() else {
                    return;
                };
                if let Some(first) = parent.seen.get(&key) {
                    self.found.push(
                        Diagnostic::new(format!("`{key}` is there twice"))
                            .at(key_span.clone(), "again here")
                            .see(first.clone(), "first here")
                            .help("keep one of the two"),
                    );
                } else {
                    parent.seen.insert(key.clone(), key_span.clone());
                }
                let handle = if one_line { span.clone() } else { key_span.clone() };
                entries.push(Entry {
                    key,
                    key_span,
                    value: Node { span, handle, kind },
                });
            }
        }
    }

    fn refuse_syntax(&mut self, error: &ScanError) {
        let offset = self.offset(error.marker().index());
        // At the end of the file there is nothing to point at but the last thing that stands there.
        let offset = if offset == self.text.len() {
            self.text.trim_end().len()
        } else {
            offset
        };
        let end = self.text[offset..]
            .chars()
            .next()
            .filter(|letter| *letter != '\n');
        let span = offset..offset + end.map_or(0, char::len_utf8);
        let line = self.text[..offset].rfind('\n').map_or(0, |newline| newline + 1);
        let tab = self.text[line..]
            .find(|letter| !matches!(letter, ' ' | '-'))
            .map(|index| line + index);
        let tab = tab.filter(|tab| self.text[*tab..].starts_with('\t') && *tab <= offset);
        let span = tab.map_or(span, |tab| tab..tab + 1);
        let info = error.info();
        if info.contains("unknown anchor") {
            self.found.push(alias(span));
            return;
        }
        let of_line = self.text[line..].lines().next().unwrap_or_default();
        let help = if of_line.contains("${") && of_line.contains(['{', '[']) {
            "inside brackets a parameter is quoted: `\"${name}\"`"
        } else if tab.is_some() {
            "indent with spaces: YAML takes no tabs there"
        } else if info.contains("quoted scalar") || info.contains("unclosed quote") {
            "close the quote, or leave it out: plain words need none"
        } else if info.contains("mapping values are not allowed") {
            "a key ends in `: `, with a space; text that has such a colon itself is quoted"
        } else if info.contains("recursion")
            || info.contains("flow")
            || info.contains("']'")
            || info.contains("'}'")
        {
            "look for a bracket that is not closed, or a comma that is missing"
        } else {
            "look at the indentation of this line and the one above, and for a missing `: ` or `- `"
        };
        self.found.push(
            Diagnostic::new(format!("this is not YAML: {info}"))
                .at(span, "here")
                .help(help),
        );
    }
}
