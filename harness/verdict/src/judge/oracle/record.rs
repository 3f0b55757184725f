// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the oracle said of every error, for the case's record.

use super::observed;
use crate::observe::evidence::{Evidence, Hit, StepEvidence, Unfinished};
use crate::observe::probes::Blind;
use crate::oracle::facts::{Facts, Injection};
use crate::oracle::{Justification, Observed, compare, predict, sentences};
use reports::{AppliedRule, Prediction, PredictionRecord, Unpredicted};
use testcases::KernelVersion;

/// What was predicted of each error that the case made, in order, the one on which the guest ended among them.
pub fn record_predictions(kernel: &KernelVersion, evidence: &Evidence) -> Vec<PredictionRecord> {
    let blind = &evidence.blind;
    let mut all = Vec::new();
    let mut last = None;
    for (step, injected) in evidence.injections() {
        all.extend(injected.hits.iter().map(|hit| of_hit(step, hit, kernel, blind)));
        last = injected.hits.last();
    }
    // An error that is not finished with is told both ways where its step has evidence.
    if let Some(Unfinished { injection, facts }) = &evidence.unfinished
        && last.is_none_or(|hit| (&hit.injection, &hit.facts) != (injection, facts))
    {
        let stuck = |step: &StepEvidence| matches!(step, StepEvidence::Stuck(_));
        let step = evidence
            .steps
            .iter()
            .rposition(stuck)
            .unwrap_or(evidence.steps.len());
        all.push(of_error(step, (injection, facts), &Observed::default(), kernel));
    }
    all
}

/// What was predicted of one error, and how much of it was seen.
pub(super) fn of_hit(step: usize, hit: &Hit, kernel: &KernelVersion, blind: &Blind) -> PredictionRecord {
    let observed = hit
        .after
        .as_ref()
        .map_or_else(Observed::default, |after| observed(hit, after, blind));
    of_error(step, (&hit.injection, &hit.facts), &observed, kernel)
}

fn of_error(
    step: usize,
    (injection, facts): (&Injection, &Facts),
    observed: &Observed,
    kernel: &KernelVersion,
) -> PredictionRecord {
    let prediction = predict(facts, injection, kernel);
    let comparison = compare(&prediction, observed);
    let predicted = sentences(&prediction).into_iter().map(|sentence| Prediction {
        part: sentence.part,
        says: sentence.says,
        because: sentence.rule.to_string(),
    });
    let mut rules: Vec<AppliedRule> = Vec::new();
    for Justification { subject, from, says } in prediction.justifications() {
        let rule = AppliedRule {
            subject: subject.clone(),
            from: (*from).to_owned(),
            says: (*says).to_owned(),
        };
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    let unpredicted = comparison.unpredicted.into_iter();
    PredictionRecord {
        step,
        page: injection.page.physical.to_string(),
        predicted: predicted.collect(),
        rules,
        compared: comparison.compared,
        unpredicted: unpredicted.map(|(part, why)| Unpredicted { part, why }).collect(),
        unseen: comparison.unseen,
    }
}
