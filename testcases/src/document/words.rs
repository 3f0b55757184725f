// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is written as a word, or as a word with more behind it.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::LazyLock;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use crate::model::{CallResult, NotifyFailure};
use crate::value::{Errno, FromScalar, ReturnCode, deserialize_scalar};

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
                .map_err(|_| E::unknown_variant(text, &ENDINGS)),
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
                .map_err(|_| E::unknown_variant(text, &CALL_RESULTS)),
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

/// Something that is a word when there is no more to say, and a mapping otherwise.
struct WordOrMapping<T, M> {
    expecting: &'static str,
    word: &'static str,
    of_word: fn() -> T,
    of_mapping: fn(M) -> T,
    kind: PhantomData<M>,
}

impl<'de, T, M: Deserialize<'de>> Visitor<'de> for WordOrMapping<T, M> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.expecting)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        if text == self.word {
            Ok((self.of_word)())
        } else {
            Err(E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        M::deserialize(MapAccessDeserializer::new(map)).map(self.of_mapping)
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

impl<'de> Deserialize<'de> for NotifyFailure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordOrMapping {
            expecting: "`never`, or a mapping like `{ returned: 0 }`",
            word: "never",
            of_word: || Self::Never,
            of_mapping: |CalledDocument { returned, calls }| Self::Called { returned, calls },
            kind: PhantomData,
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
