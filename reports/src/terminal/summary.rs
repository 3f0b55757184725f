// SPDX-License-Identifier: MIT OR Apache-2.0
//! What stands at the end of a run.

use super::paint::{Paint, count, headed, seconds};
use crate::oracle::CoverageCounts;
use crate::text::one_line;
use crate::{CaseResult, Counts, RunRecord, Verdict};

/// The end of a run: a grid when there is more than one kernel, what is wrong with the run as a whole, what the oracle
/// did not cover, the numbers of all verdicts, and alone on the last line the three numbers that CI readers look for.
pub(super) fn summary_lines(record: &RunRecord, paint: Paint) -> String {
    let mut lines = String::from("\n");
    let grid = Grid::of(&record.results);
    if grid.kernels.len() > 1 {
        lines += &grid.lines(paint);
        lines.push('\n');
    }
    for trouble in record.troubles() {
        lines += &headed("trouble", &one_line(&trouble));
    }
    let covered = CoverageCounts::of(&record.results);
    if covered.has_gaps() {
        lines.extend([format!("oracle: {covered}\n")]);
    }
    let counts = Counts::of(&record.results);
    let verdicts = count(record.results.len(), "verdict");
    let took = seconds(record.seconds);
    lines + &format!("{verdicts} in {took}: {counts}\n{}\n", counts.last_line())
}

/// Cases by kernels. Both in the order of their names, for results come in whatever order guests finish.
struct Grid<'a> {
    cases: Vec<&'a str>,
    kernels: Vec<&'a str>,
    results: &'a [CaseResult],
}

impl<'a> Grid<'a> {
    fn of(results: &'a [CaseResult]) -> Self {
        let mut cases: Vec<&str> = results.iter().map(|result| result.case.as_str()).collect();
        let mut kernels: Vec<&str> = results
            .iter()
            .map(|result| result.environment.kernel.as_str())
            .collect();
        for names in [&mut cases, &mut kernels] {
            names.sort_by(|a, b| by_name(a, b));
            names.dedup();
        }
        Self {
            cases,
            kernels,
            results,
        }
    }

    /// The gravest verdict of a case that ran more than once; none when it has none.
    fn verdict(&self, case: &str, kernel: &str) -> Option<Verdict> {
        let of_both = |r: &&CaseResult| r.case == case && r.environment.kernel == kernel;
        self.results
            .iter()
            .filter(of_both)
            .map(|result| result.verdict)
            .max()
    }

    fn lines(&self, paint: Paint) -> String {
        let first = self
            .cases
            .iter()
            .map(|case| case.chars().count())
            .max()
            .unwrap_or_default();
        let width = |kernel: &str| kernel.chars().count().max(Verdict::Untestable.word().len());
        let heads = self
            .kernels
            .iter()
            .map(|kernel| format!("{:1$}", one_line(kernel), width(kernel)));
        let mut lines = grid_line(" ".repeat(first), heads);
        for case in &self.cases {
            let cells = self
                .kernels
                .iter()
                .map(|kernel| match self.verdict(case, kernel) {
                    Some(verdict) => paint.cell(verdict, width(kernel)),
                    None => format!("{:1$}", "-", width(kernel)),
                });
            lines += &grid_line(format!("{:first$}", one_line(case)), cells);
        }
        lines
    }
}

/// Cells side by side, without the blanks after the last one.
fn grid_line(first: String, cells: impl Iterator<Item = String>) -> String {
    let line = cells.fold(first, |line, cell| line + "  " + &cell);
    format!("{}\n", line.trim_end_matches(' '))
}

/// Names with numbers in them as people order them: `debian-6.2` before `debian-6.12`.
fn by_name(a: &str, b: &str) -> std::cmp::Ordering {
    let (mut a_rest, mut b_rest) = (a, b);
    loop {
        let (a_word, b_word) = (take_word(&mut a_rest), take_word(&mut b_rest));
        if a_word.is_empty() || b_word.is_empty() {
            return a_word.cmp(b_word).then_with(|| a.cmp(b));
        }
        let order = match (a_word.parse::<u64>(), b_word.parse::<u64>()) {
            (Ok(a_number), Ok(b_number)) => a_number.cmp(&b_number),
            _ => a_word.cmp(b_word),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Takes the digits, or the rest up to the next digit, off the front.
fn take_word<'a>(rest: &mut &'a str) -> &'a str {
    let digits = rest.starts_with(|c: char| c.is_ascii_digit());
    let end = rest
        .find(|c: char| c.is_ascii_digit() != digits)
        .unwrap_or(rest.len());
    let (word, after) = rest.split_at(end);
    *rest = after;
    word
}

#[cfg(test)]
mod tests {
    use super::by_name;

    #[test]
    fn kernels_stand_in_the_order_of_their_versions() {
        let mut names = [
            "debian-7.2",
            "debian-6.12",
            "debian-6.2",
            "debian-6.12-rt",
            "/b/linux",
            "debian-6.2",
        ];
        names.sort_by(|a, b| by_name(a, b));
        assert_eq!(
            names,
            [
                "/b/linux",
                "debian-6.2",
                "debian-6.2",
                "debian-6.12",
                "debian-6.12-rt",
                "debian-7.2"
            ]
        );
    }
}
