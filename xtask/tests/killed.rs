// SPDX-License-Identifier: MIT OR Apache-2.0
//! A runner that is killed takes its guests with it: SIGKILL leaves no time for anything, so the kernel must do it.
//!
//! Boots a real guest of the default kernel.
#![allow(
    clippy::unwrap_used,
    reason = "a test's helper functions fail like the test itself"
)]

use std::fs;
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

fn start(out: &std::path::Path) -> Child {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["test", "free-space/nobody", "--out"])
        .arg(out)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn no_guest_outlives_a_runner_that_is_killed() {
    let out = tempfile::tempdir().unwrap();
    let mut runner = start(out.path());
    // A first run on this machine fetches packages before it boots anything.
    let guests = wait_until("a guest's start", Duration::from_secs(1200), || {
        assert!(
            runner.try_wait().unwrap().is_none(),
            "the run ended before it had a guest"
        );
        let guests = guests_of(&runner);
        (!guests.is_empty()).then_some(guests)
    });
    runner.kill().unwrap();
    runner.wait().unwrap();
    wait_until("the guests' end", Duration::from_secs(1), || {
        let alive = living();
        (!alive.iter().any(|(pid, ..)| guests.contains(pid))).then_some(())
    });
}

#[test]
fn an_interrupted_run_says_so_and_leaves_no_guest() {
    let out = tempfile::tempdir().unwrap();
    let mut runner = start(out.path());
    let guests = wait_until("a guest's start", Duration::from_secs(1200), || {
        assert!(
            runner.try_wait().unwrap().is_none(),
            "the run ended before it had a guest"
        );
        let guests = guests_of(&runner);
        (!guests.is_empty()).then_some(guests)
    });
    let interrupted = Command::new("kill")
        .args(["-INT", &runner.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupted.success());
    assert_eq!(runner.wait().unwrap().code(), Some(130));
    let alive = living();
    assert!(!alive.iter().any(|(pid, ..)| guests.contains(pid)));
    let junit = fs::read_to_string(out.path().join("junit.xml")).unwrap();
    assert!(
        junit.contains("<error"),
        "an interrupted run must not look like success:\n{junit}"
    );
}
