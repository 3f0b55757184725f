// SPDX-License-Identifier: MIT OR Apache-2.0
//! What files are filled with, and checksums of what is in them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Unexpected};
use serde::ser::{Serialize, Serializer};

use super::scalar::{self, FromScalar};

/// The size of a page, which is the unit of `counting`.
const PAGE: u64 = 4096;

/// What fills a file or a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fill {
    /// Every byte is this one.
    Byte(u8),
    /// Every 4 KiB page of the file has a byte of its own, `(index * 37 + 11) & 0xff`, index being the page's number
    /// counted from the start of the file; so a page that comes from another place shows.
    Counting,
}

impl Fill {
    /// The byte at an offset of the file.
    pub const fn byte_at(self, offset: u64) -> u8 {
        match self {
            Self::Byte(byte) => byte,
            // Only the lowest byte counts, so that wrapping changes nothing.
            Self::Counting => (offset / PAGE).wrapping_mul(37).wrapping_add(11).to_le_bytes()[0],
        }
    }
}

impl fmt::Display for Fill {
    /// Prints it as a case writes it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Byte(byte) => write!(formatter, "{byte:#04x}"),
            Self::Counting => formatter.write_str("counting"),
        }
    }
}

impl FromScalar for Fill {
    const EXPECTING: &'static str = "a byte, from `0x00` to `0xff`, or `counting`";

    fn from_text<E: de::Error>(text: &str) -> Result<Self, E> {
        match text {
            "counting" => Ok(Self::Counting),
            _ => Err(E::unknown_variant(text, &["counting"])),
        }
    }

    fn from_unsigned<E: de::Error>(number: u64) -> Result<Self, E> {
        u8::try_from(number)
            .map(Self::Byte)
            .map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &Self::EXPECTING))
    }
}

impl<'de> Deserialize<'de> for Fill {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::deserialize(deserializer)
    }
}

impl Serialize for Fill {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Byte(byte) => serializer.serialize_u8(*byte),
            Self::Counting => serializer.serialize_str("counting"),
        }
    }
}

impl JsonSchema for Fill {
    fn schema_name() -> Cow<'static, str> {
        "Fill".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A byte, such as `0x5a`, or `counting`: each 4 KiB page of the file has a byte of its own.",
            "anyOf": [{ "type": "integer", "minimum": 0, "maximum": 255 }, { "const": "counting" }],
        })
    }
}

/// A SHA-256 checksum.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256(pub [u8; 32]);

/// The text is no checksum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no SHA-256 checksum: write its 64 hexadecimal digits, as sha256sum(1) prints them")]
pub struct Sha256Error(String);

impl FromStr for Sha256 {
    type Err = Sha256Error;

    fn from_str(text: &str) -> Result<Self, Sha256Error> {
        let error = || Sha256Error(text.to_owned());
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(error());
        }
        let mut sum = [0; 32];
        for (index, byte) in sum.iter_mut().enumerate() {
            let digits = text.get(index * 2..index * 2 + 2).ok_or_else(error)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| error())?;
        }
        Ok(Self(sum))
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Sha256({self})")
    }
}

impl FromScalar for Sha256 {
    const EXPECTING: &'static str = "the 64 hexadecimal digits of a checksum";

    fn from_text<E: de::Error>(text: &str) -> Result<Self, E> {
        text.parse().map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Sha256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::deserialize(deserializer)
    }
}

impl Serialize for Sha256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Sha256 {
    fn schema_name() -> Cow<'static, str> {
        "Sha256".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9a-fA-F]{64}$" })
    }
}
