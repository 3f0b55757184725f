// SPDX-License-Identifier: MIT OR Apache-2.0
//! The document as a tree: values, and the bytes of the text that spell each.

use std::ops::Range;

use super::scalar::Scalar;

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
    Scalar(Scalar),
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
        self.entries()?.iter().find(|entry| entry.key == key)
    }

    /// The value of a key; where there is none, this node, which then is the nearest thing to point at.
    pub(crate) fn at(&self, key: &str) -> &Self {
        self.entry(key).map_or(self, |entry| &entry.value)
    }

    /// The one key of a mapping, and its value; nothing if there is not just one.
    pub(crate) fn only(&self) -> Option<(&str, &Self)> {
        match self.entries()? {
            [only] => Some((only.key.as_str(), &only.value)),
            _ => None,
        }
    }

    /// The item of a list; where there is none, this node.
    pub(crate) fn nth(&self, index: usize) -> &Self {
        self.items().and_then(|items| items.get(index)).unwrap_or(self)
    }

    /// Where a key of this mapping stands; where there is none, what to point at for this node.
    pub(crate) fn key(&self, key: &str) -> Range<usize> {
        self.entry(key)
            .map_or_else(|| self.handle.clone(), |entry| entry.key_span.clone())
    }

    /// Takes a key with its value out of a mapping.
    pub(crate) fn take(&mut self, key: &str) -> Option<Self> {
        let Kind::Map(entries) = &mut self.kind else {
            return None;
        };
        let index = entries.iter().position(|entry| entry.key == key)?;
        Some(entries.remove(index).value)
    }

    /// The keys and values of a mapping; nothing if this is none.
    pub(crate) fn entries(&self) -> Option<&[Entry]> {
        match &self.kind {
            Kind::Map(entries) => Some(entries),
            Kind::Scalar(_) | Kind::List(_) => None,
        }
    }

    /// The items of a list; nothing if this is none.
    pub(crate) fn items(&self) -> Option<&[Self]> {
        match &self.kind {
            Kind::List(items) => Some(items),
            Kind::Scalar(_) | Kind::Map(_) => None,
        }
    }

    /// The text of a scalar, as it is written and without quotes; nothing of a list or mapping.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Scalar(scalar) => Some(&scalar.text),
            Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// Whether the two are the same value, wherever and however they are written.
    pub(crate) fn means(&self, other: &Self) -> bool {
        match (&self.kind, &other.kind) {
            (Kind::Scalar(one), Kind::Scalar(other)) => one.meaning() == other.meaning(),
            (Kind::List(one), Kind::List(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.means(other))
            }
            (Kind::Map(one), Kind::Map(others)) => {
                let same = |entry: &Entry| {
                    other
                        .entry(&entry.key)
                        .is_some_and(|it| it.value.means(&entry.value))
                };
                one.len() == others.len() && one.iter().all(same)
            }
            (Kind::Scalar(_) | Kind::List(_) | Kind::Map(_), _) => false,
        }
    }

    /// The same node of a text that does not stand at the beginning of all texts, but here.
    pub(super) fn moved(mut self, base: usize) -> Self {
        let shift = |span: Range<usize>| span.start + base..span.end + base;
        self.span = shift(self.span);
        self.handle = shift(self.handle);
        self.kind = match self.kind {
            Kind::Scalar(scalar) => Kind::Scalar(scalar),
            Kind::List(items) => Kind::List(items.into_iter().map(|item| item.moved(base)).collect()),
            Kind::Map(entries) => {
                let moved = |entry: Entry| Entry {
                    key: entry.key,
                    key_span: shift(entry.key_span),
                    value: entry.value.moved(base),
                };
                Kind::Map(entries.into_iter().map(moved).collect())
            }
        };
        self
    }
}
