// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files.

use super::{Guest, counted, done, errno};
use guest_agent::address::FileOffset;
use guest_agent::call::{
    Allocation, AskExtents, AskFlags, Caches, CopyRange, Dedupe, Deduped, Extent, FileChange, FileKind,
    FileRanges, Fill, FlagChange, GetXattr, ReadAt, ReadDirectory, ReadLink, SyncHow,
};
use harness::nvdimm::path_of;

const PAGE: u64 = 4096;

async fn extents(guest: &Guest<'_>, file: &str) -> Vec<Extent> {
    let path = path_of(file);
    done(guest.ask(AskExtents { path, sync: false }).await)
}

async fn allocate(guest: &Guest<'_>, file: &str, mode: Allocation, page: u64, pages: u64) -> i32 {
    let change = FileChange::Allocate {
        path: path_of(file),
        mode,
        offset: FileOffset(page * PAGE),
        length: pages * PAGE,
    };
    guest.change(change).await
}

pub(crate) async fn are_changed_and_read(guest: &Guest<'_>) {
    guest.make("a", 16 * PAGE, Fill::Counting).await;
    let whole = guest.read("a", 0, u64::MAX).await;
    assert_eq!(
        (whole.length, whole.counting, whole.uniform),
        (16 * PAGE, true, None)
    );
    assert_eq!(whole.sha256.unwrap().len(), 64);
    let path = path_of("a");
    let write = |direct, length| FileChange::Write {
        path: path.clone(),
        offset: FileOffset(PAGE),
        length,
        fill: Fill::Byte(0x5a),
        direct,
        sync: !direct,
    };
    assert_eq!(guest.change(write(true, PAGE)).await, 0);
    // A length that is no multiple of a sector: DAX does not care (`fs/xfs/xfs_file.c:xfs_file_dax_write`).
    assert_eq!(guest.change(write(true, 100)).await, 0);
    assert_eq!(guest.read("a", PAGE, PAGE).await.uniform, Some(0x5a));
    let direct = ReadAt {
        path: path.clone(),
        offset: FileOffset(2 * PAGE),
        length: PAGE,
        direct: true,
        checksum: false,
    };
    let direct = done(guest.ask(direct).await);
    assert_eq!(
        (direct.counting, direct.uniform, direct.sha256),
        (true, Some(counted(2)), None)
    );

    // Two pages are cut out, and what was behind them moves up; then two holes come in their place.
    assert_eq!(allocate(guest, "a", Allocation::Collapse, 0, 2).await, 0);
    assert_eq!(guest.read("a", 0, PAGE).await.uniform, Some(counted(2)));
    assert_eq!(allocate(guest, "a", Allocation::Insert, 0, 2).await, 0);
    assert!(guest.read("a", 2 * PAGE, 14 * PAGE).await.counting);
    assert_eq!(allocate(guest, "a", Allocation::Punch, 4, 1).await, 0);
    assert_eq!(allocate(guest, "a", Allocation::Zero, 6, 1).await, 0);
    let holes = extents(guest, "a").await;
    assert!(
        holes
            .iter()
            .any(|extent| extent.unwritten && extent.logical.0 == 6 * PAGE),
        "{holes:?}"
    );
    assert!(!holes.iter().any(|extent| extent.logical.0 == 4 * PAGE));
    assert!(guest.nowhere("a", 4 * PAGE).await.contains("has a hole at 16KiB"));
    assert!(guest.nowhere("a", 64 * PAGE).await.contains("ends at 64KiB"));
    assert_eq!(guest.read("a", 4 * PAGE, PAGE).await.uniform, Some(0));
    assert_eq!(allocate(guest, "a", Allocation::KeepSize, 16, 16).await, 0);
    assert_eq!(guest.stat("a").await.size, 16 * PAGE);
    assert_eq!(allocate(guest, "a", Allocation::Extend, 16, 16).await, 0);
    assert_eq!(guest.stat("a").await.size, 32 * PAGE);
    let truncate = FileChange::Truncate {
        path: path.clone(),
        size: 5,
    };
    assert_eq!(guest.change(truncate).await, 0);
    assert_eq!(guest.stat("a").await.size, 5);
    for how in [
        SyncHow::File,
        SyncHow::Data,
        SyncHow::Filesystem,
        SyncHow::Everything,
    ] {
        let path = path.clone();
        assert_eq!(guest.change(FileChange::Sync { path, how }).await, 0);
    }

    let fragment = FileChange::Fragment {
        path: path_of("many"),
        extents: 300,
        fill: Fill::Counting,
    };
    assert_eq!(guest.change(fragment).await, 0);
    let many = extents(guest, "many").await;
    assert_eq!(many.len(), 300);
    assert!(
        many.iter()
            .all(|extent| extent.length == PAGE && extent.physical.is_some())
    );
    assert!(guest.read("many", 598 * PAGE, PAGE).await.counting);
    names(guest).await;
    attributes(guest).await;
}

/// Directories, links, names.
async fn names(guest: &Guest<'_>) {
    let folder = path_of("d");
    let make = FileChange::MakeDirectory { path: folder.clone() };
    assert_eq!(guest.change(make.clone()).await, 0);
    assert_eq!(guest.change(make).await, libc::EEXIST);
    guest.make("d/one", PAGE, Fill::Byte(1)).await;
    let link = FileChange::Link {
        from: path_of("d/one"),
        to: path_of("d/two"),
    };
    assert_eq!(guest.change(link).await, 0);
    let status = guest.stat("d/two").await;
    assert_eq!((status.links, status.kind, status.dax), (2, FileKind::File, true));
    assert_eq!(
        (status.inode, status.blocks),
        (guest.stat("d/one").await.inode, 8)
    );
    let rename = FileChange::Rename {
        from: path_of("d/one"),
        to: path_of("d/three"),
    };
    assert_eq!(guest.change(rename).await, 0);
    let target = "t".repeat(700);
    let symlink = FileChange::Symlink {
        path: path_of("d/far"),
        target: target.clone(),
    };
    assert_eq!(guest.change(symlink).await, 0);
    let path = path_of("d/far");
    assert_eq!(done(guest.ask(ReadLink { path }).await), target);
    let far = guest.stat("d/far").await;
    assert_eq!((far.kind, far.size, far.blocks), (FileKind::Symlink, 700, 8));
    let path = folder.clone();
    let listed = done(guest.ask(ReadDirectory { path }).await);
    assert_eq!(listed, ["far", "three", "two"]);
    let remove = FileChange::RemoveDirectory { path: folder };
    assert_eq!(guest.change(remove.clone()).await, libc::ENOTEMPTY);
    for name in listed {
        let path = path_of(&format!("d/{name}"));
        assert_eq!(guest.change(FileChange::Unlink { path }).await, 0);
    }
    assert_eq!(guest.change(remove).await, 0);
    let path = path_of("d");
    assert_eq!(errno(&guest.ask(ReadDirectory { path }).await), libc::ENOENT);
}

/// Extended attributes, flags, what is held.
async fn attributes(guest: &Guest<'_>) {
    guest.make("x", PAGE, Fill::Byte(1)).await;
    let (path, name) = (path_of("x"), "user.note".to_owned());
    let set = FileChange::SetXattr {
        path: path.clone(),
        name: name.clone(),
        size: 9000,
        fill: 7,
    };
    assert_eq!(guest.change(set).await, 0);
    let get = GetXattr {
        path: path.clone(),
        name: name.clone(),
    };
    let value = done(guest.ask(get.clone()).await);
    assert_eq!((value.length, value.uniform), (9000, Some(7)));
    let remove = FileChange::RemoveXattr {
        path: path.clone(),
        name,
    };
    assert_eq!(guest.change(remove).await, 0);
    assert_eq!(errno(&guest.ask(get).await), libc::ENODATA);

    let folder = path_of("hints");
    let make = FileChange::MakeDirectory { path: folder.clone() };
    assert_eq!(guest.change(make).await, 0);
    let flags = FlagChange {
        dax: Some(true),
        extent_size: Some(2 << 20),
        cow_extent_size: Some(1 << 16),
        realtime: None,
    };
    let set = FileChange::SetFlags { path: folder, flags };
    assert_eq!(guest.change(set).await, 0);
    guest.make("hints/a", PAGE, Fill::Byte(1)).await;
    let path = path_of("hints/a");
    let flags = done(guest.ask(AskFlags { path: path.clone() }).await);
    assert_eq!(
        (flags.dax, flags.extent_size, flags.cow_extent_size, flags.extents),
        (true, 2 << 20, 1 << 16, 1),
        "{flags:?}"
    );

    let hold = FileChange::Hold { path: path.clone() };
    assert_eq!(guest.change(hold).await, 0);
    let unlink = FileChange::Unlink { path: path.clone() };
    assert_eq!(guest.change(unlink).await, 0);
    let drop = FileChange::DropCaches { what: Caches::Both };
    assert_eq!(guest.change(drop).await, 0);
    let let_go = FileChange::LetGo { path };
    assert_eq!(guest.change(let_go.clone()).await, 0);
    assert_eq!(guest.change(let_go).await, libc::EBADF);
}

pub(crate) async fn share_blocks(guest: &Guest<'_>) {
    guest.make("a", 8 * PAGE, Fill::Counting).await;
    let reflink = FileChange::Reflink {
        from: path_of("a"),
        to: path_of("b"),
    };
    assert_eq!(guest.change(reflink).await, 0);
    let (of_a, of_b) = (extents(guest, "a").await, extents(guest, "b").await);
    assert_eq!(of_a, of_b);
    assert!(of_a.iter().all(|extent| extent.shared));
    assert_eq!(allocate(guest, "b", Allocation::Unshare, 0, 8).await, 0);
    assert!(extents(guest, "b").await.iter().all(|extent| !extent.shared));
    assert!(guest.read("b", 0, 8 * PAGE).await.counting);

    let dedupe = |length| Dedupe {
        ranges: ranges("a", 0, "b", 0, length),
    };
    assert_eq!(done(guest.ask(dedupe(4 * PAGE)).await), Deduped::Shared(4 * PAGE));
    let spoil = FileChange::Write {
        path: path_of("b"),
        offset: FileOffset(7 * PAGE),
        length: 1,
        fill: Fill::Byte(0xff),
        direct: false,
        sync: true,
    };
    assert_eq!(guest.change(spoil).await, 0);
    assert_eq!(done(guest.ask(dedupe(8 * PAGE)).await), Deduped::Differs);

    guest.make("c", 8 * PAGE, Fill::Byte(0)).await;
    let range = FileChange::ReflinkRange(ranges("a", 2 * PAGE, "c", 0, PAGE));
    assert_eq!(guest.change(range).await, 0);
    assert_eq!(guest.read("c", 0, PAGE).await.uniform, Some(counted(2)));
    assert!(extents(guest, "c").await[0].shared);
    let copy = CopyRange {
        ranges: ranges("a", 4 * PAGE, "c", 4 * PAGE, 100 * PAGE),
    };
    assert_eq!(done(guest.ask(copy).await), 4 * PAGE);
    assert!(guest.read("c", 4 * PAGE, 4 * PAGE).await.counting);

    // The filesystem is made without it.
    let exchange = |file: &str, with: &str| FileChange::Exchange {
        file: path_of(file),
        with: path_of(with),
    };
    let refused = if guest.version < (6, 10) {
        libc::ENOTTY
    } else {
        libc::EOPNOTSUPP
    };
    assert_eq!(guest.change(exchange("a", "c")).await, refused);
    assert!(guest.read("a", 0, 8 * PAGE).await.counting);
    assert_eq!(guest.change(exchange("a", "nobody")).await, libc::ENOENT);
}

fn ranges(from: &str, from_offset: u64, to: &str, to_offset: u64, length: u64) -> FileRanges {
    FileRanges {
        from: path_of(from),
        from_offset: FileOffset(from_offset),
        to: path_of(to),
        to_offset: FileOffset(to_offset),
        length,
    }
}
