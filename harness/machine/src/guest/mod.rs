// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest: booted, logged in to, watched, ended.

pub mod agent;
pub mod console;
mod error;
mod saved;
pub mod session;

pub use error::GuestError;
pub use error::Mishap;
pub use saved::{Origin, Saved};

use crate::accel::Accelerator;
use crate::qemu::{
    Boot, Ending, EndingWatch, GuestMemory, LineLog, Machine, Mebibytes, MemoryDevice, PortName, Program,
    QemuProcess, Qmp, SpawnOptions, Spawned, spawn_with,
};
use agent::Agent;
use console::{Console, Stage};
use guest_agent::SSH_PORT;
use guest_agent::call::{Hello, Welcome};
use guest_images::Image;
use session::Identity;
use std::path::Path;
use std::time::{Duration, Instant};

/// A cold boot under emulation takes 3 to 15 s here; a debug kernel several times that, beside another guest twice.
pub const BOOT_DEADLINE: Duration = Duration::from_secs(180);
/// Handshake and login, each.
const LOGIN_DEADLINE: Duration = Duration::from_secs(60);
const HELLO_DEADLINE: Duration = Duration::from_secs(30);
/// How long a QEMU that was asked to quit may take.
const QUIT_PATIENCE: Duration = Duration::from_secs(2);
/// How long QEMU's last words may lag behind the console's.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Console lines in a message.
const LINES_IN_MESSAGE: usize = 12;

/// What kind of machine every guest is.
#[derive(Debug, Clone)]
pub struct Hardware {
    /// The QEMU.
    pub program: Program,
    /// Who executes the guest's instructions.
    pub accelerator: Accelerator,
}

const MEMORY: Mebibytes = Mebibytes(768);
/// Two, so that what races in the kernel can race here.
const CPUS: u8 = 2;

/// The kernel's command line.
///
/// `panic=-1` makes a panic end QEMU at once; `loglevel=5` keeps warnings and worse on the console, where they survive a
/// kernel that dies; `nokaslr` makes addresses in evidence comparable; the two timeouts of a minute keep a host that is short of
/// time for half of one from being told of as a stall of the kernel; the others save time under emulation.
const COMMAND_LINE: &str = "console=ttyS0 panic=-1 loglevel=5 nokaslr tsc=reliable no_timer_check mitigations=off \
                            cryptomgr.notests printk.devkmsg=on rcupdate.rcu_cpu_stall_timeout=60 watchdog_thresh=30";

/// The machine for an image, with these memory devices.
pub fn machine(image: &Image, accelerator: Accelerator, devices: Vec<MemoryDevice>) -> Machine {
    Machine {
        accelerator,
        cpu_model: Machine::CPU_MODEL.to_owned(),
        cpus: CPUS,
        memory: MEMORY,
        devices,
        boot: Boot {
            kernel: image.kernel.boot.clone(),
            initramfs: image.initramfs.clone(),
            command_line: COMMAND_LINE.to_owned(),
        },
        ports: PortName::new(SSH_PORT).into_iter().collect(),
    }
}

/// [`Machine::footprint`] of a guest with these memory devices, in bytes.
pub fn footprint(devices: &[MemoryDevice]) -> u64 {
    crate::qemu::footprint(MEMORY, devices)
}

/// The beginning of a guest, each time counted from just before its QEMU was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Beginning {
    /// QEMU's monitor answers.
    pub monitor: Duration,
    /// PID 1 serves SSH; of a clone: its state is loaded, and it runs.
    pub awake: Duration,
    /// Somebody is logged in.
    pub session: Duration,
    /// The agent has answered.
    pub answer: Duration,
}

/// A guest that can be talked to.
#[derive(Debug)]
pub struct Guest {
    /// Calls go here.
    pub agent: Agent,
    /// Machine checks go here.
    pub qmp: Qmp,
    /// What it said first.
    pub welcome: Welcome,
    /// How long its beginning took.
    pub beginning: Beginning,
    console: Console,
    ending: EndingWatch,
    process: QemuProcess,
    memory: GuestMemory,
}

/// Where a guest leaves evidence.
#[derive(Clone)]
pub struct Evidence<'a> {
    /// The folder for `console.log`.
    pub folder: &'a Path,
    /// Sees every QMP line.
    pub qmp_log: Option<LineLog>,
}

impl Guest {
    /// Boots `machine`, which must boot `image`, to the point where its agent answers.
    pub async fn boot(
        hardware: &Hardware,
        machine: &Machine,
        image: &Image,
        evidence: Evidence<'_>,
        deadline: Duration,
    ) -> Result<Self, GuestError> {
        let options = SpawnOptions {
            log: evidence.qmp_log,
            ..SpawnOptions::default()
        };
        let mut beginning = Beginning::default();
        let started = Instant::now();
        let mut spawned = spawn_with(&hardware.program, machine, options).await?;
        beginning.monitor = started.elapsed();
        let port = spawned
            .ports
            .pop_first()
            .map(|(_, port)| port)
            .ok_or(GuestError::NoPort)?;
        let Awake {
            console,
            process,
            qmp,
            ending,
            memory,
        } = wait_ready(
            spawned,
            |console, command_line| record(console, command_line, evidence.folder),
            deadline,
        )
        .await?;
        beginning.awake = started.elapsed();
        let identity = Identity::of(image)?;
        let agent = Agent::connect(port, identity, LOGIN_DEADLINE)
            .await
            .map_err(|source| GuestError::Login {
                source,
                console: console.tail(LINES_IN_MESSAGE),
            })?;
        beginning.session = started.elapsed();
        let welcome = agent.call(Hello {}, HELLO_DEADLINE).await?;
        beginning.answer = started.elapsed();
        Ok(Self {
            agent,
            qmp,
            welcome,
            beginning,
            console,
            ending,
            process,
            memory,
        })
    }

    /// The process number of its QEMU.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// How the guest has ended, if it has: a panic on its console, or the end of its QEMU. Waits a moment for the
    /// news when `lost` says that something has just been lost.
    pub async fn ended(&self, lost: bool) -> Option<Death> {
        let panicked = |stage: &Stage| matches!(stage, Stage::Panicked(_));
        let patience = if lost { LAST_WORDS } else { Duration::ZERO };
        let ending = tokio::time::timeout(patience, self.ending.ended()).await.ok();
        let stage = tokio::time::timeout(patience, self.console.wait_for(panicked))
            .await
            .ok();
        match (stage, ending) {
            (Some(Stage::Panicked(line)), _) => Some(Death::Kernel(line)),
            (_, Some(ending)) => Some(Death::of(&ending)),
            _ => None,
        }
    }

    /// Resolves when the guest ends.
    pub async fn wait_for_end(&self) -> Death {
        let panicked = |stage: &Stage| matches!(stage, Stage::Panicked(_));
        tokio::select! {
            ending = self.ending.ended() => {
                // The panic's line is still on its way from the console when QEMU reports the reset.
                match tokio::time::timeout(LAST_WORDS, self.console.wait_for(panicked)).await {
                    Ok(Stage::Panicked(line)) => Death::Kernel(line),
                    _ => Death::of(&ending),
                }
            }
            Stage::Panicked(line) = self.console.wait_for(panicked) => Death::Kernel(line),
        }
    }

    /// The last lines of the console.
    pub fn console_tail(&self, count: usize) -> Vec<String> {
        self.console.tail(count)
    }

    /// Ends it.
    pub async fn stop(self) {
        drop(self.agent);
        self.process.end(&self.qmp, QUIT_PATIENCE).await;
    }
}

/// Whose death it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Death {
    /// The guest's kernel died, or reset the machine.
    Kernel(String),
    /// QEMU itself went away.
    Qemu(String),
}

impl std::fmt::Display for Death {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kernel(how) => write!(f, "the guest's kernel died ({how})"),
            Self::Qemu(how) => write!(f, "QEMU went away ({how})"),
        }
    }
}

impl Death {
    fn of(ending: &Ending) -> Self {
        match ending {
            Ending::Shutdown { by_guest: true, .. }
            | Ending::Reset { by_guest: true, .. }
            | Ending::Panicked => Self::Kernel(ending.to_string()),
            _ => Self::Qemu(ending.to_string()),
        }
    }
}

impl Identity {
    /// The keys that belong to an image.
    fn of(image: &Image) -> Result<Self, GuestError> {
        let host_key = ssh_key::PublicKey::from_openssh(&image.host_key)
            .and_then(|key| key.to_bytes())
            .map_err(|source| GuestError::HostKey {
                image: image.id.clone(),
                source,
            })?;
        Ok(Self {
            client_key: image.client_key.clone(),
            host_key,
        })
    }
}

/// The file in a guest's folder that says how its QEMU was called.
pub const QEMU_FILE: &str = "qemu.txt";

/// Begins to keep what the guest's console says, and how its QEMU was called.
fn record(console: tokio::net::UnixStream, command_line: &str, folder: &Path) -> Result<Console, GuestError> {
    let path = folder.join(QEMU_FILE);
    std::fs::write(&path, format!("{command_line}\n")).map_err(|source| GuestError::Console {
        path: path.display().to_string(),
        source,
    })?;
    let path = folder.join("console.log");
    match std::fs::File::create(&path) {
        Ok(file) => Ok(Console::record(console, file)),
        Err(source) => Err(GuestError::Console {
            path: path.display().to_string(),
            source,
        }),
    }
}

/// The same for a guest that nobody asks about later: nothing is left of it, also if this process is killed.
fn record_unnamed(console: tokio::net::UnixStream, _command_line: &str) -> Result<Console, GuestError> {
    let file = tempfile::tempfile().map_err(|source| GuestError::Console {
        path: format!("a file without a name in {}", std::env::temp_dir().display()),
        source,
    })?;
    Ok(Console::record(console, file))
}

/// A machine whose PID 1 serves SSH.
struct Awake {
    console: Console,
    process: QemuProcess,
    qmp: Qmp,
    ending: EndingWatch,
    memory: GuestMemory,
}

async fn wait_ready(
    spawned: Spawned,
    record: impl FnOnce(tokio::net::UnixStream, &str) -> Result<Console, GuestError>,
    deadline: Duration,
) -> Result<Awake, GuestError> {
    let console = record(spawned.console, &spawned.command_line)?;
    let started = Instant::now();
    let stage = tokio::time::timeout(deadline, console.wait_for(|stage| *stage != Stage::Booting)).await;
    let tail = console.tail(LINES_IN_MESSAGE);
    match stage {
        Ok(Stage::Ready) => Ok(Awake {
            console,
            process: spawned.process,
            qmp: spawned.qmp,
            ending: spawned.ending,
            memory: spawned.memory,
        }),
        Ok(Stage::Panicked(why)) => Err(match console.last_words_of_init() {
            Some(words) => GuestError::InitEnded {
                words,
                why,
                console: tail,
            },
            None => GuestError::Panicked { why, console: tail },
        }),
        Ok(_) => {
            let ending = tokio::time::timeout(LAST_WORDS, spawned.ending.ended()).await;
            let killed = matches!(&ending, Ok(Ending::Exited(exit)) if exit.is_by_signal());
            let how = ending.map_or("its console was closed".to_owned(), |ending| ending.to_string());
            Err(GuestError::Ended {
                how,
                killed,
                console: tail,
            })
        }
        Err(_elapsed) => Err(GuestError::Silent {
            after: started.elapsed(),
            console: tail,
        }),
    }
}

/// Boots an image just far enough to prove that `hardware` boots anything: the accelerator's canary. Its console goes into
/// a file without a name, which is gone however the runner ends.
pub async fn canary(hardware: &Hardware, image: &Image, deadline: Duration) -> Result<Duration, GuestError> {
    let started = Instant::now();
    let machine = machine(image, hardware.accelerator, Vec::new());
    let spawned = spawn_with(&hardware.program, &machine, SpawnOptions::default()).await?;
    let awake = wait_ready(spawned, record_unnamed, deadline).await?;
    let took = started.elapsed();
    awake.process.end(&awake.qmp, QUIT_PATIENCE).await;
    Ok(took)
}
