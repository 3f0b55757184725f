// SPDX-License-Identifier: MIT OR Apache-2.0
//! The oracle beside the case: what it says counts like an expectation of the case's own.

use super::truth::*;

fn with_after(change: impl FnOnce(&mut After)) -> Evidence {
    let mut evidence = truth();
    if let StepEvidence::Injected(injected) = &mut evidence.steps[INJECT] {
        change(injected.hits[0].after.as_mut().unwrap());
    }
    evidence
}

#[test]
fn what_the_case_does_not_say_the_oracle_does() {
    let case = case();
    for (evidence, words) in [
        (
            with_after(|after| after.victims.get_mut("bob").unwrap().signals.clear()),
            "oracle: expected victims {alice, bob}, saw {alice}",
        ),
        (
            with_after(|after| after.victims.get_mut("carol").unwrap().pending = 1 << 6),
            "saw {alice, bob, carol}",
        ),
        (
            with_after(|after| after.victims.get_mut("bob").unwrap().signals[0].lsb = Some(21)),
            "oracle: expected bob",
        ),
        (
            with_after(|after| after.notify_failure.clear()),
            "xfs_dax_notify_failure",
        ),
        (
            with_after(|after| after.filesystem = Filesystem::ShutDown(Some(ShutdownFlags(16)))),
            "oracle: expected the filesystem",
        ),
        (
            with_after(|after| after.badblocks.clear()),
            "oracle: expected badblocks",
        ),
        (
            with_after(|after| after.hardware_corrupted = 0),
            "HardwareCorrupted",
        ),
        (with_after(|after| after.events.clear()), "memory_failure_event"),
        (
            with_after(|after| {
                let bob = after.victims.get_mut("bob").unwrap();
                bob.pages[0].entry = PageEntry {
                    present: true,
                    swapped: false,
                    physical: Some(PHYSICAL),
                };
            }),
            "page-table entry",
        ),
    ] {
        assert_only(&case, &evidence, words);
    }
}

#[test]
fn the_same_of_several_errors_is_told_once() {
    let mut evidence = with_after(|after| after.hardware_corrupted = 0);
    if let StepEvidence::Injected(injected) = &mut evidence.steps[INJECT] {
        let again = injected.hits[0].clone();
        injected.hits.push(again);
    }
    assert_only(&case(), &evidence, "and so at 1 more of 2 errors");
}

#[test]
fn what_cannot_be_seen_is_not_held_against_the_kernel() {
    let mut evidence = with_after(|after| {
        after.notify_failure.clear();
        after.events.clear();
    });
    evidence.blind = Blind::from_unavailable(&[
        "p:taster_notify xfs_dax_notify_failure: No such file".to_owned(),
        "ras/memory_failure_event: No such file".to_owned(),
    ]);
    let case = expecting(|state| state.notify_failure = None);
    assert_passes(&case, &evidence);
}

#[test]
fn a_known_issue_foretells_the_oracles_words_too() {
    let text = CASE.replace(
        "splat: dax_insert_entry",
        "finding: \"expected victims {alice, bob}, saw {alice}\"",
    );
    let evidence = with_after(|after| after.victims.get_mut("bob").unwrap().signals.clear());
    let judgement = judge(&case_from(&text), &old_kernel(), &evidence);
    assert_eq!(judgement.verdict, Verdict::KnownIssue, "{judgement:#?}");
}

#[test]
fn an_error_that_was_handled_and_not_looked_at_is_no_pass() {
    let mut evidence = truth();
    if let StepEvidence::Injected(injected) = &mut evidence.steps[INJECT] {
        injected.hits[0].after = None;
    }
    assert_eq!(judge(&case(), &new_kernel(), &evidence).verdict, Verdict::Broken);
    if let StepEvidence::Injected(injected) = &mut evidence.steps[INJECT] {
        injected.hits.clear();
    }
    assert_eq!(judge(&case(), &new_kernel(), &evidence).verdict, Verdict::Broken);
}

#[test]
fn a_difference_ends_with_the_rule_and_the_facts() {
    let evidence = with_after(|after| after.victims.get_mut("bob").unwrap().signals.clear());
    let judgement = judge(&case(), &new_kernel(), &evidence);
    let because = judgement.findings[0].because.as_deref().unwrap();
    assert!(
        because.starts_with("mm/memory-failure.c:mf_dax_kill_procs: "),
        "{because}"
    );
    assert!(
        because.ends_with("; bob had the page present at 0x7f0000001000 (4 KiB, early)"),
        "{because}"
    );
}

#[test]
fn a_death_says_what_was_expected_of_the_error() {
    let mut evidence = truth();
    evidence.steps.truncate(INJECT);
    evidence.end = End::GuestDied("Kernel panic - not syncing".to_owned());
    let hit = hit();
    evidence.unfinished = Some(Unfinished {
        injection: hit.injection,
        facts: hit.facts,
    });
    let because = |evidence: &Evidence| {
        judge(&case(), &new_kernel(), evidence).findings[0]
            .because
            .clone()
            .unwrap()
    };
    let why = because(&evidence);
    let goes_on = "the oracle expected the kernel to go on: mm/memory-failure.c:mf_dax_kill_procs";
    assert!(why.starts_with(goes_on), "{why}");
    evidence.unfinished.as_mut().unwrap().facts.settings.recovery = false;
    let why = because(&evidence);
    let panics =
        "the oracle expected a panic: mm/memory-failure.c:memory_failure: vm.memory_failure_recovery=0";
    assert!(why.starts_with(panics), "{why}");
}
