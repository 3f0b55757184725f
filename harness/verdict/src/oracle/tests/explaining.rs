// SPDX-License-Identifier: MIT OR Apache-2.0
//! Predictions in prose, and the rules behind them.

use super::V6_12;
use super::world::{A, B, HERE, World, early, file, file_that, late, page, special, with_sigbus, world};
use crate::oracle::facts::{Disposition, Entry};
use crate::oracle::prediction::{Part, Prediction};
use crate::oracle::{predict, sentences};
use guest_agent::call::SpaceOwner;
use testcases::Mechanism::MachineCheck;
use testcases::Severity::ActionOptional;

fn prose(world: World) -> Vec<String> {
    let (facts, injection) = world.finish();
    let sentences = sentences(&predict(&facts, &injection, &V6_12));
    sentences.into_iter().map(|sentence| sentence.says).collect()
}

#[test]
fn a_shared_page_and_a_machine_check() {
    let text = prose(
        world([file(A), file(B)])
            .by(MachineCheck(ActionOptional))
            .victims([
                early("alice", [page(A, HERE)]),
                late("bob", [page(A, HERE)]),
                early("carol", []),
                early("dora", [page(B, Entry::Absent)]),
            ]),
    );
    assert_eq!(
        text,
        [
            "alice gets BUS_MCEERR_AO at 4KiB, lsb 12, for it had the page present at 0x7f0000001000 (4 KiB, early).",
            "alice's page-table entry is gone afterwards.",
            "bob gets nothing, for it had the page present at 0x7f0000001000 (4 KiB, late).",
            "bob's page-table entry is gone afterwards.",
            "carol gets nothing, for it did not map the page (early).",
            "dora gets nothing, for it had no page-table entry at 0x7f0000001000 (early).",
            "Nobody waits for an answer: it is a machine check.",
            "xfs_dax_notify_failure is called once and returns 0.",
            "Afterwards the filesystem is up.",
            "The page is in the badblocks.",
            "memory_failure_event says Recovered.",
            "HardwareCorrupted grows by 4096 bytes.",
            "From then on a load that faults raises BUS_MCEERR_AR, lsb 12.",
            "From then on read(2) or write(2) fails with EIO.",
        ]
    );
}

#[test]
fn what_is_not_predicted_is_left_out() {
    let text = prose(world([file_that(A, |inode| inode.kind = None)]).victims([early("alice", [])]));
    assert!(
        !text.iter().any(|line| line.contains("the filesystem")),
        "{text:?}"
    );
    let alice = "alice gets nothing, for it did not map the page (early).";
    assert!(text.iter().any(|line| line == alice), "{text:?}");
}

#[test]
fn a_panic() {
    let world = world([file(A)]).with(|facts| facts.settings.recovery = false);
    let (facts, injection) = world.finish();
    let said = sentences(&predict(&facts, &injection, &V6_12));
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].says, "The kernel panics.");
    assert_eq!(
        said[0].rule.to_string(),
        "mm/memory-failure.c:memory_failure: vm.memory_failure_recovery=0 asks for a panic at the first error"
    );
}

/// The functions by which it is decided what a victim is told, and how the error ends and the filesystem answers.
fn functions(world: World, victim: &str) -> [&'static str; 3] {
    let (facts, injection) = world.finish();
    let Prediction::Handled(handled) = predict(&facts, &injection, &V6_12) else {
        panic!("no panic was asked for");
    };
    let Some(Part::Known(fate)) = handled.victims.get(victim) else {
        panic!("nothing is predicted for {victim}");
    };
    let end = handled.decided.end.unwrap();
    [fate.rule.from, end.from, handled.decided.filesystem.unwrap().from]
        .map(|from| from.split_once(':').unwrap().1)
}

#[test]
fn each_fate_has_the_rule_that_decided_it() {
    let shared = || world([file(A), file(B)]);
    let kills = "mf_dax_kill_procs";
    for (world, rule) in [
        (shared().victims([early("v", [page(A, HERE)])]), kills),
        (
            shared().victims([late("v", [page(A, HERE)])]),
            "find_early_kill_thread",
        ),
        (shared().victims([early("v", [])]), "collect_procs_fsdax"),
        (
            shared().victims([early("v", [page(A, Entry::Absent)])]),
            "dev_pagemap_mapping_shift",
        ),
        (
            shared().victims([early("v", [page(A, Entry::Elsewhere)])]),
            "dev_pagemap_mapping_shift",
        ),
        (
            shared().victims([with_sigbus(early("v", [page(A, HERE)]), Disposition::Default)]),
            "get_signal",
        ),
    ] {
        assert_eq!(functions(world, "v"), [rule, kills, kills]);
    }
}

#[test]
fn metadata_decide_before_data() {
    let both = world([file(A), special(SpaceOwner::AgBtree)]).victims([early("v", [page(A, HERE)])]);
    let metadata = "xfs_dax_failure_fn";
    assert_eq!(functions(both, "v"), ["mf_dax_kill_procs", metadata, metadata]);
}

#[test]
fn what_the_filesystem_cannot_say_mm_decides_alone() {
    let alone = world([file(A)])
        .without_rmapbt()
        .victims([early("v", [page(A, HERE)])]);
    let mm = "mf_generic_kill_procs";
    assert_eq!(functions(alone, "v"), [mm, mm, "xfs_dax_notify_failure"]);
}
