// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the oracle knew of something that a failed expectation is about.

use super::record;
use crate::observe::evidence::{Evidence, Hit};
use crate::oracle::parts;
use guest_agent::address::PAGE_SIZE;
use testcases::{Action, DataAccess, Expect, KernelVersion, Place};

/// What an expectation is about.
#[derive(Debug, Clone, Copy)]
pub(in crate::judge) enum About<'a> {
    /// What a victim was told.
    Victim(&'a str),
    /// An entry of a victim's page table.
    Entry(&'a str, Place),
    /// What a part of the prediction says that is no victim's; one of [`parts`].
    Part(&'static str),
    /// An operation that was tried.
    Operation(&'a Action),
}

/// What was predicted of it by the latest error before this step, or why nothing was; `None` where no error has to do with it.
pub(in crate::judge) fn knew(
    evidence: &Evidence,
    kernel: &KernelVersion,
    step: usize,
    about: About<'_>,
) -> Option<String> {
    let mut injections = evidence.injections().filter(|(at, _)| *at < step);
    match about {
        // A page stays bad: whichever error hit it.
        About::Operation(action) => {
            let mut hits = injections
                .rev()
                .flat_map(|(step, injected)| injected.hits.iter().rev().map(move |hit| (step, hit)));
            let (step, hit, part) = hits.find_map(|(step, hit)| Some((step, hit, use_of(action, hit)?)))?;
            said(step, hit, part, evidence, kernel)
        }
        // What is expected of anything else is what the latest injection has brought.
        About::Victim(name) => {
            let (step, injected) = injections.next_back()?;
            said(
                step,
                telling(name, &injected.hits)?,
                &parts::victim(name),
                evidence,
                kernel,
            )
        }
        About::Entry(name, place) => {
            let (step, injected) = injections.next_back()?;
            let hit = injected.hits.iter().rev().find(|hit| maps(hit, name, place))?;
            let map = usize::try_from(place.map).ok()?;
            let of_entry = said(step, hit, &parts::entry(name, map), evidence, kernel);
            of_entry.or_else(|| said(step, hit, &parts::victim(name), evidence, kernel))
        }
        About::Part(part) => {
            let (step, injected) = injections.next_back()?;
            said(step, injected.hits.last()?, part, evidence, kernel)
        }
    }
}

/// The error that has to do with a victim: the last one in a page that it maps, or the last.
fn telling<'e>(name: &str, hits: &'e [Hit]) -> Option<&'e Hit> {
    let maps = |hit: &&Hit| {
        let mut victims = hit.facts.victims.iter();
        victims.any(|victim| victim.name == name && !victim.pages.is_empty())
    };
    hits.iter().rev().find(maps).or_else(|| hits.last())
}

/// Whether a victim maps the page that was hit at this place.
fn maps(hit: &Hit, name: &str, place: Place) -> bool {
    let mut victims = hit.facts.victims.iter().filter(|victim| victim.name == name);
    let page = place.at.0 - place.at.0 % PAGE_SIZE;
    victims.any(|victim| {
        let mut pages = victim.pages.iter();
        pages.any(|known| u32::try_from(known.map) == Ok(place.map) && known.at == page)
    })
}

/// The part of a prediction that an operation on the page that was hit belongs to; `None` for one on something else.
fn use_of(action: &Action, hit: &Hit) -> Option<&'static str> {
    let (Action::Operation(operation) | Action::Expect(Expect::Operation { operation, .. })) = action else {
        return None;
    };
    let of_file = |file: &str, offset: u64, length: u64| {
        let at = hit.injection.page.region.fs_offset()?;
        let mut owners = hit.facts.owners.iter().flatten();
        let hits = owners.any(|owner| {
            let name = owner.inode.as_ref().and_then(|inode| inode.name.as_deref());
            let place = owner.place(at).map(|place| place.offset.0);
            name == Some(file)
                && place.is_some_and(|page| page < offset + length && offset < page + PAGE_SIZE)
        });
        hits.then_some(parts::LATER_READ)
    };
    let of_victim = |name: &str, place: Place| maps(hit, name, place).then_some(parts::LATER_LOAD);
    match operation.facts().data {
        DataAccess::Part {
            file, offset, length, ..
        } => of_file(file.as_str(), offset.0, length.0),
        DataAccess::Byte(at) => of_victim(at.victim.as_str(), at.place),
        DataAccess::None => None,
    }
}

fn said(step: usize, hit: &Hit, part: &str, evidence: &Evidence, kernel: &KernelVersion) -> Option<String> {
    let record = record::of_hit(step, hit, kernel, &evidence.blind);
    let mut predicted = record.predicted.into_iter();
    if let Some(prediction) = predicted.find(|prediction| prediction.part == part) {
        let says = prediction.says.trim_end_matches('.');
        return Some(format!("the oracle expected: {says}; {}", prediction.because));
    }
    let mut unpredicted = record.unpredicted.into_iter();
    let gap = unpredicted.find(|gap| gap.part == part)?;
    Some(format!("the oracle had no prediction for {part}: {}", gap.why))
}
