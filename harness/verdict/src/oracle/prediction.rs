// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the oracle says, part by part.

use super::facts::MAIN_THREAD;
use super::rule::Rule;
use super::situation::AccessEnd;
use guest_agent::address::PAGE_SIZE;
use guest_agent::call::BadRange;
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::fmt;
use testcases::{BusCode, Bytes, ShutdownReason};

/// A part of a prediction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part<T> {
    /// This is what must come.
    Known(T),
    /// There is no prediction, for this reason.
    Unknown(String),
}

impl<T> Part<T> {
    /// The prediction, if there is one.
    pub const fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }

    /// Why there is none.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Known(_) => None,
            Self::Unknown(reason) => Some(reason),
        }
    }
}

/// What must come of one memory error in one page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prediction {
    /// The kernel panics, and nothing else is to be said.
    Panic(Justification),
    /// The kernel goes on.
    Handled(Box<Handled>),
}

impl Prediction {
    /// The rules that led to it, in order.
    pub fn justifications(&self) -> &[Justification] {
        match self {
            Self::Panic(justification) => std::slice::from_ref(justification),
            Self::Handled(handled) => &handled.justifications,
        }
    }
}

/// What must come of an error that the kernel survives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handled {
    /// Every victim that lived before, by name.
    pub victims: BTreeMap<String, Part<Fate>>,
    /// What the injector gets.
    pub injector: Part<InjectorEnd>,
    /// The calls of `xfs_dax_notify_failure`.
    pub notify: Part<NotifyCalls>,
    /// The filesystem.
    pub filesystem: Part<FilesystemAfter>,
    /// The badblocks of the device.
    pub badblocks: Part<BadblocksAfter>,
    /// What `HardwareCorrupted` of /proc/meminfo grows by, in bytes.
    pub corrupted: Part<u64>,
    /// The result that `memory_failure_event` tells; `None` when there is no such event.
    pub event: Part<Option<EventResult>>,
    /// How the page can be used from now on, if it belongs to a DAX file; `None` if it does not.
    pub afterwards: Part<Option<Afterwards>>,
    /// The rules that led here, in order.
    pub justifications: Vec<Justification>,
    /// Those that decided; none where nothing is predicted.
    pub decided: Decided,
}

/// What decided about the parts of a prediction that are no victim's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Decided {
    /// What the filesystem does and says: its state, `xfs_dax_notify_failure`.
    pub filesystem: Option<Justification>,
    /// How the error ends: the injector's answer, the event, HardwareCorrupted.
    pub end: Option<Justification>,
    /// What becomes of the badblocks.
    pub badblocks: Option<Justification>,
}

/// How a page of a DAX file can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Afterwards {
    /// By a load or store that faults.
    pub load: Use,
    /// By read(2) or write(2).
    pub read: Use,
}

/// How a use of a page ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The end.
    pub end: AccessEnd,
    /// The rule that says so.
    pub rule: Justification,
}

/// A rule that was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Justification {
    /// What it was applied to: "the error", "inode 131", "alice".
    pub subject: String,
    /// The kernel's function.
    pub from: &'static str,
    /// What it says.
    pub says: &'static str,
}

impl fmt::Display for Justification {
    /// "mm/memory-failure.c:mf_dax_kill_procs: file data: …", without what it was applied to.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.from, self.says)
    }
}

impl Justification {
    /// Remembers that a rule was applied.
    pub fn of<S, T>(subject: impl Into<String>, rule: &Rule<S, T>) -> Self {
        Self {
            subject: subject.into(),
            from: rule.from,
            says: rule.says,
        }
    }
}

/// What becomes of a victim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    /// What it is told.
    pub told: Told,
    /// What it must have been for that: its entries and its policy, in words.
    pub because: String,
    /// The rule that decided what it is told.
    pub rule: Justification,
    /// Whether SIGBUS was pending for one of its threads before.
    pub pending_before: bool,
    /// Its pages that were present before, and whether each is gone afterwards.
    pub entries: Vec<EntryAfter>,
}

impl Fate {
    /// The rule, and the facts of the victim `name` to which it was applied.
    pub fn reason(&self, name: &str) -> String {
        format!("{}; {name} {}", self.rule, self.because)
    }
}

/// What a victim is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// Nothing.
    Nothing,
    /// Its handler gets these signals: at least one, at most `most`, no one of `any_of` twice.
    Signals {
        /// What can come.
        any_of: Vec<ExpectedSignal>,
        /// How many at most.
        most: usize,
    },
    /// It dies of SIGBUS.
    Dies,
    /// SIGBUS is pending for one of its threads, and nothing is delivered.
    Pending,
}

impl Told {
    /// Whether a signal reaches the victim in any way.
    pub const fn is_hit(&self) -> bool {
        !matches!(self, Self::Nothing)
    }
}

/// A SIGBUS that a handler gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedSignal {
    /// Its `si_code`.
    pub code: SignalCode,
    /// The thread that gets it.
    pub thread: String,
    /// Where its `si_addr` lies; `None` for a signal that carries no address.
    pub place: Option<SignalPlace>,
}

/// Where a signal points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalPlace {
    /// Which of the victim's mappings.
    pub map: usize,
    /// The byte, counted from the mapping's first byte.
    pub at: u64,
    /// The virtual address of that byte.
    pub address: u64,
    /// `si_addr_lsb`; `None` when it is not known how large the page-table entry is.
    pub lsb: Option<u8>,
    /// Whether the page is told exactly, or only as exactly as `lsb` says.
    pub exact: bool,
}

/// The `si_code` of a SIGBUS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignalCode {
    /// One that tells of memory.
    Bus(BusCode),
    /// SI_KERNEL: forced, with nothing to tell.
    Kernel,
}

impl SignalCode {
    /// The number in `si_code`.
    pub const fn number(self) -> i32 {
        match self {
            Self::Bus(code) => code.number(),
            // SI_KERNEL, include/uapi/asm-generic/siginfo.h.
            Self::Kernel => 0x80,
        }
    }

    /// The code of this number; `None` for all others.
    pub fn from_number(number: i32) -> Option<Self> {
        if number == Self::Kernel.number() {
            return Some(Self::Kernel);
        }
        BusCode::from_number(number).map(Self::Bus)
    }
}

impl fmt::Display for SignalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bus(code) => code.fmt(f),
            Self::Kernel => f.write_str("SI_KERNEL"),
        }
    }
}

impl fmt::Display for ExpectedSignal {
    /// "BUS_MCEERR_AO at 4KiB, lsb 12", without addresses, which differ from run to run.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        match self.place {
            None => f.write_str(" without an address")?,
            Some(place) => {
                write!(f, " at {}", Bytes(place.at))?;
                if place.map > 0 {
                    write!(f, " of mapping {}", place.map)?;
                }
                if let Some(lsb) = place.lsb {
                    write!(f, ", lsb {lsb}")?;
                }
            }
        }
        if self.thread == MAIN_THREAD {
            Ok(())
        } else {
            write!(f, ", to thread {}", self.thread)
        }
    }
}

/// A page that a victim had before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryAfter {
    /// Which of its mappings.
    pub map: usize,
    /// The page's first byte, counted from the mapping's first byte.
    pub at: u64,
    /// Whether its page-table entry is gone.
    pub gone: Part<bool>,
    /// The rule that says so.
    pub rule: Justification,
}

/// How an injector's call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InjectorEnd {
    /// There is no call: a machine check.
    NoCall,
    /// The call returns this.
    Returns(Result<(), Errno>),
}

/// The calls of `xfs_dax_notify_failure`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotifyCalls {
    /// None.
    Never,
    /// One, with this result.
    Once(Result<(), Errno>),
}

/// The filesystem afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilesystemAfter {
    /// Not mounted.
    Unmounted,
    /// Mounted, and not shut down.
    Up,
    /// Shut down; for this reason, when it was not so before.
    ShutDown(Option<ShutdownReason>),
}

/// The badblocks afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadblocksAfter {
    /// What was bad before, which stays.
    pub before: Vec<BadRange>,
    /// What is bad now; it may have been so before.
    pub added: Option<BadRange>,
}

/// The result in `memory_failure_event`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventResult {
    /// MF_RECOVERED.
    Recovered,
    /// MF_FAILED.
    Failed,
}

impl EventResult {
    /// The word that the event prints after the page's kind (`include/ras/ras_event.h`).
    pub const fn word(self) -> &'static str {
        match self {
            Self::Recovered => "Recovered",
            Self::Failed => "Failed",
        }
    }
}

/// What `HardwareCorrupted` grows by with each error that `action_result()` reports.
pub(super) const ONE_PAGE: u64 = PAGE_SIZE;
