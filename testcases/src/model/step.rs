// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a case does.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Expect;
use crate::value::{Bytes, FileName, VictimName, byte};

/// One thing done or expected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// The line of the case file where it begins, counted from 1.
    pub line: usize,
    /// What it is.
    pub action: Action,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Creates a file and fills it.
    Write(WriteFile),
    /// Makes a file that shares all blocks of another.
    Reflink(Reflink),
    /// Starts a process that maps a file.
    Victim(VictimSpec),
    /// Ends victims, so that what they map can be unmounted.
    Release(Release),
    /// Injects one memory error.
    Inject(Injection),
    /// Says what holds now.
    Expect(Expect),
    /// Unmounts the filesystem; a failure fails the case.
    Unmount(UnmountSpec),
    /// Mounts the filesystem again; a failure fails the case.
    Mount(MountSpec),
}

/// A file that is created, filled with one byte, and on the medium before the next step.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ file: a, size: 2MiB, fill: 0x5a }`"
)]
pub struct WriteFile {
    /// The new file.
    pub file: FileName,
    /// Its size, at least one byte.
    pub size: Bytes,
    /// The byte that fills it.
    #[serde(deserialize_with = "byte::deserialize")]
    pub fill: u8,
}

/// A new file that shares all blocks of an old one (FICLONE).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping like `{ from: a, to: b }`")]
pub struct Reflink {
    /// The file that exists.
    pub from: FileName,
    /// The file that is made.
    pub to: FileName,
}

/// A process in the guest that maps a whole file, shared, touches one byte of it, and reports every signal it gets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ name: alice, maps: a, touches: 4KiB }`"
)]
pub struct VictimSpec {
    /// How the case calls the process.
    pub name: VictimName,
    /// The file that it maps, from its start to its end.
    pub maps: FileName,
    /// The byte of the file that it reads through the mapping, so that the page there is present.
    pub touches: Bytes,
    /// When it wants to hear of a memory error.
    #[serde(default)]
    pub kill: KillPolicy,
}

/// A process's memory-failure policy (prctl(2), PR_MCE_KILL).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KillPolicy {
    /// As soon as the kernel knows (PR_MCE_KILL_EARLY).
    Early,
    /// Only when it touches the page (PR_MCE_KILL_LATE).
    Late,
    /// Whatever vm.memory_failure_early_kill says (PR_MCE_KILL_DEFAULT).
    #[default]
    Default,
}

/// The victims that end at this step.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Release {
    /// At least one, each once.
    pub victims: Vec<VictimName>,
}

/// The filesystem is unmounted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an empty mapping, `{}`")]
pub struct UnmountSpec {}

/// The filesystem is mounted again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping, `{}` or `{ options: dax=never }`"
)]
pub struct MountSpec {
    /// The options of the mount, in place of the template's.
    #[serde(default)]
    #[schemars(with = "String", default)]
    pub options: Option<String>,
}

/// One memory error.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Injection {
    /// How the kernel gets to know of it.
    pub by: Mechanism,
    /// What is hit.
    pub at: Target,
}

/// The way by which a memory error reaches the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// The machine raises a machine check.
    MachineCheck(Severity),
    /// Someone in the guest writes the page's number to /sys/kernel/debug/hwpoison/corrupt-pfn.
    CorruptPfn,
}

/// How a machine check is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Found by the memory controller, consumed by nobody yet (SRAO).
    ActionOptional,
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ActionOptional => "action optional",
        })
    }
}

/// What an injection hits.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The page that holds a byte of a file.
    File {
        /// The file.
        file: FileName,
        /// The byte, counted from the file's start.
        offset: Bytes,
    },
    /// A page of the filesystem's own.
    Metadata {
        /// What it holds.
        kind: MetadataKind,
        /// The allocation group.
        ag: u32,
    },
    /// A page that belongs to nobody.
    FreeSpace {
        /// The allocation group.
        ag: u32,
    },
}

/// What the filesystem keeps in a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MetadataKind {
    /// The first block of an allocation group: superblock, AGF, AGI, AGFL.
    AgHeader,
}

impl fmt::Display for MetadataKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::AgHeader => "header",
        })
    }
}
