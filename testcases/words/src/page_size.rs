// SPDX-License-Identifier: MIT OR Apache-2.0
//! How much one entry of a page table maps.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use crate::scalar::{self, FromScalar};

/// The size of page by which something is mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PageSize {
    /// 4 KiB: an entry in the page table (PTE).
    Base,
    /// 2 MiB: an entry in the page middle directory (PMD).
    Huge,
}

impl PageSize {
    /// `PAGE_SHIFT` or `PMD_SHIFT` of x86-64 (arch/x86/include/asm/page_types.h, pgtable_64_types.h): what `si_addr_lsb` says
    /// of it.
    pub const fn shift(self) -> u8 {
        match self {
            Self::Base => 12,
            Self::Huge => 21,
        }
    }

    /// Its size in bytes.
    pub const fn bytes(self) -> u64 {
        1 << self.shift()
    }

    /// The word that a case writes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Base => "4KiB",
            Self::Huge => "2MiB",
        }
    }
}

impl fmt::Display for PageSize {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What can be written.
const WORDS: &[&str] = &[PageSize::Base.as_str(), PageSize::Huge.as_str()];

impl FromScalar for PageSize {
    const EXPECTING: &'static str = "`4KiB` or `2MiB`";

    fn from_text<E: de::Error>(text: &str) -> Result<Self, E> {
        [Self::Base, Self::Huge]
            .into_iter()
            .find(|size| size.as_str() == text)
            .ok_or_else(|| E::unknown_variant(text, WORDS))
    }
}

impl<'de> Deserialize<'de> for PageSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::deserialize(deserializer)
    }
}

impl Serialize for PageSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for PageSize {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "PageSize".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "enum": WORDS })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_what_was_meant() {
        for size in [PageSize::Base, PageSize::Huge] {
            let line = serde_json::to_string(&size).unwrap();
            assert_eq!(serde_json::from_str::<PageSize>(&line).unwrap(), size, "{line}");
        }
        let wrong = serde_json::from_str::<PageSize>("\"1GiB\"")
            .unwrap_err()
            .to_string();
        assert!(wrong.contains("expected `4KiB` or `2MiB`"), "{wrong}");
    }
}
