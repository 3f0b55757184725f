// SPDX-License-Identifier: MIT OR Apache-2.0
//! The life of one QEMU process.
//!
//! Nothing may outlive a run, however it ends:
//!
//! - QEMU leads a process group of its own, and it is always the group that is killed. A terminal's Ctrl-C does not reach
//!   it, so that the runner decides the order of things.
//! - Each QEMU has a *keeper* thread that forks it, waits for it and reaps it. `PR_SET_PDEATHSIG`, by which the kernel
//!   kills QEMU when the runner is gone, in truth follows the *thread* that forked (prctl(2)); a thread of an
//!   async runtime may retire at any time, the keeper lives exactly as long as its QEMU.
//! - The group is killed only while its leader is unreaped, so its number cannot have passed to somebody else.

use std::fmt;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, getpid, getppid};
use serde_json::Value;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::qmp::{Obituary, Qmp};
use super::stderr::{Tail, telling};

/// How a QEMU ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// `None` if the kernel would not say.
    pub status: Option<ExitStatus>,
    /// The telling last lines of its standard error; may be empty.
    pub stderr: String,
}

impl Exit {
    /// Whether QEMU ended of its own accord, by `quit` or because the guest shut down.
    pub fn is_orderly(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// Whether a signal ended it: an assertion of its own (SIGABRT), a crash, or somebody on the host.
    pub fn is_by_signal(&self) -> bool {
        self.status.is_some_and(|status| status.signal().is_some())
    }
}

impl fmt::Display for Exit {
    /// For example `QEMU exited with status 1: qemu-system-x86_64: could not load kernel`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            None => f.write_str("QEMU is gone, its exit status is not known")?,
            Some(status) => match (status.code(), status.signal()) {
                (Some(code), _) => write!(f, "QEMU exited with status {code}")?,
                (None, Some(number)) => match Signal::try_from(number) {
                    Ok(signal) => write!(f, "QEMU was killed by {signal}")?,
                    Err(_) => write!(f, "QEMU was killed by signal {number}")?,
                },
                (None, None) => write!(f, "QEMU ended with {status}")?,
            },
        }
        if self.stderr.is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", self.stderr)
        }
    }
}

/// A running QEMU, or one that has ended. Dropping it kills the whole process group, at once and without waiting.
#[derive(Debug)]
pub struct QemuProcess {
    group: Arc<Group>,
    exit: watch::Receiver<Option<Exit>>,
    stderr: Tail,
}

impl QemuProcess {
    /// Starts `command` as the leader of a new process group which dies with this process.
    ///
    /// Fails as `Command::spawn` does, for example if there is no such program. Cancelling it leaves nothing running.
    pub(super) async fn start(mut command: Command) -> io::Result<Self> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0);
        die_with_the_spawning_thread(&mut command);
        let (born, birth) = oneshot::channel();
        thread::Builder::new()
            .name("qemu-keeper".to_owned())
            .spawn(move || keep(command, born))?;
        birth
            .await
            .unwrap_or_else(|_| Err(io::Error::other("the thread that starts QEMU died")))
    }

    /// Its process number, which is also that of its process group.
    pub fn pid(&self) -> u32 {
        self.group.leader.as_raw().unsigned_abs()
    }

    /// Waits until QEMU has ended and is reaped. May be called any number of times.
    pub fn exited(&self) -> impl Future<Output = Exit> + Send + 'static {
        let mut exit = self.exit.clone();
        let stderr = self.stderr.clone();
        async move {
            match exit.wait_for(Option::is_some).await.as_deref() {
                Ok(Some(exit)) => exit.clone(),
                // The keeper is gone without a word, so nobody will ever know more.
                _ => Exit {
                    status: None,
                    stderr: telling(&stderr.text()),
                },
            }
        }
    }

    /// How it ended, if it has.
    pub fn exit(&self) -> Option<Exit> {
        self.exit.borrow().clone()
    }

    /// For [`Qmp::connect`]: what it died of.
    pub(super) fn obituary(&self) -> Obituary {
        let exited = self.exited();
        Box::pin(async move { exited.await.to_string() })
    }

    /// The last 64 KiB of its standard error, so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Kills the process group. Returns at once; [`QemuProcess::exited`] tells when it is done.
    pub fn kill(&self) {
        self.group.kill();
    }

    /// Asks QEMU to quit, kills its group if it has not within `patience`, and returns how it ended.
    pub async fn end(self, qmp: &Qmp, patience: Duration) -> Exit {
        let politely = async {
            // Whatever the answer, what counts is the exit: QEMU may close the socket before it answers.
            drop(qmp.raw("quit", Value::Null, patience).await);
            self.exited().await
        };
        if let Ok(exit) = timeout(patience, politely).await {
            return exit;
        }
        self.kill();
        timeout(REAPING_PATIENCE, self.exited())
            .await
            .unwrap_or_else(|_| Exit {
                status: None,
                stderr: format!(
                    "process {} is still there {REAPING_PATIENCE:?} after SIGKILL",
                    self.pid()
                ),
            })
    }
}

impl Drop for QemuProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// SIGKILL takes effect at once unless the kernel itself is stuck (a dead NFS mount, say).
const REAPING_PATIENCE: Duration = Duration::from_secs(10);

/// After the group is dead its standard error ends too, unless somebody left the group and holds on to it.
const STDERR_PATIENCE: Duration = Duration::from_millis(500);

#[derive(Debug)]
struct Group {
    leader: Pid,
    /// Whether the leader was reaped: from then on its number means nothing.
    reaped: Mutex<bool>,
}

impl Group {
    fn kill(&self) {
        let reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        if !*reaped {
            self.send_kill();
        }
    }

    /// Reaps the leader, which is known to have exited, after killing whoever is left of its group.
    fn reap(&self, leader: &mut Child) -> Option<ExitStatus> {
        let mut reaped = self.reaped.lock().unwrap_or_else(PoisonError::into_inner);
        self.send_kill();
        let status = leader.wait().ok();
        *reaped = true;
        status
    }

    fn send_kill(&self) {
        // The only possible failure is that nobody is left to kill.
        let _ = killpg(self.leader, Signal::SIGKILL);
    }
}

/// The keeper thread: forks, waits, reaps, tells.
fn keep(mut command: Command, born: oneshot::Sender<io::Result<QemuProcess>>) {
    let spawned = command.spawn();
    // With it go this process's copies of QEMU's ends of the sockets, so that their end will be seen.
    drop(command);
    let mut child = match spawned {
        Ok(child) => child,
        // Nobody to tell: the caller was cancelled.
        Err(error) => return drop(born.send(Err(error))),
    };
    let leader = Pid::from_raw(child.id().cast_signed());
    let group = Arc::new(Group {
        leader,
        reaped: Mutex::new(false),
    });
    let (exit, exit_seen) = watch::channel(None);
    let stderr = Tail::default();
    let drained = drain(child.stderr.take(), &stderr);

    let process = QemuProcess {
        group: Arc::clone(&group),
        exit: exit_seen,
        stderr: stderr.clone(),
    };
    // If the caller was cancelled the process comes back, is dropped here, and dies.
    drop(born.send(Ok(process)));

    while waitid(Id::Pid(leader), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT) == Err(Errno::EINTR) {}
    let status = group.reap(&mut child);
    if let Some(drained) = drained {
        // Ends with Disconnected when the reading thread does.
        let _ = drained.recv_timeout(STDERR_PATIENCE);
    }
    exit.send_replace(Some(Exit {
        status,
        stderr: telling(&stderr.text()),
    }));
}

/// Reads `stream` into `tail` on a thread; what is returned is disconnected when all is read.
fn drain(
    stream: Option<impl io::Read + Send + 'static>,
    tail: &Tail,
) -> Option<mpsc::Receiver<std::convert::Infallible>> {
    let stream = stream?;
    let (done, drained) = mpsc::channel();
    let reading = tail.clone();
    let thread = thread::Builder::new()
        .name("qemu-stderr".to_owned())
        .spawn(move || {
            reading.fill(stream);
            drop(done);
        });
    thread.ok().map(|_| drained)
}

/// Has the kernel kill the child when the thread that is about to fork it ends, which the end of this process includes.
#[expect(
    unsafe_code,
    reason = "only between fork and exec can a process ask for its parent-death signal"
)]
fn die_with_the_spawning_thread(command: &mut Command) {
    let runner = getpid();
    let before_exec = move || {
        set_pdeathsig(Signal::SIGKILL)?;
        // If the runner died before the line above, nobody will send that signal.
        if getppid() == runner {
            Ok(())
        } else {
            Err(Errno::ESRCH.into())
        }
    };
    // SAFETY: the closure runs in the forked child, where only async-signal-safe calls are allowed. It makes two plain
    // system calls and converts an errno, which allocates nothing, takes no lock and touches no shared state.
    unsafe {
        command.pre_exec(before_exec);
    }
}

#[cfg(test)]
mod tests;
