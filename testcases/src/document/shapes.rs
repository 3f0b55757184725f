// SPDX-License-Identifier: MIT OR Apache-2.0
//! Things that can be written in a short way and in a long one: one or a list of many, a scalar or a mapping.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};

/// Something of which one or several can be written.
pub(crate) trait Item: for<'de> Deserialize<'de> + JsonSchema {
    /// What a reader is told when something else stands there, such as ``an offset such as `4KiB` ``.
    const EXPECTING: &'static str;
}

/// One of these, or a list of them.
#[derive(Debug)]
pub(crate) struct OneOrMany<T>(pub(crate) Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

struct OneOrManyVisitor<T>(PhantomData<T>);

impl<'de, T: Item> Visitor<'de> for OneOrManyVisitor<T> {
    type Value = OneOrMany<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(T::EXPECTING)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        T::deserialize(text.into_deserializer()).map(|one| OneOrMany(vec![one]))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        T::deserialize(number.into_deserializer()).map(|one| OneOrMany(vec![one]))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        T::deserialize(number.into_deserializer()).map(|one| OneOrMany(vec![one]))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
        T::deserialize(number.into_deserializer()).map(|one| OneOrMany(vec![one]))
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Self::Value, E> {
        T::deserialize(truth.into_deserializer()).map(|one| OneOrMany(vec![one]))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|one| OneOrMany(vec![one]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut many = Vec::new();
        while let Some(item) = items.next_element()? {
            many.push(item);
        }
        Ok(OneOrMany(many))
    }
}

impl<'de, T: Item> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OneOrManyVisitor(PhantomData))
    }
}

impl<T: Item> JsonSchema for OneOrMany<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    }
}

/// A scalar, or a mapping where there is more to say.
#[derive(Debug)]
pub(crate) enum Either<S, M> {
    /// A word or a number.
    Plain(S),
    /// More.
    Mapping(M),
}

struct EitherVisitor<S, M> {
    expecting: &'static str,
    kind: PhantomData<(S, M)>,
}

impl<'de, S: Deserialize<'de>, M: Deserialize<'de>> Visitor<'de> for EitherVisitor<S, M> {
    type Value = Either<S, M>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.expecting)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        S::deserialize(text.into_deserializer()).map(Either::Plain)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
        S::deserialize(number.into_deserializer()).map(Either::Plain)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        S::deserialize(number.into_deserializer()).map(Either::Plain)
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Self::Value, E> {
        S::deserialize(number.into_deserializer()).map(Either::Plain)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        M::deserialize(MapAccessDeserializer::new(map)).map(Either::Mapping)
    }
}

/// Reads whichever of the two is written.
pub(crate) fn either<'de, S, M, D>(deserializer: D, expecting: &'static str) -> Result<Either<S, M>, D::Error>
where
    S: Deserialize<'de>,
    M: Deserialize<'de>,
    D: Deserializer<'de>,
{
    deserializer.deserialize_any(EitherVisitor {
        expecting,
        kind: PhantomData,
    })
}

/// Either of two for editors.
pub(crate) fn either_schema<S: JsonSchema, M: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let (plain, mapping) = (generator.subschema_for::<S>(), generator.subschema_for::<M>());
    json_schema!({ "anyOf": [plain, mapping] })
}

/// Makes a type of the document that is written as a scalar or as a mapping.
macro_rules! either_document {
    ($(#[$doc:meta])* $name:ident($plain:ty, $mapping:ty), $schema:literal, $expecting:literal) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(crate) struct $name(pub(crate) $crate::document::shapes::Either<$plain, $mapping>);

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::document::shapes::either(deserializer, $expecting).map(Self)
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $schema.into()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                $crate::document::shapes::either_schema::<$plain, $mapping>(generator)
            }
        }

        impl $crate::document::shapes::Item for $name {
            const EXPECTING: &'static str = $expecting;
        }
    };
}

pub(crate) use either_document;
