// SPDX-License-Identifier: MIT OR Apache-2.0
//! One case on one kernel: its guest, its evidence, its verdict.

use super::Teller;
use super::clock::{Clock, Moment};
use super::guests::{Guests, NoGuest, Ready};
use super::out::{self, folder};
use crate::steps::{News, carry_out};
use guest_images::Kernel;
use guest_images::with_causes;
use machine::guest::{self, Death, Mishap};
use machine::qemu::{Direction, LineLog};
use reports::{
    Attachment, CaseResult, Environment, EventKind, Finding, LogLines, SourceLine, StepRecord, Verdict,
};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use testcases::{Case, Isolation, KernelVersion};
use verdict::judge::{SPLAT, judge, record_predictions};
use verdict::observe::evidence::{End, Evidence};
use verdict::observe::splat;

/// Lines of the kernel's log in a result; the whole of it is an attachment.
const LOG_LINES: usize = 60;

/// Lines of the console in a message.
const LAST_LINES: usize = 12;

/// Everything that one case needs.
pub(super) struct Stage<'a, 'g> {
    pub(super) case: &'a Case,
    pub(super) guests: &'a Guests<'g>,
    pub(super) version: &'a KernelVersion,
    pub(super) environment: Environment,
    pub(super) deadline: Duration,
    pub(super) out: &'a Path,
    pub(super) teller: &'a Teller,
    pub(super) clock: Option<&'a Clock>,
}

/// A case that was carried out.
struct Observed {
    evidence: Evidence,
    steps: Vec<StepRecord>,
    /// How its guest was had.
    isolation: Isolation,
}

/// What came of carrying a case out.
enum Attempt {
    /// Its steps were carried out, as far as they could be.
    Carried(Observed),
    /// QEMU went away before the first of them.
    LostBeforehand(Observed),
}

/// The result of a case that has not run.
pub(super) fn unjudged(
    case: &Case,
    environment: Environment,
    verdict: Verdict,
    reason: String,
) -> CaseResult {
    CaseResult {
        case: case.id.to_string(),
        file: case.path.display().to_string(),
        summary: case.summary.clone(),
        verdict,
        reason,
        findings: Vec::new(),
        known_issues: Vec::new(),
        environment,
        steps: Vec::new(),
        started_at: jiff::Timestamp::now(),
        seconds: 0.0,
        log: String::new(),
        log_lines: LogLines::default(),
        source: Vec::new(),
        oracle: Vec::new(),
        attachments: Vec::new(),
        evidence: serde_json::Value::Null,
    }
}

impl Stage<'_, '_> {
    /// Boots, carries out, judges, cleans up.
    pub(super) async fn run(self) -> CaseResult {
        // What is carried out and judged is the case as it is on this kernel.
        let case = &self.case.for_kernel(self.version);
        let kernel = self.environment.kernel.clone();
        self.teller.tell(EventKind::CaseStarted {
            case: self.case.id.to_string(),
            kernel: kernel.clone(),
            steps: case.steps.len(),
        });
        let (started, began) = (Instant::now(), Moment::now());
        let started_at = jiff::Timestamp::now();
        let mut result = unjudged(
            self.case,
            self.environment.clone(),
            Verdict::Broken,
            String::new(),
        );
        result.started_at = started_at;
        let place = folder(self.out, &kernel, self.case.id.as_str());
        let doing = Mutex::new("getting a guest".to_owned());
        match tokio::time::timeout(self.deadline, self.observed(case, &place, &doing)).await {
            Ok(Ok(mut observed)) => {
                let standstill = self.clock.and_then(|clock| clock.stood_still(began));
                // A kernel that died has said so itself.
                if let Some(why) = standstill
                    && !matches!(observed.evidence.end, End::GuestDied(_))
                {
                    observed.evidence.end = End::StoodStill(why);
                }
                result.environment.isolation = observed.isolation.to_string();
                self.weigh(case, &mut result, &place, &observed.evidence, observed.steps);
            }
            Ok(Err(no_guest)) => {
                result.verdict = no_guest.verdict;
                result.reason = no_guest.why;
            }
            Err(_elapsed) => {
                let doing = doing.lock().unwrap_or_else(PoisonError::into_inner);
                let console = fs::read_to_string(place.join("console.log")).unwrap_or_default();
                let lines: Vec<&str> = console.lines().collect();
                let last = lines
                    .get(lines.len().saturating_sub(LAST_LINES)..)
                    .unwrap_or_default();
                result.reason = format!(
                    "the case did not finish within {} s; it was at: {doing}; the last lines of its console:\n    {}",
                    self.deadline.as_secs(),
                    last.join("\n    ")
                );
            }
        }
        result.attachments = attachments(self.out, &place);
        result.seconds = started.elapsed().as_secs_f64();
        result
    }

    /// The case, carried out. A guest that its emulator loses before the first step has shown nothing of the kernel, and is made
    /// anew, once.
    async fn observed(&self, case: &Case, place: &Path, doing: &Mutex<String>) -> Result<Observed, NoGuest> {
        match self.attempt(case, place, doing).await? {
            Attempt::Carried(observed) => Ok(observed),
            Attempt::LostBeforehand(lost) => {
                let why = match &lost.evidence.end {
                    End::Lost(why) => why.as_str(),
                    End::Completed | End::Stopped | End::GuestDied(_) | End::StoodStill(_) => "",
                };
                self.guests
                    .note_loss(&format!("the guest of {}", case.id), Mishap::Emulator, why);
                match self.attempt(case, place, doing).await? {
                    Attempt::Carried(observed) | Attempt::LostBeforehand(observed) => Ok(observed),
                }
            }
        }
    }

    async fn attempt(&self, case: &Case, place: &Path, doing: &Mutex<String>) -> Result<Attempt, NoGuest> {
        out::clear_case(place)
            .and_then(|()| fs::create_dir_all(place))
            .map_err(|error| format!("cannot make the folder for evidence {}: {error}", place.display()))?;
        let qmp_log = log_to(&place.join("qmp.jsonl"))?;
        let evidence = guest::Evidence {
            folder: place,
            qmp_log: Some(qmp_log),
        };
        let Ready {
            guest,
            stack,
            isolation,
        } = self.guests.get(case, evidence).await?;
        let (id, kernel) = (case.id.to_string(), self.environment.kernel.clone());
        let mut begun = false;
        let mut tell = |news| {
            let (case, kernel) = (id.clone(), kernel.clone());
            if let News::Started { what, .. } = &news {
                begun = true;
                doing
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone_from(what);
            }
            self.teller.tell(match news {
                News::Started { index, what } => EventKind::StepStarted {
                    case,
                    kernel,
                    index,
                    what,
                },
                News::Finished(step) => EventKind::StepFinished { case, kernel, step },
            });
        };
        let (evidence, steps) = carry_out(&guest, &stack, case, &mut tell).await;
        let lost = matches!(guest.ended(false).await, Some(Death::Qemu(_)));
        guest.stop().await;
        let observed = Observed {
            evidence,
            steps,
            isolation,
        };
        Ok(if lost && !begun {
            Attempt::LostBeforehand(observed)
        } else {
            Attempt::Carried(observed)
        })
    }

    fn weigh(
        &self,
        case: &Case,
        result: &mut CaseResult,
        place: &Path,
        evidence: &Evidence,
        steps: Vec<StepRecord>,
    ) {
        let judgement = judge(case, self.version, evidence);
        result.verdict = judgement.verdict;
        result.reason = judgement.reason;
        result.findings = judgement.findings;
        add_source_lines(&mut result.findings, &self.guests.image.kernel);
        result.known_issues = judgement.known_issues;
        result.oracle = record_predictions(self.version, evidence);
        result.steps = steps;
        result.source = source_lines(&case.path, &result.findings);
        // What came before the case's first step is in the file, and so is the whole of every splat that is a finding.
        let own = evidence.log.get(evidence.log_before.unwrap_or_default()..);
        let own = splat::fold(own.unwrap_or_default().iter().map(String::as_str));
        if evidence.log_before.is_some() {
            result.log_lines = LogLines {
                own: own.len(),
                all: evidence.log.len(),
            };
        }
        result.log = own[own.len().saturating_sub(LOG_LINES)..].join("\n");
        let trace: Vec<String> = evidence
            .trace
            .iter()
            .map(|line| {
                format!(
                    "{:.6} cpu{} {}-{} {}: {}",
                    line.time, line.cpu, line.task, line.pid, line.event, line.text
                )
            })
            .collect();
        let files = [
            ("kernel.log", evidence.log.join("\n")),
            ("trace.txt", trace.join("\n")),
        ];
        let said = evidence
            .said
            .iter()
            .map(|(line, said)| (format!("run-{line}.txt"), said.join("\n")));
        let saved = files
            .into_iter()
            .map(|(name, text)| (name.to_owned(), text))
            .chain(said)
            .try_for_each(|(name, text)| reports::files::write_atomically(place.join(name), text.as_bytes()))
            .map_err(|error| with_causes(&error))
            .and_then(|()| serde_json::to_value(evidence).map_err(|error| error.to_string()));
        match saved {
            Ok(evidence) => result.evidence = evidence,
            // A verdict without its evidence cannot be checked by anybody.
            Err(why) => {
                result.verdict = Verdict::Broken;
                result.reason = format!("the evidence could not be kept: {why}");
            }
        }
    }
}

/// What each splat says of places in the kernel's code, with the lines of its source, where its vmlinux knows them.
fn add_source_lines(findings: &mut [Finding], kernel: &Kernel) {
    let mut splats = findings
        .iter_mut()
        .filter(|finding| finding.kind == SPLAT)
        .peekable();
    if splats.peek().is_none() {
        return;
    }
    if let Some(lines) = kernel.source_lines() {
        for finding in splats {
            let decoded = |seen: &String| {
                seen.lines()
                    .map(|line| lines.decode(line))
                    .collect::<Vec<_>>()
                    .join("\n")
            };
            finding.seen = finding.seen.as_ref().map(decoded);
        }
    }
}

fn log_to(path: &Path) -> Result<LineLog, String> {
    let file = File::create(path).map_err(|error| format!("cannot make {}: {error}", path.display()))?;
    let file = Mutex::new(file);
    Ok(Arc::new(move |direction: Direction, line: &str| {
        let mark = match direction {
            Direction::Out => "->",
            Direction::In => "<-",
        };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk is reported by the evidence that a verdict needs.
        let _log = writeln!(file, "{mark} {line}");
    }))
}

/// The lines of the case's file that findings speak of. A file that is gone or was changed meanwhile gives less, and takes
/// nothing from the verdict.
fn source_lines(file: &Path, findings: &[Finding]) -> Vec<SourceLine> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let wanted: BTreeSet<usize> = findings.iter().filter_map(|finding| finding.line).collect();
    wanted
        .into_iter()
        .filter_map(|line| {
            let text = text.lines().nth(line.checked_sub(1)?)?.to_owned();
            Some(SourceLine { line, text })
        })
        .collect()
}

/// The files of evidence that there are, what people look into first at the head.
fn attachments(out: &Path, place: &Path) -> Vec<Attachment> {
    out::evidence_in(place)
        .into_iter()
        .filter_map(|name| {
            let path = place.join(&name).strip_prefix(out).ok()?.to_owned();
            Some(Attachment { name, path })
        })
        .collect()
}
