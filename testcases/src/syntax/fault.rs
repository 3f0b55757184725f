// SPDX-License-Identifier: MIT OR Apache-2.0
//! What serde says of a value that does not fit, taken apart again.
//!
//! serde's own errors (`unknown_field`, `missing_field`, …) reach us as sentences, for that is all that serde_yaml's error
//! keeps. The sentences are those of serde's `de::Error`; tests/faulty_form.rs notices if they change.

/// What serde found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault<'a> {
    UnknownField {
        name: &'a str,
        known: Vec<&'a str>,
    },
    UnknownVariant {
        name: &'a str,
        known: Vec<&'a str>,
    },
    MissingField {
        name: &'a str,
    },
    /// A value of another type, or out of range.
    Invalid {
        found: String,
        expected: &'a str,
    },
    /// A sentence of our own.
    Other {
        sentence: &'a str,
    },
}

impl<'a> Fault<'a> {
    pub(super) fn of(sentence: &'a str) -> Self {
        if let Some(rest) = sentence.strip_prefix("unknown field ")
            && let Some((name, known)) = unknown(rest)
        {
            return Self::UnknownField { name, known };
        }
        if let Some(rest) = sentence.strip_prefix("unknown variant ")
            && let Some((name, known)) = unknown(rest)
        {
            return Self::UnknownVariant { name, known };
        }
        if let Some(name) = sentence
            .strip_prefix("missing field `")
            .and_then(|rest| rest.strip_suffix('`'))
        {
            return Self::MissingField { name };
        }
        if let Some(rest) = sentence
            .strip_prefix("invalid type: ")
            .or_else(|| sentence.strip_prefix("invalid value: "))
            && let Some((found, expected)) = rest.rsplit_once(", expected ")
        {
            return Self::Invalid {
                found: in_yaml_terms(found),
                expected: expected_in_yaml_terms(expected),
            };
        }
        Self::Other { sentence }
    }
}

/// Takes apart `` `NAME`, expected one of `a`, `b` `` and `` `NAME`, there are no fields ``.
fn unknown(rest: &str) -> Option<(&str, Vec<&str>)> {
    let rest = rest.strip_prefix('`')?;
    if let Some((name, known)) = rest.rsplit_once("`, expected ") {
        // Every second piece between backticks is a word.
        return Some((name, known.split('`').skip(1).step_by(2).collect()));
    }
    let (name, _) = rest.rsplit_once("`, there are no ")?;
    Some((name, Vec::new()))
}

/// serde's name of a found value in the words of a YAML file.
fn in_yaml_terms(found: &str) -> String {
    let quoted = |prefix: &str| found.strip_prefix(prefix);
    match found {
        "map" => "a mapping".to_owned(),
        "sequence" => "a list".to_owned(),
        "unit value" | "Option value" => "nothing".to_owned(),
        _ => {
            if let Some(text) = quoted("string ") {
                format!("the text {text}")
            } else if let Some(number) = quoted("integer ").or_else(|| quoted("floating point ")) {
                format!("the number {number}")
            } else if let Some(word) = quoted("boolean ") {
                format!("{word}, which YAML takes for a truth value")
            } else {
                found.to_owned()
            }
        }
    }
}

fn expected_in_yaml_terms(expected: &str) -> &str {
    match expected {
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
}
