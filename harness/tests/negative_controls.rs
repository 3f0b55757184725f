// SPDX-License-Identifier: MIT OR Apache-2.0
//! Would we notice? The case of the shared block, once as it stands and then with one thing turned round at a time, each
//! in a real guest: what is not true must never come out as a pass.
//!
//! These boot guests of the default kernel; the first time on a machine that fetches packages.
#![allow(
    clippy::unwrap_used,
    reason = "a test's helper functions fail like the test itself"
)]

mod common;

use common::{listened, parsed, request, text_of};
use reports::Verdict;
use testcases::Isolation;

const INJECTION: &str = "  - inject:  { machine-check: action-optional, at: { file: a, offset: 4KiB } }\n";

/// Whoever faults in a page of a frozen filesystem to write it waits for the thaw, and no signal ends that
/// (fs/xfs/xfs_file.c: sb_start_pagefault()).
const HELD: &str = "summary: a victim whom the kernel holds
why: a store that never ends
template: xfs
kernel: any
steps:
  - write:  { file: a, size: 64KiB, fill: 0x5a }
  - victim: { name: alice, maps: a, access: write }
  - victim: { name: bob, maps: a, touches: 0 }
  - run:    xfs_io -x -c freeze $MOUNT
  - expect: { store: { victim: alice, at: 4KiB, fill: 0x11 }, error: none }
";

fn original() -> String {
    text_of("data/shared-block")
}

/// The original with one piece of text replaced; the piece must be there.
fn turned(from: &str, to: &str) -> String {
    let text = original();
    assert!(text.contains(from), "the case no longer contains {from:?}");
    text.replacen(from, to, 1)
}

#[test]
fn what_is_not_true_never_passes() {
    let controls = [
        ("as-it-stands", original(), Verdict::Pass, ""),
        (
            "nothing-injected",
            turned(INJECTION, ""),
            Verdict::Fail,
            "alice was not signalled as expected",
        ),
        (
            "carol-expected-dead",
            turned("      alive: [carol]\n", "").replacen(
                "      killed:\n",
                "      killed:\n        carol: { code: BUS_MCEERR_AO, at: 4KiB, lsb: 12 }\n",
                1,
            ),
            Verdict::Fail,
            "carol was not signalled as expected",
        ),
        (
            "bobs-address-off-by-a-page",
            turned(
                "bob:   { code: BUS_MCEERR_AO, at: 4KiB",
                "bob:   { code: BUS_MCEERR_AO, at: 8KiB",
            ),
            Verdict::Fail,
            "bob was not signalled as expected",
        ),
        (
            "not-dax",
            turned("template: xfs\n", "template: { xfs: { mount: dax=never } }\n"),
            Verdict::Untestable,
            "is not DAX",
        ),
        // What the first injection brought does not count after a second one.
        (
            "a-second-injection",
            turned(
                INJECTION,
                &format!("{INJECTION}{}", INJECTION.replace("4KiB", "8KiB")),
            ),
            Verdict::Fail,
            "alice was not signalled as expected",
        ),
        (
            "another-return-value",
            turned(
                "notify_failure: { returned: 0 }",
                "notify_failure: { returned: EUCLEAN }",
            ),
            Verdict::Fail,
            "xfs_dax_notify_failure answered otherwise",
        ),
        // The guest answers and she does not: that is the kernel's doing, and no failure of ours.
        (
            "held-by-the-kernel",
            HELD.to_owned(),
            Verdict::Fail,
            "the kernel did not come back from: expect that alice",
        ),
    ];
    let out = tempfile::tempdir().unwrap();
    let cases = controls
        .iter()
        .map(|(name, text, ..)| parsed(&format!("control/{name}"), text))
        .collect();
    let results = listened(request(cases, Isolation::Clone, out.path())).results;
    assert_eq!(results.len(), controls.len());
    for (name, _, verdict, words) in controls {
        // They come in the order in which they were begun.
        let id = format!("control/{name}");
        let result = results.iter().find(|result| result.case == id).unwrap();
        assert_eq!(
            result.verdict, verdict,
            "{name}: {} {:#?}",
            result.reason, result.findings
        );
        assert!(result.reason.contains(words), "{name}: {}", result.reason);
    }
}
