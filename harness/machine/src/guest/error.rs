// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why there is no guest.

use super::agent::CallError;
use super::session::SessionError;
use crate::qemu::{CannotClone, MigrationError, QemuError, QmpError};
use guest_agent::SSH_PORT;
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
        /// Why.
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
    /// It ended before it was ready.
    #[error("the guest ended while booting: {how}{}", lines(.console))]
    Ended {
        /// How.
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
        /// Why.
        #[source]
        source: ssh_key::Error,
    },
    /// SSH failed.
    #[error("cannot log in to the guest{}", lines(.console))]
    Login {
        /// Why.
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
        /// Why.
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

/// Whether, somewhere below this error, a guest was lost because a signal ended its QEMU: QEMU 10.0 under TCG aborts about once
/// in 200 boots on a busy machine (`iotlb_to_section`), and that is no fault of the kernel or the case.
pub fn is_emulators_death(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|cause| {
        let booting = matches!(
            cause.downcast_ref::<GuestError>(),
            Some(GuestError::Ended { killed: true, .. })
        );
        let starting = matches!(
            cause.downcast_ref::<QemuError>(),
            Some(QemuError::Died { exit, .. }) if exit.is_by_signal()
        );
        booting || starting
    })
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
        assert!(is_emulators_death(&died(6)), "SIGABRT");
        assert!(!is_emulators_death(&died(1 << 8)), "exit status 1");
        let ended = |killed| GuestError::Ended {
            how: String::new(),
            killed,
            console: Vec::new(),
        };
        assert!(is_emulators_death(&ended(true)));
        assert!(!is_emulators_death(&ended(false)));
    }
}
