// SPDX-License-Identifier: MIT OR Apache-2.0
//! The victims of this guest: started, listened to, asked, ended.

use super::error::{Doing, failure};
use super::{resolve, sys};
use guest_agent::address::FileOffset;
use guest_agent::call::{Failure, Refusal, VictimStarted, VictimState};
use guest_agent::victim::{Command, Ended, KillPolicy, Report, Signal};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, ExitStatus, Stdio};
use std::sync::mpsc;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// All victims by name.
#[derive(Default)]
pub(crate) struct Victims {
    by_name: Mutex<BTreeMap<String, Arc<Victim>>>,
}

struct Victim {
    pid: i32,
    commands: Mutex<ChildStdin>,
    heard: Mutex<Heard>,
    news: Condvar,
}

#[derive(Default)]
struct Heard {
    mapped: Option<(u64, u64)>,
    refused: Option<Refusal>,
    trouble: Vec<String>,
    touched: Vec<(FileOffset, Option<u8>)>,
    signals: Vec<Signal>,
    pongs: u64,
    pings: u64,
    ended: Option<Ended>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every critical section leaves its data whole, so a panic in one of them is no reason to stop.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Victims {
    /// Starts one, and answers when it has mapped and touched, or cannot.
    pub(crate) fn start(
        &self,
        name: &str,
        path: &str,
        touches: &[FileOffset],
        policy: KillPolicy,
    ) -> Result<VictimStarted, Failure> {
        let mut command = std::process::Command::new("/proc/self/exe");
        command.args([
            "victim",
            "--name",
            name,
            "--file",
            path,
            "--policy",
            policy.word(),
        ]);
        for touch in touches {
            command.args(["--touch", &touch.0.to_string()]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        sys::in_child(&mut command, sys::die_with_parent);
        let mut by_name = locked(&self.by_name);
        if by_name.contains_key(name) {
            return Err(failure(format_args!("there is already a victim {name}")));
        }
        // PR_SET_PDEATHSIG means the thread that forked, so the victim is started by the thread that listens to it to
        // its end.
        let (started_there, started) = mpsc::channel();
        std::thread::spawn(move || match Victim::spawn(&mut command) {
            Ok((victim, child, reports)) => {
                let listener = Arc::clone(&victim);
                if started_there.send(Ok(victim)).is_ok() {
                    listener.listen(child, reports);
                }
            }
            // The receiver waits below.
            Err(error) => drop(started_there.send(Err(error))),
        });
        let victim = started.recv().doing(format_args!("victim {name}"))??;
        by_name.insert(name.to_owned(), Arc::clone(&victim));
        drop(by_name);
        victim.started(touches.len())
    }

    /// What it has been told; everything pending for it is delivered first.
    pub(crate) fn ask(&self, name: &str, page: Option<FileOffset>) -> Result<VictimState, Failure> {
        let victim = self.find(name)?;
        victim.sync()?;
        victim.state(page)
    }

    /// Ends it, and tells what it had been told.
    pub(crate) fn release(&self, name: &str) -> Result<VictimState, Failure> {
        let victim = self.find(name)?;
        victim.sync()?;
        let state = victim.state(None)?;
        if state.ended.is_none() {
            let pid = nix::unistd::Pid::from_raw(victim.pid);
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL)
                .doing(format_args!("kill victim {name}"))?;
            drop(victim.wait(|heard| heard.ended.is_some()));
        }
        Ok(state)
    }

    fn find(&self, name: &str) -> Result<Arc<Victim>, Failure> {
        let by_name = locked(&self.by_name);
        by_name
            .get(name)
            .cloned()
            .ok_or_else(|| failure(format_args!("there is no victim {name}")))
    }
}

impl Victim {
    fn spawn(command: &mut std::process::Command) -> Result<(Arc<Self>, Child, ChildStdout), Failure> {
        let mut child = command.spawn().doing("cannot start a victim")?;
        let (Some(commands), Some(reports)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(failure("a victim was started without its pipes"));
        };
        let victim = Self {
            pid: i32::try_from(child.id()).doing("a victim's pid")?,
            commands: Mutex::new(commands),
            heard: Mutex::default(),
            news: Condvar::new(),
        };
        Ok((Arc::new(victim), child, reports))
    }

    fn listen(&self, mut child: Child, reports: ChildStdout) {
        for line in BufReader::new(reports).lines() {
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
        let ended = child.wait();
        let mut heard = locked(&self.heard);
        heard.ended = Some(match ended {
            Ok(status) => ended_of(status),
            Err(error) => {
                heard.trouble.push(format!("wait: {error}"));
                Ended::Exited(-1)
            }
        });
        drop(heard);
        self.news.notify_all();
    }

    fn wait(&self, until: impl Fn(&Heard) -> bool) -> MutexGuard<'_, Heard> {
        let heard = locked(&self.heard);
        self.news
            .wait_while(heard, |heard| !until(heard))
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn started(&self, touches: usize) -> Result<VictimStarted, Failure> {
        let heard = self.wait(|heard| {
            heard.ended.is_some()
                || heard.refused.is_some()
                || (heard.mapped.is_some() && heard.touched.len() >= touches)
        });
        if let Some(refusal) = &heard.refused {
            return Ok(VictimStarted::Refused(refusal.clone()));
        }
        match (heard.mapped, heard.ended) {
            (Some((address, length)), None) => Ok(VictimStarted::Running {
                pid: self.pid,
                address,
                length,
                touched: heard
                    .touched
                    .iter()
                    .filter_map(|&(offset, value)| value.map(|_| offset))
                    .collect(),
            }),
            (_, ended) => Err(failure(format_args!(
                "the victim ended before it was ready: {ended:?} {}",
                heard.trouble.join("; ")
            ))),
        }
    }

    /// Returns when the victim has spoken after everything that was pending for it at the call.
    fn sync(&self) -> Result<(), Failure> {
        let number = {
            let mut heard = locked(&self.heard);
            if heard.ended.is_some() {
                return Ok(());
            }
            heard.pings += 1;
            heard.pings
        };
        let ping = serde_json::to_string(&Command::Ping(number)).doing("ping")?;
        // A victim that has just died closes its pipe: EPIPE here, and its end is noticed below.
        let sent = writeln!(locked(&self.commands), "{ping}");
        let heard = self.wait(|heard| heard.ended.is_some() || heard.pongs >= number);
        match (sent, heard.ended) {
            (Err(error), None) => Err(failure(format_args!("cannot ask the victim: {error}"))),
            _ => Ok(()),
        }
    }

    fn state(&self, page: Option<FileOffset>) -> Result<VictimState, Failure> {
        let heard = locked(&self.heard);
        if !heard.trouble.is_empty() {
            return Err(failure(format_args!(
                "the victim could not be understood: {}",
                heard.trouble.join("; ")
            )));
        }
        let alive = heard.ended.is_none();
        let entry = match (page, heard.mapped) {
            (Some(page), Some((address, _))) if alive => {
                Some(resolve::page_entry(self.pid, address + page.0)?)
            }
            _ => None,
        };
        Ok(VictimState {
            pid: self.pid,
            ended: heard.ended,
            signals: heard.signals.clone(),
            pending: if alive { pending_signals(self.pid)? } else { 0 },
            entry,
        })
    }
}

impl Heard {
    fn note(&mut self, report: Report) {
        match report {
            Report::Mapped { address, length, .. } => self.mapped = Some((address, length)),
            Report::Touched { offset, value } => self.touched.push((offset, value)),
            Report::Signal(signal) => self.signals.push(signal),
            Report::Pong(number) => self.pongs = number,
            Report::Failed { what, errno } if self.mapped.is_none() => {
                self.refused = Some(Refusal { what, errno });
            }
            Report::Failed { what, errno } => self.trouble.push(format!("{what} (errno {errno})")),
        }
    }
}

fn ended_of(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Exited(code),
        (None, Some(signal)) => Ended::Killed(signal),
        (None, None) => Ended::Exited(-1),
    }
}

fn pending_signals(pid: i32) -> Result<u64, Failure> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).doing(&path)?;
    Ok(text
        .lines()
        .filter_map(|line| {
            line.strip_prefix("SigPnd:")
                .or_else(|| line.strip_prefix("ShdPnd:"))
        })
        .filter_map(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .fold(0, |all, mask| all | mask))
}
