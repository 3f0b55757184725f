// SPDX-License-Identifier: MIT OR Apache-2.0
//! Injecting: what must be true before, and what must be asked before it is too late.

use super::{Scene, Trouble};
use crate::inject::inject;
use crate::nvdimm::{self, Dax, MOUNT_POINT, Place, path_of};
use crate::observe::evidence::{Layout, StepEvidence};
use guest_agent::address::{FileOffset, GuestPhysical, PAGE_SIZE};
use guest_agent::call::{AskVictim, MarkTrace, Outcome};
use testcases::{Action, BadRange, Expect, Injection, Target};

/// The longest range of badblocks that an expectation may name, in pages.
const LONGEST_RANGE: u64 = 1 << 16;

impl Scene<'_> {
    pub(super) async fn inject(&mut self, injection: &Injection) -> Result<StepEvidence, Trouble> {
        self.require_dax(&injection.at).await?;
        if self.latest.is_none() {
            self.layout = self.survey().await?;
        }
        let place = nvdimm::locate(&self.guest.agent, self.stack, &injection.at).await?;
        self.check_against_victims(&injection.at, place).await?;
        // What an earlier injection has brought belongs to the time before this one.
        self.ask_victims().await?;
        for victim in self.victims.values_mut() {
            victim.view.before = victim.view.signals.len();
        }
        self.since = self.call(MarkTrace {}).await?;
        let injected = inject(&self.guest.agent, &self.guest.qmp, injection.by, place).await?;
        self.latest = Some(injected.clone());
        Ok(StepEvidence::Injected(injected))
    }

    /// Without DAX the page is one of the page cache, and everything that follows would be about something else.
    pub(super) async fn require_dax(&self, target: &Target) -> Result<(), Trouble> {
        let (dax, what) = match target {
            Target::File { file, .. } => {
                let path = path_of(file.as_str());
                match nvdimm::is_dax(&self.guest.agent, path.clone()).await? {
                    Outcome::Done(dax) => (dax, path),
                    Outcome::Refused(refusal) => return Err(Trouble::Refused(refusal)),
                }
            }
            Target::Metadata { .. } | Target::FreeSpace { .. } => (self.dax, MOUNT_POINT.to_owned()),
        };
        match dax {
            Dax::Proved => Ok(()),
            Dax::Absent => Err(Trouble::Impossible(format!(
                "{what} is not DAX (statx shows no STATX_ATTR_DAX; mount options: {}): a memory error there would hit \
                 the page cache",
                self.mount_options
            ))),
        }
    }

    /// Where the files lie that expectations about badblocks name. Asked before the first injection: afterwards a
    /// filesystem that shut down answers nothing.
    pub(super) async fn survey(&self) -> Result<Layout, Trouble> {
        let mut layout = Layout::new();
        let states = self.case.steps.iter().filter_map(|step| match &step.action {
            Action::Expect(Expect::State(state)) => state.badblocks.as_ref(),
            _ => None,
        });
        for range in states.flatten() {
            let BadRange::File { file, offset, length } = range else {
                continue;
            };
            let end = offset.0.saturating_add(length.0);
            let mut page = FileOffset(offset.0).page().0;
            if (end - page) / PAGE_SIZE > LONGEST_RANGE {
                return Err(Trouble::Impossible(format!(
                    "a bad range of {length} is longer than can be followed"
                )));
            }
            let pages = layout.entry(file.as_str().to_owned()).or_default();
            while page < end {
                let found = nvdimm::resolve(
                    &self.guest.agent,
                    self.stack,
                    &path_of(file.as_str()),
                    FileOffset(page),
                    false,
                )
                .await?;
                pages.insert(page, found.place.physical);
                page += PAGE_SIZE;
            }
        }
        Ok(layout)
    }

    /// A victim that has the very page mapped and present knows its address independently.
    pub(super) async fn check_against_victims(&self, target: &Target, place: Place) -> Result<(), Trouble> {
        let Target::File { file, offset } = target else {
            return Ok(());
        };
        let page = FileOffset(offset.0).page();
        for (name, victim) in &self.victims {
            if victim.released || victim.file != file.as_str() || victim.touches.page() != page {
                continue;
            }
            let state = self
                .call(AskVictim {
                    name: name.clone(),
                    page: Some(page),
                })
                .await?;
            let mapped = state
                .entry
                .and_then(|entry| entry.physical)
                .map(GuestPhysical::page);
            if mapped.is_some_and(|mapped| mapped != place.physical.page()) {
                return Err(Trouble::Harness(format!(
                    "{name} has {file} at {page} mapped to {mapped:x?}, but it was computed to be at {}",
                    place.physical.page()
                )));
            }
        }
        Ok(())
    }
}
