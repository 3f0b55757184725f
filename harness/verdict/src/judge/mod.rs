// SPDX-License-Identifier: MIT OR Apache-2.0
//! From evidence to a verdict: a pure function of (case, kernel version, evidence).
//!
//! In order of weight:
//!
//! 1. a splat of the kernel fails the case, whatever else held;
//! 2. so does a kernel that died;
//! 3. every expectation is held against its observation, and every injection against the oracle's prediction: what is
//!    established so fails the case too, whatever could not be looked at afterwards;
//! 4. a harness that lost its guest, or its record, makes a case broken of which nothing else is wrong;
//! 5. a missing precondition makes it untestable.
//!
//! Known issues are looked at last: they turn a failure into a known issue only when they name all of it, all of them
//! for this kernel show, and nothing is missing: a known issue is no reason to believe that the rest was looked at.

mod checks;
mod findings;
mod known;
mod oracle;
#[cfg(test)]
mod tests;
mod values;
mod words;

pub use findings::{Found, SPLAT, What};
pub use oracle::record_predictions;
pub use words::{describe_attempt, describe_filesystem};

use crate::observe::evidence::{End, Evidence, Hit, StepEvidence};
use crate::observe::splat;
use checks::Checks;
use guest_agent::call::Handled;
use reports::{Finding, Verdict};
use testcases::{Action, Case, Expect, KernelVersion, describe};

/// A verdict with its justifications.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// One line; empty for a pass.
    pub reason: String,
    /// What was found wrong.
    pub findings: Vec<Finding>,
    /// `because` of the known issues that showed.
    pub known_issues: Vec<String>,
}

/// What could not be looked at, and the verdict on a case that nothing else speaks against.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Gap {
    verdict: Verdict,
    why: String,
}

/// Judges one case, as it is on this kernel ([`Case::for_kernel`]).
pub fn judge(case: &Case, kernel: &KernelVersion, evidence: &Evidence) -> Judgement {
    let mut found: Vec<Found> = splat::find(evidence.log.iter().map(String::as_str))
        .into_iter()
        // Whoever was stopped was not stuck.
        .filter(|splat| !(splat.kind.is_about_time() && matches!(evidence.end, End::StoodStill(_))))
        .map(Found::splat)
        .collect();
    let gap = if let End::GuestDied(how) = &evidence.end {
        let mut died = Found::kernel_died(case, evidence.steps.len(), how);
        died.finding.because = oracle::of_the_last(evidence, kernel);
        found.push(died);
        None
    } else {
        gap(case, evidence)
    };
    found.extend(Checks::new(case, kernel, evidence).run(gap.is_none()));
    known::weigh(case, kernel, found, gap)
}

/// Why the evidence does not suffice for a pass.
fn gap(case: &Case, evidence: &Evidence) -> Option<Gap> {
    let gap = |verdict| move |why| Gap { verdict, why };
    broken(case, evidence)
        .map(gap(Verdict::Broken))
        .or_else(|| untestable(case, evidence).map(gap(Verdict::Untestable)))
}

/// Did the harness fail to do its job?
fn broken(case: &Case, evidence: &Evidence) -> Option<String> {
    let done = evidence.steps.len();
    match &evidence.end {
        End::Lost(why) | End::StoodStill(why) => Some(why.clone()),
        End::Completed if done < case.steps.len() => Some(format!(
            "the record is incomplete: {done} of {} steps have evidence",
            case.steps.len()
        )),
        End::Stopped if !evidence.steps.last().is_some_and(stops) => {
            Some("the case was stopped, but its record does not say why".to_owned())
        }
        _ => mismatched(case, evidence)
            .or_else(|| checks::untraceable(case))
            .or_else(|| checks::cut_off(case, evidence)),
    }
}

/// A step whose evidence is of another kind than the step proves nothing.
fn mismatched(case: &Case, evidence: &Evidence) -> Option<String> {
    case.steps
        .iter()
        .zip(&evidence.steps)
        .find(|(step, seen)| !fits(&step.action, seen))
        .map(|(step, _)| {
            format!(
                "the record of line {} (`{}`) is of another kind than the step",
                step.line,
                describe(&step.action)
            )
        })
}

fn fits(action: &Action, seen: &StepEvidence) -> bool {
    match (action, seen) {
        (_, seen) if stops(seen) => true,
        // What was handled was looked at afterwards, or somebody has lost it.
        (Action::Inject(_), StepEvidence::Injected(injected)) => {
            let whole = |hit: &Hit| hit.after.is_some() || hit.handled != Handled::Finished;
            !injected.hits.is_empty() && injected.hits.iter().all(whole)
        }
        (Action::Expect(Expect::State(_)), StepEvidence::State(_))
        | (Action::Expect(Expect::Operation { .. }), StepEvidence::Operation(_)) => true,
        (Action::Inject(_) | Action::Expect(_), _) => false,
        (_, seen) => *seen == StepEvidence::Done,
    }
}

fn stops(step: &StepEvidence) -> bool {
    matches!(
        step,
        StepEvidence::Refused(_)
            | StepEvidence::Failed(_)
            | StepEvidence::Stuck(_)
            | StepEvidence::Impossible(_)
    )
}

/// Is a precondition missing?
fn untestable(case: &Case, evidence: &Evidence) -> Option<String> {
    let impossible = evidence.steps.iter().find_map(|step| match step {
        StepEvidence::Impossible(why) => Some(why.clone()),
        _ => None,
    });
    impossible
        .or_else(|| checks::unseeable(case, &evidence.blind))
        .or_else(|| checks::fieldless(case, evidence))
        .or_else(|| checks::invisible_flags(case, evidence))
}
