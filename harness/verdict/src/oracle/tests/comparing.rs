// SPDX-License-Identifier: MIT OR Apache-2.0
//! Predictions against what was seen.

use super::world::{
    A, B, HERE, HERE_2M, PAGE, World, blocking, default, early, file, madvise, page, page_in, special,
    with_sigbus, world,
};
use super::{V6_12, V7_2};
use crate::observe::SIGBUS;
use crate::oracle::facts::Disposition;
use crate::oracle::prediction::{EventResult, FilesystemAfter, Part, Prediction};
use crate::oracle::{
    InjectorEnd, NotifyCalls, Observed, SeenEntry, SeenSignal, SeenVictim, Told, compare, predict,
};
use guest_agent::call::{BadRange, SpaceOwner};
use guest_agent::victim::Ended;
use nix::errno::Errno;
use testcases::Mechanism::MachineCheck;
use testcases::Severity::ActionOptional;
use testcases::ShutdownReason;

fn prediction(world: World) -> Prediction {
    let (facts, injection) = world.finish();
    predict(&facts, &injection, &V6_12)
}

/// What is seen when everything is as predicted.
fn obedient(prediction: &Prediction) -> Observed {
    let Prediction::Handled(handled) = prediction else {
        return Observed::default();
    };
    let victims = handled.victims.iter().filter_map(|(name, fate)| {
        let fate = fate.known()?;
        let mut seen = SeenVictim::default();
        match &fate.told {
            Told::Nothing => {}
            Told::Dies => seen.ended = Some(Ended::Killed(SIGBUS)),
            Told::Pending => seen.sigbus_pending = true,
            Told::Signals { any_of, .. } => {
                let first = &any_of[0];
                seen.signals.push(SeenSignal {
                    number: SIGBUS,
                    code: first.code.number(),
                    address: first.place.map_or(0, |place| place.address),
                    place: first.place.map(|place| (place.map, place.at)),
                    lsb: first.place.and_then(|place| place.lsb),
                    thread: None,
                });
            }
        }
        seen.entries = fate
            .entries
            .iter()
            .map(|entry| SeenEntry {
                map: entry.map,
                at: entry.at,
                here: entry.gone == Part::Known(false),
            })
            .collect();
        Some((name.clone(), seen))
    });
    Observed {
        victims: victims.collect(),
        injector: handled.injector.known().and_then(|end| match end {
            InjectorEnd::NoCall => None,
            InjectorEnd::Returns(result) => Some(*result),
        }),
        notify: handled.notify.known().map(|calls| match calls {
            NotifyCalls::Never => Vec::new(),
            NotifyCalls::Once(result) => vec![Some(result.err().map_or(0, |errno| -(errno as i32)))],
        }),
        filesystem: handled.filesystem.known().copied(),
        badblocks: handled
            .badblocks
            .known()
            .map(|after| after.before.iter().copied().chain(after.added).collect()),
        corrupted: handled
            .corrupted
            .known()
            .map(|&bytes| i64::try_from(bytes).unwrap()),
        events: handled.event.known().map(|event| event.iter().copied().collect()),
    }
}

/// Alice and Bob share a page through two files.
fn shared() -> World {
    world([file(A), file(B)]).victims([early("alice", [page(A, HERE)]), early("bob", [page(B, HERE)])])
}

/// The sentences of all differences, each of which must have its reason, after this change of what an obedient kernel shows.
fn differences(world: World, change: impl FnOnce(&mut Observed)) -> Vec<String> {
    let prediction = prediction(world);
    let mut observed = obedient(&prediction);
    change(&mut observed);
    compare(&prediction, &observed)
        .differences
        .into_iter()
        .map(|difference| {
            let because = difference.because.as_deref();
            assert!(because.is_some_and(|why| why.contains(".c:")), "{difference:?}");
            difference.what
        })
        .collect()
}

fn victim<'a>(observed: &'a mut Observed, name: &str) -> &'a mut SeenVictim {
    observed.victims.entry(name.to_owned()).or_default()
}

#[test]
fn an_obedient_kernel_differs_in_nothing() {
    for row in super::rows() {
        for kernel in row.kernels {
            let prediction = predict(&row.facts, &row.injection, kernel);
            if let Prediction::Panic(_) = prediction {
                continue; // Of a kernel that panics nothing is looked at.
            }
            let comparison = compare(&prediction, &obedient(&prediction));
            assert_eq!(comparison.differences, [], "{} on {kernel}", row.name);
            assert_eq!(comparison.unseen, [""; 0], "{} on {kernel}", row.name);
        }
    }
}

#[test]
fn a_victim_that_was_not_told() {
    let prediction = prediction(shared());
    let mut observed = obedient(&prediction);
    victim(&mut observed, "bob").signals.clear();
    let differences = compare(&prediction, &observed).differences;
    assert_eq!(differences.len(), 1, "{differences:?}");
    assert_eq!(
        differences[0].what,
        "oracle: expected bob to get BUS_MCEERR_AO at 4KiB, lsb 12, saw bob get nothing"
    );
    assert_eq!(differences[0].expected, "get BUS_MCEERR_AO at 4KiB, lsb 12");
    assert_eq!(differences[0].seen, "get nothing");
    assert_eq!(
        differences[0].because.as_deref(),
        Some(
            "mm/memory-failure.c:mf_dax_kill_procs: file data: for each owner on its own, those who have the page in their \
             page table are collected; bob had the page present at 0x7f0000001000 (4 KiB, early)"
        )
    );
    assert_eq!(
        differences[0].signature.to_string(),
        "{ kind: victim, of: bob, seen: none }"
    );
}

#[test]
fn one_who_was_told_and_should_not() {
    let prediction = prediction(shared().victims([early("carol", [])]));
    let mut observed = obedient(&prediction);
    let signals = victim(&mut observed, "alice").signals.clone();
    victim(&mut observed, "carol").signals = signals;
    let differences = compare(&prediction, &observed).differences;
    assert_eq!(differences.len(), 1, "{differences:?}");
    assert_eq!(
        differences[0].what,
        "oracle: expected carol to get nothing, saw carol get BUS_MCEERR_AO at 4KiB, lsb 12"
    );
    assert_eq!(
        differences[0].seen,
        "get BUS_MCEERR_AO at 4KiB, lsb 12, si_addr 0x7f0000001000"
    );
    assert_eq!(
        differences[0].because.as_deref(),
        Some(
            "mm/memory-failure.c:collect_procs_fsdax: only those are looked at who map the file where the page is lost; \
             carol did not map the page (early)"
        )
    );
    assert_eq!(
        differences[0].signature.to_string(),
        "{ kind: victim, of: carol, seen: BUS_MCEERR_AO at 4KiB lsb 12 }"
    );
}

/// One thing that an observation shows otherwise, and the sentence that must come of it.
type Deviation = (fn(&mut Observed), &'static str);

#[test]
fn each_part_that_differs_is_named_and_no_other() {
    let deviations: &[Deviation] = &[
        (
            |seen| victim(seen, "alice").signals[0].code = 4,
            "oracle: expected alice to get BUS_MCEERR_AO at 4KiB, lsb 12, saw alice get BUS_MCEERR_AR at 4KiB, lsb 12",
        ),
        (
            |seen| victim(seen, "alice").signals[0].code = 2,
            "oracle: expected alice to get BUS_MCEERR_AO at 4KiB, lsb 12, saw alice get BUS_ADRERR at 4KiB, lsb 12",
        ),
        (
            |seen| victim(seen, "alice").signals[0].lsb = Some(21),
            "oracle: expected alice to get BUS_MCEERR_AO at 4KiB, lsb 12, saw alice get BUS_MCEERR_AO at 4KiB, lsb 21",
        ),
        (
            |seen| {
                let signal = &mut victim(seen, "alice").signals[0];
                signal.place = Some((0, 0x2000));
                signal.address += 0x1000;
            },
            "oracle: expected alice to get BUS_MCEERR_AO at 4KiB, lsb 12, saw alice get BUS_MCEERR_AO at 8KiB, lsb 12",
        ),
        (
            |seen| victim(seen, "alice").signals[0].place = Some((1, 0x1000)),
            "oracle: expected alice to get BUS_MCEERR_AO at 4KiB, lsb 12, saw alice get BUS_MCEERR_AO at 4KiB of mapping 1, lsb 12",
        ),
        (
            |seen| victim(seen, "alice").signals[0].place = None,
            "oracle: expected alice to get BUS_MCEERR_AO at 4KiB, lsb 12, saw alice get BUS_MCEERR_AO outside its mappings, lsb 12",
        ),
        (
            |seen| victim(seen, "alice").signals[0].thread = Some("worker".into()),
            "oracle: expected alice to get BUS_MCEERR_AO at 4KiB, lsb 12, saw alice get BUS_MCEERR_AO at 4KiB, lsb 12, to thread worker",
        ),
        (
            |seen| {
                let alice = victim(seen, "alice");
                alice.signals.push(alice.signals[0].clone());
            },
            "oracle: expected alice to get BUS_MCEERR_AO at 4KiB, lsb 12, saw alice get BUS_MCEERR_AO at 4KiB, lsb 12 and BUS_MCEERR_AO at 4KiB, lsb 12",
        ),
        (
            |seen| {
                let alice = victim(seen, "alice");
                alice.signals.clear();
                alice.ended = Some(Ended::Killed(9));
            },
            "oracle: expected alice to get BUS_MCEERR_AO at 4KiB, lsb 12, saw alice die of SIGKILL",
        ),
        (
            |seen| {
                let alice = victim(seen, "alice");
                alice.signals.clear();
                alice.sigbus_pending = true;
            },
            "oracle: expected alice to get BUS_MCEERR_AO at 4KiB, lsb 12, saw alice keep SIGBUS pending",
        ),
        (
            |seen| victim(seen, "alice").entries[0].here = true,
            "oracle: expected alice's page-table entry to be gone, saw it present",
        ),
        (
            |seen| seen.injector = Some(Err(Errno::EBUSY)),
            "oracle: expected the injector to get ok, saw EBUSY",
        ),
        (
            |seen| seen.notify = Some(vec![]),
            "oracle: expected one call returning 0 of xfs_dax_notify_failure, saw no call",
        ),
        (
            |seen| seen.notify = Some(vec![Some(-117)]),
            "oracle: expected one call returning 0 of xfs_dax_notify_failure, saw one call returning -EUCLEAN",
        ),
        (
            |seen| seen.notify = Some(vec![None]),
            "oracle: expected one call returning 0 of xfs_dax_notify_failure, saw one call never returning",
        ),
        (
            |seen| seen.notify = Some(vec![Some(0), Some(0)]),
            "oracle: expected one call returning 0 of xfs_dax_notify_failure, saw 2 calls returning 0, returning 0",
        ),
        (
            |seen| seen.filesystem = Some(FilesystemAfter::ShutDown(Some(ShutdownReason::CorruptOndisk))),
            "oracle: expected the filesystem to be up, saw it shut down (corrupt-ondisk)",
        ),
        (
            |seen| {
                seen.badblocks = Some(vec![BadRange {
                    start: PAGE,
                    length: 4096,
                }]);
            },
            "oracle: expected badblocks to stay as they are, saw them changed",
        ),
        (
            |seen| seen.corrupted = Some(0),
            "oracle: expected HardwareCorrupted to grow by 4096 bytes, saw 0",
        ),
        (
            |seen| seen.events = Some(vec![EventResult::Failed]),
            "oracle: expected memory_failure_event Recovered, saw Failed",
        ),
        (
            |seen| seen.events = Some(vec![]),
            "oracle: expected memory_failure_event Recovered, saw none",
        ),
    ];
    for (change, sentence) in deviations {
        assert_eq!(differences(shared(), change), [*sentence]);
    }
}

#[test]
fn the_first_sentence_holds_no_pid_and_no_address() {
    let found = differences(shared(), |seen| {
        victim(seen, "alice").signals[0].place = None;
        victim(seen, "bob").signals.clear();
    });
    assert_eq!(found.len(), 2, "{found:?}");
    for sentence in found {
        assert!(
            !sentence.contains("0x") && !sentence.contains("100"),
            "{sentence}"
        );
    }
}

#[test]
fn a_machine_check_adds_its_page_to_the_badblocks() {
    let by_machine_check = || shared().by(MachineCheck(ActionOptional));
    assert_eq!(
        differences(by_machine_check(), |seen| seen.badblocks = Some(Vec::new())),
        ["oracle: expected badblocks to gain the page, saw them unchanged"]
    );
    // Two ranges that touch are as good as one.
    let halves = [0, 2048].map(|into| BadRange {
        start: guest_agent::address::DeviceOffset(PAGE.0 + into),
        length: 2048,
    });
    assert_eq!(
        differences(by_machine_check(), |seen| seen.badblocks = Some(halves.into())),
        [""; 0]
    );
    // A machine check has no caller; whatever stands there is nobody's.
    assert_eq!(
        differences(by_machine_check(), |seen| seen.injector = None),
        [""; 0]
    );
}

#[test]
fn who_dies_and_who_waits() {
    let dying =
        || world([file(A)]).victims([with_sigbus(early("alice", [page(A, HERE)]), Disposition::Default)]);
    assert_eq!(
        differences(dying(), |seen| victim(seen, "alice").ended = None),
        ["oracle: expected alice to die of SIGBUS, saw alice get nothing"]
    );
    assert_eq!(
        differences(dying(), |seen| victim(seen, "alice").ended =
            Some(Ended::Killed(9))),
        ["oracle: expected alice to die of SIGBUS, saw alice die of SIGKILL"]
    );
    let waiting = || world([file(A)]).victims([blocking(early("alice", [page(A, HERE)]))]);
    assert_eq!(
        differences(waiting(), |seen| victim(seen, "alice").sigbus_pending = false),
        ["oracle: expected alice to keep SIGBUS pending, saw alice get nothing"]
    );
    // What waits since before is no news of one who is not told anything.
    let mut bystander = blocking(early("bob", []));
    bystander.threads[0].has_sigbus_pending = true;
    let with_bystander = waiting().victims([bystander]);
    assert_eq!(
        differences(with_bystander, |seen| victim(seen, "bob").sigbus_pending = true),
        [""; 0]
    );
    assert_eq!(
        differences(waiting().victims([blocking(early("bob", []))]), |seen| {
            victim(seen, "bob").sigbus_pending = true;
        }),
        ["oracle: expected bob to get nothing, saw bob keep SIGBUS pending"]
    );
}

#[test]
fn as_many_signals_as_can_have_come() {
    let twice = || world([file(A)]).victims([early("alice", [page_in(0, A, HERE), page_in(1, A, HERE)])]);
    let second = |signal: &SeenSignal| SeenSignal {
        place: Some((1, 0x1000)),
        address: signal.address + 0x1_0000_0000,
        ..signal.clone()
    };
    let both = |seen: &mut Observed| {
        let alice = victim(seen, "alice");
        alice.signals.push(second(&alice.signals[0]));
    };
    assert_eq!(differences(twice(), both), [""; 0]);
    // The other one alone will do, the same one twice will not.
    let other = |seen: &mut Observed| {
        let alice = victim(seen, "alice");
        alice.signals[0] = second(&alice.signals[0]);
    };
    assert_eq!(differences(twice(), other), [""; 0]);
    let same = |seen: &mut Observed| {
        let alice = victim(seen, "alice");
        alice.signals.push(alice.signals[0].clone());
    };
    assert_eq!(differences(twice(), same).len(), 1);
    // The injector is in the kernel until all are sent: one.
    assert_eq!(differences(twice().by(madvise("alice")), both).len(), 1);
}

#[test]
fn a_huge_folio_is_found_by_its_head_without_the_filesystem() {
    let huge = || {
        world([file(A)])
            .without_rmapbt()
            .victims([early("alice", [page(A, HERE_2M)])])
    };
    let head = |seen: &mut Observed| {
        let signal = &mut victim(seen, "alice").signals[0];
        signal.address &= !0x1f_ffff;
        signal.place = Some((0, 0));
    };
    let (facts, injection) = huge().finish();
    let prediction = predict(&facts, &injection, &V7_2);
    let mut seen = obedient(&prediction);
    head(&mut seen);
    assert_eq!(compare(&prediction, &seen).differences, []);
    // Before folios, and with the filesystem, the very page is told.
    assert_eq!(differences(huge(), head).len(), 1);
}

#[test]
fn what_is_not_predicted_or_not_seen_is_said() {
    let doubtful = world([special(SpaceOwner::Other(2))]);
    let prediction = prediction(doubtful);
    let comparison = compare(&prediction, &Observed::default());
    let unpredicted: Vec<&str> = comparison
        .unpredicted
        .iter()
        .map(|(part, _)| part.as_str())
        .collect();
    assert_eq!(
        unpredicted,
        [
            "injector",
            "notify_failure",
            "filesystem",
            "HardwareCorrupted",
            "memory_failure_event"
        ]
    );
    assert!(comparison.unpredicted.iter().all(|(_, why)| !why.is_empty()));
    assert_eq!(comparison.unseen, ["badblocks"]);

    let everything = compare(&self::prediction(shared()), &Observed::default());
    let unseen = [
        "victim alice",
        "victim bob",
        "injector",
        "notify_failure",
        "filesystem",
        "badblocks",
        "HardwareCorrupted",
        "memory_failure_event",
    ];
    assert_eq!(
        (everything.differences.len(), everything.unseen),
        (0, unseen.map(str::to_owned).to_vec())
    );

    let unread = world([file(A)]).victims([default("alice", [page(A, HERE)])]);
    let prediction = self::prediction(unread);
    let mut observed = obedient(&prediction);
    victim(&mut observed, "alice").entries.clear();
    assert_eq!(
        compare(&prediction, &observed).unseen,
        ["alice's page-table entry"]
    );
}

#[test]
fn a_panic_that_was_asked_for() {
    let asked = || world([file(A)]).with(|facts| facts.settings.recovery = false);
    assert_eq!(
        differences(asked(), |_| ()),
        ["oracle: expected a panic, the kernel went on"]
    );
}

#[test]
fn a_shutdown_without_a_known_reason_is_still_one() {
    let metadata = || world([special(SpaceOwner::AgHeader)]);
    assert_eq!(
        differences(metadata(), |seen| seen.filesystem =
            Some(FilesystemAfter::ShutDown(None))),
        [""; 0]
    );
    assert_eq!(
        differences(metadata(), |seen| {
            seen.filesystem = Some(FilesystemAfter::ShutDown(Some(ShutdownReason::LogIo)));
        }),
        ["oracle: expected the filesystem to be shut down (corrupt-ondisk), saw it shut down (log-io)"]
    );
}
