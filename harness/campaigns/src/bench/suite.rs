// SPDX-License-Identifier: MIT OR Apache-2.0
//! Passes over the whole suite, as `test` makes them.

use super::usage::cpu_time;
use super::{BenchError, Plan};
use guest_images::{Cache, KernelSpec};
use harness::run::{CASE_DEADLINE, Request, Stop, Teller, run};
use reports::{CaseResult, Event, EventKind, Reader, Readers};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use testcases::Isolation;
use tokio_util::sync::CancellationToken;

/// One pass over the suite.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pass {
    /// From its start to its end.
    pub(super) wall: Duration,
    /// Spent by this process and its guests.
    pub(super) cpu: Duration,
    /// From its start to the first judgement.
    pub(super) first: Duration,
    /// Judgements of the kernel.
    pub(super) verdicts: u32,
    /// Cases whose harness failed; they cost time and are no verdicts.
    pub(super) broken: u32,
    /// The accelerator that the run chose.
    pub(super) accelerator: String,
}

/// Runs all cases on the plan's kernel, with guests from `isolation` and everything kept in `cache`.
pub(super) async fn pass(
    plan: &Plan,
    cache: &Cache,
    isolation: Isolation,
    cancel: &CancellationToken,
) -> Result<Pass, BenchError> {
    pass_on(plan, &plan.kernel, cache, isolation, cancel).await
}

/// The same on another kernel.
pub(super) async fn pass_on(
    plan: &Plan,
    kernel: &KernelSpec,
    cache: &Cache,
    isolation: Isolation,
    cancel: &CancellationToken,
) -> Result<Pass, BenchError> {
    let out = tempfile::Builder::new()
        .prefix("taster-bench-")
        .tempdir()
        .map_err(|source| BenchError::io("make", "a temporary folder for evidence", source))?;
    let request = Request {
        cases: plan.cases.clone(),
        kernels: vec![kernel.clone()],
        qemu: plan.qemu.clone(),
        accelerator: None,
        isolation,
        jobs: None,
        shuffle: None,
        case_deadline: CASE_DEADLINE,
        run_deadline: None,
        out: out.path().to_owned(),
        cache: cache.clone(),
        command: Vec::new(),
    };
    let watch = Watch::default();
    let before = cpu_time()?;
    let teller = Arc::new(Teller::new(Readers::new().with(watch.clone())));
    let stop = Stop {
        at_once: cancel.clone(),
        ..Stop::default()
    };
    run(request, Arc::clone(&teller), stop).await?;
    let wall = teller.elapsed();
    let cpu = cpu_time()?.saturating_sub(before);
    if cancel.is_cancelled() {
        return Err(BenchError::Interrupted);
    }
    let seen = std::mem::take(&mut *watch.0.lock().unwrap_or_else(PoisonError::into_inner));
    let Some((first, accelerator)) = seen.first else {
        let why = seen.other.unwrap_or_else(|| "there is none".to_owned());
        return Err(BenchError::NothingJudged { isolation, why });
    };
    Ok(Pass {
        wall: Duration::from_secs_f64(wall),
        cpu,
        first: Duration::from_secs_f64(first),
        verdicts: seen.verdicts,
        broken: seen.broken,
        accelerator,
    })
}

/// Remembers what a pass is about.
#[derive(Clone, Default)]
struct Watch(Arc<Mutex<Seen>>);

#[derive(Default)]
struct Seen {
    /// Seconds until the first judgement, and the accelerator under which it came about.
    first: Option<(f64, String)>,
    verdicts: u32,
    broken: u32,
    /// What the first case that was not judged came to.
    other: Option<String>,
}

impl Seen {
    fn result(&mut self, at: f64, result: &CaseResult) {
        if result.verdict.is_judgement() {
            self.verdicts += 1;
            self.first
                .get_or_insert_with(|| (at, result.environment.accelerator.clone()));
        } else {
            self.broken += u32::from(result.verdict == reports::Verdict::Broken);
            self.other
                .get_or_insert_with(|| format!("{}: {}", result.verdict, result.reason));
        }
    }
}

impl Reader for Watch {
    fn event(&mut self, event: &Event) {
        if let EventKind::CaseFinished { result } = &event.kind {
            let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            seen.result(event.at, result);
        }
    }

    fn finish(&mut self) -> Result<(), reports::Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reports::{Environment, Verdict};

    fn result(verdict: Verdict) -> CaseResult {
        CaseResult {
            case: "data/case".to_owned(),
            file: String::new(),
            summary: String::new(),
            verdict,
            reason: "because".to_owned(),
            findings: Vec::new(),
            known_issues: Vec::new(),
            environment: Environment {
                accelerator: "tcg".to_owned(),
                ..Environment::default()
            },
            steps: Vec::new(),
            started_at: jiff::Timestamp::UNIX_EPOCH,
            seconds: 0.0,
            log: String::new(),
            log_lines: reports::LogLines::default(),
            source: Vec::new(),
            attachments: Vec::new(),
            oracle: Vec::new(),
            evidence: serde_json::Value::Null,
        }
    }

    #[test]
    fn what_was_never_tried_is_not_the_first_verdict() {
        let mut seen = Seen::default();
        for (at, verdict) in [
            (0.1, Verdict::Untestable),
            (0.2, Verdict::Broken),
            (1.5, Verdict::Fail),
            (2.5, Verdict::Pass),
        ] {
            seen.result(at, &result(verdict));
        }
        assert_eq!(seen.first, Some((1.5, "tcg".to_owned())));
        assert_eq!((seen.verdicts, seen.broken), (2, 1));
        assert_eq!(seen.other.as_deref(), Some("untestable: because"));
    }
}
