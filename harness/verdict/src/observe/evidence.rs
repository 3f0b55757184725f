// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything observed while a case ran: what the judge sees, and all that it sees.

use super::probes::{Blind, NotifyCall, Sent, ShutdownFlags};
use crate::oracle::facts as oracle;
use guest_agent::address::{DeviceOffset, GuestPhysical};
use guest_agent::call::{
    BadMemory, BadRange, Contents, Extent, FileStatus, Handled, PageEntry, PageFlags, Refusal,
};
use guest_agent::trace::TraceLine;
use guest_agent::victim::{Ended, Signal};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

/// The evidence of one case on one kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// One entry for each step that was carried out, in order.
    pub steps: Vec<StepEvidence>,
    /// The victims as they were at the end.
    pub victims: BTreeMap<String, VictimView>,
    /// The kernel's messages from the case's beginning to its end; the console's, when the guest died.
    pub log: Vec<String>,
    /// How many of these lines came before the case's first step; not known of a console.
    #[serde(default)]
    pub log_before: Option<usize>,
    /// What the case's commands said, by the lines of their steps.
    #[serde(default)]
    pub said: BTreeMap<usize, Vec<String>>,
    /// The trace of the same time.
    pub trace: Vec<TraceLine>,
    /// What could not be observed in this guest.
    pub blind: Blind,
    /// The error on which the guest ended, or that the kernel did not come back from, with the facts from before it.
    pub unfinished: Option<Unfinished>,
    /// How it ended.
    pub end: End,
}

impl Evidence {
    /// The injections that happened, in order, each with its step, counted from 0.
    pub fn injections(&self) -> impl DoubleEndedIterator<Item = (usize, &Injected)> {
        self.steps
            .iter()
            .enumerate()
            .filter_map(|(step, seen)| match seen {
                StepEvidence::Injected(injected) => Some((step, injected)),
                StepEvidence::Done
                | StepEvidence::State(_)
                | StepEvidence::Operation(_)
                | StepEvidence::Refused(_)
                | StepEvidence::Failed(_)
                | StepEvidence::Stuck(_)
                | StepEvidence::Impossible(_) => None,
            })
    }
}

/// An error that was made and of which nothing more could be seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unfinished {
    /// How it was made.
    pub injection: oracle::Injection,
    /// The guest just before.
    pub facts: oracle::Facts,
}

/// How the carrying out of a case ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// All steps were carried out.
    Completed,
    /// A step could not be done, so that the ones after it have no meaning; its evidence says why.
    Stopped,
    /// The kernel died: a panic, a triple fault.
    GuestDied(String),
    /// The harness could not go on: QEMU was lost, SSH was lost, an injection was not acknowledged, or the case asks for what
    /// is not there.
    Lost(String),
    /// Our own clock has a gap: whatever took too long, or was interrupted, has no meaning.
    StoodStill(String),
}

/// What one step brought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepEvidence {
    /// It was done.
    Done,
    /// The kernel refused it.
    Refused(Refusal),
    /// An operation that must succeed ended otherwise, and not by a refusal: a command's status, an access that faulted.
    Failed(Tried),
    /// The kernel did not come back from it, though the guest still answers.
    Stuck(String),
    /// It makes no sense in this guest: a precondition of the case is missing.
    Impossible(String),
    /// Memory errors were injected, and acknowledged.
    Injected(Injected),
    /// The state was observed.
    State(Box<Observation>),
    /// An operation was tried.
    Operation(Tried),
}

/// An injection that happened: one error, or several in turn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Injected {
    /// Each error, in order; at least one.
    pub hits: Vec<Hit>,
}

/// One error in one page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hit {
    /// The NVDIMM, counted from 0, and the page's first byte on its pmem device; `None` when it has no place there.
    pub nvdimm: Option<(usize, DeviceOffset)>,
    /// The same in the guest's memory.
    pub physical: GuestPhysical,
    /// Whether the kernel has finished with it.
    pub handled: Handled,
    /// For an injection by a system call: what that call got.
    pub injector: Option<Tried>,
    /// How it was made, as the oracle is told.
    pub injection: oracle::Injection,
    /// The guest just before.
    pub facts: oracle::Facts,
    /// The guest just afterwards; `None` when that could not be looked at any more.
    pub after: Option<After>,
}

/// What one error has brought, just after everything that it set off had come to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct After {
    /// The victims of the facts.
    pub victims: BTreeMap<String, VictimAfter>,
    /// The calls of `xfs_dax_notify_failure` since.
    pub notify_failure: Vec<NotifyCall>,
    /// The filesystem.
    pub filesystem: Filesystem,
    /// The badblocks of the pmem device that was hit; `None` when none was, when it is gone, and when the list is longer than the
    /// kernel shows.
    pub badblocks: Option<Vec<BadRange>>,
    /// By how much HardwareCorrupted has grown, in bytes.
    pub hardware_corrupted: i64,
    /// The text of every `memory_failure_event` since.
    pub events: Vec<String>,
}

/// What one error has brought to a victim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VictimAfter {
    /// The signals that it got since.
    pub signals: Vec<Signal>,
    /// The names of its threads, by their ids.
    pub threads: BTreeMap<i32, String>,
    /// How it ended, if it has.
    pub ended: Option<Ended>,
    /// Blocked signals that wait for it, as a mask.
    pub pending: u64,
    /// The pages that the facts list, looked up again; none of a dead one.
    pub pages: Vec<PageAfter>,
}

/// A page of a victim, looked up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageAfter {
    /// Which of its mappings.
    pub map: usize,
    /// The page's first byte, counted from the mapping's first byte.
    pub at: u64,
    /// Its page-table entry.
    pub entry: PageEntry,
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tried {
    /// It succeeded, and brought this.
    Succeeded(Brought),
    /// The kernel refused it.
    Refused(Refusal),
    /// A victim did it, and what happened to the victim belongs to its ending.
    ByVictim(Access),
}

/// What an operation brought that succeeded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Brought {
    /// Nothing that can be looked at.
    Nothing,
    /// What was read; and, of another file with which it is to be compared, what is there.
    Contents {
        /// What was read.
        contents: Contents,
        /// What the other file holds, or why it could not be read.
        other: Option<Result<Contents, Refusal>>,
    },
    /// The names in a directory, sorted.
    Names(Vec<String>),
    /// What a symbolic link holds.
    Text(String),
    /// So many bytes were moved, of so many that were to be.
    Moved {
        /// Moved.
        bytes: u64,
        /// To be moved.
        of: u64,
    },
    /// The contents were not the same, so nothing was shared.
    Differs,
    /// A program ran to its end.
    Ran {
        /// How it ended; `None` when it had to be killed at its deadline.
        ended: Option<Ended>,
        /// What it said: standard output, then standard error, in lines.
        output: Vec<String>,
        /// How many bytes are left out of the middle of a long output.
        #[serde(default)]
        left_out: u64,
    },
}

/// What a victim was told to do, and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Access {
    /// The victim.
    pub victim: String,
    /// How the call or the access ended; `None` when the victim ended before it could say.
    pub result: Option<AccessResult>,
    /// Which of [`VictimView::signals`] it got from it.
    pub signals: Range<usize>,
    /// How the victim ended, if it has.
    pub ended: Option<Ended>,
}

impl Access {
    /// Did it do what it was told, and nothing else?
    pub fn is_success(&self) -> bool {
        let done = match &self.result {
            Some(AccessResult::Done | AccessResult::Byte(_)) => true,
            Some(AccessResult::Moved { bytes, of }) => bytes == of,
            Some(AccessResult::Faulted | AccessResult::Refused(_)) | None => false,
        };
        done && self.signals.is_empty() && self.ended.is_none()
    }
}

/// How a victim's call or access ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessResult {
    /// It was done.
    Done,
    /// A byte was read.
    Byte(u8),
    /// A call moved so many bytes, of so many that were to be.
    Moved {
        /// Moved.
        bytes: u64,
        /// To be moved.
        of: u64,
    },
    /// The access raised a signal and was given up.
    Faulted,
    /// The kernel refused it.
    Refused(Refusal),
}

/// The state of everything that a case may have expectations about. What no expectation asks for is not looked at, and is
/// `None` or empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// Every victim.
    pub victims: BTreeMap<String, VictimView>,
    /// The calls of `xfs_dax_notify_failure` since the latest injection.
    pub notify_failure: Vec<NotifyCall>,
    /// Every signal that the kernel has sent since the latest injection, with the number of its line in [`Evidence::trace`].
    pub sent: Vec<(usize, Sent)>,
    /// What the latest injection by a system call got, for each page.
    pub injectors: Vec<Tried>,
    /// The filesystem.
    pub filesystem: Filesystem,
    /// The badblocks of all pmem devices; empty, too, where the expectation does not speak of them.
    pub badblocks: Vec<BadMemory>,
    /// The pages that the latest injection hit, each once, in order.
    pub injected: Vec<GuestPhysical>,
    /// Where the pages of files that the case names lay before the first injection, or as soon after as that could be asked.
    pub layout: Layout,
    /// Where the pages of devices lie that the expectation names.
    pub devices: Layout,
    /// Page-table entries: victim, mapping, offset of the byte in the mapping.
    pub entries: Vec<EntryView>,
    /// The kernel's messages since the latest injection.
    pub log: Option<Vec<String>>,
    /// The trace since the latest injection.
    pub trace: Option<Vec<TraceLine>>,
    /// By how much HardwareCorrupted has grown since just before the latest injection, in bytes.
    pub hardware_corrupted: Option<i64>,
    /// The flags of the pages that the latest injection hit.
    pub page_flags: Option<Vec<PageFlags>>,
    /// Files that are asked about.
    pub files: BTreeMap<String, FileView>,
    /// What the watchers were told, in lines.
    pub watched: BTreeMap<String, Vec<String>>,
}

/// Name of a file or device → offset of a page in it → its place in memory.
pub type Layout = BTreeMap<String, BTreeMap<u64, GuestPhysical>>;

/// A page-table entry of a victim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryView {
    /// The victim.
    pub victim: String,
    /// Which of its mappings, counted from 0.
    pub map: u32,
    /// The byte that was asked about, counted from the mapping's start.
    pub at: u64,
    /// The entry; `None` when the victim has ended.
    pub entry: Option<PageEntry>,
}

/// A file as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FileView {
    /// It could be looked at.
    There {
        /// Size, `STATX_ATTR_DAX`, …
        status: FileStatus,
        /// Its extents; `None` if nobody asked.
        extents: Option<Vec<Extent>>,
    },
    /// It could not.
    Refused(Refusal),
}

/// One victim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VictimView {
    /// Its pid in the guest.
    pub pid: i32,
    /// How it ended by itself; `None` while it lives and when the case released it.
    pub ended: Option<Ended>,
    /// All signals that it got since it began.
    pub signals: Vec<Signal>,
    /// How many of them it had got before the latest injection.
    pub before: usize,
    /// Blocked signals that wait for it, as a mask.
    pub pending: u64,
    /// Its threads' names by their ids.
    pub threads: BTreeMap<i32, String>,
}

/// The filesystem under test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filesystem {
    /// Mounted at the mount point and working.
    Up,
    /// Shut down, wherever it is mounted; why, when XFS said so.
    ShutDown(Option<ShutdownFlags>),
    /// It works, and is not what one finds at the mount point.
    Away(Away),
    /// No superblock is on its device.
    Unmounted,
}

/// Where a filesystem is that one does not find at the mount point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Away {
    /// Its superblock lives, and no mount leads to it.
    Detached,
    /// It is mounted at these places alone.
    Elsewhere(Vec<String>),
    /// Something is mounted over it.
    Covered {
        /// The other filesystem's name.
        kind: String,
        /// What mountinfo calls the other's source.
        device: String,
    },
}
