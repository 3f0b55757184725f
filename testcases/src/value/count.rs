// SPDX-License-Identifier: MIT OR Apache-2.0
//! How often something happens.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use words::scalar::{self, FromScalar};

/// How often something happens: `2`, `1..3` (both ends count), `>=1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Count {
    at_least: u32,
    at_most: Option<u32>,
}

impl Count {
    /// Once.
    pub const ONCE: Self = Self::exactly(1);

    /// So often, neither more nor less.
    pub const fn exactly(times: u32) -> Self {
        Self {
            at_least: times,
            at_most: Some(times),
        }
    }

    /// The lowest number that will do.
    pub const fn at_least(self) -> u32 {
        self.at_least
    }

    /// The highest number that will do, if there is one.
    pub const fn at_most(self) -> Option<u32> {
        self.at_most
    }

    /// Whether so many times will do.
    pub fn contains(self, times: usize) -> bool {
        let within = |most: u32| usize::try_from(most).is_ok_and(|most| times <= most);
        usize::try_from(self.at_least).is_ok_and(|least| times >= least) && self.at_most.is_none_or(within)
    }
}

impl Default for Count {
    /// Once.
    fn default() -> Self {
        Self::ONCE
    }
}

impl fmt::Display for Count {
    /// Prints it as a case writes it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at_most {
            Some(most) if most == self.at_least => write!(formatter, "{most}"),
            Some(most) => write!(formatter, "{}..{most}", self.at_least),
            None => write!(formatter, ">={}", self.at_least),
        }
    }
}

/// Why a text is no number of times.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CountError {
    /// It is written in another way.
    #[error("`{0}` is no number of times: write it like `2`, `1..3` (both ends count) or `\">=1\"`")]
    Form(String),
    /// The first end is above the second.
    #[error("no number is in `{0}`: write the lower one first")]
    Empty(String),
    /// Any number is in it.
    #[error(
        "`{0}` holds however often it happens, and so says nothing: write how often it must, such as `\">=1\"`, or how often at most, such as `0..1`"
    )]
    Any(String),
}

impl FromStr for Count {
    type Err = CountError;

    fn from_str(text: &str) -> Result<Self, CountError> {
        let number = |part: &str| {
            let part = part.trim();
            let plain = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| part.parse().ok()).flatten()
        };
        let form = || CountError::Form(text.to_owned());
        if let Some(least) = text.strip_prefix(">=") {
            return match number(least).ok_or_else(form)? {
                0 => Err(CountError::Any(text.to_owned())),
                at_least => Ok(Self {
                    at_least,
                    at_most: None,
                }),
            };
        }
        let (least, most) = text.split_once("..").unwrap_or((text, text));
        let (least, most) = number(least).zip(number(most)).ok_or_else(form)?;
        if least > most {
            return Err(CountError::Empty(text.to_owned()));
        }
        if (least, most) == (0, u32::MAX) {
            return Err(CountError::Any(text.to_owned()));
        }
        Ok(Self {
            at_least: least,
            at_most: Some(most),
        })
    }
}

impl FromScalar for Count {
    const EXPECTING: &'static str = "a number of times, such as `2`, `1..3` or `\">=1\"`";

    fn from_text<E: de::Error>(text: &str) -> Result<Self, E> {
        text.parse().map_err(E::custom)
    }

    fn from_unsigned<E: de::Error>(number: u64) -> Result<Self, E> {
        u32::try_from(number)
            .map(Self::exactly)
            .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &Self::EXPECTING))
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::deserialize(deserializer)
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Count {
    fn schema_name() -> Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "How often: `2`, `1..3` (both ends count), `\">=1\"`.",
            "anyOf": [
                { "type": "integer", "minimum": 0 },
                { "type": "string", "pattern": r"^(>=\s*0*[1-9][0-9]*|[0-9]+(\.\.[0-9]+)?)$" },
            ],
        })
    }
}
