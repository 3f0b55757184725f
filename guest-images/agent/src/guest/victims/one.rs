// SPDX-License-Identifier: MIT OR Apache-2.0
//! One victim: its process, and the conversation with it.

use super::super::error::{Doing, failure};
use super::super::{pages, sys, tracefs::Trace};
use super::heard::Heard;
use super::locked;
use guest_agent::call::{Failure, Obeyed, PageState, VictimStarted, VictimState};
use guest_agent::victim::{Change, Command, Ended, Mapped, Order, Reply, Report, Spot, VictimSpec};
use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// A victim, alive or dead.
pub(crate) struct Victim {
    pub(super) pid: i32,
    commands: Mutex<File>,
    heard: Mutex<Heard>,
    news: Condvar,
}

impl Victim {
    /// Starts the process. It dies with the thread that calls this, which is to go on and [`listen`](Self::listen).
    pub(super) fn spawn(spec: &VictimSpec) -> Result<(Arc<Self>, OwnedFd), Failure> {
        let mut command = std::process::Command::new("/proc/self/exe");
        command.arg("victim").stdin(Stdio::piped()).stdout(Stdio::piped());
        sys::in_child(&mut command, sys::die_with_parent);
        let mut child = command.spawn().doing("cannot start a victim")?;
        let (Some(commands), Some(reports)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failure("a victim was started without its pipes"));
        };
        let pid = i32::try_from(child.id()).doing("a victim's pid")?;
        let mut commands = File::from(OwnedFd::from(commands));
        let line = serde_json::to_string(spec).doing("a victim's specification")?;
        // One that has died already is noticed by its listener.
        if let Err(error) = writeln!(commands, "{line}")
            && error.raw_os_error() != Some(libc::EPIPE)
        {
            return Err(failure(format_args!("cannot specify a victim: {error}")));
        }
        Ok((Self::of(pid, commands), OwnedFd::from(reports)))
    }

    /// A process that is there, and is a child of this one.
    pub(super) fn of(pid: i32, commands: File) -> Arc<Self> {
        Arc::new(Self {
            pid,
            commands: Mutex::new(commands),
            heard: Mutex::default(),
            news: Condvar::new(),
        })
    }

    /// Listens to its end, and waits for it.
    pub(super) fn listen(&self, reports: OwnedFd) {
        for line in BufReader::new(File::from(reports)).lines() {
            let mut heard = locked(&self.heard);
            match line.map_err(|error| error.to_string()).and_then(|line| {
                serde_json::from_str::<Report>(&line).map_err(|error| format!("{error} in {line:?}"))
            }) {
                Ok(report) => heard.note(report),
                Err(trouble) => heard.trouble.push(trouble),
            }
            drop(heard);
            self.news.notify_all();
        }
        let ended = self.end();
        let mut heard = locked(&self.heard);
        heard.ended = Some(ended.unwrap_or_else(|trouble| {
            heard.trouble.push(trouble);
            Ended::Exited(-1)
        }));
        drop(heard);
        self.news.notify_all();
    }

    fn end(&self) -> Result<Ended, String> {
        loop {
            match waitpid(Pid::from_raw(self.pid), None) {
                Ok(WaitStatus::Exited(_, status)) => return Ok(Ended::Exited(status)),
                Ok(WaitStatus::Signaled(_, signal, _)) => return Ok(Ended::Killed(signal as i32)),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(format!("wait: {error}")),
            }
        }
    }

    pub(super) fn wait(&self, until: impl Fn(&Heard) -> bool) -> MutexGuard<'_, Heard> {
        let heard = locked(&self.heard);
        self.news
            .wait_while(heard, |heard| !until(heard))
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until it has mapped everything and done so many touches, or has ended.
    pub(super) fn started(&self, touches: usize) -> Result<VictimStarted, Failure> {
        let heard = self.wait(|heard| {
            heard.ended.is_some()
                || heard.refused.is_some()
                || (heard.mapped.is_some() && heard.touched.len() >= touches)
        });
        if let Some(refusal) = &heard.refused {
            return Ok(VictimStarted::Refused(refusal.clone()));
        }
        heard.sound()?;
        match (&heard.mapped, heard.ended) {
            (Some(mapped), None) => Ok(VictimStarted::Running {
                pid: self.pid,
                mappings: mapped.iter().flatten().cloned().collect(),
                touched: heard.touched.clone(),
            }),
            (Some(_), Some(ended)) => Ok(VictimStarted::Ended(ended)),
            (None, Some(ended)) => Err(failure(format_args!(
                "the victim ended before it had mapped anything: {ended}"
            ))),
            (None, None) => Err(failure("the victim said nothing of what it has mapped")),
        }
    }

    /// Returns when the victim has spoken after everything that was pending for it at the call.
    pub(super) fn sync(&self) -> Result<(), Failure> {
        let Some(number) = self.send(Command::Ping)? else {
            return Ok(());
        };
        drop(self.wait(|heard| heard.ended.is_some() || heard.pongs >= number));
        Ok(())
    }

    /// Has it carry an order out.
    pub(super) fn order(&self, order: Order) -> Result<Obeyed, Failure> {
        let before = locked(&self.heard).signals.len();
        let change = order.change();
        let sent = self.send(|number| Command::Obey { number, order })?;
        let mut heard = self.wait(|heard| {
            heard.ended.is_some() || sent.is_none_or(|number| heard.replies.contains_key(&number))
        });
        heard.sound()?;
        let reply = sent.and_then(|number| heard.replies.remove(&number));
        if let (Some((Reply::Done, _)), Change::Unmaps(mapping)) = (&reply, change) {
            heard.forget_mapping(mapping);
        }
        let after = reply.as_ref().map_or(heard.signals.len(), |(_, count)| *count);
        Ok(Obeyed {
            signals: heard.signals.get(before..after).unwrap_or_default().to_vec(),
            reply: reply.map(|(reply, _)| reply),
            ended: heard.ended,
        })
    }

    /// Sends a numbered command; its number, or `None` when the victim has ended.
    fn send(&self, command: impl FnOnce(u64) -> Command) -> Result<Option<u64>, Failure> {
        let number = {
            let mut heard = locked(&self.heard);
            if heard.ended.is_some() {
                return Ok(None);
            }
            heard.number()
        };
        let line = serde_json::to_string(&command(number)).doing("a command for a victim")?;
        match writeln!(locked(&self.commands), "{line}") {
            Ok(()) => Ok(Some(number)),
            // A victim that has just died closes its pipe.
            Err(_closed) => {
                drop(self.wait(|heard| heard.ended.is_some()));
                Ok(None)
            }
        }
    }

    /// Its mappings, as far as they are still there.
    pub(crate) fn mappings(&self) -> Vec<Option<Mapped>> {
        locked(&self.heard).mapped.clone().unwrap_or_default()
    }

    /// Its process, while it lives.
    pub(crate) fn alive(&self) -> Option<i32> {
        locked(&self.heard).ended.is_none().then_some(self.pid)
    }

    /// What it has been told, and how these bytes of its mappings are mapped.
    pub(super) fn state(&self, spots: &[Spot], trace: &Trace) -> Result<VictimState, Failure> {
        let heard = locked(&self.heard);
        heard.sound()?;
        let alive = heard.ended.is_none();
        let mut state = VictimState {
            pid: self.pid,
            ended: heard.ended,
            signals: heard.signals.clone(),
            pending: 0,
            blocked: 0,
            ignored: 0,
            caught: 0,
            threads: Vec::new(),
            pages: Vec::new(),
        };
        if !alive {
            return Ok(state);
        }
        state.threads.clone_from(&heard.threads);
        let mappings = heard.mapped.clone().unwrap_or_default();
        drop(heard);
        let masks = Masks::of(self.pid)?;
        state.pending = masks.pending;
        state.blocked = masks.blocked;
        state.ignored = masks.ignored;
        state.caught = masks.caught;
        let tables = pages::Tables::of(self.pid)?;
        for &at in spots {
            let mapping = mappings
                .get(at.mapping)
                .and_then(Option::as_ref)
                .filter(|mapping| at.offset.0 < mapping.length);
            let Some(mapping) = mapping else {
                continue;
            };
            let address = mapping.address + at.offset.0;
            let entry = tables.entry(address)?;
            state.pages.push(PageState {
                at,
                entry,
                size: tables.size(address, entry, trace)?,
            });
        }
        Ok(state)
    }

    /// Ends it, and waits for that.
    pub(super) fn kill(&self) -> Result<(), Failure> {
        if self.alive().is_some() {
            nix::sys::signal::kill(Pid::from_raw(self.pid), nix::sys::signal::Signal::SIGKILL)
                .doing(format_args!("kill {}", self.pid))?;
            drop(self.wait(|heard| heard.ended.is_some()));
        }
        Ok(())
    }
}

impl Heard {
    /// Fails when something that it said could not be understood.
    fn sound(&self) -> Result<(), Failure> {
        if self.trouble.is_empty() {
            return Ok(());
        }
        Err(failure(format_args!(
            "the victim could not be understood: {}",
            self.trouble.join("; ")
        )))
    }
}

/// Signal masks of a process (`fs/proc/array.c:task_sig`).
#[derive(Debug, Default, PartialEq, Eq)]
struct Masks {
    pending: u64,
    blocked: u64,
    ignored: u64,
    caught: u64,
}

impl Masks {
    /// What waits counts for every thread; the others are those of the first.
    fn of(pid: i32) -> Result<Self, Failure> {
        let path = format!("/proc/{pid}/status");
        let mut masks = Self::parse(&std::fs::read_to_string(&path).doing(&path)?);
        let path = format!("/proc/{pid}/task");
        for thread in std::fs::read_dir(&path).doing(&path)? {
            let path = thread.doing(&path)?.path().join("status");
            // A thread may end at any moment; what waited for it is gone with it.
            if let Ok(text) = std::fs::read_to_string(&path) {
                masks.pending |= Self::parse(&text).pending;
            }
        }
        Ok(masks)
    }

    fn parse(status: &str) -> Self {
        let mut masks = Self::default();
        for line in status.lines() {
            let Some((name, mask)) = line.split_once(':') else {
                continue;
            };
            let mask = u64::from_str_radix(mask.trim(), 16).unwrap_or_default();
            match name {
                "SigPnd" | "ShdPnd" => masks.pending |= mask,
                "SigBlk" => masks.blocked = mask,
                "SigIgn" => masks.ignored = mask,
                "SigCgt" => masks.caught = mask,
                _ => {}
            }
        }
        masks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_those_of_the_status() {
        let text = "Name:\talice\nPid:\t91\nSigPnd:\t0000000000000040\nShdPnd:\t0000000000000001\n\
                    SigBlk:\t0000000000000040\nSigIgn:\t0000000000001000\nSigCgt:\t0000000180000000\n";
        let expected = Masks {
            pending: 0x41,
            blocked: 0x40,
            ignored: 0x1000,
            caught: 0x1_8000_0000,
        };
        assert_eq!(Masks::parse(text), expected);
    }
}
