// SPDX-License-Identifier: MIT OR Apache-2.0
//! Templates and clones without a run around them.

use super::{cache, chosen_qemu};
use guest_agent::call::{Run, RunResult};
use guest_images::progress::Silent;
use guest_images::qemu::Qemu;
use guest_images::{Cache, Image, KernelSpec};
use harness::template;
use machine::accel::{self, Accelerator, Host};
use machine::guest::{self, Evidence, Guest, Hardware};
use machine::qemu::Program;
use machine::snapshot::{MakeError, Snapshot, Store, Workshop};
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

/// For a tool in the guest that fills the NVDIMM, under emulation and beside other guests.
const PATIENCE: Duration = Duration::from_secs(120);

/// The templates that lead to `xfs`.
pub(crate) struct Chain {
    pub(crate) booted: Snapshot,
    pub(crate) fsdax: Snapshot,
    pub(crate) xfs: Snapshot,
}

/// Everything that templates of one kernel need, and the notes that their making leaves.
pub(crate) struct Workbench {
    pub(crate) cache: Cache,
    qemu: Qemu,
    image: Image,
    hardware: Hardware,
    notes: Mutex<Vec<String>>,
}

impl Workbench {
    /// Of the default kernel.
    pub(crate) fn new() -> Self {
        Self::of(&KernelSpec::default_kernel().unwrap())
    }

    pub(crate) fn of(kernel: &KernelSpec) -> Self {
        let cache = cache();
        let qemu = guest_images::qemu::locate(chosen_qemu().as_deref(), &cache, &Silent).unwrap();
        let image = guest_images::prepare(kernel, &cache, &Silent).unwrap();
        let known = accel::remembered(cache.root(), &qemu.digest, &Host::look());
        let hardware = Hardware {
            program: Program::from(&qemu),
            // What runs have found to work; emulation always does.
            accelerator: known.map_or(Accelerator::Tcg, |(accelerator, _)| accelerator),
        };
        Self {
            cache,
            qemu,
            image,
            hardware,
            notes: Mutex::default(),
        }
    }

    /// The notes since this was asked last.
    pub(crate) fn take_notes(&self) -> String {
        std::mem::take(&mut *self.notes.lock().unwrap()).join("\n")
    }

    /// The templates, by the same recipes as a run's, so that they may be there already.
    pub(crate) async fn chain(&self, store: &Store) -> Chain {
        let note = |text: &str| self.notes.lock().unwrap().push(text.to_owned());
        let workshop = self.workshop(store, &note);
        let wanted = testcases::Template::default();
        let machine = guest::machine(&self.image, self.hardware.accelerator, template::devices(&wanted));
        match template::keep(&workshop, &machine, &wanted).await {
            Ok(chain) => Chain {
                booted: chain.booted,
                fsdax: chain.namespaces,
                xfs: chain.xfs.unwrap(),
            },
            Err(MakeError::Setup(error)) => panic!("{error}: {error:?}"),
            Err(MakeError::Snapshot(error)) => panic!("{error}: {error:?}"),
        }
    }

    /// A clone that leaves its evidence in `folder`.
    pub(crate) async fn clone_of(&self, store: &Store, template: &Snapshot, folder: &Path) -> Guest {
        let evidence = Evidence {
            folder,
            qmp_log: None,
        };
        self.workshop(store, &|_| {})
            .clone_guest(template, evidence)
            .await
            .unwrap()
    }

    fn workshop<'a>(&'a self, store: &'a Store, note: &'a (dyn Fn(&str) + Sync)) -> Workshop<'a> {
        Workshop {
            store,
            hardware: &self.hardware,
            qemu: &self.qemu,
            image: &self.image,
            note,
        }
    }
}

/// What a shell in the guest answers to `script`.
pub(crate) async fn ask(guest: &Guest, script: &str) -> RunResult {
    let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
    guest
        .agent
        .call(
            Run {
                argv,
                deadline_ms: None,
            },
            PATIENCE,
        )
        .await
        .unwrap()
}
