// SPDX-License-Identifier: MIT OR Apache-2.0
//! The judge, tried on evidence made by hand: one true run, and every way in which it could be false.

mod incomplete;
mod lines;
mod operations;
mod oracle;
mod signals;
mod state;
mod truth;

use truth::*;

#[test]
fn the_truth_passes() {
    let judgement = judge(&case(), &new_kernel(), &truth());
    assert_eq!((judgement.verdict, judgement.findings), (Verdict::Pass, vec![]));
}

#[test]
fn every_field_of_a_signal_counts() {
    type Change = fn(&mut Signal);
    let changes: [(Change, &str); 5] = [
        (|signal| signal.code = 4, "BUS_MCEERR_AR"),
        (|signal| signal.at = Some(spot(8192)), "at 8KiB"),
        (|signal| signal.at = None, "outside its mapping"),
        (|signal| signal.lsb = Some(21), "lsb 21"),
        (|signal| signal.number = 11, "signal 11"),
    ];
    for (change, words) in changes {
        let evidence = with_state(|state| {
            if let Some(bob) = state.victims.get_mut("bob") {
                change(&mut bob.signals[0]);
            }
        });
        assert_fails(&evidence, words);
    }
}

#[test]
fn a_victim_that_was_spared_or_hit_twice() {
    assert_fails(
        &with_state(|state| state.victims.get_mut("bob").unwrap().signals.clear()),
        "no signal",
    );
    let twice = with_state(|state| state.victims.get_mut("bob").unwrap().signals.push(sigbus()));
    assert_fails(&twice, "bob was not signalled as expected");
}

#[test]
fn a_bystander_that_was_hit() {
    assert_fails(
        &with_state(|state| state.victims.get_mut("carol").unwrap().signals.push(sigbus())),
        "carol was not left alone",
    );
    assert_fails(
        &with_state(|state| state.victims.get_mut("carol").unwrap().ended = Some(Ended::Killed(7))),
        "signal 7 killed it",
    );
    assert_fails(
        &with_state(|state| state.victims.get_mut("carol").unwrap().pending = 1 << 6),
        "pending",
    );
}

#[test]
fn a_signal_after_the_last_expectation() {
    let mut evidence = truth();
    evidence.victims.get_mut("alice").unwrap().signals.push(sigbus());
    assert_fails(&evidence, "alice was signalled, which no expectation names");
}

#[test]
fn a_stranger_that_was_hit() {
    let mut evidence = truth();
    let line = "kworker/0:1-25 [000] d..1. 1.0: signal_generate: sig=7 errno=0 code=5 comm=dropbear pid=77 grp=0 res=0";
    evidence.trace = vec![TraceLine::parse(line).unwrap()];
    assert_fails(&evidence, "dropbear");
}

#[test]
fn the_other_expectations() {
    assert_fails(
        &with_state(|state| state.notify_failure[0].returned = Some(-5)),
        "-EIO",
    );
    assert_fails(
        &with_state(|state| state.notify_failure[0].returned = None),
        "did not return",
    );
    assert_fails(
        &with_state(|state| state.notify_failure.clear()),
        "no call of xfs_dax_notify_failure",
    );
    let down = Filesystem::ShutDown(Some(ShutdownFlags(16)));
    assert_fails(
        &with_state(|state| state.filesystem = down),
        "shut down: corrupt_ondisk",
    );
    assert_fails(
        &with_state(|state| state.filesystem = Filesystem::Unmounted),
        "not mounted",
    );
    assert_fails(&with_state(|state| state.badblocks.clear()), "none");
    assert_fails(
        &with_state(|state| {
            state.badblocks.push(BadMemory {
                start: GuestPhysical(0),
                length: 512,
            });
        }),
        "512 bytes at 0x0",
    );
    assert_fails(
        &with_state(|state| state.badblocks[0].length = 512),
        "badblocks lists other sectors",
    );
}

#[test]
fn an_operation_with_another_answer() {
    let mut evidence = truth();
    evidence.steps[READ] = read(contents(0x5a));
    assert_fails(&evidence, "EIO");
    let mut evidence = truth();
    evidence.steps[READ] = StepEvidence::Operation(Tried::Refused(Refusal { errno: 14, ..eio() }));
    assert_fails(&evidence, "EFAULT");
    let mut evidence = truth();
    evidence.steps[CONTENTS] = read(contents(0));
    assert_fails(&evidence, "each 0x00");
    let mut evidence = truth();
    let mixed = Contents {
        uniform: None,
        turn: Some(guest_agent::call::Turn {
            at: FileOffset(6144),
            byte: 0x33,
        }),
        ..contents(0x5a)
    };
    evidence.steps[CONTENTS] = read(mixed);
    assert_fails(&evidence, "from 6KiB on they are others, first 0x33");
    let mut evidence = truth();
    let nothing = Contents {
        length: 0,
        uniform: None,
        head: vec![],
        ..contents(0)
    };
    evidence.steps[CONTENTS] = read(nothing);
    assert_fails(&evidence, "no bytes");
}

#[test]
fn a_step_that_the_kernel_refused() {
    let mut evidence = truth();
    evidence.steps.truncate(1);
    evidence.steps.push(StepEvidence::Refused(Refusal {
        what: "FICLONE".to_owned(),
        errno: 95,
    }));
    evidence.end = End::Stopped;
    assert_fails(&evidence, "EOPNOTSUPP");
}

#[test]
fn a_handler_that_did_not_finish() {
    for handled in [Handled::Stuck, Handled::Silent] {
        let mut evidence = truth();
        if let StepEvidence::Injected(injected) = &mut evidence.steps[INJECT] {
            injected.hits[0].handled = handled;
            injected.hits[0].after = None;
        }
        assert_fails(&evidence, "did not finish handling");
    }
}

#[test]
fn a_splat_fails_whatever_else_held() {
    let mut evidence = truth();
    evidence
        .log
        .push("WARNING: CPU: 0 PID: 9 at mm/memory-failure.c:1 memory_failure+0x1/0x2".to_owned());
    assert_fails(&evidence, "the kernel complained");
    // Even when the harness then lost the guest, or a precondition was missing.
    evidence.end = End::Lost("SSH ended".to_owned());
    assert_fails(&evidence, "the kernel complained");
    evidence.end = End::Stopped;
    evidence.steps.truncate(1);
    evidence
        .steps
        .push(StepEvidence::Impossible("not DAX".to_owned()));
    assert_fails(&evidence, "the kernel complained");
}

#[test]
fn a_kernel_that_died_fails() {
    let mut evidence = truth();
    evidence.steps.truncate(INJECT);
    evidence.end = End::GuestDied("Kernel panic - not syncing: Fatal machine check".to_owned());
    assert_fails(&evidence, "the kernel died at: inject");
}

#[test]
fn silence_is_never_a_pass() {
    let verdict = |evidence: &Evidence| judge(&case(), &new_kernel(), evidence).verdict;
    let mut evidence = truth();
    evidence.end = End::Lost("the machine check was never acknowledged".to_owned());
    assert_eq!(verdict(&evidence), Verdict::Broken);
    for kept in 0..truth().steps.len() {
        let mut evidence = truth();
        evidence.steps.truncate(kept);
        assert_eq!(verdict(&evidence), Verdict::Broken, "{kept} steps");
        evidence.end = End::Stopped;
        assert_eq!(verdict(&evidence), Verdict::Broken, "{kept} steps, stopped");
    }
}

#[test]
fn evidence_of_another_kind_than_the_step_is_no_pass() {
    for index in [INJECT, STATE, READ, CONTENTS] {
        let mut evidence = truth();
        evidence.steps[index] = StepEvidence::Done;
        let verdict = judge(&case(), &new_kernel(), &evidence).verdict;
        assert_eq!(verdict, Verdict::Broken, "step {index}");
    }
}

#[test]
fn a_missing_precondition_is_untestable() {
    let mut evidence = truth();
    evidence.steps.truncate(INJECT);
    evidence
        .steps
        .push(StepEvidence::Impossible("/mnt/a is not DAX".to_owned()));
    evidence.end = End::Stopped;
    let judgement = judge(&case(), &new_kernel(), &evidence);
    assert_eq!(
        (judgement.verdict, judgement.reason.as_str()),
        (Verdict::Untestable, "/mnt/a is not DAX")
    );

    let mut evidence = truth();
    evidence.blind.notify_failure = Some("no such function".to_owned());
    assert_eq!(
        judge(&case(), &new_kernel(), &evidence).verdict,
        Verdict::Untestable
    );
    let mut evidence = truth();
    evidence.blind.handled = Some("no such function".to_owned());
    assert_eq!(
        judge(&case(), &new_kernel(), &evidence).verdict,
        Verdict::Untestable
    );
}

fn with_the_warning() -> Evidence {
    let mut evidence = truth();
    evidence
        .log
        .push("WARNING: CPU: 0 PID: 92 at fs/dax.c:380 dax_insert_entry+0x2ab/0x320".to_owned());
    evidence
}

#[test]
fn a_known_issue_is_no_pass_and_no_failure() {
    let judgement = judge(&case(), &old_kernel(), &with_the_warning());
    assert_eq!(judgement.verdict, Verdict::KnownIssue);
    assert_eq!(judgement.known_issues, ["shared fsdax pages were not counted"]);
    assert!(!judgement.findings.is_empty());
}

#[test]
fn a_known_issue_that_no_longer_shows_fails() {
    let judgement = judge(&case(), &old_kernel(), &truth());
    assert_eq!(judgement.verdict, Verdict::Fail);
    assert!(
        judgement.reason.contains("no longer shows"),
        "{}",
        judgement.reason
    );
}

#[test]
fn a_known_issue_excuses_nothing_else() {
    let mut evidence = with_the_warning();
    evidence.steps[READ] = read(contents(0x5a));
    let judgement = judge(&case(), &old_kernel(), &evidence);
    assert_eq!(judgement.verdict, Verdict::Fail);
    assert_eq!(
        judgement.findings.len(),
        1,
        "only what no known issue names: {:?}",
        judgement.findings
    );
    // And on a kernel that it does not name, the warning itself is a failure.
    assert_eq!(
        judge(&case(), &new_kernel(), &with_the_warning()).verdict,
        Verdict::Fail
    );
}

/// What a known issue names fails nothing, and covers nothing that was not looked at.
#[test]
fn a_known_issue_is_no_excuse_for_silence() {
    let mut evidence = with_the_warning();
    evidence.steps.truncate(INJECT);
    evidence.end = End::Lost("the machine check was never acknowledged".to_owned());
    let verdict = |kernel| judge(&case(), &kernel, &evidence).verdict;
    assert_eq!(verdict(old_kernel()), Verdict::Broken);
    // A warning that no known issue names stands, whatever was missed after it.
    assert_eq!(verdict(new_kernel()), Verdict::Fail);
}

#[test]
fn a_known_issue_may_name_a_finding() {
    let text = CASE.replace(
        "splat: dax_insert_entry",
        "finding: { kind: victim, of: bob, seen: none }",
    );
    let mut evidence = with_state(|state| state.victims.get_mut("bob").unwrap().signals.clear());
    let judgement = judge(&case_from(&text), &old_kernel(), &evidence);
    assert_eq!(judgement.verdict, Verdict::KnownIssue, "{judgement:?}");
    // A splat is never covered by a finding.
    evidence.log.push("BUG: bob was not signalled".to_owned());
    assert_eq!(
        judge(&case_from(&text), &old_kernel(), &evidence).verdict,
        Verdict::Fail
    );
}

/// A case and its oracle speak of the same kernel: what is the same is named once.
#[test]
fn a_known_issue_means_the_findings_of_case_and_oracle() {
    let with =
        |finding: &str| case_from(&CASE.replace("splat: dax_insert_entry", &format!("finding: {finding}")));
    let mut evidence = with_state(|state| state.victims.get_mut("bob").unwrap().signals.clear());
    if let StepEvidence::Injected(injected) = &mut evidence.steps[INJECT] {
        let after = injected.hits[0].after.as_mut().unwrap();
        after.victims.get_mut("bob").unwrap().signals.clear();
    }
    let judged = |finding| judge(&with(finding), &old_kernel(), &evidence);
    let judgement = judged("{ kind: victim, of: bob, seen: none }");
    assert_eq!(judgement.verdict, Verdict::KnownIssue, "{judgement:#?}");
    let told: Vec<_> = judgement
        .findings
        .iter()
        .map(|found| {
            (
                found.kind.as_str(),
                found.subject.as_deref(),
                found.signature.as_deref(),
            )
        })
        .collect();
    let bob = (
        "victim",
        Some("bob"),
        Some("{ kind: victim, of: bob, seen: none }"),
    );
    assert_eq!(told, [bob, bob]);
    // Another victim, another ending, and a sentence that happens to hold the words are other findings.
    for other in [
        "{ kind: victim, of: alice, seen: none }",
        "{ kind: victim, of: bob, seen: pending }",
        "{ kind: victim, of: bob, seen: [none, none] }",
        "{ kind: stranger, of: bob, seen: SIGBUS }",
    ] {
        let judgement = judged(other);
        assert_eq!(judgement.verdict, Verdict::Fail, "{other}: {judgement:#?}");
        assert_eq!(judgement.findings.len(), 3, "{other}: {judgement:#?}");
    }
}

/// Two reads of one file are two findings, if their places tell them apart.
#[test]
fn a_known_issue_tells_operations_apart() {
    let mut evidence = truth();
    evidence.steps[CONTENTS] = read(contents(0x5a));
    let judged = |finding: &str| {
        let text = CASE.replace("splat: dax_insert_entry", &format!("finding: {finding}"));
        judge(&case_from(&text), &old_kernel(), &evidence)
    };
    let judgement = judged("{ kind: operation, operation: read, seen: 0x5a }");
    assert_eq!(judgement.verdict, Verdict::KnownIssue, "{judgement:#?}");
    let signature = judgement.findings[0].signature.clone().unwrap();
    assert_eq!(judged(&signature).verdict, Verdict::KnownIssue, "{signature}");
    for other in [
        "{ kind: operation, operation: read, of: nobody, seen: 0x5a }",
        "{ kind: operation, operation: read, at: 12KiB, seen: 0x5a }",
        "{ kind: operation, operation: read, seen: EIO }",
        "{ kind: operation, operation: touch, seen: 0x5a }",
    ] {
        assert_eq!(judged(other).verdict, Verdict::Fail, "{other}");
    }
}

#[test]
fn all_texts_of_a_known_issue_must_show() {
    let text = CASE.replace(
        "splat: dax_insert_entry",
        "splat: [dax_insert_entry, dax_associate_entry]\n    finding: { kind: victim, of: bob, seen: none }",
    );
    let mut evidence = with_state(|state| state.victims.get_mut("bob").unwrap().signals.clear());
    evidence.log.extend(with_the_warning().log);
    let judgement = judge(&case_from(&text), &old_kernel(), &evidence);
    assert_eq!(judgement.verdict, Verdict::Fail, "{judgement:#?}");
    // What is missing is named, and what shows is excused.
    assert_eq!(judgement.findings.len(), 1, "{judgement:#?}");
    let expected = judgement.findings[0].expected.clone().unwrap_or_default();
    assert!(expected.starts_with("dax_associate_entry (remove"), "{expected}");
    evidence.log.extend(
        [
            "---[ end trace 0000000000000000 ]---",
            "WARNING: CPU: 0 PID: 92 at fs/dax.c:404 dax_associate_entry+0x2ab/0x320",
        ]
        .map(str::to_owned),
    );
    let judgement = judge(&case_from(&text), &old_kernel(), &evidence);
    assert_eq!(judgement.verdict, Verdict::KnownIssue, "{judgement:#?}");
}

#[test]
fn the_window_of_an_expectation_begins_at_the_latest_injection() {
    let mut evidence = with_state(|state| {
        let carol = state.victims.get_mut("carol").unwrap();
        carol.signals = vec![sigbus()];
        carol.before = 1;
    });
    // carol's old signal is nobody's: it is told as unforeseen, but carol counts as left alone since.
    evidence.end = End::Completed;
    let judgement = judge(&case(), &new_kernel(), &evidence);
    assert_eq!(judgement.verdict, Verdict::Fail);
    assert_eq!(
        judgement.reason,
        "carol was signalled, which no expectation names"
    );
}
