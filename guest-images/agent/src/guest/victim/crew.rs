// SPDX-License-Identifier: MIT OR Apache-2.0
//! The further threads of a victim: those that wait to be asked, and the one that spins.

use super::super::access;
use super::super::error::{Call, Doing, Tried, failure};
use super::super::signals::{self, Barrier};
use super::super::sys::process;
use guest_agent::call::Failure;
use guest_agent::victim::{KillPolicy, ThreadSpec, ThreadState};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::JoinHandle;

/// What a waiting thread is asked to do for itself.
enum Task {
    /// To tell its policy.
    Tell,
    /// To change it.
    Adopt(Option<KillPolicy>),
    /// To block SIGBUS, or let it through.
    Block(bool),
}

/// Its policy after that.
type Done = io::Result<KillPolicy>;

struct Member {
    name: String,
    tid: i32,
    tasks: Sender<Task>,
    done: Receiver<Done>,
}

impl Member {
    fn ask(&self, task: Task) -> Done {
        let gone = |_| io::Error::other("a thread of this victim is gone");
        self.tasks.send(task).map_err(|error| gone(error.to_string()))?;
        self.done.recv().map_err(|error| gone(error.to_string()))?
    }
}

/// The thread that spins.
struct Spinner {
    tid: i32,
    policy: KillPolicy,
    enough: Arc<AtomicU32>,
    count: Arc<AtomicU64>,
    thread: JoinHandle<()>,
    /// Dropped to let it end.
    leave: Sender<()>,
}

/// All threads but the first.
pub(super) struct Crew {
    members: Vec<Member>,
    spinner: Option<Spinner>,
    barrier: Option<Barrier>,
}

impl Crew {
    /// Starts the threads that wait.
    pub(super) fn hire(specs: &[ThreadSpec]) -> Tried<Self> {
        let members = specs.iter().map(hire).collect::<Tried<Vec<_>>>()?;
        Ok(Self {
            members,
            spinner: None,
            barrier: None,
        })
    }

    /// For a child that has just been forked: none of the threads is there. What belonged to them is left alone: to drop
    /// it would be to speak to them.
    pub(super) fn abandon(&mut self) {
        std::mem::forget(std::mem::take(&mut self.members));
        std::mem::forget(self.spinner.take());
        std::mem::forget(self.barrier.take());
    }

    /// Whether one spins.
    pub(super) fn spins(&self) -> bool {
        self.spinner.is_some()
    }

    /// Every thread has taken what was pending for it when this returns: the waiting ones because they came back from
    /// their wait, the spinning one because it passed the barrier.
    pub(super) fn settle(&mut self, victim: &str) -> Result<Vec<ThreadState>, Failure> {
        let mut states = Vec::new();
        for member in &self.members {
            states.push(ThreadState {
                tid: member.tid,
                name: member.name.clone(),
                policy: member
                    .ask(Task::Tell)
                    .doing(format_args!("prctl(PR_MCE_KILL_GET) of {}", member.name))?,
            });
        }
        if let (Some(spinner), Some(barrier)) = (&self.spinner, &mut self.barrier) {
            barrier
                .wait_for(spinner.tid)
                .doing("victim: the spinning thread")?;
            states.push(ThreadState {
                tid: spinner.tid,
                name: victim.to_owned(),
                policy: spinner.policy,
            });
        }
        Ok(states)
    }

    /// A named thread changes its policy; `None` when there is no such thread.
    pub(super) fn adopt(&self, name: &str, policy: Option<KillPolicy>) -> Option<Tried<()>> {
        let member = self.members.iter().find(|member| member.name == name)?;
        Some(
            member
                .ask(Task::Adopt(policy))
                .map(drop)
                .of("prctl(PR_MCE_KILL)", name),
        )
    }

    /// Every waiting thread blocks SIGBUS, or lets it through.
    pub(super) fn block_bus(&self, blocked: bool) -> Tried<()> {
        for member in &self.members {
            member.ask(Task::Block(blocked)).of("sigprocmask", &member.name)?;
        }
        Ok(())
    }

    /// Starts the thread that spins; its id, as soon as it is about to enter the loop.
    pub(super) fn spin(&mut self, address: usize, cpu: u32) -> Result<Tried<i32>, Failure> {
        if self.barrier.is_none() {
            self.barrier = Some(Barrier::new().doing("victim: a barrier")?);
        }
        let (enough, count) = (Arc::<AtomicU32>::default(), Arc::<AtomicU64>::default());
        let (until, counter) = (Arc::clone(&enough), Arc::clone(&count));
        let (begun_there, begun) = mpsc::channel();
        let (leave, left) = mpsc::channel::<()>();
        let thread = std::thread::Builder::new()
            .spawn(move || {
                let begun =
                    process::pin_to(cpu).and_then(|()| Ok((process::thread_id(), process::kill_policy()?)));
                let goes = begun.is_ok();
                // Who started it waits.
                drop(begun_there.send(begun));
                if goes {
                    access::spin(address, &until, &counter);
                }
                // It stays until it is told to leave, so that its id means nobody else. Nothing is ever sent.
                let Err(mpsc::RecvError) = left.recv() else {
                    return;
                };
            })
            .doing("victim: a thread")?;
        let begun = begun.recv().doing("victim: the spinning thread")?;
        let (tid, policy) = match begun.of("sched_setaffinity", format_args!("to CPU {cpu}")) {
            Ok(begun) => begun,
            Err(stopped) => return Ok(Err(stopped)),
        };
        self.spinner = Some(Spinner {
            tid,
            policy,
            enough,
            count,
            thread,
            leave,
        });
        Ok(Ok(tid))
    }

    /// Waits until the spinning thread has loaded its byte at least once, or has been stopped by a signal.
    pub(super) fn await_first_load(&mut self) -> Result<(), Failure> {
        let (Some(spinner), Some(barrier)) = (&self.spinner, &mut self.barrier) else {
            return Ok(());
        };
        while spinner.count.load(Ordering::Relaxed) == 0 {
            // A load that faults ends the loop with a signal on record.
            let seen = signals::received(0).iter().any(|one| one.tid == spinner.tid);
            if seen {
                break;
            }
            barrier
                .wait_for(spinner.tid)
                .doing("victim: the spinning thread")?;
        }
        Ok(())
    }

    /// Ends the spinning thread: how often it had loaded its byte. `None` when there is none.
    pub(super) fn stop_spinning(&mut self) -> Result<Option<u64>, Failure> {
        let Some(spinner) = self.spinner.take() else {
            return Ok(None);
        };
        spinner.enough.store(1, Ordering::Relaxed);
        drop(spinner.leave);
        spinner
            .thread
            .join()
            .map_err(|_| failure("victim: the spinning thread panicked"))?;
        Ok(Some(spinner.count.load(Ordering::Relaxed)))
    }
}

fn hire(spec: &ThreadSpec) -> Tried<Member> {
    let (tasks, to_do) = mpsc::channel();
    let (done_there, done) = mpsc::channel();
    let (ready_there, ready) = mpsc::channel();
    let (name, policy) = (spec.name.clone(), spec.policy);
    let prepare = move || {
        process::set_name(&name)?;
        if policy.is_some() {
            process::set_kill_policy(policy)?;
        }
        Ok(process::thread_id())
    };
    std::thread::Builder::new()
        .spawn(move || {
            let begun: io::Result<i32> = prepare();
            let goes = begun.is_ok();
            // Who started it waits.
            drop(ready_there.send(begun));
            while let (true, Ok(task)) = (goes, to_do.recv()) {
                if done_there.send(perform(&task)).is_err() {
                    break;
                }
            }
        })
        .of("clone", &spec.name)?;
    let tid = ready
        .recv()
        .unwrap_or_else(|error| Err(io::Error::other(error)))
        .of("prctl(PR_MCE_KILL)", &spec.name)?;
    Ok(Member {
        name: spec.name.clone(),
        tid,
        tasks,
        done,
    })
}

fn perform(task: &Task) -> Done {
    match task {
        Task::Tell => {}
        Task::Adopt(policy) => process::set_kill_policy(*policy)?,
        Task::Block(blocked) => signals::block_bus(*blocked)?,
    }
    process::kill_policy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_thread_has_its_own_policy() {
        let thread = |name: &str, policy| ThreadSpec {
            name: name.to_owned(),
            policy,
        };
        let mut crew = Crew::hire(&[
            thread("one", Some(KillPolicy::Early)),
            thread("two", Some(KillPolicy::Late)),
        ])
        .unwrap();
        crew.adopt("two", None).unwrap().unwrap();
        assert!(crew.adopt("three", None).is_none());
        let states = crew.settle("victim").unwrap();
        let told: Vec<_> = states
            .iter()
            .map(|state| (state.name.as_str(), state.policy))
            .collect();
        assert_eq!(told, [("one", KillPolicy::Early), ("two", KillPolicy::Default)]);
        assert_ne!(states[0].tid, states[1].tid);
    }

    #[test]
    fn a_thread_spins_until_it_is_told_to_stop() {
        let byte = 7_u8;
        let mut crew = Crew::hire(&[]).unwrap();
        crew.spin(&raw const byte as usize, 0).unwrap().unwrap();
        crew.await_first_load().unwrap();
        // It passes a barrier while it spins, whoever begins to record signals meanwhile.
        signals::record_signals().unwrap();
        assert_eq!(crew.settle("victim").unwrap().len(), 1);
        assert!(crew.stop_spinning().unwrap().unwrap() > 0);
        assert_eq!(crew.stop_spinning().unwrap(), None);
    }
}
