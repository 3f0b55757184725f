// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who answers: the filesystem, nobody, or mm alone; by device.

use super::world::{
    A, B, C, HERE, consumed_by, default, early, faulted, file, file_that, late, madvise, page, special, world,
};
use super::{ALL, NEW, OLD, RECOVERED, Row, SHUT_DOWN, V6_1, V6_12, V6_18, V7_2, row};
use crate::oracle::facts::{Disposition, Entry, MountState, OwnerFacts, Region, Stack};
use guest_agent::call::SpaceOwner;
use testcases::Mechanism::{MachineCheck, Sysfs};
use testcases::Severity::ActionOptional;
use testcases::SysfsFile::HardOfflinePage;

const BUSY_UNASKED: &str = "injector EBUSY, notify never, up, badblocks same, event Failed, corrupted 4096";
const BUSY: &str = "injector EBUSY, notify -EOPNOTSUPP, up, badblocks same, event Failed, corrupted 4096";
const KILLED_UNASKED: &str = "injector ok, notify never, up, badblocks same, event Recovered, corrupted 4096";
const ENXIO: &str = "injector ENXIO, notify -ENXIO, up, badblocks same, event Failed, corrupted 4096";

fn fallbacks() -> Vec<Row> {
    let alice_a = || early("alice", [page(A, HERE)]);
    vec![
        row(
            "not mounted",
            world([]).unmounted().victims([early("alice", [])]),
            ALL,
            "alice: -",
            "injector EBUSY, notify never, unmounted, badblocks same, event Failed, corrupted 4096",
        ),
        row(
            "not mounted, by machine check",
            world([]).unmounted().by(MachineCheck(ActionOptional)),
            ALL,
            "",
            "injector -, notify never, unmounted, badblocks more, event Failed, corrupted 4096",
        ),
        row(
            "rmapbt=0, not faulted",
            world([faulted(A, false)]).without_rmapbt(),
            ALL,
            "",
            BUSY,
        ),
        row(
            "rmapbt=0, superblock",
            world([special(SpaceOwner::AgHeader)]).without_rmapbt(),
            ALL,
            "",
            BUSY,
        ),
        row(
            "rmapbt=0, nothing known there",
            world([]).without_rmapbt(),
            ALL,
            "",
            BUSY,
        ),
        row(
            "rmapbt=0, not known whether it was ever faulted in",
            world([file(A)])
                .without_rmapbt()
                .victims([early("alice", [page(A, Entry::Absent)])]),
            ALL,
            "alice: -",
            "injector ?, notify -EOPNOTSUPP, up, badblocks same, event ?, corrupted ?",
        ),
        row(
            "rmapbt=0, a file that is not DAX",
            world([file_that(A, |inode| inode.dax = Some(false))])
                .without_rmapbt()
                .victims([early("alice", [page(A, Entry::Elsewhere)])]),
            ALL,
            "alice: -",
            BUSY,
        ),
        row(
            "rmapbt=0, shared, two mappings",
            world([file(A), file(B)])
                .without_rmapbt()
                .victims([alice_a(), early("bob", [page(B, HERE)])]),
            NEW,
            "alice: -, bob: -",
            BUSY,
        ),
        row(
            "rmapbt=0, shared, 6.1 finds one of the two",
            world([file(A), file(B)]).without_rmapbt().victims([
                alice_a(),
                early("bob", [page(B, HERE)]),
                early("carol", []),
            ]),
            OLD,
            "alice: ?, bob: ?, carol: -",
            "injector ok, notify -EOPNOTSUPP, up, badblocks same, event Recovered, corrupted 4096",
        ),
        row(
            "madvise, rmapbt=0, shared: EBUSY, never EOPNOTSUPP",
            world([file(A), faulted(B, true)])
                .without_rmapbt()
                .by(madvise("alice"))
                .victims([default("alice", [page(A, HERE)])]),
            NEW,
            "alice: -",
            BUSY,
        ),
        row(
            "rmapbt=0 and the filter on: its other files decide",
            world([file(A)])
                .without_rmapbt()
                .by(Sysfs(HardOfflinePage))
                .with(|facts| facts.settings.corrupt_filter = true)
                .victims([alice_a(), early("carol", [])]),
            ALL,
            "alice: ?, carol: -",
            "injector ?, notify -EOPNOTSUPP, up, badblocks same, event ?, corrupted ?",
        ),
        row(
            "rmapbt=0, shut down before: FIEMAP tells nothing",
            world([])
                .without_rmapbt()
                .with(|facts| facts.owners = None)
                .mounted(|mounted| mounted.state = MountState::ShutDown)
                .victims([alice_a()]),
            NEW,
            "alice: ?",
            "injector ?, notify -EOPNOTSUPP, shut down, badblocks same, event ?, corrupted ?",
        ),
        row(
            "dm-linear, private",
            world([file(A)])
                .mounted(|mounted| mounted.stack = Stack::DeviceMapper)
                .victims([alice_a()]),
            ALL,
            "alice: AO, gone: alice",
            KILLED_UNASKED,
        ),
        row(
            "dm-linear, superblock",
            world([special(SpaceOwner::AgHeader)]).mounted(|mounted| mounted.stack = Stack::DeviceMapper),
            ALL,
            "",
            BUSY_UNASKED,
        ),
        row(
            "dm-linear, shared",
            world([file(A), file(B)])
                .mounted(|mounted| mounted.stack = Stack::DeviceMapper)
                .victims([alice_a(), early("bob", [page(B, HERE)])]),
            NEW,
            "alice: -, bob: -",
            BUSY_UNASKED,
        ),
        row(
            "action required, nobody can be found: a signal without an address",
            world([file(A), file(B)])
                .without_rmapbt()
                .by(consumed_by("alice"))
                .victims([default("alice", [page(A, HERE)]), early("bob", [page(B, HERE)])]),
            NEW,
            "alice: SI_KERNEL without an address, bob: -, gone? alice",
            "injector -, notify -EOPNOTSUPP, up, badblocks more, event Failed, corrupted 4096",
        ),
        row(
            "action required on a filesystem that is shut down",
            world([])
                .with(|facts| facts.owners = None)
                .by(consumed_by("alice"))
                .mounted(|mounted| mounted.state = MountState::ShutDown)
                .victims([crate::oracle::facts::VictimFacts {
                    sigbus: Disposition::Default,
                    ..default("alice", [page(A, HERE)])
                }]),
            ALL,
            "alice: die of SIGBUS",
            "injector -, notify -EIO, shut down, badblocks more, event Failed, corrupted 4096",
        ),
    ]
}

fn devices() -> Vec<Row> {
    let on = |region| world([]).region(region);
    let partition = |region| on(region).mounted(|mounted| mounted.stack = Stack::Partition);
    vec![
        row("external log, inside", on(Region::Log), ALL, "", SHUT_DOWN),
        row(
            "external log, beyond its end (6.1 shuts down)",
            on(Region::BeyondLog),
            ALL,
            "",
            ENXIO,
        ),
        row(
            "external log, rmapbt=0",
            on(Region::Log).without_rmapbt(),
            ALL,
            "",
            SHUT_DOWN,
        ),
        row(
            "gap before a partition",
            partition(Region::OutsidePartition),
            ALL,
            "",
            ENXIO,
        ),
        row(
            "gap before a partition, rmapbt=0: looked at before the range",
            partition(Region::OutsidePartition).without_rmapbt(),
            &[V6_1, V6_12, V6_18],
            "",
            BUSY,
        ),
        row(
            "gap before a partition, rmapbt=0: the range comes first",
            partition(Region::OutsidePartition).without_rmapbt(),
            &[V7_2],
            "",
            ENXIO,
        ),
        row(
            "partition, in a file",
            world([file(A)])
                .mounted(|mounted| mounted.stack = Stack::Partition)
                .victims([early("alice", [page(A, HERE)])]),
            ALL,
            "alice: AO, gone: alice",
            RECOVERED,
        ),
        row(
            "realtime, reverse mappings, before realtime groups",
            world([faulted(A, false)])
                .region(Region::Realtime(super::world::PLACE))
                .mounted(|mounted| mounted.realtime_rmapbt = true),
            &[V6_1, V6_12],
            "",
            BUSY,
        ),
        row(
            "realtime groups with reverse mappings",
            world([file(A)])
                .region(Region::Realtime(super::world::PLACE))
                .mounted(|mounted| mounted.realtime_rmapbt = true)
                .victims([early("alice", [page(A, HERE)])]),
            &[V6_18, V7_2],
            "alice: AO, gone: alice",
            RECOVERED,
        ),
        row(
            "last page of the device, free",
            world([special(SpaceOwner::Free)]),
            ALL,
            "",
            RECOVERED,
        ),
        row(
            "beyond the filesystem's last block",
            on(Region::BeyondFilesystem),
            ALL,
            "",
            ENXIO,
        ),
        row(
            "beyond the filesystem's last block, rmapbt=0",
            on(Region::BeyondFilesystem).without_rmapbt(),
            &[V6_1, V6_12, V6_18],
            "",
            BUSY,
        ),
        row(
            "beyond the filesystem's last block, rmapbt=0: the range comes first",
            on(Region::BeyondFilesystem).without_rmapbt(),
            &[V7_2],
            "",
            ENXIO,
        ),
        row(
            "the namespace's own pages",
            on(Region::Reserved),
            ALL,
            "",
            "injector ENXIO, notify never, up, badblocks same, event Failed, corrupted 4096",
        ),
        row(
            "ordinary memory",
            on(Region::OrdinaryMemory)
                .with(|facts| facts.badblocks = None)
                .victims([early("alice", [])]),
            ALL,
            "alice: ?",
            "injector ?, notify never, up, badblocks ?, event ?, corrupted ?",
        ),
    ]
}

/// Below device-mapper, where pages alone tell who has a block of several files.
fn shared_alone() -> Vec<Row> {
    let mapper = |owners: &[OwnerFacts]| {
        world(owners.iter().cloned()).mounted(|mounted| mounted.stack = Stack::DeviceMapper)
    };
    let one_of_two = || {
        mapper(&[faulted(A, false), file(B)]).victims([
            early("alice", [page(B, HERE)]),
            late("bob", [page(B, HERE)]),
            early("carol", [page(B, Entry::Absent)]),
        ])
    };
    let absent_in_b = |other| {
        mapper(&[other, file(B)])
            .by(madvise("alice"))
            .victims([default("alice", [page(B, Entry::Absent)])])
    };
    let unknown = "injector ?, notify never, up, badblocks same, event ?, corrupted ?";
    vec![
        row(
            "shared, faulted in through one file: that one's page, to mm",
            one_of_two(),
            &[V6_1, V6_18, V7_2],
            "alice: AO, bob: -, carol: -, gone: alice bob",
            KILLED_UNASKED,
        ),
        row(
            "shared, faulted in through one file, before that or since",
            one_of_two(),
            &[V6_12],
            "alice: ?, bob: ?, carol: -",
            unknown,
        ),
        row(
            "shared, in one file now, once perhaps in the other",
            mapper(&[file(A), file(B)]).victims([early("alice", [page(B, HERE)])]),
            NEW,
            "alice: ?",
            unknown,
        ),
        row(
            "shared by three, faulted in through two",
            mapper(&[faulted(A, false), file(B), file(C)])
                .victims([early("alice", [page(B, HERE)]), early("bob", [page(C, HERE)])]),
            NEW,
            "alice: -, bob: -",
            BUSY_UNASKED,
        ),
        row(
            "shared by three, faulted in through none",
            mapper(&[faulted(A, false), faulted(B, false), faulted(C, false)]),
            ALL,
            "",
            BUSY_UNASKED,
        ),
        row(
            "shared, the injector's fault is the first",
            absent_in_b(faulted(A, false)),
            &[V6_1, V6_18, V7_2],
            "alice: AR at 4KiB",
            KILLED_UNASKED,
        ),
        row(
            "shared, the injector's fault is the first, and says that the block is shared",
            absent_in_b(faulted(A, false)),
            &[V6_12],
            "alice: -",
            BUSY_UNASKED,
        ),
        row(
            "shared, the injector's fault is the second: 6.1 forgets the first or keeps it",
            absent_in_b(faulted(A, true)),
            OLD,
            "alice: ?",
            KILLED_UNASKED,
        ),
        row(
            "shared, the injector's fault is the second",
            absent_in_b(faulted(A, true)),
            NEW,
            "alice: -",
            BUSY_UNASKED,
        ),
    ]
}

pub(super) fn rows() -> Vec<Row> {
    [fallbacks(), shared_alone(), devices()]
        .into_iter()
        .flatten()
        .collect()
}
