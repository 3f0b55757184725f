// SPDX-License-Identifier: MIT OR Apache-2.0
//! One file, several cases.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use testcases::{Case, describe, parse, parse_all};

fn read(source: &str) -> Vec<Case> {
    parse_all(source, Path::new("case.yaml"), "signals/policy".parse().unwrap())
        .unwrap_or_else(|wrong| panic!("{wrong}"))
}

const MATRIX: &str = r#"
parameters: { policy: [early, late], size: [4KiB, 0x2000] }
summary: policy ${policy}, size ${size}
why: w
covers: [10, 3]
template: xfs
steps:
  - write:  { file: a, size: "${size}", fill: 0x5a }
  - victim: { name: alice, maps: a, touches: 0, kill: "${policy}" }
  - when:   { policy: [early, late], size: 0x2000 }
    read:   { file: a, offset: 4KiB }
  - when:   { policy: early }
    expect: { alive: [alice] }
  - when:   { policy: late, kernel: ">=6.5" }
    expect: { filesystem: up }
  - when:   { policy: late, kernel: "<6.5" }
    expect: { run: "echo $${policy} ${MOUNT} ${policy}", status: 0 }
known_issues:
  - { kernel: "<6.2", splat: [dax_a, dax_b], because: "of ${policy}" }
  - { kernel: "<6.2", finding: { kind: injector, seen: EIO }, because: y, when: { policy: early } }
"#;

#[test]
fn every_combination_is_a_case() {
    let cases = read(MATRIX.trim_start());
    let ids: Vec<_> = cases.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "signals/policy.early.4kib",
            "signals/policy.early.0x2000",
            "signals/policy.late.4kib",
            "signals/policy.late.0x2000"
        ]
    );
    let last = cases.last().unwrap();
    assert_eq!(last.id.file(), "signals/policy");
    assert_eq!(last.summary, "policy late, size 0x2000");
    let values: Vec<_> = last
        .parameters
        .iter()
        .map(|parameter| format!("{}={}", parameter.name, parameter.value))
        .collect();
    assert_eq!(values, ["policy=late", "size=0x2000"]);
    let rows: Vec<_> = last.covers.iter().map(|row| row.number()).collect();
    assert_eq!(rows, [3, 10]);
    let told: Vec<_> = last
        .steps
        .iter()
        .map(|step| format!("{}: {}", step.line, describe(&step.action)))
        .collect();
    assert_eq!(
        told,
        [
            "7: write a (8KiB, filled with 0x5a)",
            "8: victim alice maps a, reads at 0, killed late",
            "9: read a+4KiB (4KiB)",
            "13: expect the filesystem up",
            "15: expect that running `echo ${policy} ${MOUNT} late` exits with 0",
        ]
    );
}

#[test]
fn known_issues_are_those_of_the_case() {
    let cases = read(MATRIX.trim_start());
    let issues = |index: usize| {
        let issues = &cases[index].known_issues;
        issues
            .iter()
            .map(|issue| {
                let findings: Vec<_> = issue.findings.iter().map(ToString::to_string).collect();
                format!(
                    "{}: {:?} {findings:?} {}",
                    issue.line, issue.splats, issue.because
                )
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(
        issues(0),
        [
            r#"18: ["dax_a", "dax_b"] [] of early"#.to_owned(),
            r#"19: [] ["{ kind: injector, seen: EIO }"] y"#.to_owned()
        ]
    );
    assert_eq!(issues(2), [r#"18: ["dax_a", "dax_b"] [] of late"#.to_owned()]);
}

#[test]
fn a_kernel_gets_its_own_steps() {
    let cases = read(MATRIX.trim_start());
    let lines = |version: &str| {
        let case = cases[2].for_kernel(&version.parse().unwrap());
        case.steps.iter().map(|step| step.line).collect::<Vec<_>>()
    };
    assert_eq!(lines("6.4.9"), [7, 8, 15]);
    assert_eq!(lines("6.5.0-rc1"), [7, 8, 13]);
    assert_eq!(lines("6.12.117"), [7, 8, 13]);
}

#[test]
fn rows_may_hold_anything() {
    let cases = read(
        r#"
parameters:
  - { name: Two Files, maps: [a, b], fate: { alive: [alice] }, at: { map: 1, at: 0 } }
  - { name: one, maps: a, fate: { died: { alice: SIGBUS } }, at: 0 }
summary: s
why: w
template: xfs
steps:
  - write:  { file: a, size: 4KiB, fill: 1 }
  - write:  { file: b, size: 4KiB, fill: 1 }
  - victim: { name: alice, maps: "${maps}", touches: "${at}" }
  - expect: ${fate}
"#
        .trim_start(),
    );
    let told: Vec<_> = cases
        .iter()
        .map(|case| {
            let steps: Vec<_> = case
                .steps
                .iter()
                .skip(2)
                .map(|step| describe(&step.action))
                .collect();
            format!("{}: {}", case.id, steps.join("; "))
        })
        .collect();
    assert_eq!(
        told,
        [
            "signals/policy.two-files: victim alice maps a and b, reads at 0 of mapping 1; expect alice alive",
            "signals/policy.one: victim alice maps a, reads at 0; expect alice dead by SIGBUS",
        ]
    );
}

#[test]
fn a_file_without_parameters_is_one_case() {
    let source = "summary: s\nwhy: w\ntemplate: xfs\nsteps:\n  - expect: { filesystem: up }\n";
    let cases = read(source);
    assert_eq!(cases.len(), 1);
    assert_eq!(cases[0].id.as_str(), "signals/policy");
    assert!(cases[0].parameters.is_empty());
    let one = parse(source, Path::new("case.yaml"), "signals/policy".parse().unwrap()).unwrap();
    assert_eq!(one, cases[0]);
}

/// What is wrong only in some cases, or on some kernels, says in which.
#[test]
fn circumstances_are_named() {
    let draw = |source: &str| {
        parse_all(source, Path::new("case.yaml"), "case".parse().unwrap())
            .unwrap_err()
            .to_string()
    };
    insta::assert_snapshot!(draw(
        "parameters: { size: [4KiB, 8KiB] }\nsummary: s\nwhy: w\ntemplate: xfs\nsteps:\n  - write: { file: a, size: \
         \"${size}\", fill: 1 }\n  - expect: { read: { file: a, offset: 4KiB }, contains: 1 }\n"
    ), @r#"
    error: offset 4KiB is beyond the end of `a`
     --> case.yaml:7:40
      |
    1 | parameters: { size: [4KiB, 8KiB] }
      |                      ---- `a` has 4KiB
    ...
    7 |   - expect: { read: { file: a, offset: 4KiB }, contains: 1 }
      |                                        ^^^^ not in the file
      |
      = note: in the case `.4kib`
      = help: choose an offset below 4KiB
    "#);
    insta::assert_snapshot!(draw(
        "summary: s\nwhy: w\ntemplate: xfs\nsteps:\n  - when: { kernel: \">=6.5\" }\n    write: { file: a, size: 4KiB, \
         fill: 1 }\n  - expect: { read: { file: a }, contains: 1 }\n"
    ), @r#"
    error: there is no file `a`
     --> case.yaml:7:29
      |
    7 |   - expect: { read: { file: a }, contains: 1 }
      |                             ^ not declared
      |
      = note: on the earliest kernels
      = help: make it first: `- write: { file: a, size: 2MiB, fill: 0x5a }`
    "#);
}
