// SPDX-License-Identifier: MIT OR Apache-2.0
//! Steps that stand in other files, and how their mistakes are drawn.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use testcases::{Action, Case, FileOperation, Operation, discover, load};

/// Reads the case `case.yaml` of a folder that holds these files.
fn read(files: &[(&str, &str)]) -> Result<Vec<Case>, String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    load(&folder.path().join("case.yaml"), folder.path()).map_err(|wrong| {
        let text = wrong.to_string();
        text.replace(&folder.path().display().to_string(), "CASES")
    })
}

fn case(steps: &str) -> String {
    format!("summary: s\nwhy: w\ntemplate: xfs\nsteps:\n{steps}")
}

const PART: &str = "\
summary: a file and who maps it
parameters: [size, at]
steps:
  - write:  { file: a, size: \"${size}\", fill: counting }
  - when:   { at: 0 }
    victim: { name: zoe, maps: a, touches: 0 }
  - when:   { kernel: \">=6.5\" }
    victim: { name: alice, maps: a, touches: \"${at}\" }
";

#[test]
fn included_steps_stand_where_the_include_stood() {
    let cases = read(&[
        (
            "case.yaml",
            &case(
                "  - mkdir: { directory: d }\n  - when: { kernel: \"<6.12\" }\n    include: { steps: _parts/one, with: { size: \
                 2MiB, at: 4KiB } }\n  - expect: { filesystem: up }\n",
            ),
        ),
        ("_parts/one.yaml", PART),
    ])
    .unwrap();
    let [case] = cases.as_slice() else {
        panic!("{} cases", cases.len());
    };
    let told: Vec<_> = case
        .steps
        .iter()
        .map(|step| {
            let included = step.included.as_ref().map(|place| place.line);
            let when = step.when.as_ref().map(ToString::to_string);
            (testcases::describe(&step.action), step.line, included, when)
        })
        .collect();
    let step = |what: &str, line, included, when: Option<&str>| {
        (what.to_owned(), line, included, when.map(str::to_owned))
    };
    assert_eq!(
        told,
        [
            step("make directory d", 5, None, None),
            step("write a (2MiB, filled with counting)", 6, Some(4), Some("<6.12")),
            step(
                "victim alice maps a, reads at 4KiB",
                6,
                Some(7),
                Some("<6.12, >=6.5")
            ),
            step("expect the filesystem up", 8, None, None),
        ]
    );
    let newer = case.for_kernel(&"6.12.1".parse().unwrap());
    assert!(matches!(
        newer.steps.first().map(|step| &step.action),
        Some(Action::Operation(Operation::File(FileOperation::Mkdir { .. })))
    ));
    assert_eq!(newer.steps.len(), 2);
}

#[test]
fn a_mistake_in_an_included_file_is_shown_there_and_where_it_is_included() {
    let said = read(&[
        (
            "case.yaml",
            &case("  - include: { steps: _one, with: { size: 4KiB, at: 8KiB } }\n  - expect: { filesystem: up }\n"),
        ),
        ("_one.yaml", "summary: s\nparameters: [size, at]\nsteps:\n  - include: { steps: _two, with: { s: \"${size}\", unused: \"${at}\" } }\n"),
        ("_two.yaml", "summary: s\nparameters: [s, unused]\nsteps:\n  - write: { file: a, size: \"${s}\", fil: 1 }\n  - victim: { name: alice, maps: a, touches: 8KiB }\n"),
    ])
    .unwrap_err();
    insta::assert_snapshot!(said, @r#"
    error: nothing uses the parameter `unused`
     --> CASES/_two.yaml:2:17
      |
    2 | parameters: [s, unused]
      |                 ^^^^^^ not used
      |
     ::: CASES/_one.yaml:4:23
      |
    4 |   - include: { steps: _two, with: { s: "${size}", unused: "${at}" } }
      |                       ---- included here
      |
     ::: CASES/case.yaml:5:23
      |
    5 |   - include: { steps: _one, with: { size: 4KiB, at: 8KiB } }
      |                       ---- included here
      |
      = help: write `${unused}` where its value belongs, or take it away

    error: unknown key `fil`
     --> CASES/_two.yaml:4:37
      |
    4 |   - write: { file: a, size: "${s}", fil: 1 }
      |                                     ^^^ not known here
      |
     ::: CASES/_one.yaml:4:23
      |
    4 |   - include: { steps: _two, with: { s: "${size}", unused: "${at}" } }
      |                       ---- included here
      |
     ::: CASES/case.yaml:5:23
      |
    5 |   - include: { steps: _one, with: { size: 4KiB, at: 8KiB } }
      |                       ---- included here
      |
      = help: did you mean `fill`?
    "#);
}

#[test]
fn what_fits_together_badly_is_seen_across_files() {
    let said = read(&[
        (
            "case.yaml",
            &case("  - write: { file: a, size: 4KiB, fill: 1 }\n  - include: { steps: _one }\n  - expect: { filesystem: up }\n"),
        ),
        ("_one.yaml", "summary: s\nsteps:\n  - victim: { name: alice, maps: a, touches: 8KiB }\n"),
    ])
    .unwrap_err();
    insta::assert_snapshot!(said, @r#"
    error: offset 8KiB is beyond the end of `a`
     --> CASES/_one.yaml:3:46
      |
    3 |   - victim: { name: alice, maps: a, touches: 8KiB }
      |                                              ^^^^ not in the file
      |
     ::: CASES/case.yaml:5:29
      |
    5 |   - write: { file: a, size: 4KiB, fill: 1 }
      |                             ---- `a` has 4KiB
    6 |   - include: { steps: _one }
      |                       ---- included here
      |
      = help: choose an offset below 4KiB
    "#);
}

#[test]
fn round_in_a_circle() {
    let said = read(&[
        ("case.yaml", &case("  - include: { steps: _one }\n")),
        ("_one.yaml", "summary: s\nsteps:\n  - include: { steps: _two }\n"),
        ("_two.yaml", "summary: s\nsteps:\n  - include: { steps: _one }\n"),
    ])
    .unwrap_err();
    insta::assert_snapshot!(said, @r#"
    error: `_one` would include itself, round in a circle
     --> CASES/_two.yaml:3:23
      |
    3 |   - include: { steps: _one }
      |                       ^^^^ included again
      |
     ::: CASES/_one.yaml:3:23
      |
    3 |   - include: { steps: _two }
      |                       ---- included here
      |
     ::: CASES/case.yaml:5:23
      |
    5 |   - include: { steps: _one }
      |                       ---- included here
      |
      = help: take one of the two away
    "#);
}

#[test]
fn includes_of_nothing() {
    let said = read(&[
        (
            "case.yaml",
            &case(
                "  - include: { steps: _parts/on }\n  - include: { steps: case }\n  - include: { steps: ../x }\n  - \
                 include: { steps: _parts/one, with: { sice: 4KiB } }\n  - include: { steps: _empty }\n",
            ),
        ),
        ("_parts/one.yaml", PART),
        ("_empty.yaml", "# nothing\n"),
    ])
    .unwrap_err();
    insta::assert_snapshot!(said, @r#"
    error: there is no file of steps `_parts/on`
     --> CASES/case.yaml:5:23
      |
    5 |   - include: { steps: _parts/on }
      |                       ^^^^^^^^^ not there
      |
      = help: did you mean `_parts/one`?

    error: `case` would be a case, not steps for others
     --> CASES/case.yaml:6:23
      |
    6 |   - include: { steps: case }
      |                       ^^^^ no `_` in it
      |
      = help: a file of steps, or its folder, has a name that begins with `_`

    error: `../x` is no name of a file of steps
     --> CASES/case.yaml:7:23
      |
    7 |   - include: { steps: ../x }
      |                       ^^^^ not a plain path
      |
      = help: write its path below the folder of cases, without `.yaml`, such as `_parts/two-sharers`

    error: the included steps need a value for `size`
     --> CASES/case.yaml:8:41
      |
    8 |   - include: { steps: _parts/one, with: { sice: 4KiB } }
      |                                         ^^^^^^^^^^^^^^^ no `size` here
      |
      = help: add `with: { size: … }`

    error: the included steps need a value for `at`
     --> CASES/case.yaml:8:41
      |
    8 |   - include: { steps: _parts/one, with: { sice: 4KiB } }
      |                                         ^^^^^^^^^^^^^^^ no `at` here
      |
      = help: add `with: { at: … }`

    error: there is no parameter `sice`
     --> CASES/case.yaml:8:43
      |
    8 |   - include: { steps: _parts/one, with: { sice: 4KiB } }
      |                                           ^^^^ not declared
      |
      = help: did you mean `size`?

    error: the file has nothing in it
     --> CASES/_empty.yaml:1:1
      |
    1 | # nothing
      | ^ a case begins here
      |
     ::: CASES/case.yaml:9:23
      |
    9 |   - include: { steps: _empty }
      |                       ------ included here
      |
      = help: a case has `summary`, `why`, `template` and `steps`
    "#);
}

#[test]
fn steps_for_others_are_no_cases() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("_parts")).unwrap();
    for name in ["_parts/one.yaml", "_two.yaml", "three.yaml"] {
        std::fs::write(folder.path().join(name), PART).unwrap();
    }
    let found = discover(folder.path()).unwrap();
    assert_eq!(found, [Path::new(&folder.path().join("three.yaml"))]);
}
