// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why there is no guest.

use super::agent::CallError;
use super::session::SessionError;
use crate::qemu::{CannotClone, MigrationError, QemuError, QmpError};
use guest_agent::{NO_PORT, SSH_PORT};
use std::fmt;
use std::time::Duration;

/// Why there is no guest.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// QEMU did not start.
    #[error("QEMU did not start")]
    Qemu(#[from] QemuError),
    /// The evidence file could not be made.
    #[error("cannot record the console in {path}")]
    Console {
        /// The file.
        path: String,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The port that was asked for is not there.
    #[error("QEMU was started without the port {SSH_PORT}")]
    NoPort,
    /// The kernel panicked while it booted.
    #[error("the guest panicked while booting: {why}{}", lines(.console))]
    Panicked {
        /// The panic's line.
        why: String,
        /// The last lines of the console.
        console: Vec<String>,
    },
    /// Its PID 1, which is ours, gave up.
    #[error("the guest's init ended while booting: {words} ({why}){}", lines(.console))]
    InitEnded {
        /// Why, as it said on the console.
        words: String,
        /// The line of the panic that came of it.
        why: String,
        /// The last lines of the console.
        console: Vec<String>,
    },
    /// It ended before it was ready.
    #[error("the guest ended while booting: {how}{}", lines(.console))]
    Ended {
        /// How it ended, in words.
        how: String,
        /// Whether a signal ended QEMU: its own crash, or somebody on the host. The guest has no part in that.
        killed: bool,
        /// The last lines of the console.
        console: Vec<String>,
    },
    /// It did not become ready.
    #[error("the guest did not boot within {} s: its PID 1 never said that SSH can be reached{}", .after.as_secs(), lines(.console))]
    Silent {
        /// The deadline.
        after: Duration,
        /// The last lines of the console.
        console: Vec<String>,
    },
    /// The image's own key cannot be read.
    #[error("the image {image} has a host key that is none: it is damaged, remove it from the cache")]
    HostKey {
        /// The image's digest.
        image: String,
        /// The cause.
        #[source]
        source: ssh_key::Error,
    },
    /// SSH failed.
    #[error("cannot log in to the guest{}", lines(.console))]
    Login {
        /// The cause.
        #[source]
        source: SessionError,
        /// The last lines of the console.
        console: Vec<String>,
    },
    /// The agent does not answer.
    #[error("the agent in the guest does not answer")]
    Agent(#[from] CallError),
    /// QEMU lacks what saving needs.
    #[error(transparent)]
    CannotClone(#[from] CannotClone),
    /// QEMU would not say what it can do.
    #[error("cannot ask QEMU whether it can save a guest")]
    Capabilities(#[source] QmpError),
    /// The state was not saved, or not restored.
    #[error(transparent)]
    Migration(#[from] MigrationError),
    /// The session would not end in good order, so the guest is in no state to be saved.
    #[error("cannot log out of the guest before it is saved{}", lines(.console))]
    Logout {
        /// The cause.
        #[source]
        source: SessionError,
        /// The last lines of the console.
        console: Vec<String>,
    },
    /// No fresh SSH server after the last session.
    #[error("no SSH server waits in the guest after the last session has ended{}", lines(.console))]
    NoServer {
        /// The last lines of the console.
        console: Vec<String>,
    },
    /// What answers is another boot than the one that was saved.
    #[error("the restored guest has the boot id {found}, the saved one had {expected}: it is no clone of it")]
    Stranger {
        /// The saved guest's.
        expected: String,
        /// This one's.
        found: String,
    },
    /// No bytes for the clone's random numbers.
    #[error("cannot draw a random seed for the guest from /dev/urandom")]
    Seed(#[source] std::io::Error),
}

/// What a guest is lost to before its case has begun, which says nothing of the kernel or the case, and which another guest need
/// not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// A signal ended its QEMU: QEMU 10.0 under TCG aborts about once in 200 boots on a busy machine (`iotlb_to_section`).
    Emulator,
    /// Its own init gave up because its port did not appear: under TCG on a busy machine the interrupts of virtio-serial are lost now
    /// and then.
    Port,
}

impl Mishap {
    /// Which of them lies somewhere below this error; `None` where a guest was lost to something else.
    pub fn of(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        std::iter::successors(Some(error), |error| error.source()).find_map(|cause| {
            match cause.downcast_ref::<GuestError>() {
                Some(GuestError::Ended { killed: true, .. }) => return Some(Self::Emulator),
                Some(GuestError::InitEnded { words, .. }) if words.contains(NO_PORT) => {
                    return Some(Self::Port);
                }
                _ => {}
            }
            match cause.downcast_ref::<QemuError>() {
                Some(QemuError::Died { exit, .. }) if exit.is_by_signal() => Some(Self::Emulator),
                _ => None,
            }
        })
    }
}

impl fmt::Display for Mishap {
    /// What became of the guest: "was lost by its emulator".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Emulator => "was lost by its emulator",
            Self::Port => "did not find the port of its emulator",
        })
    }
}

fn lines(console: &[String]) -> String {
    match console {
        [] => "; its console is empty".to_owned(),
        lines => format!("; the last lines of its console:\n    {}", lines.join("\n    ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::qemu::Exit;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    #[test]
    fn a_signal_is_the_emulators_death_and_a_status_is_not() {
        let died = |raw| {
            GuestError::from(QemuError::Died {
                binary: "/qemu".into(),
                exit: Exit {
                    status: Some(ExitStatus::from_raw(raw)),
                    stderr: String::new(),
                },
            })
        };
        assert_eq!(Mishap::of(&died(6)), Some(Mishap::Emulator), "SIGABRT");
        assert_eq!(Mishap::of(&died(1 << 8)), None, "exit status 1");
        let ended = |killed| GuestError::Ended {
            how: String::new(),
            killed,
            console: Vec::new(),
        };
        assert_eq!(Mishap::of(&ended(true)), Some(Mishap::Emulator));
        assert_eq!(Mishap::of(&ended(false)), None);
    }

    #[test]
    fn only_an_init_without_its_port_is_a_mishap_and_no_panic_of_the_kernels_own() {
        let why = "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000100".to_owned();
        let init = |words: &str| GuestError::InitEnded {
            words: words.to_owned(),
            why: why.clone(),
            console: Vec::new(),
        };
        let no_port = init(&format!("in the guest: {NO_PORT} {SSH_PORT} appeared"));
        assert_eq!(Mishap::of(&no_port), Some(Mishap::Port));
        let said = no_port.to_string();
        assert!(
            said.contains(NO_PORT) && said.contains("Attempted to kill init"),
            "{said}"
        );
        assert_eq!(Mishap::of(&init("mount proc at /proc: ENODEV")), None);
        let panicked = GuestError::Panicked {
            why,
            console: vec![format!("[ 9.1] {NO_PORT}")],
        };
        assert_eq!(Mishap::of(&panicked), None);
    }
}
