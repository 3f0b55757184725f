// SPDX-License-Identifier: MIT OR Apache-2.0
//! The emulator is another program, or ends by itself.

use super::Fault;
use super::cases::QUICK;
use super::checks::{all_pass, finished, judged, noted};
use super::trouble::Outcome;
use super::world::World;
use anyhow::Context;
use reports::{ExitStatus, Verdict};
use std::fs;
use std::path::{Path, PathBuf};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "emulator-is-none",
        about: "the program in QEMU's place is another one: the case is broken, with what it says of itself",
        make: |world| {
            replaced(
                world,
                "echo garbage",
                "it does not say that it is QEMU, but `garbage`",
            )
        },
    },
    Fault {
        name: "emulator-exits",
        about: "QEMU answers questions and exits when it is to be a machine: the case is broken, with its last words",
        make: |world| {
            replaced(
                world,
                &machine("echo no such machine >&2; exit 1"),
                "status 1: no such machine",
            )
        },
    },
    Fault {
        name: "emulator-talks-garbage",
        about: "QEMU's monitor talks garbage: the case is broken, because the monitor cannot be used",
        make: |world| {
            let talk = "for word; do case $word in socket,id=qmp,fd=*) fd=${word##*=};; esac; done\n\
                echo garbage >&$fd; exec sleep 1000";
            replaced(world, &machine(talk), "its monitor cannot be used")
        },
    },
    Fault {
        name: "emulator-hangs",
        about: "QEMU starts and does nothing at all: the case is broken at a deadline, because the monitor cannot be used",
        make: |world| replaced(world, &machine("exec sleep 1000"), "its monitor cannot be used"),
    },
    Fault {
        name: "emulator-always-aborts",
        about: "QEMU aborts whenever it is to be a machine: the case is broken, and it is not tried for ever",
        make: |world| replaced(world, &machine("kill -ABRT $$"), "SIGABRT"),
    },
    Fault {
        name: "emulator-aborts-for-a-template",
        about: "QEMU aborts once while a template is made: that is made anew, with a note, and the case passes",
        make: |world| {
            let words = ["the template xfs was lost by its emulator", "SIGABRT"];
            fails_once(world, "clone", ABORTS, &words)
        },
    },
    Fault {
        name: "emulator-aborts-for-a-case",
        about: "QEMU aborts once while a case's guest boots: that is made anew, with a note, and the case passes",
        make: |world| {
            let words = ["the guest of x/quick was lost by its emulator", "SIGABRT"];
            fails_once(world, "boot", ABORTS, &words)
        },
    },
    Fault {
        name: "no-port-for-a-template",
        about: "a guest sees no port while a template is made, and its init ends: that is made anew, with a note and init's words, and \
                the case passes",
        make: |world| {
            let words = ["the template xfs did not find the port of its emulator", NO_PORT];
            fails_once(world, "clone", HIDES_THE_PORT, &words)
        },
    },
    Fault {
        name: "no-port-for-a-case",
        about: "a case's guest sees no port while it boots, and its init ends: that is made anew, with a note and init's words, and \
                the case passes",
        make: |world| {
            let words = [
                "the guest of x/quick did not find the port of its emulator",
                NO_PORT,
            ];
            fails_once(world, "boot", HIDES_THE_PORT, &words)
        },
    },
    Fault {
        name: "no-port-ever",
        about: "no guest ever sees its port: the case is broken in init's words, and it is not tried for ever",
        make: |world| {
            world.add_case("quick", QUICK)?;
            world.own_cache_without(&["templates"])?;
            let program = real_but(world, "-ge 2", HIDES_THE_PORT)?;
            let run = with(world, &program, &["--accel", "tcg", "--isolation", "boot"])?;
            let record = finished(world, &run, ExitStatus::Broken)?;
            judged(&record, "x/quick", Verdict::Broken, NO_PORT)
        },
    },
];

/// In the shell: it ends as QEMU does where an assertion fails.
const ABORTS: &str = "kill -ABRT $$";
/// In the shell: the port by which guests are reached gets another name.
const HIDES_THE_PORT: &str = "set -- \"${@//name=taster.ssh/name=another}\"";
/// What the guest's init says then.
const NO_PORT: &str = "no virtio-serial port named taster.ssh appeared";

/// A program that answers as QEMU does, and does this when it is to be a machine.
fn machine(does: &str) -> String {
    format!(
        "case \"$*\" in\n\
         *--version*) echo 'QEMU emulator version 10.0.2'; exit;;\n\
         '-machine help') echo 'q35 a machine'; exit;;\n\
         esac\n{does}"
    )
}

/// A run with another program in QEMU's place: broken, with these words.
fn replaced(world: &World<'_>, script: &str, words: &str) -> Outcome {
    world.add_case("quick", QUICK)?;
    // Its templates and what is remembered of it are nobody else's.
    world.own_cache_without(&["templates"])?;
    let program = world.add_program("qemu-system-x86_64", script)?;
    let run = with(world, &program, &["--accel", "tcg"])?;
    let record = finished(world, &run, ExitStatus::Broken)?;
    judged(&record, "x/quick", Verdict::Broken, words)
}

/// A run with the real QEMU, which fails in this way when it is to be a machine for the second time; the first one is the canary.
fn fails_once(world: &World<'_>, isolation: &str, how: &str, words: &[&str]) -> Outcome {
    world.add_case("quick", QUICK)?;
    world.own_cache_without(&["templates"])?;
    let program = real_but(world, "= 2", how)?;
    let run = with(world, &program, &["--accel", "tcg", "--isolation", isolation])?;
    let record = all_pass(world, &run)?;
    noted(&record, &[words, &["made anew"]].concat())
}

/// The real QEMU, before which the shell does something when it is to be a machine for the so-manieth time.
fn real_but(world: &World<'_>, when: &str, does: &str) -> anyhow::Result<PathBuf> {
    let (qemu, count) = (&world.setting.qemu, world.path("starts"));
    let real = world.path("real");
    let quoted = |word: &std::ffi::OsStr| format!("'{}'", word.to_string_lossy().replace('\'', "'\\''"));
    let mut words_of_real = vec!["exec env".to_owned()];
    words_of_real.extend(
        qemu.environment
            .iter()
            .map(|(name, value)| format!("{}={}", name.to_string_lossy(), quoted(value))),
    );
    words_of_real.push(quoted(qemu.binary.as_os_str()));
    words_of_real.extend(qemu.arguments.iter().map(|word| quoted(word)));
    fs::write(&real, format!("{} \"$@\"\n", words_of_real.join(" "))).context("cannot write a script")?;
    let (real, count) = (quoted(real.as_os_str()), quoted(count.as_os_str()));
    let script = format!(
        "case \"$*\" in *--version*|'-machine help') . {real};; esac\n\
         echo start >> {count}\n\
         if [ $(wc -l < {count}) {when} ]; then {does}; fi\n\
         . {real}"
    );
    world.add_program("qemu-system-x86_64", &script)
}

fn with(
    world: &World<'_>,
    program: &Path,
    more: &[&str],
) -> Result<super::running::Ended, super::trouble::Trouble> {
    let run = world
        .test()
        .args(["--qemu".as_ref(), program.as_os_str()])
        .args(more.iter().copied());
    run.start()?.end()
}
