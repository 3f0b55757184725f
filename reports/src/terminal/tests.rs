// SPDX-License-Identifier: MIT OR Apache-2.0
//! What people see, where nothing moves.

use std::io::{self, Write};

use proptest::prelude::*;

use super::{Look, Terminal};
use crate::samples::{any_record, one_of_each, one_of_each_in_order, record, result, stream};
use crate::{Error, Event, Reader, Verdict};

fn shown(events: &[Event], look: Look) -> String {
    let mut terminal = Terminal::new(Vec::new(), look);
    for event in events {
        terminal.event(event);
    }
    terminal.finish().unwrap();
    String::from_utf8(terminal.into_inner()).unwrap()
}

#[test]
fn one_of_each_verdict_in_plain_lines() {
    insta::assert_snapshot!(shown(
        &stream(one_of_each(), false),
        Look::default().with_out("out")
    ));
}

#[test]
fn verdicts_are_coloured_when_wanted() {
    let passed = stream(vec![result("a/b", "k", Verdict::Pass)], false);
    let text = shown(
        &passed,
        Look {
            colour: true,
            ..Look::default()
        },
    );
    assert!(text.contains("\u{1b}[32m      PASS\u{1b}[0m  k "), "{text}");
    assert!(!shown(&passed, Look::default()).contains('\u{1b}'));
}

/// No bar is drawn in a test, for standard error is no terminal; the lines must come all the same.
#[test]
fn what_moves_takes_no_line_away() {
    let events = stream(one_of_each(), false);
    let live = shown(
        &events,
        Look {
            live: true,
            ..Look::default()
        },
    );
    let plain = shown(&events, Look::default());
    let lasting = |text: &str| -> Vec<String> {
        text.lines()
            .filter(|l| !l.contains("begin") && !l.contains(" % "))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(lasting(&live), lasting(&plain));
}

#[test]
fn a_run_that_broke_off_still_gets_its_last_line() {
    let mut events = stream(one_of_each(), false);
    // It ends in the middle of the last case.
    events.truncate(events.len() - 2);
    let text = shown(&events, Look::default());
    assert!(
        text.contains("trouble  The run was interrupted: 1 of 5 planned verdicts missing."),
        "{text}"
    );
    assert!(
        text.contains("metadata/ag-header on debian-6.12 was begun and never judged."),
        "{text}"
    );
    assert!(text.ends_with("\n1 passed, 1 failed, 2 skipped\n"), "{text}");
}

#[test]
fn one_kernel_needs_no_grid() {
    let text = shown(
        &stream(vec![result("a/b", "k", Verdict::Pass)], false),
        Look::default(),
    );
    assert_eq!(text.matches("a/b").count(), 1, "{text}");
}

#[test]
fn a_terminal_that_takes_nothing_is_an_error_at_the_end_only() {
    struct Gone(io::ErrorKind);
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let end = |kind| {
        let mut terminal = Terminal::new(Gone(kind), Look::default());
        for event in stream(one_of_each(), false) {
            terminal.event(&event);
        }
        terminal.finish()
    };
    assert!(matches!(end(io::ErrorKind::StorageFull), Err(Error::Terminal(_))));
    // Who stops reading, as `head` does, has read enough.
    end(io::ErrorKind::BrokenPipe).unwrap();
}

proptest! {
    #[test]
    fn the_last_line_adds_up_and_nothing_reaches_the_terminal_raw(record in any_record()) {
        let text = shown(&record.events(), Look::default());
        let numbers: Vec<usize> = text
            .lines()
            .last()
            .unwrap()
            .split(", ")
            .zip(["passed", "failed", "skipped"])
            .map(|(part, word)| part.strip_suffix(word).unwrap().trim_end().parse().unwrap())
            .collect();
        prop_assert_eq!(numbers.iter().sum::<usize>(), record.results.len());
        prop_assert!(text.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()));
    }

    #[test]
    fn a_record_renders_as_its_run_did(record in any_record()) {
        let again = crate::RunRecord::from_events(record.events()).unwrap();
        prop_assert_eq!(again.exit, record.exit_status());
        let mut results = record.results;
        crate::fold::put_in_order(&mut results);
        prop_assert_eq!(again.results, results);
    }
}

#[test]
fn results_are_the_same_from_the_record() {
    let results = |text: &str| -> Vec<String> {
        text.lines()
            .skip_while(|line| !line.contains("PASS"))
            .map(str::to_owned)
            .collect()
    };
    let run = stream(one_of_each_in_order(), false);
    let again = record(one_of_each(), false).events();
    assert_eq!(
        results(&shown(&run, Look::default())),
        results(&shown(&again, Look::default()))
    );
}

/// The lines of the failing sample, from its own to its folder.
fn failure(results: Vec<crate::CaseResult>) -> Vec<String> {
    shown(&stream(results, false), Look::default().with_out("out"))
        .lines()
        .skip_while(|line| !line.trim_start().starts_with("FAIL "))
        .take_while(|line| line.trim_start().starts_with("FAIL ") || line.starts_with("            "))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_failure_is_told_on_a_screen_with_its_line_its_step_and_one_path() {
    let lines = failure(one_of_each());
    let text = lines.join("\n");
    assert!(lines.len() <= 25, "{} lines:\n{text}", lines.len());
    assert!(
        text.contains("--> testcases/cases/data/shared-block.yaml:27"),
        "{text}"
    );
    assert!(text.contains("27 |   - expect: { victim: bob"), "{text}");
    assert!(text.contains("|     ^^^^"), "{text}");
    assert!(
        text.contains("> step 2 of 2: expect killed (0.500s): FAILED"),
        "{text}"
    );
    assert_eq!(text.matches("all of it: out/shared-block").count(), 1, "{text}");
    let because = "because  mm/memory-failure.c:mf_dax_kill_procs: file data; bob had the page";
    assert!(lines.iter().any(|line| line.trim_start() == because), "{text}");
    assert!(text.contains("of 25 lines"), "{text}");
}

#[test]
fn whatever_was_found_a_failure_is_at_most_25_lines() {
    let mut results = one_of_each();
    let failing = results.iter_mut().find(|r| r.verdict == Verdict::Fail).unwrap();
    let many = "one line\n".repeat(60);
    for finding in &mut failing.findings {
        finding.because = Some(many.clone());
        finding.expected = Some(many.clone());
        finding.seen = Some(many.clone());
    }
    failing.findings = std::iter::repeat_n(failing.findings.clone(), 9)
        .flatten()
        .collect();
    failing.steps = std::iter::repeat_n(failing.steps.clone(), 20).flatten().collect();
    failing.reason = "the rest could not be looked at".into();
    failing.log = many.clone();
    for error in &mut failing.oracle {
        error.compared.clear();
        error.unpredicted[0].why.clone_from(&many);
    }
    let lines = failure(results);
    assert!(lines.len() <= 25, "{} lines:\n{}", lines.len(), lines.join("\n"));
}

#[test]
fn no_expectation_that_failed_is_well() {
    let mut results = one_of_each();
    let failing = results.iter_mut().find(|r| r.verdict == Verdict::Fail).unwrap();
    for step in &mut failing.steps {
        step.outcome = None;
    }
    let text = failure(results.clone()).join("\n");
    assert!(text.contains("expect killed (0.500s): FAILED"), "{text}");
    assert!(!text.contains("expect killed (0.500s): ok"), "{text}");
    let xml = crate::junit(&record(results, false)).unwrap();
    assert!(xml.contains("expect killed (0.500s): FAILED"), "{xml}");
}
