// SPDX-License-Identifier: MIT OR Apache-2.0
//! `bench`: measure, and print.

use crate::flags::{BenchFlags, CaseFlags, default_cases};
use crate::{Stopped, interrupt, select};
use anyhow::Context;
use campaigns::bench::{BenchError, Plan, measure, sample};
use guest_images::{Cache, KernelSpec};
use reports::ExitStatus;
use std::io::Write;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What blocking work may still take when the measuring has been interrupted.
const LAST_MOMENTS: Duration = Duration::from_secs(3);

pub(crate) fn run(flags: BenchFlags) -> Result<ExitStatus, Stopped> {
    let kernel = match &flags.kernel {
        Some(text) => KernelSpec::parse(text, None).map_err(Stopped::usage)?,
        None => KernelSpec::default_kernel().map_err(Stopped::broken)?,
    };
    let everything = flags.filters.is_empty();
    let cases = select::cases(&CaseFlags {
        cases: default_cases(),
        filters: flags.filters,
    })?;
    let cases = if everything { sample(cases) } else { cases };
    let plan = Plan {
        cases,
        kernel,
        qemu: flags.qemu,
        cache: Cache::open(flags.cache.root).map_err(Stopped::of_images)?,
        rounds: flags.rounds,
        suite_rounds: flags.suite_rounds,
        soak: flags.soak,
        at_once: flags.at_once,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
        .map_err(Stopped::broken)?;
    let report = runtime.block_on(async {
        let cancel = CancellationToken::new();
        interrupt::watch([cancel.clone()], ["interrupted: ending the guests"])
            .context("cannot watch for signals")
            .map_err(Stopped::broken)?;
        measure(&plan, &cancel, &|text| eprintln!("{text}"))
            .await
            .map_err(stopped)
    });
    runtime.shutdown_timeout(LAST_MOMENTS);
    let report = report?;
    let text = if flags.json {
        let json = serde_json::to_string_pretty(&report).context("cannot write the numbers as JSON");
        json.map_err(Stopped::broken)? + "\n"
    } else {
        report.to_string()
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("cannot print what was measured")
        .map_err(Stopped::broken)?;
    Ok(ExitStatus::Ok)
}

fn stopped(error: BenchError) -> Stopped {
    let status = match error {
        BenchError::Kernel(_) => ExitStatus::Usage,
        BenchError::Interrupted => ExitStatus::Interrupted,
        _ => ExitStatus::Broken,
    };
    Stopped {
        status,
        error: error.into(),
    }
}
