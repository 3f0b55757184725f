// SPDX-License-Identifier: MIT OR Apache-2.0
//! The disk is full: small file systems in memory lie over the folders that a run writes to, in a mount namespace of its own.

use super::Fault;
use super::cases::{QUICK, SLOW};
use super::checks::{all_pass, finished, judged, noted, result_of};
use super::trouble::{Outcome, Trouble, must};
use super::world::{Plan, World};
use anyhow::Context;
use reports::{ExitStatus, RunRecord, Verdict};
use std::ffi::OsString;
use std::path::Path;
use std::process::{Command, Stdio};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "disk-full-for-templates",
        about: "no room for templates on disk: they are kept in memory, a note says so, and the case passes in a clone",
        make: full_for_templates,
    },
    Fault {
        name: "disk-and-memory-full",
        about: "no room for templates anywhere: the case passes in a guest that was booted, and a note says why",
        make: full_for_templates_and_memory,
    },
    Fault {
        name: "disk-full-for-the-cache",
        about: "no room for the cache: every case is broken, for want of space, and nothing hangs",
        make: full_for_the_cache,
    },
    Fault {
        name: "disk-full-for-the-evidence",
        about: "no room in --out for a case's evidence: the run ends with 3 and says what could not be written",
        make: |world| full_for_out(world, "64k"),
    },
    Fault {
        name: "disk-full-for-the-events",
        about: "hardly any room in --out: the run ends with 3 and says what could not be written",
        make: |world| full_for_out(world, "8k"),
    },
    Fault {
        name: "memory-full",
        about: "no room in /dev/shm: the case passes, for a clone's memory is its template's",
        make: memory_full,
    },
    Fault {
        name: "memory-and-disk-full",
        about: "no room for a guest's memory anywhere: the case is broken, and says how much is needed and what is there",
        make: memory_and_disk_full,
    },
];

const SHARED_MEMORY: &str = "/dev/shm";

/// Mounts `SIZE FOLDER …` up to `--`, and becomes what follows.
const MOUNT: &str = "while [ \"$1\" != -- ]; do mount -t tmpfs -o size=\"$1\" taster \"$2\"; shift 2; done; shift; exec \"$@\"";

/// The run, with file systems of these sizes over these folders.
fn within<'w>(plan: Plan<'w>, mounts: &[(&str, &Path)]) -> Result<Plan<'w>, Trouble> {
    let namespace = [
        "unshare",
        "--user",
        "--map-root-user",
        "--mount",
        "sh",
        "-ec",
        MOUNT,
        "sh",
    ];
    let mut words: Vec<OsString> = namespace.map(OsString::from).to_vec();
    for (size, folder) in mounts {
        words.extend([OsString::from(size), folder.into()]);
    }
    words.push("--".into());
    let mut tried = words.iter();
    let tried = Command::new(tried.next().map(OsString::as_os_str).unwrap_or_default())
        .args(tried)
        .arg("true")
        .stdin(Stdio::null())
        .output()
        .context("cannot start `unshare`")?;
    if !tried.status.success() {
        return Err(Trouble::NotMade(format!(
            "a mount namespace of one's own is not to be had here: {}",
            String::from_utf8_lossy(&tried.stderr).trim()
        )));
    }
    Ok(plan.by(words))
}

fn full_for_templates(world: &World<'_>) -> Outcome {
    let record = with_small_templates(world, "3g")?;
    noted(&record, &["templates are kept in /dev/shm/taster-", "8 MiB free"])?;
    isolation(&record, "clone")
}

fn full_for_templates_and_memory(world: &World<'_>) -> Outcome {
    let record = with_small_templates(world, "64m")?;
    noted(
        &record,
        &["no new template can be kept", "8 MiB free", "has 0 MiB to spare"],
    )?;
    isolation(&record, "boot")
}

/// A run in whose cache there is no room for a template, and so much memory.
fn with_small_templates(world: &World<'_>, memory: &str) -> Result<RunRecord, Trouble> {
    world.add_case("quick", QUICK)?;
    world.own_cache_without(&["templates"])?;
    let templates = world.make_folder("cache/templates")?;
    let mounts = [("8m", templates.as_path()), (memory, Path::new(SHARED_MEMORY))];
    let ended = within(world.test(), &mounts)?.start()?.end()?;
    all_pass(world, &ended)
}

fn isolation(record: &RunRecord, expected: &str) -> Outcome {
    let found = &result_of(record, "x/quick")?.environment.isolation;
    must(
        found == expected,
        format!("a guest by {expected}"),
        format!("one by {found}"),
    )
}

fn full_for_the_cache(world: &World<'_>) -> Outcome {
    world.add_case("quick", QUICK)?;
    let cache = world.make_folder("cache")?;
    world.use_cache(&cache);
    let ended = within(world.test(), &[("512k", &cache)])?.start()?.end()?;
    let record = finished(world, &ended, ExitStatus::Broken)?;
    judged(&record, "x/quick", Verdict::Broken, "no space left")
}

fn full_for_out(world: &World<'_>, size: &str) -> Outcome {
    world.add_case("slow", SLOW)?;
    let out = world.make_folder("out")?;
    let ended = within(world.test(), &[(size, &out)])?.start()?.end()?;
    ended.is(ExitStatus::Broken)?;
    ended.says("No space left on device")?;
    ended.says(&out.display().to_string())
}

fn memory_full(world: &World<'_>) -> Outcome {
    world.add_case("quick", QUICK)?;
    let ended = within(world.test(), &[("1m", Path::new(SHARED_MEMORY))])?
        .start()?
        .end()?;
    isolation(&all_pass(world, &ended)?, "clone")
}

fn memory_and_disk_full(world: &World<'_>) -> Outcome {
    world.add_case("quick", QUICK)?;
    let tmp = world.path("tmp");
    let mounts = [("1m", Path::new(SHARED_MEMORY)), ("1m", tmp.as_path())];
    let booted = world.test().args(["--isolation", "boot"]);
    let ended = within(booted, &mounts)?.start()?.end()?;
    let record = finished(world, &ended, ExitStatus::Broken)?;
    judged(&record, "x/quick", Verdict::Broken, "the guest's memory needs ")?;
    judged(&record, "x/quick", Verdict::Broken, "/dev/shm has 1 MiB")
}
