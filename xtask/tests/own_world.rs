// SPDX-License-Identifier: MIT OR Apache-2.0
//! Faults in the harness's own world, with guests: each has the verdict that it must have, and leaves nothing behind.
//!
//! They need a kernel (`TASTER_SELFTEST_KERNEL`, else `debian-6.12`) and minutes, so they run when they are asked for:
//! `cargo test -p xtask --test own_world -- --ignored --test-threads 1`.
#![allow(
    clippy::unwrap_used,
    reason = "a test's helper functions fail like the test itself"
)]

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A case that takes a moment: a step of five seconds, so that there is a step to be hit in.
const CASE: &str = "summary: A slow step.
why: Something to be hit in.
template: xfs
kernel: \">=6.1\"
covers: [76]
steps:
  - run: sleep 5
  - write: { file: a, size: 4KiB, fill: 0x5a }
  - expect: { read: { file: a }, contains: 0x5a }
";

/// How long a run may take before the test gives up on it.
const PATIENCE: Duration = Duration::from_secs(300);

struct World(tempfile::TempDir);

impl World {
    fn new() -> Self {
        let world = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(world.path("cases/x")).unwrap();
        fs::write(world.path("cases/x/slow.yaml"), CASE).unwrap();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self) -> Command {
        let kernel = std::env::var("TASTER_SELFTEST_KERNEL").unwrap_or_else(|_| "debian-6.12".to_owned());
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .args(["test", "--jobs", "1", "--kernel", &kernel, "--cases"])
            .arg(self.path("cases"))
            .arg("--out")
            .arg(self.path("out"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// A program in QEMU's place.
    fn with_qemu(&self, script: &str) -> Command {
        let path = self.path("qemu-system-x86_64");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = self.command();
        command.env("TASTER_QEMU", path);
        command
    }

    /// Waits until the stream of events holds these words.
    fn wait_for(&self, words: &str) {
        let until = Instant::now() + PATIENCE;
        while !fs::read_to_string(self.path("out/events.jsonl")).is_ok_and(|text| text.contains(words)) {
            assert!(Instant::now() < until, "no `{words}` in events.jsonl");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    #[track_caller]
    fn has_reports(&self) {
        for name in ["report.json", "junit.xml", "events.jsonl"] {
            assert!(self.path("out").join(name).exists(), "no {name}");
        }
    }
}

/// The exit status; `None` of one that a signal ended.
fn ended(mut child: Child) -> Option<i32> {
    let until = Instant::now() + PATIENCE;
    loop {
        match child.try_wait().unwrap() {
            Some(status) => return status.code(),
            None if Instant::now() > until => {
                child.kill().unwrap();
                panic!("the run did not end");
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// The processes that this one has started, by the kernel's own list.
fn children(of: u32) -> Vec<u32> {
    let mut all = Vec::new();
    for task in fs::read_dir(format!("/proc/{of}/task"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let mut text = String::new();
        if let Ok(mut file) = fs::File::open(task.path().join("children")) {
            file.read_to_string(&mut text).unwrap();
        }
        all.extend(text.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    }
    all
}

fn signal(pid: u32, name: &str) {
    let status = Command::new("kill").args(["-s", name, &pid.to_string()]).status();
    assert!(status.unwrap().success());
}

fn signal_all(pids: &[u32], name: &str) {
    for pid in pids {
        signal(*pid, name);
    }
}

/// A process that is no zombie.
fn lives(pid: u32) -> bool {
    fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().unwrap_or_default().starts_with('Z'))
}

fn all_gone(pids: &[u32]) {
    let until = Instant::now() + Duration::from_secs(10);
    while pids.iter().any(|pid| lives(*pid)) {
        assert!(Instant::now() < until, "of {pids:?} some live on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Does something to the runner (its pid and its children's) once its first step has begun; what the run exits with.
fn hit_in_a_step(world: &World, hit: impl FnOnce(u32, &[u32])) -> Option<i32> {
    let child = world.command().spawn().unwrap();
    world.wait_for("step-started");
    let all = children(child.id());
    assert!(!all.is_empty(), "no QEMU");
    hit(child.id(), &all);
    let status = ended(child);
    all_gone(&all);
    status
}

#[test]
#[ignore = "boots guests"]
fn qemu_killed_in_a_step_is_broken() {
    let world = World::new();
    let status = hit_in_a_step(&world, |_, all| signal_all(all, "KILL"));
    assert_eq!(status, Some(3));
    world.has_reports();
}

#[test]
#[ignore = "boots guests"]
fn a_killed_runner_leaves_no_process() {
    for event in ["run-started", "case-started", "step-started", "step-finished"] {
        let world = World::new();
        let child = world.command().spawn().unwrap();
        world.wait_for(event);
        let all = children(child.id());
        signal(child.id(), "KILL");
        assert_eq!(ended(child), None);
        all_gone(&all);
    }
}

#[test]
#[ignore = "boots guests"]
fn interrupted_once_or_twice_is_130() {
    let world = World::new();
    assert_eq!(
        hit_in_a_step(&world, |runner, _| signal(runner, "INT")),
        Some(130)
    );
    let world = World::new();
    let twice = hit_in_a_step(&world, |runner, _| {
        signal(runner, "INT");
        signal(runner, "INT");
    });
    assert_eq!(twice, Some(130));
}

#[test]
#[ignore = "needs a kernel"]
fn what_is_no_qemu_is_broken() {
    for script in [
        "exit 0",
        "exit 1",
        "echo garbage; echo garbage >&2; exit 0",
        "kill -SEGV $$",
    ] {
        let world = World::new();
        let status = ended(world.with_qemu(script).spawn().unwrap());
        assert_eq!(status, Some(3), "{script}");
    }
}

#[test]
#[ignore = "boots guests; fails until a run whose standard output is gone writes its reports"]
fn a_full_standard_output_takes_no_report_away() {
    let world = World::new();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let _status = ended(world.command().stdout(full).spawn().unwrap());
    world.has_reports();
}

#[test]
#[ignore = "boots guests"]
fn qemu_stopped_in_a_step_is_broken() {
    let world = World::new();
    let child = world.command().args(["--case-timeout", "20"]).spawn().unwrap();
    world.wait_for("step-started");
    let all = children(child.id());
    signal_all(&all, "STOP");
    assert_eq!(ended(child), Some(3));
    all_gone(&all);
    world.has_reports();
}

#[test]
#[ignore = "boots guests"]
fn qemu_killed_before_the_first_step_is_no_pass_without_a_guest() {
    let world = World::new();
    let child = world.command().spawn().unwrap();
    world.wait_for("case-started");
    let all = children(child.id());
    signal_all(&all, "KILL");
    let status = ended(child);
    // Made anew once, or broken; never the kernel's failure.
    assert!(matches!(status, Some(0 | 3)), "{status:?}");
    all_gone(&all);
}

#[test]
#[ignore = "boots guests; fails until `report` renders a killed run's events.jsonl"]
fn what_a_killed_runner_left_can_be_rendered() {
    let world = World::new();
    let child = world.command().spawn().unwrap();
    world.wait_for("step-finished");
    signal(child.id(), "KILL");
    assert_eq!(ended(child), None);
    let report = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("report")
        .arg(world.path("out"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&report.stdout).into_owned();
    assert!(text.contains("x/slow"), "{text}");
}

#[test]
#[ignore = "boots guests"]
fn two_runs_at_once_each_have_their_verdict() {
    let (one, two) = (World::new(), World::new());
    let both = [one.command().spawn().unwrap(), two.command().spawn().unwrap()];
    for (world, child) in [one, two].iter().zip(both) {
        assert_eq!(ended(child), Some(0));
        world.has_reports();
    }
}
