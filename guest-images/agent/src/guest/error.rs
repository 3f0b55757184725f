// SPDX-License-Identifier: MIT OR Apache-2.0
//! Two kinds of bad news: the kernel refused (data), and the agent could not (failure).

use guest_agent::call::{Failure, Outcome, Refusal};
use nix::errno::Errno;
use std::io;

/// Text for a failure of the agent.
pub(crate) fn failure(what: impl std::fmt::Display) -> Failure {
    Failure {
        what: what.to_string(),
    }
}

/// A failure with what was being done.
pub(crate) trait Doing<T> {
    /// Turns the error into a [`Failure`] that begins with `what`.
    fn doing(self, what: impl std::fmt::Display) -> Result<T, Failure>;
}

impl<T, E: std::fmt::Display> Doing<T> for Result<T, E> {
    fn doing(self, what: impl std::fmt::Display) -> Result<T, Failure> {
        self.map_err(|error| failure(format_args!("{what}: {error}")))
    }
}

/// The errno behind an I/O error. An error that std made up itself (no errno) is EIO's opposite: a bug of the
/// agent; it is reported as such by the caller.
pub(crate) fn errno_of(error: &io::Error) -> Option<Errno> {
    error.raw_os_error().map(Errno::from_raw)
}

/// A system call's result as data.
pub(crate) fn outcome<T>(what: impl std::fmt::Display, result: io::Result<T>) -> Result<Outcome<T>, Failure> {
    match result {
        Ok(value) => Ok(Outcome::Done(value)),
        Err(error) => match errno_of(&error) {
            Some(errno) => Ok(Outcome::Refused(Refusal {
                what: what.to_string(),
                errno: errno as i32,
            })),
            None => Err(failure(format_args!("{what}: {error}"))),
        },
    }
}
