// SPDX-License-Identifier: MIT OR Apache-2.0
//! The evidence of two commits side by side.

use reports::text::one_line;
use reports::{CaseResult, Verdict};

/// Columns of each side: two fit a terminal of 120.
const WIDTH: usize = 57;

/// Lines of the kernel's log on each side, at most.
const LOG_LINES: usize = 14;

/// Said by every kernel on its way into a case.
const QUIET: [&str; 4] = [
    "SGI XFS with",
    ": Mounting ",
    "Ending clean mount",
    "injector initialized",
];

/// What the cases that failed on the right came to on both sides.
///
/// `left` and `right` are a title and the results of one round each; a case that is missing on a side is said to be.
pub fn side_by_side(left: (&str, &[CaseResult]), right: (&str, &[CaseResult])) -> String {
    let mut lines = vec![
        row(left.0, right.0),
        format!("{:-<WIDTH$}-+-{:-<WIDTH$}\n", "", ""),
    ];
    for bad in right.1.iter().filter(|result| result.verdict == Verdict::Fail) {
        let good = left.1.iter().find(|result| result.case == bad.case);
        let (mut here, mut there) = (
            good.map_or_else(|| vec!["not tested".to_owned()], describe_result),
            describe_result(bad),
        );
        let height = here.len().max(there.len());
        here.resize(height, String::new());
        there.resize(height, String::new());
        lines.extend(here.iter().zip(&there).map(|(here, there)| row(here, there)));
    }
    lines.concat()
}

fn describe_result(result: &CaseResult) -> Vec<String> {
    let mut lines = vec![format!("{}: {}", result.case, result.verdict)];
    for finding in &result.findings {
        lines.push(format!("* {}", finding.what));
        lines.extend(finding.expected.iter().map(|text| format!("  expected: {text}")));
        lines.extend(finding.seen.iter().map(|text| format!("  seen: {text}")));
    }
    if result.findings.is_empty() && !result.reason.is_empty() {
        lines.push(result.reason.clone());
    }
    lines.push("kernel log:".to_owned());
    let told = |line: &&str| {
        let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
        has(&["emory failure", "XFS", "mce", "BUG", "WARNING"]) && !has(&QUIET)
    };
    lines.extend(
        result
            .log
            .lines()
            .filter(told)
            .take(LOG_LINES)
            .map(|line| format!("| {line}")),
    );
    lines.iter().flat_map(|line| wrapped(&one_line(line))).collect()
}

/// Cut into pieces that fit a column.
fn wrapped(line: &str) -> Vec<String> {
    let letters: Vec<char> = line.chars().collect();
    letters
        .chunks(WIDTH)
        .map(|piece| piece.iter().collect())
        .collect()
}

fn row(left: &str, right: &str) -> String {
    let cut = |text: &str| text.chars().take(WIDTH).collect::<String>();
    format!("{:<WIDTH$} | {}\n", cut(left), cut(right))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::trial::tests::result;

    #[test]
    fn what_differs_stands_side_by_side() {
        let mut bad = result("a/b", Verdict::Fail, 2);
        bad.log = "[1.0] Memory failure: 0x1: Sending SIGBUS\n[1.1] noise".to_owned();
        let good = result("a/b", Verdict::Pass, 0);
        let beside = result("c/d", Verdict::Pass, 0);
        let text = side_by_side(("good 1", &[beside, good]), ("bad 2", &[bad]));
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[0].starts_with("good 1 ") && lines[0].ends_with("| bad 2"),
            "{text}"
        );
        assert!(
            text.contains("a/b: pass") && text.contains("| a/b: fail") && text.contains("seen: nobody"),
            "{text}"
        );
        assert!(
            text.contains("Sending SIGBUS") && !text.contains("noise") && !text.contains("c/d"),
            "{text}"
        );
        assert!(
            lines.iter().all(|line| line.chars().count() <= 2 * WIDTH + 3),
            "{text}"
        );
    }
}
