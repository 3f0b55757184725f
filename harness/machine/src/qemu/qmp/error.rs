// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a conversation with QEMU fails.

use std::fmt;
use std::time::Duration;

/// A command that QEMU understood and refused, or did not understand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// QEMU's class of errors, `GenericError` for most; text, since a newer QEMU may have a new one.
    pub class: String,
    /// QEMU's words.
    pub description: String,
}

impl Refusal {
    /// Whether this QEMU does not have the command at all.
    pub fn is_unknown_command(&self) -> bool {
        self.class == "CommandNotFound"
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.class == "GenericError" {
            f.write_str(&self.description)
        } else {
            write!(f, "{} ({})", self.description, self.class)
        }
    }
}

/// Why there is no answer to a QMP command, or not the right one.
#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    /// QEMU said no.
    #[error("QEMU refused `{command}`: {refusal}")]
    Refused {
        /// The command's name.
        command: String,
        /// QEMU's words.
        refusal: Refusal,
    },
    /// QEMU said nothing in time. An answer that comes later is ignored.
    #[error("QEMU did not answer `{command}` within {after:?}")]
    Timeout {
        /// The command's name.
        command: String,
        /// The deadline that passed.
        after: Duration,
    },
    /// The connection has ended, mostly because QEMU has.
    #[error("QEMU cannot answer `{command}`: {cause}")]
    Closed {
        /// The command's name.
        command: String,
        /// How the connection ended; QEMU's exit status and last words if it exited.
        cause: String,
    },
    /// QEMU answered something else than this command's reply.
    #[error("QEMU's answer to `{command}` is not what its schema says")]
    Decode {
        /// The command's name.
        command: String,
        /// Where it differs.
        source: serde_json::Error,
    },
    /// A command that cannot be written as JSON.
    #[error("the command `{command}` cannot be written as JSON")]
    Encode {
        /// The command's name.
        command: String,
        /// The cause.
        source: serde_json::Error,
    },
    /// The other side does not speak QMP.
    #[error("instead of QEMU's greeting there came: {line}")]
    NotQmp {
        /// What it said instead, shortened.
        line: String,
    },
    /// The other side is silent from the start.
    #[error("QEMU did not greet within {:.0} s", .after.as_secs_f64())]
    NoGreeting {
        /// The deadline that passed.
        after: Duration,
    },
    /// The socket could not be used at all.
    #[error("cannot use the QMP socket")]
    Socket(#[source] std::io::Error),
}
