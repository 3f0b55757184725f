// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a text to the tree of its values.
//!
//! On the way it refuses what the case language leaves out of YAML, and what would be dangerous or silently wrong: duplicate
//! keys, anchors and aliases, tags, several documents, keys that are no plain text, keys without a value, and nesting without
//! end.

use std::collections::BTreeMap;
use std::ops::Range;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::node::{Entry, Kind, Node};
use super::scalar::{Meaning, Scalar};
use crate::diagnostic::Diagnostic;

/// Deeper than any case; far below where a recursive reader of ours would run out of stack.
const DEEPEST: usize = 32;

/// Reads a text that begins at `base` among all texts, or says why it is no document. Of a key without a value, `may_be_empty`
/// knows whether an empty mapping would do.
pub(crate) fn open(
    text: &str,
    base: usize,
    may_be_empty: impl Fn(&str) -> bool,
) -> Result<Node, Vec<Diagnostic>> {
    let (root, mut found) = parse(text);
    match root {
        Some(root) if !is_nothing(&root) => {
            refuse_silence(&root, &may_be_empty, &mut found);
            if found.is_empty() {
                return Ok(root.moved(base));
            }
        }
        _ if found.is_empty() => found.push(nothing_in_it()),
        _ => {}
    }
    Err(found
        .into_iter()
        .map(|diagnostic| diagnostic.moved(base))
        .collect())
}

/// The document, unless it ends in the middle; and what is wrong with it.
fn parse(text: &str) -> (Option<Node>, Vec<Diagnostic>) {
    if let Some(control) = control_character(text) {
        return (None, vec![control]);
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
    (builder.root, builder.found)
}

/// Refuses what YAML would let pass and what would then be lost without a word.
///
/// A key without a value reads as "not given", so that a forgotten indentation would take an expectation away.
fn refuse_silence(node: &Node, may_be_empty: &impl Fn(&str) -> bool, found: &mut Vec<Diagnostic>) {
    match &node.kind {
        Kind::Map(entries) => {
            for entry in entries {
                let name = &entry.key;
                if is_nothing(&entry.value) {
                    found.push(
                        Diagnostic::new(format!("`{name}` has no value"))
                            .at(entry.key_span.clone(), "nothing follows")
                            .help(if may_be_empty(name) {
                                format!("write `{name}: {{}}`")
                            } else {
                                format!("indent what belongs to `{name}` below it, or leave the key out")
                            }),
                    );
                }
                refuse_silence(&entry.value, may_be_empty, found);
            }
        }
        Kind::List(items) => {
            for item in items {
                if is_nothing(item) {
                    found.push(
                        Diagnostic::new("an item of this list is empty")
                            .at(item.handle.clone(), "nothing follows")
                            .help("write the item, or take the `-` away"),
                    );
                }
                refuse_silence(item, may_be_empty, found);
            }
        }
        Kind::Scalar(scalar) => {
            if scalar.meaning() == Meaning::TooLarge {
                found.push(
                    Diagnostic::new("this number does not fit into 64 bits")
                        .at(node.handle.clone(), "too large")
                        .help("choose a smaller one; text that looks like a number is quoted"),
                );
            }
        }
    }
}

fn is_nothing(node: &Node) -> bool {
    matches!(&node.kind, Kind::Scalar(scalar) if scalar.meaning() == Meaning::Nothing)
}

fn is_odd(letter: char) -> bool {
    letter.is_control() && !matches!(letter, '\n' | '\r' | '\t') || matches!(letter, '\u{2028}' | '\u{2029}')
}

fn alias(span: Range<usize>) -> Diagnostic {
    Diagnostic::new("anchors and aliases are not part of the case language")
        .at(span, "a value with an anchor, or an alias")
        .help("write the value out where it is needed")
}

/// A character that YAML forbids, or that ends a line in YAML 1.1 and does not in 1.2, so that an editor may show it in another
/// way than it is read.
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
fn nothing_in_it() -> Diagnostic {
    Diagnostic::new("the file has nothing in it")
        .at(0..0, "a case begins here")
        .help("a case has `summary`, `why`, `template` and `steps`")
}

/// The byte at which each character begins, for the parser counts characters; nothing if they are the same.
fn byte_offsets(text: &str) -> Option<Vec<usize>> {
    (!text.is_ascii()).then(|| text.char_indices().map(|(offset, _)| offset).collect())
}

fn of_style(text: String, style: ScalarStyle) -> Scalar {
    if style == ScalarStyle::Plain {
        Scalar::plain(text)
    } else {
        Scalar::text(text)
    }
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
        if let Some(diagnostic) = self.misread(style, &span) {
            self.found.push(diagnostic);
            return false;
        }
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
            let scalar = of_style(text, style);
            if !matches!(scalar.meaning(), Meaning::Text(_)) {
                let name = &scalar.text;
                self.found.push(
                    Diagnostic::new(format!("the key `{name}` is not text to YAML"))
                        .at(span.clone(), "a number, a truth value or nothing")
                        .help(format!(
                            "a key is one of the language's words; a name is quoted: \"{name}\""
                        )),
                );
            }
            *key = Some((scalar.text, span));
            return true;
        }
        // A literal block's span ends behind its last newline.
        let end = span.start + self.text[span.clone()].trim_end().len();
        self.put(Kind::Scalar(of_style(text, style)), span.start..end);
        true
    }

    /// What the parser takes for text, and nobody will have meant so: `|` or `>` at the beginning of a plain scalar between
    /// brackets, which YAML 1.2 forbids (section 7.3.3), and a tab in what is to be the indentation of a block.
    fn misread(&self, style: ScalarStyle, span: &Range<usize>) -> Option<Diagnostic> {
        let written = &self.text[span.clone()];
        let (title, help) = match style {
            ScalarStyle::Plain if written.starts_with(['|', '>']) => {
                ("a text cannot begin with this sign", "put the text in quotes")
            }
            // The span of a block begins behind its indentation.
            ScalarStyle::Literal | ScalarStyle::Folded if written.starts_with('\t') => (
                "a tab in the indentation of a text",
                "indent with spaces: YAML takes no tabs there",
            ),
            _ => return None,
        };
        let diagnostic = Diagnostic::new(format!("this is not YAML: {title}"));
        Some(diagnostic.at(span.start..span.start + 1, "here").help(help))
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
