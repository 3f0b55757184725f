// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the README shows is what the parser takes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use testcases::{Action, Case, parse};

fn blocks() -> Vec<String> {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    readme
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

fn read(source: &str) -> Case {
    parse(source, Path::new("README.md"), "readme".parse().unwrap())
        .unwrap_or_else(|wrong| panic!("the README shows a faulty case:\n{wrong}"))
}

#[test]
fn the_example_is_a_case() {
    let whole: Vec<_> = blocks()
        .into_iter()
        .filter(|block| block.contains("summary:"))
        .collect();
    assert_eq!(whole.len(), 1);
    assert_eq!(read(&whole[0]).steps.len(), 4);
}

/// The steps are shown in the order of the page, which is not one in which they could run: mounting comes last.
#[test]
fn the_steps_are_steps() {
    let steps: Vec<_> = blocks()
        .into_iter()
        .filter(|block| block.starts_with("- "))
        .collect();
    let (mounts, others): (Vec<_>, Vec<_>) = steps
        .into_iter()
        .partition(|block| block.starts_with("- release"));
    let (operations, others): (Vec<_>, Vec<_>) = others
        .into_iter()
        .partition(|block| block.contains("- expect: { mount"));
    let steps: String = others.into_iter().chain(mounts).chain(operations).collect();
    let case = read(&format!("summary: s\nwhy: w\ntemplate: xfs\nsteps:\n{steps}"));
    let shown: std::collections::BTreeSet<_> = case
        .steps
        .iter()
        .map(|step| match step.action {
            Action::Write(_) => "write",
            Action::Reflink(_) => "reflink",
            Action::Victim(_) => "victim",
            Action::Release(_) => "release",
            Action::Inject(_) => "inject",
            Action::Expect(_) => "expect",
            Action::Unmount(_) => "unmount",
            Action::Mount(_) => "mount",
        })
        .collect();
    assert_eq!(shown.len(), 8, "the README shows only {shown:?}");
}
