// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why a value does not fit its type, and where that is.

use std::fmt;
use std::ops::Range;

use serde::de::{self, Expected, Unexpected};

use crate::diagnostic::Diagnostic;
use crate::suggest;

/// A value that does not fit.
#[derive(Debug)]
pub(super) struct ReadError {
    fault: Fault,
    /// Where; nothing until it has come up to a value that has a place.
    at: Option<Range<usize>>,
}

#[derive(Debug)]
pub(super) enum Fault {
    /// A word that is none of those known; `what` such a word is called.
    UnknownWord {
        what: &'static str,
        word: String,
        known: &'static [&'static str],
    },
    MissingField(&'static str),
    /// A value of another type, or out of range.
    Invalid {
        found: String,
        expected: String,
    },
    /// A word that has more behind it, and stands alone.
    TooLittle {
        word: String,
        missing: String,
    },
    /// A word that has nothing behind it, and does not stand alone.
    TooMuch {
        word: String,
    },
    /// What is wrong, and behind the last colon what to do.
    Sentence(String),
}

impl ReadError {
    /// The same, of this place if it has none yet.
    pub(super) fn at(mut self, place: &Range<usize>) -> Self {
        self.at.get_or_insert_with(|| place.clone());
        self
    }

    pub(super) fn diagnose(self) -> Diagnostic {
        let at = self.at.unwrap_or_default();
        match self.fault {
            Fault::UnknownWord { what, word, known } => {
                let help = suggest::way_out(&word, what, known);
                Diagnostic::new(format!("unknown {what} `{word}`"))
                    .at(at, "not known here")
                    .help(help.unwrap_or_else(|| format!("testcases/README.md lists every {what}")))
            }
            Fault::MissingField(name) => Diagnostic::new(format!("`{name}` is missing"))
                .at(at, format!("this needs `{name}`"))
                .help(format!("add `{name}: …`")),
            Fault::Invalid { found, expected } => {
                Diagnostic::new(format!("expected {expected}, found {found}"))
                    .at(at, format!("found {found}"))
                    .help(format!("write {expected}"))
            }
            Fault::TooLittle { word, missing } => Diagnostic::new(format!("`{word}` alone says too little"))
                .at(at, "more belongs to this word")
                .help(format!("write `{{ {word}: … }}`, with {missing}")),
            Fault::TooMuch { word } => Diagnostic::new(format!("nothing can be said of `{word}`"))
                .at(at, "a word that stands alone")
                .help(format!("write `{word}`")),
            Fault::Sentence(sentence) => match sentence.rsplit_once(": ") {
                Some((wrong, help)) => Diagnostic::new(wrong).at(at, "here").help(help),
                None => Diagnostic::new(sentence).at(at, "here"),
            },
        }
    }
}

impl From<Fault> for ReadError {
    fn from(fault: Fault) -> Self {
        Self { fault, at: None }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value does not fit")
    }
}

impl std::error::Error for ReadError {}

impl de::Error for ReadError {
    fn custom<T: fmt::Display>(sentence: T) -> Self {
        Fault::Sentence(sentence.to_string()).into()
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let (found, expected) = (in_yaml_terms(found), expected_in_yaml_terms(expected));
        Fault::Invalid { found, expected }.into()
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        let word = word.to_owned();
        Fault::UnknownWord {
            what: "word",
            word,
            known,
        }
        .into()
    }

    fn missing_field(name: &'static str) -> Self {
        Fault::MissingField(name).into()
    }
}

/// serde's name of a found value in the words of a YAML file.
fn in_yaml_terms(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Map => "a mapping".to_owned(),
        Unexpected::Seq => "a list".to_owned(),
        Unexpected::Unit | Unexpected::Option => "nothing".to_owned(),
        Unexpected::Str(text) => format!("the text \"{text}\""),
        Unexpected::Unsigned(number) => format!("the number `{number}`"),
        Unexpected::Signed(number) => format!("the number `{number}`"),
        // Shows the point of `1.0`, which Display leaves out.
        Unexpected::Float(number) => format!("the number `{number:?}`"),
        Unexpected::Bool(truth) => format!("`{truth}`, which YAML takes for a truth value"),
        other => other.to_string(),
    }
}

/// What the types of the standard library expect, in the words of a YAML file; ours say it so themselves.
pub(super) fn expected_in_yaml_terms(expected: &dyn Expected) -> String {
    let expected = expected.to_string();
    match expected.as_str() {
        "a sequence" => "a list like `[a, b]`",
        "a map" => "a mapping",
        "a string" => "text",
        "u32" | "u64" => "a whole number, not below zero",
        "a nonzero u32" => "a whole number above zero",
        "a boolean" => "`true` or `false`",
        "u8" => "a whole number up to 255",
        other if other.starts_with("enum ") => "a word",
        other => other,
    }
    .to_owned()
}
