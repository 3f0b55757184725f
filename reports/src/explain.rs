// SPDX-License-Identifier: MIT OR Apache-2.0
//! Findings and steps in words, the same in every report.

use crate::text::{clean, one_line};
use crate::{CaseResult, Finding, StepRecord};

/// How many lines of what was seen are shown where there is no line of the case beside them (a splat).
const SEEN_ALONE: usize = 9;

/// How many lines of what was seen are shown elsewhere.
const SEEN: usize = 4;

/// A finding as lines: what was wrong, the line of the case that asked for something else, what that was, what
/// was there, and what the oracle knows of it.
pub(crate) fn finding_lines(result: &CaseResult, finding: &Finding) -> String {
    let what = one_line(&finding.what);
    let mut lines = format!("{what}\n");
    let most = if finding.line.is_some() { SEEN } else { SEEN_ALONE };
    lines += &source_lines(result, finding);
    let expected = finding.expected.as_deref().map(clean).unwrap_or_default();
    let seen = finding.seen.as_deref().map(clean).unwrap_or_default();
    // A splat's first line is what the finding says already.
    let seen = match seen.trim_end().split_once('\n') {
        Some((first, rest)) if what.ends_with(&one_line(first)) => rest,
        Some(_) | None => seen.trim_end(),
    };
    for (label, value, most) in [("expected", expected.trim_end(), 2), ("saw", seen, most)] {
        let all = value.lines().count();
        let shown = if all > most { most - 1 } else { all };
        let mut margin = label;
        for line in value.lines().take(shown) {
            lines.extend([format!("  {margin:<8} {line}\n")]);
            // What follows the first line stands under it, not under the label.
            margin = "";
        }
        if all > shown {
            lines.extend([format!("  {:<8} ({} more lines)\n", "", all - shown)]);
        }
    }
    let because = finding.because.as_deref().map(one_line).unwrap_or_default();
    if !because.is_empty() {
        lines.extend([format!("  {:<8} {because}\n", "because")]);
    }
    lines
}

/// A finding on one line, with its place.
pub(crate) fn finding_line(result: &CaseResult, finding: &Finding) -> String {
    format!("{}: {}", place(result, finding), one_line(&finding.what))
}

/// How a step went. What a finding is about is never well.
pub(crate) fn step_ending(result: &CaseResult, step: &StepRecord) -> String {
    match &step.outcome {
        Some(outcome) => format!("FAILED: {}", one_line(outcome)),
        None if has_finding(result, step) => "FAILED".to_owned(),
        None => "ok".to_owned(),
    }
}

/// Whether something is wrong with a step.
pub(crate) fn has_failed(result: &CaseResult, step: &StepRecord) -> bool {
    step.outcome.is_some() || has_finding(result, step)
}

fn has_finding(result: &CaseResult, step: &StepRecord) -> bool {
    let mut findings = result.findings.iter();
    findings.any(|finding| finding.step == Some(step.index))
}

fn place(result: &CaseResult, finding: &Finding) -> String {
    let file = one_line(&result.file);
    finding
        .line
        .map_or_else(|| file.clone(), |line| format!("{file}:{line}"))
}

/// The place, and below it the line with carets under what it says; only the place where the record has no line.
fn source_lines(result: &CaseResult, finding: &Finding) -> String {
    let Some(line) = finding.line else {
        return String::new();
    };
    let mut lines = format!("  --> {}\n", place(result, finding));
    if let Some(source) = result.source.iter().find(|source| source.line == line) {
        let text = clean(&source.text).replace(['\t', '\n'], " ");
        let text = text.trim_end();
        let indent = text.len() - text.trim_start_matches([' ', '-']).len();
        let number = line.to_string();
        let width = text.chars().count().saturating_sub(indent).max(1);
        lines.extend([format!("  {number} | {text}\n")]);
        lines.extend([format!(
            "  {:1$} | {2:3$}{4}\n",
            "",
            number.len(),
            "",
            indent,
            "^".repeat(width)
        )]);
    }
    lines
}
