// SPDX-License-Identifier: MIT OR Apache-2.0
//! The victims of this guest: started, forked, told what to do, asked, ended.

mod heard;
mod one;

pub(crate) use one::Victim;

use super::error::{Doing, failure};
use super::tracefs::Trace;
use guest_agent::call::{Failure, Obeyed, VictimFacts, VictimForked, VictimStarted, VictimState};
use guest_agent::victim::{Change, Order, Reply, Spot, VictimSpec};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// All victims by name.
#[derive(Default)]
pub(crate) struct Victims {
    by_name: Mutex<BTreeMap<String, Arc<Victim>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every critical section leaves its data whole, so a panic in one of them is no reason to stop.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Victims {
    /// Starts one, and answers when it has mapped and touched, or cannot.
    pub(crate) fn start(&self, spec: &VictimSpec) -> Result<VictimStarted, Failure> {
        let victim = self.enter(&spec.name, || {
            let spec = spec.clone();
            // PR_SET_PDEATHSIG means the thread that forked, so the victim is started by the thread that listens to it to
            // its end.
            let (started_there, started) = mpsc::channel();
            std::thread::spawn(move || match Victim::spawn(&spec) {
                Ok((victim, reports)) => {
                    let listener = Arc::clone(&victim);
                    if started_there.send(Ok(victim)).is_ok() {
                        listener.listen(reports);
                    }
                }
                // The receiver waits below.
                Err(error) => drop(started_there.send(Err(error))),
            });
            started.recv().doing("the victim's listener")?
        })?;
        let started = victim.started(spec.touches.len())?;
        if let VictimStarted::Refused(_) = started {
            // It was never one.
            drop(victim.wait(|heard| heard.ended.is_some()));
            locked(&self.by_name).remove(&spec.name);
        }
        Ok(started)
    }

    /// Adds one under a name that is free.
    fn enter(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<Arc<Victim>, Failure>,
    ) -> Result<Arc<Victim>, Failure> {
        let mut by_name = locked(&self.by_name);
        if by_name.contains_key(name) {
            return Err(failure(format_args!("there is already a victim {name}")));
        }
        let victim = make()?;
        by_name.insert(name.to_owned(), Arc::clone(&victim));
        Ok(victim)
    }

    /// Has one fork. The child speaks through pipes of its own, which its parent finds among our open files.
    pub(crate) fn fork(&self, parent: &str, child: &str) -> Result<VictimForked, Failure> {
        let parent = self.find(parent)?;
        if locked(&self.by_name).contains_key(child) {
            return Err(failure(format_args!("there is already a victim {child}")));
        }
        let (its_commands, commands) = std::io::pipe().doing("a pipe")?;
        let (reports, its_reports) = std::io::pipe().doing("a pipe")?;
        let of_ours = |fd: i32| format!("/proc/{}/fd/{fd}", std::process::id());
        let order = Order::Fork {
            name: child.to_owned(),
            commands: of_ours(its_commands.as_raw_fd()),
            reports: of_ours(its_reports.as_raw_fd()),
        };
        let obeyed = parent.order(order)?;
        // From now on the child's end is the end of its pipes.
        drop((its_commands, its_reports));
        let pid = match (obeyed.reply, obeyed.ended) {
            (Some(Reply::Forked { pid }), _) => pid,
            (Some(Reply::Refused(refusal)), _) => return Ok(VictimForked::Refused(refusal)),
            (None, Some(ended)) => return Ok(VictimForked::Ended(ended)),
            (_, _) => {
                return Err(failure(
                    "a fork was answered by something else, and its process runs on",
                ));
            }
        };
        let victim = self.enter(child, || {
            let victim = Victim::of(pid, File::from(OwnedFd::from(commands)));
            let listener = Arc::clone(&victim);
            std::thread::spawn(move || listener.listen(OwnedFd::from(reports)));
            Ok(victim)
        })?;
        Ok(match victim.started(0)? {
            VictimStarted::Running { pid, .. } => VictimForked::Running { pid },
            VictimStarted::Refused(refusal) => VictimForked::Refused(refusal),
            VictimStarted::Ended(ended) => VictimForked::Ended(ended),
        })
    }

    /// Has one carry an order out.
    pub(crate) fn order(&self, name: &str, order: Order) -> Result<Obeyed, Failure> {
        if order.change() == Change::Forks {
            return Err(failure("a victim forks by the call for that"));
        }
        self.find(name)?.order(order)
    }

    /// What it has been told; everything pending for it is delivered first.
    pub(crate) fn ask(&self, name: &str, pages: &[Spot], trace: &Trace) -> Result<VictimState, Failure> {
        let victim = self.find(name)?;
        victim.sync()?;
        victim.state(pages, trace)
    }

    /// Ends it, and tells what it had been told.
    pub(crate) fn release(&self, name: &str, trace: &Trace) -> Result<VictimState, Failure> {
        let victim = self.find(name)?;
        victim.sync()?;
        let state = victim.state(&[], trace)?;
        victim.kill()?;
        Ok(state)
    }

    /// All of them, as they are.
    pub(crate) fn all(&self) -> Vec<(String, Arc<Victim>)> {
        locked(&self.by_name)
            .iter()
            .map(|(name, victim)| (name.clone(), Arc::clone(victim)))
            .collect()
    }

    fn find(&self, name: &str) -> Result<Arc<Victim>, Failure> {
        locked(&self.by_name)
            .get(name)
            .cloned()
            .ok_or_else(|| failure(format_args!("there is no victim {name}")))
    }
}

impl Victim {
    /// What the oracle wants to know of it.
    pub(crate) fn facts(&self, trace: &Trace) -> Result<VictimFacts, Failure> {
        self.sync()?;
        Ok(VictimFacts {
            state: self.state(&[], trace)?,
            mappings: self.mappings(),
        })
    }
}
