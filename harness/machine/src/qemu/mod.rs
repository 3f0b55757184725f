// SPDX-License-Identifier: MIT OR Apache-2.0
//! QEMU: what machine it is told to be, its process, and its monitor.
//!
//! The only room of the project that starts QEMU. From the outside in:
//!
//! - [`spawn()`] starts a [`Program`] as a [`Machine`] and hands back a [`Spawned`]: process, monitor, console, ports.
//! - [`Qmp`] talks to its monitor; [`Capabilities`] says what that monitor can do.
//! - [`MachineCheck`] is injected through it, and acknowledged or refused.
//! - [`save`] writes a stopped guest's state to a file, [`restore`] takes it up in another QEMU; [`Cloning`] says how.
//! - [`EndingWatch`] tells when and why the guest came to its end.
//!
//! Everything between us and QEMU is inherited: sockets as socket pairs, memory as files without a name. There is no
//! path and no port, so there is nothing to collide with and nothing to leave behind.

mod capabilities;
mod confine;
mod device;
mod ending;
mod machine;
mod mce;
mod memory;
mod migration;
mod process;
mod program;
mod qmp;
mod registers;
mod spawn;
mod stderr;

pub use capabilities::Capabilities;
pub use device::{MemoryDevice, MemoryKind};
pub use ending::{Ending, EndingWatch};
pub use machine::{Boot, Descriptors, Machine, MachineError, Mebibytes, PortName, Start, footprint};
pub use mce::{Acknowledged, MachineCheck, NotAcknowledged, bits as mce_bits, inject, inject_into_user_mode};
pub(crate) use memory::free_bytes;
pub use memory::{GuestMemory, MemoryError, MemoryFile, Sharing};
pub use migration::{CannotClone, Cloning, MigrationError, Route, restore, save};
pub use process::{Exit, QemuProcess};
pub use program::Program;
pub use qmp::{Direction, Events, Greeting, LineLog, Obituary, Qmp, QmpError, QmpEvent, Refusal, Version};
pub use registers::VirtualCpu;
pub use spawn::{QemuError, SpawnOptions, Spawned, spawn, spawn_with};
