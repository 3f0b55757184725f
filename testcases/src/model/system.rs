// SPDX-License-Identifier: MIT OR Apache-2.0
//! What operations on mounts, the system and running victims say.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use words::{Advice, KillPolicy};

use super::Place;
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
