// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a case does to files, mappings, mounts and the system: whatever has an ending that a case can expect. What is known of
//! each operation stands beside it, in one place, and is asked for with [`Operation::facts`].

mod facts;
mod file;
mod mount;
mod system;
mod victim;

use serde::Serialize;

pub(crate) use facts::Verb;
pub use facts::{
    DataAccess, Effect, FileKind, InMapping, Named, NewSize, OperationFacts, SizeChange, Writes,
};
pub use file::FileOperation;
pub use mount::MountOperation;
pub use system::SystemOperation;
pub use victim::VictimOperation;

/// Something that is done, and ends. As a step it must succeed; in an expectation it is tried to see how it ends.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// Something is done to files.
    File(FileOperation),
    /// Something is done to the filesystem as a whole.
    Mount(MountOperation),
    /// Something is done to the running system.
    System(SystemOperation),
    /// A victim does something.
    Victim(VictimOperation),
}

impl Operation {
    /// What is known of it.
    pub fn facts(&self) -> OperationFacts<'_> {
        match self {
            Self::File(operation) => operation.facts(),
            Self::Mount(operation) => operation.facts(),
            Self::System(operation) => operation.facts(),
            Self::Victim(operation) => operation.facts(),
        }
    }
}

impl From<FileOperation> for Operation {
    fn from(operation: FileOperation) -> Self {
        Self::File(operation)
    }
}

impl From<MountOperation> for Operation {
    fn from(operation: MountOperation) -> Self {
        Self::Mount(operation)
    }
}

impl From<SystemOperation> for Operation {
    fn from(operation: SystemOperation) -> Self {
        Self::System(operation)
    }
}

impl From<VictimOperation> for Operation {
    fn from(operation: VictimOperation) -> Self {
        Self::Victim(operation)
    }
}
