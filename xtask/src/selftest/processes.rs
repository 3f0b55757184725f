// SPDX-License-Identifier: MIT OR Apache-2.0
//! Processes, by the session that a run was given: it stays with all that the run starts, also when the runner is gone.

use anyhow::Context;
use nix::unistd::{Pid, setsid};
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// A living process. A zombie is dead: it waits only for its parent.
#[derive(Debug, Clone)]
pub(super) struct Process {
    pub(super) pid: Pid,
    pub(super) name: String,
    session: Pid,
}

impl Process {
    /// Whether it is an emulator.
    pub(super) fn is_guest(&self) -> bool {
        self.name.starts_with("qemu-system")
    }
}

/// The living processes of a session.
pub(super) fn of(session: Pid) -> anyhow::Result<Vec<Process>> {
    let entries = fs::read_dir("/proc").context("cannot read /proc")?;
    Ok(entries
        .flatten()
        // A process may end while we look.
        .filter_map(|entry| living(&fs::read_to_string(entry.path().join("stat")).ok()?))
        .filter(|process| process.session == session)
        .collect())
}

/// One line of /proc/PID/stat (proc(5)): `17 (name) S parent group session …`; the name may hold anything.
fn living(stat: &str) -> Option<Process> {
    let (head, tail) = stat.rsplit_once(')')?;
    let (pid, name) = head.split_once(" (")?;
    let mut fields = tail.split_whitespace();
    let state = fields.next()?;
    let session = fields.nth(2)?.parse().ok()?;
    (state != "Z" && state != "X").then_some(Process {
        pid: Pid::from_raw(pid.parse().ok()?),
        name: name.to_owned(),
        session: Pid::from_raw(session),
    })
}

/// Has the command lead a session of its own, by which whatever it starts is found.
#[expect(
    unsafe_code,
    reason = "only between fork and exec can a process be put into a session"
)]
pub(super) fn in_its_own_session(command: &mut Command) {
    // SAFETY: the closure runs in the forked child, where only async-signal-safe calls are allowed. It makes one plain system
    // call and converts an errno, which allocates nothing, takes no lock and touches no shared state.
    unsafe {
        command.pre_exec(|| {
            setsid()?;
            Ok(())
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::signal::Signal;

    #[test]
    fn a_name_may_hold_anything_and_a_zombie_is_dead() {
        let found = living("17 (a ) S 1) R 1 2 33 0 -1").unwrap();
        assert_eq!((found.pid.as_raw(), found.session.as_raw()), (17, 33));
        assert_eq!(found.name, "a ) S 1");
        assert!(living("17 (a) Z 1 2 33 0 -1").is_none());
    }

    #[test]
    fn a_session_is_the_childs_and_its_childrens() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 100 & wait"]);
        in_its_own_session(&mut command);
        let mut child = command.spawn().unwrap();
        let session = Pid::from_raw(i32::try_from(child.id()).unwrap());
        while of(session).unwrap().len() < 2 {
            std::thread::yield_now();
        }
        for process in of(session).unwrap() {
            nix::sys::signal::kill(process.pid, Signal::SIGKILL).unwrap();
        }
        child.wait().unwrap();
    }
}
