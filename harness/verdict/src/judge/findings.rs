// SPDX-License-Identifier: MIT OR Apache-2.0
//! One thing that is wrong, before it is known whether a known issue names it.

use crate::observe::splat::Splat;
use reports::Finding;
use testcases::{Case, FindingKind, FindingSignature, FindingWord, describe};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// What kind of thing.
    pub what: What,
    /// The finding in words, for people.
    pub finding: Finding,
}

/// What kind of thing is wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// The kernel complained.
    Splat(Splat),
    /// Something is not as expected: this.
    Deviation(FindingSignature),
}

impl Found {
    /// The kernel complained.
    pub fn splat(splat: Splat) -> Self {
        let finding = Finding {
            step: None,
            line: None,
            kind: SPLAT.to_owned(),
            subject: splat.function().map(str::to_owned),
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
        let signature = FindingSignature::new(FindingKind::Kernel, [FindingWord::Died]);
        let signature = signature.in_step(during.map(|step| &step.action));
        let finding = Finding {
            step: during.map(|_| step),
            line: during.map(|step| step.line),
            what: match during {
                Some(step) => format!("the kernel died at: {}", describe(&step.action)),
                None => "the kernel died after the last step".to_owned(),
            },
            expected: Some("a kernel that survives".to_owned()),
            seen: Some(how.to_owned()),
            ..typed(&signature)
        };
        Self {
            what: What::Deviation(signature),
            finding,
        }
    }

    /// An expectation of step number `step` did not hold.
    pub fn deviation(
        case: &Case,
        step: usize,
        signature: FindingSignature,
        what: impl Into<String>,
        expected: impl Into<String>,
        seen: impl Into<String>,
    ) -> Self {
        let finding = Finding {
            step: Some(step),
            line: case.steps.get(step).map(|step| step.line),
            what: what.into(),
            expected: Some(expected.into()),
            seen: Some(seen.into()),
            ..typed(&signature)
        };
        Self {
            what: What::Deviation(signature),
            finding,
        }
    }

    /// Something happened that no expectation speaks about.
    pub fn unforeseen(signature: FindingSignature, what: String, seen: String) -> Self {
        let finding = Finding {
            what,
            expected: Some("nothing of the kind".to_owned()),
            seen: Some(seen),
            ..typed(&signature)
        };
        Self {
            what: What::Deviation(signature),
            finding,
        }
    }
}

/// The kind of a splat, which a known issue names by `splat` and not by `finding`.
pub const SPLAT: &str = "splat";

/// What a finding holds in typed words.
fn typed(signature: &FindingSignature) -> Finding {
    Finding {
        kind: signature.kind.to_string(),
        subject: signature.of.clone(),
        signature: Some(signature.to_string()),
        ..Finding::default()
    }
}
