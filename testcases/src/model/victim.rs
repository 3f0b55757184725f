// SPDX-License-Identifier: MIT OR Apache-2.0
//! The processes that map files, or a character device, and report every signal they get.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use words::{Disposition, KillPolicy, MappingKind, PageSize};

use crate::value::{Bytes, FilePath, ThreadName, VictimName};

/// A process in the guest that maps files or a device, touches pages of them, and reports every signal it gets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct VictimSpec {
    /// How the case calls the process.
    pub name: VictimName,
    /// What it maps, at least one; `map: N` elsewhere counts these from 0.
    pub maps: Vec<Mapping>,
    /// The bytes that it reads through its mappings, in order, so that the pages there are present.
    pub touches: Vec<Place>,
    /// The bytes that it then writes, each with what it reads there already, so that the pages are present and writable.
    pub stores: Vec<Place>,
    /// When its first thread wants to hear of a memory error.
    pub kill: KillPolicy,
    /// What it does about a SIGBUS.
    pub sigbus: Disposition,
    /// The size of page by which every place that it touches or stores to must be mapped; proved, or the case is untestable.
    pub page: Option<PageSize>,
    /// Further threads, which do nothing but wait, each with its own policy.
    pub threads: BTreeMap<ThreadName, KillPolicy>,
}

/// A part of a file, or of a device, in the memory of a victim.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Mapping {
    /// What is mapped.
    pub of: Mapped,
    /// The first byte of it that is mapped, a multiple of 4 KiB; of a device, of the pages by which that is mapped.
    pub offset: Bytes,
    /// How much is mapped; to the end of the file or device if absent.
    pub length: Option<Bytes>,
    /// How stores are taken.
    pub mapping: MappingKind,
    /// What the process may do with it.
    pub access: Access,
    /// Whether a file must be proved to be DAX, or not to be; says nothing of a device.
    pub dax: bool,
}

/// What can be mapped.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mapped {
    /// A file.
    File(FilePath),
    /// A device that is there without a filesystem.
    Device(CharacterDevice),
}

impl fmt::Display for Mapped {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => file.fmt(formatter),
            Self::Device(CharacterDevice::Dax) => formatter.write_str("the DAX device"),
        }
    }
}

/// A device that a process can map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CharacterDevice {
    /// That of a namespace in devdax mode ([`Template::Devdax`](super::Template::Devdax)).
    Dax,
}

/// What a process may do with its mapping.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// PROT_READ.
    #[default]
    Read,
    /// PROT_READ and PROT_WRITE.
    Write,
}

/// A byte of one of a victim's mappings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    /// Which mapping, counted from 0.
    pub map: u32,
    /// The byte, counted from the start of the mapping.
    pub at: Bytes,
}

impl Place {
    /// Byte `at` of the mapping number `map`.
    pub fn of(map: usize, at: u64) -> Self {
        Self {
            // Nobody has so many.
            map: u32::try_from(map).unwrap_or(u32::MAX),
            at: Bytes(at),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.map {
            0 => self.at.fmt(formatter),
            map => write!(formatter, "{} of mapping {map}", self.at),
        }
    }
}

/// A byte of a mapping, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct VictimPlace {
    /// The victim.
    pub victim: VictimName,
    /// Where in its mappings.
    pub place: Place,
}

/// A process that a victim makes with fork(2): a victim itself, with the same mappings, disposition and policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ victim: alice, child: amy }`"
)]
pub struct ForkSpec {
    /// Who forks.
    pub victim: VictimName,
    /// How the case calls the child.
    pub child: VictimName,
}

/// The victims that end at this step.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Release {
    /// At least one, each once.
    pub victims: Vec<VictimName>,
}
