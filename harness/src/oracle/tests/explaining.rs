// SPDX-License-Identifier: MIT OR Apache-2.0
//! Predictions in prose.

use super::V6_12;
use super::world::{A, B, HERE, World, early, file, file_that, late, page, world};
use crate::oracle::facts::Mechanism;
use crate::oracle::{explain, predict};

fn prose(world: World) -> String {
    let (facts, injection) = world.finish();
    explain(&predict(&facts, &injection, &V6_12))
}

#[test]
fn a_shared_page_and_a_machine_check() {
    let text = prose(world([file(A), file(B)]).by(Mechanism::ActionOptional).victims([
        early("alice", [page(A, HERE)]),
        late("bob", [page(A, HERE)]),
        early("carol", []),
    ]));
    let (sentences, rules) = text.split_once("Rules:\n").unwrap();
    assert_eq!(
        sentences,
        "alice gets BUS_MCEERR_AO at 4KiB, lsb 12: alice had the page present at 0x7f0000001000 (4 KiB, early).\n\
         alice's page-table entry is gone afterwards.\n\
         bob gets nothing: bob had the page present at 0x7f0000001000 (4 KiB, late).\n\
         bob's page-table entry is gone afterwards.\n\
         carol gets nothing: carol did not map the page (early).\n\
         Nobody waits for an answer: it is a machine check.\n\
         xfs_dax_notify_failure is called once and returns 0.\n\
         Afterwards the filesystem is up.\n\
         The page is in the badblocks.\n\
         memory_failure_event says Recovered.\n\
         HardwareCorrupted grows by 4096 bytes.\n\
         From then on a load that faults raises BUS_MCEERR_AR, lsb 12, and read(2) or write(2) fails with \
         EIO.\n"
    );
    assert!(
        rules.contains("- inode 131: file data: for each owner on its own"),
        "{rules}"
    );
    assert!(
        rules.contains("(mm/memory-failure.c:find_early_kill_thread)"),
        "{rules}"
    );
}

#[test]
fn what_is_not_predicted_is_said() {
    let text = prose(world([file_that(A, |inode| inode.kind = None)]).victims([early("alice", [])]));
    assert!(
        text.contains(
            "No prediction for the filesystem: it is not known whether the inode is a file or a directory."
        ),
        "{text}"
    );
    assert!(
        text.contains("alice gets nothing: alice did not map the page (early).\n"),
        "{text}"
    );
}

#[test]
fn a_panic() {
    let text = prose(world([file(A)]).with(|facts| facts.settings.recovery = false));
    assert_eq!(
        text,
        "The kernel panics: vm.memory_failure_recovery=0 asks for a panic at the first error \
         (mm/memory-failure.c:memory_failure)."
    );
}
