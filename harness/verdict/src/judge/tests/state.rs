// SPDX-License-Identifier: MIT OR Apache-2.0
//! Page tables, accounts, files, the injector.

use super::truth::*;
use crate::observe::evidence::{Away, EntryView, FileView};
use guest_agent::call::{Extent, FileKind, FileStatus, PageFlags};
use testcases::{Bytes, CallResult, Count, FileState, FilesystemState, PageFlag, Place, Sharing};

#[test]
fn a_page_is_present_or_not() {
    let place = Place {
        map: 1,
        at: Bytes(8192),
    };
    let entry = |entry: Option<bool>| {
        with_state(|state| {
            state.entries = vec![EntryView {
                victim: "alice".to_owned(),
                map: 1,
                at: 8192,
                entry: entry.map(|present| PageEntry {
                    present,
                    swapped: false,
                    physical: None,
                }),
            }];
        })
    };
    let present = expecting(|state| {
        state.present.insert("alice".parse().unwrap(), vec![place]);
    });
    let absent = expecting(|state| {
        state.absent.insert("alice".parse().unwrap(), vec![place]);
    });
    assert_passes(&present, &entry(Some(true)));
    assert_only(
        &present,
        &entry(Some(false)),
        "alice has no present entry at 8KiB of mapping 1",
    );
    assert_passes(&absent, &entry(Some(false)));
    assert_only(
        &absent,
        &entry(Some(true)),
        "alice has a present entry at 8KiB of mapping 1",
    );
    // A dead process has no page table: neither the one nor the other.
    for case in [&present, &absent] {
        assert_only(case, &entry(None), "nothing to say");
        assert_only(case, &truth(), "nothing to say");
    }
}

#[test]
fn every_call_of_an_injector_counts() {
    let case = expecting(|state| state.injector = Some(CallResult::Error("EBUSY".parse().unwrap())));
    let calls = |errnos: &[i32]| {
        let refused = |&errno: &i32| Tried::Refused(Refusal { errno, ..eio() });
        with_state(|state| state.injectors = errnos.iter().map(refused).collect())
    };
    assert_passes(&case, &calls(&[16, 16]));
    assert_only(&case, &calls(&[16, 5]), "EIO");
    assert_only(&case, &calls(&[]), "no call");
    let ok = expecting(|state| state.injector = Some(CallResult::Succeeds));
    assert_only(&ok, &calls(&[16]), "EBUSY");
}

#[test]
fn a_filesystem_may_be_unmounted() {
    let case = expecting(|state| state.filesystem = Some(FilesystemState::Unmounted));
    assert_passes(
        &case,
        &with_state(|state| state.filesystem = Filesystem::Unmounted),
    );
    assert_only(&case, &truth(), "not mounted");
}

/// One that lives on behind its mount point is neither up, for whoever goes there, nor gone.
#[test]
fn a_filesystem_may_be_away_from_its_mount_point() {
    for (away, words) in [
        (Away::Detached, "detached"),
        (
            Away::Elsewhere(vec!["/tmp/m".to_owned()]),
            "mounted at /tmp/m, and not at /mnt",
        ),
        (
            Away::Covered {
                kind: "tmpfs".to_owned(),
                device: "none".to_owned(),
            },
            "hidden at /mnt, where tmpfs (none) is mounted over it",
        ),
    ] {
        let seen = with_state(|state| state.filesystem = Filesystem::Away(away.clone()));
        for expected in [FilesystemState::Up, FilesystemState::Unmounted] {
            let case = expecting(|state| state.filesystem = Some(expected));
            assert_only(&case, &seen, words);
        }
    }
}

#[test]
fn corrupted_memory_is_accounted() {
    let case = expecting(|state| state.hardware_corrupted = Some(Bytes(4096)));
    let grown = |bytes| with_state(|state| state.hardware_corrupted = bytes);
    assert_passes(&case, &grown(Some(4096)));
    for (bytes, words) in [
        (Some(0), "0 bytes more"),
        (Some(-4096), "-4096 bytes"),
        (None, "nobody has looked"),
    ] {
        assert_only(&case, &grown(bytes), words);
    }
}

#[test]
fn flags_of_a_page() {
    let case = expecting(|state| {
        let flags = state
            .page_flags
            .insert(testcases::PageFlagsExpectation::default());
        flags.has.insert(PageFlag::Hwpoison);
        flags.lacks.insert(PageFlag::Nopage);
    });
    let flags = |flags: Option<Vec<PageFlags>>| with_state(|state| state.page_flags = flags);
    assert_passes(&case, &flags(Some(vec![PageFlags::Known(1 << 19)])));
    assert_only(
        &case,
        &flags(Some(vec![PageFlags::Known(0)])),
        "lacks the flag hwpoison",
    );
    assert_only(
        &case,
        &flags(Some(vec![PageFlags::Known(1 << 19 | 1 << 20)])),
        "has the flag nopage",
    );
    assert_only(&case, &flags(Some(vec![])), "no page's flags");
    assert_only(&case, &flags(None), "no page's flags");
    // Some kernels show the flags of ordinary memory only.
    let judgement = judge(&case, &new_kernel(), &flags(Some(vec![PageFlags::BeyondReach])));
    assert_eq!(judgement.verdict, Verdict::Untestable);
}

fn file(view: Option<FileView>) -> Evidence {
    with_state(|state| state.files = view.into_iter().map(|view| ("a".to_owned(), view)).collect())
}

fn there(extents: Vec<Extent>) -> FileView {
    FileView::There {
        status: FileStatus {
            kind: FileKind::File,
            size: 8192,
            inode: 131,
            links: 1,
            blocks: 16,
            dax: true,
            device: 0x1_0300,
        },
        extents: Some(extents),
    }
}

fn extent(shared: bool, unwritten: bool) -> Extent {
    Extent {
        logical: FileOffset(0),
        physical: Some(FsOffset(PAGE.0)),
        length: 4096,
        shared,
        unwritten,
    }
}

fn a(change: impl FnOnce(&mut FileState)) -> Case {
    expecting(|state| change(state.files.entry("a".parse().unwrap()).or_default()))
}

#[test]
fn what_a_file_is() {
    let plain = || there(vec![extent(false, false)]);
    for (case, wrong) in [
        (
            a(|file| file.size = Some(Bytes(8192))),
            a(|file| file.size = Some(Bytes(4096))),
        ),
        (a(|file| file.dax = Some(true)), a(|file| file.dax = Some(false))),
        (
            a(|file| file.shared = Some(Sharing::None)),
            a(|file| file.shared = Some(Sharing::All)),
        ),
        (
            a(|file| file.extents = Some(Count::ONCE)),
            a(|file| file.extents = Some(Count::exactly(2))),
        ),
        (
            a(|file| file.unwritten = Some(false)),
            a(|file| file.unwritten = Some(true)),
        ),
    ] {
        assert_passes(&case, &file(Some(plain())));
        assert_only(&wrong, &file(Some(plain())), "a ");
        assert_only(&case, &file(Some(FileView::Refused(eio()))), "EIO");
        assert_only(&case, &file(None), "a was not looked at");
    }
}

#[test]
fn how_much_is_shared() {
    let mixed = || there(vec![extent(true, false), extent(false, true)]);
    assert_passes(&a(|file| file.shared = Some(Sharing::Some)), &file(Some(mixed())));
    assert_only(
        &a(|file| file.shared = Some(Sharing::All)),
        &file(Some(mixed())),
        "1 of 2 extents shared",
    );
    assert_only(
        &a(|file| file.shared = Some(Sharing::None)),
        &file(Some(mixed())),
        "1 of 2",
    );
    let all = || there(vec![extent(true, false)]);
    assert_passes(&a(|file| file.shared = Some(Sharing::All)), &file(Some(all())));
}

#[test]
fn a_bad_range_of_a_device() {
    let case = expecting(|state| {
        state.badblocks = Some(vec![testcases::BadRange::Device {
            of: testcases::Device::Data,
            offset: Bytes(PAGE.0),
            length: Bytes(4096),
        }]);
    });
    assert_passes(&case, &truth());
    assert_only(
        &case,
        &with_state(|state| state.badblocks.clear()),
        "badblocks lists other sectors",
    );
}
