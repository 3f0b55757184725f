// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the guest says just before an injection, as the oracle wants to hear it. Nothing here asks the guest.

use super::aftermath::PmemAt;
use super::mounts::Mounting;
use super::names::Names;
use super::victims::Victim;
use crate::nvdimm::Stack;
use guest_agent::address::{FileOffset, FsOffset, MappingOffset, PAGE_SIZE};
use guest_agent::call::{
    self, Covering, Geometry, Outcome as Answer, PageFacts, PageFlags, SpaceOwner, SpaceRecord, Whereabouts,
};
use guest_agent::victim::Spot;
use std::collections::BTreeMap;
use testcases::{FileKind, MappingKind, PageFlag, PageSize};
use verdict::observe::has_sigbus;
use verdict::oracle::facts::{
    Disposition, Entry, Facts, FilePlace, Filesystem, InodeFacts, InodeKind, MAIN_THREAD, MappedPage,
    MountState, Mounted, OwnerFacts, Ram, Settings, Stack as Between, ThreadFacts, VictimFacts,
};

/// What is known of a page of ordinary memory; of a page on a device nothing.
#[derive(Default)]
pub(super) struct Ordinary {
    /// What it is.
    pub(super) ram: Option<Ram>,
    /// The places at which it may be mapped.
    pub(super) mapped: Vec<Covering>,
}

/// What is asked beside the agent's own facts.
pub(super) struct Beside<'a> {
    pub(super) names: &'a Names,
    pub(super) victims: &'a BTreeMap<String, Victim>,
    pub(super) mounting: &'a Mounting,
    /// Whether the filesystem is shut down.
    pub(super) shut_down: bool,
    /// The geometry of the latest mount, for when it cannot be asked any more.
    pub(super) geometry: Option<Geometry>,
    /// What lies below the filesystem.
    pub(super) stack: &'a Stack,
    pub(super) pmem: PmemAt,
    pub(super) ordinary: Ordinary,
    pub(super) corrupt_filter: bool,
}

/// The oracle's facts about one page, which the agent was asked about alone.
pub(super) fn of_page(said: &call::Facts, page: Option<&PageFacts>, beside: &Beside<'_>) -> Facts {
    Facts {
        filesystem: filesystem(said, beside),
        owners: page.map_or(Some(Vec::new()), |page| owners(said, page, beside)),
        victims: victims(said, page, beside),
        badblocks: page.and(beside.pmem.badblocks.clone()),
        ram: beside.ordinary.ram,
        gone: beside.pmem.gone,
        settings: Settings {
            early_kill: said.early_kill,
            recovery: said.recovery,
            corrupt_filter: beside.corrupt_filter,
        },
    }
}

fn filesystem(said: &call::Facts, beside: &Beside<'_>) -> Filesystem {
    // The holder of the DAX device is the superblock, wherever it is mounted (fs/xfs/xfs_buf.c:xfs_alloc_buftarg).
    let read_only = match &said.mount.whereabouts {
        Whereabouts::Nowhere => return Filesystem::Unmounted,
        Whereabouts::Detached => beside.mounting.options.split(',').any(|option| option == "ro"),
        Whereabouts::Elsewhere(_) | Whereabouts::Covered(_) | Whereabouts::Here => {
            said.mount.options.iter().any(|option| option == "ro")
        }
    };
    let state = if beside.shut_down {
        MountState::ShutDown
    } else if beside.mounting.frozen {
        MountState::Frozen
    } else if read_only {
        MountState::ReadOnly
    } else {
        MountState::ReadWrite
    };
    let geometry = said.mount.geometry.or(beside.geometry);
    Filesystem::Mounted(Mounted {
        state,
        rmapbt: geometry.is_some_and(|geometry| geometry.rmapbt),
        realtime_rmapbt: geometry.is_some_and(has_realtime_rmapbt),
        stack: between(beside.stack),
    })
}

/// What lies between the filesystem and the memory.
fn between(stack: &Stack) -> Between {
    let device = stack.device();
    if device.starts_with("/dev/mapper/") {
        Between::DeviceMapper
    } else if stack.pmems().iter().any(|pmem| pmem.path() == device) {
        Between::Plain
    } else {
        Between::Partition
    }
}

/// Reverse mappings of the realtime device came with realtime groups, which need the metadata directory
/// (`XFS_FSOP_GEOM_FLAGS_METADIR`, fs/xfs/libxfs/xfs_fs.h).
fn has_realtime_rmapbt(geometry: Geometry) -> bool {
    const METADIR: u32 = 1 << 26;
    geometry.rmapbt && geometry.realtime_blocks > 0 && geometry.flags & METADIR != 0
}

fn owners(said: &call::Facts, page: &PageFacts, beside: &Beside<'_>) -> Option<Vec<OwnerFacts>> {
    let records = match &page.owners {
        Answer::Done(records) => records,
        Answer::Refused(_) => return None,
    };
    let covers = |record: &&SpaceRecord| {
        record.start.0 < page.offset.0.saturating_add(PAGE_SIZE)
            && page.offset.0 < record.start.0.saturating_add(record.length)
    };
    if let Some(size) = beside.stack.mapped_by() {
        let device = |record: &SpaceRecord| of_device(record, size, page, beside);
        return Some(records.iter().filter(covers).map(device).collect());
    }
    let owner = |record: &SpaceRecord| OwnerFacts {
        record: record.clone(),
        inode: match record.owner {
            SpaceOwner::Inode { number, .. } => Some(inode(said, number, beside)),
            _ => None,
        },
        faulted: faulted(said, page, record, beside),
    };
    Some(records.iter().filter(covers).map(owner).collect())
}

/// A character device as the owner of a page of its own. A page that was once faulted in knows the device for good, together
/// with those that it is mapped with (drivers/dax/device.c:dax_set_mapping).
fn of_device(record: &SpaceRecord, size: PageSize, page: &PageFacts, beside: &Beside<'_>) -> OwnerFacts {
    let present = match &page.mapped {
        Answer::Done(mapped) => mapped.iter().any(Covering::points_there),
        Answer::Refused(_) => false,
    };
    let unit = size.bytes();
    let start = page.offset.0 - page.offset.0 % unit;
    let ever = beside.names.was_device_mapped(&(start..start + unit));
    OwnerFacts {
        record: record.clone(),
        inode: Some(InodeFacts {
            name: Some(beside.stack.device().to_owned()),
            kind: Some(InodeKind::Character),
            dax: Some(true),
            in_core: Some(true),
        }),
        faulted: if present {
            Some(true)
        } else {
            (!ever).then_some(false)
        },
    }
}

fn inode(said: &call::Facts, number: u64, beside: &Beside<'_>) -> InodeFacts {
    let named: Vec<_> = beside
        .names
        .all()
        .filter(|(_, named)| named.inode == Some(number))
        .collect();
    let kind = named.first().map(|(_, named)| match named.kind {
        FileKind::File => InodeKind::Regular,
        FileKind::Directory => InodeKind::Directory,
        FileKind::Symlink => InodeKind::Symlink,
    });
    let in_core = said.in_core.get(&number);
    // Names that nothing has looked up since the mount are all that could have brought it in core.
    let untouched = !named.is_empty() && named.iter().all(|(path, _)| beside.names.is_untouched(path));
    InodeFacts {
        name: named.first().map(|(path, _)| (*path).to_owned()),
        kind,
        dax: in_core.and_then(|inode| inode.dax),
        in_core: match (in_core, untouched) {
            (Some(_), _) => Some(true),
            (None, true) => Some(false),
            (None, false) => None,
        },
    }
}

/// Whoever has it present has faulted it in; a file that no victim has mapped since the mount nobody has.
fn faulted(said: &call::Facts, page: &PageFacts, record: &SpaceRecord, beside: &Beside<'_>) -> Option<bool> {
    let SpaceOwner::Inode { number, .. } = record.owner else {
        return Some(false);
    };
    let maps_it = |covering: &&Covering| {
        let mappings = said.victims.get(&covering.victim).map(|victim| &victim.mappings);
        let mapped = mappings.and_then(|mappings| mappings.get(covering.at.mapping)?.as_ref());
        mapped.is_some_and(|mapped| mapped.inode == number)
    };
    match &page.mapped {
        Answer::Done(mapped) if mapped.iter().filter(maps_it).any(Covering::points_there) => Some(true),
        _ => {
            let ever = |(path, named): (&str, super::names::Named)| {
                named.inode == Some(number) && beside.names.was_mapped(path)
            };
            (!beside.names.all().any(ever)).then_some(false)
        }
    }
}

fn victims(said: &call::Facts, page: Option<&PageFacts>, beside: &Beside<'_>) -> Vec<VictimFacts> {
    let mut all = Vec::new();
    for (name, victim) in beside.victims.iter().filter(|(_, victim)| !victim.released) {
        let Some(seen) = said.victims.get(name) else {
            continue;
        };
        let state = &seen.state;
        let threads = state
            .threads
            .iter()
            .enumerate()
            .map(|(index, thread)| ThreadFacts {
                name: match index {
                    0 => MAIN_THREAD.to_owned(),
                    _ => thread.name.clone(),
                },
                tid: thread.tid,
                policy: thread.policy,
                blocks_sigbus: has_sigbus(state.blocked),
                has_sigbus_pending: has_sigbus(state.pending),
            });
        let coverings = match page.map(|page| &page.mapped) {
            Some(Answer::Done(mapped)) => mapped.as_slice(),
            Some(Answer::Refused(_)) => &[],
            None => beside.ordinary.mapped.as_slice(),
        };
        let pages = coverings
            .iter()
            .filter(|covering| covering.victim == *name)
            .filter_map(|covering| mapped_page(covering, seen, victim, beside.ordinary.ram));
        all.push(VictimFacts {
            name: name.clone(),
            pid: state.pid,
            alive: state.ended.is_none(),
            sigbus: if has_sigbus(state.ignored) {
                Disposition::Ignored
            } else if has_sigbus(state.caught) {
                Disposition::Handler
            } else {
                Disposition::Default
            },
            threads: threads.collect(),
            pages: pages.collect(),
        });
    }
    all
}

fn mapped_page(
    covering: &Covering,
    seen: &call::VictimFacts,
    victim: &Victim,
    ram: Option<Ram>,
) -> Option<MappedPage> {
    let map = covering.at.mapping;
    let mapped = seen.mappings.get(map)?.as_ref()?;
    let at = covering.at.offset.page().0;
    let private = victim
        .spec
        .maps
        .get(map)
        .is_some_and(|spec| spec.mapping == MappingKind::Private);
    Some(MappedPage {
        map,
        at,
        address: mapped.address + at,
        file: FilePlace {
            inode: mapped.inode,
            offset: FileOffset(mapped.offset.0 + at),
        },
        private,
        entry: if covering.entry.swapped {
            Entry::Poisoned
        } else if !covering.entry.present {
            Entry::Absent
        } else if covering.copied {
            Entry::Elsewhere
        } else if ram == Some(Ram::PrivateCopy) {
            // It is a page on its own, and so is its entry.
            Entry::Here(Some(PageSize::Base))
        } else {
            Entry::Here(covering.size.map(|proved| proved.size))
        },
    })
}

/// The extents of a file as records of the space map.
pub(super) fn records_of(number: u64, extents: &[call::Extent]) -> Vec<SpaceRecord> {
    let placed = extents.iter().filter_map(|extent| {
        let start = extent.physical?;
        Some(SpaceRecord {
            start,
            length: extent.length,
            owner: SpaceOwner::Inode {
                number,
                offset: extent.logical,
            },
            attribute_fork: false,
            extent_map: false,
            unwritten: extent.unwritten,
            shared: extent.shared,
        })
    });
    placed.collect()
}

/// The places at which living victims' mappings cover a page of a device, by the extents of the files that lie there.
pub(super) fn coverings(page: FsOffset, records: &[SpaceRecord], said: &call::Facts) -> Vec<(String, Spot)> {
    let mut all = Vec::new();
    for record in records {
        let SpaceOwner::Inode { number, offset } = record.owner else {
            continue;
        };
        let Some(into) = page
            .0
            .checked_sub(record.start.0)
            .filter(|into| *into < record.length)
        else {
            continue;
        };
        let place = FilePlace {
            inode: number,
            offset: FileOffset(offset.0 + into),
        };
        all.extend(mapped_at(place, said));
    }
    all
}

/// The places at which living victims' mappings show this byte of a file.
pub(super) fn mapped_at(place: FilePlace, said: &call::Facts) -> Vec<(String, Spot)> {
    let mut all = Vec::new();
    for (name, victim) in &said.victims {
        if victim.state.ended.is_some() {
            continue;
        }
        for (mapping, mapped) in victim.mappings.iter().enumerate() {
            let at = mapped
                .as_ref()
                .filter(|mapped| mapped.inode == place.inode)
                .and_then(|mapped| Some((place.offset.0.checked_sub(mapped.offset.0)?, mapped.length)))
                .filter(|(at, length)| at < length);
            if let Some((at, _)) = at {
                let offset = MappingOffset(at);
                all.push((name.clone(), Spot { mapping, offset }));
            }
        }
    }
    all
}

/// The byte of a file that a victim has mapped at a spot; `None` where she has nothing mapped.
pub(super) fn place_of(name: &str, spot: Spot, said: &call::Facts) -> Option<FilePlace> {
    let mapped = said.victims.get(name)?.mappings.get(spot.mapping)?.as_ref()?;
    Some(FilePlace {
        inode: mapped.inode,
        offset: FileOffset(mapped.offset.0 + spot.offset.page().0),
    })
}

/// What a page of ordinary memory is; `None` where its flags cannot be seen.
pub(super) fn ram(flags: PageFlags) -> Option<Ram> {
    let PageFlags::Known(flags) = flags else {
        return None;
    };
    // KPF_KSM says nothing: 6.12 shows it of every anonymous page (fs/proc/page.c:stable_page_flags), and what no
    // victim has marked as mergeable is never merged.
    let has = |flag: PageFlag| flags & (1 << flag.bit()) != 0;
    let more = [
        PageFlag::CompoundHead,
        PageFlag::CompoundTail,
        PageFlag::Huge,
        PageFlag::Thp,
        PageFlag::ZeroPage,
        PageFlag::Hwpoison,
        PageFlag::Nopage,
    ];
    Some(if has(PageFlag::Anon) && !more.into_iter().any(has) {
        Ram::PrivateCopy
    } else {
        Ram::Other
    })
}

#[cfg(test)]
mod tests;
