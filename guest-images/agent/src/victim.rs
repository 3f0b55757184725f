// SPDX-License-Identifier: MIT OR Apache-2.0
//! A victim: a process that maps a file and reports, as data, every signal that it gets.
//!
//! SSH cannot carry SIGBUS (it is not in the protocol's list of signals), so a victim says it itself.

use crate::address::FileOffset;
use serde::{Deserialize, Serialize};

/// The process's memory-corruption kill policy, `prctl(PR_MCE_KILL)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KillPolicy {
    /// `PR_MCE_KILL_EARLY`: told as soon as the kernel knows of the error.
    Early,
    /// `PR_MCE_KILL_LATE`: told when it touches the page.
    Late,
    /// `PR_MCE_KILL_DEFAULT`: whatever `vm.memory_failure_early_kill` says.
    Default,
}

impl KillPolicy {
    /// The word used on the command line of the `victim` subcommand.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Early => "early",
            Self::Late => "late",
            Self::Default => "default",
        }
    }
}

/// One signal, as `siginfo_t` told it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// Signal number; SIGBUS is 7.
    pub number: i32,
    /// `si_code`: 4 is BUS_MCEERR_AR, 5 is BUS_MCEERR_AO, 2 is BUS_ADRERR.
    pub code: i32,
    /// `si_addr`, a virtual address of the victim.
    pub address: u64,
    /// The same as an offset into the mapped file; `None` when the address is outside the mapping.
    pub offset: Option<FileOffset>,
    /// `si_addr_lsb`: the least significant bit of the address that is valid. Meaningful for the two
    /// BUS_MCEERR codes only, `None` for all others.
    pub lsb: Option<u8>,
}

/// A line that a victim prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Report {
    /// The file is mapped.
    Mapped {
        /// Process id in the guest.
        pid: i32,
        /// Virtual address of the mapping's first byte.
        address: u64,
        /// Length of the mapping in bytes.
        length: u64,
    },
    /// A byte was loaded through the mapping.
    Touched {
        /// Which byte.
        offset: FileOffset,
        /// What it held; `None` when the load faulted (the signal is reported too).
        value: Option<u8>,
    },
    /// A signal arrived.
    Signal(Signal),
    /// Answer to [`Command::Ping`]. Whatever was pending when the ping was read has been reported before.
    Pong(u64),
    /// It could not become a victim, and ends.
    Failed {
        /// What it was doing.
        what: String,
        /// The errno it got.
        errno: i32,
    },
}

/// A line that a victim reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Answer with [`Report::Pong`] after everything pending has been reported.
    Ping(u64),
    /// Load the byte at this offset.
    Touch(FileOffset),
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// It returned this status.
    Exited(i32),
    /// This signal killed it.
    Killed(i32),
}
