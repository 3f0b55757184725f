// SPDX-License-Identifier: MIT OR Apache-2.0
//! For `#[serde(deserialize_with)]`: a byte that is written as a number.

use serde::de::{self, Deserializer, Unexpected};
use words::scalar::{self, FromScalar};

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

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    scalar::deserialize::<Byte, D>(deserializer).map(|byte| byte.0)
}

pub(crate) fn deserialize_some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u8>, D::Error> {
    deserialize(deserializer).map(Some)
}
