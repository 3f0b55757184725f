// SPDX-License-Identifier: MIT OR Apache-2.0
//! A value of the document together with its places.

use std::ops::Range;

use serde::de::DeserializeOwned;
use serde_yaml::Value;

use super::reading::read_past;
use super::tree::{Entry, Kind, Node};
use crate::diagnostic::Diagnostic;

/// A value that has not been read yet, and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    pub(super) value: Value,
    /// Its places.
    pub(crate) node: Node,
}

impl Part {
    pub(super) fn new(value: Value, node: Node) -> Self {
        Self { value, node }
    }

    /// Reads a `T`, adding every mistake to `found`; nothing if there was one.
    pub(crate) fn read<T: DeserializeOwned>(&mut self, found: &mut Vec<Diagnostic>) -> Option<T> {
        self.read_word("word", found)
    }

    /// The same, for something that begins with a word of its kind: `what` is what an unknown one is called.
    pub(crate) fn read_word<T: DeserializeOwned>(
        &mut self,
        what: &str,
        found: &mut Vec<Diagnostic>,
    ) -> Option<T> {
        let before = found.len();
        self.read_past(what, found).filter(|_| found.len() == before)
    }

    /// The same, but gives the value even if there were unknown keys, so that its parts can be read in spite of them.
    ///
    /// After an unknown key the reading goes on: as though the nearest known key had been written, else without it. So one
    /// pass finds all of them, and a misspelt key is not also called missing.
    pub(crate) fn read_past<T: DeserializeOwned>(
        &mut self,
        what: &str,
        found: &mut Vec<Diagnostic>,
    ) -> Option<T> {
        read_past(self.value.clone(), &mut self.node, what, found)
    }

    /// Takes a key with its value out of a mapping.
    pub(crate) fn take(&mut self, key: &str) -> Option<Self> {
        let Kind::Map(entries) = &mut self.node.kind else {
            return None;
        };
        let value = self.value.as_mapping_mut()?.shift_remove(key)?;
        let index = entries.iter().position(|entry| entry.key == key)?;
        Some(Self::new(value, entries.remove(index).value))
    }

    /// The keys and values of a mapping, each key with its place; nothing if this is no mapping.
    pub(crate) fn entries(&self) -> Option<Vec<(String, Range<usize>, Self)>> {
        let (Value::Mapping(mapping), Kind::Map(entries)) = (&self.value, &self.node.kind) else {
            return None;
        };
        let pair = |(value, entry): (&Value, &Entry)| {
            let part = Self::new(value.clone(), entry.value.clone());
            (entry.key.clone(), entry.key_span.clone(), part)
        };
        Some(mapping.values().zip(entries).map(pair).collect())
    }

    /// The items of a list; nothing if this is none.
    pub(crate) fn items(&self) -> Option<Vec<Self>> {
        let (Value::Sequence(values), Kind::List(nodes)) = (&self.value, &self.node.kind) else {
            return None;
        };
        let pair = |(value, node): (&Value, &Node)| Self::new(value.clone(), node.clone());
        Some(values.iter().zip(nodes).map(pair).collect())
    }

    /// The text of a scalar, as it is written and without quotes; nothing of a list or mapping.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.node.kind {
            Kind::Scalar(text) => Some(text),
            Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// Whether the two are the same value, wherever they stand.
    pub(crate) fn means(&self, other: &Self) -> bool {
        self.value == other.value
    }
}
