// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every expectation against its observation.

mod badblocks;
mod lines;
mod operation;
mod signals;
mod state;

pub(super) use lines::{fieldless, untraceable};
pub(super) use operation::cut_off;
pub(super) use state::{invisible_flags, shutdown_reason};

use super::findings::Found;
use super::oracle::About;
use super::{oracle, values, words};
use crate::observe::evidence::{End, Evidence, Hit, Observation, StepEvidence, Tried};
use crate::observe::probes::Blind;
use guest_agent::call::Handled;
use std::collections::BTreeSet;
use testcases::{
    Action, Case, Expect, FindingKind, FindingSignature, FindingValue, FindingWord, KernelVersion, Mechanism,
    StateExpectation, describe,
};

/// Why an expectation of the case cannot be seen at all in this guest.
pub(super) fn unseeable(case: &Case, blind: &Blind) -> Option<String> {
    case.steps.iter().find_map(|step| match &step.action {
        Action::Expect(Expect::State(state)) => {
            if let (Some(_), Some(why)) = (state.notify_failure, &blind.notify_failure) {
                return Some(format!("notify_failure cannot be observed: {why}"));
            }
            if let (false, Some(why)) = (state.signalled.is_empty(), &blind.signals) {
                return Some(format!(
                    "signals to processes that are no victims cannot be observed: {why}"
                ));
            }
            state.trace.iter().find_map(|wanted| {
                blind
                    .of_event(&wanted.event)
                    .map(|why| format!("{} cannot be traced: {why}", wanted.event))
            })
        }
        action if unfinishable(action, blind) => blind
            .handled
            .as_ref()
            .map(|why| format!("nothing proves that this kernel has finished with a machine check: {why}")),
        _ => None,
    })
}

/// A machine check of which nothing in this guest shows when the kernel has finished with it.
fn unfinishable(action: &Action, blind: &Blind) -> bool {
    let by_machine_check = |by: Mechanism| match by {
        Mechanism::MachineCheck(_) | Mechanism::MceInject(_) => true,
        Mechanism::Madvise(_) | Mechanism::Debugfs(_) | Mechanism::Sysfs(_) => false,
    };
    matches!(action, Action::Inject(injection) if by_machine_check(injection.by)) && blind.handled.is_some()
}

/// That a step ended so.
fn ended<V: Into<FindingValue>>(action: &Action, seen: impl IntoIterator<Item = V>) -> FindingSignature {
    FindingSignature::new(FindingKind::Operation, seen).in_step(Some(action))
}

/// The checks of one case.
pub(super) struct Checks<'a> {
    case: &'a Case,
    kernel: &'a KernelVersion,
    evidence: &'a Evidence,
    /// The signals that an expectation has spoken about, by victim and index.
    accounted: BTreeSet<(&'a str, usize)>,
    /// Those of them that came of an access that an expectation tried: they belong to no other.
    raised: BTreeSet<(&'a str, usize)>,
    /// The victims whose end an expectation has spoken about.
    ends: BTreeSet<&'a str>,
    /// The lines of the trace with the signals to processes of the case's own that an expectation has spoken about.
    lines: BTreeSet<usize>,
    /// The lines of the kernel's log that an expectation has asked for, each with what it asked.
    asked_lines: Vec<(String, &'a str)>,
    found: Vec<Found>,
}

impl<'a> Checks<'a> {
    pub(super) const fn new(case: &'a Case, kernel: &'a KernelVersion, evidence: &'a Evidence) -> Self {
        Self {
            case,
            kernel,
            evidence,
            accounted: BTreeSet::new(),
            raised: BTreeSet::new(),
            ends: BTreeSet::new(),
            lines: BTreeSet::new(),
            asked_lines: Vec::new(),
            found: Vec::new(),
        }
    }

    /// What is established against the kernel. What only the end of a whole case shows, such as a signal that no expectation
    /// names, is established by a `complete` one alone: in what is missing, it may have been expected.
    pub(super) fn run(mut self, complete: bool) -> Vec<Found> {
        let (case, evidence) = (self.case, self.evidence);
        for (index, (step, seen)) in case.steps.iter().zip(&evidence.steps).enumerate() {
            if unfinishable(&step.action, &evidence.blind) {
                // What is seen after an error that may still be being handled is no answer to it.
                break;
            }
            match (&step.action, seen) {
                (action, StepEvidence::Refused(refusal)) => {
                    self.note(
                        index,
                        ended(action, [FindingValue::returned(refusal.errno)]),
                        format!("the kernel refused: {}", describe(action)),
                        "success",
                        format!("{}: {}", refusal.what, words::errno(refusal.errno)),
                    );
                    self.knew(index, About::Operation(action));
                }
                (action, StepEvidence::Failed(tried)) => {
                    self.speak_of_access(tried);
                    self.note(
                        index,
                        ended(action, values::tried(tried, &evidence.victims)),
                        format!("it did not succeed: {}", describe(action)),
                        "success",
                        words::describe_attempt(tried),
                    );
                    self.knew(index, About::Operation(action));
                }
                // By our own clock, which proves nothing once the guest itself was lost.
                (_, StepEvidence::Stuck(_)) if matches!(evidence.end, End::Lost(_) | End::StoodStill(_)) => {}
                (action, StepEvidence::Stuck(what)) => {
                    self.note(
                        index,
                        ended(action, [FindingWord::NoAnswer]),
                        format!("the kernel did not come back from: {}", describe(action)),
                        "an answer, whichever",
                        what,
                    );
                    self.because(oracle::of_the_last(evidence, self.kernel));
                }
                (Action::Inject(_), StepEvidence::Injected(injected)) => self.injected(index, &injected.hits),
                (Action::Expect(Expect::State(expected)), StepEvidence::State(seen)) => {
                    self.state(index, expected, seen);
                }
                (Action::Expect(Expect::Operation { outcome, .. }), StepEvidence::Operation(seen)) => {
                    self.operation(index, outcome, seen);
                }
                // Preconditions are judged before; a step that was done has nothing to say.
                _ => {}
            }
        }
        if complete {
            self.refused();
            self.unaccounted();
            self.strangers();
        }
        self.found
    }

    fn note(
        &mut self,
        step: usize,
        signature: FindingSignature,
        what: impl Into<String>,
        expected: impl Into<String>,
        seen: impl Into<String>,
    ) {
        let found = Found::deviation(self.case, step, signature, what, expected, seen);
        self.found.push(found);
    }

    /// What the oracle knows of what was noted last.
    fn because(&mut self, why: Option<String>) {
        if let Some(found) = self.found.last_mut() {
            found.finding.because = why;
        }
    }

    /// The expectation that was noted last is about something of which the oracle may know.
    fn knew(&mut self, step: usize, about: About<'_>) {
        self.because(oracle::knew(self.evidence, self.kernel, step, about));
    }

    fn injected(&mut self, step: usize, hits: &[Hit]) {
        if let Some(unfinished) = hits.iter().find(|hit| hit.handled != Handled::Finished) {
            let (seen, words) = match unfinished.handled {
                Handled::Stuck => (
                    FindingWord::NeverLeft,
                    "the last handler was entered and never left",
                ),
                Handled::Silent | Handled::Finished => {
                    (FindingWord::NeverEntered, "the last handler was never entered")
                }
            };
            self.note(
                step,
                FindingSignature::new(FindingKind::MachineCheck, [seen]),
                "the kernel took the machine check and did not finish handling it",
                "a return from every handler",
                words,
            );
        }
        for difference in oracle::differences(hits, self.kernel, &self.evidence.blind) {
            let mut signature = difference.signature;
            if signature.kind == FindingKind::Kernel {
                signature = signature.in_step(self.case.steps.get(step).map(|step| &step.action));
            }
            self.note(
                step,
                signature,
                difference.what,
                difference.expected,
                difference.seen,
            );
            self.because(difference.because);
        }
    }

    /// Injecting calls that were refused though neither the case nor the oracle says so: what follows them would be expected of
    /// an error that nobody has made.
    fn refused(&mut self) {
        let (case, evidence) = (self.case, self.evidence);
        for (step, injected) in evidence.injections() {
            let silent = |hit: &&Hit| !oracle::predicts_the_answer(hit, self.kernel, &evidence.blind);
            let refusal = injected
                .hits
                .iter()
                .filter(silent)
                .find_map(|hit| match &hit.injector {
                    Some(Tried::Refused(refusal)) => Some(refusal),
                    _ => None,
                });
            if let Some(refusal) = refusal
                && !is_answered(case, step)
            {
                self.note(
                    step,
                    FindingSignature::new(FindingKind::Injector, [FindingValue::returned(refusal.errno)]),
                    "the injecting call was refused, and no `injector:` expects it",
                    "ok, or an `injector:` that says otherwise",
                    format!("{}: {}", refusal.what, words::errno(refusal.errno)),
                );
            }
        }
    }

    fn state(&mut self, step: usize, expected: &'a StateExpectation, seen: &'a Observation) {
        self.signals(step, expected, seen);
        self.mappings(step, expected, seen);
        self.injector(step, expected, seen);
        self.filesystem(step, expected, seen);
        if let Some(ranges) = &expected.badblocks {
            self.badblocks(step, ranges, seen);
        }
        self.accounts(step, expected, seen);
        self.files(step, expected, seen);
        self.lines(step, expected, seen);
    }
}

/// Whether the case says what the injecting call of this step gets, before it makes the next error.
fn is_answered(case: &Case, step: usize) -> bool {
    let later = case.steps.iter().skip(step + 1).map(|step| &step.action);
    later
        .take_while(|action| !matches!(action, Action::Inject(_)))
        .any(|action| matches!(action, Action::Expect(Expect::State(state)) if state.injector.is_some()))
}
