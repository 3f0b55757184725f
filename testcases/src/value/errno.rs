// SPDX-License-Identifier: MIT OR Apache-2.0
//! Error numbers by name, and the return codes of kernel functions.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Unexpected};
use serde::ser::{Serialize, Serializer};

use words::scalar::{self, FromScalar};

use crate::suggest;

/// The largest number of include/uapi/asm-generic/errno.h (EHWPOISON).
const LARGEST: i32 = 133;

/// Second names of the same numbers: asm-generic/errno.h, and XFS's own two (fs/xfs/xfs_linux.h).
const ALIASES: [(&str, &str); 5] = [
    ("EWOULDBLOCK", "EAGAIN"),
    ("EDEADLOCK", "EDEADLK"),
    ("ENOTSUP", "EOPNOTSUPP"),
    ("EFSCORRUPTED", "EUCLEAN"),
    ("EFSBADCRC", "EBADMSG"),
];

/// Name and number of every error; the operating system's binding knows them, so they are not written down again.
static TABLE: LazyLock<Vec<(&'static str, i32)>> = LazyLock::new(|| {
    use nix::errno::Errno as Known;
    (1..=LARGEST)
        .map(|number| (number, Known::from_raw(number)))
        .filter(|(_, known)| *known != Known::UnknownErrno)
        .map(|(number, known)| (&*format!("{known:?}").leak(), number))
        .collect()
});

/// The names alone, for messages and completion.
static NAMES: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    TABLE
        .iter()
        .map(|(name, _)| *name)
        .chain(ALIASES.map(|(alias, _)| alias))
        .collect()
});

/// An error number as a system call gives it: positive, written by its name (`EIO`) or as a number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errno(i32);

impl Errno {
    /// There is no such file.
    pub const ENOENT: Self = Self(nix::errno::Errno::ENOENT as i32);

    /// The error of this number, unless it is no errno of Linux (1 to 133).
    pub fn from_number(number: i32) -> Option<Self> {
        TABLE
            .iter()
            .any(|(_, known)| *known == number)
            .then_some(Self(number))
    }

    /// The number, as in errno(3).
    pub const fn number(self) -> i32 {
        self.0
    }

    /// The name, such as `EUCLEAN`.
    pub fn name(self) -> &'static str {
        TABLE
            .iter()
            .find(|(_, number)| *number == self.0)
            .map_or("unknown errno", |(name, _)| name)
    }

    /// What the C library says of it, such as `Structure needs cleaning`.
    pub fn meaning(self) -> &'static str {
        nix::errno::Errno::from_raw(self.0).desc()
    }

    /// Every name that can be written, aliases included.
    pub fn names() -> &'static [&'static str] {
        NAMES.as_slice()
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Errno({})", self.name())
    }
}

/// The text names no error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown errno `{0}`")]
pub struct ErrnoError(String);

impl FromStr for Errno {
    type Err = ErrnoError;

    fn from_str(text: &str) -> Result<Self, ErrnoError> {
        let name = ALIASES
            .iter()
            .find(|(alias, _)| *alias == text)
            .map_or(text, |(_, name)| name);
        TABLE
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, number)| Self(*number))
            .ok_or_else(|| ErrnoError(text.to_owned()))
    }
}

/// The error for a text where an errno, or another of the `known` words, was expected.
pub(crate) fn unknown_errno<E: de::Error>(text: &str, known: &[&str]) -> E {
    let way_out = suggest::way_out(text, "errno", known);
    let way_out = way_out
        .as_deref()
        .unwrap_or("errno(3) lists the names; a number is taken as well");
    E::custom(format!("unknown errno `{text}`: {way_out}"))
}

impl FromScalar for Errno {
    const EXPECTING: &'static str = "the name of an errno, such as `EIO`";

    fn from_text<E: de::Error>(text: &str) -> Result<Self, E> {
        text.parse().map_err(|_| unknown_errno(text, Self::names()))
    }

    fn from_unsigned<E: de::Error>(number: u64) -> Result<Self, E> {
        i32::try_from(number)
            .ok()
            .and_then(Self::from_number)
            .ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &Self::EXPECTING))
    }
}

impl<'de> Deserialize<'de> for Errno {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::deserialize(deserializer)
    }
}

impl Serialize for Errno {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Errno {
    fn schema_name() -> Cow<'static, str> {
        "Errno".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An error by its name, such as `EIO`, or by its number.",
            "anyOf": [
                { "type": "string", "enum": Self::names() },
                { "type": "integer", "minimum": 1, "maximum": LARGEST },
            ],
        })
    }
}

/// What a kernel function returned: zero, or a negative errno.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReturnCode(i32);

impl ReturnCode {
    /// Nothing went wrong.
    pub const ZERO: Self = Self(0);

    /// The code of this value, as a probe on the function's return reads it: zero or the negative of an errno.
    pub fn from_raw(raw: i32) -> Option<Self> {
        match raw {
            0 => Some(Self::ZERO),
            negative if negative < 0 => Errno::from_number(negative.checked_neg()?).map(Self::from),
            _ => None,
        }
    }

    /// The value that the function returned.
    pub const fn raw(self) -> i32 {
        self.0
    }

    /// The error, unless the function succeeded.
    pub fn errno(self) -> Option<Errno> {
        Errno::from_number(self.0.checked_neg()?)
    }
}

impl From<Errno> for ReturnCode {
    fn from(errno: Errno) -> Self {
        Self(-errno.0)
    }
}

impl fmt::Display for ReturnCode {
    /// Prints `0`, or the errno with its number: `-EUCLEAN (-117)`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.errno() {
            Some(errno) => write!(formatter, "-{errno} ({})", self.0),
            None => write!(formatter, "{}", self.0),
        }
    }
}

impl FromScalar for ReturnCode {
    const EXPECTING: &'static str = "`0`, the name of an errno such as `EUCLEAN`, or its negative number";

    fn from_text<E: de::Error>(text: &str) -> Result<Self, E> {
        Errno::from_text(text.strip_prefix('-').unwrap_or(text)).map(Self::from)
    }

    fn from_unsigned<E: de::Error>(number: u64) -> Result<Self, E> {
        match i32::try_from(number).ok().and_then(Errno::from_number) {
            _ if number == 0 => Ok(Self::ZERO),
            Some(errno) => Err(E::custom(format!(
                "a kernel function returns an error as a negative number: write `{errno}` or `-{number}`"
            ))),
            None => Err(E::invalid_value(Unexpected::Unsigned(number), &Self::EXPECTING)),
        }
    }

    fn from_negative<E: de::Error>(number: i64) -> Result<Self, E> {
        i32::try_from(number)
            .ok()
            .and_then(Self::from_raw)
            .ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &Self::EXPECTING))
    }
}

impl<'de> Deserialize<'de> for ReturnCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::deserialize(deserializer)
    }
}

impl Serialize for ReturnCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i32(self.0)
    }
}

impl JsonSchema for ReturnCode {
    fn schema_name() -> Cow<'static, str> {
        "ReturnCode".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "What a kernel function returned: `0`, an errno by name, or its negative number.",
            "anyOf": [
                { "type": "string", "enum": Errno::names() },
                { "type": "integer", "minimum": -LARGEST, "maximum": 0 },
            ],
        })
    }
}
