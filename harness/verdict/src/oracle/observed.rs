// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was seen of one injection, in the terms of a prediction.

use super::prediction::{EventResult, FilesystemAfter};
use guest_agent::call::BadRange;
use guest_agent::victim::Ended;
use nix::errno::Errno;
use std::collections::BTreeMap;

/// What was seen since just before the injection, after everything that it set off had come to its end. `None` is what
/// could not be seen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// The victims by name.
    pub victims: BTreeMap<String, SeenVictim>,
    /// What the injector's call returned; `None` for a machine check too, which nobody calls.
    pub injector: Option<Result<(), Errno>>,
    /// Every call of `xfs_dax_notify_failure` with its result; `None` in the list for one that has not returned.
    pub notify: Option<Vec<Option<i32>>>,
    /// The filesystem; its reason to shut down is `None` when nothing told it.
    pub filesystem: Option<FilesystemAfter>,
    /// The badblocks of the device that was hit.
    pub badblocks: Option<Vec<BadRange>>,
    /// What `HardwareCorrupted` has grown by, in bytes.
    pub corrupted: Option<i64>,
    /// The results of every `memory_failure_event`.
    pub events: Option<Vec<EventResult>>,
}

/// What was seen of a victim.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SeenVictim {
    /// The signals that its handler got, in order.
    pub signals: Vec<SeenSignal>,
    /// How it ended, if it has.
    pub ended: Option<Ended>,
    /// SIGBUS is pending for one of its threads.
    pub sigbus_pending: bool,
    /// The pages that the facts list as present, as far as they were looked up again. Nothing for a dead one.
    pub entries: Vec<SeenEntry>,
}

/// A signal that a handler got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenSignal {
    /// Its number.
    pub number: i32,
    /// `si_code`.
    pub code: i32,
    /// `si_addr`.
    pub address: u64,
    /// The mapping into which `si_addr` points, and the byte there; `None` when it points into none.
    pub place: Option<(usize, u64)>,
    /// `si_addr_lsb`, for the codes that have one.
    pub lsb: Option<u8>,
    /// The thread that got it; `None` when that was not recorded.
    pub thread: Option<String>,
}

/// A page-table entry, looked up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeenEntry {
    /// Which of the victim's mappings.
    pub map: usize,
    /// The page's first byte, counted from the mapping's first byte.
    pub at: u64,
    /// Whether it still leads to the page that was hit.
    pub here: bool,
}
