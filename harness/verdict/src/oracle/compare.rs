// SPDX-License-Identifier: MIT OR Apache-2.0
//! A prediction against what was seen.
//!
//! The signature of a difference is the same on every run, so that a known issue can name it.

use super::observed::{Observed, SeenEntry, SeenSignal, SeenVictim};
use super::parts;
use super::prediction::{
    BadblocksAfter, ExpectedSignal, Fate, FilesystemAfter, Handled, InjectorEnd, Justification, NotifyCalls,
    Part, Prediction, Told,
};
use super::values;
use super::words;
use crate::observe::SIGBUS;
use guest_agent::call::{BadRange, SECTOR};
use guest_agent::victim::Ended;
use std::collections::BTreeSet;
use testcases::{FindingKind, FindingSignature, FindingValue, FindingWord, Place};

/// One thing that is not as predicted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// By what a known issue names it.
    pub signature: FindingSignature,
    /// What differs, in one sentence without pids and addresses.
    pub what: String,
    /// What was predicted.
    pub expected: String,
    /// What was seen.
    pub seen: String,
    /// The rule by which it was expected, with the kernel's function, and the facts to which it was applied.
    pub because: Option<String>,
}

/// What came of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Comparison {
    /// Everything that is not as predicted.
    pub differences: Vec<Difference>,
    /// The parts that were held against what was seen.
    pub compared: Vec<String>,
    /// The parts for which there was no prediction, each with the reason.
    pub unpredicted: Vec<(String, String)>,
    /// The parts that were predicted and not looked at.
    pub unseen: Vec<String>,
}

/// Holds what was seen of a kernel that went on against what was predicted.
pub fn compare(prediction: &Prediction, observed: &Observed) -> Comparison {
    let mut comparison = Comparison::default();
    match prediction {
        Prediction::Panic(justification) => {
            comparison.compared.push(parts::KERNEL.to_owned());
            comparison.differs(
                FindingSignature::new(FindingKind::Kernel, [FindingWord::WentOn]),
                "oracle: expected a panic, the kernel went on",
                "a panic",
                "no panic",
                Some(justification.to_string()),
            );
        }
        Prediction::Handled(expected) => comparison.handled(expected, observed),
    }
    comparison
}

impl Comparison {
    fn differs(
        &mut self,
        signature: FindingSignature,
        what: impl Into<String>,
        expected: impl Into<String>,
        seen: impl Into<String>,
        because: Option<String>,
    ) {
        self.differences.push(Difference {
            signature,
            what: what.into(),
            expected: expected.into(),
            seen: seen.into(),
            because,
        });
    }

    /// Looks at a part that is both predicted and seen, and notes the others.
    fn part<'p, E, S>(&mut self, name: &str, expected: &'p Part<E>, seen: Option<S>) -> Option<(&'p E, S)> {
        match (expected, seen) {
            (Part::Known(expected), Some(seen)) => {
                self.compared.push(name.to_owned());
                Some((expected, seen))
            }
            (Part::Known(_), None) => {
                self.unseen.push(name.to_owned());
                None
            }
            (Part::Unknown(why), _) => {
                self.unpredicted.push((name.to_owned(), why.clone()));
                None
            }
        }
    }

    fn handled(&mut self, expected: &Handled, observed: &Observed) {
        let filesystem = || expected.decided.filesystem.as_ref().map(Justification::to_string);
        let end = || expected.decided.end.as_ref().map(Justification::to_string);
        self.victims(expected, observed);
        self.injector(expected, observed);
        if let Some((&calls, seen)) = self.part(
            parts::NOTIFY_FAILURE,
            &expected.notify,
            observed.notify.as_deref(),
        ) && !notified(calls, seen)
        {
            let signature = values::notify(seen);
            let (calls, seen) = (words::notify(calls), words::notify_seen(seen));
            self.differs(
                signature,
                format!("oracle: expected {calls} of xfs_dax_notify_failure, saw {seen}"),
                calls,
                seen,
                filesystem(),
            );
        }
        if let Some((&state, seen)) = self.part(parts::FILESYSTEM, &expected.filesystem, observed.filesystem)
            && !same_state(state, seen)
        {
            let signature = values::filesystem(seen);
            let (state, seen) = (words::filesystem(state), words::filesystem(seen));
            self.differs(
                signature,
                format!("oracle: expected the filesystem to be {state}, saw it {seen}"),
                state,
                seen,
                filesystem(),
            );
        }
        if let Some((after, seen)) =
            self.part(parts::BADBLOCKS, &expected.badblocks, observed.badblocks.as_ref())
        {
            let because = expected.decided.badblocks.as_ref().map(Justification::to_string);
            self.badblocks(after, seen, because);
        }
        if let Some((&bytes, seen)) =
            self.part(parts::HARDWARE_CORRUPTED, &expected.corrupted, observed.corrupted)
            && i64::try_from(bytes) != Ok(seen)
        {
            self.differs(
                FindingSignature::new(FindingKind::HardwareCorrupted, [FindingValue::Number(seen)]),
                format!("oracle: expected HardwareCorrupted to grow by {bytes} bytes, saw {seen}"),
                format!("{bytes} bytes"),
                format!("{seen} bytes"),
                end(),
            );
        }
        if let Some((&event, seen)) = self.part(parts::EVENT, &expected.event, observed.events.as_deref()) {
            let event: Vec<_> = event.into_iter().collect();
            if event != seen {
                let signature = values::events(seen);
                let (event, seen) = (words::events(&event), words::events(seen));
                self.differs(
                    signature,
                    format!("oracle: expected memory_failure_event {event}, saw {seen}"),
                    event,
                    seen,
                    end(),
                );
            }
        }
    }

    fn injector(&mut self, expected: &Handled, observed: &Observed) {
        if expected.injector == Part::Known(InjectorEnd::NoCall) {
            return;
        }
        let Some((&InjectorEnd::Returns(end), seen)) =
            self.part(parts::INJECTOR, &expected.injector, observed.injector)
        else {
            return;
        };
        if end != seen {
            let signature = values::injector(seen);
            let (end, seen) = (words::ending(end), words::ending(seen));
            self.differs(
                signature,
                format!("oracle: expected the injector to get {end}, saw {seen}"),
                end,
                seen,
                expected.decided.end.as_ref().map(Justification::to_string),
            );
        }
    }

    fn badblocks(&mut self, after: &BadblocksAfter, seen: &[BadRange], because: Option<String>) {
        let before = sectors(&after.before);
        let expected: BTreeSet<u64> = before
            .iter()
            .copied()
            .chain(sectors(after.added.as_slice()))
            .collect();
        let seen = sectors(seen);
        if expected == seen {
            return;
        }
        let kind = if seen == before {
            "unchanged"
        } else if seen.is_subset(&before) {
            "shorter"
        } else {
            "changed"
        };
        let list = |sectors: &BTreeSet<u64>| match (sectors.first(), sectors.last()) {
            (Some(first), Some(last)) => format!(
                "{} bad sectors between device offsets {:#x} and {:#x}",
                sectors.len(),
                first * SECTOR,
                (last + 1) * SECTOR
            ),
            _ => "no bad sectors".to_owned(),
        };
        let word = FindingWord::of_sets(&expected, &seen);
        self.differs(
            FindingSignature::new(FindingKind::Badblocks, [word]),
            format!(
                "oracle: expected badblocks to {}, saw them {kind}",
                words::badblocks(after)
            ),
            list(&expected),
            list(&seen),
            because,
        );
    }

    fn victims(&mut self, expected: &Handled, observed: &Observed) {
        for (name, fate) in &expected.victims {
            let seen = observed.victims.get(name);
            let Some((fate, seen)) = self.part(&parts::victim(name), fate, seen) else {
                continue;
            };
            let concerned = fate.told.is_hit() || is_hit(fate, seen);
            if concerned && !as_told(&fate.told, seen) {
                let (told, got) = (words::describe_told(&fate.told), words::seen(seen));
                self.differs(
                    values::victim(name, seen),
                    format!("oracle: expected {name} to {told}, saw {name} {got}"),
                    told,
                    addresses(seen).unwrap_or(got),
                    Some(fate.reason(name)),
                );
            }
            self.entries(name, fate, seen);
        }
    }

    fn entries(&mut self, name: &str, fate: &Fate, seen: &SeenVictim) {
        if seen.ended.is_some() {
            return;
        }
        for entry in &fate.entries {
            let which = parts::entry(name, entry.map);
            let found = seen
                .entries
                .iter()
                .find(|seen| (seen.map, seen.at) == (entry.map, entry.at))
                .map(|seen: &SeenEntry| seen.here);
            if let Some((&gone, here)) = self.part(&which, &entry.gone, found)
                && gone == here
            {
                let (expected, saw) = if gone {
                    ("gone", "present")
                } else {
                    ("present", "gone")
                };
                let place = Place::of(entry.map, entry.at);
                self.differs(
                    FindingSignature::new(FindingKind::Entry, [values::there(here)])
                        .of(name)
                        .at(place),
                    format!("oracle: expected {which} to be {expected}, saw it {saw}"),
                    expected,
                    saw,
                    Some(format!("{}; {name} {}", entry.rule, fate.because)),
                );
            }
        }
    }
}

/// Whether a signal has reached a victim in any way.
fn is_hit(fate: &Fate, seen: &SeenVictim) -> bool {
    let pends = seen.sigbus_pending && (!fate.pending_before || fate.told == Told::Pending);
    pends || !seen.signals.is_empty() || matches!(seen.ended, Some(Ended::Killed(_)))
}

fn as_told(told: &Told, seen: &SeenVictim) -> bool {
    match told {
        Told::Nothing => false,
        Told::Dies => seen.ended == Some(Ended::Killed(SIGBUS)) && seen.signals.is_empty(),
        Told::Pending => seen.sigbus_pending && seen.signals.is_empty() && seen.ended.is_none(),
        Told::Signals { any_of, most } => {
            let mut left: Vec<&ExpectedSignal> = any_of.iter().collect();
            let each_is_expected = seen.signals.iter().all(|signal| {
                let found = left.iter().position(|expected| is(expected, signal));
                found.map(|index| left.swap_remove(index)).is_some()
            });
            each_is_expected
                && (1..=*most).contains(&seen.signals.len())
                && seen.ended.is_none()
                && !seen.sigbus_pending
        }
    }
}

fn is(expected: &ExpectedSignal, seen: &SeenSignal) -> bool {
    let same_place = match (expected.place, seen.place) {
        (None, place) => place.is_none(),
        (Some(_), None) => false,
        (Some(expected), Some((map, at))) => {
            // What lies below the least significant bit says nothing, unless the kernel is known to tell it.
            let below = match expected.lsb {
                Some(lsb) if !expected.exact => lsb,
                _ => 0,
            };
            let start = seen.address.wrapping_sub(at);
            expected.map == map
                && (seen.address >> below) == (start.wrapping_add(expected.at) >> below)
                && expected.lsb.is_none_or(|lsb| seen.lsb == Some(lsb))
        }
    };
    let same_thread = seen
        .thread
        .as_ref()
        .is_none_or(|thread| *thread == expected.thread);
    seen.number == SIGBUS && seen.code == expected.code.number() && same_place && same_thread
}

/// The addresses of the signals that a victim got.
fn addresses(seen: &SeenVictim) -> Option<String> {
    let list: Vec<String> = seen
        .signals
        .iter()
        .map(|signal| format!("{:#x}", signal.address))
        .collect();
    (!list.is_empty()).then(|| format!("{}, si_addr {}", words::seen(seen), list.join(", ")))
}

fn notified(expected: NotifyCalls, seen: &[Option<i32>]) -> bool {
    match expected {
        NotifyCalls::Never => seen.is_empty(),
        NotifyCalls::Once(result) => *seen == [Some(result.err().map_or(0, |errno| -(errno as i32)))],
    }
}

fn same_state(expected: FilesystemAfter, seen: FilesystemAfter) -> bool {
    match (expected, seen) {
        // One of the two does not know why: that it is shut down is what can be compared.
        (FilesystemAfter::ShutDown(None), FilesystemAfter::ShutDown(_))
        | (FilesystemAfter::ShutDown(_), FilesystemAfter::ShutDown(None)) => true,
        _ => expected == seen,
    }
}

fn sectors(ranges: &[BadRange]) -> BTreeSet<u64> {
    ranges
        .iter()
        .flat_map(|range| range.start.0 / SECTOR..(range.start.0 + range.length).div_ceil(SECTOR))
        .collect()
}
