// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a case expects.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::value::{Bytes, Errno, FileName, ReturnCode, VictimName};

/// What holds at a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expect {
    /// What can be seen of processes, filesystem and device.
    State(StateExpectation),
    /// How an operation ends that is tried now.
    Operation {
        /// What is tried.
        operation: Operation,
        /// How it ends.
        outcome: Outcome,
    },
}

/// What can be seen now; what is absent is not looked at. At least one field says something.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StateExpectation {
    /// Victims that got a memory-failure signal since the latest injection, and which.
    pub killed: BTreeMap<VictimName, Killed>,
    /// Victims that got no signal since the latest injection.
    pub alive: Vec<VictimName>,
    /// How the call ended by which the latest error was injected.
    pub injector: Option<CallResult>,
    /// What the filesystem's handler did with the latest injection.
    pub notify_failure: Option<NotifyFailure>,
    /// Whether the filesystem works.
    pub filesystem: Option<FilesystemState>,
    /// Exactly these ranges are recorded as bad; an empty list means none.
    pub badblocks: Option<Vec<BadRange>>,
}

/// The SIGBUS that a victim got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ code: BUS_MCEERR_AO, at: 4KiB, lsb: 12 }`"
)]
pub struct Killed {
    /// The signal's `si_code`.
    pub code: BusCode,
    /// The signal's `si_addr`, counted from the start of the mapping.
    pub at: Bytes,
    /// The signal's `si_addr_lsb`: the error spans 2 to the power of this many bytes (12 is one page, 21 is 2 MiB).
    #[serde(default)]
    #[schemars(with = "u8", default)]
    pub lsb: Option<u8>,
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
        [Self::Adrerr, Self::MceerrAr, Self::MceerrAo]
            .into_iter()
            .find(|code| code.number() == number)
    }
}

impl fmt::Display for BusCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::MceerrAo => "BUS_MCEERR_AO",
            Self::MceerrAr => "BUS_MCEERR_AR",
            Self::Adrerr => "BUS_ADRERR",
        })
    }
}

/// How a call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallResult {
    /// It succeeds.
    Succeeds,
    /// It fails with this error.
    Error(Errno),
}

impl fmt::Display for CallResult {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Succeeds => formatter.write_str("ok"),
            Self::Error(errno) => errno.fmt(formatter),
        }
    }
}

/// What xfs_dax_notify_failure() did with the latest injection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotifyFailure {
    /// It was not called.
    Never,
    /// It was called.
    Called {
        /// What every call returned.
        returned: ReturnCode,
        /// How often it was called; any number above zero if this says nothing.
        calls: Option<u32>,
    },
}

/// Whether the filesystem works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", expecting = "`up` or `{ shutdown: REASON }`")]
pub enum FilesystemState {
    /// It is mounted and not shut down.
    Up,
    /// It has shut itself down for this reason.
    Shutdown(ShutdownReason),
}

impl fmt::Display for FilesystemState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up => formatter.write_str("up"),
            Self::Shutdown(reason) => write!(formatter, "shut down ({reason})"),
        }
    }
}

/// Why XFS shut down (`SHUTDOWN_*` in fs/xfs/xfs_mount.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ShutdownReason {
    /// SHUTDOWN_META_IO_ERROR: metadata could not be written.
    MetadataIo,
    /// SHUTDOWN_LOG_IO_ERROR: the log could not be written.
    LogIo,
    /// SHUTDOWN_FORCE_UMOUNT: someone asked for it.
    Forced,
    /// SHUTDOWN_CORRUPT_INCORE: a structure in memory is wrong.
    CorruptIncore,
    /// SHUTDOWN_CORRUPT_ONDISK: a structure on the medium is wrong.
    CorruptOndisk,
    /// SHUTDOWN_DEVICE_REMOVED: the device is gone.
    DeviceRemoved,
}

impl ShutdownReason {
    /// The word that a case writes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MetadataIo => "metadata-io",
            Self::LogIo => "log-io",
            Self::Forced => "forced",
            Self::CorruptIncore => "corrupt-incore",
            Self::CorruptOndisk => "corrupt-ondisk",
            Self::DeviceRemoved => "device-removed",
        }
    }
}

impl fmt::Display for ShutdownReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A range that the device records as bad. Offset and length are whole sectors of 512 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BadRange {
    /// Where a part of a file lies.
    File {
        /// The file.
        file: FileName,
        /// The start of the range in the file.
        offset: Bytes,
        /// Its length, not zero.
        length: Bytes,
    },
    /// From the start of the page that the latest injection hit.
    Injected {
        /// The length, not zero.
        length: Bytes,
    },
}

/// Something that is tried, to see how it ends.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Reads with pread(2).
    Read {
        /// The file.
        file: FileName,
        /// Where to start.
        offset: Bytes,
        /// How much, not zero.
        length: Bytes,
    },
    /// Writes with pwrite(2) and fsync(2).
    Write {
        /// The file, which exists.
        file: FileName,
        /// Where to start.
        offset: Bytes,
        /// How much, not zero.
        length: Bytes,
        /// The byte that is written.
        fill: u8,
    },
    /// Creates an empty file that does not exist yet.
    Create {
        /// The file.
        file: FileName,
    },
    /// Asks for a file's attributes with stat(2).
    Stat {
        /// The file.
        file: FileName,
    },
    /// Mounts the filesystem, which is not mounted.
    Mount {
        /// The options, in place of the template's.
        options: Option<String>,
    },
    /// Unmounts the filesystem, which is mounted.
    Unmount,
}

/// How an operation ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It succeeds.
    Succeeds {
        /// Every byte that was read is this one; only a read expects it.
        contains: Option<u8>,
    },
    /// It fails with this error.
    Error(Errno),
}
