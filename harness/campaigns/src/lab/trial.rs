// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a commit is, given what its cases came to.

use reports::{CaseResult, Verdict};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What is said of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrialOutcome {
    /// All that was to be judged held, every time.
    Good,
    /// It failed at least once, and in the way that is looked for.
    Bad,
    /// Neither: it does not build, does not boot, cannot be tested, or fails in another way.
    CannotTell,
}

impl TrialOutcome {
    /// The exit status for `git bisect run` (git-bisect(1)).
    pub fn status(self) -> u8 {
        match self {
            Self::Good => 0,
            Self::Bad => 1,
            Self::CannotTell => 125,
        }
    }
}

impl std::fmt::Display for TrialOutcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::CannotTell => "cannot tell",
        })
    }
}

/// Where a failure shows: the steps of cases whose expectations did not hold, and splats.
///
/// Two failures that have none of these in common are two defects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature(BTreeSet<(String, String)>);

impl Signature {
    fn of<'a>(results: impl IntoIterator<Item = &'a CaseResult>) -> Self {
        let failed = results
            .into_iter()
            .filter(|result| result.verdict == Verdict::Fail);
        let places = failed.flat_map(|result| {
            let place =
                |finding: &reports::Finding| match (finding.step, &finding.signature, &finding.subject) {
                    (Some(step), _, _) => format!("step {step}"),
                    (None, Some(signature), _) => signature.clone(),
                    // A splat's title has pids in it.
                    (None, None, Some(subject)) => format!("{} {subject}", finding.kind),
                    (None, None, None) => finding.what.clone(),
                };
            let mut places: Vec<String> = result.findings.iter().map(place).collect();
            if places.is_empty() {
                places.push(result.reason.clone());
            }
            places.into_iter().map(|place| (result.case.clone(), place))
        });
        Self(places.collect())
    }

    /// Whether the two have something in common.
    pub fn meets(&self, other: &Self) -> bool {
        !self.0.is_disjoint(&other.0)
    }

    /// Whether it shows in a case.
    pub fn concerns(&self, case: &str) -> bool {
        self.0.iter().any(|(name, _)| name == case)
    }
}

/// What testing a commit came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// What is said of it.
    pub outcome: TrialOutcome,
    /// Why, in one line.
    pub why: String,
    /// How often all held.
    pub passes: u32,
    /// How often it failed in the way that is looked for.
    pub failures: u32,
    /// Where it failed.
    pub signature: Signature,
}

impl Trial {
    /// A commit that nothing can be said of.
    pub fn cannot_tell(why: impl Into<String>) -> Self {
        Self {
            outcome: TrialOutcome::CannotTell,
            why: why.into(),
            passes: 0,
            failures: 0,
            signature: Signature::default(),
        }
    }
}

/// Weighs the results of all rounds; `like` is the failure that is looked for, if it is known.
///
/// A failure counts even if other rounds pass, for a defect need not show each time. Only what the failure that is looked
/// for concerns has to be judged for a good word; if that is not known, everything has.
pub fn weigh(rounds: &[Vec<CaseResult>], like: Option<&Signature>) -> Trial {
    let of_interest = |result: &&CaseResult| like.is_none_or(|like| like.concerns(&result.case));
    let mut trial = Trial::cannot_tell("nothing was judged");
    let mut other = None;
    let mut unjudged = None;
    for round in rounds {
        let signature = Signature::of(round);
        let alike = like.map_or(signature != Signature::default(), |like| signature.meets(like));
        if alike {
            trial.failures += 1;
            trial.signature.0.extend(signature.0);
        } else if let Some(result) = round.iter().find(|result| result.verdict == Verdict::Fail) {
            other.get_or_insert_with(|| describe_failure(result));
        } else if let Some(result) = round
            .iter()
            .filter(of_interest)
            .find(|result| !result.verdict.is_judgement())
        {
            unjudged.get_or_insert_with(|| describe_failure(result));
        } else if round.iter().any(|result| of_interest(&result)) {
            trial.passes += 1;
        }
    }
    let count = rounds.len();
    if trial.failures > 0 {
        let failed = rounds
            .iter()
            .flatten()
            .find(|result| result.verdict == Verdict::Fail && trial.signature.concerns(&result.case));
        trial.outcome = TrialOutcome::Bad;
        trial.why = format!(
            "failed {} of {count} times; {}",
            trial.failures,
            failed.map(describe_failure).unwrap_or_default()
        );
    } else if let Some(why) = other {
        trial.why = if like.is_some() {
            format!("it fails, but not as the bad end does: {why}")
        } else {
            why
        };
    } else if let Some(why) = unjudged {
        trial.why = why;
        if rounds
            .iter()
            .flatten()
            .any(|result| result.verdict.is_judgement())
        {
            trial.why += " (others were judged: name with --case the ones that count)";
        }
    } else if trial.passes > 0 && usize::try_from(trial.passes).is_ok_and(|passes| passes == count) {
        trial.outcome = TrialOutcome::Good;
        trial.why = format!("passed {count} of {count} times");
    }
    trial
}

fn describe_failure(result: &CaseResult) -> String {
    let first = result.findings.first().map(|finding| {
        let seen = finding.seen.as_deref().map(|seen| format!(", seen: {seen}"));
        format!("{}{}", finding.what, seen.unwrap_or_default())
    });
    let why = first.unwrap_or_else(|| result.reason.clone());
    reports::text::one_line(&format!("{}: {}: {why}", result.case, result.verdict))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use reports::{Environment, Finding};

    /// A result; a failing one fails at `step`.
    pub(crate) fn result(case: &str, verdict: Verdict, step: usize) -> CaseResult {
        let finding = Finding {
            step: Some(step),
            line: None,
            what: format!("what step {step} expects did not hold"),
            expected: Some("alice is killed".to_owned()),
            seen: Some("nobody".to_owned()),
            ..Finding::default()
        };
        CaseResult {
            case: case.to_owned(),
            file: String::new(),
            summary: String::new(),
            verdict,
            reason: "the reason".to_owned(),
            findings: if verdict == Verdict::Fail {
                vec![finding]
            } else {
                Vec::new()
            },
            known_issues: Vec::new(),
            environment: Environment::default(),
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

    fn one(verdict: Verdict, step: usize) -> Vec<CaseResult> {
        vec![result("a/b", verdict, step)]
    }

    fn outcome(rounds: &[Vec<CaseResult>], like: Option<&Signature>) -> TrialOutcome {
        weigh(rounds, like).outcome
    }

    #[test]
    fn a_word_for_each_verdict() {
        for (verdict, expected) in [
            (Verdict::Pass, TrialOutcome::Good),
            (Verdict::KnownIssue, TrialOutcome::Good),
            (Verdict::Fail, TrialOutcome::Bad),
            (Verdict::Untestable, TrialOutcome::CannotTell),
            (Verdict::Broken, TrialOutcome::CannotTell),
        ] {
            assert_eq!(outcome(&[one(verdict, 1)], None), expected, "{verdict}");
        }
        assert_eq!(outcome(&[], None), TrialOutcome::CannotTell);
        assert_eq!(outcome(&[vec![]], None), TrialOutcome::CannotTell);
        assert_eq!(
            [TrialOutcome::Good, TrialOutcome::Bad, TrialOutcome::CannotTell].map(TrialOutcome::status),
            [0, 1, 125]
        );
    }

    #[test]
    fn one_failure_among_passes_is_bad_and_one_break_is_no_good_word() {
        let passes = || one(Verdict::Pass, 0);
        let trial = weigh(&[passes(), one(Verdict::Fail, 1), passes()], None);
        assert_eq!(
            (trial.outcome, trial.failures, trial.passes),
            (TrialOutcome::Bad, 1, 2)
        );
        assert!(
            trial.why.contains("1 of 3") && trial.why.contains("seen: nobody"),
            "{}",
            trial.why
        );
        assert_eq!(
            outcome(&[passes(), one(Verdict::Broken, 0)], None),
            TrialOutcome::CannotTell
        );
        assert_eq!(
            outcome(&[one(Verdict::Broken, 0), one(Verdict::Fail, 0)], None),
            TrialOutcome::Bad
        );
    }

    #[test]
    fn another_failure_is_another_defect() {
        let looked_for = weigh(&[one(Verdict::Fail, 7)], None).signature;
        assert_eq!(
            outcome(&[one(Verdict::Fail, 7)], Some(&looked_for)),
            TrialOutcome::Bad
        );
        let trial = weigh(&[one(Verdict::Fail, 3)], Some(&looked_for));
        assert_eq!(trial.outcome, TrialOutcome::CannotTell);
        assert!(trial.why.contains("not as the bad end does"), "{}", trial.why);
    }

    #[test]
    fn a_splat_is_the_same_whichever_process_ran_into_it() {
        let splat = |title: &str, function: Option<&str>| {
            let mut result = result("a/b", Verdict::Fail, 0);
            result.findings = vec![Finding {
                kind: "splat".to_owned(),
                subject: function.map(str::to_owned),
                what: title.to_owned(),
                ..Finding::default()
            }];
            vec![result]
        };
        let looked_for = weigh(&[splat("WARNING: CPU: 0 PID: 152", Some("f"))], None).signature;
        let again = |title, function| outcome(&[splat(title, function)], Some(&looked_for));
        assert_eq!(again("WARNING: CPU: 1 PID: 164", Some("f")), TrialOutcome::Bad);
        assert_eq!(
            again("WARNING: CPU: 0 PID: 152", Some("g")),
            TrialOutcome::CannotTell
        );
        assert_eq!(again("WARNING: CPU: 0 PID: 152", None), TrialOutcome::CannotTell);
    }

    #[test]
    fn only_what_is_looked_for_has_to_be_judged() {
        let looked_for = weigh(&[one(Verdict::Fail, 7)], None).signature;
        let round = |verdict, beside| vec![result("a/b", verdict, 7), result("c/d", beside, 0)];
        let with = |verdict, beside| outcome(&[round(verdict, beside)], Some(&looked_for));
        assert_eq!(with(Verdict::Pass, Verdict::Untestable), TrialOutcome::Good);
        assert_eq!(with(Verdict::Untestable, Verdict::Pass), TrialOutcome::CannotTell);
        let trial = weigh(&[round(Verdict::Pass, Verdict::Untestable)], None);
        assert_eq!(trial.outcome, TrialOutcome::CannotTell);
        assert!(trial.why.contains("--case"), "{}", trial.why);
        assert_eq!(
            outcome(&[vec![result("c/d", Verdict::Pass, 0)]], Some(&looked_for)),
            TrialOutcome::CannotTell
        );
    }
}
