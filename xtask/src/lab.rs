// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `bisect-step`, `bisect` and `mutants` have in common: a place to build and to test, and its end.

use crate::flags::{CaseFlags, LabFlags};
use crate::kernel::on_stderr;
use crate::{Stopped, interrupt, select};
use anyhow::{Context, anyhow};
use campaigns::lab::{Lab, Trouble};
use guest_images::build::Flavour;
use guest_images::{Cache, Progress};
use harness::run::Teller;
use reports::ExitStatus;
use std::path::PathBuf;
use std::time::Duration;
use testcases::Case;
use tokio_util::sync::CancellationToken;

/// What blocking work may still take when all has been interrupted.
const LAST_MOMENTS: Duration = Duration::from_secs(3);

/// The cases that are meant; that there is none is a slip, not a wish.
pub(crate) fn cases(flags: &LabFlags, filters: Vec<String>) -> Result<Vec<Case>, Stopped> {
    let cases = select::cases(&CaseFlags {
        cases: flags.cases.clone(),
        filters,
    })?;
    if cases.is_empty() {
        return Err(Stopped::usage(anyhow!(
            "there is no such case; `cargo xtask test --list` names them all"
        )));
    }
    Ok(cases)
}

/// Sets everything up, lets `job` use it, and takes it down.
pub(crate) fn with_lab<T>(
    flags: LabFlags,
    cases: Vec<Case>,
    build_in: Option<PathBuf>,
    job: impl FnOnce(&Lab<'_>) -> Result<T, Stopped>,
) -> Result<T, Stopped> {
    let cache = Cache::open(flags.cache.root).map_err(Stopped::of_images)?;
    let teller = on_stderr();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
        .map_err(Stopped::broken)?;
    let cancel = CancellationToken::new();
    runtime
        .block_on(async { interrupt::watch([cancel.clone()], ["interrupted: ending compilers and guests"]) })
        .context("cannot watch for signals")
        .map_err(Stopped::broken)?;
    let progress = UntilCancelled {
        teller: &teller,
        cancel: cancel.clone(),
    };
    let lab = Lab {
        cases,
        build_in,
        flavour: if flags.debug {
            Flavour::Debug
        } else {
            Flavour::Plain
        },
        qemu: flags.qemu,
        accelerator: flags.accel,
        jobs: flags.jobs,
        cache: &cache,
        progress: &progress,
        runtime: runtime.handle().clone(),
        cancel,
    };
    let outcome = job(&lab);
    drop(lab);
    runtime.shutdown_timeout(LAST_MOMENTS);
    teller.finish().map_err(Stopped::broken)?;
    outcome
}

/// Tells on, and is not wanted any more once the user has ended it.
struct UntilCancelled<'a> {
    teller: &'a Teller,
    cancel: CancellationToken,
}

impl Progress for UntilCancelled<'_> {
    fn started(&self, work: &str, what: &str) {
        self.teller.started(work, what);
    }

    fn advanced(&self, work: &str, done: u64, total: Option<u64>, unit: &str) {
        self.teller.advanced(work, done, total, unit);
    }

    fn finished(&self, work: &str, outcome: Result<&str, &str>) {
        self.teller.finished(work, outcome);
    }

    fn is_wanted(&self) -> bool {
        !self.cancel.is_cancelled()
    }

    fn note(&self, text: &str) {
        self.teller.note(text);
    }
}

/// What a trouble means for the whole command.
pub(crate) fn stopped(trouble: &Trouble) -> ExitStatus {
    match trouble {
        Trouble::Interrupted => ExitStatus::Interrupted,
        Trouble::ThisKernel(_) | Trouble::Everything(_) => ExitStatus::Broken,
    }
}
