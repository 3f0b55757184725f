// SPDX-License-Identifier: MIT OR Apache-2.0
//! Printing what was asked for.

use crate::Stopped;
use anyhow::Context;
use reports::ExitStatus;
use std::io::Write;

/// Says something on standard error. Where nobody listens any more there is nobody to tell that either.
pub(crate) fn aside(text: &str) {
    drop(writeln!(std::io::stderr(), "{text}"));
}

/// Prints a text. Whoever stops reading in the midst of it has read enough.
pub(crate) fn text(text: &str, what: &'static str) -> Result<ExitStatus, Stopped> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(ExitStatus::Ok),
        written => written
            .context(what)
            .map_err(Stopped::broken)
            .map(|()| ExitStatus::Ok),
    }
}
