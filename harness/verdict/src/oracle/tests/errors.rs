// SPDX-License-Identifier: MIT OR Apache-2.0
//! What injectors get, and what each mechanism leaves behind.

use super::world::{
    A, B, HERE, World, already_bad, consumed_by, default, early, file, fork_of, late, madvise, main_of, page,
    special, world,
};
use super::{ALL, RECOVERED, RECOVERED_MCE, Row, SHUT_DOWN, row};
use crate::oracle::facts::{Entry, MountState, Region};
use guest_agent::call::SpaceOwner;
use testcases::DebugfsFile::{CorruptPfn, UnpoisonPfn};
use testcases::MadviseError::SoftOffline;
use testcases::MceInject::{CacheLine, Corrected, Software};
use testcases::Mechanism::{Debugfs, MachineCheck, Madvise, MceInject, Sysfs};
use testcases::Severity::ActionOptional;
use testcases::SysfsFile::{Badblocks, HardOfflinePage, SoftOfflinePage};

const UNTOUCHED: &str = "notify never, up, badblocks same, event none, corrupted 0";

fn but(injector: &str) -> String {
    format!("injector {injector}, {UNTOUCHED}")
}

fn mechanisms() -> Vec<Row> {
    let mapped = || world([file(A)]).victims([early("alice", [page(A, HERE)])]);
    let soft = || (Madvise(SoftOffline), main_of("alice"));
    vec![
        row(
            "hard_offline_page",
            mapped().by(Sysfs(HardOfflinePage)),
            ALL,
            "alice: AO, gone: alice",
            RECOVERED,
        ),
        row(
            "hard_offline_page, metadata",
            world([special(SpaceOwner::AgHeader)]).by(Sysfs(HardOfflinePage)),
            ALL,
            "",
            SHUT_DOWN,
        ),
        row(
            "machine check, metadata",
            world([special(SpaceOwner::AgHeader)]).by(MachineCheck(ActionOptional)),
            ALL,
            "",
            "injector -, notify -EUCLEAN, shut down (corrupt-ondisk), badblocks more, event Failed, corrupted 4096",
        ),
        row(
            "madvise soft offline",
            mapped().by(soft()),
            ALL,
            "alice: -",
            but("EIO"),
        ),
        row(
            "soft_offline_page",
            mapped().by(Sysfs(SoftOfflinePage)),
            ALL,
            "alice: -",
            but("EIO"),
        ),
        row(
            "unpoison-pfn",
            mapped().by(Debugfs(UnpoisonPfn)),
            ALL,
            "alice: -",
            but("EIO"),
        ),
        row(
            "corrupt-pfn with the filter on",
            mapped().with(|facts| facts.settings.corrupt_filter = true),
            ALL,
            "alice: -",
            but("ok"),
        ),
        row(
            "hard_offline_page with the filter on",
            mapped()
                .by(Sysfs(HardOfflinePage))
                .with(|facts| facts.settings.corrupt_filter = true),
            ALL,
            "alice: AO, gone: alice",
            RECOVERED,
        ),
        row(
            "badblocks: nobody is told",
            mapped().by(Sysfs(Badblocks)),
            ALL,
            "alice: -",
            "injector ok, notify never, up, badblocks more, event none, corrupted 0",
        ),
        row(
            "mce-inject: badblocks only",
            mapped().by(MceInject(Software)),
            ALL,
            "alice: -",
            "injector ok, notify never, up, badblocks more, event none, corrupted 0",
        ),
        row(
            "mce-inject of a cache line: badblocks only",
            mapped().by(MceInject(CacheLine)),
            ALL,
            "alice: -",
            "injector ok, notify never, up, badblocks more, event none, corrupted 0",
        ),
        row(
            "mce-inject of what is no error of the memory: nothing",
            mapped().by(MceInject(Corrected)),
            ALL,
            "alice: -",
            but("ok"),
        ),
        row(
            "action optional, early",
            mapped().by(MachineCheck(ActionOptional)),
            ALL,
            "alice: AO, gone: alice",
            RECOVERED_MCE,
        ),
        row(
            "the same page again",
            mapped().with(already_bad),
            ALL,
            "alice: AO, gone: alice",
            RECOVERED,
        ),
        row(
            "badblocks could not be read",
            mapped().with(|facts| facts.badblocks = None),
            ALL,
            "alice: AO, gone: alice",
            "injector ok, notify 0, up, badblocks ?, event Recovered, corrupted 4096",
        ),
    ]
}

fn in_a_device_that_is_gone() -> Vec<Row> {
    let taken = |world: World| {
        world.with(|facts| {
            facts.badblocks = None;
            facts.gone = true;
        })
    };
    let gone = |by| taken(world([]).unmounted().by(by));
    let refused = "injector ENXIO, notify never, unmounted, badblocks ?, event none, corrupted 0";
    let unheard = "injector -, notify never, unmounted, badblocks ?, event none, corrupted 0";
    vec![
        row("gone, corrupt-pfn", gone(Debugfs(CorruptPfn)), ALL, "", refused),
        row("gone, unpoison-pfn", gone(Debugfs(UnpoisonPfn)), ALL, "", refused),
        row(
            "gone, soft offline",
            gone(Sysfs(SoftOfflinePage)),
            ALL,
            "",
            refused,
        ),
        row(
            "gone, hard offline",
            gone(Sysfs(HardOfflinePage)),
            ALL,
            "",
            refused,
        ),
        row(
            "gone, action optional",
            gone(MachineCheck(ActionOptional)),
            ALL,
            "",
            unheard,
        ),
        row(
            "gone from below a filesystem, which has shut down",
            taken(world([]).by(MachineCheck(ActionOptional)))
                .mounted(|mounted| mounted.state = MountState::ShutDown),
            ALL,
            "",
            "injector -, notify never, shut down, badblocks ?, event none, corrupted 0",
        ),
    ]
}

fn odd_ones() -> Vec<Row> {
    let absent = || {
        world([file(A)])
            .by(madvise("alice"))
            .victims([default("alice", [page(A, Entry::Absent)])])
    };
    let unknown = "injector ?, notify ?, ?, badblocks ?, event ?, corrupted ?";
    vec![
        row(
            "madvise cannot fault in what is bad",
            absent().with(already_bad),
            ALL,
            "alice: -",
            but("EFAULT"),
        ),
        row(
            "madvise, soft offline cannot either",
            absent()
                .by((Madvise(SoftOffline), main_of("alice")))
                .with(already_bad),
            ALL,
            "alice: -",
            but("EFAULT"),
        ),
        row(
            "madvise cannot fault in after a shutdown",
            absent()
                .mounted(|mounted| mounted.state = MountState::ShutDown)
                .with(|facts| facts.owners = None),
            ALL,
            "alice: -",
            "injector EFAULT, notify never, shut down, badblocks same, event none, corrupted 0",
        ),
        row(
            "madvise on a page that may be bad",
            absent().with(|facts| facts.badblocks = None),
            ALL,
            "alice: ?",
            unknown,
        ),
        row(
            "madvise has what it has, bad or not",
            world([file(A)])
                .by(madvise("alice"))
                .with(already_bad)
                .victims([default("alice", [page(A, HERE)])]),
            ALL,
            "alice: AR, gone: alice",
            RECOVERED,
        ),
        row(
            "madvise on another page than is said",
            world([file(A)])
                .by(madvise("alice"))
                .victims([default("alice", [page(A, Entry::Elsewhere)])]),
            ALL,
            "alice: ?",
            unknown,
        ),
        row(
            "madvise by a victim that maps no such page",
            world([file(A)])
                .by(madvise("alice"))
                .victims([default("alice", [])]),
            ALL,
            "alice: ?",
            unknown,
        ),
        row(
            "madvise where a private copy was hit before",
            world([file(A)])
                .by(madvise("alice"))
                .victims([default("alice", [page(A, Entry::Poisoned)])]),
            ALL,
            "alice: -",
            but("EFAULT"),
        ),
        row(
            "soft offline where a private copy was hit before",
            world([file(A)])
                .by((Madvise(SoftOffline), main_of("alice")))
                .victims([default("alice", [page(A, Entry::Poisoned)])]),
            ALL,
            "alice: -",
            but("EFAULT"),
        ),
        row(
            "a consumer whose private copy was hit before",
            world([file(A)])
                .by(consumed_by("alice"))
                .victims([default("alice", [page(A, Entry::Poisoned)])]),
            ALL,
            "alice: ?",
            unknown,
        ),
        row(
            "madvise meets the zero page where nothing is written",
            world([fork_of(A, |record| record.unwritten = true), file(B)])
                .by(madvise("alice"))
                .victims([default("alice", [page(A, Entry::Absent)])]),
            ALL,
            "alice: ?",
            "injector ?, notify never, up, badblocks same, event ?, corrupted ?",
        ),
        row(
            "the zero page of an unwritten block that is bad",
            world([fork_of(A, |record| record.unwritten = true)])
                .by((Madvise(SoftOffline), main_of("alice")))
                .with(already_bad)
                .victims([default("alice", [page(A, Entry::Absent)])]),
            ALL,
            "alice: ?",
            "injector ?, notify never, up, badblocks same, event ?, corrupted ?",
        ),
        row(
            "a consumer that has not got the page",
            world([file(A)])
                .by(consumed_by("alice"))
                .victims([default("alice", [page(A, Entry::Absent)])]),
            ALL,
            "alice: ?",
            unknown,
        ),
        row(
            "madvise on a private copy of which nobody says who has it",
            world([])
                .by(madvise("alice"))
                .region(Region::OrdinaryMemory)
                .with(|facts| facts.badblocks = None)
                .victims([default("alice", [page(A, Entry::Elsewhere)]), late("bob", [])]),
            ALL,
            "alice: ?, bob: ?",
            "injector ?, notify never, up, badblocks ?, event ?, corrupted ?",
        ),
        row(
            "soft offline of ordinary memory",
            world([])
                .by(Sysfs(SoftOfflinePage))
                .region(Region::OrdinaryMemory)
                .with(|facts| facts.settings.recovery = false),
            ALL,
            "",
            "injector ?, notify never, up, badblocks same, event ?, corrupted ?",
        ),
    ]
}

pub(super) fn rows() -> Vec<Row> {
    let panics = |name, by| Row {
        want: "panic".to_owned(),
        ..row(
            name,
            world([file(A)])
                .by(by)
                .with(|facts| facts.settings.recovery = false),
            ALL,
            "",
            "",
        )
    };
    let no_recovery = vec![
        panics("recovery=0, corrupt-pfn", Debugfs(CorruptPfn)),
        panics("recovery=0, action optional", MachineCheck(ActionOptional)),
        row(
            "recovery=0, soft offline does not come that far",
            world([file(A)])
                .by(Sysfs(SoftOfflinePage))
                .with(|facts| facts.settings.recovery = false),
            ALL,
            "",
            but("EIO"),
        ),
        row(
            "recovery=0, mce-inject does not either",
            world([file(A)])
                .by(MceInject(Software))
                .with(|facts| facts.settings.recovery = false),
            ALL,
            "",
            "injector ok, notify never, up, badblocks more, event none, corrupted 0",
        ),
        row(
            "recovery=0, corrupt-pfn behind its filter does not either",
            world([file(A)])
                .with(|facts| {
                    facts.settings.recovery = false;
                    facts.settings.corrupt_filter = true;
                })
                .region(Region::Data(super::world::PLACE)),
            ALL,
            "",
            but("ok"),
        ),
    ];
    [mechanisms(), in_a_device_that_is_gone(), odd_ones(), no_recovery]
        .into_iter()
        .flatten()
        .collect()
}
