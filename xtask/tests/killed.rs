// SPDX-License-Identifier: MIT OR Apache-2.0
//! A runner that is killed takes its guests with it: SIGKILL leaves no time for anything, so the kernel must do it.
//!
//! Boots a real guest of the default kernel.
#![allow(
    clippy::unwrap_used,
    reason = "a test's helper functions fail like the test itself"
)]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Every living process, with its parent and its name. A zombie is dead: it waits only for its new parent.
fn living() -> Vec<(u32, u32, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<u32>() else {
            continue;
        };
        // A process may end while we look.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
            continue;
        };
        let (head, tail) = stat.rsplit_once(')').unwrap();
        let name = head.split_once('(').unwrap().1.to_owned();
        let mut fields = tail.split_whitespace();
        let state = fields.next().unwrap();
        if state != "Z" && state != "X" {
            found.push((pid, fields.next().unwrap().parse().unwrap(), name));
        }
    }
    found
}

fn guests_of(runner: &Child) -> Vec<u32> {
    living()
        .into_iter()
        .filter(|(_, parent, name)| *parent == runner.id() && name.starts_with("qemu-system"))
        .map(|(pid, ..)| pid)
        .collect()
}

/// Polls, because no event tells one process of another's children.
fn wait_until<T>(what: &str, patience: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + patience;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(
            Instant::now() < end,
            "{what} did not happen within {} s",
            patience.as_secs()
        );
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// A run of `cases`, one guest at a time.
fn start(cases: &str, out: &Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["test", cases, "--jobs", "1", "--out"])
        .arg(out)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Waits for something that only a run that is still going on can bring.
fn wait_in<T>(runner: &mut Child, what: &str, mut look: impl FnMut(&Child) -> Option<T>) -> T {
    // A first run on this machine fetches packages before it boots anything.
    wait_until(what, Duration::from_secs(1200), || {
        assert!(
            runner.try_wait().unwrap().is_none(),
            "the run ended before {what}"
        );
        look(runner)
    })
}

fn wait_for_guests(runner: &mut Child) -> Vec<u32> {
    wait_in(runner, "a guest's start", |runner| {
        let guests = guests_of(runner);
        (!guests.is_empty()).then_some(guests)
    })
}

/// The first case carries out its first step.
fn wait_for_a_step(runner: &mut Child, out: &Path) {
    wait_in(runner, "a case's first step", |_| {
        let events = fs::read_to_string(out.join("events.jsonl")).ok()?;
        events.contains(r#""event":"step-started""#).then_some(())
    });
}

fn signal(runner: &Child, name: &str) {
    let sent = Command::new("kill")
        .args([name, &runner.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

fn assert_none_alive(guests: &[u32]) {
    let alive = living();
    assert!(!alive.iter().any(|(pid, ..)| guests.contains(pid)));
}

/// Everything that the run has printed, once it has ended as an interrupted one does.
fn end_of(runner: Child) -> String {
    let output = runner.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    let said = said.concat();
    assert_eq!(output.status.code(), Some(130), "{said}");
    said
}

/// How many cases the report of a run has, how many of them were judged, and how many not.
fn counted(out: &Path) -> (usize, usize, usize) {
    let junit = fs::read_to_string(out.join("junit.xml")).unwrap();
    let cases = junit.matches("<testcase ").count();
    let errors = junit.matches("<error").count();
    (cases, cases - errors, errors)
}

#[test]
fn no_guest_outlives_a_runner_that_is_killed() {
    let out = tempfile::tempdir().unwrap();
    let mut runner = start("free-space/nobody", out.path());
    let guests = wait_for_guests(&mut runner);
    runner.kill().unwrap();
    runner.wait().unwrap();
    wait_until("the guests' end", Duration::from_secs(1), || {
        let alive = living();
        (!alive.iter().any(|(pid, ..)| guests.contains(pid))).then_some(())
    });
}

/// Ctrl-C and SIGTERM alike: the case that runs is finished and judged, and no other begins.
#[test]
fn once_is_polite() {
    for name in ["-INT", "-TERM"] {
        let out = tempfile::tempdir().unwrap();
        let mut runner = start("*", out.path());
        wait_for_a_step(&mut runner, out.path());
        let guests = guests_of(&runner);
        signal(&runner, name);
        let said = end_of(runner);
        assert_none_alive(&guests);
        let (cases, judged, errors) = counted(out.path());
        assert!(
            judged >= 1 && errors >= 1,
            "{cases} cases, {judged} judged\n{said}"
        );
        assert!(said.contains("interrupted: waiting for "), "{said}");
        // What was begun has its verdict.
        let events = fs::read_to_string(out.path().join("events.jsonl")).unwrap();
        let of = |event: &str| {
            let event = format!(r#""event":"{event}""#);
            events.lines().filter(move |line| line.contains(&event))
        };
        // What is for other kernels is told without being begun.
        let judged = of("case-finished").filter(|line| !line.contains(r#""verdict":"untestable""#));
        assert_eq!(of("case-started").count(), judged.count(), "{said}");
    }
}

#[test]
fn twice_is_at_once() {
    let out = tempfile::tempdir().unwrap();
    let mut runner = start("*", out.path());
    wait_for_a_step(&mut runner, out.path());
    let guests = guests_of(&runner);
    signal(&runner, "-INT");
    // Signals of one kind that arrive together count as one.
    signal(&runner, "-TERM");
    let started = Instant::now();
    let said = end_of(runner);
    assert!(started.elapsed() < Duration::from_secs(5), "{said}");
    assert_none_alive(&guests);
    let (_, _, errors) = counted(out.path());
    assert!(
        errors >= 1,
        "an interrupted run must not look like success\n{said}"
    );
}

/// What prepares a run is not worth waiting for.
#[test]
fn once_before_any_case_is_at_once() {
    let out = tempfile::tempdir().unwrap();
    let mut runner = start("*", out.path());
    wait_in(&mut runner, "the run's start", |_| {
        let events = fs::read_to_string(out.path().join("events.jsonl")).ok()?;
        events.contains(r#""event":"run-started""#).then_some(())
    });
    signal(&runner, "-INT");
    let said = end_of(runner);
    assert!(!said.contains("interrupted: waiting for"), "{said}");
}
