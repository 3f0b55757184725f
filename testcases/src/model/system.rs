// SPDX-License-Identifier: MIT OR Apache-2.0
//! What operations on mounts, the system and running victims say.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{KillPolicy, Place};
use crate::value::{Bytes, Seconds, ThreadName, VictimName};

/// How the filesystem is mounted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping, `{}` or `{ options: dax=never }`"
)]
pub struct MountSpec {
    /// The options of the mount, in place of those of the mount before.
    #[serde(default)]
    #[schemars(with = "String", default)]
    pub options: Option<String>,
}

/// What becomes of what is not on the medium yet, when a filesystem is shut down (fs/xfs/libxfs/xfs_fs.h).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Flush {
    /// XFS_FSOP_GOING_FLAGS_DEFAULT: data and log are flushed.
    #[default]
    Default,
    /// XFS_FSOP_GOING_FLAGS_LOGFLUSH: the log is flushed.
    Log,
    /// XFS_FSOP_GOING_FLAGS_NOLOGFLUSH: nothing is.
    Nolog,
}

impl Flush {
    /// The number that the ioctl takes.
    pub const fn number(self) -> u32 {
        match self {
            Self::Default => 0,
            Self::Log => 1,
            Self::Nolog => 2,
        }
    }

    /// The word that a case writes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Log => "log",
            Self::Nolog => "nolog",
        }
    }
}

/// A command of the guest's shell (`sh -c`), in the mount point while the filesystem is mounted, else in `/`; with `$MOUNT`,
/// `$DEVICE`, `$LOGDEV` and `$RTDEV`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct RunSpec {
    /// The command.
    pub command: String,
    /// How long it may take.
    pub timeout: Seconds,
}

/// A text for a file of the kernel's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct SetSpec {
    /// The file's absolute path in the guest.
    pub file: String,
    /// What is written to it.
    pub to: String,
}

/// A byte that a victim writes through its mapping.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct StoreSpec {
    /// The victim.
    pub victim: VictimName,
    /// Where.
    pub place: Place,
    /// The byte.
    pub fill: u8,
}

/// A memory-failure policy for a process that runs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ victim: alice, kill: late }`"
)]
pub struct PolicySpec {
    /// The victim.
    pub victim: VictimName,
    /// The policy from now on.
    pub kill: KillPolicy,
    /// The thread that it is for; the victim's first, which is the one that maps and touches, if absent.
    #[serde(default)]
    #[schemars(with = "ThreadName", default)]
    pub thread: Option<ThreadName>,
}

/// Advice on a part of a victim's mapping.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct AdviseSpec {
    /// The victim.
    pub victim: VictimName,
    /// The advice.
    pub advice: Advice,
    /// Where the part starts.
    pub place: Place,
    /// Its length, not zero.
    pub length: Bytes,
}

/// What madvise(2) is told. What injects a memory error is an injection (`inject: { madvise: … }`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Advice {
    /// MADV_DONTNEED: the entries are taken away; the next access faults.
    Dontneed,
    /// MADV_WILLNEED.
    Willneed,
    /// MADV_POPULATE_READ: the entries are made, as by reading.
    PopulateRead,
    /// MADV_POPULATE_WRITE: the entries are made, as by writing.
    PopulateWrite,
    /// MADV_DONTFORK: a child does not get the mapping.
    Dontfork,
    /// MADV_HUGEPAGE.
    Hugepage,
    /// MADV_NOHUGEPAGE.
    Nohugepage,
    /// MADV_COLD.
    Cold,
    /// MADV_PAGEOUT.
    Pageout,
    /// MADV_REMOVE: the blocks behind it are taken away.
    Remove,
}

impl Advice {
    /// The number that madvise(2) takes (include/uapi/asm-generic/mman-common.h).
    pub const fn number(self) -> i32 {
        match self {
            Self::Willneed => 3,
            Self::Dontneed => 4,
            Self::Remove => 9,
            Self::Dontfork => 10,
            Self::Hugepage => 14,
            Self::Nohugepage => 15,
            Self::Cold => 20,
            Self::Pageout => 21,
            Self::PopulateRead => 22,
            Self::PopulateWrite => 23,
        }
    }

    /// The word that a case writes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dontneed => "dontneed",
            Self::Willneed => "willneed",
            Self::PopulateRead => "populate-read",
            Self::PopulateWrite => "populate-write",
            Self::Dontfork => "dontfork",
            Self::Hugepage => "hugepage",
            Self::Nohugepage => "nohugepage",
            Self::Cold => "cold",
            Self::Pageout => "pageout",
            Self::Remove => "remove",
        }
    }
}
