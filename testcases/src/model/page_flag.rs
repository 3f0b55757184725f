// SPDX-License-Identifier: MIT OR Apache-2.0
//! The flags that /proc/kpageflags shows of a page.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A flag of a page (include/uapi/linux/kernel-page-flags.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PageFlag {
    /// KPF_LOCKED.
    Locked,
    /// KPF_REFERENCED.
    Referenced,
    /// KPF_UPTODATE.
    Uptodate,
    /// KPF_DIRTY.
    Dirty,
    /// KPF_LRU.
    Lru,
    /// KPF_ACTIVE.
    Active,
    /// KPF_SLAB.
    Slab,
    /// KPF_WRITEBACK.
    Writeback,
    /// KPF_BUDDY: free.
    Buddy,
    /// KPF_MMAP: some process maps it.
    Mmap,
    /// KPF_ANON.
    Anon,
    /// KPF_COMPOUND_HEAD.
    CompoundHead,
    /// KPF_COMPOUND_TAIL.
    CompoundTail,
    /// KPF_HUGE: of hugetlbfs.
    Huge,
    /// KPF_HWPOISON: a memory error was found in it.
    Hwpoison,
    /// KPF_NOPAGE: there is no such page.
    Nopage,
    /// KPF_KSM.
    Ksm,
    /// KPF_THP.
    Thp,
    /// KPF_ZERO_PAGE.
    ZeroPage,
}

impl PageFlag {
    /// Its bit in the word of a page.
    pub const fn bit(self) -> u32 {
        match self {
            Self::Locked => 0,
            Self::Referenced => 2,
            Self::Uptodate => 3,
            Self::Dirty => 4,
            Self::Lru => 5,
            Self::Active => 6,
            Self::Slab => 7,
            Self::Writeback => 8,
            Self::Buddy => 10,
            Self::Mmap => 11,
            Self::Anon => 12,
            Self::CompoundHead => 15,
            Self::CompoundTail => 16,
            Self::Huge => 17,
            Self::Hwpoison => 19,
            Self::Nopage => 20,
            Self::Ksm => 21,
            Self::Thp => 22,
            Self::ZeroPage => 24,
        }
    }

    /// The word that a case writes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Locked => "locked",
            Self::Referenced => "referenced",
            Self::Uptodate => "uptodate",
            Self::Dirty => "dirty",
            Self::Lru => "lru",
            Self::Active => "active",
            Self::Slab => "slab",
            Self::Writeback => "writeback",
            Self::Buddy => "buddy",
            Self::Mmap => "mmap",
            Self::Anon => "anon",
            Self::CompoundHead => "compound-head",
            Self::CompoundTail => "compound-tail",
            Self::Huge => "huge",
            Self::Hwpoison => "hwpoison",
            Self::Nopage => "nopage",
            Self::Ksm => "ksm",
            Self::Thp => "thp",
            Self::ZeroPage => "zero-page",
        }
    }
}

impl fmt::Display for PageFlag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}
