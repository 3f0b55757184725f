// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where templates are made and guests are cloned.

use super::error::{MakeError, SnapshotError};
use super::kept::Snapshot;
use super::manifest::STATE;
use super::recipe::Recipe;
use super::store::{Made, Store};
use crate::guest::{BOOT_DEADLINE, Evidence, Guest, GuestError, Hardware};
use crate::qemu::{Cloning, Machine};
use guest_images::Image;
use guest_images::qemu::Qemu;
use std::path::Path;

/// All that templates of one image under one QEMU have in common.
pub struct Workshop<'a> {
    /// Where they are kept.
    pub store: &'a Store,
    /// The QEMU, as it is started.
    pub hardware: &'a Hardware,
    /// The same QEMU, as it is identified.
    pub qemu: &'a Qemu,
    /// What they boot.
    pub image: &'a Image,
    /// Hears what is worth a word.
    pub note: &'a (dyn Fn(&str) + Sync),
}

impl Workshop<'_> {
    /// The template called `name`: `machine` booted, and brought into its state by `bring`.
    ///
    /// `steps` is what `bring` does, written down: it does nothing that is not there. What it returns is kept with
    /// the template, see [`Snapshot::facts`].
    pub async fn booted<E>(
        &self,
        name: &str,
        machine: &Machine,
        steps: &[String],
        bring: impl AsyncFnOnce(&Guest) -> Result<serde_json::Value, E>,
    ) -> Result<Snapshot, MakeError<E>> {
        let recipe = Recipe::booted(name, self.image, self.qemu, machine, steps);
        let make = async |scratch: &Path| {
            let guest = Guest::boot(self.hardware, machine, self.image, silent(scratch), BOOT_DEADLINE)
                .await
                .map_err(|source| failed(name, source))?;
            // Before anything is done in vain.
            let cloning = guest.cloning().await.map_err(|source| failed(name, source))?;
            let facts = bring(&guest).await.map_err(MakeError::Setup)?;
            made(name, guest, cloning, facts, scratch).await
        };
        self.store.obtain(&recipe, machine, self.note, make).await
    }

    /// The template called `name` that begins where `parent` ends.
    pub async fn after<E>(
        &self,
        name: &str,
        parent: &Snapshot,
        steps: &[String],
        bring: impl AsyncFnOnce(&Guest) -> Result<serde_json::Value, E>,
    ) -> Result<Snapshot, MakeError<E>> {
        let recipe = Recipe::after(name, parent.key(), steps);
        let make = async |scratch: &Path| {
            let memory = parent.copied_memory().await?;
            let state = parent.state();
            let guest = Guest::restore(
                self.hardware,
                parent.machine(),
                self.image,
                memory,
                parent.origin(&state),
                silent(scratch),
            )
            .await
            .map_err(|source| failed(name, source))?;
            let facts = bring(&guest).await.map_err(MakeError::Setup)?;
            made(name, guest, parent.cloning(), facts, scratch).await
        };
        self.store
            .obtain(&recipe, parent.machine(), self.note, make)
            .await
    }

    /// A guest of its own, in the state of `template`; what it does is seen by nobody else and ends with it.
    pub async fn clone_guest(
        &self,
        template: &Snapshot,
        evidence: Evidence<'_>,
    ) -> Result<Guest, SnapshotError> {
        let memory = template.private_memory()?;
        let state = template.state();
        Guest::restore(
            self.hardware,
            template.machine(),
            self.image,
            memory,
            template.origin(&state),
            evidence,
        )
        .await
        .map_err(|source| failed(template.name(), source))
    }
}

/// The console of a template's guest is kept with the template; its QMP is not.
fn silent(folder: &Path) -> Evidence<'_> {
    Evidence {
        folder,
        qmp_log: None,
    }
}

fn failed(name: &str, source: GuestError) -> SnapshotError {
    SnapshotError::Guest {
        name: name.to_owned(),
        source,
    }
}

async fn made<E>(
    name: &str,
    guest: Guest,
    cloning: Cloning,
    facts: serde_json::Value,
    scratch: &Path,
) -> Result<Made, MakeError<E>> {
    let saved = guest
        .save(&scratch.join(STATE), cloning.route)
        .await
        .map_err(|source| failed(name, source))?;
    Ok(Made {
        cloning,
        memory: saved.memory,
        boot_id: saved.boot_id,
        facts,
    })
}
