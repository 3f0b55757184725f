// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is expected, as a case writes it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer};

use super::shapes::{OneOrMany, either_document};
use crate::model::{BusCode, Device, FieldValue, Lsb, PageFlag, Sharing};
use crate::value::{Bytes, Count, FilePath, Fill, FromScalar, Glob, Sha256, ThreadName, deserialize_scalar};

/// A SIGBUS.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ code: BUS_MCEERR_AO, at: 4KiB, lsb: 12 }`"
)]
#[schemars(rename = "Signal")]
pub(crate) struct SignalDocument {
    /// The signal's `si_code`.
    pub(crate) code: BusCode,
    /// The signal's `si_addr`, counted from the start of the mapping.
    pub(crate) at: Bytes,
    /// The signal's `si_addr_lsb`: the error spans 2 to the power of this many bytes (12 is one page, 21 is 2 MiB).
    /// `none`: the signal has none.
    #[serde(default)]
    #[schemars(with = "Lsb", default)]
    pub(crate) lsb: Lsb,
    /// Which of the victim's mappings, counted from 0; the first if absent.
    #[serde(default)]
    pub(crate) map: u32,
    /// The thread that gets it; any of the victim's if absent.
    #[schemars(with = "ThreadName", default)]
    pub(crate) thread: Option<ThreadName>,
    /// How often it comes in a row; once if absent.
    #[serde(default)]
    #[schemars(with = "Count", default)]
    pub(crate) times: Count,
}

impl FromScalar for Lsb {
    const EXPECTING: &'static str = "a number of bits, such as `12` or `21`, or `none`";

    fn from_text<E: de::Error>(text: &str) -> Result<Self, E> {
        match text {
            "none" => Ok(Self::None),
            _ => Err(E::invalid_value(de::Unexpected::Str(text), &Self::EXPECTING)),
        }
    }

    fn from_unsigned<E: de::Error>(number: u64) -> Result<Self, E> {
        u8::try_from(number)
            .map(Self::Bits)
            .map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &Self::EXPECTING))
    }
}

impl<'de> Deserialize<'de> for Lsb {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_scalar(deserializer)
    }
}

impl JsonSchema for Lsb {
    fn schema_name() -> Cow<'static, str> {
        "Lsb".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "const": "none" }, { "type": "integer", "minimum": 0, "maximum": 63 }] })
    }
}

either_document!(
    /// What lines of text have, and what they lack.
    LinesDocument(Glob, HasAndLacksDocument),
    "Lines",
    "a text to look for, or a mapping like `{ has: [some text], lacks: [other text] }`"
);

/// What lines of text have, and what they lack.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ has: [some text], lacks: [other text] }`"
)]
#[schemars(rename = "HasAndLacks", extend("minProperties" = 1))]
pub(crate) struct HasAndLacksDocument {
    /// Each of these is in some line.
    #[serde(default)]
    pub(crate) has: OneOrMany<Glob>,
    /// None of these is in any line.
    #[serde(default)]
    pub(crate) lacks: OneOrMany<Glob>,
}

/// A trace event.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ event: memory_failure_event, has: Recovered }`"
)]
#[schemars(rename = "TraceEvent")]
pub(crate) struct TraceDocument {
    /// The event's name, without its system.
    pub(crate) event: super::words::Text,
    /// What is in the text of the event.
    #[schemars(with = "Glob", default)]
    pub(crate) has: Option<Glob>,
    /// What its fields say.
    #[serde(default)]
    pub(crate) fields: BTreeMap<String, FieldValue>,
    /// How many of these events there are; one if absent.
    #[serde(default)]
    #[schemars(with = "Count", default)]
    pub(crate) times: Count,
}

impl FromScalar for FieldValue {
    const EXPECTING: &'static str = "a number, or a text to look for";

    fn from_text<E: de::Error>(text: &str) -> Result<Self, E> {
        Glob::from_text(text).map(Self::Text)
    }

    fn from_unsigned<E: de::Error>(number: u64) -> Result<Self, E> {
        // What is printed as an address may have its highest bit set.
        Ok(Self::Number(i64::from_ne_bytes(number.to_ne_bytes())))
    }

    fn from_negative<E: de::Error>(number: i64) -> Result<Self, E> {
        Ok(Self::Number(number))
    }
}

impl<'de> Deserialize<'de> for FieldValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_scalar(deserializer)
    }
}

impl JsonSchema for FieldValue {
    fn schema_name() -> Cow<'static, str> {
        "FieldValue".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["integer", "string"] })
    }
}

/// Flags of a page.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ has: [hwpoison], lacks: [lru] }`"
)]
#[schemars(rename = "PageFlags", extend("minProperties" = 1))]
pub(crate) struct PageFlagsDocument {
    /// All of these are set.
    #[serde(default)]
    pub(crate) has: OneOrMany<PageFlag>,
    /// None of these is.
    #[serde(default)]
    pub(crate) lacks: OneOrMany<PageFlag>,
}

/// What the filesystem says of a file.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ size: 2MiB, dax: true, shared: none }`"
)]
#[schemars(rename = "FileState", extend("minProperties" = 1))]
pub(crate) struct FileStateDocument {
    /// Its size.
    #[schemars(with = "Bytes", default)]
    pub(crate) size: Option<Bytes>,
    /// Whether it goes past the page cache.
    #[schemars(with = "bool", default)]
    pub(crate) dax: Option<bool>,
    /// How much of it shares its blocks with another file.
    #[schemars(with = "Sharing", default)]
    pub(crate) shared: Option<Sharing>,
    /// How many extents it has.
    #[schemars(with = "Count", default)]
    pub(crate) extents: Option<Count>,
    /// Whether any of it is allocated and was never written.
    #[schemars(with = "bool", default)]
    pub(crate) unwritten: Option<bool>,
}

/// A bad range: a part of a `file`, or from the start of the page that was `injected`, or a part of a `device`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a range like `{ file: a, offset: 4KiB, length: 4KiB }` or `{ injected: 4KiB }`"
)]
#[schemars(
    rename = "BadRange",
    extend("oneOf" = [
        { "required": ["file", "offset", "length"] },
        { "required": ["injected"] },
        { "required": ["device", "length"] },
    ])
)]
pub(crate) struct BadRangeDocument {
    /// The range is where a part of this file lies.
    #[schemars(with = "FilePath", default)]
    pub(crate) file: Option<FilePath>,
    /// The start of the range in the file.
    #[schemars(with = "Bytes", default)]
    pub(crate) offset: Option<Bytes>,
    /// The length of the range.
    #[schemars(with = "Bytes", default)]
    pub(crate) length: Option<Bytes>,
    /// So many bytes from the start of the page that the latest injection hit.
    #[schemars(with = "Bytes", default)]
    pub(crate) injected: Option<Bytes>,
    /// The start of the range on a device.
    #[schemars(with = "Bytes", default)]
    pub(crate) device: Option<Bytes>,
    /// Which device that is; the one that is mounted if absent.
    #[schemars(with = "Device", default)]
    pub(crate) of: Option<Device>,
}

either_document!(
    /// What was read.
    ContentsDocument(Fill, OtherContentsDocument),
    "Contents",
    "a byte, from `0x00` to `0xff`, `counting`, or a mapping like `{ file: b }`"
);

/// The same as in another `file`, or bytes of a checksum.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ file: b, offset: 0 }` or `{ sha256: 64 digits }`"
)]
#[schemars(
    rename = "OtherContents",
    extend("oneOf" = [{ "required": ["file"] }, { "required": ["sha256"] }])
)]
pub(crate) struct OtherContentsDocument {
    /// The other file.
    #[schemars(with = "FilePath", default)]
    pub(crate) file: Option<FilePath>,
    /// Where its part starts; 0 if absent.
    #[schemars(with = "Bytes", default)]
    pub(crate) offset: Option<Bytes>,
    /// The checksum.
    #[schemars(with = "Sha256", default)]
    pub(crate) sha256: Option<Sha256>,
}
