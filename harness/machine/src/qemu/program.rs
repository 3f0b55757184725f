// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which QEMU to start, and how.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use guest_images::qemu::Qemu;

/// A QEMU to start: a host's own one, or one unpacked somewhere private that must be told where its data and its
/// libraries are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The `qemu-system-x86_64` to execute. Not a script that starts QEMU as its child: the kernel ties the life of
    /// *this* process to ours, not that of its children.
    pub binary: PathBuf,
    /// What comes before the machine's own arguments, for example `-L DIR` for firmware.
    pub arguments: Vec<OsString>,
    /// All of its environment, for example `LD_LIBRARY_PATH`; it gets nothing of the runner's.
    pub environment: BTreeMap<OsString, OsString>,
}

impl Program {
    /// A program that needs neither arguments nor variables of its own.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
        }
    }
}

impl From<&Qemu> for Program {
    /// The QEMU that was found or fetched, as it is started.
    fn from(qemu: &Qemu) -> Self {
        Self {
            binary: qemu.binary.clone(),
            arguments: qemu.arguments.clone(),
            environment: qemu.environment.iter().cloned().collect(),
        }
    }
}
