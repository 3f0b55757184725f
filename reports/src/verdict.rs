// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a judge can say, and what a run's exit status makes of it.

use std::fmt;
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

use crate::CaseResult;

/// What the judge says of a case. Ordered from the most harmless to the most alarming.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every expectation held, and the oracle agrees.
    Pass,
    /// A precondition is missing: the kernel lacks a feature, the mount is not really DAX.
    Untestable,
    /// It failed exactly as a `known_issues` entry of the case says for this kernel.
    KnownIssue,
    /// The kernel did something else than the case expects.
    Fail,
    /// The harness could not do its job, so nothing is known about the kernel.
    Broken,
}

impl Verdict {
    /// Every verdict, in the order in which they are counted out to people.
    pub const ALL: [Self; 5] = [
        Self::Pass,
        Self::Fail,
        Self::KnownIssue,
        Self::Untestable,
        Self::Broken,
    ];

    /// The capital word that stands at the head of a result line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::KnownIssue => "KNOWN",
            Self::Untestable => "UNTESTABLE",
            Self::Broken => "BROKEN",
        }
    }

    /// Whether the kernel itself was judged, whatever came out: an untestable case was never tried, a broken one
    /// tells nothing about the kernel.
    pub fn is_judgement(self) -> bool {
        matches!(self, Self::Pass | Self::Fail | Self::KnownIssue)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::KnownIssue => "known issue",
            Self::Untestable => "untestable",
            Self::Broken => "broken",
        })
    }
}

/// How a run ends, as its caller sees it. In JSON it is the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "u8", try_from = "u8")]
#[repr(u8)]
pub enum ExitStatus {
    /// Something was judged, and all of it is as it should be or as it is known to be.
    Ok = 0,
    /// At least one case failed.
    Failed = 1,
    /// The command line or a case file is wrong.
    Usage = 2,
    /// The harness could not do its job for at least one case.
    Broken = 3,
    /// Nothing was judged.
    NothingJudged = 4,
    /// Somebody stopped the run.
    Interrupted = 130,
}

impl ExitStatus {
    /// The number a process exits with.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The graver of two. Interrupted is gravest, for nothing the run says is complete; then a wrong command, a
    /// broken harness, a failing kernel, a run that judged nothing.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        if self.gravity() >= other.gravity() {
            self
        } else {
            other
        }
    }

    fn gravity(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::NothingJudged => 1,
            Self::Failed => 2,
            Self::Broken => 3,
            Self::Usage => 4,
            Self::Interrupted => 5,
        }
    }
}

impl From<ExitStatus> for u8 {
    fn from(status: ExitStatus) -> Self {
        status.code()
    }
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status.code())
    }
}

/// A number that is no exit status of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no exit status of a run (0, 1, 2, 3, 4 or 130)")]
pub struct UnknownExitStatus(u8);

impl TryFrom<u8> for ExitStatus {
    type Error = UnknownExitStatus;

    fn try_from(code: u8) -> Result<Self, UnknownExitStatus> {
        [
            Self::Ok,
            Self::Failed,
            Self::Usage,
            Self::Broken,
            Self::NothingJudged,
            Self::Interrupted,
        ]
        .into_iter()
        .find(|status| status.code() == code)
        .ok_or(UnknownExitStatus(code))
    }
}

/// The exit status that a run's results amount to.
///
/// | there is | status |
/// | --- | --- |
/// | an interruption, whatever else | [`ExitStatus::Interrupted`] |
/// | else a broken case | [`ExitStatus::Broken`] |
/// | else a failing case | [`ExitStatus::Failed`] |
/// | else a pass or a known issue | [`ExitStatus::Ok`] |
/// | else nothing: no results, or only untestable ones | [`ExitStatus::NothingJudged`] |
///
/// The last line is there because silence is never a pass: a filter that matches nothing, or a machine on which
/// every mount falls back to the page cache, would otherwise keep a pipeline green for ever. One missing feature in
/// a run that judged other cases is ordinary, so some untestable cases among others change nothing.
pub fn exit_status(results: &[CaseResult], interrupted: bool) -> ExitStatus {
    let counts = Counts::of(results);
    if interrupted {
        ExitStatus::Interrupted
    } else if counts.broken > 0 {
        ExitStatus::Broken
    } else if counts.fail > 0 {
        ExitStatus::Failed
    } else if counts.pass + counts.known_issue > 0 {
        ExitStatus::Ok
    } else {
        ExitStatus::NothingJudged
    }
}

/// How many results have which verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Passes.
    pub pass: usize,
    /// Failures of the kernel.
    pub fail: usize,
    /// Failures that a known issue names.
    pub known_issue: usize,
    /// Cases that could not be tried.
    pub untestable: usize,
    /// Failures of the harness.
    pub broken: usize,
}

impl Counts {
    /// Counts results.
    pub fn of<'a>(results: impl IntoIterator<Item = &'a CaseResult>) -> Self {
        let mut counts = Self::default();
        for result in results {
            *counts.slot(result.verdict) += 1;
        }
        counts
    }

    fn slot(&mut self, verdict: Verdict) -> &mut usize {
        match verdict {
            Verdict::Pass => &mut self.pass,
            Verdict::Fail => &mut self.fail,
            Verdict::KnownIssue => &mut self.known_issue,
            Verdict::Untestable => &mut self.untestable,
            Verdict::Broken => &mut self.broken,
        }
    }

    /// How many results have this verdict.
    pub fn get(mut self, verdict: Verdict) -> usize {
        *self.slot(verdict)
    }

    /// The three numbers every CI reader understands, alone on the last line of a run. A broken case counts as
    /// failed, for somebody must look at it; a known issue and an untestable case count as skipped.
    pub fn last_line(self) -> String {
        format!(
            "{} passed, {} failed, {} skipped",
            self.pass,
            self.fail + self.broken,
            self.known_issue + self.untestable
        )
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = Verdict::ALL.map(|verdict| format!("{} {verdict}", self.get(verdict)));
        f.write_str(&parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, ExitStatus, Verdict, exit_status};
    use crate::samples::result;

    #[test]
    fn the_exit_status_of_every_mixture() {
        use ExitStatus::{Broken as ThreeBroken, Failed, NothingJudged, Ok};
        use Verdict::{Broken, Fail, KnownIssue, Pass, Untestable};
        let table: [(&[Verdict], ExitStatus); 14] = [
            (&[], NothingJudged),
            (&[Untestable], NothingJudged),
            (&[Untestable, Untestable], NothingJudged),
            (&[Pass], Ok),
            (&[KnownIssue], Ok),
            (&[Pass, Untestable], Ok),
            (&[Untestable, KnownIssue], Ok),
            (&[Fail], Failed),
            (&[Pass, Fail, KnownIssue], Failed),
            (&[Untestable, Fail], Failed),
            (&[Broken], ThreeBroken),
            (&[Pass, Broken], ThreeBroken),
            (&[Fail, Broken, Pass], ThreeBroken),
            (&[Untestable, Broken], ThreeBroken),
        ];
        for (verdicts, expected) in table {
            let results: Vec<_> = verdicts
                .iter()
                .map(|verdict| result("a/b", "k", *verdict))
                .collect();
            assert_eq!(exit_status(&results, false), expected, "{verdicts:?}");
            assert_eq!(
                exit_status(&results, true),
                ExitStatus::Interrupted,
                "{verdicts:?}"
            );
        }
    }

    #[test]
    fn the_graver_status_wins_whichever_comes_first() {
        use ExitStatus::{Broken, Failed, Interrupted, NothingJudged, Ok, Usage};
        let by_gravity = [Ok, NothingJudged, Failed, Broken, Usage, Interrupted];
        for (i, milder) in by_gravity.into_iter().enumerate() {
            for graver in by_gravity.into_iter().skip(i) {
                assert_eq!(milder.worst(graver), graver);
                assert_eq!(graver.worst(milder), graver);
            }
        }
    }

    #[test]
    fn words_and_numbers() {
        let json = |verdict: Verdict| serde_json::to_string(&verdict).unwrap();
        assert_eq!(json(Verdict::KnownIssue), "\"known-issue\"");
        assert_eq!(Verdict::KnownIssue.to_string(), "known issue");
        assert_eq!(serde_json::to_string(&ExitStatus::Interrupted).unwrap(), "130");
        assert_eq!(
            serde_json::from_str::<ExitStatus>("4").unwrap(),
            ExitStatus::NothingJudged
        );
        let error = serde_json::from_str::<ExitStatus>("5").unwrap_err().to_string();
        assert!(error.contains("5 is no exit status of a run"), "{error}");
        let counts = Counts {
            pass: 1,
            fail: 2,
            known_issue: 3,
            untestable: 4,
            broken: 5,
        };
        assert_eq!(counts.last_line(), "1 passed, 7 failed, 7 skipped");
        assert_eq!(
            counts.to_string(),
            "1 pass, 2 fail, 3 known issue, 4 untestable, 5 broken"
        );
    }
}
