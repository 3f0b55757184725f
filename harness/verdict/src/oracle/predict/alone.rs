// SPDX-License-Identifier: MIT OR Apache-2.0
//! What mm does without a filesystem.

use super::{Oracle, Outcome};
use crate::oracle::facts::{Entry, FilePlace, Filesystem, OwnerFacts, Region};
use crate::oracle::prediction::{Justification, NotifyCalls, Part};
use crate::oracle::rule::Kernels;
use crate::oracle::rules::FALLBACK;
use crate::oracle::situation::{Alone, Fallback, Loss};
use crate::oracle::victims::{Address, Reach};
use nix::errno::Errno;
use std::collections::BTreeSet;

impl Oracle<'_> {
    /// `mf_generic_kill_procs()`.
    pub(super) fn fallback(&mut self, notify: NotifyCalls) -> Outcome {
        let mounted = matches!(self.facts.filesystem, Filesystem::Mounted(_));
        let files: Vec<(&OwnerFacts, FilePlace)> = self
            .losses()
            .into_iter()
            .filter(|(_, loss, _)| matches!(loss, Loss::Data | Loss::Unknown))
            .filter_map(|(owner, ..)| Some((owner, self.place(owner)?)))
            .collect();
        // Whoever has the page shows a file that has it, should GETFSMAP and FIEMAP not know of it.
        let shown = self
            .facts
            .victims
            .iter()
            .flat_map(|victim| &victim.pages)
            .filter(|page| matches!(page.entry, Entry::Here(_)))
            .map(|page| page.file);
        // Before anything else the injector's own fault associates the page with its file.
        let by_injector = self.injecting_page().filter(|_| self.way().faults());
        let seen = files
            .iter()
            .filter(|(owner, _)| owner.faulted == Some(true))
            .map(|(_, place)| *place);
        let faulted: BTreeSet<FilePlace> = seen
            .chain(shown)
            .chain(by_injector.map(|page| page.file))
            .collect();
        let doubtful: BTreeSet<FilePlace> = files
            .iter()
            .filter(|(owner, place)| owner.faulted.is_none() && !faulted.contains(place))
            .map(|(_, place)| *place)
            .collect();
        let places: BTreeSet<FilePlace> = files
            .iter()
            .map(|(_, place)| *place)
            .chain(faulted.iter().copied())
            .collect();
        // A mounted filesystem that could not be asked may have more of them than these.
        let unasked = usize::from(mounted && self.facts.owners.is_none());
        let alone = Alone {
            places: places.len() + unasked,
            faulted: faulted.len(),
            doubtful: doubtful.len() + unasked,
            by_injector: by_injector.is_some(),
            filter: self.facts.settings.corrupt_filter,
        };
        let Some(rule) = self.rule("mm alone", FALLBACK, &alone) else {
            return Self::unknown("no rule says what mm does alone");
        };
        let outcome = match rule.then {
            Fallback::Busy => Outcome::quiet(Some(Err(Errno::EBUSY)), notify),
            Fallback::OneFile => Outcome {
                reach: Reach::Places {
                    places: faulted.into_iter().collect(),
                    told: self.told_by_page(),
                },
                ..Outcome::quiet(Some(Ok(())), notify)
            },
            Fallback::SomeFile => Outcome {
                reach: Reach::Some(rule.says.to_owned()),
                ..Outcome::quiet(Some(Ok(())), notify)
            },
            Fallback::Unknown => Outcome {
                result: Part::Unknown(rule.says.to_owned()),
                reach: Reach::Some(rule.says.to_owned()),
                ..Outcome::quiet(None, notify)
            },
        };
        Outcome {
            ended: Some(Justification::of("mm alone", rule)),
            ..outcome
        }
    }

    /// What mm alone tells of a page that it finds by itself: mf_generic_kill_procs() goes on with compound_head(). A character
    /// device of more than 4 KiB has compound struct pages (drivers/dax/device.c:dev_dax_probe, vmemmap_shift), fsdax from 6.15 on.
    fn told_by_page(&self) -> Address {
        match self.injection.page.region {
            Region::DeviceDax { page, .. } => Address::StartOf(page),
            _ if Kernels::Before(6, 15).contain(self.kernel) => Address::Page,
            // A folio of 2 MiB is found by its head page: its address is told, with an lsb that says so.
            _ => Address::AsLsbSays,
        }
    }
}
