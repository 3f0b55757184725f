// SPDX-License-Identifier: MIT OR Apache-2.0
//! Patterns for lines of text: kernel messages, output of commands, fields of trace events.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use super::name::VictimName;
use words::scalar::{self, FromScalar};

/// A pattern that is looked for in a line, anywhere in it.
///
/// `*` stands for anything, also nothing. `^` at the beginning and `$` at the end tie the pattern to the line's ends.
/// `{pfn}`, `{alice}` and `{alice.pid}` stand for what is known only when the case runs; see [`Placeholder`]. `{{` is a
/// brace. Everything else stands for itself, capital letters too.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Glob {
    /// As it was written.
    text: String,
    from_start: bool,
    to_end: bool,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Piece {
    Text(String),
    Anything,
    Value(Placeholder),
}

/// Something in a pattern that is known only when the case runs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Placeholder {
    /// `{pfn}`: the page frame number that the latest injection hit, as the kernel prints it: `0x` and hexadecimal digits.
    Pfn,
    /// `{alice}`: a victim as the kernel prints one in `Sending SIGBUS to …`: its comm, a colon and its pid.
    Victim(VictimName),
    /// `{alice.pid}`: the pid of a victim, in decimal digits.
    Pid(VictimName),
}

impl fmt::Display for Placeholder {
    /// Prints it as a case writes it, with its braces.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pfn => formatter.write_str("{pfn}"),
            Self::Victim(name) => write!(formatter, "{{{name}}}"),
            Self::Pid(name) => write!(formatter, "{{{name}.pid}}"),
        }
    }
}

impl Glob {
    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it says enough of a line to tell it from others: by a placeholder, by its both ends, or by two characters
    /// or more that are no blanks.
    pub(crate) fn is_telling(&self) -> bool {
        let telling = |piece: &Piece| match piece {
            Piece::Anything => 0,
            Piece::Text(text) => text.chars().filter(|letter| !letter.is_whitespace()).count(),
            Piece::Value(_) => 2,
        };
        let tied = self.from_start && self.to_end && !self.pieces.contains(&Piece::Anything);
        tied || self.pieces.iter().map(telling).sum::<usize>() >= 2
    }

    /// What has to be known before it can be matched, in the order of the pattern.
    pub fn placeholders(&self) -> impl Iterator<Item = &Placeholder> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Value(placeholder) => Some(placeholder),
            Piece::Text(_) | Piece::Anything => None,
        })
    }

    /// The pattern with what its placeholders stand for.
    ///
    /// # Errors
    /// The first placeholder for which `value` knows nothing.
    pub fn fill(&self, value: impl Fn(&Placeholder) -> Option<String>) -> Result<Pattern, Placeholder> {
        // Texts between the `*`: what must be found one after the other.
        let mut runs = vec![String::new()];
        for piece in &self.pieces {
            match (piece, runs.last_mut()) {
                (Piece::Text(text), Some(run)) => run.push_str(text),
                (Piece::Value(placeholder), Some(run)) => {
                    run.push_str(&value(placeholder).ok_or_else(|| placeholder.clone())?);
                }
                (Piece::Anything, _) | (_, None) => runs.push(String::new()),
            }
        }
        Ok(Pattern {
            from_start: self.from_start,
            to_end: self.to_end,
            runs,
        })
    }
}

/// A [`Glob`] in which nothing is left to be filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    from_start: bool,
    to_end: bool,
    /// In this order, with anything between them. Never empty.
    runs: Vec<String>,
}

impl Pattern {
    /// Whether the line has what the pattern says.
    pub fn is_in(&self, line: &str) -> bool {
        let (last, before) = match self.runs.split_last() {
            Some((last, before)) => (last.as_str(), before),
            None => return true,
        };
        let mut rest = line;
        let mut at_start = self.from_start;
        for run in before {
            rest = match Self::after(rest, run, at_start) {
                Some(rest) => rest,
                None => return false,
            };
            at_start = false;
        }
        match (at_start, self.to_end) {
            (true, true) => rest == last,
            (true, false) => rest.starts_with(last),
            (false, true) => rest.ends_with(last),
            (false, false) => rest.contains(last),
        }
    }

    /// What follows the first place where `run` is found.
    fn after<'a>(rest: &'a str, run: &str, at_start: bool) -> Option<&'a str> {
        if at_start {
            rest.strip_prefix(run)
        } else {
            rest.find(run).and_then(|at| rest.get(at + run.len()..))
        }
    }
}

impl fmt::Display for Pattern {
    /// Prints it like a case would, with what was filled in.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.from_start {
            formatter.write_str("^")?;
        }
        formatter.write_str(&self.runs.join("*"))?;
        if self.to_end {
            formatter.write_str("$")?;
        }
        Ok(())
    }
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// It would be found in any line.
    #[error("`{0}` is found in every line: say what the line has")]
    Anything(String),
    /// A brace is opened and nothing that we know stands in it.
    #[error(
        "`{{{0}` begins no placeholder: write `{{pfn}}`, a victim's `{{alice}}` or `{{alice.pid}}`, or `{{{{` for a brace"
    )]
    Placeholder(String),
}

impl FromStr for Glob {
    type Err = GlobError;

    fn from_str(text: &str) -> Result<Self, GlobError> {
        let (from_start, rest) = text.strip_prefix('^').map_or((false, text), |rest| (true, rest));
        let (to_end, rest) = rest.strip_suffix('$').map_or((false, rest), |rest| (true, rest));
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = rest;
        while let Some(letter) = rest.chars().next() {
            rest = &rest[letter.len_utf8()..];
            let piece = match letter {
                '*' => Piece::Anything,
                '{' if rest.starts_with('{') => {
                    rest = &rest[1..];
                    plain.push('{');
                    continue;
                }
                '{' => {
                    let unknown = || GlobError::Placeholder(rest.chars().take(20).collect());
                    let (inner, after) = rest.split_once('}').ok_or_else(unknown)?;
                    rest = after;
                    Piece::Value(
                        placeholder(inner).ok_or_else(|| GlobError::Placeholder(format!("{inner}}}")))?,
                    )
                }
                letter => {
                    plain.push(letter);
                    continue;
                }
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(piece);
        }
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        // `^$` is an empty line; everything else in which nothing but blanks stands is any line.
        let says_nothing = |piece: &Piece| match piece {
            Piece::Anything => true,
            Piece::Text(text) => text.trim().is_empty(),
            Piece::Value(_) => false,
        };
        if pieces.iter().all(says_nothing) && !(from_start && to_end && pieces.is_empty()) {
            return Err(GlobError::Anything(text.to_owned()));
        }
        Ok(Self {
            text: text.to_owned(),
            from_start,
            to_end,
            pieces,
        })
    }
}

fn placeholder(inner: &str) -> Option<Placeholder> {
    if inner == "pfn" {
        return Some(Placeholder::Pfn);
    }
    match inner.split_once('.') {
        None => inner.parse().ok().map(Placeholder::Victim),
        Some((name, "pid")) => name.parse().ok().map(Placeholder::Pid),
        Some(_) => None,
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.text)
    }
}

impl FromScalar for Glob {
    const EXPECTING: &'static str = "a text to look for, such as `Sending SIGBUS to {alice}`";

    fn from_text<E: de::Error>(text: &str) -> Result<Self, E> {
        text.parse().map_err(E::custom)
    }

    fn from_unsigned<E: de::Error>(number: u64) -> Result<Self, E> {
        Self::from_text(&number.to_string())
    }

    fn from_negative<E: de::Error>(number: i64) -> Result<Self, E> {
        Self::from_text(&number.to_string())
    }
}

impl<'de> Deserialize<'de> for Glob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::deserialize(deserializer)
    }
}

impl Serialize for Glob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl JsonSchema for Glob {
    fn schema_name() -> Cow<'static, str> {
        "Glob".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A text that is looked for anywhere in a line. `*` stands for anything; `^` at the beginning \
                            and `$` at the end tie it to the line's ends; `{pfn}`, `{alice}` (comm:pid) and `{alice.pid}` \
                            are replaced; `{{` is a brace.",
            "type": ["string", "integer"],
            "minLength": 1,
        })
    }
}
