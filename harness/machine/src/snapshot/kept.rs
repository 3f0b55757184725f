// SPDX-License-Identifier: MIT OR Apache-2.0
//! A template that is there, and what clones get of it.

use super::copy::copy;
use super::error::{Doing, StoreError};
use super::lock::blocking;
use super::manifest::{Manifest, RAM, STATE, device};
use super::recipe::Key;
use crate::guest::Origin;
use crate::qemu::{Cloning, GuestMemory, Machine, MemoryFile, Sharing};
use serde::de::DeserializeOwned;
use std::fs::File;
use std::path::{Path, PathBuf};

/// A verified template. As long as it is held it is not pruned.
#[derive(Debug)]
pub struct Snapshot {
    pub(super) folder: PathBuf,
    pub(super) manifest: Manifest,
    pub(super) machine: Machine,
    pub(super) _in_use: File,
}

impl Snapshot {
    /// Its key.
    pub fn key(&self) -> &Key {
        &self.manifest.key
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// The machine that every clone is.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// What its maker learnt, if it is of this type.
    pub fn facts<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(&self.manifest.facts)
    }

    /// The folder with its files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How its QEMU saves and restores.
    pub fn cloning(&self) -> Cloning {
        self.manifest.cloning
    }

    /// Where clones come from.
    pub(super) fn origin<'a>(&'a self, state: &'a Path) -> Origin<'a> {
        Origin {
            state,
            route: self.manifest.cloning.route,
            boot_id: &self.manifest.boot_id,
        }
    }

    /// The file with the state of the devices.
    pub(super) fn state(&self) -> PathBuf {
        self.folder.join(STATE)
    }

    /// Its memory files, opened for a clone.
    pub(super) fn private_memory(&self) -> Result<GuestMemory, StoreError> {
        let sharing = if self.manifest.cloning.sealed {
            Sharing::Sealed
        } else {
            Sharing::Private
        };
        let open = |name: &str, size| MemoryFile::open(&self.folder.join(name), size, sharing);
        let devices = self.machine.devices.iter().enumerate();
        Ok(GuestMemory {
            ram: open(RAM, self.machine.memory)?,
            devices: devices
                .map(|(index, shape)| open(&device(index), shape.footprint()))
                .collect::<Result<_, _>>()?,
            place: format!(
                "guest memory is that of the template `{}`, copied on write",
                self.name()
            ),
        })
    }

    /// A copy of its memory, for a guest whose writes are to last.
    pub(super) async fn copied_memory(&self) -> Result<GuestMemory, StoreError> {
        let (from, to) = (self.private_memory()?, GuestMemory::create(&self.machine)?);
        let folder = self.folder.clone();
        blocking(move || {
            let pairs = std::iter::once((&from.ram, &to.ram)).chain(from.devices.iter().zip(&to.devices));
            for (from, to) in pairs {
                copy(from.file(), to.file()).doing("copy guest memory from", &folder)?;
            }
            Ok(to)
        })
        .await?
    }
}
