// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the oracle predicted of a case's errors, and how much of it could be held against what was seen.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{CaseResult, Verdict};

/// What the oracle had to say of one memory error.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PredictionRecord {
    /// The step that made the error, counted from 0.
    pub step: usize,
    /// What was hit: the page's address in the guest's memory, as `0x101219000`.
    pub page: String,
    /// What must come of it.
    pub predicted: Vec<Prediction>,
    /// Every rule that was applied on the way, in order.
    pub rules: Vec<AppliedRule>,
    /// The parts that were held against what was seen: `victim alice`, `notify_failure`.
    pub compared: Vec<String>,
    /// The parts for which there was no prediction.
    pub unpredicted: Vec<Unpredicted>,
    /// The parts that were predicted, and of which nothing could be seen.
    pub unseen: Vec<String>,
}

/// One thing that is predicted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prediction {
    /// Of which part it speaks: `notify_failure`.
    pub part: String,
    /// A sentence: `xfs_dax_notify_failure is called once and returns 0.`
    pub says: String,
    /// The kernel's function, and what it does: `mm/memory-failure.c:mf_dax_kill_procs: file data: …`.
    pub because: String,
}

/// A rule of the oracle, as it was applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppliedRule {
    /// To what: `the error`, an owner of the page, a victim.
    pub subject: String,
    /// The kernel's function, as `file:function`.
    pub from: String,
    /// What happens there.
    pub says: String,
}

/// A part for which there was no prediction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unpredicted {
    /// Which: `injector`.
    pub part: String,
    /// The reason, in words.
    pub why: String,
}

/// How much of a case's errors the oracle has covered: what was both predicted and seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coverage {
    /// All of it.
    Full,
    /// Some of it.
    Part,
    /// Nothing.
    Nothing,
}

impl PredictionRecord {
    fn has_gaps(&self) -> bool {
        !self.unpredicted.is_empty() || !self.unseen.is_empty()
    }
}

impl CaseResult {
    /// How much of the case's errors the oracle has covered; none for a case that made none.
    pub fn coverage(&self) -> Option<Coverage> {
        if self.oracle.is_empty() {
            None
        } else if self.oracle.iter().all(|error| error.compared.is_empty()) {
            Some(Coverage::Nothing)
        } else if self.oracle.iter().any(PredictionRecord::has_gaps) {
            Some(Coverage::Part)
        } else {
            Some(Coverage::Full)
        }
    }

    /// What the oracle did not cover, on one line: each part once, with the reason. `None` when it covered all.
    pub(crate) fn uncovered(&self) -> Option<String> {
        let mut gaps: Vec<String> = Vec::new();
        for error in &self.oracle {
            let unpredicted = error
                .unpredicted
                .iter()
                .map(|gap| format!("{} ({})", gap.part, gap.why));
            let unseen = error.unseen.iter().map(|part| format!("{part} (not seen)"));
            for gap in unpredicted.chain(unseen) {
                if !gaps.contains(&gap) {
                    gaps.push(gap);
                }
            }
        }
        let said = gaps.join("; ");
        match self.coverage()? {
            Coverage::Full => None,
            Coverage::Part => Some(format!("the oracle has not covered: {said}")),
            Coverage::Nothing => Some(format!("the oracle has covered nothing of it: {said}")),
        }
    }
}

/// Of how many judged cases that made memory errors the oracle covered how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct CoverageCounts {
    full: usize,
    part: usize,
    nothing: usize,
}

impl CoverageCounts {
    pub(crate) fn of<'r>(results: impl IntoIterator<Item = &'r CaseResult>) -> Self {
        let mut counts = Self::default();
        for result in results {
            match result.verdict {
                Verdict::Pass | Verdict::Fail | Verdict::KnownIssue => {}
                // Of what was not judged nobody wants to know who else might have judged it.
                Verdict::Untestable | Verdict::Broken => continue,
            }
            match result.coverage() {
                Some(Coverage::Full) => counts.full += 1,
                Some(Coverage::Part) => counts.part += 1,
                Some(Coverage::Nothing) => counts.nothing += 1,
                None => {}
            }
        }
        counts
    }

    /// Whether there is anything to tell.
    pub(crate) const fn has_gaps(self) -> bool {
        self.part + self.nothing > 0
    }
}

impl fmt::Display for CoverageCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { full, part, nothing } = self;
        let all = full + part + nothing;
        write!(f, "{full} of {all} injecting cases checked in full")?;
        for (count, how) in [(part, "in part"), (nothing, "not at all")] {
            if *count > 0 {
                write!(f, ", {count} {how}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Coverage, CoverageCounts, PredictionRecord, Unpredicted};
    use crate::samples::{record, result};
    use crate::terminal::Look;
    use crate::{CaseResult, Reader, Terminal, Verdict};

    fn predictions(compared: &[&str], unpredicted: &[&str], unseen: &[&str]) -> PredictionRecord {
        let owned = |parts: &[&str]| parts.iter().map(|&part| part.to_owned()).collect();
        let gap = |part: &&str| Unpredicted {
            part: (*part).to_owned(),
            why: "ordinary memory: XFS is not asked".to_owned(),
        };
        PredictionRecord {
            compared: owned(compared),
            unpredicted: unpredicted.iter().map(gap).collect(),
            unseen: owned(unseen),
            ..PredictionRecord::default()
        }
    }

    fn case(name: &str, verdict: Verdict, oracle: Vec<PredictionRecord>) -> CaseResult {
        CaseResult {
            oracle,
            ..result(name, "k", verdict)
        }
    }

    fn shown(results: Vec<CaseResult>) -> String {
        let mut terminal = Terminal::new(Vec::new(), Look::default());
        for event in record(results, false).events() {
            terminal.event(&event);
        }
        terminal.finish().unwrap();
        String::from_utf8(terminal.into_inner()).unwrap()
    }

    #[test]
    fn a_case_is_covered_as_far_as_all_of_its_errors_are() {
        let full = || predictions(&["injector"], &[], &[]);
        let unseen = || predictions(&["injector"], &[], &["notify_failure"]);
        let nothing = || predictions(&[], &["injector"], &[]);
        for (errors, coverage) in [
            (vec![], None),
            (vec![full()], Some(Coverage::Full)),
            (vec![full(), unseen()], Some(Coverage::Part)),
            (vec![full(), nothing()], Some(Coverage::Part)),
            (vec![nothing(), nothing()], Some(Coverage::Nothing)),
        ] {
            assert_eq!(case("a/b", Verdict::Pass, errors).coverage(), coverage);
        }
    }

    #[test]
    fn what_was_not_covered_is_counted_at_the_end() {
        let full = || vec![predictions(&["injector"], &[], &[])];
        let part = || vec![predictions(&["badblocks"], &["injector"], &[])];
        let nothing = || vec![predictions(&[], &["injector"], &["badblocks"])];
        let all_covered = vec![
            case("a/b", Verdict::Pass, full()),
            case("a/c", Verdict::Pass, vec![]),
        ];
        assert!(!CoverageCounts::of(&all_covered).has_gaps());
        assert!(!shown(all_covered).contains("oracle"));
        let text = shown(vec![
            case("a/b", Verdict::Pass, full()),
            case("a/c", Verdict::KnownIssue, part()),
            case("a/d", Verdict::Pass, nothing()),
            case("a/e", Verdict::Broken, nothing()),
            case("a/f", Verdict::Pass, vec![]),
        ]);
        assert!(
            text.contains("oracle: 1 of 3 injecting cases checked in full, 1 in part, 1 not at all\n"),
            "{text}"
        );
        let alone = "the oracle has covered nothing of it: injector (ordinary memory: XFS is not asked); badblocks (not seen)";
        assert_eq!(text.matches(alone).count(), 1, "{text}");
    }

    #[test]
    fn a_record_of_before_says_nothing_of_the_oracle() {
        let mut old =
            serde_json::to_value(case("a/b", Verdict::Pass, vec![PredictionRecord::default()])).unwrap();
        old.as_object_mut().unwrap().remove("oracle");
        let result: CaseResult = serde_json::from_value(old).unwrap();
        assert_eq!((result.coverage(), result.oracle), (None, vec![]));
    }

    #[test]
    fn junit_says_what_was_not_covered() {
        let part = case(
            "a/b",
            Verdict::Pass,
            vec![predictions(&["badblocks"], &["injector"], &[])],
        );
        let xml = crate::junit(&record(vec![part], false)).unwrap();
        assert!(
            xml.contains("the oracle has not covered: injector (ordinary memory: XFS is not asked)"),
            "{xml}"
        );
        assert!(
            xml.contains("0 of 1 injecting cases checked in full, 1 in part"),
            "{xml}"
        );
    }
}
