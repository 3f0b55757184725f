// SPDX-License-Identifier: MIT OR Apache-2.0
//! A run that is going on, and what is done to it.

use super::processes::{self, Process};
use super::setting::Setting;
use super::trouble::{Trouble, wrong};
use anyhow::Context;
use harness::run::OutFolder;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;

/// Ends with all its processes when it is dropped.
pub(super) struct Running<'w> {
    pub(super) setting: &'w Setting,
    pub(super) child: Child,
    pub(super) session: Pid,
    pub(super) out: PathBuf,
    /// Holds what it says on standard output and error.
    pub(super) said: PathBuf,
}

/// A run that has ended.
pub(super) struct Ended {
    /// None if a signal ended it.
    pub(super) status: Option<i32>,
    /// On standard output and error.
    pub(super) said: String,
}

impl Running<'_> {
    /// Waits until one line of the run's events holds all these words.
    pub(super) fn wait_for(&mut self, words: &[&str]) -> Result<(), Trouble> {
        self.wait_while_it_runs(&format!("an event with {}", words.join(" and ")), |run| {
            let text = run.events();
            let whole = text.rsplit_once('\n').map(|(whole, _)| whole).unwrap_or_default();
            let found = whole
                .lines()
                .any(|line| words.iter().all(|word| line.contains(word)));
            found.then_some(())
        })
    }

    /// Waits until a line of what the run says holds these words.
    pub(super) fn wait_for_words(&mut self, words: &str) -> Result<(), Trouble> {
        let said = self.said.clone();
        self.wait_while_it_runs(&format!("`{words}`"), |_| {
            fs::read_to_string(&said)
                .is_ok_and(|text| text.contains(words))
                .then_some(())
        })
    }

    /// Waits until a folder inside `folder` holds a file of this name.
    pub(super) fn wait_for_file(&mut self, what: &str, folder: &Path, name: &str) -> Result<(), Trouble> {
        self.wait_while_it_runs(what, |_| {
            // It may not be there yet.
            let mut inside = fs::read_dir(folder).into_iter().flatten().flatten();
            inside.any(|entry| entry.path().join(name).exists()).then_some(())
        })
    }

    /// Its events so far.
    pub(super) fn events(&self) -> String {
        // They are begun after the run.
        fs::read_to_string(self.out.join(OutFolder::EVENTS)).unwrap_or_default()
    }

    /// Waits until there is an emulator.
    pub(super) fn wait_for_guest(&mut self) -> Result<Vec<Process>, Trouble> {
        self.wait_while_it_runs("an emulator", |run| {
            // Where they cannot be asked for, none comes, and the wait fails.
            run.guests().ok().filter(|guests| !guests.is_empty())
        })
    }

    fn wait_while_it_runs<T>(
        &mut self,
        what: &str,
        mut look: impl FnMut(&Self) -> Option<T>,
    ) -> Result<T, Trouble> {
        let setting = self.setting;
        setting.wait(what, || {
            // In this order: it may end just after the event.
            let ended = self
                .child
                .try_wait()
                .context("cannot ask whether the run has ended")?;
            match (look(self), ended) {
                (Some(found), _) => Ok(Some(found)),
                (None, None) => Ok(None),
                (None, Some(status)) => Err(wrong(
                    what,
                    format!(
                        "the run ended ({status}) before that{}",
                        last_words_of(&self.text()?)
                    ),
                )),
            }
        })
    }

    /// Its emulators.
    pub(super) fn guests(&self) -> anyhow::Result<Vec<Process>> {
        let mut all = processes::of(self.session)?;
        all.retain(Process::is_guest);
        Ok(all)
    }

    /// Sends a signal to the runner.
    pub(super) fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        kill(self.session, signal).with_context(|| format!("cannot send {signal} to the run"))
    }

    /// Sends a signal to all its emulators; returns how many there were.
    pub(super) fn signal_guests(&self, signal: Signal) -> anyhow::Result<usize> {
        let guests = self.guests()?;
        // One that has ended meanwhile hears nothing.
        let heard = guests.iter().filter(|guest| kill(guest.pid, signal).is_ok());
        Ok(heard.count())
    }

    /// Waits for the end.
    pub(super) fn end(mut self) -> Result<Ended, Trouble> {
        let status = self.setting.wait("the run's end", || {
            let status = self.child.try_wait();
            Ok(status.context("cannot ask whether the run has ended")?)
        })?;
        Ok(Ended {
            status: status.code(),
            said: self.text()?,
        })
    }

    fn text(&self) -> anyhow::Result<String> {
        let bytes = fs::read(&self.said).with_context(|| format!("cannot read {}", self.said.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        // Not one of a run that has ended well; whether those are gone is what is looked at.
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            for process in processes::of(self.session).into_iter().flatten() {
                // Whatever has ended by itself is fine.
                kill(process.pid, Signal::SIGKILL).ok();
            }
            drop(self.child.wait());
        }
    }
}

/// What a run said at its end, to be put behind what was seen.
pub(super) fn last_words_of(said: &str) -> String {
    const LAST: usize = 12;
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(LAST)..).unwrap_or_default();
    if last.is_empty() {
        "; it said nothing".to_owned()
    } else {
        format!("; it said:\n        {}", last.join("\n        "))
    }
}
