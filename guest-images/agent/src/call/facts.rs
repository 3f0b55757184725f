// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything that decides what an error in a page will do, asked for at once and without changing any of it.
//!
//! No page is faulted in, no inode is read in, and nothing is written back by asking:
//!
//! * what a mapping covers comes from FIEMAP without `FIEMAP_FLAG_SYNC`, on files that are in core because they are mapped;
//! * what is present comes from /proc/PID/pagemap;
//! * whether a file is in core is asked of the dentry cache alone (openat2(2) with `RESOLVE_CACHED`, `fs/namei.c`), which
//!   answers EAGAIN rather than to look a name up. A dentry that is there keeps its inode in core. The converse does not
//!   hold: an inode without a dentry can be in core for a while, until XFS reclaims it. So "not found" means "nothing that
//!   the harness knows of keeps it in core"; only a remount makes it certain.
//! * GETFSMAP reads btrees of the filesystem's own, of which nobody is a victim.

use super::{
    BlockDevice, MountState, Outcome, PageEntry, PageSize, ProvedSize, SpaceRecord, VictimState, calls,
};
use crate::address::{FsOffset, GuestPhysical};
use crate::victim::{Mapped, Spot};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Answer to [`AskFacts`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// How the filesystem is mounted.
    pub mount: MountState,
    /// `vm.memory_failure_early_kill`.
    pub early_kill: bool,
    /// `vm.memory_failure_recovery`.
    pub recovery: bool,
    /// The pages, in the order in which they were asked for.
    pub pages: Vec<PageFacts>,
    /// Every victim that was ever started, by name. No pages are among their [`VictimState::pages`]: see
    /// [`PageFacts::mapped`].
    pub victims: BTreeMap<String, VictimFacts>,
    /// Inodes of this filesystem that are known to be in core, by number.
    pub in_core: BTreeMap<u64, InCore>,
}

/// A page of the filesystem's data device. What lies between that and memory, the host knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageAsked {
    /// Any of its bytes, counted as the filesystem does.
    pub offset: FsOffset,
    /// Any of its bytes in the guest's memory.
    pub physical: GuestPhysical,
}

/// One page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageFacts {
    /// Its first byte on the filesystem's data device.
    pub offset: FsOffset,
    /// The same in the guest's memory.
    pub physical: GuestPhysical,
    /// Who owns a part of it, as GETFSMAP tells: the records of owners are not cut to the page, those of free space are.
    /// Nobody, where 6.1 leaves out the last block of the device. Refused when nothing leads into the filesystem (ENOENT)
    /// or it is shut down (EIO).
    pub owners: Outcome<Vec<SpaceRecord>>,
    /// The places at which living victims' mappings cover it, whether present or not; mappings of files on a realtime
    /// device never do. Refused when the extents of a mapped
    /// file could not be had, as after a shutdown.
    pub mapped: Outcome<Vec<Covering>>,
}

/// A place at which a mapping covers a page of the device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Covering {
    /// Whose.
    pub victim: String,
    /// Where; the first byte of the page in the mapping.
    pub at: Spot,
    /// Its page-table entry.
    pub entry: PageEntry,
    /// How much the entry maps; `None` when no entry is present, or it is not proved.
    pub size: Option<ProvedSize>,
    /// An entry is present, but points to another page: a private mapping has made its own copy.
    pub copied: bool,
}

impl Covering {
    /// The entry points to the page itself.
    #[must_use]
    pub const fn points_there(&self) -> bool {
        self.entry.present && !self.copied
    }

    /// Whether it is proved that the entry maps 2 MiB.
    #[must_use]
    pub fn is_huge(&self) -> bool {
        self.size.is_some_and(|proved| proved.size == PageSize::Huge)
    }
}

/// A victim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VictimFacts {
    /// Signals, masks, threads with their policies.
    pub state: VictimState,
    /// Its mappings, in the order of its spec; `None` for one that is unmapped.
    pub mappings: Vec<Option<Mapped>>,
}

/// An inode that is in core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InCore {
    /// `STATX_ATTR_DAX`, that is, the kernel's `S_DAX`. `None` when it cannot be told: a filesystem that is shut down
    /// answers no statx(2).
    pub dax: Option<bool>,
    /// How one knows that it is.
    pub why: Vec<WhyInCore>,
}

/// What keeps an inode in core.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WhyInCore {
    /// The dentry of this path is cached.
    Cached(String),
    /// This victim maps it.
    Mapped(String),
    /// The agent holds it open, since [`super::FileChange::Hold`] of this path.
    Held(String),
}

calls! {
    /// What decides what an error will do.
    enum FactsCall;

    /// What will decide what an error in these pages does?
    AskFacts("ask-facts") -> Facts {
        /// The mount point.
        at: String,
        /// The device of the filesystem; `None`: there is none.
        device: Option<BlockDevice>,
        /// The pages.
        pages: Vec<PageAsked>,
        /// The files and directories that the case knows, of which it is to be told whether they are in core.
        paths: Vec<String>,
    }
}
