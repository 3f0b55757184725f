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
pub use filesystem::{Dax, lacking_for_mount, make_xfs, mount, prove_dax, still_dax};
pub use ground::build;
pub use locate::{Found, badblocks, resolve};
pub use namespaces::make_fsdax;
pub use stack::{Part, Place, Pmem, Stack};

use guest_agent::MOUNT_POINT;
use guest_agent::call::{Run, RunResult};
use guest_agent::victim::Ended;
use machine::guest::agent::Agent;
use std::time::Duration;

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
    let said = [complaint(&result.stderr), complaint(&result.stdout)].join(" ");
    Err(NvdimmError::Tool {
        command: argv.join(" "),
        ended: result
            .ended
            .map_or("it had to be killed at its deadline".to_owned(), |ended| {
                ended.to_string()
            }),
        said: said.trim().to_owned(),
    })
}

/// What a program complains of, without the list of its options that many print behind it.
fn complaint(said: &str) -> String {
    let is_usage = |line: &&str| line.trim_start().to_lowercase().starts_with("usage");
    let lines = said.trim().lines();
    let complaint: Vec<&str> = lines.clone().take_while(|line| !is_usage(line)).collect();
    if complaint.is_empty() {
        return lines.take(1).collect();
    }
    complaint.join("\n")
}

#[cfg(test)]
mod tests {
    use super::complaint;

    #[test]
    fn a_complaint_is_told_without_all_options() {
        let mkfs =
            "unknown option -m bogus\nUsage: mkfs.xfs\n/* blocksize */\t\t[-b size=num]\n/* metadata */ …\n";
        assert_eq!(complaint(mkfs), "unknown option -m bogus");
        let ndctl = "  Error: invalid size\n  one more line\n\n usage: ndctl create-namespace [<options>]\n\n    -t, --type <type>\n";
        assert_eq!(complaint(ndctl), "Error: invalid size\n  one more line\n");
        assert_eq!(
            complaint("usage: xfs_io [-c cmd]\n  [-f]\n"),
            "usage: xfs_io [-c cmd]"
        );
        assert_eq!(complaint(""), "");
    }
}
