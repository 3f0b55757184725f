// SPDX-License-Identifier: MIT OR Apache-2.0
//! Things that can be written in a short way and in a long one: one or a list of many, a scalar or a mapping.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, EnumAccess, Error as _, Unexpected, VariantAccess, Visitor};

use crate::syntax::{Shape, deserialize_by_shape};

/// One of these, or a list of them.
#[derive(Debug)]
pub(crate) struct OneOrMany<T>(pub(crate) Vec<T>);

impl<T> Default for OneOrMany<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

struct OneOrManyVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrManyVisitor<T> {
    type Value = OneOrMany<T>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("one, or a list")
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Self::Value, A::Error> {
        let (shape, value) = data.variant()?;
        match shape {
            Shape::List => value.newtype_variant().map(OneOrMany),
            Shape::Scalar | Shape::Mapping => value.newtype_variant().map(|one| OneOrMany(vec![one])),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_by_shape(deserializer, OneOrManyVisitor(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
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

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<Self::Value, A::Error> {
        let (shape, value) = data.variant()?;
        match shape {
            Shape::Scalar => value.newtype_variant().map(Either::Plain),
            Shape::Mapping => value.newtype_variant().map(Either::Mapping),
            Shape::List => Err(A::Error::invalid_type(Unexpected::Seq, &self)),
        }
    }
}

/// Reads whichever of the two is written.
pub(crate) fn either<'de, S, M, D>(deserializer: D, expecting: &'static str) -> Result<Either<S, M>, D::Error>
where
    S: Deserialize<'de>,
    M: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let kind = PhantomData;
    deserialize_by_shape(deserializer, EitherVisitor { expecting, kind })
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
    };
}

pub(crate) use either_document;
