// SPDX-License-Identifier: MIT OR Apache-2.0
//! The emulator is lost, stopped, or replaced.

use super::Fault;
use super::cases::{KNOWN_ISSUE, QUICK, SLOW};
use super::checks::{all_pass, finished, judged, not_noted, noted, record};
use super::trouble::{Outcome, must};
use super::world::World;
use nix::sys::signal::Signal;
use reports::{ExitStatus, Verdict};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "emulator-killed-before-a-step",
        about: "QEMU is killed before the case's first step: the guest is made anew, once, with a note",
        make: killed_before_a_step,
    },
    Fault {
        name: "emulator-killed-in-a-step",
        about: "QEMU is killed in a step: the case is broken, and the next one passes",
        make: killed_in_a_step,
    },
    Fault {
        name: "emulator-killed-behind-an-issue",
        about: "QEMU is killed behind a splat that a known issue names: the case is broken, not a known issue",
        make: killed_behind_a_known_issue,
    },
    Fault {
        name: "emulator-stopped-in-a-step",
        about: "QEMU is stopped in a step: the case is broken at its deadline, and the next one passes",
        make: stopped_in_a_step,
    },
    Fault {
        name: "emulator-stopped-before-a-step",
        about: "QEMU is stopped before the case's first step: the case is broken at its deadline",
        make: stopped_before_a_step,
    },
];

const FIRST_STEP: [&str; 2] = ["\"step-started\"", "\"index\":0"];

fn killed_before_a_step(world: &World<'_>) -> Outcome {
    world.add_case("quick", QUICK)?;
    let mut run = world.test().start()?;
    run.wait_for(&["\"case-started\""])?;
    run.wait_for_guest()?;
    let killed = run.signal_guests(Signal::SIGKILL)?;
    must(killed == 1, "one emulator", killed.to_string())?;
    let record = all_pass(world, &run.end()?)?;
    noted(
        &record,
        &[
            "the guest of x/quick was lost by its emulator",
            "made anew",
            "SIGKILL",
        ],
    )
}

fn killed_in_a_step(world: &World<'_>) -> Outcome {
    world.add_case("slow", SLOW)?;
    world.add_case("then", QUICK)?;
    let mut run = world.test().start()?;
    run.wait_for(&["\"x/slow\"", FIRST_STEP[0], FIRST_STEP[1]])?;
    run.signal_guests(Signal::SIGKILL)?;
    let record = finished(world, &run.end()?, ExitStatus::Broken)?;
    judged(&record, "x/slow", Verdict::Broken, "SIGKILL")?;
    judged(&record, "x/then", Verdict::Pass, "")?;
    not_noted(&record, "made anew")
}

fn killed_behind_a_known_issue(world: &World<'_>) -> Outcome {
    world.add_case("known-issue", KNOWN_ISSUE)?;
    let mut run = world.test().start()?;
    run.wait_for(&["\"step-started\"", "run `sleep 30`"])?;
    run.signal_guests(Signal::SIGKILL)?;
    let record = finished(world, &run.end()?, ExitStatus::Broken)?;
    judged(&record, "x/known-issue", Verdict::Broken, "SIGKILL")?;
    let log = world
        .path("out")
        .join(&world.setting.kernel)
        .join("x/known-issue/kernel.log");
    let log = std::fs::read_to_string(log).unwrap_or_default();
    must(
        log.contains("xfs_trans_cancel"),
        "that the known issue has shown",
        "no word of it in kernel.log",
    )
}

fn stopped_in_a_step(world: &World<'_>) -> Outcome {
    world.add_case("slow", SLOW)?;
    world.add_case("then", QUICK)?;
    let mut run = world.test().args(["--case-timeout", "15"]).start()?;
    run.wait_for(&["\"x/slow\"", FIRST_STEP[0], FIRST_STEP[1]])?;
    run.signal_guests(Signal::SIGSTOP)?;
    let record = finished(world, &run.end()?, ExitStatus::Broken)?;
    judged(
        &record,
        "x/slow",
        Verdict::Broken,
        "within 15 s; it was at: run `sleep 5`",
    )?;
    judged(&record, "x/then", Verdict::Pass, "")
}

fn stopped_before_a_step(world: &World<'_>) -> Outcome {
    world.add_case("slow", SLOW)?;
    let mut run = world.test().args(["--case-timeout", "8"]).start()?;
    run.wait_for(&["\"case-started\""])?;
    run.wait_for_guest()?;
    run.signal_guests(Signal::SIGSTOP)?;
    let ended = run.end()?;
    ended.is(ExitStatus::Broken)?;
    judged(
        &record(world, "out")?,
        "x/slow",
        Verdict::Broken,
        "getting a guest",
    )
}
