// SPDX-License-Identifier: MIT OR Apache-2.0
//! What came of a mutant, and the table of all.

use super::apply::NotApplied;
use super::description::Mutant;
use reports::{CaseResult, Verdict};
use serde::{Deserialize, Serialize};

/// What came of a mutant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Cases that hold on the unchanged kernel failed.
    Killed {
        /// The cases that failed.
        by: Vec<String>,
        /// Whether one of those is among them that should notice.
        as_expected: bool,
    },
    /// Every case that holds on the unchanged kernel holds on this one, too.
    Survived,
    /// No case failed, but some could not be judged any more: noticed, and not understood.
    Unclear {
        /// The cases that could not be judged.
        broken: Vec<String>,
    },
    /// Nobody can notice, and the mutant says why; and nobody did.
    Equivalent,
    /// The tree has no such code, or other code than the mutant knows.
    DoesNotApply {
        /// What was wrong with it, in words.
        why: String,
    },
    /// The compiler does not take it.
    DoesNotBuild {
        /// What it says.
        why: String,
    },
}

impl Fate {
    /// Of a mutant whose kernel was built and tested; `unchanged` are the results on the kernel without it.
    ///
    /// A mutant that is said to be equivalent and is killed is simply killed: its argument was wrong.
    pub fn of(mutant: &Mutant, unchanged: &[CaseResult], results: &[CaseResult]) -> Self {
        let held = |case: &str| {
            unchanged.iter().any(|result| {
                result.case == case && matches!(result.verdict, Verdict::Pass | Verdict::KnownIssue)
            })
        };
        let with = |verdict: Verdict| -> Vec<String> {
            results
                .iter()
                .filter(|result| result.verdict == verdict && held(&result.case))
                .map(|result| result.case.clone())
                .collect()
        };
        let (by, mut broken) = (with(Verdict::Fail), with(Verdict::Broken));
        broken.extend(with(Verdict::Untestable));
        if !by.is_empty() {
            let as_expected = by.iter().any(|case| mutant.names(case));
            Self::Killed { by, as_expected }
        } else if !broken.is_empty() {
            Self::Unclear { broken }
        } else if mutant.equivalent.is_some() {
            Self::Equivalent
        } else {
            Self::Survived
        }
    }

    /// Whether nothing has to be done about it: killed by the right case, rightly said to be equivalent, or not of this
    /// kernel.
    pub fn is_well(&self) -> bool {
        match self {
            Self::Killed { as_expected, .. } => *as_expected,
            Self::Equivalent | Self::DoesNotApply { .. } => true,
            Self::Survived | Self::Unclear { .. } | Self::DoesNotBuild { .. } => false,
        }
    }

    /// One or two words.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::Killed { .. } => "killed",
            Self::Survived => "SURVIVED",
            Self::Unclear { .. } => "UNCLEAR",
            Self::Equivalent => "equivalent",
            Self::DoesNotApply { .. } => "does not apply",
            Self::DoesNotBuild { .. } => "DOES NOT BUILD",
        }
    }
}

impl From<NotApplied> for Fate {
    fn from(why: NotApplied) -> Self {
        Self::DoesNotApply { why: why.to_string() }
    }
}

/// A line for each, and the counts at the end.
pub fn table(fates: &[(&Mutant, Fate)]) -> String {
    let width = fates
        .iter()
        .map(|(mutant, _)| mutant.name.len())
        .max()
        .unwrap_or_default();
    let mut lines: Vec<String> = fates
        .iter()
        .map(|(mutant, fate)| line(mutant, fate, width))
        .collect();
    let count = |word: &str| fates.iter().filter(|(_, fate)| fate.word() == word).count();
    let counts: Vec<String> = [
        "killed",
        "SURVIVED",
        "UNCLEAR",
        "equivalent",
        "does not apply",
        "DOES NOT BUILD",
    ]
    .iter()
    .map(|word| format!("{} {}", count(word), word.to_lowercase()))
    .collect();
    lines.push(format!("{} mutants: {}", fates.len(), counts.join(", ")));
    lines.join("\n")
}

/// One mutant and its fate, as a line.
pub fn line(mutant: &Mutant, fate: &Fate, width: usize) -> String {
    let more = match fate {
        Fate::Killed {
            by,
            as_expected: true,
        } => format!("by {}", by.join(", ")),
        Fate::Killed { by, .. } => {
            let expected = match &mutant.noticed_by[..] {
                [] => "no case is named for it".to_owned(),
                some => format!("not by {}", some.join(", ")),
            };
            format!("by {} ({expected})", by.join(", "))
        }
        Fate::Survived => mutant.breaks.clone(),
        Fate::Unclear { broken } => format!("could not be judged any more: {}", broken.join(", ")),
        Fate::Equivalent => mutant.equivalent.clone().unwrap_or_default(),
        Fate::DoesNotApply { why } | Fate::DoesNotBuild { why } => reports::text::one_line(why),
    };
    format!("{:<width$}  {:<14}  {more}", mutant.name, fate.word())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::lab::trial::tests::result;

    pub(in crate::mutants) fn mutant(noticed_by: &[&str], equivalent: Option<&str>) -> Mutant {
        Mutant {
            name: "m".to_owned(),
            file: "a.c".into(),
            within: Vec::new(),
            kernel: None,
            breaks: "It breaks.".to_owned(),
            shipped: None,
            noticed_by: noticed_by.iter().map(ToString::to_string).collect(),
            equivalent: equivalent.map(str::to_owned),
            changes: Vec::new(),
        }
    }

    #[test]
    fn every_fate() {
        use Verdict::{Broken, Fail, Pass, Untestable};
        let unchanged = [result("a/a", Pass, 0), result("b/b", Fail, 1)];
        let fate =
            |mutant: &Mutant, a, b| Fate::of(mutant, &unchanged, &[result("a/a", a, 1), result("b/b", b, 1)]);
        let expected = mutant(&["a/a"], None);
        let killed = |as_expected| Fate::Killed {
            by: vec!["a/a".to_owned()],
            as_expected,
        };
        assert_eq!(fate(&expected, Fail, Fail), killed(true));
        assert_eq!(fate(&mutant(&["c/c"], None), Fail, Pass), killed(false));
        // What fails anyway notices nothing.
        assert_eq!(fate(&expected, Pass, Fail), Fate::Survived);
        let unclear = Fate::Unclear {
            broken: vec!["a/a".to_owned()],
        };
        assert_eq!(fate(&expected, Broken, Fail), unclear);
        assert_eq!(fate(&expected, Untestable, Fail), unclear);
        let equivalent = mutant(&[], Some("it is the same"));
        assert_eq!(fate(&equivalent, Pass, Fail), Fate::Equivalent);
        assert_eq!(fate(&equivalent, Fail, Fail), killed(false));
        for (fate, well) in [
            (killed(true), true),
            (killed(false), false),
            (Fate::Survived, false),
            (unclear, false),
            (Fate::Equivalent, true),
        ] {
            assert_eq!(fate.is_well(), well, "{fate:?}");
        }
    }

    #[test]
    fn the_table_counts() {
        let mutant = mutant(&[], None);
        let text = table(&[
            (&mutant, Fate::Survived),
            (&mutant, Fate::from(NotApplied::NotThere("x;".to_owned()))),
        ]);
        assert!(text.contains("m  SURVIVED        It breaks."), "{text}");
        assert!(
            text.ends_with(
                "2 mutants: 0 killed, 1 survived, 0 unclear, 0 equivalent, 1 does not apply, 0 does not build"
            ),
            "{text}"
        );
    }
}
