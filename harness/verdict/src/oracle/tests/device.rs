// SPDX-License-Identifier: MIT OR Apache-2.0
//! Character devices: nobody but mm, and addresses that begin where a page of the device does.

use super::world::{A, HERE, HERE_2M, World, already_bad, default, device, early, late, main_of, page};
use super::{ALL, Row, row};
use crate::oracle::facts::{Entry, MappedPage, ThreadOf};
use testcases::MadviseError::Hwpoison;
use testcases::Mechanism::{MachineCheck, Madvise};
use testcases::PageSize;
use testcases::Severity::{ActionOptional, ActionRequired};

const RECOVERED: &str =
    "injector ok, notify never, unmounted, badblocks same, event Recovered, corrupted 4096";
const RECOVERED_MCE: &str =
    "injector -, notify never, unmounted, badblocks more, event Recovered, corrupted 4096";
const BUSY: &str = "injector EBUSY, notify never, unmounted, badblocks same, event Failed, corrupted 4096";

/// A mapping whose second 2 MiB hold the page.
fn second(entry: Entry) -> MappedPage {
    MappedPage {
        at: 0x30_1000,
        address: 0x7f00_0030_1000,
        ..page(A, entry)
    }
}

/// A victim that runs into the error at its [`second`].
fn at_second(victim: &str) -> ThreadOf {
    ThreadOf {
        at: second(HERE).at,
        ..main_of(victim)
    }
}

/// A device with pages of 2 MiB, one of which was faulted in by somebody.
fn mapped() -> World {
    device(PageSize::Huge, Some(true))
}

pub(super) fn rows() -> Vec<Row> {
    let everybody = || {
        mapped().victims([
            default("alice", [second(HERE_2M)]),
            early("bob", [second(HERE_2M)]),
            late("carol", [second(HERE_2M)]),
            early("dave", []),
        ])
    };
    vec![
        row(
            "character device: the policy decides, and all entries go",
            everybody(),
            ALL,
            "alice: -, bob: AO at 2MiB, lsb 21, carol: -, dave: -, gone: alice bob carol",
            RECOVERED,
        ),
        row(
            "character device: nobody wants to know early",
            mapped().victims([default("alice", [second(HERE_2M)])]),
            ALL,
            "alice: -",
            RECOVERED,
        ),
        row(
            "character device: a machine check is recorded",
            everybody().by(MachineCheck(ActionOptional)),
            ALL,
            "alice: -, bob: AO at 2MiB, lsb 21, carol: -, dave: -, gone: alice bob carol",
            RECOVERED_MCE,
        ),
        row(
            "character device: consumed",
            everybody().by((MachineCheck(ActionRequired), at_second("carol"))),
            ALL,
            "alice: -, bob: AO at 2MiB, lsb 21, carol: AR at 2MiB, lsb 21, dave: -, gone: alice bob, gone? carol",
            RECOVERED_MCE,
        ),
        row(
            "character device: madvise",
            everybody().by((Madvise(Hwpoison), at_second("alice"))),
            ALL,
            "alice: AR at 2MiB, lsb 21, bob: AO at 2MiB, lsb 21, carol: -, dave: -, gone: alice bob carol",
            RECOVERED,
        ),
        row(
            "character device: madvise faults in what is bad, too",
            device(PageSize::Huge, None)
                .by((Madvise(Hwpoison), at_second("alice")))
                .with(already_bad)
                .victims([default("alice", [second(Entry::Absent)])]),
            ALL,
            "alice: AR at 2MiB, lsb 21",
            RECOVERED,
        ),
        row(
            "character device: pages of 4 KiB",
            device(PageSize::Base, Some(true)).victims([early("alice", [page(A, HERE)])]),
            ALL,
            "alice: AO, gone: alice",
            RECOVERED,
        ),
        row(
            "character device: nobody ever touched it",
            device(PageSize::Huge, Some(false)).victims([early("alice", [])]),
            ALL,
            "alice: -",
            BUSY,
        ),
        row(
            "character device: touched once, and nobody has it any more",
            mapped().victims([early("alice", [second(Entry::Absent)])]),
            ALL,
            "alice: -",
            RECOVERED,
        ),
        row(
            "character device: perhaps touched once",
            device(PageSize::Huge, None).victims([early("alice", [second(Entry::Absent)])]),
            ALL,
            "alice: -",
            "injector ?, notify never, unmounted, badblocks same, event ?, corrupted ?",
        ),
    ]
}
