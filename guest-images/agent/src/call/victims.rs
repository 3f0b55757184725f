// SPDX-License-Identifier: MIT OR Apache-2.0
//! Victims: started, told what to do, asked, ended.

use super::{PageSize, Refusal, calls};
use crate::address::GuestPhysical;
use crate::victim::{Ended, Mapped, Order, Reply, Signal, Spot, ThreadState, Touch, VictimSpec};
use serde::{Deserialize, Serialize};

/// Answer to [`StartVictim`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VictimStarted {
    /// It runs.
    Running {
        /// Process id.
        pid: i32,
        /// Its mappings, in the order of the spec.
        mappings: Vec<Mapped>,
        /// What came of each touch of the spec.
        touched: Vec<(Touch, Reply)>,
    },
    /// The kernel refused it a file, a mapping or the policy.
    Refused(Refusal),
    /// It ended before it was ready: a touch killed it.
    Ended(Ended),
}

/// Answer to [`ForkVictim`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VictimForked {
    /// The child runs, as a victim of its own.
    Running {
        /// Its process id.
        pid: i32,
    },
    /// The kernel refused it.
    Refused(Refusal),
    /// The parent had ended, or did so.
    Ended(Ended),
}

/// Answer to [`OrderVictim`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Obeyed {
    /// What came of it; `None` when the victim ended before it could say.
    pub reply: Option<Reply>,
    /// The signals that it got between the order and the reply.
    pub signals: Vec<Signal>,
    /// How it ended, if it has.
    pub ended: Option<Ended>,
}

/// What a victim is, and has been told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VictimState {
    /// Process id.
    pub pid: i32,
    /// How it ended, if it has.
    pub ended: Option<Ended>,
    /// Every signal since it began, in order.
    pub signals: Vec<Signal>,
    /// Signals that wait because they are blocked, for the process or for any of its threads (`SigPnd` and `ShdPnd` of
    /// /proc/PID/task/*/status); bit n-1 is signal n. Zero for a dead process.
    pub pending: u64,
    /// Signals that its first thread blocks (`SigBlk`). Zero for a dead process.
    pub blocked: u64,
    /// Signals that it ignores (`SigIgn`). Zero for a dead process.
    pub ignored: u64,
    /// Signals that it catches (`SigCgt`). Zero for a dead process.
    pub caught: u64,
    /// Its threads, the first one first; none of a dead process.
    pub threads: Vec<ThreadState>,
    /// The pages that were asked about; without those where nothing is mapped, and none of a dead process.
    pub pages: Vec<PageState>,
}

/// How a page of a mapping is mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageState {
    /// The byte that was asked about.
    pub at: Spot,
    /// Its page-table entry.
    pub entry: PageEntry,
    /// How much that entry maps, and how one knows; `None` when no entry is present, or it is not proved.
    pub size: Option<ProvedSize>,
}

/// How much one page-table entry maps, with the proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProvedSize {
    /// How much.
    pub size: PageSize,
    /// Who says so.
    pub proof: SizeProof,
}

/// How one knows how much an entry maps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SizeProof {
    /// ioctl(PAGEMAP_SCAN) found `PAGE_IS_HUGE`, or found it absent, in the page table itself (kernels from 6.7 on).
    PageTable,
    /// The victim's latest fault there, as `fs_dax:dax_pmd_fault_done` and `fs_dax:dax_pte_fault_done` traced it, agrees
    /// with which of the 512 pages around are present and where they lie.
    Fault,
    /// It is a mapping of a DAX character device, whose driver maps by pages of one size and no others; smaps tells it.
    Driver,
}

/// One entry of /proc/PID/pagemap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageEntry {
    /// Bit 63.
    pub present: bool,
    /// Bit 62: nothing is present, and yet the entry is not empty (`fs/proc/task_mmu.c:pte_to_pagemap_entry`). In a guest without
    /// swap space it leads to ordinary memory that is poisoned (`SWP_HWPOISON`), and nothing is faulted in there any more.
    pub swapped: bool,
    /// Bits 0–54, as an address; `None` when not present.
    pub physical: Option<GuestPhysical>,
}

calls! {
    /// What is done to victims, and asked of them.
    enum VictimCall;

    /// Starts a victim; answered when it has mapped and touched everything, or cannot.
    StartVictim("start-victim") -> VictimStarted {
        /// What it is to be.
        spec: VictimSpec,
    }

    /// Has a victim fork; the child is a victim of its own from then on, and outlives its parent.
    ForkVictim("fork-victim") -> VictimForked {
        /// The parent.
        name: String,
        /// The child's name, unique among the victims of this guest.
        child: String,
    }

    /// Tells a victim to do something, and answers when it has, or has ended.
    OrderVictim("order-victim") -> Obeyed {
        /// Its name.
        name: String,
        /// What to do; [`Order::Fork`] is refused here, for [`ForkVictim`] gives it.
        order: Order,
    }

    /// What has this victim been told so far? Answered after everything pending for any of its threads was delivered.
    AskVictim("ask-victim") -> VictimState {
        /// Its name.
        name: String,
        /// Bytes of its mappings whose page-table entries are looked up; none is faulted in by it.
        pages: Vec<Spot>,
    }

    /// Ends a victim (SIGKILL) and waits for it; answers with what it was before that.
    ReleaseVictim("release-victim") -> VictimState {
        /// Its name.
        name: String,
    }
}
