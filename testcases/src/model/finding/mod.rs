// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is found wrong, in typed words: what the judge finds, and what a known issue names.

mod kind;
mod value;

use std::fmt;

use serde::Serialize;

use super::{Action, Place};
use crate::value::Bytes;

pub use kind::FindingKind;
pub(crate) use kind::Key;
pub use value::{FindingValue, FindingValueError, FindingWord, SeenSignal};

/// The step in which a kernel dies after the last one of a case.
const END: &str = "end";

/// What a finding is, without prose, pids and addresses: the same on every run.
///
/// In what the judge finds, everything is said that there is to say; in a known issue, what is absent is left open.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct FindingSignature {
    /// What it is about.
    pub kind: FindingKind,
    /// Of which victim, file, event, flag or other thing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// In which operation, by the word that a case writes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<&'static str>,
    /// At which place of a file, or of a victim's mappings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Place>,
    /// The text that a line was to have or to lack; the conditions for an event, as the case writes them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// What was seen, all of it.
    pub seen: Vec<FindingValue>,
}

impl FindingSignature {
    /// Of what a line is that the kernel's own log has or lacks; other lines are a watcher's.
    pub const LOG: &'static str = "log";

    /// A finding of a kind. What is seen as no value at all is `none`.
    pub fn new<V: Into<FindingValue>>(kind: FindingKind, seen: impl IntoIterator<Item = V>) -> Self {
        let mut seen: Vec<FindingValue> = seen.into_iter().map(Into::into).collect();
        if seen.is_empty() {
            seen.push(FindingWord::None.into());
        }
        Self {
            kind,
            of: None,
            operation: None,
            at: None,
            text: None,
            seen,
        }
    }

    /// The same, of how a step ended or what was tried in it; `None` is the time after the last step.
    #[must_use]
    pub fn in_step(self, action: Option<&Action>) -> Self {
        let (of, at) = action.map_or((None, None), Action::subject);
        Self {
            of,
            operation: Some(action.map_or(END, Action::word)),
            at,
            ..self
        }
    }

    /// The same, of something.
    #[must_use]
    pub fn of(mut self, of: impl Into<String>) -> Self {
        self.of = Some(of.into());
        self
    }

    /// The same, at a place.
    #[must_use]
    pub const fn at(mut self, at: Place) -> Self {
        self.at = Some(at);
        self
    }

    /// The same, about a text.
    #[must_use]
    pub fn text(mut self, text: impl Into<String>) -> Self {
        self.text = Some(text.into());
        self
    }

    /// Whether this, of a known issue, means that finding.
    pub fn means(&self, found: &Self) -> bool {
        fn open<T: PartialEq>(mine: Option<&T>, found: Option<&T>) -> bool {
            mine.is_none() || mine == found
        }
        self.kind == found.kind
            && open(self.of.as_ref(), found.of.as_ref())
            && open(self.operation.as_ref(), found.operation.as_ref())
            && open(self.at.as_ref(), found.at.as_ref())
            && open(self.text.as_ref(), found.text.as_ref())
            && self.seen == found.seen
    }

    /// A value as one writes it of such a finding: bytes that were read in hexadecimal, sizes with their units.
    fn written(&self, value: &FindingValue) -> String {
        match (self.kind, value) {
            (FindingKind::Operation, FindingValue::Number(byte @ 0..=0xff)) => format!("{byte:#04x}"),
            (FindingKind::HardwareCorrupted | FindingKind::FileSize, FindingValue::Number(size)) => {
                u64::try_from(*size).map_or_else(|_| size.to_string(), |size| Bytes(size).to_string())
            }
            (_, value) => value.to_string(),
        }
    }

    /// The word of an operation, if there is one.
    pub(crate) fn operation_word(text: &str) -> Option<&'static str> {
        Self::operation_words().find(|word| *word == text)
    }

    /// Everything that can be an operation of a finding.
    pub(crate) fn operation_words() -> impl Iterator<Item = &'static str> {
        crate::document::OPERATIONS
            .iter()
            .copied()
            .chain(Action::OTHER_WORDS)
            .chain([END])
    }
}

impl fmt::Display for FindingSignature {
    /// As a case writes it: `{ kind: injector, seen: EUCLEAN }`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{{ kind: {}", self.kind)?;
        if let Some(of) = &self.of {
            write!(formatter, ", of: {}", Quoted(of))?;
        }
        if let Some(operation) = self.operation {
            write!(formatter, ", operation: {operation}")?;
        }
        match self.at {
            None => {}
            Some(Place { map: 0, at }) => write!(formatter, ", at: {at}")?,
            Some(Place { map, at }) => write!(formatter, ", at: {{ map: {map}, at: {at} }}")?,
        }
        if let Some(text) = &self.text {
            write!(formatter, ", text: {}", Quoted(text))?;
        }
        let seen: Vec<String> = self.seen.iter().map(|value| self.written(value)).collect();
        match seen.as_slice() {
            [one] => write!(formatter, ", seen: {one} }}"),
            several => write!(formatter, ", seen: [{}] }}", several.join(", ")),
        }
    }
}

/// A text as YAML takes it: in quotes, unless it is a plain word.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-./".contains(letter);
        let begins = self.0.starts_with(|letter: char| letter.is_ascii_alphabetic());
        // YAML takes some words for truth values or for nothing.
        let is_word = !matches!(self.0.to_ascii_lowercase().as_str(), "true" | "false" | "null");
        if begins && is_word && self.0.chars().all(plain) {
            return formatter.write_str(self.0);
        }
        formatter.write_str("\"")?;
        for letter in self.0.chars() {
            match letter {
                '"' | '\\' => write!(formatter, "\\{letter}")?,
                letter if letter.is_control() => write!(formatter, "\\U{:08x}", u32::from(letter))?,
                letter => write!(formatter, "{letter}")?,
            }
        }
        formatter.write_str("\"")
    }
}
