// SPDX-License-Identifier: MIT OR Apache-2.0
//! The names that a case gives to its files and victims.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use words::scalar::{self, FromScalar};

/// Longest name in bytes; XFS itself would take 255.
const LONGEST: usize = 64;

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is nothing.
    #[error("a name must not be empty: use a-z, 0-9, `_` and `-`")]
    Empty,
    /// There are too many letters.
    #[error("the name is longer than {LONGEST} letters: choose a shorter one")]
    TooLong,
    /// A letter is not one that a name may have.
    #[error("`{0}` is no plain name: begin with a letter or digit, and use only a-z, 0-9, `_` and `-`")]
    Letters(String),
}

fn checked(text: &str) -> Result<String, NameError> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    match text.as_bytes() {
        [] => Err(NameError::Empty),
        bytes if bytes.len() > LONGEST => Err(NameError::TooLong),
        [first, rest @ ..]
            if plain(*first)
                && rest
                    .iter()
                    .all(|byte| plain(*byte) || *byte == b'_' || *byte == b'-') =>
        {
            Ok(text.to_owned())
        }
        _ => Err(NameError::Letters(text.to_owned())),
    }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $description:literal) => {
        $(#[$doc])*
        ///
        /// Begins with a letter or digit and has only a-z, 0-9, `_` and `-`, so that it means the same to a shell, a
        /// path and a report.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The name itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                checked(text).map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl FromScalar for $name {
            const EXPECTING: &'static str = $what;

            fn from_text<E: de::Error>(text: &str) -> Result<Self, E> {
                text.parse().map_err(E::custom)
            }

            fn from_unsigned<E: de::Error>(number: u64) -> Result<Self, E> {
                Err(E::custom(format!("a name is text, but YAML reads a number here: write `\"{number}\"`")))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                scalar::deserialize(deserializer)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "description": $description,
                    "type": "string",
                    "pattern": "^[a-z0-9][a-z0-9_-]*$",
                    "maxLength": LONGEST,
                })
            }
        }
    };
}

name!(
    /// The name of a file or directory in its directory.
    FileName,
    "the name of a file",
    "The name of a file in its directory."
);
name!(
    /// The name of a victim.
    VictimName,
    "the name of a victim",
    "The name of a process that maps a file."
);
name!(
    /// The name of a thread of a victim.
    ThreadName,
    "the name of a thread",
    "The name of a thread of a victim."
);
name!(
    /// The name of a page that a case has marked.
    MarkName,
    "the name of a mark",
    "The name of a page that was marked."
);
name!(
    /// The name of a parameter of a case or of an included file.
    ParameterName,
    "the name of a parameter",
    "The name of a parameter."
);
