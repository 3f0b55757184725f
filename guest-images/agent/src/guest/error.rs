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

/// A system call that failed, and on what.
#[derive(Debug)]
pub(crate) struct Stopped {
    what: String,
    error: io::Error,
}

/// Something that goes on to the first system call that fails.
pub(crate) type Tried<T> = Result<T, Stopped>;

/// Names the system call that a result is of.
pub(crate) trait Call<T> {
    /// The call and its object, "open", "/mnt/a".
    fn of(self, call: &str, object: impl std::fmt::Display) -> Tried<T>;
}

impl<T> Call<T> for io::Result<T> {
    fn of(self, call: &str, object: impl std::fmt::Display) -> Tried<T> {
        self.map_err(|error| Stopped {
            what: format!("{call} {object}"),
            error,
        })
    }
}

impl<T> Call<T> for nix::Result<T> {
    fn of(self, call: &str, object: impl std::fmt::Display) -> Tried<T> {
        self.map_err(io::Error::from).of(call, object)
    }
}

impl Stopped {
    /// As data. An error without an errno, which std made up itself, is no answer of the kernel's.
    pub(crate) fn refusal(self) -> Result<Refusal, Failure> {
        match self.error.raw_os_error().map(Errno::from_raw) {
            Some(errno) => Ok(Refusal {
                what: self.what,
                errno: errno as i32,
            }),
            None => Err(failure(format_args!("{}: {}", self.what, self.error))),
        }
    }
}

/// As the answer to a call.
pub(crate) fn outcome<T>(tried: Tried<T>) -> Result<Outcome<T>, Failure> {
    match tried {
        Ok(value) => Ok(Outcome::Done(value)),
        Err(stopped) => stopped.refusal().map(Outcome::Refused),
    }
}
