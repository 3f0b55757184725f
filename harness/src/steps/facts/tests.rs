// SPDX-License-Identifier: MIT OR Apache-2.0
use super::*;
use crate::nvdimm::{Dax, Pmem};
use guest_agent::address::GuestPhysical;
use guest_agent::call::{
    InCore, MountState as SaidMount, Mounted as SaidMounted, PageEntry, ProvedSize, SizeProof, VictimState,
    WhyInCore,
};
use guest_agent::victim::{KillPolicy, Mapped, ThreadState};
use testcases::{Access, Disposition as Wanted, FileOperation, Mapping, Operation, VictimSpec};
use verdict::observe::evidence::VictimView;

const PHYSICAL: GuestPhysical = GuestPhysical(0x1_0121_9000);
const INODE: u64 = 131;

fn record(number: u64) -> SpaceRecord {
    SpaceRecord {
        start: FsOffset(0x18000),
        length: 0x20_0000,
        owner: SpaceOwner::Inode {
            number,
            offset: FileOffset(0),
        },
        attribute_fork: false,
        extent_map: false,
        unwritten: false,
        shared: false,
    }
}

fn victim(mapping: MappingKind) -> Victim {
    Victim {
        spec: VictimSpec {
            name: "alice".parse().unwrap(),
            maps: vec![Mapping {
                of: testcases::Mapped::File("a".parse().unwrap()),
                offset: testcases::Bytes(0),
                length: None,
                mapping,
                access: Access::Read,
                dax: true,
            }],
            touches: Vec::new(),
            stores: Vec::new(),
            kill: testcases::KillPolicy::Early,
            sigbus: Wanted::Handler,
            page: None,
            threads: BTreeMap::new(),
        },
        view: VictimView {
            pid: 91,
            ended: None,
            signals: Vec::new(),
            before: 0,
            pending: 0,
            threads: BTreeMap::new(),
        },
        released: false,
    }
}

fn said(change: impl FnOnce(&mut call::Facts)) -> call::Facts {
    let thread = |tid, name: &str, policy| ThreadState {
        tid,
        name: name.to_owned(),
        policy,
    };
    let state = VictimState {
        pid: 91,
        ended: None,
        signals: Vec::new(),
        pending: 0,
        blocked: 0,
        ignored: 0,
        caught: 1 << 6,
        threads: vec![
            thread(91, "alice", KillPolicy::Default),
            thread(92, "worker", KillPolicy::Early),
        ],
        pages: Vec::new(),
    };
    let mapped = Mapped {
        address: 0x7f00_0000_0000,
        length: 0x20_0000,
        offset: FileOffset(0),
        inode: INODE,
        device: 0x1_0300,
        dax: true,
    };
    let mut said = call::Facts {
        mount: SaidMount {
            whereabouts: Whereabouts::Here,
            mounted: Some(SaidMounted {
                device: "/dev/pmem0".to_owned(),
                kind: "xfs".to_owned(),
                options: vec!["rw".to_owned(), "dax=always".to_owned()],
            }),
            options: vec!["rw".to_owned(), "dax=always".to_owned()],
            shut_down: Some(false),
            geometry: None,
        },
        early_kill: false,
        recovery: true,
        pages: Vec::new(),
        victims: BTreeMap::from([(
            "alice".to_owned(),
            call::VictimFacts {
                state,
                mappings: vec![Some(mapped)],
            },
        )]),
        in_core: BTreeMap::from([(
            INODE,
            InCore {
                dax: Some(true),
                why: vec![WhyInCore::Mapped("alice".to_owned())],
            },
        )]),
    };
    change(&mut said);
    said
}

fn page(present: bool, copied: bool) -> PageFacts {
    PageFacts {
        offset: FsOffset(0x19000),
        physical: PHYSICAL,
        owners: Answer::Done(vec![record(INODE)]),
        mapped: Answer::Done(vec![Covering {
            victim: "alice".to_owned(),
            at: Spot {
                mapping: 0,
                offset: MappingOffset(0x1000),
            },
            entry: PageEntry {
                present,
                swapped: false,
                physical: present.then_some(PHYSICAL),
            },
            size: present.then_some(ProvedSize {
                size: PageSize::Huge,
                proof: SizeProof::PageTable,
            }),
            copied,
        }]),
    }
}

/// What becomes of it in a guest with alice, who maps the file `a`.
fn facts(
    said: &call::Facts,
    page: &PageFacts,
    kind: MappingKind,
    change: impl FnOnce(&mut Names, &mut Mounting),
) -> Facts {
    let mut names = Names::default();
    let create = Operation::File(FileOperation::Create {
        file: "a".parse().unwrap(),
    });
    names.begin(&create.facts());
    names.done(&create.facts().effect);
    names.number("a", INODE);
    let mut mounting = Mounting::of_template(&testcases::Template::default());
    mounting.dax = Dax::Proved;
    change(&mut names, &mut mounting);
    on(
        &Stack::plain(pmem("pmem0")),
        &names,
        &mounting,
        (said, page, kind),
    )
}

fn pmem(device: &str) -> Vec<Pmem> {
    vec![Pmem {
        device: device.to_owned(),
        data_start: GuestPhysical(0x1_0120_0000),
        size: 1 << 30,
    }]
}

fn on(
    stack: &Stack,
    names: &Names,
    mounting: &Mounting,
    (said, page, kind): (&call::Facts, &PageFacts, MappingKind),
) -> Facts {
    let victims = BTreeMap::from([("alice".to_owned(), victim(kind))]);
    let beside = Beside {
        names,
        victims: &victims,
        mounting,
        shut_down: said.mount.shut_down == Some(true),
        geometry: None,
        stack,
        pmem: PmemAt {
            badblocks: Some(Vec::new()),
            gone: false,
        },
        ordinary: Ordinary::default(),
        corrupt_filter: false,
    };
    of_page(said, Some(page), &beside)
}

fn plain(said: &call::Facts, page: &PageFacts) -> Facts {
    facts(said, page, MappingKind::Shared, |_, _| {})
}

#[test]
fn whoever_has_the_page_has_it_by_an_entry_of_some_size() {
    let entry = |page: &PageFacts| plain(&said(|_| {}), page).victims[0].pages[0].entry;
    assert_eq!(entry(&page(true, false)), Entry::Here(Some(PageSize::Huge)));
    assert_eq!(entry(&page(true, true)), Entry::Elsewhere);
    assert_eq!(entry(&page(false, false)), Entry::Absent);
    let mut lost = page(false, false);
    if let Answer::Done(mapped) = &mut lost.mapped {
        mapped[0].entry.swapped = true;
    }
    assert_eq!(entry(&lost), Entry::Poisoned);
    let mapped = plain(&said(|_| {}), &page(true, false)).victims[0].pages[0];
    assert_eq!((mapped.address, mapped.at), (0x7f00_0000_1000, 0x1000));
    assert_eq!(
        mapped.file,
        FilePlace {
            inode: INODE,
            offset: FileOffset(0x1000)
        }
    );
    assert!(!mapped.private);
    let private = facts(&said(|_| {}), &page(true, false), MappingKind::Private, |_, _| {});
    assert!(private.victims[0].pages[0].private);
}

#[test]
fn the_first_thread_is_called_main_and_each_has_its_policy() {
    let victims = plain(&said(|_| {}), &page(true, false)).victims;
    let threads: Vec<_> = victims[0]
        .threads
        .iter()
        .map(|thread| (thread.name.as_str(), thread.policy))
        .collect();
    assert_eq!(
        threads,
        [(MAIN_THREAD, KillPolicy::Default), ("worker", KillPolicy::Early)]
    );
}

#[test]
fn what_a_victim_does_about_the_signal_is_in_its_masks() {
    let seen = |change: fn(&mut VictimState)| {
        let said = said(|said| change(&mut said.victims.get_mut("alice").unwrap().state));
        plain(&said, &page(true, false)).victims.remove(0)
    };
    assert_eq!(seen(|_| {}).sigbus, Disposition::Handler);
    assert_eq!(seen(|state| state.caught = 0).sigbus, Disposition::Default);
    assert_eq!(seen(|state| state.ignored = 1 << 6).sigbus, Disposition::Ignored);
    assert!(seen(|state| state.blocked = 1 << 6).threads[0].blocks_sigbus);
    assert!(seen(|state| state.pending = 1 << 6).threads[0].has_sigbus_pending);
}

#[test]
fn an_inode_is_in_core_or_it_is_not_or_nobody_knows() {
    let inode = |said: &call::Facts, mounted_anew: bool| {
        let facts = facts(said, &page(false, false), MappingKind::Shared, |names, _| {
            if mounted_anew {
                names.mounted();
            }
        });
        facts.owners.unwrap().remove(0).inode.unwrap()
    };
    let known = inode(&said(|_| {}), false);
    assert_eq!((known.in_core, known.dax), (Some(true), Some(true)));
    assert_eq!(known.name.as_deref(), Some("a"));
    assert_eq!(known.kind, Some(InodeKind::Regular));
    let forgotten = said(|said| said.in_core.clear());
    assert_eq!(
        inode(&forgotten, true).in_core,
        Some(false),
        "nothing has looked it up"
    );
    assert_eq!(inode(&forgotten, false).in_core, None, "it may still be there");
}

#[test]
fn only_records_that_cover_the_page_are_its_owners() {
    let mut page = page(false, false);
    let before = SpaceRecord {
        start: FsOffset(0),
        length: 0x19000,
        ..record(132)
    };
    let after = SpaceRecord {
        start: FsOffset(0x1a000),
        ..record(133)
    };
    page.owners = Answer::Done(vec![before, record(INODE), after]);
    let owners = plain(&said(|_| {}), &page).owners.unwrap();
    assert_eq!(owners.len(), 1);
    assert_eq!(owners[0].record, record(INODE));
    page.owners = Answer::Refused(call::Refusal {
        what: "GETFSMAP".to_owned(),
        errno: 5,
    });
    assert_eq!(plain(&said(|_| {}), &page).owners, None);
}

#[test]
fn a_page_was_faulted_in_or_nobody_ever_mapped_the_file() {
    let faulted = |present: bool, was_mapped: bool| {
        let facts = facts(
            &said(|_| {}),
            &page(present, false),
            MappingKind::Shared,
            |names, _| {
                if was_mapped {
                    names.map("a");
                }
            },
        );
        facts.owners.unwrap()[0].faulted
    };
    assert_eq!(faulted(true, true), Some(true));
    assert_eq!(faulted(false, false), Some(false));
    assert_eq!(
        faulted(false, true),
        None,
        "its entry may be gone, and the page still associated"
    );
}

#[test]
fn the_state_of_the_mount() {
    let state = |said: &call::Facts, frozen: bool| {
        let facts = facts(said, &page(false, false), MappingKind::Shared, |_, mounting| {
            mounting.frozen = frozen;
        });
        match facts.filesystem {
            Filesystem::Mounted(mounted) => Some((mounted.state, mounted.stack)),
            Filesystem::Unmounted => None,
        }
    };
    let plain = Between::Plain;
    assert_eq!(state(&said(|_| {}), false), Some((MountState::ReadWrite, plain)));
    assert_eq!(state(&said(|_| {}), true), Some((MountState::Frozen, plain)));
    let down = said(|said| said.mount.shut_down = Some(true));
    assert_eq!(state(&down, true), Some((MountState::ShutDown, plain)));
    let read_only = said(|said| said.mount.options = vec!["ro".to_owned()]);
    assert_eq!(state(&read_only, false), Some((MountState::ReadOnly, plain)));
}

/// What holds the device is the superblock: neither a mount point without it nor one that is in other hands says anything.
#[test]
fn a_filesystem_is_there_as_long_as_its_superblock_is() {
    let is_there = |whereabouts: Whereabouts, mounted: bool| {
        let said = said(|said| {
            said.mount.whereabouts = whereabouts;
            said.mount.mounted = said.mount.mounted.take().filter(|_| mounted);
        });
        let facts = facts(&said, &page(false, false), MappingKind::Shared, |_, _| {});
        facts.filesystem != Filesystem::Unmounted
    };
    assert!(is_there(Whereabouts::Detached, false));
    assert!(is_there(Whereabouts::Elsewhere(vec!["/tmp/m".to_owned()]), false));
    let tmpfs = SaidMounted {
        device: "none".to_owned(),
        kind: "tmpfs".to_owned(),
        options: vec!["ro".to_owned()],
    };
    assert!(is_there(Whereabouts::Covered(tmpfs), true));
    assert!(!is_there(Whereabouts::Nowhere, false));
    assert!(!is_there(Whereabouts::Nowhere, true));
}

#[test]
fn files_say_who_covers_a_page_where_no_map_does() {
    let covered = |offset: u64| coverings(FsOffset(offset), &[record(INODE)], &said(|_| {}));
    let at = |offset| Spot {
        mapping: 0,
        offset: MappingOffset(offset),
    };
    assert_eq!(covered(0x19000), [("alice".to_owned(), at(0x1000))]);
    assert_eq!(covered(0x17000), [], "before the extent");
    assert_eq!(covered(0x21_8000), [], "behind it");
    assert_eq!(coverings(FsOffset(0x19000), &[record(132)], &said(|_| {})), []);
}

#[test]
fn a_character_device_owns_its_pages_and_remembers_who_touched_them() {
    let stack = Stack::character(pmem("dax0.0"), testcases::PageSize::Huge);
    let template = testcases::Template::Devdax {
        align: testcases::PageSize::Huge,
    };
    let mounting = Mounting::of_template(&template);
    let owner = |present: bool, mapped: Option<std::ops::Range<u64>>| {
        let mut names = Names::default();
        if let Some(part) = mapped {
            names.map_device(part);
        }
        let page = page(present, false);
        let facts = on(
            &stack,
            &names,
            &mounting,
            (
                &said(|said| said.mount.whereabouts = Whereabouts::Nowhere),
                &page,
                MappingKind::Shared,
            ),
        );
        assert_eq!(facts.filesystem, Filesystem::Unmounted);
        facts.owners.unwrap().remove(0)
    };
    let inode = owner(true, None).inode.unwrap();
    assert_eq!(inode.name.as_deref(), Some("/dev/dax0.0"));
    assert_eq!(inode.kind, Some(InodeKind::Character));
    assert_eq!(owner(true, None).faulted, Some(true));
    assert_eq!(owner(false, None).faulted, Some(false));
    assert_eq!(owner(false, Some(0x20_0000..0x40_0000)).faulted, Some(false));
    assert_eq!(owner(false, Some(0..0x20_0000)).faulted, None);
}

#[test]
fn a_private_copy_is_an_anonymous_page_on_its_own() {
    let ram_of = |flags: &[PageFlag]| {
        ram(PageFlags::Known(
            flags.iter().fold(0, |bits, flag| bits | 1 << flag.bit()),
        ))
    };
    let copy = [PageFlag::Uptodate, PageFlag::Lru, PageFlag::Mmap, PageFlag::Anon];
    assert_eq!(ram_of(&copy), Some(Ram::PrivateCopy));
    assert_eq!(
        ram_of(&[&copy[..], &[PageFlag::Ksm]].concat()),
        Some(Ram::PrivateCopy)
    );
    assert_eq!(ram_of(&copy[..3]), Some(Ram::Other), "the page cache");
    assert_eq!(ram_of(&[PageFlag::ZeroPage]), Some(Ram::Other));
    for more in [PageFlag::CompoundTail, PageFlag::Thp, PageFlag::Hwpoison] {
        assert_eq!(ram_of(&[&copy[..], &[more]].concat()), Some(Ram::Other), "{more}");
    }
    assert_eq!(ram(PageFlags::BeyondReach), None);
}

#[test]
fn who_has_a_private_copy_has_it_where_the_file_was_mapped() {
    let said = said(|_| {});
    let spot = Spot {
        mapping: 0,
        offset: MappingOffset(0x1000),
    };
    let place = place_of("alice", spot, &said).unwrap();
    assert_eq!(
        place,
        FilePlace {
            inode: INODE,
            offset: FileOffset(0x1000)
        }
    );
    assert_eq!(mapped_at(place, &said), [("alice".to_owned(), spot)]);
    assert_eq!(place_of("bob", spot, &said), None);
    let elsewhere = FilePlace { inode: 132, ..place };
    assert_eq!(mapped_at(elsewhere, &said), []);

    let stack = Stack::plain(pmem("pmem0"));
    let mounting = Mounting::of_template(&testcases::Template::default());
    let victims = BTreeMap::from([("alice".to_owned(), victim(MappingKind::Private))]);
    let Answer::Done(mapped) = page(true, false).mapped else {
        panic!("nothing is mapped");
    };
    let beside = Beside {
        names: &Names::default(),
        victims: &victims,
        mounting: &mounting,
        shut_down: false,
        geometry: None,
        stack: &stack,
        pmem: PmemAt {
            badblocks: None,
            gone: false,
        },
        ordinary: Ordinary {
            ram: Some(Ram::PrivateCopy),
            mapped,
        },
        corrupt_filter: false,
    };
    let facts = of_page(&said, None, &beside);
    assert_eq!(facts.ram, Some(Ram::PrivateCopy));
    let page = facts.victims[0].pages[0];
    assert_eq!(page.entry, Entry::Here(Some(PageSize::Base)));
    assert_eq!(page.file, place);
}
