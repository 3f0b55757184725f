// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who owns what.

use super::{Guest, done};
use guest_agent::MOUNT_POINT;
use guest_agent::address::FileOffset;
use guest_agent::call::{FileChange, Fill, Space, SpaceMap, SpaceOwner, SpaceRecord};
use harness::nvdimm::path_of;

async fn map(guest: &Guest<'_>) -> Space {
    let at = MOUNT_POINT.to_owned();
    done(guest.ask(SpaceMap { at }).await)
}

/// Every kind of owner shows, in a map of more records than one call of the kernel's brings.
pub(crate) async fn has_an_owner_everywhere(guest: &Guest<'_>) {
    let fragment = FileChange::Fragment {
        path: path_of("many"),
        extents: 400,
        fill: Fill::Counting,
    };
    assert_eq!(guest.change(fragment).await, 0);
    guest.make("x", 4096, Fill::Byte(1)).await;
    let xattr = FileChange::SetXattr {
        path: path_of("x"),
        name: "user.note".to_owned(),
        size: 9000,
        fill: 7,
    };
    assert_eq!(guest.change(xattr).await, 0);
    let symlink = FileChange::Symlink {
        path: path_of("far"),
        target: "t".repeat(1000),
    };
    assert_eq!(guest.change(symlink).await, 0);
    let folder = path_of("d");
    assert_eq!(guest.change(FileChange::MakeDirectory { path: folder }).await, 0);
    for number in 0..100 {
        let path = path_of(&format!("d/{number}-{}", "n".repeat(50)));
        assert_eq!(guest.change(FileChange::Create { path }).await, 0);
    }
    // A write to a shared block leaves staging blocks around it.
    guest.make("a", 1 << 20, Fill::Byte(1)).await;
    let reflink = FileChange::Reflink {
        from: path_of("a"),
        to: path_of("b"),
    };
    assert_eq!(guest.change(reflink).await, 0);
    let copy = FileChange::Write {
        path: path_of("b"),
        offset: FileOffset(8192),
        length: 4096,
        fill: Fill::Byte(2),
        direct: false,
        sync: true,
    };
    assert_eq!(guest.change(copy).await, 0);
    let unwritten = FileChange::Allocate {
        path: path_of("x"),
        mode: guest_agent::call::Allocation::KeepSize,
        offset: FileOffset(1 << 20),
        length: 1 << 16,
    };
    assert_eq!(guest.change(unwritten).await, 0);

    let space = map(guest).await;
    println!("  {} records", space.records.len());
    let has = |what: &dyn Fn(&SpaceRecord) -> bool| space.records.iter().any(what);
    for owner in [
        SpaceOwner::Free,
        SpaceOwner::AgHeader,
        SpaceOwner::Log,
        SpaceOwner::AgBtree,
        SpaceOwner::InodeBtree,
        SpaceOwner::InodeChunk,
        SpaceOwner::RefcountBtree,
        SpaceOwner::CowStaging,
    ] {
        assert!(has(&|record| record.owner == owner), "no {owner:?}");
    }
    let of = |file: u64| move |record: &SpaceRecord| matches!(record.owner, SpaceOwner::Inode { number, .. } if number == file);
    let (many, x, far, d) = (
        guest.stat("many").await.inode,
        guest.stat("x").await.inode,
        guest.stat("far").await.inode,
        guest.stat("d").await.inode,
    );
    let data = |record: &SpaceRecord| !record.extent_map && !record.attribute_fork;
    let extents = space
        .records
        .iter()
        .filter(|record| of(many)(record) && data(record))
        .count();
    assert_eq!(extents, 400);
    assert!(has(&|record| of(many)(record) && record.extent_map));
    assert!(has(&|record| of(x)(record) && record.attribute_fork));
    assert!(has(&|record| of(x)(record) && record.unwritten));
    assert!(has(&|record| of(far)(record) && data(record)));
    // Data blocks, and leaf blocks at 32 GiB.
    for leaf in [false, true] {
        let offset = |record: &SpaceRecord| match record.owner {
            SpaceOwner::Inode { offset, .. } => offset.0 >= 32 << 30,
            _ => false,
        };
        assert!(
            has(&|record| of(d)(record) && offset(record) == leaf),
            "leaf {leaf}"
        );
    }
    assert!(has(&|record| record.shared));
    // In order, and without a gap.
    let mut end = 0;
    for record in &space.records {
        assert!(
            record.start.0 <= end,
            "nobody owns {end:#x} to {:#x}",
            record.start.0
        );
        end = end.max(record.start.0 + record.length);
    }
    let blocks = guest.facts(&[], &[]).await.mount.geometry.unwrap().data_blocks;
    let last = (blocks - 1) * 4096;
    // 6.1 does not name the very last block when it is free.
    let known = if guest.version < (6, 2) { last } else { last + 4096 };
    assert_eq!(end, known);
    let facts = guest.facts(&[last], &[]).await;
    println!("  {:?}", facts.pages);
    let owners: Vec<SpaceOwner> = done(facts.pages[0].owners.clone())
        .iter()
        .map(|record| record.owner)
        .collect();
    let expected: &[SpaceOwner] = if guest.version < (6, 2) {
        &[]
    } else {
        &[SpaceOwner::Free]
    };
    assert_eq!(owners, expected);
}
