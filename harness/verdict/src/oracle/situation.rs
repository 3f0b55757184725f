// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the rules are asked about, and what they answer: a subject and an answer for each table.

use super::facts::{Disposition, Entry, Filesystem, MountState, Mounted, Ram, Region};
use guest_agent::victim::KillPolicy;
use nix::errno::Errno;
use std::fmt;
use testcases::{BusCode, Mechanism};

/// The subject of [`ENTRANCE`](super::rules::ENTRANCE).
#[derive(Debug, Clone, Copy)]
pub struct Way {
    /// The mechanism.
    pub by: Mechanism,
    /// Where the page is.
    pub region: Region,
    /// The filesystem.
    pub filesystem: Filesystem,
    /// The injecting thread's own page-table entry where it injects; `None` when it maps no such page there, or nobody of ours injects.
    pub entry: Option<Entry>,
    /// The block is allocated to the file there, and holds no data of it yet.
    pub unwritten: bool,
    /// Whether the page is in the badblocks already.
    pub bad: Option<bool>,
    /// What is hit, where it is ordinary memory and that is known.
    pub ram: Option<Ram>,
    /// Those of the page's device.
    pub struct_pages: StructPages,
    /// `vm.memory_failure_recovery`.
    pub recovery: bool,
    /// `corrupt-filter-enable`.
    pub filter: bool,
}

impl Way {
    /// madvise(2), which faults the page in.
    pub(super) const fn is_madvise(&self) -> bool {
        match self.by {
            Mechanism::Madvise(_) => true,
            Mechanism::MachineCheck(_)
            | Mechanism::Debugfs(_)
            | Mechanism::Sysfs(_)
            | Mechanism::MceInject(_) => false,
        }
    }

    /// An error that NFIT's notifier takes for one of its memory (drivers/acpi/nfit/mce.c, nfit_handle_mce): a machine check, or
    /// a record of one that says that memory was lost.
    pub(super) const fn is_of_nfit(&self) -> bool {
        match self.by {
            Mechanism::MachineCheck(_) => true,
            Mechanism::MceInject(record) => record.is_lost_memory(),
            Mechanism::Madvise(_) | Mechanism::Debugfs(_) | Mechanism::Sysfs(_) => false,
        }
    }

    pub(super) fn on_pmem(&self) -> bool {
        self.region != Region::OrdinaryMemory
    }

    /// It hits a copy that a private mapping has made.
    pub(super) fn on_copy(&self) -> bool {
        !self.on_pmem() && self.ram == Some(Ram::PrivateCopy)
    }

    /// madvise on a page that must be faulted in first.
    pub(super) fn faults(&self) -> bool {
        self.is_madvise() && self.entry == Some(Entry::Absent)
    }

    /// madvise on a page whose fault asks for badblocks; that of a character device does not.
    pub(super) fn fault_may_fail(&self) -> bool {
        self.faults() && !matches!(self.region, Region::DeviceDax { .. })
    }

    pub(super) fn is_gone(&self) -> bool {
        self.struct_pages == StructPages::Gone
    }

    pub(super) fn is_shut_down(&self) -> bool {
        matches!(self.filesystem, Filesystem::Mounted(mounted) if mounted.state == MountState::ShutDown)
    }
}

/// What mm has of a device's memory (mm/memremap.c).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StructPages {
    /// They are there, or it is ordinary memory.
    There,
    /// They went with the device: see [`Facts::gone`](super::facts::Facts::gone).
    Gone,
}

/// How far an error comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entrance {
    /// `memory_failure()` handles it.
    MemoryFailure,
    /// It ends at once, and nothing else happens; an injector's call with this result.
    Ends(Result<(), Errno>),
    /// It goes into the badblocks and nowhere else.
    OnlyBadblocks,
    /// The kernel panics.
    Panic,
    /// `memory_failure()` unmaps a private copy everywhere, and tells those who have it; the filesystem has nothing to do with it.
    PrivateCopy(Urgency),
    /// It is handled by parts of mm that are not this oracle's; the filesystem has nothing to do with it.
    OrdinaryMemory,
    /// The facts do not make sense, or do not suffice.
    Unknown,
}

/// Whether `memory_failure()` is told that somebody runs into the error just now (`MF_ACTION_REQUIRED`). For persistent memory it
/// always takes it so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// It is: the current thread is told by force.
    Required,
    /// It is not: the current thread is told like all others, if its process wants to be told early.
    Optional,
}

/// The subject of [`ANSWER`](super::rules::ANSWER).
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// Where the page is.
    pub region: Region,
    /// The filesystem.
    pub filesystem: Filesystem,
    /// Whether the owners are known.
    pub owners_known: bool,
}

impl Asked {
    pub(super) fn mounted(&self, holds: fn(&Mounted) -> bool) -> bool {
        matches!(&self.filesystem, Filesystem::Mounted(mounted) if holds(mounted))
    }

    pub(super) fn on_character_device(&self) -> bool {
        matches!(self.region, Region::DeviceDax { .. })
    }

    pub(super) fn on_realtime(&self) -> bool {
        matches!(self.region, Region::Realtime(_))
    }

    /// Whether the page lies on the filesystem's device, and is none of its own.
    pub(super) fn is_outside(&self) -> bool {
        matches!(self.region, Region::OutsidePartition | Region::BeyondFilesystem)
    }

    /// Whether the device that is hit has reverse mappings.
    pub(super) fn has_rmap(&self) -> bool {
        match self.filesystem {
            Filesystem::Mounted(mounted) if self.on_realtime() => mounted.realtime_rmapbt,
            Filesystem::Mounted(mounted) => mounted.rmapbt,
            Filesystem::Unmounted => false,
        }
    }
}

/// What becomes of an error in a page of persistent memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Refused before anybody could be asked.
    Refused(Errno),
    /// There is nobody to ask: [`FALLBACK`](super::rules::FALLBACK).
    Nobody,
    /// The filesystem is asked and cannot say (EOPNOTSUPP): [`FALLBACK`](super::rules::FALLBACK).
    Unsupported,
    /// The filesystem is asked, refuses, and changes nothing.
    Refuses(Errno),
    /// The filesystem is asked, and shuts down.
    ShutsDown,
    /// The filesystem looks for the owners: [`OWNER`](super::rules::OWNER).
    Search,
    /// The facts do not suffice.
    Unknown,
}

/// What is lost with a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// Nothing that anybody could miss.
    Nothing,
    /// File data: those who map it are told.
    Data,
    /// Metadata: the filesystem shuts down.
    Metadata,
    /// The facts do not suffice.
    Unknown,
}

/// The subject of [`FALLBACK`](super::rules::FALLBACK): the places of files' data at which the page
/// lies, in short.
#[derive(Debug, Clone, Copy)]
pub struct Alone {
    /// At how many places of files the page lies, as far as facts tell.
    pub places: usize,
    /// Through how many of these a fault has associated it.
    pub faulted: usize,
    /// Through how many more one may have: the file was mapped once, and whether this page was touched cannot be seen any more.
    pub doubtful: usize,
    /// One of them is associated by the injector's own fault, just now.
    pub by_injector: bool,
    /// `corrupt-filter-enable`.
    pub filter: bool,
}

/// What mm does without a filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// Nobody is told, and the error is not handled.
    Busy,
    /// Those who map the page through its one file are told.
    OneFile,
    /// Those who map it through one of its files are told; which one that is cannot be seen.
    SomeFile,
    /// The facts do not suffice.
    Unknown,
}

/// The subject of [`CHOSEN`](super::rules::CHOSEN).
#[derive(Debug, Clone, Copy)]
pub struct Wish {
    /// The thread's policy.
    pub policy: KillPolicy,
    /// `vm.memory_failure_early_kill`.
    pub early_kill: bool,
}

/// The subject of [`DELIVERY`](super::rules::DELIVERY).
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    /// Whether it is forced upon the thread, which is running into the error itself.
    pub forced: bool,
    /// What the process does with SIGBUS.
    pub disposition: Disposition,
    /// Whether the thread blocks it.
    pub blocked: bool,
    /// Whether one is pending for the thread already.
    pub pending: bool,
}

/// What a signal does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// The handler runs once, whatever was sent: a thread inside the kernel takes up none before it leaves it, and one standard
    /// signal is all that can be pending.
    Once,
    /// The handler runs at least once and at most as often as was sent: what is sent while one is pending is lost.
    AtLeastOnce,
    /// The process dies of it.
    Dies,
    /// It waits.
    Pends,
    /// Nothing.
    Nothing,
}

/// The subject of [`ACCESS`](super::rules::ACCESS): a use of a page of a DAX file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// For a load or a store through a mapping: whether it faults, because there is no entry that allows it. `None` for
    /// read(2) and write(2).
    pub faults: Option<bool>,
    /// The page is in the badblocks.
    pub bad: bool,
    /// The filesystem is shut down.
    pub shut_down: bool,
}

/// How it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessEnd {
    /// As if nothing had happened.
    Works,
    /// With SIGBUS of this code, and `si_addr_lsb` where the code has one.
    Raises(BusCode, Option<u8>),
    /// With this error.
    Fails(Errno),
}

impl fmt::Display for AccessEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Works => f.write_str("works"),
            Self::Raises(code, None) => write!(f, "raises {code}"),
            Self::Raises(code, Some(lsb)) => write!(f, "raises {code}, lsb {lsb}"),
            Self::Fails(errno) => write!(f, "fails with {errno:?}"),
        }
    }
}
