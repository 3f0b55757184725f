// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU's monitor protocol, QMP: qapi's types on a transport of our own.
//!
//! The transport that comes with qapi gives up for good at the first event that its schema does not know, and aborts the
//! process when a command follows one that timed out. Every QEMU has events of its own and every command here has a
//! deadline, so lines are matched here: a line with an `id` answers the command of that id, a line with an `event` goes
//! to all subscribers, and whatever else arrives is logged and otherwise ignored.

mod client;
mod error;
mod event;
mod line;
mod transport;

#[cfg(test)]
pub(super) mod scripted;
#[cfg(test)]
mod tests;

pub use client::{Greeting, Qmp, Version};
pub use error::{QmpError, Refusal};
pub use event::{Events, QmpEvent};
pub use transport::{Direction, LineLog, Obituary};
