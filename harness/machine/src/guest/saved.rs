// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest written down, and taken up again.

use super::agent::Agent;
use super::session::Identity;
use super::{
    Beginning, Evidence, Guest, GuestError, HELLO_DEADLINE, Hardware, LINES_IN_MESSAGE, LOGIN_DEADLINE,
    record,
};
use crate::qemu::{
    self, Capabilities, Cloning, GuestMemory, Machine, Route, SpawnOptions, Start, spawn_with,
};
use guest_agent::call::Resumed;
use guest_images::Image;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// For QEMU to describe itself: a quarter of a MiB.
const INTROSPECTION: Duration = Duration::from_secs(10);
/// Logging out, and a fresh server after it.
const LOGOUT_DEADLINE: Duration = Duration::from_secs(30);
/// Saving and loading take hundredths of a second; a disk may be busy.
const STATE_DEADLINE: Duration = Duration::from_secs(30);
/// A QEMU that has saved a guest has nothing left to do.
const QUIT_PATIENCE: Duration = Duration::from_secs(10);
/// What Linux takes at a time for its generator.
const SEED_BYTES: usize = 32;

/// What is left of a guest that was saved.
#[derive(Debug)]
pub struct Saved {
    /// Its memory, which nobody writes to any more.
    pub memory: GuestMemory,
    /// `/proc/sys/kernel/random/boot_id`: every clone has the same.
    pub boot_id: String,
}

/// Where a clone comes from.
#[derive(Debug, Clone, Copy)]
pub struct Origin<'a> {
    /// The file with the state of the devices.
    pub state: &'a Path,
    /// How QEMU reads it.
    pub route: Route,
    /// [`Saved::boot_id`].
    pub boot_id: &'a str,
}

impl Guest {
    /// How this guest's QEMU can save it.
    pub async fn cloning(&self) -> Result<Cloning, GuestError> {
        let capabilities = Capabilities::query(&self.qmp, INTROSPECTION)
            .await
            .map_err(GuestError::Capabilities)?;
        Ok(Cloning::of(&capabilities)?)
    }

    /// Logs out, waits until the guest is at rest with a fresh SSH server waiting, stops it, writes the state of its
    /// devices to `state`, and ends its QEMU.
    pub async fn save(self, state: &Path, route: Route) -> Result<Saved, GuestError> {
        let console = self.console;
        let tail = || console.tail(LINES_IN_MESSAGE);
        let servers = console.servers();
        // Held until QEMU has ended: the guest takes a closed port for the end of its host.
        let port = tokio::time::timeout(LOGOUT_DEADLINE, self.agent.hang_up())
            .await
            .map_err(|_elapsed| GuestError::NoServer { console: tail() })?
            .map_err(|source| GuestError::Logout {
                source,
                console: tail(),
            })?;
        match tokio::time::timeout(LOGOUT_DEADLINE, console.wait_for_server(servers)).await {
            Ok(true) => {}
            Ok(false) | Err(_) => return Err(GuestError::NoServer { console: tail() }),
        }
        qemu::save(&self.qmp, route, state, STATE_DEADLINE).await?;
        self.process.end(&self.qmp, QUIT_PATIENCE).await;
        drop(port);
        Ok(Saved {
            memory: self.memory,
            boot_id: self.welcome.boot_id,
        })
    }

    /// Takes a saved guest up again in a QEMU of its own, over `memory`, which holds what [`Saved::memory`] held.
    ///
    /// Its clock is set and its random numbers are made its own. Fails if what answers is not the guest that was saved.
    pub async fn restore(
        hardware: &Hardware,
        machine: &Machine,
        image: &Image,
        memory: GuestMemory,
        origin: Origin<'_>,
        evidence: Evidence<'_>,
    ) -> Result<Self, GuestError> {
        let identity = Identity::of(image)?;
        let options = SpawnOptions {
            memory: Some(memory),
            start: Start::Restore,
            log: evidence.qmp_log,
            ..SpawnOptions::default()
        };
        let mut beginning = Beginning::default();
        let started = Instant::now();
        let mut spawned = spawn_with(&hardware.program, machine, options).await?;
        beginning.monitor = started.elapsed();
        let (_, port) = spawned.ports.pop_first().ok_or(GuestError::NoPort)?;
        let console = record(spawned.console, &spawned.command_line, evidence.folder)?;
        // Our half of the handshake is on its way while QEMU still loads.
        let (agent, awake) = tokio::try_join!(
            async {
                Agent::connect(port, identity, LOGIN_DEADLINE)
                    .await
                    .map_err(|source| GuestError::Login {
                        source,
                        console: console.tail(LINES_IN_MESSAGE),
                    })
            },
            async {
                qemu::restore(&spawned.qmp, origin.route, origin.state, STATE_DEADLINE)
                    .await
                    .map(|()| started.elapsed())
                    .map_err(GuestError::from)
            },
        )?;
        beginning.awake = awake;
        beginning.session = started.elapsed();
        let welcome = agent.call(resumed()?, HELLO_DEADLINE).await?;
        beginning.answer = started.elapsed();
        if welcome.boot_id != origin.boot_id {
            return Err(GuestError::Stranger {
                expected: origin.boot_id.to_owned(),
                found: welcome.boot_id,
            });
        }
        Ok(Self {
            agent,
            qmp: spawned.qmp,
            welcome,
            beginning,
            console,
            ending: spawned.ending,
            process: spawned.process,
            memory: spawned.memory,
        })
    }
}

fn resumed() -> Result<Resumed, GuestError> {
    let mut seed = vec![0; SEED_BYTES];
    File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut seed))
        .map_err(GuestError::Seed)?;
    // A host whose clock stands before 1970 gives its guests 1970.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Resumed {
        unix_nanos: u64::try_from(now.as_nanos()).unwrap_or(u64::MAX),
        seed,
    })
}
