// SPDX-License-Identifier: MIT OR Apache-2.0
//! Small worlds to predict about.

use crate::oracle::facts::{
    Disposition, Entry, Facts, FilePlace, Filesystem, Injection, InodeFacts, InodeKind, MAIN_THREAD,
    MappedPage, MountState, Mounted, OwnerFacts, Page, Region, Settings, Stack, ThreadFacts, ThreadOf,
    VictimFacts,
};
use guest_agent::address::{DeviceOffset, FileOffset, FsOffset, GuestPhysical};
use guest_agent::call::{BadRange, SpaceOwner, SpaceRecord};
use guest_agent::victim::KillPolicy;
use testcases::DebugfsFile::CorruptPfn;
use testcases::MadviseError::Hwpoison;
use testcases::Mechanism::{self, Debugfs, MachineCheck, Madvise};
use testcases::PageSize;
use testcases::Severity::ActionRequired;

/// The page that is hit lies here on the pmem device.
pub(super) const PAGE: DeviceOffset = DeviceOffset(0x30_1000);
/// And here as the filesystem counts.
pub(super) const PLACE: FsOffset = FsOffset(0x10_1000);
/// The records of its owners begin one page before it.
const RECORD: FsOffset = FsOffset(0x10_0000);

/// Files `a`, `b` and `c`, by inode number.
pub(super) const A: u64 = 131;
pub(super) const B: u64 = 132;
pub(super) const C: u64 = 133;

/// A world, and what is done to it.
pub(super) struct World {
    pub(super) facts: Facts,
    pub(super) region: Region,
    pub(super) by: By,
}

/// A mechanism, and whose thread makes the call or consumes the error, where that is a victim's.
pub(super) struct By(Mechanism, Option<ThreadOf>);

impl From<Mechanism> for By {
    fn from(mechanism: Mechanism) -> Self {
        Self(mechanism, None)
    }
}

impl From<(Mechanism, ThreadOf)> for By {
    fn from((mechanism, thread): (Mechanism, ThreadOf)) -> Self {
        Self(mechanism, Some(thread))
    }
}

/// A mounted XFS on a whole NVDIMM, a page with these owners, an error by corrupt-pfn.
pub(super) fn world(owners: impl IntoIterator<Item = OwnerFacts>) -> World {
    World {
        facts: Facts {
            filesystem: Filesystem::Mounted(Mounted {
                state: MountState::ReadWrite,
                rmapbt: true,
                realtime_rmapbt: false,
                stack: Stack::Plain,
            }),
            owners: Some(owners.into_iter().collect()),
            victims: Vec::new(),
            badblocks: Some(Vec::new()),
            ram: None,
            gone: false,
            settings: Settings::default(),
        },
        region: Region::Data(PLACE),
        by: Debugfs(CorruptPfn).into(),
    }
}

/// A character device with pages of this size, one of which was faulted in by somebody, or not; an error by corrupt-pfn.
pub(super) fn device(page: PageSize, faulted: Option<bool>) -> World {
    let owner = OwnerFacts {
        faulted,
        ..file_that(A, |inode| inode.kind = Some(InodeKind::Character))
    };
    let mut world = world([owner]).region(Region::DeviceDax { at: PLACE, page });
    world.facts.filesystem = Filesystem::Unmounted;
    world
}

impl World {
    pub(super) fn victims(mut self, victims: impl IntoIterator<Item = VictimFacts>) -> Self {
        self.facts.victims.extend(victims);
        self
    }

    pub(super) fn by(mut self, by: impl Into<By>) -> Self {
        self.by = by.into();
        self
    }

    pub(super) fn region(mut self, region: Region) -> Self {
        self.region = region;
        self
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut Facts)) -> Self {
        change(&mut self.facts);
        self
    }

    pub(super) fn mounted(mut self, change: impl FnOnce(&mut Mounted)) -> Self {
        if let Filesystem::Mounted(mounted) = &mut self.facts.filesystem {
            change(mounted);
        }
        self
    }

    pub(super) fn without_rmapbt(self) -> Self {
        self.mounted(|mounted| mounted.rmapbt = false)
    }

    pub(super) fn unmounted(self) -> Self {
        self.with(|facts| {
            facts.filesystem = Filesystem::Unmounted;
            facts.owners = None;
        })
    }

    pub(super) fn early_kill(self) -> Self {
        self.with(|facts| facts.settings.early_kill = true)
    }

    pub(super) fn finish(self) -> (Facts, Injection) {
        let injection = Injection {
            by: self.by.0,
            current: self.by.1,
            page: Page {
                physical: GuestPhysical(0x1_0120_0000 + PAGE.0),
                device: (!matches!(self.region, Region::Reserved | Region::OrdinaryMemory)).then_some(PAGE),
                region: self.region,
            },
        };
        (self.facts, injection)
    }
}

/// The page is in the badblocks already.
pub(super) fn already_bad(facts: &mut Facts) {
    facts.badblocks = Some(vec![BadRange {
        start: PAGE,
        length: 512,
    }]);
}

/// A file in core with DAX that owns the page, by its data fork.
pub(super) fn file(inode: u64) -> OwnerFacts {
    OwnerFacts {
        record: record(SpaceOwner::Inode {
            number: inode,
            offset: FileOffset(0),
        }),
        inode: Some(InodeFacts {
            name: None,
            kind: Some(InodeKind::Regular),
            dax: Some(true),
            in_core: Some(true),
        }),
        faulted: None,
    }
}

/// An owner like this file, but for what is known of the inode.
pub(super) fn file_that(inode: u64, change: impl FnOnce(&mut InodeFacts)) -> OwnerFacts {
    let mut owner = file(inode);
    if let Some(inode) = &mut owner.inode {
        change(inode);
    }
    owner
}

/// An owner like this file, but for the record.
pub(super) fn fork_of(inode: u64, change: impl FnOnce(&mut SpaceRecord)) -> OwnerFacts {
    let mut owner = file(inode);
    change(&mut owner.record);
    owner
}

/// Whether the page was ever faulted in through this file.
pub(super) fn faulted(inode: u64, ever: bool) -> OwnerFacts {
    OwnerFacts {
        faulted: Some(ever),
        ..file(inode)
    }
}

/// An owner that is no inode.
pub(super) fn special(owner: SpaceOwner) -> OwnerFacts {
    OwnerFacts {
        record: record(owner),
        inode: None,
        faulted: None,
    }
}

fn record(owner: SpaceOwner) -> SpaceRecord {
    SpaceRecord {
        start: RECORD,
        length: 0x4000,
        owner,
        attribute_fork: false,
        extent_map: false,
        unwritten: false,
        shared: false,
    }
}

/// The page of a file, 4 KiB into a whole mapping of it.
pub(super) fn page(inode: u64, entry: Entry) -> MappedPage {
    MappedPage {
        map: 0,
        at: 0x1000,
        address: 0x7f00_0000_1000,
        file: FilePlace {
            inode,
            offset: FileOffset(0x1000),
        },
        private: false,
        entry,
    }
}

/// The same in another of the victim's mappings.
pub(super) fn page_in(map: usize, inode: u64, entry: Entry) -> MappedPage {
    MappedPage {
        map,
        address: 0x7f00_0000_1000 + 0x1_0000_0000 * map as u64,
        ..page(inode, entry)
    }
}

pub(super) const HERE: Entry = Entry::Here(Some(PageSize::Base));
pub(super) const HERE_2M: Entry = Entry::Here(Some(PageSize::Huge));

/// A victim with one thread and a handler.
pub(super) fn victim(
    name: &str,
    policy: KillPolicy,
    pages: impl IntoIterator<Item = MappedPage>,
) -> VictimFacts {
    VictimFacts {
        name: name.to_owned(),
        pid: 100,
        alive: true,
        sigbus: Disposition::Handler,
        threads: vec![thread(MAIN_THREAD, policy)],
        pages: pages.into_iter().collect(),
    }
}

pub(super) fn early(name: &str, pages: impl IntoIterator<Item = MappedPage>) -> VictimFacts {
    victim(name, KillPolicy::Early, pages)
}

pub(super) fn late(name: &str, pages: impl IntoIterator<Item = MappedPage>) -> VictimFacts {
    victim(name, KillPolicy::Late, pages)
}

pub(super) fn default(name: &str, pages: impl IntoIterator<Item = MappedPage>) -> VictimFacts {
    victim(name, KillPolicy::Default, pages)
}

pub(super) fn thread(name: &str, policy: KillPolicy) -> ThreadFacts {
    ThreadFacts {
        name: name.to_owned(),
        tid: 100,
        policy,
        blocks_sigbus: false,
        has_sigbus_pending: false,
    }
}

/// The victim, but its main thread blocks SIGBUS.
pub(super) fn blocking(mut victim: VictimFacts) -> VictimFacts {
    for thread in &mut victim.threads {
        thread.blocks_sigbus = true;
    }
    victim
}

/// The victim, with another disposition.
pub(super) fn with_sigbus(victim: VictimFacts, sigbus: Disposition) -> VictimFacts {
    VictimFacts { sigbus, ..victim }
}

/// The main thread, at [`page`] of its first mapping.
pub(super) fn main_of(victim: &str) -> ThreadOf {
    ThreadOf {
        victim: victim.to_owned(),
        thread: MAIN_THREAD.to_owned(),
        map: 0,
        at: 0x1000,
    }
}

pub(super) fn madvise(victim: &str) -> (Mechanism, ThreadOf) {
    (Madvise(Hwpoison), main_of(victim))
}

pub(super) fn consumed_by(victim: &str) -> (Mechanism, ThreadOf) {
    (MachineCheck(ActionRequired), main_of(victim))
}
