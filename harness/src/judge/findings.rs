// SPDX-License-Identifier: MIT OR Apache-2.0
//! One thing that is wrong, before it is known whether it was foretold.

use crate::observe::splat::Splat;
use reports::Finding;
use testcases::{Case, describe};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// What kind of thing.
    pub what: What,
    /// In words.
    pub finding: Finding,
}

/// What kind of thing is wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// The kernel complained.
    Splat(Splat),
    /// Something is not as expected.
    Deviation,
}

impl Found {
    /// The kernel complained.
    pub fn splat(splat: Splat) -> Self {
        let finding = Finding {
            step: None,
            line: None,
            what: format!("the kernel complained: {}", splat.title),
            expected: Some("no warning, oops or stall".to_owned()),
            seen: Some(splat.shown().join("\n")),
            ..Finding::default()
        };
        Self {
            what: What::Splat(splat),
            finding,
        }
    }

    /// The kernel died while step number `step` was carried out.
    pub fn kernel_died(case: &Case, step: usize, how: &str) -> Self {
        let during = case.steps.get(step);
        let finding = Finding {
            step: during.map(|_| step),
            line: during.map(|step| step.line),
            what: match during {
                Some(step) => format!("the kernel died at: {}", describe(&step.action)),
                None => "the kernel died after the last step".to_owned(),
            },
            expected: Some("a kernel that survives".to_owned()),
            seen: Some(how.to_owned()),
            ..Finding::default()
        };
        Self {
            what: What::Deviation,
            finding,
        }
    }

    /// An expectation of step number `step` did not hold.
    pub fn deviation(
        case: &Case,
        step: usize,
        what: impl Into<String>,
        expected: impl Into<String>,
        seen: impl Into<String>,
    ) -> Self {
        Self {
            what: What::Deviation,
            finding: Finding {
                step: Some(step),
                line: case.steps.get(step).map(|step| step.line),
                what: what.into(),
                expected: Some(expected.into()),
                seen: Some(seen.into()),
                ..Finding::default()
            },
        }
    }

    /// Something happened that no expectation speaks about.
    pub fn unforeseen(what: String, seen: String) -> Self {
        Self {
            what: What::Deviation,
            finding: Finding {
                step: None,
                line: None,
                what,
                expected: Some("nothing of the kind".to_owned()),
                seen: Some(seen),
                ..Finding::default()
            },
        }
    }

    /// The finding's words in one string: where the signature of a known issue is looked for.
    pub fn text(&self) -> String {
        let finding = &self.finding;
        [
            Some(&finding.what),
            finding.expected.as_ref(),
            finding.seen.as_ref(),
        ]
        .into_iter()
        .flatten()
        .cloned()
        .collect::<Vec<_>>()
        .join("; ")
    }
}
