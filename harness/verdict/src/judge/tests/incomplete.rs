// SPDX-License-Identifier: MIT OR Apache-2.0
//! Evidence that ends too early, or of which a part cannot be seen: what was established before stays.

use super::truth::*;
use testcases::{Count, TraceExpectation};

/// bob was spared, which the expectation and nothing later says.
fn spared() -> Evidence {
    with_state(|state| state.victims.get_mut("bob").unwrap().signals.clear())
}

fn assert_fails_short(case: &Case, evidence: &Evidence, why: &str) {
    let judgement = judge(case, &new_kernel(), evidence);
    assert_eq!(judgement.verdict, Verdict::Fail, "{judgement:#?}");
    assert_eq!(judgement.findings.len(), 1, "{judgement:#?}");
    assert!(judgement.reason.starts_with("bob "), "{}", judgement.reason);
    let note = format!("the rest could not be looked at: {why}");
    assert!(judgement.reason.contains(&note), "{}", judgement.reason);
}

#[test]
fn a_failure_is_not_hidden_by_a_later_step() {
    let mut evidence = spared();
    evidence.steps.truncate(READ);
    evidence.end = End::Lost("SSH ended".to_owned());
    assert_fails_short(&case(), &evidence, "SSH ended");

    evidence
        .steps
        .push(StepEvidence::Impossible("/mnt/b is not DAX".to_owned()));
    evidence.end = End::Stopped;
    assert_fails_short(&case(), &evidence, "/mnt/b is not DAX");

    let mut evidence = spared();
    evidence.steps.truncate(READ);
    assert_fails_short(&case(), &evidence, "the record is incomplete");

    let mut evidence = spared();
    evidence.steps[READ] = StepEvidence::Done;
    assert_fails_short(&case(), &evidence, "the record of line");
}

#[test]
fn a_failure_is_not_hidden_by_what_cannot_be_seen() {
    let mut evidence = spared();
    evidence.blind.notify_failure = Some("no such function".to_owned());
    if let StepEvidence::State(state) = &mut evidence.steps[STATE] {
        // Nobody has counted: that is nothing against the kernel.
        state.notify_failure.clear();
    }
    assert_fails_short(&case(), &evidence, "notify_failure cannot be observed");

    let text = CASE.replace(
        "      filesystem: up\n",
        "      filesystem: up\n      page_flags: { has: [hwpoison] }\n",
    );
    let mut evidence = spared();
    if let StepEvidence::State(state) = &mut evidence.steps[STATE] {
        state.page_flags = Some(vec![guest_agent::call::PageFlags::BeyondReach]);
    }
    assert_fails_short(
        &case_from(&text),
        &evidence,
        "this kernel's /proc/kpageflags ends",
    );

    // No file can ask for this; the judge does not rely on it.
    let case = expecting(|state| {
        state.trace.push(TraceExpectation {
            event: "nobody_traces_this".to_owned(),
            has: None,
            fields: BTreeMap::new(),
            times: Count::ONCE,
        });
    });
    let mut evidence = spared();
    if let StepEvidence::State(state) = &mut evidence.steps[STATE] {
        state.trace = Some(Vec::new());
    }
    assert_fails_short(&case, &evidence, "nobody traces nobody_traces_this");
}

/// What a later expectation may name is not held against the kernel before it was looked at.
#[test]
fn what_is_missing_is_nobodys_fault() {
    let mut evidence = truth();
    evidence.steps.truncate(STATE);
    evidence.end = End::Lost("SSH ended".to_owned());
    assert_eq!(judge(&case(), &new_kernel(), &evidence).verdict, Verdict::Broken);
    // A victim's silence, told by our own clock, proves nothing of a guest that was then lost.
    evidence
        .steps
        .push(StepEvidence::Stuck("no answer within 60 s".to_owned()));
    assert_eq!(judge(&case(), &new_kernel(), &evidence).verdict, Verdict::Broken);
    // Nor does what was seen after an error that may still be being handled.
    let mut evidence = spared();
    evidence.blind.handled = Some("no such function".to_owned());
    assert_eq!(
        judge(&case(), &new_kernel(), &evidence).verdict,
        Verdict::Untestable
    );
}

/// QEMU killed by the host behind an oops that a known issue names.
#[test]
fn a_lost_guest_behind_an_expected_oops_is_broken() {
    let text = CASE.replace("splat: dax_insert_entry", "splat: dax_lock_folio");
    let mut evidence = truth();
    evidence.steps.truncate(INJECT);
    evidence.log.extend(
        [
            "BUG: kernel NULL pointer dereference, address: 0000000000000001",
            "RIP: 0010:dax_lock_folio+0x51/0x140",
            "---[ end trace 0000000000000000 ]---",
        ]
        .map(str::to_owned),
    );
    evidence.end = End::Lost("QEMU ended".to_owned());
    let judged = |evidence: &Evidence, kernel| judge(&case_from(&text), &kernel, evidence);
    let judgement = judged(&evidence, old_kernel());
    assert_eq!(
        (judgement.verdict, judgement.reason.as_str()),
        (Verdict::Broken, "QEMU ended")
    );
    assert_eq!(judged(&evidence, new_kernel()).verdict, Verdict::Fail);
    // A guest that still answers has only lost the task.
    evidence.steps.push(StepEvidence::Stuck(
        "the guest answers, the task does not".to_owned(),
    ));
    evidence.end = End::Stopped;
    // Nobody was hit yet.
    evidence.victims.clear();
    let judgement = judged(&evidence, old_kernel());
    assert_eq!(judgement.verdict, Verdict::Fail, "{judgement:#?}");
    assert_eq!(judgement.findings.len(), 1, "only the task: {judgement:#?}");
}

/// The machine stood still: what only took too long is nothing against the kernel, and a pass is none either.
#[test]
fn a_gap_in_our_own_clock_is_broken() {
    let stopped = |log: &str| {
        let mut evidence = with_state(|_| ());
        evidence.log.push(log.to_owned());
        evidence.end = End::StoodStill("this machine stood still for 70 s".to_owned());
        judge(&case(), &new_kernel(), &evidence)
    };
    for line in [
        "all is well",
        "rcu: INFO: rcu_preempt self-detected stall on CPU",
        "watchdog: BUG: soft lockup - CPU#0 stuck for 70s! [umount:9]",
    ] {
        let judgement = stopped(line);
        assert_eq!(judgement.verdict, Verdict::Broken, "{judgement:#?}");
        assert_eq!(judgement.reason, "this machine stood still for 70 s");
    }
    let judgement = stopped("BUG: KASAN: slab-use-after-free in xfs_x+0x1/0x2");
    assert_eq!(judgement.verdict, Verdict::Fail, "{judgement:#?}");
}
