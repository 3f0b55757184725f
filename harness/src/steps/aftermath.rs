// SPDX-License-Identifier: MIT OR Apache-2.0
//! What one error has brought: the difference between just before and just after.

use super::{QUESTION, Scene, Trouble};
use crate::places::Page;
use guest_agent::address::MappingOffset;
use guest_agent::call::{AskAccounts, AskPmem, AskVictim, BadRange, MarkTrace, ReadTrace};
use guest_agent::victim::Spot;
use std::collections::BTreeMap;
use verdict::observe::evidence::{After, PageAfter, VictimAfter};
use verdict::observe::probes;
use verdict::oracle::facts::{self, Facts};

/// Where things stood just before an error.
pub(super) struct Before {
    trace: usize,
    signals: BTreeMap<String, usize>,
    corrupted: u64,
}

/// What the kernel shows of a pmem device.
pub(super) struct PmemAt {
    /// Its badblocks; `None` when a page belongs to no such device, when it is gone, and when the list is longer than the kernel
    /// shows.
    pub(super) badblocks: Option<Vec<BadRange>>,
    /// It was there, and is there no more.
    pub(super) gone: bool,
}

impl Scene<'_> {
    pub(super) async fn before_hit(&mut self) -> Result<Before, Trouble> {
        self.ask_victims(QUESTION).await?;
        let signals = self
            .victims
            .iter()
            .map(|(name, victim)| (name.clone(), victim.view.signals.len()));
        Ok(Before {
            signals: signals.collect(),
            trace: self.call(MarkTrace {}).await?,
            corrupted: self.call(AskAccounts {}).await?.hardware_corrupted,
        })
    }

    pub(super) async fn after_hit(
        &mut self,
        before: &Before,
        facts: &Facts,
        page: Page,
    ) -> Result<After, Trouble> {
        let mut victims = BTreeMap::new();
        for known in &facts.victims {
            let first = before.signals.get(&known.name).copied().unwrap_or_default();
            victims.insert(known.name.clone(), self.victim_after(known, first).await?);
        }
        let since = before.trace;
        let trace = self.guest.agent.call(ReadTrace { since }, QUESTION).await?;
        let corrupted = self.call(AskAccounts {}).await?.hardware_corrupted;
        Ok(After {
            victims,
            notify_failure: probes::notify_calls(&trace),
            filesystem: self.filesystem().await?,
            badblocks: self.pmem_at(page).await?.badblocks,
            hardware_corrupted: corrupted
                .cast_signed()
                .wrapping_sub(before.corrupted.cast_signed()),
            events: probes::memory_failure_events(&trace),
        })
    }

    /// What the kernel shows of the pmem device that a page belongs to.
    pub(super) async fn pmem_at(&self, page: Page) -> Result<PmemAt, Trouble> {
        let pmem = page.nvdimm.and_then(|(index, _)| self.stack.pmems().get(index));
        let Some(pmem) = pmem else {
            return Ok(PmemAt {
                badblocks: None,
                gone: false,
            });
        };
        let device = pmem.device.clone();
        let state = self.guest.agent.call(AskPmem { device }, QUESTION).await?;
        Ok(PmemAt {
            gone: state.is_none(),
            badblocks: state
                .filter(|state| !state.truncated)
                .map(|state| state.badblocks),
        })
    }

    async fn victim_after(
        &mut self,
        known: &facts::VictimFacts,
        first: usize,
    ) -> Result<VictimAfter, Trouble> {
        let pages = known.pages.iter().map(|page| Spot {
            mapping: page.map,
            offset: MappingOffset(page.at),
        });
        let call = AskVictim {
            name: known.name.clone(),
            pages: pages.collect(),
        };
        let state = self.guest.agent.call(call, QUESTION).await?;
        let after = VictimAfter {
            signals: state.signals.get(first..).unwrap_or_default().to_vec(),
            // The first thread bears the victim's name in the guest, and another in the facts.
            threads: known
                .threads
                .iter()
                .map(|thread| (thread.tid, thread.name.clone()))
                .collect(),
            ended: state.ended,
            pending: state.pending,
            pages: state
                .pages
                .iter()
                .map(|page| PageAfter {
                    map: page.at.mapping,
                    at: page.at.offset.0,
                    entry: page.entry,
                })
                .collect(),
        };
        if let Some(victim) = self.victims.get_mut(&known.name) {
            victim.hear(state);
        }
        Ok(after)
    }
}
