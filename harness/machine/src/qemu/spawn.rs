// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a description to a running machine with everybody connected.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use command_fds::CommandFdExt;
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout_at};

use super::ending::EndingWatch;
use super::machine::{Descriptors, Machine, MachineError, PortName, Start};
use super::memory::{GuestMemory, MemoryError, MemoryFile};
use super::process::{Exit, QemuProcess};
use super::program::Program;
use super::qmp::{LineLog, Qmp, QmpError};

/// How to start, as opposed to what.
pub struct SpawnOptions {
    /// The guest's memory; `None` for fresh, empty files wherever there is room.
    pub memory: Option<GuestMemory>,
    /// Whether the guest boots, or waits for [`restore`](super::restore).
    pub start: Start,
    /// From starting the process to the end of QMP's negotiation. An idle machine needs 50 ms.
    pub deadline: Duration,
    /// Sees every line of QMP.
    pub log: Option<LineLog>,
}

impl Default for SpawnOptions {
    fn default() -> Self {
        Self {
            memory: None,
            start: Start::Boot,
            deadline: Duration::from_secs(20),
            log: None,
        }
    }
}

/// A QEMU that has greeted, with our ends of everything. Its guest is already running, unless it is to be restored.
#[derive(Debug)]
pub struct Spawned {
    /// Kills QEMU when dropped.
    pub process: QemuProcess,
    /// How it was called: the program and its arguments, a space between them.
    pub command_line: String,
    /// Its monitor.
    pub qmp: Qmp,
    /// The guest's first serial line. Must be read: a full socket makes the guest's output wait.
    pub console: UnixStream,
    /// The host's ends of the virtio-serial ports, in blocking mode.
    pub ports: BTreeMap<PortName, StdUnixStream>,
    /// The files that are the guest's memory.
    pub memory: GuestMemory,
    /// Tells when the guest came to its end; watches from before the first instruction that we could see.
    pub ending: EndingWatch,
}

/// Why there is no running QEMU.
#[derive(Debug, thiserror::Error)]
pub enum QemuError {
    /// The description makes no machine.
    #[error("this machine cannot be started")]
    Machine(#[from] MachineError),
    /// No memory for the guest.
    #[error("the guest has no memory")]
    Memory(#[from] MemoryError),
    /// No sockets.
    #[error(
        "cannot make the sockets that connect QEMU; if there are too many open files, run fewer guests at once"
    )]
    Sockets(#[source] io::Error),
    /// The program did not start.
    #[error("cannot start QEMU, {binary}")]
    Start {
        /// The program.
        binary: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The program started, and ended before it could be used.
    #[error("{exit}\n(it ended while starting; the program was {binary})")]
    Died {
        /// The program.
        binary: PathBuf,
        /// Its exit status and last words.
        exit: Exit,
    },
    /// The program runs, and its monitor does not work. It has been killed.
    #[error("{binary} started, but its monitor cannot be used{}", said(stderr))]
    Monitor {
        /// The program.
        binary: PathBuf,
        /// The telling last lines of its standard error.
        stderr: String,
        /// What went wrong.
        source: QmpError,
    },
}

fn said(stderr: &str) -> String {
    if stderr.is_empty() {
        String::new()
    } else {
        format!("; it said: {stderr}")
    }
}

/// Starts `program` as `machine`, with fresh memory and default options.
pub async fn spawn(program: &Program, machine: &Machine) -> Result<Spawned, QemuError> {
    spawn_with(program, machine, SpawnOptions::default()).await
}

/// Starts `program` as `machine`.
///
/// Must be called in a tokio runtime with time and I/O. On failure, and when the future is dropped, nothing is left
/// running.
pub async fn spawn_with(
    program: &Program,
    machine: &Machine,
    options: SpawnOptions,
) -> Result<Spawned, QemuError> {
    machine.check()?;
    let memory = match options.memory {
        Some(memory) => memory,
        None => GuestMemory::create(machine)?,
    };
    memory.check(machine)?;
    let until = Instant::now() + options.deadline;

    let mut inherited = Inherited::default();
    let (qmp, qmp_fd) = inherited.socket()?;
    let (console, console_fd) = inherited.socket()?;
    let mut ports = BTreeMap::new();
    let mut port_fds = Vec::new();
    for name in &machine.ports {
        let (ours, fd) = inherited.socket()?;
        ports.insert(name.clone(), ours);
        port_fds.push(fd);
    }
    let descriptors = Descriptors {
        qmp: qmp_fd,
        console: console_fd,
        ports: port_fds,
        ram: inherited.memory(&memory.ram)?,
        devices: memory
            .devices
            .iter()
            .map(|file| inherited.memory(file))
            .collect::<Result<_, _>>()?,
    };

    let mut command = Command::new(&program.binary);
    command
        .args(&program.arguments)
        .args(machine.arguments(&descriptors))
        .args(options.start.arguments())
        // Nothing of the caller's: a variable may change what QEMU and its libraries do.
        .env_clear()
        .envs(&program.environment);
    let command_line = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ");
    super::confine::leave_all_behind(&mut command);
    // The numbers stay what they are here. Moving them to fixed ones could overwrite the pipe by which the standard
    // library learns that exec failed.
    command.preserved_fds(inherited.0);
    let process = QemuProcess::start(command)
        .await
        .map_err(|source| QemuError::Start {
            binary: program.binary.clone(),
            source,
        })?;

    let remaining = until.saturating_duration_since(Instant::now());
    let qmp = match Qmp::connect(qmp, options.log, Some(process.obituary()), remaining).await {
        Ok(qmp) => qmp,
        Err(error) => return Err(diagnose(program, &process, error).await),
    };
    let ending = EndingWatch::start(&qmp, &process);
    let console = console
        .set_nonblocking(true)
        .and_then(|()| UnixStream::from_std(console))
        .map_err(QemuError::Sockets)?;
    Ok(Spawned {
        process,
        command_line,
        qmp,
        console,
        ports,
        memory,
        ending,
    })
}

/// Why the monitor does not work: because QEMU ended, if it did, else what the monitor did.
async fn diagnose(program: &Program, process: &QemuProcess, error: QmpError) -> QemuError {
    let binary = program.binary.clone();
    // A closed monitor mostly means an exit, which follows within moments; after a deadline there is nothing to wait for.
    let patience = match error {
        QmpError::Closed { .. } => Duration::from_secs(1),
        _ => Duration::ZERO,
    };
    match timeout_at(Instant::now() + patience, process.exited()).await {
        Ok(exit) => QemuError::Died { binary, exit },
        Err(_elapsed) => QemuError::Monitor {
            binary,
            stderr: super::stderr::telling(&process.stderr()),
            source: error,
        },
    }
}

/// The files that QEMU will inherit.
#[derive(Default)]
struct Inherited(Vec<OwnedFd>);

impl Inherited {
    /// A socket pair: our end, and the number of QEMU's.
    fn socket(&mut self) -> Result<(StdUnixStream, i32), QemuError> {
        let (ours, theirs) = StdUnixStream::pair().map_err(QemuError::Sockets)?;
        Ok((ours, self.keep(theirs.into())))
    }

    /// A duplicate of a memory file, since we keep ours too.
    fn memory(&mut self, file: &MemoryFile) -> Result<(i32, super::memory::Sharing), QemuError> {
        let duplicate = file.as_fd().try_clone_to_owned().map_err(QemuError::Sockets)?;
        Ok((self.keep(duplicate), file.sharing()))
    }

    fn keep(&mut self, fd: OwnedFd) -> i32 {
        let number = fd.as_raw_fd();
        self.0.push(fd);
        number
    }
}

#[cfg(test)]
mod tests;
