// SPDX-License-Identifier: MIT OR Apache-2.0
//! `test`: run, and report.

use crate::flags::{TestFlags, workspace};
use crate::{Stopped, interrupt, print, report, select};
use anyhow::Context;
use guest_images::{Cache, KernelSpec};
use harness::run::{CASE_DEADLINE, OutFolder, Request, Stop, Teller, run as run_all};
use reports::terminal::Look;
use reports::{EventLog, ExitStatus, Readers, RunRecord, SharedRecorder, Terminal};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// What blocking work may still take when the run has been interrupted.
const LAST_MOMENTS: Duration = Duration::from_secs(3);

pub(crate) fn run(flags: TestFlags) -> Result<ExitStatus, Stopped> {
    let kernels = kernels(&flags)?;
    let cases = select::cases(&flags.cases)?;
    if flags.list {
        return list(&cases);
    }
    let cache = Cache::open(flags.cache.root).map_err(Stopped::of_images)?;
    let out = out_folder(flags.out.as_deref())?;
    // Until the reports are written, nobody else's run may use the folder.
    let held = OutFolder::begin(&out).map_err(|error| {
        if error.is_usage() {
            Stopped::usage(error)
        } else {
            Stopped::broken(error)
        }
    })?;
    let request = Request {
        cases,
        kernels,
        qemu: flags.qemu,
        accelerator: flags.accel,
        isolation: flags.isolation,
        jobs: flags.jobs,
        shuffle: flags.shuffle,
        case_deadline: flags.case_timeout.map_or(CASE_DEADLINE, Duration::from_secs),
        run_deadline: flags.run_timeout.map(Duration::from_secs),
        out: out.clone(),
        cache,
        command: std::env::args().collect(),
    };
    let record = SharedRecorder::default();
    let look = Look::for_output(std::io::stdout().is_terminal()).with_out(out.clone());
    let readers = Readers::new()
        .with(Terminal::new(std::io::stdout(), look))
        .with(EventLog::create(out.join(OutFolder::EVENTS)).map_err(Stopped::broken)?)
        .with(record.clone());
    let teller = Arc::new(Teller::new(readers));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")
        .map_err(Stopped::broken)?;
    let outcome = runtime.block_on(async {
        let stop = Stop::default();
        let words = [
            "interrupted: what runs is finished, and nothing else begins; once more to end it now",
            "interrupted again: ending the guests",
        ];
        interrupt::watch([stop.politely.clone(), stop.at_once.clone()], words)
            .context("cannot watch for signals")
            .map_err(Stopped::broken)?;
        run_all(request, Arc::clone(&teller), stop)
            .await
            .map_err(Stopped::usage)
    });
    runtime.shutdown_timeout(LAST_MOMENTS);
    let told = teller.finish().map_err(Stopped::broken);
    // Also for a run that ended before its first case, and for one that nobody could be told of.
    let status = write_reports(&record, &out)?;
    drop(held);
    told?;
    outcome.map(|_| status)
}

fn kernels(flags: &TestFlags) -> Result<Vec<KernelSpec>, Stopped> {
    if flags.kernel.is_empty() {
        return Ok(vec![KernelSpec::default_kernel().map_err(Stopped::broken)?]);
    }
    let mut kernels = Vec::new();
    for text in &flags.kernel {
        let spec = KernelSpec::parse(text, flags.modules.as_deref()).map_err(Stopped::usage)?;
        if !kernels.contains(&spec) {
            kernels.push(spec);
        }
    }
    Ok(kernels)
}

fn list(cases: &[testcases::Case]) -> Result<ExitStatus, Stopped> {
    let cases = cases.iter().map(|case| {
        let summary = case.summary.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("{:<28} {summary}", case.id.as_str())
    });
    let kernels = guest_images::known_kernels()
        .map_err(Stopped::broken)?
        .into_iter()
        .map(|kernel| {
            let default = if kernel.default { " (default)" } else { "" };
            format!("{:<28} {}{default}", kernel.name, kernel.description)
        });
    let lines: Vec<String> = cases
        .chain([String::new(), "kernels known by name:".to_owned()])
        .chain(kernels)
        .collect();
    let text = lines.join("\n") + "\n";
    print::text(&text, "cannot print the list")
}

/// The folder for evidence: the one that was named, or a new one for this run.
pub(crate) fn out_folder(named: Option<&Path>) -> Result<PathBuf, Stopped> {
    let folder = named.map_or_else(
        || {
            let stamp = jiff::Timestamp::now().strftime("%Y-%m-%dT%H-%M-%SZ");
            workspace()
                .join("target/taster")
                .join(format!("{stamp}-{}", std::process::id()))
        },
        Path::to_owned,
    );
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the folder for reports {}", folder.display()))
        .map_err(Stopped::broken)?;
    Ok(folder)
}

fn write_reports(record: &SharedRecorder, out: &Path) -> Result<ExitStatus, Stopped> {
    let record: RunRecord = record.take().into_record().map_err(Stopped::broken)?;
    record
        .write(out.join(OutFolder::RECORD))
        .map_err(Stopped::broken)?;
    report::write_junit(&record, out).map_err(Stopped::broken)?;
    Ok(record.exit_status())
}
