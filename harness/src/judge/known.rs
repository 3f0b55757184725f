// SPDX-License-Identifier: MIT OR Apache-2.0
//! Findings against what the case foretells for this kernel.

use super::Judgement;
use super::findings::{Found, What};
use reports::{Finding, Verdict};
use testcases::{Case, KernelVersion, KnownIssue};

/// The final verdict.
pub(super) fn weigh(case: &Case, kernel: &KernelVersion, found: Vec<Found>) -> Judgement {
    let foretold: Vec<&KnownIssue> = case
        .known_issues
        .iter()
        .filter(|issue| issue.kernel.contains(kernel))
        .collect();
    let shows = |issue: &KnownIssue| found.iter().any(|found| covers(issue, found));
    let covered = |found: &Found| foretold.iter().any(|issue| covers(issue, found));

    let known_issues: Vec<String> = foretold
        .iter()
        .filter(|issue| shows(issue))
        .map(|issue| issue.because.clone())
        .collect();
    let mut findings: Vec<Finding> = found
        .iter()
        .filter(|found| !covered(found))
        .map(|found| found.finding.clone())
        .collect();
    findings.extend(
        foretold
            .iter()
            .filter(|issue| !shows(issue))
            .map(|issue| gone(issue, kernel)),
    );

    if findings.is_empty() && known_issues.is_empty() {
        return Judgement {
            verdict: Verdict::Pass,
            reason: String::new(),
            findings,
            known_issues,
        };
    }
    if findings.is_empty() {
        let reason = format!("it fails as foretold: {}", known_issues.join("; "));
        let findings = found.into_iter().map(|found| found.finding).collect();
        return Judgement {
            verdict: Verdict::KnownIssue,
            reason,
            findings,
            known_issues,
        };
    }
    let reason = match findings.as_slice() {
        [only] => only.what.clone(),
        [first, rest @ ..] => format!("{} (and {} more)", first.what, rest.len()),
        [] => String::new(),
    };
    Judgement {
        verdict: Verdict::Fail,
        reason,
        findings,
        known_issues,
    }
}

fn covers(issue: &KnownIssue, found: &Found) -> bool {
    let by_splat = match (&issue.splat, &found.what) {
        (Some(signature), What::Splat(splat)) => splat.matches(signature),
        _ => false,
    };
    let by_finding = match (&issue.finding, &found.what) {
        (Some(signature), What::Deviation) => found.text().contains(signature.as_str()),
        _ => false,
    };
    by_splat || by_finding
}

fn gone(issue: &KnownIssue, kernel: &KernelVersion) -> Finding {
    let signature = [issue.splat.as_deref(), issue.finding.as_deref()];
    let signature = signature.into_iter().flatten().collect::<Vec<_>>().join(" and ");
    Finding {
        step: None,
        line: Some(issue.line),
        what: format!("a known issue no longer shows on {kernel}: {}", issue.because),
        expected: Some(format!(
            "{signature} (remove the entry, or narrow its kernel range, if it is mended)"
        )),
        seen: Some("nothing like it".to_owned()),
    }
}
