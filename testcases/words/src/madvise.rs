// SPDX-License-Identifier: MIT OR Apache-2.0
//! What madvise(2) is told, with the kernel's numbers and names (include/uapi/asm-generic/mman-common.h).

use serde::{Deserialize, Serialize};

/// What madvise(2) is told. What injects a memory error is an injection (`inject: { madvise: … }`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Advice {
    /// MADV_DONTNEED: the entries are taken away; the next access faults.
    Dontneed,
    /// MADV_WILLNEED.
    Willneed,
    /// MADV_POPULATE_READ: the entries are made, as by reading.
    PopulateRead,
    /// MADV_POPULATE_WRITE: the entries are made, as by writing.
    PopulateWrite,
    /// MADV_DONTFORK: a child does not get the mapping.
    Dontfork,
    /// MADV_HUGEPAGE.
    Hugepage,
    /// MADV_NOHUGEPAGE.
    Nohugepage,
    /// MADV_COLD.
    Cold,
    /// MADV_PAGEOUT.
    Pageout,
    /// MADV_REMOVE: the blocks behind it are taken away.
    Remove,
}

impl Advice {
    /// The number that madvise(2) takes.
    pub const fn number(self) -> i32 {
        match self {
            Self::Willneed => 3,
            Self::Dontneed => 4,
            Self::Remove => 9,
            Self::Dontfork => 10,
            Self::Hugepage => 14,
            Self::Nohugepage => 15,
            Self::Cold => 20,
            Self::Pageout => 21,
            Self::PopulateRead => 22,
            Self::PopulateWrite => 23,
        }
    }

    /// The kernel's name of it.
    pub const fn kernel_name(self) -> &'static str {
        match self {
            Self::Dontneed => "MADV_DONTNEED",
            Self::Willneed => "MADV_WILLNEED",
            Self::PopulateRead => "MADV_POPULATE_READ",
            Self::PopulateWrite => "MADV_POPULATE_WRITE",
            Self::Dontfork => "MADV_DONTFORK",
            Self::Hugepage => "MADV_HUGEPAGE",
            Self::Nohugepage => "MADV_NOHUGEPAGE",
            Self::Cold => "MADV_COLD",
            Self::Pageout => "MADV_PAGEOUT",
            Self::Remove => "MADV_REMOVE",
        }
    }

    /// The word that a case writes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dontneed => "dontneed",
            Self::Willneed => "willneed",
            Self::PopulateRead => "populate-read",
            Self::PopulateWrite => "populate-write",
            Self::Dontfork => "dontfork",
            Self::Hugepage => "hugepage",
            Self::Nohugepage => "nohugepage",
            Self::Cold => "cold",
            Self::Pageout => "pageout",
            Self::Remove => "remove",
        }
    }
}

/// The advice by which a process injects an error into its own memory (needs CAP_SYS_ADMIN; mm/madvise.c).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum MadviseError {
    /// MADV_HWPOISON: the page is treated as hit, in the context of the caller.
    Hwpoison,
    /// MADV_SOFT_OFFLINE: the page is to be taken out of use without loss.
    SoftOffline,
}

impl MadviseError {
    /// The number that madvise(2) takes.
    pub const fn number(self) -> i32 {
        match self {
            Self::Hwpoison => 100,
            Self::SoftOffline => 101,
        }
    }

    /// The kernel's name of it.
    pub const fn kernel_name(self) -> &'static str {
        match self {
            Self::Hwpoison => "MADV_HWPOISON",
            Self::SoftOffline => "MADV_SOFT_OFFLINE",
        }
    }

    /// The word that a case writes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hwpoison => "hwpoison",
            Self::SoftOffline => "soft-offline",
        }
    }
}
