// SPDX-License-Identifier: MIT OR Apache-2.0
//! How diagnostics look.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use testcases::{Case, Diagnostics, parse};

fn read(source: &str) -> Result<Case, Diagnostics> {
    parse(source, Path::new("case.yaml"), "case".parse().unwrap())
}

const FAULTY: &str = "\
summary: s
why: w
template: xfs
steps:
  - write:  { file: data, size: 2MiB, fill: 0x5a }
  - victim: { name: alice, maps: dta, touches: 4KiB }
  - inject: { machine-check: action-optional, at: { file: data, offset: 4MiB } }
  - expect: { filesystem: up }
";

#[test]
fn every_mistake_is_shown_in_its_line() {
    let diagnostics = read(FAULTY).unwrap_err();
    insta::assert_snapshot!(diagnostics, @r"
    error: there is no file `dta`
     --> case.yaml:6:34
      |
    5 |   - write:  { file: data, size: 2MiB, fill: 0x5a }
      |                     ---- `data` is declared here
    6 |   - victim: { name: alice, maps: dta, touches: 4KiB }
      |                                  ^^^ not declared
      |
      = help: did you mean `data`? Else make it first: `- write: { file: dta, size: 2MiB, fill: 0x5a }`

    error: offset 4MiB is beyond the end of `data`
     --> case.yaml:7:73
      |
    5 |   - write:  { file: data, size: 2MiB, fill: 0x5a }
      |                                 ---- `data` has 2MiB
    6 |   - victim: { name: alice, maps: dta, touches: 4KiB }
    7 |   - inject: { machine-check: action-optional, at: { file: data, offset: 4MiB } }
      |                                                                         ^^^^ not in the file
      |
      = help: choose an offset below 2MiB
    ");
}

#[test]
fn colours_are_for_those_who_ask() {
    let diagnostics = read(FAULTY).unwrap_err();
    assert!(!diagnostics.to_string().contains('\u{1b}'));
    assert!(diagnostics.colored().contains("\u{1b}["));
}

#[test]
fn what_a_file_holds_never_reaches_the_terminal_raw() {
    let diagnostics = read("summary: \"\\e[31m\"\n\"a\\eb\": 1\n").unwrap_err();
    assert!(!diagnostics.to_string().contains('\u{1b}'), "{diagnostics:?}");
}
