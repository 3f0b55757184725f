// SPDX-License-Identifier: MIT OR Apache-2.0
//! The NVDIMMs of a guest: namespaces, the stack of devices on them or the one character device, the filesystem, and the
//! addresses between a case's target and a guest physical page.
//!
//! ```text
//! file ──resolve──> offset on one of the filesystem's devices ──Stack──> offset on a pmem device, guest physical
//! ```

mod character;
mod error;
mod filesystem;
mod ground;
mod locate;
mod namespaces;
mod stack;

pub use character::make_devdax;
pub use error::NvdimmError;
pub use filesystem::{Dax, is_dax, make_xfs, mount, prove_dax, still_dax};
pub use ground::build;
pub use locate::{BadMemory, Found, badblocks, resolve};
pub use namespaces::make_fsdax;
pub use stack::{Part, Place, Pmem, Stack};

use crate::guest::agent::Agent;
use guest_agent::call::{Run, RunResult};
use guest_agent::victim::Ended;
use std::time::Duration;

/// Where the filesystem under test is mounted.
pub const MOUNT_POINT: &str = "/mnt";

/// Making a namespace or a filesystem, which on an emulated processor takes seconds.
const PREPARATION: Duration = Duration::from_secs(120);
const QUESTION: Duration = Duration::from_secs(30);

/// The path of a case's file in the guest.
pub fn path_of(file: &str) -> String {
    format!("{MOUNT_POINT}/{file}")
}

/// Runs a program in the guest, which must succeed.
async fn tool(agent: &Agent, argv: &[&str]) -> Result<RunResult, NvdimmError> {
    let call = Run {
        argv: argv.iter().map(|&word| word.to_owned()).collect(),
        deadline_ms: None,
    };
    let result = agent.call(call, PREPARATION).await?;
    if result.ended == Some(Ended::Exited(0)) {
        return Ok(result);
    }
    let said = [result.stderr.trim(), result.stdout.trim()]
        .join(" ")
        .trim()
        .to_owned();
    Err(NvdimmError::Tool {
        command: argv.join(" "),
        ended: result
            .ended
            .map_or("it had to be killed at its deadline".to_owned(), |ended| {
                ended.to_string()
            }),
        said,
    })
}
