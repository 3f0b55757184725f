// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is written as a word, or as a word with more behind it.

use std::borrow::Cow;
use std::sync::LazyLock;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{self, Deserializer};

use super::shapes::{Either, either};
use crate::model::{CallResult, NotifyFailure};
use crate::value::{Errno, FromScalar, ReturnCode, deserialize_scalar, unknown_errno};

/// Text that says something.
#[derive(Debug)]
pub(crate) struct Text(pub(crate) String);

impl FromScalar for Text {
    const EXPECTING: &'static str = "text";

    fn from_text<E: de::Error>(text: &str) -> Result<Self, E> {
        match text.trim() {
            "" => Err(E::custom(
                "this text is empty: say something, it is what people read",
            )),
            text => Ok(Self(text.to_owned())),
        }
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_scalar(deserializer)
    }
}

impl JsonSchema for Text {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": r"\S" })
    }
}

/// The errno of a number; where there is none, the words that could stand there are offered too.
fn numbered<E: de::Error>(number: u64, expected: &dyn de::Expected) -> Result<Errno, E> {
    Errno::from_unsigned(number).map_err(|_: E| E::invalid_value(de::Unexpected::Unsigned(number), expected))
}

/// `error: none`, `error: EIO`, or for a dedupe `error: differs`.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ending {
    Success,
    /// Of a dedupe: the two parts do not hold the same.
    Differs,
    Error(Errno),
}

/// What may stand after `error:`.
static ENDINGS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    ["none", "differs"]
        .into_iter()
        .chain(Errno::names().iter().copied())
        .collect()
});

impl FromScalar for Ending {
    const EXPECTING: &'static str = "`none`, or the name of an errno such as `EIO`";

    fn from_text<E: de::Error>(text: &str) -> Result<Self, E> {
        match text {
            "none" => Ok(Self::Success),
            "differs" => Ok(Self::Differs),
            _ => text
                .parse()
                .map(Self::Error)
                .map_err(|_| unknown_errno(text, &ENDINGS)),
        }
    }

    fn from_unsigned<E: de::Error>(number: u64) -> Result<Self, E> {
        numbered(number, &Self::EXPECTING).map(Self::Error)
    }
}

impl<'de> Deserialize<'de> for Ending {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_scalar(deserializer)
    }
}

impl JsonSchema for Ending {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Ending".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "enum": ["none", "differs"] }, generator.subschema_for::<Errno>()] })
    }
}

/// What may stand after `injector:`.
static CALL_RESULTS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    std::iter::once("ok")
        .chain(Errno::names().iter().copied())
        .collect()
});

impl FromScalar for CallResult {
    const EXPECTING: &'static str = "`ok`, or the name of an errno such as `EUCLEAN`";

    fn from_text<E: de::Error>(text: &str) -> Result<Self, E> {
        match text {
            "ok" => Ok(Self::Succeeds),
            _ => text
                .parse()
                .map(Self::Error)
                .map_err(|_| unknown_errno(text, &CALL_RESULTS)),
        }
    }

    fn from_unsigned<E: de::Error>(number: u64) -> Result<Self, E> {
        numbered(number, &Self::EXPECTING).map(Self::Error)
    }
}

impl<'de> Deserialize<'de> for CallResult {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_scalar(deserializer)
    }
}

impl JsonSchema for CallResult {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "CallResult".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "const": "ok" }, generator.subschema_for::<Errno>()] })
    }
}

/// Calls of the filesystem's handler.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NotifyFailureCalled")]
struct CalledDocument {
    /// What every call returned.
    returned: ReturnCode,
    /// How often it was called, at least once; any number of times if absent.
    #[schemars(with = "u32", default, range(min = 1))]
    calls: Option<u32>,
}

/// `never`.
struct Never;

impl FromScalar for Never {
    const EXPECTING: &'static str = "`never`, or a mapping like `{ returned: 0 }`";

    fn from_text<E: de::Error>(text: &str) -> Result<Self, E> {
        match text {
            "never" => Ok(Self),
            _ => Err(E::invalid_value(de::Unexpected::Str(text), &Self::EXPECTING)),
        }
    }
}

impl<'de> Deserialize<'de> for Never {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_scalar(deserializer)
    }
}

impl<'de> Deserialize<'de> for NotifyFailure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match either(deserializer, Never::EXPECTING)? {
            Either::Plain(Never) => Self::Never,
            Either::Mapping(CalledDocument { returned, calls }) => Self::Called { returned, calls },
        })
    }
}

impl JsonSchema for NotifyFailure {
    fn schema_name() -> Cow<'static, str> {
        "NotifyFailure".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "const": "never" }, generator.subschema_for::<CalledDocument>()] })
    }
}
