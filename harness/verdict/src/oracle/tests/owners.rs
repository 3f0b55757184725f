// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is lost with a block, by its owner and the state of the filesystem.

use super::world::{A, B, HERE, early, file, file_that, fork_of, page, special, world};
use super::{ALL, RECOVERED, Row, SHUT_DOWN, row};
use crate::oracle::facts::{Entry, InodeKind, MountState, Region};
use guest_agent::call::SpaceOwner;

fn classes() -> Vec<Row> {
    let nobody = |owner| world([owner]).victims([early("alice", [])]);
    vec![
        row(
            "superblock, AGF, AGI, AGFL",
            nobody(special(SpaceOwner::AgHeader)),
            ALL,
            "alice: -",
            SHUT_DOWN,
        ),
        row(
            "free-space and rmap btrees, AGFL blocks",
            nobody(special(SpaceOwner::AgBtree)),
            ALL,
            "alice: -",
            SHUT_DOWN,
        ),
        row(
            "inode btree",
            nobody(special(SpaceOwner::InodeBtree)),
            ALL,
            "alice: -",
            SHUT_DOWN,
        ),
        row(
            "refcount btree",
            nobody(special(SpaceOwner::RefcountBtree)),
            ALL,
            "alice: -",
            SHUT_DOWN,
        ),
        row(
            "inode chunk",
            nobody(special(SpaceOwner::InodeChunk)),
            ALL,
            "alice: -",
            SHUT_DOWN,
        ),
        row(
            "internal log",
            nobody(special(SpaceOwner::Log)),
            ALL,
            "alice: -",
            SHUT_DOWN,
        ),
        row(
            "bmbt block",
            nobody(fork_of(A, |record| record.extent_map = true)),
            ALL,
            "alice: -",
            SHUT_DOWN,
        ),
        row(
            "xattr block",
            nobody(fork_of(A, |record| record.attribute_fork = true)),
            ALL,
            "alice: -",
            SHUT_DOWN,
        ),
        row(
            "xattr block of an inode not in core",
            world([{
                let mut owner = file_that(A, |inode| inode.in_core = Some(false));
                owner.record.attribute_fork = true;
                owner
            }]),
            ALL,
            "",
            SHUT_DOWN,
        ),
        row(
            "CoW staging",
            nobody(special(SpaceOwner::CowStaging)),
            ALL,
            "alice: -",
            RECOVERED,
        ),
        row(
            "directory block",
            nobody(file_that(A, |inode| inode.kind = Some(InodeKind::Directory))),
            ALL,
            "alice: -",
            SHUT_DOWN,
        ),
        row(
            "directory block, not in core",
            world([file_that(A, |inode| {
                inode.kind = Some(InodeKind::Directory);
                inode.in_core = Some(false);
            })]),
            ALL,
            "",
            SHUT_DOWN,
        ),
        row(
            "remote symlink",
            nobody(file_that(A, |inode| inode.kind = Some(InodeKind::Symlink))),
            ALL,
            "alice: -",
            SHUT_DOWN,
        ),
        row(
            "quota, realtime bitmap",
            nobody(file_that(A, |inode| inode.kind = Some(InodeKind::Internal))),
            ALL,
            "alice: -",
            SHUT_DOWN,
        ),
        row("file data, unshared", world([file(A)]), ALL, "", RECOVERED),
        row(
            "free space",
            nobody(special(SpaceOwner::Free)),
            ALL,
            "alice: -",
            RECOVERED,
        ),
        row("nobody owns it", world([]), ALL, "", RECOVERED),
        row(
            "unwritten blocks",
            world([fork_of(A, |record| record.unwritten = true)]),
            ALL,
            "",
            RECOVERED,
        ),
        row(
            "an inode of unknown kind, mapped by nobody",
            world([file_that(A, |inode| inode.kind = None)]),
            ALL,
            "",
            "injector ?, notify ?, ?, badblocks same, event ?, corrupted ?",
        ),
        row(
            "an owner without a name",
            world([special(SpaceOwner::Other(2))]),
            ALL,
            "",
            "injector ?, notify ?, ?, badblocks same, event ?, corrupted ?",
        ),
        row(
            "metadata do not save the other owners",
            world([special(SpaceOwner::AgBtree), file(A), file(B)])
                .victims([early("alice", [page(A, HERE)]), early("bob", [page(B, HERE)])]),
            ALL,
            "alice: AO, bob: AO, gone: alice bob",
            SHUT_DOWN,
        ),
        row(
            "doubt about one owner is none about metadata",
            world([
                file_that(A, |inode| inode.kind = None),
                special(SpaceOwner::AgBtree),
            ]),
            ALL,
            "",
            SHUT_DOWN,
        ),
    ]
}

fn cores() -> Vec<Row> {
    vec![
        row(
            "not in core",
            world([file_that(A, |inode| inode.in_core = Some(false))]),
            ALL,
            "",
            RECOVERED,
        ),
        row(
            "in core, never mapped",
            world([file(A)]).victims([early("carol", [])]),
            ALL,
            "carol: -",
            RECOVERED,
        ),
        row(
            "a file that is not DAX",
            world([file_that(A, |inode| inode.dax = Some(false))])
                .victims([early("alice", [page(A, Entry::Elsewhere)])]),
            ALL,
            "alice: -",
            RECOVERED,
        ),
        row(
            "read-only",
            world([file(A)])
                .mounted(|mounted| mounted.state = MountState::ReadOnly)
                .victims([early("alice", [page(A, HERE)])]),
            ALL,
            "alice: AO, gone: alice",
            RECOVERED,
        ),
        row(
            "read-only, metadata",
            world([special(SpaceOwner::AgHeader)]).mounted(|mounted| mounted.state = MountState::ReadOnly),
            ALL,
            "",
            SHUT_DOWN,
        ),
        row(
            "frozen",
            world([file(A)])
                .mounted(|mounted| mounted.state = MountState::Frozen)
                .victims([early("alice", [page(A, HERE)])]),
            ALL,
            "alice: AO, gone: alice",
            RECOVERED,
        ),
        row(
            "frozen, metadata",
            world([special(SpaceOwner::AgHeader)]).mounted(|mounted| mounted.state = MountState::Frozen),
            ALL,
            "",
            SHUT_DOWN,
        ),
        row(
            "shut down before",
            world([])
                .with(|facts| facts.owners = None)
                .mounted(|mounted| mounted.state = MountState::ShutDown)
                .victims([early("alice", [page(A, HERE)])]),
            ALL,
            "alice: -",
            "injector EIO, notify -EIO, shut down, badblocks same, event Failed, corrupted 4096",
        ),
        row(
            "shut down before, external log",
            world([])
                .with(|facts| facts.owners = None)
                .region(Region::Log)
                .mounted(|mounted| mounted.state = MountState::ShutDown),
            ALL,
            "",
            "injector EUCLEAN, notify -EUCLEAN, shut down, badblocks same, event Failed, corrupted 4096",
        ),
        row(
            "mounted, owners not known",
            world([])
                .with(|facts| facts.owners = None)
                .victims([early("alice", [])]),
            ALL,
            "alice: ?",
            "injector ?, notify ?, ?, badblocks same, event ?, corrupted ?",
        ),
    ]
}

pub(super) fn rows() -> Vec<Row> {
    [classes(), cores()].into_iter().flatten().collect()
}
