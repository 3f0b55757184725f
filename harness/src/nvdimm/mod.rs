// SPDX-License-Identifier: MIT OR Apache-2.0
//! The NVDIMMs of a guest: namespaces, the stack of devices on them or the one character device, the filesystem, and the
//! addresses between a case's target and a guest physical page.
//!
//! ```text
//! file ──resolve──> offset on one of the filesystem's devices ──Stack──> offset on a pmem device, guest physical
//! ```

mod character;
mod command;
mod error;
mod filesystem;
mod ground;
mod locate;
mod namespaces;
mod stack;

pub use error::NvdimmError;
pub use filesystem::{Dax, Filesystem, lacking_for_mount, mount, prove_dax, still_dax};
pub use locate::{Found, badblocks, resolve};
pub use namespaces::Namespaces;
pub use stack::{Part, Place, Pmem, Stack};

use guest_agent::MOUNT_POINT;
use std::time::Duration;

/// Making a namespace or a filesystem, which on an emulated processor takes seconds.
const PREPARATION: Duration = Duration::from_secs(120);
const QUESTION: Duration = Duration::from_secs(30);

/// The path of a case's file in the guest.
pub fn path_of(file: &str) -> String {
    format!("{MOUNT_POINT}/{file}")
}
