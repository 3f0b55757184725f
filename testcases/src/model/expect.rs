// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a case expects to see.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DeadlySignal, Device, Operation, PageFlag, Place, SentSignal, SignalExpectation, Watcher};
use crate::value::{
    Bytes, Comm, Count, Errno, FileName, FilePath, Fill, Glob, ReturnCode, Sha256, VictimName,
};

/// What holds at a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expect {
    /// What can be seen of processes, filesystem and device.
    State(Box<StateExpectation>),
    /// How an operation ends that is tried now.
    Operation {
        /// What is tried.
        operation: Operation,
        /// How it ends.
        outcome: Outcome,
    },
}

/// What can be seen now; what is absent is not looked at. At least one field says something.
///
/// What is said of signals, of the injector, of notify_failure, of messages and of trace events is about the time since the
/// latest injection; before the first one, since the case began.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct StateExpectation {
    /// Victims that got a SIGBUS: all that they got, in order.
    pub killed: BTreeMap<VictimName, Vec<SignalExpectation>>,
    /// Victims that a signal has ended, for they had no handler for it.
    pub died: BTreeMap<VictimName, DeadlySignal>,
    /// Victims that live, got no signal, and have none waiting.
    pub alive: Vec<VictimName>,
    /// Victims that live, and for whom a SIGBUS waits that they have blocked.
    pub pending: Vec<VictimName>,
    /// Processes that are no victims, by what the kernel calls them, and the signal that each got.
    pub signalled: BTreeMap<Comm, SentSignal>,
    /// Places at which a victim has a page, so that it can be accessed without a fault.
    pub present: BTreeMap<VictimName, Vec<Place>>,
    /// Places at which a victim has none.
    pub absent: BTreeMap<VictimName, Vec<Place>>,
    /// How the call ended by which the latest error was injected.
    pub injector: Option<CallResult>,
    /// What the filesystem's handler did with the latest injection.
    pub notify_failure: Option<NotifyFailure>,
    /// Whether the filesystem works.
    pub filesystem: Option<FilesystemState>,
    /// Exactly these ranges are recorded as bad; an empty list means none.
    pub badblocks: Option<Vec<BadRange>>,
    /// The kernel's messages.
    pub log: Option<Lines>,
    /// Trace events.
    pub trace: Vec<TraceExpectation>,
    /// By how much HardwareCorrupted of /proc/meminfo has grown since just before the latest injection.
    pub hardware_corrupted: Option<Bytes>,
    /// Flags of the page that the latest injection hit (/proc/kpageflags).
    pub page_flags: Option<PageFlagsExpectation>,
    /// What the filesystem says of files.
    pub files: BTreeMap<FilePath, FileState>,
    /// What watchers have seen since they were started.
    pub watched: BTreeMap<Watcher, Lines>,
}

/// What lines of text have and what they lack. At least one of the two says something.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Lines {
    /// Each of these is in some line.
    pub has: Vec<Glob>,
    /// None of these is in any line.
    pub lacks: Vec<Glob>,
}

/// A trace event, and how often it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TraceExpectation {
    /// The event's name, without its system.
    pub event: String,
    /// What is in the text of the event.
    pub has: Option<Glob>,
    /// What its fields say.
    pub fields: BTreeMap<String, FieldValue>,
    /// How many of these events there are.
    pub times: Count,
}

/// The value of a field of a trace event.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FieldValue {
    /// This number, however it is printed: decimal, hexadecimal, signed.
    Number(i64),
    /// A text that is in it.
    Text(Glob),
}

impl fmt::Display for FieldValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(formatter),
            Self::Text(glob) => glob.fmt(formatter),
        }
    }
}

/// Flags that a page has and flags that it lacks. At least one of the two says something.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PageFlagsExpectation {
    /// All of these are set.
    pub has: BTreeSet<PageFlag>,
    /// None of these is.
    pub lacks: BTreeSet<PageFlag>,
}

/// What the filesystem says of a file; at least one field says something.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub struct FileState {
    /// Its size.
    pub size: Option<Bytes>,
    /// Whether it goes past the page cache (STATX_ATTR_DAX).
    pub dax: Option<bool>,
    /// How much of it shares its blocks (FIEMAP_EXTENT_SHARED).
    pub shared: Option<Sharing>,
    /// How many extents it has (FIEMAP).
    pub extents: Option<Count>,
    /// Whether any of it is allocated and was never written (FIEMAP_EXTENT_UNWRITTEN).
    pub unwritten: Option<bool>,
}

/// How much of a file shares its blocks with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sharing {
    /// Every extent.
    All,
    /// No extent.
    None,
    /// Some extents, and others not.
    Some,
}

impl Sharing {
    /// The word that a case writes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::None => "none",
            Self::Some => "some",
        }
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
#[serde(
    rename_all = "kebab-case",
    expecting = "`up`, `unmounted` or `{ shutdown: REASON }`"
)]
pub enum FilesystemState {
    /// It is mounted and not shut down.
    Up,
    /// It is not mounted.
    Unmounted,
    /// It has shut itself down for this reason.
    Shutdown(ShutdownReason),
}

impl fmt::Display for FilesystemState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Up => formatter.write_str("up"),
            Self::Unmounted => formatter.write_str("not mounted"),
            Self::Shutdown(reason) => write!(formatter, "shut down ({reason})"),
        }
    }
}

/// Why XFS shut down (`SHUTDOWN_*` in fs/xfs/xfs_mount.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", expecting = "a reason such as `corrupt-ondisk`")]
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
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::CorruptOndisk,
        Self::CorruptIncore,
        Self::LogIo,
        Self::MetadataIo,
        Self::DeviceRemoved,
        Self::Forced,
    ];

    /// The reason that a case writes so.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }

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
        file: FilePath,
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
    /// A part of a device.
    Device {
        /// The device.
        of: Device,
        /// The start of the range on the device.
        offset: Bytes,
        /// Its length, not zero.
        length: Bytes,
    },
}

/// How an operation ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It succeeds.
    Succeeds,
    /// It fails with this error.
    Fails(Errno),
    /// A dedupe finds that the two parts do not hold the same, and shares nothing.
    Differs,
    /// A read succeeds in full, and gives this.
    Contains(Contents),
    /// A touch gets this byte.
    Value(u8),
    /// A touch or a store ends in this signal to the victim. It belongs to this expectation and to no later one.
    Raises(SignalExpectation),
    /// A command ends.
    Exits {
        /// Its exit status.
        status: u8,
        /// What it says, on standard output and standard error together.
        output: Lines,
    },
    /// A directory has exactly these names, beside `.` and `..`.
    Names(BTreeSet<FileName>),
}

impl Outcome {
    /// Whether the operation does what it is asked to.
    pub const fn is_success(&self) -> bool {
        match self {
            Self::Succeeds | Self::Contains(_) | Self::Value(_) | Self::Names(_) => true,
            Self::Exits { status, .. } => *status == 0,
            Self::Fails(_) | Self::Differs | Self::Raises(_) => false,
        }
    }
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Contents {
    /// Filled with this; where it is `counting`, as though the part had been written there with it.
    Fill(Fill),
    /// The same as a part of another file of the same length, read at the same moment.
    File {
        /// The other file.
        file: FilePath,
        /// Where its part starts.
        offset: Bytes,
    },
    /// Bytes of this checksum.
    Sha256(Sha256),
}
