// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything observed while a case ran: what the judge sees, and all that it sees.

use super::probes::{Blind, NotifyCall, ShutdownFlags};
use crate::nvdimm::BadMemory;
use guest_agent::address::{DeviceOffset, GuestPhysical};
use guest_agent::call::{Contents, Handled, Refusal};
use guest_agent::trace::TraceLine;
use guest_agent::victim::{Ended, Signal};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The evidence of one case on one kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// One entry for each step that was carried out, in order.
    pub steps: Vec<StepEvidence>,
    /// The victims as they were at the end.
    pub victims: BTreeMap<String, VictimView>,
    /// The kernel's messages from the case's beginning to its end; the console's, when the guest died.
    pub log: Vec<String>,
    /// The trace of the same time.
    pub trace: Vec<TraceLine>,
    /// What could not be observed in this guest.
    pub blind: Blind,
    /// How it ended.
    pub end: End,
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
    /// The harness could not go on: QEMU was lost, SSH was lost, an injection was not acknowledged.
    Lost(String),
}

/// What one step brought.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepEvidence {
    /// It was done.
    Done,
    /// The kernel refused it.
    Refused(Refusal),
    /// The kernel did not come back from it, though the guest still answers.
    Stuck(String),
    /// It makes no sense in this guest: a precondition of the case is missing.
    Impossible(String),
    /// A memory error was injected, and acknowledged.
    Injected(Injected),
    /// The state was observed.
    State(Observation),
    /// An operation was tried.
    Operation(Tried),
}

/// An injection that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Injected {
    /// The first byte of the page that was hit, on its pmem device.
    pub page: DeviceOffset,
    /// The same in the guest's memory.
    pub physical: GuestPhysical,
    /// Whether the kernel has finished with it.
    pub handled: Handled,
    /// For an injection by a system call: what that call got.
    pub injector: Option<Tried>,
}

/// What a system call got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tried {
    /// It succeeded; for a read, what was read.
    Succeeded(Option<Contents>),
    /// It was refused.
    Refused(Refusal),
}

/// The state of everything that a case may have expectations about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// Every victim.
    pub victims: BTreeMap<String, VictimView>,
    /// The calls of `xfs_dax_notify_failure` since the latest injection.
    pub notify_failure: Vec<NotifyCall>,
    /// What the latest injection by a system call got.
    pub injector: Option<Tried>,
    /// The filesystem.
    pub filesystem: Filesystem,
    /// The badblocks of all pmem devices.
    pub badblocks: Vec<BadMemory>,
    /// The page that the latest injection hit.
    pub injected: Option<GuestPhysical>,
    /// Where the pages of files that the case names lay before the first injection.
    pub layout: Layout,
}

/// File name → offset of a page in the file → its place in memory.
pub type Layout = BTreeMap<String, BTreeMap<u64, GuestPhysical>>;

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
}

/// The filesystem under test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filesystem {
    /// Mounted and working.
    Up,
    /// Mounted and shut down; why, when XFS said so.
    ShutDown(Option<ShutdownFlags>),
    /// Not mounted.
    Unmounted,
}
