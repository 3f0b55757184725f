// SPDX-License-Identifier: MIT OR Apache-2.0
//! The device's list of bad sectors.

use super::Checks;
use crate::judge::oracle::About;
use crate::observe::evidence::{Layout, Observation};
use crate::oracle::parts;
use guest_agent::address::{GuestPhysical, PAGE_SIZE};
use guest_agent::call::SECTOR;
use std::collections::BTreeSet;
use testcases::{BadRange, Bytes, FindingKind, FindingSignature, FindingWord};

impl Checks<'_> {
    pub(super) fn badblocks(&mut self, step: usize, expected: &[BadRange], seen: &Observation) {
        let mut wanted = BTreeSet::new();
        for range in expected {
            match sectors(range, seen) {
                Ok(sectors) => wanted.extend(sectors),
                Err(why) => {
                    self.note(
                        step,
                        FindingSignature::new(FindingKind::Badblocks, [FindingWord::Unknown]),
                        "the expected bad range is nowhere",
                        "a place in memory",
                        why,
                    );
                    return;
                }
            }
        }
        let got: BTreeSet<u64> = seen
            .badblocks
            .iter()
            .flat_map(|range| sectors_of(range.start, range.length))
            .collect();
        if wanted != got {
            let seen = FindingWord::of_sets(&wanted, &got);
            self.note(
                step,
                FindingSignature::new(FindingKind::Badblocks, [seen]),
                "badblocks lists other sectors",
                ranges(&wanted),
                ranges(&got),
            );
            self.knew(step, About::Part(parts::BADBLOCKS));
        }
    }
}

fn sectors_of(start: GuestPhysical, length: u64) -> impl Iterator<Item = u64> {
    let first = start.0 / SECTOR;
    let end = start.0.saturating_add(length).div_ceil(SECTOR);
    first..end
}

fn sectors(range: &BadRange, seen: &Observation) -> Result<Vec<u64>, String> {
    match range {
        BadRange::Injected { .. } if seen.injected.is_empty() => Err("nothing has been injected".to_owned()),
        BadRange::Injected { length } => Ok(seen
            .injected
            .iter()
            .flat_map(|&start| sectors_of(start, length.0))
            .collect()),
        BadRange::Device { of, offset, length } => part(&seen.devices, of.as_str(), *offset, *length),
        BadRange::File { file, offset, length } => part(&seen.layout, file.as_str(), *offset, *length),
    }
}

/// A part of a file or device, as sectors of memory.
fn part(layout: &Layout, name: &str, offset: Bytes, length: Bytes) -> Result<Vec<u64>, String> {
    let pages = layout
        .get(name)
        .ok_or_else(|| format!("the layout of {name} is unknown"))?;
    let end = offset.0.saturating_add(length.0);
    let mut all = Vec::new();
    let mut at = offset.0;
    while at < end {
        let page = at - at % PAGE_SIZE;
        let place = pages
            .get(&page)
            .ok_or_else(|| format!("{name} has no block at {page:#x}"))?;
        let until = end.min(page + PAGE_SIZE);
        all.extend(sectors_of(GuestPhysical(place.0 + at % PAGE_SIZE), until - at));
        at = until;
    }
    Ok(all)
}

/// Sectors as ranges of bytes in the guest's memory.
fn ranges(sectors: &BTreeSet<u64>) -> String {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for &sector in sectors {
        match ranges.last_mut() {
            Some((_, end)) if *end == sector => *end += 1,
            _ => ranges.push((sector, sector + 1)),
        }
    }
    if ranges.is_empty() {
        return "none".to_owned();
    }
    let text =
        |&(start, end): &(u64, u64)| format!("{} bytes at {:#x}", (end - start) * SECTOR, start * SECTOR);
    ranges.iter().map(text).collect::<Vec<_>>().join(", ")
}
