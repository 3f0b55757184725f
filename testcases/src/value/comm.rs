// SPDX-License-Identifier: MIT OR Apache-2.0
//! The name that the kernel has of a process.

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use words::scalar::{self, FromScalar};

/// TASK_COMM_LEN without its NUL (include/linux/sched.h).
const LONGEST: usize = 15;

/// Why a text is no name of a process.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommError {
    /// There is nothing.
    #[error("a process has a name: write that of the program, such as `xfs_io`")]
    Empty,
    /// The kernel cuts it off.
    #[error("the kernel keeps {LONGEST} bytes of a process's name: write `{0}`")]
    TooLong(String),
    /// It has what a trace event cannot show.
    #[error("`{0}` is no name of a program without its folder: leave out blanks and slashes")]
    Letters(String),
}

/// What the kernel calls a process (`comm`, /proc/PID/comm): the program's file name, cut off after 15 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Comm(String);

impl Comm {
    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Comm {
    type Err = CommError;

    fn from_str(text: &str) -> Result<Self, CommError> {
        if text.is_empty() {
            Err(CommError::Empty)
        } else if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/') {
            Err(CommError::Letters(text.to_owned()))
        } else if let Some((kept, _)) = text
            .split_at_checked(LONGEST)
            .filter(|(_, rest)| !rest.is_empty())
        {
            Err(CommError::TooLong(kept.to_owned()))
        } else {
            Ok(Self(text.to_owned()))
        }
    }
}

impl fmt::Display for Comm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl Borrow<str> for Comm {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromScalar for Comm {
    const EXPECTING: &'static str = "the name of a program";

    fn from_text<E: de::Error>(text: &str) -> Result<Self, E> {
        text.parse().map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Comm {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::deserialize(deserializer)
    }
}

impl Serialize for Comm {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl JsonSchema for Comm {
    fn schema_name() -> Cow<'static, str> {
        "Comm".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "What the kernel calls a process: the program's file name, cut off after 15 bytes.",
            "type": "string",
            "pattern": "^[!-.0-~]+$",
            "maxLength": LONGEST,
        })
    }
}
