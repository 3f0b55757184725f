// SPDX-License-Identifier: MIT OR Apache-2.0
//! One visitor for every value that is written as a single word or number.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserializer, Unexpected, Visitor};

/// A value that a single YAML scalar spells.
pub(crate) trait FromScalar: Sized {
    /// What a reader is told when something else stands there, such as ``a size such as `4KiB` ``.
    const EXPECTING: &'static str;

    fn from_text<E: de::Error>(text: &str) -> Result<Self, E>;

    fn from_unsigned<E: de::Error>(number: u64) -> Result<Self, E> {
        Err(E::invalid_type(Unexpected::Unsigned(number), &Self::EXPECTING))
    }

    fn from_negative<E: de::Error>(number: i64) -> Result<Self, E> {
        Err(E::invalid_type(Unexpected::Signed(number), &Self::EXPECTING))
    }

    fn from_float<E: de::Error>(number: f64) -> Result<Self, E> {
        Err(E::invalid_type(Unexpected::Float(number), &Self::EXPECTING))
    }

    fn from_bool<E: de::Error>(truth: bool) -> Result<Self, E> {
        Err(E::invalid_type(Unexpected::Bool(truth), &Self::EXPECTING))
    }
}

/// Reads a `T` from whichever scalar stands in the document.
pub(crate) fn deserialize<'de, T: FromScalar, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    deserializer.deserialize_any(ScalarVisitor(PhantomData))
}

struct ScalarVisitor<T>(PhantomData<T>);

impl<T: FromScalar> Visitor<'_> for ScalarVisitor<T> {
    type Value = T;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(T::EXPECTING)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text)
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        T::from_unsigned(number)
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        match u64::try_from(number) {
            Ok(number) => T::from_unsigned(number),
            Err(_) => T::from_negative(number),
        }
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        T::from_float(number)
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<T, E> {
        T::from_bool(truth)
    }
}

struct Byte(u8);

impl FromScalar for Byte {
    const EXPECTING: &'static str = "a byte, from `0x00` to `0xff`";

    fn from_text<E: de::Error>(text: &str) -> Result<Self, E> {
        Err(E::invalid_type(Unexpected::Str(text), &Self::EXPECTING))
    }

    fn from_unsigned<E: de::Error>(number: u64) -> Result<Self, E> {
        u8::try_from(number)
            .map(Byte)
            .map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &Self::EXPECTING))
    }
}

/// For `#[serde(deserialize_with)]`: the byte that fills a file.
pub(crate) mod byte {
    use serde::de::Deserializer;

    use super::Byte;

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
        super::deserialize::<Byte, D>(deserializer).map(|byte| byte.0)
    }

    pub(crate) fn deserialize_some<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<u8>, D::Error> {
        deserialize(deserializer).map(Some)
    }
}
