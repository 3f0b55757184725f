// SPDX-License-Identifier: MIT OR Apache-2.0
//! How operations end.

use super::truth::*;
use crate::observe::evidence::{Access, AccessResult};
use testcases::{
    Bytes, Contents as Wanted, FileOperation, Fill, Lines, Place, RunSpec, Seconds, StoreSpec,
    SystemOperation, VictimOperation, VictimPlace,
};

fn a_read(wanted: Wanted) -> Case {
    let Action::Expect(Expect::Operation { operation, .. }) = case().steps[CONTENTS].action.clone() else {
        panic!("the last step is a read");
    };
    trying(operation, Outcome::Contains(wanted))
}

fn got(contents: Contents, other: Option<Result<Contents, Refusal>>) -> Evidence {
    with_operation(Tried::Succeeded(Brought::Contents { contents, other }))
}

#[test]
fn contents_of_every_kind() {
    let counting = |counting| Contents {
        uniform: None,
        counting,
        ..contents(1)
    };
    let case = a_read(Wanted::Fill(Fill::Counting));
    assert_passes(&case, &got(counting(true), None));
    assert_only(&case, &got(counting(false), None), "counting pages");

    let sum = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let summed = |sum: &str| Contents {
        sha256: Some(sum.to_owned()),
        ..contents(1)
    };
    let case = a_read(Wanted::Sha256(sum.parse().unwrap()));
    assert_passes(&case, &got(summed(sum), None));
    assert_only(&case, &got(summed("00"), None), "SHA-256");
    assert_only(&case, &got(contents(1), None), "SHA-256");

    let case = a_read(Wanted::File {
        file: "a".parse().unwrap(),
        offset: Bytes(0),
    });
    assert_passes(&case, &got(summed(sum), Some(Ok(summed(sum)))));
    assert_only(&case, &got(summed(sum), Some(Ok(summed("00")))), "what a holds");
    assert_only(&case, &got(summed(sum), Some(Err(eio()))), "EIO");
    assert_only(&case, &got(summed(sum), None), "what a holds");
}

#[test]
fn a_short_read_contains_nothing() {
    let case = a_read(Wanted::Fill(Fill::Byte(0x11)));
    let short = Contents {
        length: 512,
        ..contents(0x11)
    };
    assert_passes(&case, &got(contents(0x11), None));
    assert_only(&case, &got(short, None), "512 bytes, each 0x11");
}

#[test]
fn names_are_exact() {
    let names = |names: &[&str]| {
        with_operation(Tried::Succeeded(Brought::Names(
            names.iter().map(|&name| name.to_owned()).collect(),
        )))
    };
    let wanted = ["a", "b"].map(|name| name.parse().unwrap()).into();
    let case = trying(
        Operation::File(FileOperation::List { directory: None }),
        Outcome::Names(wanted),
    );
    assert_passes(&case, &names(&["a", "b"]));
    assert_only(&case, &names(&["a"]), "a, b");
    assert_only(&case, &names(&["a", "b", "c"]), "a, b, c");
}

#[test]
fn a_command_exits_and_says() {
    let run = Operation::System(SystemOperation::Run(RunSpec {
        command: "true".to_owned(),
        timeout: Seconds::MINUTE,
    }));
    let output = Lines {
        has: vec!["Phase 1".parse().unwrap()],
        lacks: vec!["corrupt".parse().unwrap()],
    };
    let case = trying(run.clone(), Outcome::Exits { status: 1, output });
    let ran = |ended, lines: &[&str]| {
        let output = lines.iter().map(|&line| line.to_owned()).collect();
        with_operation(Tried::Succeeded(Brought::Ran {
            ended,
            output,
            left_out: 0,
        }))
    };
    let one = Some(Ended::Exited(1));
    assert_passes(&case, &ran(one, &["Phase 1 - find"]));
    assert_only(
        &case,
        &ran(Some(Ended::Exited(0)), &["Phase 1"]),
        "it exited with status 0",
    );
    assert_only(&case, &ran(one, &["Phase 2"]), "Phase 2");
    assert_only(&case, &ran(one, &["Phase 1", "it is corrupt"]), "it is corrupt");
    assert_only(&case, &ran(None, &["Phase 1"]), "killed at its deadline");
    assert_only(&case, &ran(Some(Ended::Killed(9)), &["Phase 1"]), "signal 9");
    // Success is status 0.
    let case = trying(run, Outcome::Succeeds);
    assert_passes(&case, &ran(Some(Ended::Exited(0)), &[]));
    assert_only(&case, &ran(one, &[]), "it exited with status 1");
}

#[test]
fn what_is_left_out_of_an_output_may_be_what_was_looked_for() {
    let run = Operation::System(SystemOperation::Run(RunSpec {
        command: "true".to_owned(),
        timeout: Seconds::MINUTE,
    }));
    let exits = |has: &[&str], lacks: &[&str]| {
        let globs = |globs: &[&str]| globs.iter().map(|glob| glob.parse().unwrap()).collect();
        let output = Lines {
            has: globs(has),
            lacks: globs(lacks),
        };
        trying(run.clone(), Outcome::Exits { status: 0, output })
    };
    let cut = |status, lines: &[&str]| {
        with_operation(Tried::Succeeded(Brought::Ran {
            ended: Some(Ended::Exited(status)),
            output: lines.iter().map(|&line| line.to_owned()).collect(),
            left_out: 4000,
        }))
    };
    let is_broken = |case: &Case, evidence: &Evidence| {
        let judged = judge(case, &new_kernel(), evidence);
        assert_eq!(judged.verdict, Verdict::Broken, "{judged:?}");
        assert!(judged.reason.contains("4000 bytes"), "{}", judged.reason);
        assert_eq!(judged.findings, []);
    };
    // That it is not in what was kept says nothing.
    is_broken(&exits(&[], &["corrupt"]), &cut(0, &["fine"]));
    is_broken(&exits(&["Phase 9"], &[]), &cut(0, &["fine"]));
    // What is established is.
    assert_passes(&exits(&["fine"], &[]), &cut(0, &["fine"]));
    assert_only(&exits(&[], &["corrupt"]), &cut(0, &["corrupt"]), "corrupt");
    assert_only(&exits(&["Phase 9"], &["corrupt"]), &cut(1, &["fine"]), "status 1");
    assert_passes(&trying(run.clone(), Outcome::Succeeds), &cut(0, &["fine"]));
}

#[test]
fn a_dedupe_that_differs_is_no_success() {
    let Action::Expect(Expect::Operation { operation, .. }) = case().steps[CONTENTS].action.clone() else {
        panic!("the last step is a read");
    };
    let differs = with_operation(Tried::Succeeded(Brought::Differs));
    let moved = |bytes| with_operation(Tried::Succeeded(Brought::Moved { bytes, of: 4096 }));
    let case = trying(operation.clone(), Outcome::Differs);
    assert_passes(&case, &differs);
    assert_only(&case, &moved(4096), "contents that differ");
    let case = trying(operation, Outcome::Succeeds);
    assert_passes(&case, &moved(4096));
    assert_only(&case, &moved(512), "only 512 of 4096 bytes");
    assert_only(&case, &differs, "the contents differ");
}

#[test]
fn a_victims_access_has_a_value_or_an_errno() {
    let at = VictimPlace {
        victim: "carol".parse().unwrap(),
        place: Place::default(),
    };
    let by_carol = |result| {
        with_operation(Tried::ByVictim(Access {
            victim: "carol".to_owned(),
            result: Some(result),
            signals: 0..0,
            ended: None,
        }))
    };
    let case = trying(
        Operation::Victim(VictimOperation::Touch(at)),
        Outcome::Value(0x5a),
    );
    assert_passes(&case, &by_carol(AccessResult::Byte(0x5a)));
    assert_only(&case, &by_carol(AccessResult::Byte(0)), "the byte 0x00");
    assert_only(&case, &by_carol(AccessResult::Faulted), "the access faulted");
    let store = Operation::Victim(VictimOperation::Store(StoreSpec {
        victim: "carol".parse().unwrap(),
        place: Place::default(),
        fill: 1,
    }));
    let case = trying(store, Outcome::Fails("EFAULT".parse().unwrap()));
    let refused = |errno| AccessResult::Refused(Refusal { errno, ..eio() });
    assert_passes(&case, &by_carol(refused(14)));
    assert_only(&case, &by_carol(refused(5)), "EIO");
    assert_only(&case, &by_carol(AccessResult::Done), "success");
}

#[test]
fn a_step_that_must_succeed_and_does_not() {
    let mut case = case();
    case.steps[0].action = Action::Operation(Operation::System(SystemOperation::DropCaches));
    let mut evidence = truth();
    evidence.steps.truncate(0);
    evidence
        .steps
        .push(StepEvidence::Failed(Tried::Succeeded(Brought::Ran {
            ended: Some(Ended::Exited(3)),
            output: Vec::new(),
            left_out: 0,
        })));
    evidence.end = End::Stopped;
    for victim in evidence.victims.values_mut() {
        victim.signals.clear();
    }
    assert_only(&case, &evidence, "it exited with status 3");
}
