// SPDX-License-Identifier: MIT OR Apache-2.0
//! Somebody ends the run, or stops it for a while.

use super::Fault;
use super::cases::SLOW;
use super::checks::{finished, judged, not_noted, noted, result_of};
use super::running::Ended;
use super::trouble::{Outcome, Trouble, must};
use super::world::World;
use nix::sys::signal::Signal;
use reports::{ExitStatus, Verdict};
use std::time::{Duration, Instant};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "interrupted-once",
        about: "Ctrl-C in a step: the case is finished and judged, no other begins, and the run ends with 130",
        make: |world| politely(world, Signal::SIGINT),
    },
    Fault {
        name: "interrupted-twice",
        about: "Ctrl-C twice in a step: the guest is ended at once, and the reports say so",
        make: interrupted_twice,
    },
    Fault {
        name: "interrupted-before-a-case",
        about: "Ctrl-C while the run prepares itself: nothing is waited for, and nothing was judged",
        make: interrupted_before_a_case,
    },
    Fault {
        name: "terminated",
        about: "SIGTERM in a step: the same as Ctrl-C",
        make: |world| politely(world, Signal::SIGTERM),
    },
    Fault {
        name: "terminal-closed",
        about: "SIGHUP in a step, as from a terminal that goes: the same as Ctrl-C",
        make: |world| politely(world, Signal::SIGHUP),
    },
    Fault {
        name: "stood-still",
        about: "runner and QEMU are stopped for a while and go on: the case is broken, because no deadline meant anything",
        make: stood_still,
    },
    Fault {
        name: "stood-still-for-a-moment",
        about: "runner and QEMU are stopped for two seconds and go on: that is a busy machine, and the case passes",
        make: |world| {
            let record = finished(
                world,
                &stopped_for(world, Duration::from_secs(2))?,
                ExitStatus::Ok,
            )?;
            judged(&record, "x/slow", Verdict::Pass, "")
        },
    },
];

const IN_A_STEP: [&str; 2] = ["\"step-started\"", "\"index\":0"];

/// A run of two slow cases, which hears the signal in a step of one of them.
fn politely(world: &World<'_>, signal: Signal) -> Outcome {
    world.add_case("slow", SLOW)?;
    world.add_case("then", SLOW)?;
    let mut run = world.test().start()?;
    run.wait_for(&IN_A_STEP)?;
    run.signal(signal)?;
    let record = finished(world, &run.end()?, ExitStatus::Interrupted)?;
    must(
        record.interrupted && record.results.len() == 1 && record.unfinished.is_empty(),
        "one verdict, and no case begun without one",
        format!(
            "{} verdicts, {} begun without",
            record.results.len(),
            record.unfinished.len()
        ),
    )?;
    noted(&record, &["interrupted: waiting for x/"])?;
    for result in &record.results {
        judged(&record, &result.case, Verdict::Pass, "")?;
    }
    Ok(())
}

fn interrupted_twice(world: &World<'_>) -> Outcome {
    /// To end a guest and write the reports; the step would take as long again.
    const AT_ONCE: Duration = Duration::from_secs(4);
    world.add_case("slow", SLOW)?;
    let mut run = world.test().start()?;
    run.wait_for(&IN_A_STEP)?;
    run.signal(Signal::SIGINT)?;
    // Two signals of one kind that come together count as one.
    run.wait_for_words("interrupted: what runs is finished")?;
    run.signal(Signal::SIGINT)?;
    let began = Instant::now();
    let ended = run.end()?;
    must(
        began.elapsed() < AT_ONCE,
        "an end at once",
        format!("one after {:.1} s", began.elapsed().as_secs_f64()),
    )?;
    let record = finished(world, &ended, ExitStatus::Interrupted)?;
    let unfinished: Vec<String> = record.unfinished.iter().map(|one| one.case.clone()).collect();
    must(
        unfinished == ["x/slow"],
        "x/slow among the unfinished",
        format!("{unfinished:?}"),
    )
}

fn interrupted_before_a_case(world: &World<'_>) -> Outcome {
    world.add_case("slow", SLOW)?;
    world.own_cache_without(&["templates"])?;
    let mut run = world.test().start()?;
    run.wait_for(&["\"work-started\"", "\"template\""])?;
    run.signal(Signal::SIGINT)?;
    let record = finished(world, &run.end()?, ExitStatus::Interrupted)?;
    must(
        record.results.is_empty() && record.unfinished.is_empty(),
        "no case begun",
        format!("{} verdicts", record.results.len()),
    )?;
    not_noted(&record, "interrupted: waiting for")
}

fn stood_still(world: &World<'_>) -> Outcome {
    /// A beat of the harness's clock and its lateness on a busy machine are 11 s (harness's `run/clock`).
    const LONGER: Duration = Duration::from_secs(13);
    let ended = stopped_for(world, LONGER)?;
    let record = finished(world, &ended, ExitStatus::Broken)?;
    judged(&record, "x/slow", Verdict::Broken, "stood still for 1")?;
    must(
        result_of(&record, "x/slow")?.findings.is_empty(),
        "no finding against the kernel",
        "findings",
    )
}

/// A run of a slow case that is stopped in its first step, with its guest, for so long.
fn stopped_for(world: &World<'_>, how_long: Duration) -> Result<Ended, Trouble> {
    world.add_case("slow", SLOW)?;
    let mut run = world.test().start()?;
    run.wait_for(&IN_A_STEP)?;
    run.signal(Signal::SIGSTOP)?;
    run.signal_guests(Signal::SIGSTOP)?;
    // It is time itself that goes by here.
    let until = Instant::now() + how_long;
    world
        .setting
        .wait("time to go by", || Ok((Instant::now() > until).then_some(())))?;
    run.signal_guests(Signal::SIGCONT)?;
    run.signal(Signal::SIGCONT)?;
    run.end()
}
