// SPDX-License-Identifier: MIT OR Apache-2.0
//! Findings in words, the same in every report.

use crate::Finding;
use crate::text::{clean, one_line};

/// A finding as lines: the place and what was wrong, then what was wanted and what was there.
pub(crate) fn finding_lines(file: &str, finding: &Finding) -> String {
    let file = one_line(file);
    let place = finding
        .line
        .map_or_else(|| file.clone(), |line| format!("{file}:{line}"));
    let mut lines = format!("{place}: {}\n", one_line(&finding.what));
    for (label, value) in [("  expected ", &finding.expected), ("  saw      ", &finding.seen)] {
        let value = value.as_deref().map(clean).unwrap_or_default();
        let mut margin = label;
        for line in value.trim_end().lines() {
            lines.extend([margin, line, "\n"]);
            // What follows the first line stands under it, not under the label.
            margin = "           ";
        }
    }
    lines
}
