// SPDX-License-Identifier: MIT OR Apache-2.0
//! The lines that a judged case gets.

use std::path::Path;

use super::paint::{Paint, below, block_below, seconds};
use crate::explain::finding_lines;
use crate::text::{clean, last_lines, one_line};
use crate::{CaseResult, Verdict};

/// How many lines of the kernel's log a failing case shows; the attachments hold the rest.
const LOG_LINES: usize = 20;

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
    for finding in &result.findings {
        lines += &block_below(&finding_lines(&result.file, finding));
    }
    if result.findings.is_empty() {
        lines += &below(&one_line(&result.file));
    }
    lines.extend(said(reason));
    let log = clean(&result.log);
    let (last, all) = last_lines(log.trim_end(), LOG_LINES);
    if all > 0 {
        lines += &below(&match last.len() {
            n if n == all => "kernel log:".to_owned(),
            n => format!("kernel log, the last {n} of {all} lines:"),
        });
        for line in last {
            lines += &below(&format!("  | {line}"));
        }
    }
    for attachment in &result.attachments {
        let path = out.map_or_else(|| attachment.path.clone(), |out| out.join(&attachment.path));
        lines += &below(&format!(
            "{}: {}",
            one_line(&attachment.name),
            one_line(&path.to_string_lossy())
        ));
    }
    lines
}
