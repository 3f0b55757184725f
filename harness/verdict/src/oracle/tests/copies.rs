// SPDX-License-Identifier: MIT OR Apache-2.0
//! Private copies, which are ordinary memory: who has one is told, and nobody keeps an entry for it.

use super::world::{
    A, HERE, World, blocking, consumed_by, default, early, late, madvise, main_of, page, with_sigbus, world,
};
use super::{ALL, NEW, OLD, Row, row};
use crate::oracle::facts::{Disposition, Entry, MappedPage, Ram, Region};
use testcases::MadviseError::SoftOffline;
use testcases::Mechanism::{MachineCheck, Madvise, Sysfs};
use testcases::Severity::ActionOptional;
use testcases::SysfsFile::HardOfflinePage;

/// What comes after the victims, whoever they are.
const LOST: &str = "injector ok, notify never, up, badblocks ?, event Recovered, corrupted 4096";
/// The same for a machine check.
const LOST_MCE: &str = "injector -, notify never, up, badblocks ?, event Recovered, corrupted 4096";
/// What is not this oracle's.
const UNKNOWN: &str = "injector ?, notify never, up, badblocks ?, event ?, corrupted ?";

fn copy_of(ram: Option<Ram>) -> World {
    world([]).region(Region::OrdinaryMemory).with(|facts| {
        facts.ram = ram;
        facts.badblocks = None;
    })
}

fn copy() -> World {
    copy_of(Some(Ram::PrivateCopy))
}

fn mine() -> [MappedPage; 1] {
    [MappedPage {
        private: true,
        ..page(A, HERE)
    }]
}

fn another() -> [MappedPage; 1] {
    [MappedPage {
        private: true,
        ..page(A, Entry::Elsewhere)
    }]
}

pub(super) fn rows() -> Vec<Row> {
    by_madvise().into_iter().chain(by_others()).collect()
}

fn by_madvise() -> Vec<Row> {
    let by_alice = || copy().by(madvise("alice"));
    vec![
        row(
            "madvise on a copy of one's own",
            by_alice().victims([default("alice", mine())]),
            NEW,
            "alice: AR, gone: alice",
            LOST,
        ),
        row(
            "madvise that requires no action, on a copy of one's own",
            by_alice().victims([default("alice", mine())]),
            OLD,
            "alice: -, gone: alice",
            LOST,
        ),
        row(
            "madvise that requires no action, by who wants to be told early",
            by_alice().victims([early("alice", mine())]),
            OLD,
            "alice: AO, gone: alice",
            LOST,
        ),
        row(
            "madvise on a copy, with vm.memory_failure_early_kill",
            by_alice().victims([default("alice", mine())]).early_kill(),
            OLD,
            "alice: AO, gone: alice",
            LOST,
        ),
        row(
            "madvise on a copy by who wants to be told late",
            by_alice().victims([late("alice", mine())]),
            NEW,
            "alice: AR, gone: alice",
            LOST,
        ),
        row(
            "madvise on a copy that a child shares",
            by_alice().victims([
                default("alice", mine()),
                default("child", mine()),
                early("zoe", mine()),
            ]),
            NEW,
            "alice: AR, child: -, zoe: AO, gone: alice child zoe",
            LOST,
        ),
        row(
            "madvise that requires no action on a copy that a child shares",
            by_alice().victims([default("alice", mine()), early("child", mine())]),
            OLD,
            "alice: -, child: AO, gone: alice child",
            LOST,
        ),
        row(
            "madvise on a copy beside others who want to be told early",
            by_alice().victims([
                default("alice", mine()),
                early("bob", another()),
                early("carol", [page(A, Entry::Absent)]),
                early("dave", []),
            ]),
            NEW,
            "alice: AR, bob: -, carol: -, dave: -, gone: alice",
            LOST,
        ),
        row(
            "madvise on a copy while SIGBUS is blocked",
            by_alice().victims([blocking(default("alice", mine()))]),
            NEW,
            "alice: die of SIGBUS",
            "injector ?, notify never, up, badblocks ?, event Recovered, corrupted 4096",
        ),
        row(
            "madvise that requires no action while SIGBUS is blocked",
            by_alice().victims([blocking(early("alice", mine()))]),
            OLD,
            "alice: keep SIGBUS pending, gone: alice",
            LOST,
        ),
        row(
            "soft offline of a copy",
            by_alice()
                .by((Madvise(SoftOffline), main_of("alice")))
                .victims([default("alice", mine())]),
            ALL,
            "alice: ?",
            UNKNOWN,
        ),
        row(
            "madvise on the page cache, or the zero page",
            copy_of(Some(Ram::Other))
                .by(madvise("alice"))
                .victims([default("alice", mine())]),
            ALL,
            "alice: ?",
            UNKNOWN,
        ),
    ]
}

fn by_others() -> Vec<Row> {
    vec![
        row(
            "corrupt-pfn on a copy",
            copy().victims([early("alice", mine()), late("bob", mine())]),
            ALL,
            "alice: AO, bob: -, gone: alice bob",
            LOST,
        ),
        row(
            "hard_offline_page on a copy, and SIGBUS is ignored",
            copy()
                .by(Sysfs(HardOfflinePage))
                .victims([with_sigbus(early("alice", mine()), Disposition::Ignored)]),
            ALL,
            "alice: -, gone: alice",
            LOST,
        ),
        row(
            "corrupt-pfn with its filter on a copy",
            copy()
                .victims([early("alice", mine())])
                .with(|facts| facts.settings.corrupt_filter = true),
            ALL,
            "alice: ?",
            UNKNOWN,
        ),
        row(
            "a copy that nobody consumes",
            copy()
                .by(MachineCheck(ActionOptional))
                .victims([early("alice", mine()), default("bob", mine())]),
            ALL,
            "alice: AO, bob: -, gone: alice bob",
            LOST_MCE,
        ),
        row(
            "a copy that is consumed",
            copy()
                .by(consumed_by("alice"))
                .victims([default("alice", mine()), early("bob", mine())]),
            ALL,
            "alice: AR, bob: AO, gone: alice bob",
            LOST_MCE,
        ),
    ]
}
