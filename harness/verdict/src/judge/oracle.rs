// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the oracle says beside the case's own expectations: each error's prediction against what was seen of it.

mod knew;
mod record;

pub(super) use knew::{About, knew};
pub use record::record_predictions;

use super::checks::shutdown_reason;
use crate::observe::evidence::{After, Evidence, Filesystem, Hit, Tried, Unfinished, VictimAfter};
use crate::observe::has_sigbus;
use crate::observe::probes::Blind;
use crate::oracle::facts::{Facts, VictimFacts};
use crate::oracle::{
    Comparison, Difference, EventResult, FilesystemAfter, Observed, Prediction, SeenEntry, SeenSignal,
    SeenVictim, compare, parts, predict,
};
use guest_agent::address::GuestPhysical;
use guest_agent::victim::Signal;
use nix::errno::Errno;
use testcases::{FindingKind, KernelVersion};

/// Everything that came of these errors otherwise than it should have. What is the same of several is told once.
pub(super) fn differences(hits: &[Hit], kernel: &KernelVersion, blind: &Blind) -> Vec<Difference> {
    let mut all: Vec<(Difference, usize)> = Vec::new();
    for hit in hits {
        let Some(comparison) = compared(hit, kernel, blind) else {
            continue;
        };
        for difference in comparison.differences {
            match all
                .iter_mut()
                .find(|(known, _)| known.signature == difference.signature && known.what == difference.what)
            {
                Some((_, more)) => *more += 1,
                None => all.push((difference, 0)),
            }
        }
    }
    let told = all.into_iter().map(|(mut difference, more)| {
        if more > 0 {
            difference.seen = format!(
                "{} (and so at {more} more of {} errors)",
                difference.seen,
                hits.len()
            );
        }
        difference
    });
    told.collect()
}

/// The signals that victims got of this error just as it was predicted of them, by victim.
pub(super) fn predicted_signals<'h>(
    hit: &'h Hit,
    kernel: &KernelVersion,
    blind: &Blind,
) -> Vec<(&'h str, &'h Signal)> {
    let (Some(after), Some(comparison)) = (&hit.after, compared(hit, kernel, blind)) else {
        return Vec::new();
    };
    let as_predicted = |name: &str| {
        let differs = |difference: &Difference| {
            difference.signature.kind == FindingKind::Victim
                && difference.signature.of.as_deref() == Some(name)
        };
        comparison.compared.contains(&parts::victim(name)) && !comparison.differences.iter().any(differs)
    };
    let told = after.victims.iter().filter(|(name, _)| as_predicted(name));
    told.flat_map(|(name, seen)| seen.signals.iter().map(move |signal| (name.as_str(), signal)))
        .collect()
}

/// Whether the oracle has a prediction for what the injecting call gets, which [`differences`] then holds against its answer.
pub(super) fn predicts_the_answer(hit: &Hit, kernel: &KernelVersion, blind: &Blind) -> bool {
    let comparison = compared(hit, kernel, blind);
    comparison.is_some_and(|comparison| comparison.compared.iter().any(|part| part == parts::INJECTOR))
}

/// What was seen of an error against its prediction; `None` where nobody has looked at it afterwards.
fn compared(hit: &Hit, kernel: &KernelVersion, blind: &Blind) -> Option<Comparison> {
    let after = hit.after.as_ref()?;
    let prediction = predict(&hit.facts, &hit.injection, kernel);
    Some(compare(&prediction, &observed(hit, after, blind)))
}

/// What was predicted of the error on which the guest ended, or that the kernel did not come back from.
pub(super) fn of_the_last(evidence: &Evidence, kernel: &KernelVersion) -> Option<String> {
    let Unfinished { injection, facts } = evidence.unfinished.as_ref()?;
    Some(match predict(facts, injection, kernel) {
        Prediction::Panic(justification) => format!("the oracle expected a panic: {justification}"),
        Prediction::Handled(handled) => {
            let end = handled.decided.end?;
            format!("the oracle expected the kernel to go on: {end}")
        }
    })
}

fn observed(hit: &Hit, after: &After, blind: &Blind) -> Observed {
    let returns = |tried: &Tried| match tried {
        Tried::Succeeded(_) | Tried::ByVictim(_) => Ok(()),
        Tried::Refused(refusal) => Err(Errno::from_raw(refusal.errno)),
    };
    Observed {
        victims: hit
            .facts
            .victims
            .iter()
            .filter_map(|facts| {
                let seen = after.victims.get(&facts.name)?;
                Some((facts.name.clone(), victim(facts, seen, hit.physical)))
            })
            .collect(),
        injector: hit.injector.as_ref().map(returns),
        notify: blind
            .notify_failure
            .is_none()
            .then(|| after.notify_failure.iter().map(|call| call.returned).collect()),
        filesystem: Some(filesystem(&after.filesystem, &hit.facts)),
        badblocks: after.badblocks.clone(),
        corrupted: Some(after.hardware_corrupted),
        events: match blind.of_event("memory_failure_event") {
            None => after.events.iter().map(|text| event(text)).collect(),
            Some(_) => None,
        },
    }
}

fn victim(facts: &VictimFacts, seen: &VictimAfter, page: GuestPhysical) -> SeenVictim {
    SeenVictim {
        signals: seen.signals.iter().map(|got| signal(got, seen)).collect(),
        ended: seen.ended,
        sigbus_pending: has_sigbus(seen.pending),
        entries: seen
            .pages
            .iter()
            .filter(|_| facts.alive)
            .map(|found| SeenEntry {
                map: found.map,
                at: found.at,
                here: found.entry.present && found.entry.physical.map(GuestPhysical::page) == Some(page),
            })
            .collect(),
    }
}

fn signal(got: &Signal, seen: &VictimAfter) -> SeenSignal {
    SeenSignal {
        number: got.number,
        code: got.code,
        address: got.address,
        place: got.at.map(|spot| (spot.mapping, spot.offset.0)),
        lsb: got.lsb,
        thread: seen.threads.get(&got.tid).cloned(),
    }
}

fn filesystem(seen: &Filesystem, facts: &Facts) -> FilesystemAfter {
    use crate::oracle::facts::{Filesystem as Before, MountState};
    let was_down =
        matches!(facts.filesystem, Before::Mounted(mounted) if mounted.state == MountState::ShutDown);
    match seen {
        // What holds the device is the superblock, wherever it is mounted.
        Filesystem::Up | Filesystem::Away(_) => FilesystemAfter::Up,
        Filesystem::Unmounted => FilesystemAfter::Unmounted,
        // Why it was so before is not this error's doing.
        Filesystem::ShutDown(_) if was_down => FilesystemAfter::ShutDown(None),
        Filesystem::ShutDown(flags) => FilesystemAfter::ShutDown(flags.and_then(shutdown_reason)),
    }
}

/// The result at the end of an event's text; `None` for one that the oracle has no word for.
fn event(text: &str) -> Option<EventResult> {
    [EventResult::Recovered, EventResult::Failed]
        .into_iter()
        .find(|result| text.trim_end().ends_with(result.word()))
}
