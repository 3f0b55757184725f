// SPDX-License-Identifier: MIT OR Apache-2.0
//! Parses a case and compares what is said of it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use testcases::{Case, Diagnostics, parse};

/// What stands before the steps, on lines 1 to 4.
const HEAD: &str = "summary: s\nwhy: w\ntemplate: xfs\nsteps:";

/// Reads a case from text.
fn read(source: &str) -> Result<Case, Diagnostics> {
    parse(source, Path::new("case.yaml"), "case".parse().unwrap())
}

/// The mistakes in these steps; the first is on line 5.
#[track_caller]
pub(crate) fn in_steps(steps: &str, expected: &[&str]) {
    in_file(&format!("{HEAD}{steps}"), expected);
}

/// The mistakes in this file.
#[track_caller]
pub(crate) fn in_file(source: &str, expected: &[&str]) {
    let found: Vec<String> = match read(source) {
        Ok(_) => Vec::new(),
        Err(diagnostics) => diagnostics
            .iter()
            .map(|diagnostic| {
                let place = diagnostic
                    .position()
                    .map_or("-".to_owned(), |place| format!("{}:{}", place.line, place.column));
                let help = diagnostic.way_out().unwrap_or("");
                format!("{place} {} => {help}", diagnostic.title())
                    .trim_end()
                    .to_owned()
            })
            .collect(),
    };
    assert_eq!(found, expected, "in\n{source}");
}
