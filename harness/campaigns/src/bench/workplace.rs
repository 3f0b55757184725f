// SPDX-License-Identifier: MIT OR Apache-2.0
//! The image, the QEMU and the template that are measured: the very ones that cases get.

use super::{BenchError, Plan};
use guest_images::Image;
use guest_images::progress::Silent;
use guest_images::qemu::Qemu;
use harness::template;
use machine::accel::Accelerator;
use machine::guest::{self, Evidence, Hardware};
use machine::qemu::Program;
use machine::snapshot::{MakeError, Snapshot, SnapshotError, Store, Workshop};
use std::path::Path;
use tempfile::TempDir;

/// Everything that guests are made from.
pub(super) struct Workplace {
    pub(super) image: Image,
    pub(super) qemu: Qemu,
    pub(super) hardware: Hardware,
    store: Store,
    folder: TempDir,
}

impl Workplace {
    /// Takes them from the cache; what is not there is made.
    pub(super) fn of(plan: &Plan, accelerator: Accelerator) -> Result<Self, BenchError> {
        let qemu = guest_images::qemu::locate(plan.qemu.as_deref(), &plan.cache, &Silent)
            .map_err(|source| BenchError::Images { what: "QEMU", source })?;
        let image = guest_images::prepare(&plan.kernel, &plan.cache, &Silent).map_err(|source| {
            BenchError::Images {
                what: "image",
                source,
            }
        })?;
        let program = Program::from(&qemu);
        Ok(Self {
            hardware: Hardware { program, accelerator },
            store: Store::open(plan.cache.root()).map_err(SnapshotError::from)?,
            image,
            qemu,
            folder: tempfile::Builder::new()
                .prefix("taster-bench-")
                .tempdir()
                .map_err(|source| {
                    BenchError::io("make", "a temporary folder for the guests' consoles", source)
                })?,
        })
    }

    /// Where templates are made, and guests are cloned.
    pub(super) fn workshop<'a>(&'a self, note: &'a (dyn Fn(&str) + Sync)) -> Workshop<'a> {
        Workshop {
            store: &self.store,
            hardware: &self.hardware,
            qemu: &self.qemu,
            image: &self.image,
            note,
        }
    }

    /// A folder for consoles that nobody reads.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// Evidence that is thrown away.
pub(super) fn thrown_away(folder: &Path) -> Evidence<'_> {
    Evidence {
        folder,
        qmp_log: None,
    }
}

/// The template that `wanted` names, from the cache if a run has left it there.
pub(super) async fn template(
    workshop: &Workshop<'_>,
    wanted: &testcases::Template,
) -> Result<Snapshot, BenchError> {
    let devices = template::devices(wanted);
    let machine = guest::machine(workshop.image, workshop.hardware.accelerator, devices);
    Ok(template::keep(workshop, &machine, wanted).await?.last())
}

impl From<MakeError<template::TemplateError>> for BenchError {
    fn from(error: MakeError<template::TemplateError>) -> Self {
        match error {
            MakeError::Setup(error) => Self::State(error),
            MakeError::Snapshot(error) => error.into(),
        }
    }
}
