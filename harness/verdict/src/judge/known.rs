// SPDX-License-Identifier: MIT OR Apache-2.0
//! Findings against the known issues of the case on this kernel.

use super::findings::{Found, What};
use super::{Gap, Judgement};
use reports::{Finding, Verdict};
use testcases::{Case, FindingSignature, KernelVersion, KnownIssue};

fn issues_of<'c>(case: &'c Case, kernel: &KernelVersion) -> Vec<&'c KnownIssue> {
    case.known_issues
        .iter()
        .filter(|issue| issue.kernel.contains(kernel))
        .collect()
}

/// The final verdict on what was found, and on what could not be looked at.
pub(super) fn weigh(case: &Case, kernel: &KernelVersion, found: Vec<Found>, gap: Option<Gap>) -> Judgement {
    let issues = issues_of(case, kernel);
    let shows = |issue: &KnownIssue| missing(issue, &found).is_empty();
    let covered = |found: &Found| issues.iter().any(|issue| covers(issue, found));

    let known_issues: Vec<String> = issues
        .iter()
        .filter(|issue| shows(issue))
        .map(|issue| issue.because.clone())
        .collect();
    let mut findings: Vec<Finding> = found
        .iter()
        .filter(|found| !covered(found))
        .map(|found| found.finding.clone())
        .collect();
    if let Some(gap) = gap {
        return incomplete(findings, known_issues, gap);
    }
    findings.extend(
        issues
            .iter()
            .filter(|issue| !shows(issue))
            .map(|issue| gone(issue, kernel, &missing(issue, &found))),
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
        let reason = format!("it fails as expected (known issue): {}", known_issues.join("; "));
        let findings = found.into_iter().map(|found| found.finding).collect();
        return Judgement {
            verdict: Verdict::KnownIssue,
            reason,
            findings,
            known_issues,
        };
    }
    Judgement {
        verdict: Verdict::Fail,
        reason: in_short(&findings),
        findings,
        known_issues,
    }
}

/// The verdict where something could not be looked at: a finding that no known issue names stands, and a known issue excuses nothing.
/// Whether a known issue still shows is not asked, for it may have been about to.
fn incomplete(findings: Vec<Finding>, known_issues: Vec<String>, gap: Gap) -> Judgement {
    if findings.is_empty() {
        return Judgement {
            verdict: gap.verdict,
            reason: gap.why,
            findings,
            known_issues: Vec::new(),
        };
    }
    Judgement {
        verdict: Verdict::Fail,
        reason: format!(
            "{}; the rest could not be looked at: {}",
            in_short(&findings),
            gap.why
        ),
        findings,
        known_issues,
    }
}

fn in_short(findings: &[Finding]) -> String {
    match findings {
        [only] => only.what.clone(),
        [first, rest @ ..] => format!("{} (and {} more)", first.what, rest.len()),
        [] => String::new(),
    }
}

fn covers(issue: &KnownIssue, found: &Found) -> bool {
    issue.splats.iter().any(|text| is_splat(text, found))
        || issue.findings.iter().any(|named| is_finding(named, found))
}

fn is_splat(signature: &str, found: &Found) -> bool {
    matches!(&found.what, What::Splat(splat) if splat.matches(signature))
}

fn is_finding(named: &FindingSignature, found: &Found) -> bool {
    matches!(&found.what, What::Deviation(signature) if named.means(signature))
}

/// The splats and findings of a known issue that nothing shows.
fn missing(issue: &KnownIssue, found: &[Found]) -> Vec<String> {
    let splats = issue
        .splats
        .iter()
        .filter(|text| !found.iter().any(|found| is_splat(text, found)))
        .cloned();
    let findings = issue
        .findings
        .iter()
        .filter(|named| !found.iter().any(|found| is_finding(named, found)))
        .map(ToString::to_string);
    splats.chain(findings).collect()
}

/// The kind of what is wrong when a known issue does not show. No known issue can name it.
const GONE: &str = "known-issue";

fn gone(issue: &KnownIssue, kernel: &KernelVersion, missing: &[String]) -> Finding {
    Finding {
        step: None,
        line: Some(issue.line),
        kind: GONE.to_owned(),
        what: format!("a known issue no longer shows on {kernel}: {}", issue.because),
        expected: Some(format!(
            "{} (remove the entry, or narrow its kernel range, if it is mended)",
            missing.join(" and ")
        )),
        seen: Some("nothing like it".to_owned()),
        ..Finding::default()
    }
}
