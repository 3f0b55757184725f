// SPDX-License-Identifier: MIT OR Apache-2.0
//! Nobody listens, nothing can be told, or somebody else writes to the same place.

use super::Fault;
use super::cases::{QUICK, SLOW};
use super::checks::{all_pass, judged, record};
use super::trouble::{Outcome, must};
use super::world::World;
use anyhow::Context;
use reports::{ExitStatus, Verdict};
use std::fs::OpenOptions;
use std::io::pipe;

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "output-unread",
        about: "nobody reads standard output any more, as behind `| head -1`: the run goes on and its reports are whole",
        make: unread,
    },
    Fault {
        name: "output-closed",
        about: "standard output is closed from the start: the run passes and its reports are whole",
        make: closed,
    },
    Fault {
        name: "output-full",
        about: "standard output is a full disk: the reports are whole, and the run ends with 3, because not all was told",
        make: full,
    },
    Fault {
        name: "two-runs-one-folder",
        about: "a second run into the same --out: it is refused with the first one's number, which passes",
        make: one_folder,
    },
    Fault {
        name: "two-runs-one-cache",
        about: "two runs at once with one cache that has no templates: each is made once, and both pass",
        make: one_cache,
    },
];

fn unread(world: &World<'_>) -> Outcome {
    world.add_case("quick", QUICK)?;
    let (reader, writer) = pipe().context("cannot make a pipe")?;
    let run = world.test().stdout(writer.into()).start()?;
    drop(reader);
    all_pass(world, &run.end()?)?;
    Ok(())
}

fn closed(world: &World<'_>) -> Outcome {
    world.add_case("quick", QUICK)?;
    let run = world.test().by(["sh", "-c", "exec \"$@\" >&-", "sh"]).start()?;
    all_pass(world, &run.end()?)?;
    Ok(())
}

fn full(world: &World<'_>) -> Outcome {
    world.add_case("quick", QUICK)?;
    let full = OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .context("cannot open /dev/full")?;
    let ended = world.test().stdout(full.into()).start()?.end()?;
    ended.is(ExitStatus::Broken)?;
    ended.says("No space left on device")?;
    judged(&record(world, "out")?, "x/quick", Verdict::Pass, "")
}

fn one_folder(world: &World<'_>) -> Outcome {
    world.add_case("slow", SLOW)?;
    let mut first = world.test().start()?;
    first.wait_for(&["\"step-started\""])?;
    let second = world.test().start()?.end()?;
    second.is(ExitStatus::Usage)?;
    second.says(&format!("another run (process {}", first.session))?;
    all_pass(world, &first.end()?)?;
    Ok(())
}

fn one_cache(world: &World<'_>) -> Outcome {
    world.add_case("quick", QUICK)?;
    world.own_cache_without(&["templates"])?;
    let runs = [world.test().start()?, world.test().out("other").start()?];
    let mut waited = false;
    for (run, out) in runs.into_iter().zip(["out", "other"]) {
        run.end()?.is(ExitStatus::Ok)?;
        let record = record(world, out)?;
        judged(&record, "x/quick", Verdict::Pass, "")?;
        let waits = |note: &String| note.contains("another run is making it");
        waited |= record.notes.iter().any(waits);
    }
    // Each of a chain of templates may be made by the other one.
    must(waited, "a run that waits for the other's template", "none")
}
