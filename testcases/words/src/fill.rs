// SPDX-License-Identifier: MIT OR Apache-2.0
//! What files are filled with.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Unexpected};
use serde::ser::{Serialize, Serializer};

use crate::scalar::{self, FromScalar};

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

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Fill {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Fill".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A byte, such as `0x5a`, or `counting`: each 4 KiB page of the file has a byte of its own.",
            "anyOf": [{ "type": "integer", "minimum": 0, "maximum": 255 }, { "const": "counting" }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counting_pages_are_told_apart() {
        let page = |index: u64| Fill::Counting.byte_at(index * PAGE + 17);
        assert_eq!([page(0), page(1), page(7)], [11, 48, 14]);
        let different: std::collections::BTreeSet<u8> = (0..256).map(page).collect();
        assert_eq!(different.len(), 256);
        assert_eq!(Fill::Byte(0x5a).byte_at(u64::MAX), 0x5a);
    }

    #[test]
    fn what_is_told_is_what_was_meant() {
        for fill in [Fill::Byte(0), Fill::Byte(0xff), Fill::Counting] {
            let line = serde_json::to_string(&fill).unwrap();
            assert_eq!(serde_json::from_str::<Fill>(&line).unwrap(), fill, "{line}");
        }
    }

    #[test]
    fn it_is_shown_as_a_case_writes_it() {
        let shown = [Fill::Byte(5), Fill::Counting].map(|fill| fill.to_string());
        assert_eq!(shown, ["0x05", "counting"]);
    }
}
