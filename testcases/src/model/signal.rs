// SPDX-License-Identifier: MIT OR Apache-2.0
//! The signals that a case expects.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Place;
use crate::value::{Count, ThreadName};

/// A SIGBUS that a victim gets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct SignalExpectation {
    /// The signal's `si_code`.
    pub code: BusCode,
    /// The signal's `si_addr`, as a place of the victim's mappings.
    pub at: Place,
    /// The signal's `si_addr_lsb`.
    pub lsb: Lsb,
    /// The thread that gets it; any of the victim's if absent.
    pub thread: Option<ThreadName>,
    /// How often it comes in a row.
    pub times: Count,
}

/// What is expected of `si_addr_lsb`, which only the siginfo of a memory error has (kernel/signal.c:siginfo_layout, SIL_FAULT_MCEERR).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lsb {
    /// It is not looked at.
    #[default]
    Any,
    /// The signal has none.
    None,
    /// The error spans 2 to the power of this many bytes: 12 is one page, 21 is 2 MiB.
    Bits(u8),
}

impl Lsb {
    /// Whether a signal with this `si_addr_lsb`, or with none, is as expected.
    pub fn allows(self, seen: Option<u8>) -> bool {
        match self {
            Self::Any => true,
            Self::None => seen.is_none(),
            Self::Bits(bits) => seen == Some(bits),
        }
    }
}

impl fmt::Display for Lsb {
    /// What follows the address where a signal is told: `, lsb 12`, `, no lsb`, or nothing.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => Ok(()),
            Self::None => formatter.write_str(", no lsb"),
            Self::Bits(bits) => write!(formatter, ", lsb {bits}"),
        }
    }
}

/// The `si_code` of a SIGBUS (include/uapi/asm-generic/siginfo.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum BusCode {
    /// A memory error was found, action optional.
    #[serde(rename = "BUS_MCEERR_AO")]
    MceerrAo,
    /// A memory error was consumed, action required.
    #[serde(rename = "BUS_MCEERR_AR")]
    MceerrAr,
    /// There is no memory behind the address.
    #[serde(rename = "BUS_ADRERR")]
    Adrerr,
}

impl BusCode {
    const ALL: [Self; 3] = [Self::Adrerr, Self::MceerrAr, Self::MceerrAo];

    /// The number in `si_code`.
    pub const fn number(self) -> i32 {
        match self {
            Self::Adrerr => 2,
            Self::MceerrAr => 4,
            Self::MceerrAo => 5,
        }
    }

    /// The code of this number, if it is one of those that a case can expect.
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.number() == number)
    }

    /// The code of this name.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == word)
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MceerrAo => "BUS_MCEERR_AO",
            Self::MceerrAr => "BUS_MCEERR_AR",
            Self::Adrerr => "BUS_ADRERR",
        }
    }
}

impl fmt::Display for BusCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The signal that ends a process that has no handler for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum DeadlySignal {
    /// The memory error itself, by its default action.
    #[serde(rename = "SIGBUS")]
    Sigbus,
    /// What the kernel sends when it cannot tell the process where the error is (mm/memory-failure.c:kill_procs).
    #[serde(rename = "SIGKILL")]
    Sigkill,
}

impl DeadlySignal {
    /// Its number on x86.
    pub const fn number(self) -> i32 {
        match self {
            Self::Sigbus => 7,
            Self::Sigkill => 9,
        }
    }
}

impl fmt::Display for DeadlySignal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Sigbus => "SIGBUS",
            Self::Sigkill => "SIGKILL",
        })
    }
}

/// A signal that the kernel sent to a process that is no victim, as the trace event `signal_generate` tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum SentSignal {
    /// A SIGBUS, of whichever code.
    #[serde(rename = "SIGBUS")]
    Sigbus,
    /// The kernel's own SIGKILL.
    #[serde(rename = "SIGKILL")]
    Sigkill,
    /// A SIGBUS: a memory error was found, action optional.
    #[serde(rename = "BUS_MCEERR_AO")]
    MceerrAo,
    /// A SIGBUS: a memory error was consumed, action required.
    #[serde(rename = "BUS_MCEERR_AR")]
    MceerrAr,
    /// A SIGBUS: there is no memory behind the address.
    #[serde(rename = "BUS_ADRERR")]
    Adrerr,
}

impl SentSignal {
    /// Its number on x86.
    pub const fn number(self) -> i32 {
        match self {
            Self::Sigbus | Self::MceerrAo | Self::MceerrAr | Self::Adrerr => DeadlySignal::Sigbus.number(),
            Self::Sigkill => DeadlySignal::Sigkill.number(),
        }
    }

    /// The code that it has to have, if that is said.
    pub const fn code(self) -> Option<BusCode> {
        match self {
            Self::Sigbus | Self::Sigkill => None,
            Self::MceerrAo => Some(BusCode::MceerrAo),
            Self::MceerrAr => Some(BusCode::MceerrAr),
            Self::Adrerr => Some(BusCode::Adrerr),
        }
    }

    /// Whether a signal of this number and code is one.
    pub fn allows(self, number: i32, code: i32) -> bool {
        number == self.number() && self.code().is_none_or(|wanted| wanted.number() == code)
    }
}

impl fmt::Display for SentSignal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.code()) {
            (_, Some(code)) => code.fmt(formatter),
            (Self::Sigkill, None) => DeadlySignal::Sigkill.fmt(formatter),
            (_, None) => DeadlySignal::Sigbus.fmt(formatter),
        }
    }
}
