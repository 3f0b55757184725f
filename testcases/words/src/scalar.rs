// SPDX-License-Identifier: MIT OR Apache-2.0
//! One visitor for every value that is written as a single word or number.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserializer, Unexpected, Visitor};

/// A value that a single scalar spells, a word or a number. What it does not say of a kind of scalar is a mistake there.
pub trait FromScalar: Sized {
    /// What a reader is told when something else stands there, such as ``a size such as `4KiB` ``.
    const EXPECTING: &'static str;

    /// The value that a word spells.
    fn from_text<E: de::Error>(text: &str) -> Result<Self, E>;

    /// The value that a number spells, from 0 on.
    fn from_unsigned<E: de::Error>(number: u64) -> Result<Self, E> {
        Err(E::invalid_type(Unexpected::Unsigned(number), &Self::EXPECTING))
    }

    /// The value that a number below 0 spells.
    fn from_negative<E: de::Error>(number: i64) -> Result<Self, E> {
        Err(E::invalid_type(Unexpected::Signed(number), &Self::EXPECTING))
    }

    /// The value that a number with a fraction spells.
    fn from_float<E: de::Error>(number: f64) -> Result<Self, E> {
        Err(E::invalid_type(Unexpected::Float(number), &Self::EXPECTING))
    }

    /// The value that `true` or `false` spells.
    fn from_bool<E: de::Error>(truth: bool) -> Result<Self, E> {
        Err(E::invalid_type(Unexpected::Bool(truth), &Self::EXPECTING))
    }
}

/// Reads a `T` from whichever scalar stands in the document.
pub fn deserialize<'de, T: FromScalar, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
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
