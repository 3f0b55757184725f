// SPDX-License-Identifier: MIT OR Apache-2.0
//! The oracle beside the case: what it says counts like an expectation of the case's own.

use super::truth::*;
use crate::observe::evidence::Away;

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
            "oracle: expected bob to get BUS_MCEERR_AO at 4KiB, lsb 12, saw bob get nothing",
        ),
        (
            with_after(|after| after.victims.get_mut("carol").unwrap().pending = 1 << 6),
            "oracle: expected carol to get nothing, saw carol keep SIGBUS pending",
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
            with_after(|after| after.badblocks = Some(Vec::new())),
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
fn a_known_issue_names_the_oracles_words_too() {
    let text = CASE.replace(
        "splat: dax_insert_entry",
        "finding: { kind: victim, of: bob, seen: none }",
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

/// The evidence with other facts of before the error.
fn with_facts(change: impl FnOnce(&mut facts::Facts)) -> Evidence {
    let mut evidence = truth();
    if let StepEvidence::Injected(injected) = &mut evidence.steps[INJECT] {
        change(&mut injected.hits[0].facts);
    }
    evidence
}

/// What the oracle knew of the only finding.
fn knew(case: &Case, evidence: &Evidence) -> String {
    let judgement = judge(case, &new_kernel(), evidence);
    assert_eq!(judgement.findings.len(), 1, "{:#?}", judgement.findings);
    judgement.findings[0].because.clone().unwrap_or_default()
}

/// The case with alice's expectation given to carol too.
fn carol_is_killed() -> Case {
    expecting(|state| {
        let alice = state.killed.values().next().unwrap().clone();
        let carol = state.alive.pop().unwrap();
        state.killed.insert(carol, alice);
    })
}

#[test]
fn an_expectation_of_a_victim_ends_with_what_she_had_before() {
    let unmapped = knew(&carol_is_killed(), &truth());
    assert_eq!(
        unmapped,
        "the oracle expected: carol gets nothing, for it did not map the page (early); \
         mm/memory-failure.c:collect_procs_fsdax: only those are looked at who map the file where the page is lost"
    );
    for (entry, had) in [
        (
            facts::Entry::Absent,
            "for it had no page-table entry at 0x7f0000001000 (early); ",
        ),
        (
            facts::Entry::Elsewhere,
            "for it had another page at 0x7f0000001000 (early); ",
        ),
    ] {
        let untouched = with_facts(|facts| {
            let mut page = facts.victims[1].pages[0];
            page.entry = entry;
            facts.victims[2].pages.push(page);
        });
        let why = knew(&carol_is_killed(), &untouched);
        assert!(
            why.contains(had) && why.contains("dev_pagemap_mapping_shift: "),
            "{why}"
        );
    }
}

#[test]
fn an_expectation_ends_with_what_was_predicted_of_it() {
    let down = expecting(|state| {
        state.filesystem = Some(testcases::FilesystemState::Shutdown(
            testcases::ShutdownReason::CorruptOndisk,
        ));
    });
    let why = knew(&down, &truth());
    assert!(
        why.starts_with("the oracle expected: Afterwards the filesystem is up; mm/"),
        "{why}"
    );
    let unknown = with_facts(|facts| {
        facts.owners.as_mut().unwrap()[0].record.owner = SpaceOwner::Other(2);
    });
    let findings = judge(&down, &new_kernel(), &unknown).findings;
    let about = findings
        .iter()
        .find(|finding| finding.what.contains("another state"));
    let why = about.unwrap().because.as_deref().unwrap();
    assert_eq!(
        why,
        "the oracle had no prediction for filesystem: GETFSMAP gives the block an owner that this oracle does not know"
    );
}

#[test]
fn an_operation_on_a_page_that_was_hit_ends_with_how_it_can_be_used() {
    let mut evidence = with_facts(|facts| {
        let owners = facts.owners.as_mut().unwrap();
        owners[1].inode.as_mut().unwrap().name = Some("b".to_owned());
    });
    evidence.steps[READ] = read(contents(0x5a));
    let why = knew(&case(), &evidence);
    assert_eq!(
        why,
        "the oracle expected: From then on read(2) or write(2) fails with EIO; fs/dax.c:dax_mem2blk_err: an error of the medium \
         is EIO to read(2) and to write(2) (kernels say EFAULT to write)"
    );
    // Of a file that was not hit it says nothing.
    let mut elsewhere = truth();
    elsewhere.steps[CONTENTS] = read(contents(0x12));
    assert_eq!(knew(&case(), &elsewhere), "");
}

#[test]
fn calls_are_counted_by_name() {
    let two = expecting(|state| {
        let Some(testcases::NotifyFailure::Called { calls, .. }) = &mut state.notify_failure else {
            panic!("the case expects calls");
        };
        *calls = Some(2);
    });
    let finding = judge(&two, &new_kernel(), &truth()).findings.remove(0);
    let [expected, seen] = [finding.expected, finding.seen].map(Option::unwrap);
    assert_eq!(expected, "2 calls of xfs_dax_notify_failure, each returning 0");
    assert_eq!(seen, "1 call of xfs_dax_notify_failure: returned 0");
}

#[test]
fn what_was_predicted_is_recorded_with_its_rules_and_its_gaps() {
    let [all] = record_predictions(&new_kernel(), &truth()).try_into().unwrap();
    assert_eq!((all.step, all.page.as_str()), (INJECT, "0x101219000"));
    assert_eq!((all.unpredicted, all.unseen), (vec![], Vec::<String>::new()));
    for part in [
        "victim alice",
        "alice's page-table entry",
        "notify_failure",
        "badblocks",
    ] {
        assert!(
            all.compared.iter().any(|known| known == part),
            "{part}: {:?}",
            all.compared
        );
    }
    let alice = &all.predicted[0];
    assert_eq!(alice.part, "victim alice");
    assert!(
        alice
            .says
            .starts_with("alice gets BUS_MCEERR_AO at 4KiB, lsb 12, for it had the page present")
    );
    assert!(
        alice
            .because
            .starts_with("mm/memory-failure.c:mf_dax_kill_procs: ")
    );
    let subjects: Vec<&str> = all.rules.iter().map(|rule| rule.subject.as_str()).collect();
    for subject in ["the error", "the filesystem", "inode 131", "alice"] {
        assert!(subjects.contains(&subject), "{subject}: {subjects:?}");
    }
}

#[test]
fn what_could_not_be_predicted_or_seen_is_recorded() {
    let mut blind = with_facts(|facts| facts.badblocks = None);
    blind.blind =
        Blind::from_unavailable(&["p:taster_notify xfs_dax_notify_failure: No such file".to_owned()]);
    let [all] = record_predictions(&new_kernel(), &blind).try_into().unwrap();
    assert_eq!(all.unseen, ["notify_failure"]);
    assert_eq!(all.unpredicted.len(), 1);
    assert_eq!(all.unpredicted[0].part, "badblocks");
    assert_eq!(all.unpredicted[0].why, "the badblocks of before are not known");
}

#[test]
fn the_error_on_which_a_guest_ended_is_recorded_once() {
    let mut evidence = truth();
    let hit = hit();
    evidence.unfinished = Some(Unfinished {
        injection: hit.injection.clone(),
        facts: hit.facts.clone(),
    });
    assert_eq!(
        record_predictions(&new_kernel(), &evidence).len(),
        1,
        "its step has evidence"
    );
    evidence.steps.truncate(INJECT);
    let [all] = record_predictions(&new_kernel(), &evidence).try_into().unwrap();
    assert_eq!((all.step, all.compared), (INJECT, Vec::<String>::new()));
    assert!(
        all.unseen.contains(&"victim alice".to_owned()),
        "{:?}",
        all.unseen
    );
}

/// An injection by debugfs that the kernel refused; the oracle can say what the answer must be, or cannot.
fn refused(predictable: bool) -> Evidence {
    let mut evidence = truth();
    if let StepEvidence::Injected(injected) = &mut evidence.steps[INJECT] {
        let hit = &mut injected.hits[0];
        hit.injection.by = testcases::Mechanism::Debugfs(testcases::DebugfsFile::CorruptPfn);
        hit.injector = Some(Tried::Refused(Refusal { errno: 117, ..eio() }));
        if !predictable {
            hit.facts.owners.as_mut().unwrap()[0].record.owner = SpaceOwner::Other(2);
        }
    }
    evidence
}

#[test]
fn an_injection_that_was_refused_is_never_overlooked() {
    let unspoken = |evidence: &Evidence, case: &Case| {
        let findings = judge(case, &new_kernel(), evidence).findings;
        let refusal = findings
            .into_iter()
            .find(|finding| finding.what == "the injecting call was refused, and no `injector:` expects it");
        refusal.map(|finding| finding.signature.unwrap_or_default())
    };
    let case = case();
    assert_eq!(
        unspoken(&refused(false), &case).as_deref(),
        Some("{ kind: injector, seen: EUCLEAN }")
    );
    // What the oracle says of it, it says by itself.
    assert_eq!(unspoken(&refused(true), &case), None);
    let spoken =
        expecting(|state| state.injector = Some(testcases::CallResult::Error("EUCLEAN".parse().unwrap())));
    assert_eq!(unspoken(&refused(false), &spoken), None);
}

#[test]
fn what_holds_the_device_is_the_superblock_wherever_it_is_mounted() {
    let detached = with_after(|after| after.filesystem = Filesystem::Away(Away::Detached));
    assert_passes(&case(), &detached);
}

#[test]
fn a_signal_that_the_oracle_predicted_needs_no_expectation() {
    let silent = expecting(|state| {
        let bob = state
            .killed
            .keys()
            .find(|name| name.as_str() == "bob")
            .unwrap()
            .clone();
        state.killed.remove(&bob);
    });
    assert_passes(&silent, &truth());
    // Of which it has no prediction, it accounts for nothing.
    let unknown = with_facts(|facts| {
        facts.owners.as_mut().unwrap()[1].record.owner = SpaceOwner::Other(2);
    });
    let findings = judge(&silent, &new_kernel(), &unknown).findings;
    let unnamed = "bob was signalled, which no expectation names";
    assert!(findings.iter().any(|finding| finding.what == unnamed));
    // One more than it predicted is one too many.
    let mut twice = truth();
    let bob = twice.victims.get_mut("bob").unwrap();
    bob.signals.push(bob.signals[0].clone());
    assert_only(&silent, &twice, unnamed);
}
