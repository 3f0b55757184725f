// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lines that a judged case gets.

use std::path::Path;

use super::paint::{Paint, below, block_below, count, seconds};
use crate::explain::{finding_line, finding_lines, has_failed, step_ending};
use crate::text::{clean, last_lines, one_line};
use crate::{CaseResult, Coverage, Verdict};

/// What a case that somebody has to look at shows at most, in lines: what fits on a screen, and is read within a minute.
const MOST_LINES: usize = 25;

/// How many lines of the kernel's log are shown; the folder holds the rest.
const LOG_LINES: usize = 8;

/// How many findings after the first are told.
const MORE_FINDINGS: usize = 2;

/// How many steps are shown before the first that failed.
const STEPS_BEFORE: usize = 2;

/// How many lines of a reason are shown.
const REASON_LINES: usize = 8;

/// The column of cases is at least this wide, so that times stand under each other however cases are called.
const CASE_WIDTH: usize = 24;

/// How wide the column of kernels is. It grows as longer names come.
#[derive(Debug, Clone, Copy)]
pub(super) struct KernelColumn(usize);

impl Default for KernelColumn {
    fn default() -> Self {
        Self("debian-6.12".len())
    }
}

impl KernelColumn {
    pub(super) fn make_room_for(&mut self, kernel: &str) {
        self.0 = self.0.max(kernel.chars().count());
    }
}

/// A result as lines: one for what is well, more for what somebody has to look at.
pub(super) fn result_lines(
    result: &CaseResult,
    paint: Paint,
    KernelColumn(width): KernelColumn,
    out: Option<&Path>,
) -> String {
    let mut lines = format!(
        "{}  {:width$}  {:CASE_WIDTH$} {:>8}\n",
        paint.verdict(result.verdict),
        one_line(&result.environment.kernel),
        one_line(&result.case),
        seconds(result.seconds),
    );
    let reason = one_line(&result.reason);
    // What nobody but the case's own words has judged says so.
    let uncovered = match (result.verdict, result.coverage()) {
        (Verdict::Pass | Verdict::KnownIssue | Verdict::Fail, Some(Coverage::Nothing)) => result.uncovered(),
        _ => None,
    };
    lines.extend(uncovered.map(|gaps| below(&one_line(&gaps))));
    match result.verdict {
        Verdict::Pass | Verdict::Untestable => lines.extend(said(&reason)),
        Verdict::KnownIssue => {
            for because in &result.known_issues {
                lines += &below(&format!("because {}", one_line(because)));
            }
        }
        Verdict::Fail | Verdict::Broken => lines += &trouble_lines(result, &reason, out),
    }
    lines
}

/// The reason, if there is one.
fn said(reason: &str) -> Option<String> {
    (!reason.is_empty()).then(|| below(reason))
}

fn trouble_lines(result: &CaseResult, reason: &str, out: Option<&Path>) -> String {
    let mut lines = String::new();
    if let Some((first, more)) = result.findings.split_first() {
        lines += &block_below(&finding_lines(result, first));
        // What only repeats the first finding is no news.
        if !reason.starts_with(&one_line(&first.what)) {
            lines.extend(said(reason));
        }
        for finding in more.iter().take(MORE_FINDINGS) {
            lines += &below(&format!("also {}", finding_line(result, finding)));
        }
        if let Some(rest) = more.get(MORE_FINDINGS..).filter(|rest| !rest.is_empty()) {
            lines += &below(&format!(
                "and {}, in report.json",
                count(rest.len(), "more finding")
            ));
        }
    } else {
        lines += &below(&one_line(&result.file));
        lines += &reason_lines(&result.reason);
    }
    lines += &step_lines(result);
    // The result's own line, what the oracle did not cover, the log's heading and the folder are lines too.
    let room = MOST_LINES.saturating_sub(lines.lines().count() + 4);
    lines += &log_lines(result, room.min(LOG_LINES));
    lines.extend(folder_line(result, out));
    lines
}

/// A reason that stands alone, in as many lines as it has.
fn reason_lines(reason: &str) -> String {
    let reason = clean(reason);
    let (last, all) = last_lines(reason.trim_end(), REASON_LINES);
    let mut lines = String::new();
    if all > last.len() {
        // What it is about stands at its head.
        lines += &below(&one_line(reason.lines().next().unwrap_or_default()));
        lines += &below(&format!("[… {} lines left out …]", all - last.len()));
        lines.extend(last.into_iter().skip(1).map(below));
    } else {
        lines.extend(last.into_iter().map(below));
    }
    lines
}

/// The first step that failed, and what was done just before.
fn step_lines(result: &CaseResult) -> String {
    let failed = result.steps.iter().position(|step| has_failed(result, step));
    let Some(last) = failed.or(result.steps.len().checked_sub(1)) else {
        return String::new();
    };
    let from = last.saturating_sub(STEPS_BEFORE);
    let shown = result.steps.get(from..=last).unwrap_or_default();
    let line = |step: &crate::StepRecord| {
        let mark = if has_failed(result, step) { ">" } else { " " };
        below(&format!(
            "{mark} step {} of {}: {} ({:.3}s): {}",
            step.index + 1,
            result.steps.len(),
            one_line(&step.what),
            step.seconds,
            step_ending(result, step)
        ))
    };
    shown.iter().map(line).collect()
}

/// The last of what the kernel said since the case's first step.
fn log_lines(result: &CaseResult, room: usize) -> String {
    let log = clean(&result.log);
    let (last, all) = last_lines(log.trim_end(), room);
    let own = result.log_lines.own.max(all);
    if last.is_empty() {
        return String::new();
    }
    let since = if result.log_lines.own > 0 {
        "the kernel said since the first step"
    } else {
        "the kernel said last"
    };
    let mut lines = below(&if own == last.len() {
        format!("{since}:")
    } else {
        format!("{since} (the last {} of {own} lines):", last.len())
    });
    for line in last {
        lines += &below(&format!("  | {line}"));
    }
    lines
}

/// Where everything else is.
fn folder_line(result: &CaseResult, out: Option<&Path>) -> Option<String> {
    let folder = result.attachments.first()?.path.parent()?;
    let folder = out.map_or_else(|| folder.to_owned(), |out| out.join(folder));
    Some(below(&format!(
        "all of it: {}",
        one_line(&folder.to_string_lossy())
    )))
}
