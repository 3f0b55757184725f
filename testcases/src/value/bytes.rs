// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sizes and offsets, in bytes.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use words::scalar::{self, FromScalar};

/// The units that a case may write, largest first: each is a power of two and says so in its name.
const UNITS: [(&str, u64); 4] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
];

/// A number of bytes: a size, or an offset from a start.
///
/// Written `4KiB`, `2MiB`, `1GiB`, `512` or `0x1000`. Units that mean 1000 to some and 1024 to others (`4K`, `4KB`)
/// are refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub u64);

impl Bytes {
    /// The plain number of bytes.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The sum, or nothing if it does not fit into 64 bits.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// Whether this is a whole number of `unit` bytes; nothing is a multiple of zero.
    pub fn is_multiple_of(self, unit: u64) -> bool {
        self.0.checked_rem(unit) == Some(0)
    }
}

impl fmt::Display for Bytes {
    /// Prints the largest unit of which this is a whole number, else the plain number.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS
            .iter()
            .find(|(_, unit)| self.0 != 0 && self.0.is_multiple_of(*unit))
        {
            Some((name, unit)) => write!(formatter, "{}{name}", self.0 / unit),
            None => write!(formatter, "{}", self.0),
        }
    }
}

/// Why a text is no number of bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BytesError {
    /// The unit means a power of ten to some readers and a power of two to others.
    #[error("`{text}` is ambiguous: write `{better}`")]
    Ambiguous {
        /// What was written.
        text: String,
        /// The same number with the binary unit.
        better: String,
    },
    /// The number has a unit, but none of ours.
    #[error(
        "`{text}` has no known unit: write bytes, or one of KiB, MiB, GiB, TiB directly after the number"
    )]
    Unit {
        /// What was written.
        text: String,
    },
    /// There is no whole number at the start.
    #[error("`{text}` is no size: write a whole number and a unit, such as `4KiB`, or plain bytes")]
    NotANumber {
        /// What was written.
        text: String,
    },
    /// The number does not fit into 64 bits.
    #[error("`{text}` does not fit into 64 bits: choose a smaller one")]
    TooLarge {
        /// What was written.
        text: String,
    },
}

impl FromStr for Bytes {
    type Err = BytesError;

    fn from_str(text: &str) -> Result<Self, BytesError> {
        let owned = || text.to_owned();
        if let Some(digits) = text.strip_prefix("0x") {
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(BytesError::NotANumber { text: owned() });
            }
            return u64::from_str_radix(digits, 16)
                .map(Self)
                .map_err(|_| BytesError::TooLarge { text: owned() });
        }
        let end = text
            .find(|letter: char| !letter.is_ascii_digit())
            .unwrap_or(text.len());
        let (digits, unit) = text.split_at(end);
        if digits.is_empty() || unit.starts_with(['.', ',', '_']) {
            return Err(BytesError::NotANumber { text: owned() });
        }
        let factor = if unit.is_empty() {
            1
        } else if let Some((_, factor)) = UNITS.iter().find(|(name, _)| *name == unit) {
            *factor
        } else {
            return Err(match binary_unit(unit) {
                Some(better) => BytesError::Ambiguous {
                    text: owned(),
                    better: format!("{digits}{better}"),
                },
                None => BytesError::Unit { text: owned() },
            });
        };
        digits
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(factor))
            .map(Self)
            .ok_or_else(|| BytesError::TooLarge { text: owned() })
    }
}

/// The binary unit that someone who wrote `K`, `kb`, ` MB` or `gib` will have meant.
fn binary_unit(written: &str) -> Option<&'static str> {
    let written = written.trim().to_ascii_uppercase();
    UNITS.iter().map(|(name, _)| *name).find(|name| {
        let letter = &name[..1];
        written == letter || written == format!("{letter}B") || written == format!("{letter}IB")
    })
}

impl FromScalar for Bytes {
    const EXPECTING: &'static str = "a size such as `4KiB`";

    fn from_text<E: de::Error>(text: &str) -> Result<Self, E> {
        text.parse().map_err(E::custom)
    }

    fn from_unsigned<E: de::Error>(number: u64) -> Result<Self, E> {
        Ok(Self(number))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::deserialize(deserializer)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for Bytes {
    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of bytes: `4KiB`, `2MiB`, `1GiB`, or a plain number such as `512` or `0x1000`.",
            "anyOf": [
                { "type": "integer", "minimum": 0 },
                { "type": "string", "pattern": "^([0-9]+(KiB|MiB|GiB|TiB)?|0x[0-9a-fA-F]+)$" },
            ],
        })
    }
}
