// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the oracle is told: the guest as it was just before one page went bad, and how it went bad.
//!
//! Nothing here may be looked up after the injection. An injection of several pages, or several times of one page, is as
//! many predictions, each with facts of its own. What could not be found out is `None`, never a guess: the oracle
//! then says which part of its prediction is missing, and why.

use guest_agent::address::{DeviceOffset, FileOffset, FsOffset, GuestPhysical, PAGE_SIZE};
use guest_agent::call::{BadRange, SpaceOwner, SpaceRecord};
use guest_agent::victim::KillPolicy;
use serde::{Deserialize, Serialize};
use testcases::{Mechanism, PageSize};

/// One memory error in one page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Injection {
    /// How the kernel gets to know of it.
    pub by: Mechanism,
    /// The thread in whose context the error is handled (`current`), where that is a victim's: who makes the call, or consumes
    /// the error. There is one exactly where [`Mechanism::needs_victim`] says so.
    pub current: Option<ThreadOf>,
    /// What is hit.
    pub page: Page,
}

/// One thread of one victim, and where it runs into the error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadOf {
    /// The victim's name.
    pub victim: String,
    /// The thread's name, as in [`ThreadFacts::name`].
    pub thread: String,
    /// In which of the victim's mappings, counted from 0.
    pub map: usize,
    /// In which page of that: its first byte, counted from the mapping's.
    pub at: u64,
}

/// The page that is hit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// Its first byte in the guest's memory.
    pub physical: GuestPhysical,
    /// Its first byte on its pmem device (`/dev/pmemN`), as badblocks count; `None` when it lies on none.
    pub device: Option<DeviceOffset>,
    /// What it is part of.
    pub region: Region,
}

/// What a page is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Region {
    /// The filesystem's data device, within the filesystem's size: this is the page's first byte as the filesystem counts. On
    /// an unmounted one too, should anybody know.
    Data(FsOffset),
    /// Its realtime device: the page's first byte there.
    Realtime(FsOffset),
    /// Its external log, within the log's size.
    Log,
    /// Its data device, beyond the filesystem's last block (mkfs.xfs `-d size=`).
    BeyondFilesystem,
    /// A pmem device of the filesystem, outside the partition that the filesystem has of it.
    OutsidePartition,
    /// The device of the external log, beyond the part that the filesystem uses.
    BeyondLog,
    /// A character device (device-dax), on which there is no filesystem.
    DeviceDax {
        /// The page's first byte, counted from the device's.
        at: FsOffset,
        /// By which pages it is mapped: what its driver gives a fault, and how its struct pages hang together.
        page: PageSize,
    },
    /// The namespace's own pages: its superblock, the struct pages of `-M dev`.
    Reserved,
    /// No persistent memory: ordinary RAM (a private copy of a victim, the page cache), or no memory at all.
    OrdinaryMemory,
}

impl Region {
    /// Where its owners find it; `None` where there are none.
    pub const fn fs_offset(self) -> Option<FsOffset> {
        match self {
            Self::Data(at) | Self::Realtime(at) | Self::DeviceDax { at, .. } => Some(at),
            _ => None,
        }
    }
}

/// The guest just before the injection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The filesystem under test.
    pub filesystem: Filesystem,
    /// Every record of GETFSMAP that covers the page (several when files share it; a free record too). Without an rmapbt
    /// GETFSMAP knows no owners: then every file of the case that FIEMAP finds there, which must be all that share it.
    /// `None` when nobody could be asked (unmounted, shut down); empty when asked and nobody owns it. A character device is the
    /// one owner of its pages.
    pub owners: Option<Vec<OwnerFacts>>,
    /// Every victim that was started and not released.
    pub victims: Vec<VictimFacts>,
    /// Badblocks of the pmem device that the page belongs to; `None` when it belongs to none, or they could not be read.
    pub badblocks: Option<Vec<BadRange>>,
    /// What is hit, where it is ordinary memory; `None` where it is persistent memory, and where nobody could say what it is, or at
    /// which places it is mapped.
    pub ram: Option<Ram>,
    /// That device is not there any more: its driver was unbound from it, and its struct pages went with it (mm/memremap.c:
    /// `memunmap_pages`).
    pub gone: bool,
    /// The settings of mm and hwpoison.
    pub settings: Settings,
}

/// A page of ordinary memory, by its flags in /proc/kpageflags (fs/proc/page.c:stable_page_flags).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ram {
    /// The copy that a store through a private mapping has made: an anonymous page on its own, of which page tables alone know. Who
    /// has it is in [`VictimFacts::pages`].
    PrivateCopy,
    /// Anything else: the page cache, the zero page, a part of a large folio, what is poisoned already.
    Other,
}

/// The filesystem under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filesystem {
    /// Not mounted.
    Unmounted,
    /// Mounted.
    Mounted(Mounted),
}

/// A mounted filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mounted {
    /// What it can do at the moment.
    pub state: MountState,
    /// `rmapbt` of its geometry.
    pub rmapbt: bool,
    /// Whether the realtime device has reverse mappings too (realtime groups, 6.14).
    pub realtime_rmapbt: bool,
    /// What lies between it and the memory.
    pub stack: Stack,
}

/// What a mounted filesystem can do at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MountState {
    /// Everything.
    ReadWrite,
    /// It is mounted read-only.
    ReadOnly,
    /// It is frozen by user space.
    Frozen,
    /// It has been shut down before.
    ShutDown,
}

/// What lies between a filesystem and the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stack {
    /// Nothing: all of `/dev/pmemN`.
    Plain,
    /// A partition of it.
    Partition,
    /// A device-mapper target.
    DeviceMapper,
}

/// The settings of mm and hwpoison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// `vm.memory_failure_early_kill`.
    pub early_kill: bool,
    /// `vm.memory_failure_recovery`; without it the kernel panics at the first error.
    pub recovery: bool,
    /// debugfs `hwpoison/corrupt-filter-enable`; false when hwpoison-inject is not loaded.
    pub corrupt_filter: bool,
}

impl Default for Settings {
    /// What a kernel boots with.
    fn default() -> Self {
        Self {
            early_kill: false,
            recovery: true,
            corrupt_filter: false,
        }
    }
}

/// An owner of the page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnerFacts {
    /// The record as GETFSMAP told it; it covers the page.
    pub record: SpaceRecord,
    /// What is known of the inode; `None` when the owner is none.
    pub inode: Option<InodeFacts>,
    /// Whether anybody has faulted this page in through this owner since it came in core: the page stays associated with the
    /// file after the last page-table entry is gone. Only the way around the filesystem (no rmapbt, device mapper) asks.
    pub faulted: Option<bool>,
}

impl OwnerFacts {
    /// Which byte of which inode the page at `page` begins with; `None` for an owner that is no inode.
    pub fn place(&self, page: FsOffset) -> Option<FilePlace> {
        let SpaceOwner::Inode { number, offset } = self.record.owner else {
            return None;
        };
        let into = page.0.saturating_sub(self.record.start.0);
        Some(FilePlace {
            inode: number,
            offset: FileOffset(offset.0.saturating_add(into)).page(),
        })
    }
}

/// What is known of an inode that owns the page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InodeFacts {
    /// How the case calls it.
    pub name: Option<String>,
    /// What it is. One that a victim maps is known for a regular file without being asked.
    pub kind: Option<InodeKind>,
    /// STATX_ATTR_DAX.
    pub dax: Option<bool>,
    /// Whether it is in core, as far as that can be known (open or mapped: yes).
    pub in_core: Option<bool>,
}

/// What an inode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InodeKind {
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link (with blocks of its own: a remote one).
    Symlink,
    /// One that no path leads to: quota, realtime bitmap and summary.
    Internal,
    /// A character device, which is in nobody's filesystem and owns all of its pages.
    Character,
}

/// A byte of an inode's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct FilePlace {
    /// The inode's number.
    pub inode: u64,
    /// The byte, counted from the file's beginning.
    pub offset: FileOffset,
}

/// A victim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VictimFacts {
    /// Its name.
    pub name: String,
    /// Its process id.
    pub pid: i32,
    /// Whether it still runs.
    pub alive: bool,
    /// What it does with SIGBUS; one for all its threads.
    pub sigbus: Disposition,
    /// Its threads in the order of `/proc/PID/task`, the main thread first.
    pub threads: Vec<ThreadFacts>,
    /// For each of its mappings that covers an owner's file at the page's place there: that page. A mapping that covers the
    /// place of none of them, and one of something else, is not listed. For a private copy it is the place of the file that it was
    /// copied from.
    pub pages: Vec<MappedPage>,
}

/// What a process does with a signal that is not blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disposition {
    /// A handler.
    Handler,
    /// The default: it dies.
    Default,
    /// SIG_IGN.
    Ignored,
}

/// A thread of a victim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadFacts {
    /// Its name in the case; the main thread's is [`MAIN_THREAD`].
    pub name: String,
    /// Its thread id.
    pub tid: i32,
    /// `prctl(PR_MCE_KILL)`, which is a thread's own and inherited by what it clones or forks.
    pub policy: KillPolicy,
    /// SIGBUS is in `SigBlk` of `/proc/PID/task/TID/status`.
    pub blocks_sigbus: bool,
    /// SIGBUS is in its `SigPnd`.
    pub has_sigbus_pending: bool,
}

/// The name of a victim's first thread.
pub const MAIN_THREAD: &str = "main";

/// A page of a victim's mapping that shows the owner's byte which goes bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappedPage {
    /// Which of the victim's mappings, counted from 0.
    pub map: usize,
    /// The page's first byte, counted from the mapping's first byte.
    pub at: u64,
    /// Its virtual address.
    pub address: u64,
    /// What is mapped there.
    pub file: FilePlace,
    /// MAP_PRIVATE.
    pub private: bool,
    /// What the page table holds for it.
    pub entry: Entry,
}

/// A page-table entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// Not present; a fault would fill it in.
    Absent,
    /// Not present, and nothing can be faulted in: it leads to ordinary memory that is poisoned, a private copy that was hit
    /// (`mm/rmap.c:try_to_unmap_one` leaves a `SWP_HWPOISON` entry; `mm/memory.c:do_swap_page` raises VM_FAULT_HWPOISON for it).
    Poisoned,
    /// Present, and leads to the very page that goes bad.
    Here(Option<PageSize>),
    /// Present, and leads to another page: a private copy, the page cache of a file that is not DAX.
    Elsewhere,
}

impl Entry {
    /// How large it is; `None` when it does not lead to the page, or that is not known.
    pub const fn size(self) -> Option<PageSize> {
        match self {
            Self::Here(size) => size,
            Self::Absent | Self::Poisoned | Self::Elsewhere => None,
        }
    }
}

impl Facts {
    /// The page of a thread's own mapping at which it runs into the error; `None` when the page that is hit is not mapped there.
    pub fn injecting_page(&self, thread: &ThreadOf) -> Option<&MappedPage> {
        let victim = self.victims.iter().find(|victim| victim.name == thread.victim)?;
        let mut pages = victim.pages.iter();
        pages.find(|page| page.map == thread.map && page.at == thread.at)
    }

    /// Whether a part of the page that begins at `page` is in the badblocks already; `None` when that is not known.
    pub fn is_bad(&self, page: DeviceOffset) -> Option<bool> {
        let end = page.0.saturating_add(PAGE_SIZE);
        let overlaps =
            |range: &BadRange| range.start.0 < end && page.0 < range.start.0.saturating_add(range.length);
        self.badblocks.as_ref().map(|ranges| ranges.iter().any(overlaps))
    }
}
