// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the README shows is what the parser takes.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::path::Path;

use testcases::{Case, load, parse_all};

/// What is there before the steps of a block: files.
const FILES: &str = "
  - write:   { file: a, size: 4MiB, fill: 0x5a }
  - reflink: { from: a, to: b }
  - write:   { file: c, size: 2MiB, fill: 0x11 }
  - mkdir:   { directory: d }
";
/// And, where they do not stand in the way, victims.
const VICTIMS: &str = "
  - watch:  health
  - victim: { name: alice, maps: a, touches: 4KiB, kill: early, access: write, threads: { worker: late } }
  - victim: { name: bob,   maps: b, touches: 4KiB, kill: early }
  - victim: { name: carol, maps: c, touches: 4KiB, kill: early, access: write }
  - victim: { name: dave,  maps: a, touches: 4KiB, kill: early, sigbus: blocked }
  - victim: { name: erin,  maps: a, touches: 4KiB, kill: early, sigbus: default }
";

fn blocks() -> Vec<String> {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    readme
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

fn read(source: &str) -> Vec<Case> {
    parse_all(source, Path::new("README.md"), "readme".parse().unwrap())
        .unwrap_or_else(|wrong| panic!("the README shows what is wrong:\n{wrong}"))
}

/// Every example stands alone: with a few files and victims there, its steps are right.
#[test]
fn every_block_of_steps_is_right() {
    let blocks: Vec<_> = blocks()
        .into_iter()
        .filter(|block| block.starts_with("- "))
        .collect();
    assert!(blocks.len() > 12, "only {} blocks of steps", blocks.len());
    for block in blocks {
        let indented = format!("  {}\n", block.trim_end().replace('\n', "\n  "));
        read(&format!(
            "summary: s\nwhy: w\ntemplate: xfs\nsteps:{FILES}{VICTIMS}{indented}  - expect: {{ badblocks: [] }}\n"
        ));
    }
}

/// Every word of the language is shown at least once.
#[test]
fn every_verb_has_an_example() {
    let shown: String = blocks().concat();
    let schema = testcases::json_schema();
    let verbs: BTreeSet<&str> = schema["definitions"]["Step"]["oneOf"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| step["required"][0].as_str().unwrap())
        .collect();
    assert!(verbs.len() > 50, "{verbs:?}");
    for verb in verbs {
        assert!(
            shown.contains(&format!(" {verb}:")) || shown.contains(&format!("- {verb}:")),
            "the README shows no `{verb}`"
        );
    }
    for key in schema["definitions"]["Expect"]["properties"]
        .as_object()
        .unwrap()
        .keys()
    {
        assert!(shown.contains(&format!("{key}:")), "the README shows no `{key}`");
    }
}

/// Every kind of finding is told, and what stands in the table can be written.
#[test]
fn every_kind_of_finding_is_told() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let schema = testcases::json_schema();
    let kinds = schema["definitions"]["FindingKind"]["oneOf"].as_array().unwrap();
    assert!(kinds.len() > 20, "{kinds:?}");
    let table: Vec<&str> = readme.lines().filter(|line| line.starts_with("| `")).collect();
    for kind in kinds {
        let word = kind["const"].as_str().unwrap();
        let told = |row: &&&str| row.split('|').nth(1).unwrap().contains(&format!("`{word}`"));
        assert!(table.iter().any(|row| told(&row)), "the README tells no `{word}`");
    }
    let issues: Vec<_> = blocks()
        .into_iter()
        .filter(|block| block.starts_with("known_issues:"))
        .collect();
    assert_eq!(issues.len(), 1);
    let case = read(&format!(
        "summary: s\nwhy: w\ntemplate: xfs\nparameters: {{ policy: [late] }}\nsteps:{FILES}{VICTIMS}  - expect: {{ badblocks: [] }}\n{}",
        issues[0]
    ));
    assert_eq!(case[0].known_issues.len(), 3);
}

#[test]
fn the_parameters_are_right() {
    let parameters: Vec<_> = blocks()
        .into_iter()
        .filter(|block| block.starts_with("parameters:"))
        .collect();
    assert_eq!(parameters.len(), 2);
    let product = read(&format!(
        "summary: \"${{policy}} ${{page}}\"\nwhy: w\ntemplate: xfs\n{}steps:\n  - expect: {{ badblocks: [] }}\n",
        parameters[0]
    ));
    let names: Vec<_> = product.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(
        names,
        [
            "readme.early.4kib",
            "readme.early.2mib",
            "readme.late.4kib",
            "readme.late.2mib"
        ]
    );
    let rows = read(&format!(
        "summary: s\nwhy: w\ntemplate: xfs\n{}steps:{FILES}  - victim: {{ name: alice, maps: a, kill: \"${{policy}}\" }}\n  \
         - expect: ${{fate}}\n",
        parameters[1]
    ));
    let names: Vec<_> = rows.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(names, ["readme.told", "readme.nobody"]);
}

/// What is shown of a template together with its steps is right but for its head.
#[test]
fn the_templates_with_steps_are_right() {
    let blocks: Vec<_> = blocks()
        .into_iter()
        .filter(|block| block.starts_with("template:") && block.contains("steps:"))
        .collect();
    assert_eq!(blocks.len(), 1);
    for block in blocks {
        read(&format!("summary: s\nwhy: w\n{block}"));
    }
}

#[test]
fn the_whole_examples_are_cases() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    std::fs::create_dir(root.join("_parts")).unwrap();
    let whole: Vec<_> = blocks()
        .into_iter()
        .filter(|block| block.contains("summary:"))
        .collect();
    let (parts, cases): (Vec<_>, Vec<_>) = whole
        .into_iter()
        .partition(|block| block.contains("schema-steps.json"));
    assert_eq!((parts.len(), cases.len()), (1, 4));
    std::fs::write(root.join("_parts/three-files.yaml"), &parts[0]).unwrap();
    let mut count = 0;
    for (index, case) in cases.iter().enumerate() {
        let path = root.join(format!("case-{index}.yaml"));
        std::fs::write(&path, case).unwrap();
        match load(&path, root) {
            Ok(cases) => count += cases.len(),
            Err(wrong) => panic!("the README shows a faulty case:\n{wrong}"),
        }
    }
    assert_eq!(count, 9);
}
