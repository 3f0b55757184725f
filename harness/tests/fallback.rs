// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where guests cannot be cloned they are booted, which is said, and changes no verdict.
//!
//! These boot guests of the default kernel; the first time on a machine that fetches packages.
#![allow(
    clippy::unwrap_used,
    reason = "a test's helper functions fail like the test itself"
)]

mod common;

use command_fds::CommandFdExt;
use common::{Told, cache, chosen_qemu, listened, own_case, parsed, request, text_of};
use guest_images::progress::Silent;
use guest_images::qemu::Qemu;
use guest_images::{Cache, KernelSpec};
use machine::accel::{self, Host};
use machine::snapshot::Store;
use reports::Verdict;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread;
use testcases::Isolation;

const CASES: [&str; 3] = ["data/shared-block", "metadata/ag-header", "free-space/nobody"];

/// What a QEMU must have that is to clone guests.
const CAPABILITY: &str = "x-ignore-shared";

/// The variable that has [`poor_qemu`] start this command line, one word a line.
const COMMAND: &str = "TASTER_TEST_POOR_QEMU";

/// How a QEMU is told which inherited socket is its monitor's.
const MONITOR: &str = "socket,id=qmp,fd=";

/// Another cache with everything that the user's has, except templates: nothing of what these tests pretend may stay in
/// the user's.
fn cache_without_templates(root: &Path) -> Cache {
    let users = cache();
    // Whatever is missing is made there, before it is looked for here.
    guest_images::prepare(&KernelSpec::default_kernel().unwrap(), &users, &Silent).unwrap();
    for entry in fs::read_dir(users.root()).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name();
        if name == "pins" {
            fs::create_dir(root.join(&name)).unwrap();
            for pin in fs::read_dir(entry.path()).unwrap() {
                let pin = pin.unwrap();
                fs::copy(pin.path(), root.join(&name).join(pin.file_name())).unwrap();
            }
        } else if entry.path().is_dir() && name != "templates" {
            symlink(entry.path(), root.join(&name)).unwrap();
        } else if name.to_string_lossy().starts_with("accelerator-") {
            fs::copy(entry.path(), root.join(&name)).unwrap();
        }
    }
    Cache::open(Some(root.to_owned())).unwrap()
}

fn assert_passed(told: &Told, cases: usize) {
    assert_eq!(told.results.len(), cases);
    for result in &told.results {
        assert_eq!(
            result.verdict,
            Verdict::Pass,
            "{}: {}\n{}",
            result.case,
            result.reason,
            told.notes.join("\n")
        );
    }
}

/// The one note that says that guests are booted, and why.
fn assert_noted(told: &Told, why: &str) {
    let notes = told.notes_with("every case boots a guest of its own");
    assert!(
        matches!(notes[..], [note] if note.contains(why)),
        "{:#?}",
        told.notes
    );
}

#[test]
fn booted_guests_come_to_the_same_verdicts_as_cloned_ones() {
    let judged = |isolation| {
        let out = tempfile::tempdir().unwrap();
        let cases = CASES.iter().map(|name| own_case(name)).collect();
        let told = listened(request(cases, isolation, out.path()));
        assert_passed(&told, CASES.len());
        assert_eq!(told.notes_with("boots a guest").len(), 0, "{:?}", told.notes);
        let sum = |result: &reports::CaseResult| {
            let steps = result.steps.len();
            (result.case.clone(), result.verdict, result.reason.clone(), steps)
        };
        told.results.iter().map(sum).collect::<Vec<_>>()
    };
    assert_eq!(judged(Isolation::Boot), judged(Isolation::Clone));
}

#[test]
fn a_cache_that_takes_no_templates_means_memory() {
    let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = cache_without_templates(folder.path());
    fs::write(folder.path().join("templates"), "in the way").unwrap();
    let mut request = request(vec![own_case(CASES[2])], Isolation::Clone, out.path());
    request.cache = cache;
    let told = listened(request);
    Store::forget(folder.path());
    assert_passed(&told, 1);
    assert_eq!(told.results[0].environment.isolation, "clone");
    let noted = told.notes_with("templates are kept in ");
    assert!(
        noted.len() == 1 && noted[0].contains("in memory") && noted[0].contains("nothing can be put into"),
        "{:?}",
        told.notes
    );
}

fn real_qemu() -> Qemu {
    guest_images::qemu::locate(chosen_qemu().as_deref(), &cache(), &Silent).unwrap()
}

/// A QEMU that is the real one, but for one thing: it says that it lacks [`CAPABILITY`], and stands by it.
///
/// It is a script that becomes this very test program, in which [`poor_qemu`] starts the real QEMU.
fn poor(real: &Qemu, folder: &Path) -> PathBuf {
    let quoted = |text: &std::ffi::OsStr| format!("'{}'", text.to_str().unwrap().replace('\'', r"'\''"));
    let mut command = vec!["env".to_owned()];
    for (name, value) in &real.environment {
        command.push(format!("{}={}", name.to_str().unwrap(), quoted(value)));
    }
    command.push(quoted(real.binary.as_os_str()));
    command.extend(real.arguments.iter().map(|argument| quoted(argument)));
    let this = quoted(std::env::current_exe().unwrap().as_os_str());
    let script = format!(
        "#!/bin/sh
        set -- {} \"$@\"
        # Questions about the program itself need no monitor.
        case \"$*\" in *--version | *'-machine help') exec \"$@\";; esac
        {COMMAND}=$(printf '%s\\n' \"$@\") exec {this} --exact poor_qemu --ignored --nocapture --test-threads=1
        ",
        command.join(" ")
    );
    let path = folder.join("poor-qemu");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_qemu_that_cannot_save_guests_means_booting() {
    let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let cache = cache_without_templates(folder.path());
    let real = real_qemu();
    // Two templates: that none can be kept is found out once, and not by booting a guest for each.
    let other = text_of(CASES[2]).replacen("template: xfs\n", "template: { xfs: { mkfs: [-K] } }\n", 1);
    let cases = vec![own_case(CASES[2]), parsed("control/another-template", &other)];
    assert_ne!(cases[0].template, cases[1].template);
    let mut request = request(cases, Isolation::Clone, out.path());
    request.cache = cache;
    request.qemu = Some(poor(&real, out.path()));
    // The same program underneath, so what a run has found out about it is true here.
    request.accelerator =
        accel::remembered(folder.path(), &real.digest, &Host::look()).map(|(accelerator, _)| accelerator);
    let told = listened(request);
    assert_passed(&told, 2);
    assert_noted(&told, &format!("lacks the capability {CAPABILITY}"));
    let left: Vec<_> = fs::read_dir(folder.path().join("templates/tmp"))
        .unwrap()
        .collect();
    assert!(left.is_empty(), "a template is half-made: {left:?}");
}

/// What the script of [`poor`] becomes: it passes on what the runner and the real QEMU say to each other, and dies with
/// either.
#[test]
#[ignore = "no test by itself, but the QEMU of one"]
fn poor_qemu() {
    let Ok(command) = std::env::var(COMMAND) else {
        return;
    };
    let mut words: Vec<String> = command.lines().map(str::to_owned).collect();
    let monitor = words.iter_mut().find(|word| word.starts_with(MONITOR)).unwrap();
    let inherited: RawFd = monitor[MONITOR.len()..].parse().unwrap();
    #[expect(unsafe_code, reason = "an inherited file has a number and nothing else")]
    // SAFETY: the runner made this socket for whom it starts, which is this process, and nobody else here knows of it.
    let runner = UnixStream::from(unsafe { OwnedFd::from_raw_fd(inherited) });
    let (qemu, theirs) = UnixStream::pair().unwrap();
    *monitor = format!("{MONITOR}{}", theirs.as_raw_fd());

    let mut command = guest_images::child::command(&words[0]);
    command.args(&words[1..]).env_remove(COMMAND);
    command.preserved_fds(vec![theirs.into()]);
    let mut child = command.spawn().unwrap();
    // With it goes our copy of QEMU's end.
    drop(command);

    let (from, to) = (runner.try_clone().unwrap(), qemu.try_clone().unwrap());
    thread::spawn(move || {
        pass_on(&from, &to, |line| {
            assert!(
                !line.contains(CAPABILITY),
                "I have told you that I lack {CAPABILITY}"
            );
            line
        });
        // The runner is gone, or has broken its word.
        std::process::exit(1);
    });
    pass_on(&qemu, &runner, |line| {
        line.replace(CAPABILITY, "x-something-else")
    });
    let status = child.wait().unwrap();
    std::process::exit(status.code().unwrap_or(1));
}

/// Passes lines on, until there are no more or nobody wants them.
fn pass_on(from: &UnixStream, mut to: &UnixStream, change: impl Fn(String) -> String) {
    for line in BufReader::new(from).lines() {
        let Ok(line) = line else { return };
        if to.write_all((change(line) + "\n").as_bytes()).is_err() {
            return;
        }
    }
}
