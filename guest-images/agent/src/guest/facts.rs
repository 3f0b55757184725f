// SPDX-License-Identifier: MIT OR Apache-2.0
//! What decides what an error in a page will do, gathered without changing any of it: see the wire format's page on it.

use super::change::Held;
use super::error::{Call, Doing, Tried, failure, outcome};
use super::pages::Tables;
use super::sys::file::{self, FsXattr};
use super::tracefs::Trace;
use super::victims::{Victim, Victims};
use super::{files, mounts, space};
use guest_agent::address::{FsOffset, GuestPhysical, MappingOffset, PAGE_SIZE};
use guest_agent::call::{
    AskFacts, Covering, Extent, Facts, Failure, FileStatus, InCore, Outcome, PageFacts, Refusal, WhyInCore,
};
use guest_agent::victim::{Mapped, Spot};
use std::collections::BTreeMap;
use std::fs;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;

/// Everything at once.
pub(crate) fn gather(
    call: &AskFacts,
    victims: &Victims,
    held: &Held,
    trace: &Trace,
) -> Result<Facts, Failure> {
    let number = call.device.as_ref().map(|device| device.number);
    let seen = mounts::state(&call.at, call.device.as_ref(), |device| {
        ways_in(victims, held, device)
    })?;
    let all = victims.all();
    let mut facts = BTreeMap::new();
    for (name, victim) in &all {
        facts.insert(name.clone(), victim.facts(trace)?);
    }
    let mut places = Vec::new();
    for (name, victim) in &all {
        places.extend(places_of(name, victim, number)?);
    }
    let extents = match places.iter().map(extents_of).collect::<Tried<Vec<_>>>() {
        Ok(extents) => Ok(extents),
        Err(stopped) => Err(stopped.refusal()?),
    };
    let mut pages = Vec::new();
    for asked in &call.pages {
        let (offset, physical) = (asked.offset.page(), asked.physical.page());
        let mapped = match &extents {
            Ok(extents) => Outcome::Done(coverings(offset, physical, &places, extents, trace)?),
            Err(refusal) => Outcome::Refused(refusal.clone()),
        };
        pages.push(PageFacts {
            offset,
            physical,
            owners: match &seen.way_in {
                Some(path) => outcome(space::owners(path, offset))?,
                None => Outcome::Refused(Refusal {
                    what: "GETFSMAP: nothing leads into the filesystem".to_owned(),
                    errno: libc::ENOENT,
                }),
            },
            mapped,
        });
    }
    Ok(Facts {
        mount: seen.state,
        early_kill: knob("memory_failure_early_kill")?,
        recovery: knob("memory_failure_recovery")?,
        pages,
        victims: facts,
        in_core: in_core(call, held, &places, number),
    })
}

/// What leads into the filesystem of a device when no mount does: the files of it that living victims map, and those that the
/// agent holds open.
pub(crate) fn ways_in(victims: &Victims, held: &Held, device: u32) -> Result<Vec<String>, Failure> {
    let mut ways = Vec::new();
    for (name, victim) in &victims.all() {
        let places = places_of(name, victim, Some(device))?;
        ways.extend(places.into_iter().map(|place| place.file));
    }
    let files = held.files();
    let ours = files
        .values()
        .filter(|file| of_filesystem(file.as_fd(), Some(device)).is_some());
    ways.extend(ours.map(|file| format!("/proc/self/fd/{}", file.as_raw_fd())));
    Ok(ways)
}

fn knob(name: &str) -> Result<bool, Failure> {
    let path = format!("/proc/sys/vm/{name}");
    match fs::read_to_string(&path).doing(&path)?.trim() {
        "0" => Ok(false),
        "1" => Ok(true),
        other => Err(failure(format_args!("{path} says {other:?}"))),
    }
}

/// A mapping of a living victim, of a file on the filesystem that is asked about.
struct Place {
    victim: String,
    pid: i32,
    index: usize,
    mapped: Mapped,
    /// A magic link to the file that is mapped, wherever its names went.
    file: String,
}

fn places_of(name: &str, victim: &Arc<Victim>, filesystem: Option<u32>) -> Result<Vec<Place>, Failure> {
    let Some(pid) = victim.alive() else {
        return Ok(Vec::new());
    };
    let path = format!("/proc/{pid}/maps");
    let table = fs::read_to_string(&path).doing(&path)?;
    let places = victim.mappings().into_iter().enumerate();
    Ok(places
        .filter_map(|(index, mapped)| {
            let mapped = mapped?;
            let (range, device) = area(&table, mapped.address)?;
            (Some(device) == filesystem).then(|| Place {
                victim: name.to_owned(),
                pid,
                index,
                mapped,
                file: format!("/proc/{pid}/map_files/{range}"),
            })
        })
        .collect())
}

/// The area of /proc/PID/maps that holds an address: its range as `map_files` spells it, and its device. Neighbours may
/// have been joined, or one have been split, so it need not begin where the mapping does.
fn area(table: &str, address: u64) -> Option<(String, u32)> {
    table.lines().find_map(|line| {
        // "start-end perms offset major:minor inode path"
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let (start, end) = (
            u64::from_str_radix(start, 16).ok()?,
            u64::from_str_radix(end, 16).ok()?,
        );
        let (major, minor) = words.nth(2)?.split_once(':')?;
        let number = |word| u32::from_str_radix(word, 16).ok();
        (start..end)
            .contains(&address)
            .then_some(Some((
                format!("{start:x}-{end:x}"),
                file::encoded(number(major)?, number(minor)?),
            )))
            .flatten()
    })
}

/// The places at which mappings cover a page of the device.
fn coverings(
    page: FsOffset,
    physical: GuestPhysical,
    places: &[Place],
    extents: &[Vec<Extent>],
    trace: &Trace,
) -> Result<Vec<Covering>, Failure> {
    let mut found = Vec::new();
    for (place, extents) in places.iter().zip(extents) {
        for extent in extents {
            let Some(offset) = covered(extent, page, &place.mapped) else {
                continue;
            };
            let tables = Tables::of(place.pid)?;
            let address = place.mapped.address + offset.0;
            let entry = tables.entry(address)?;
            found.push(Covering {
                victim: place.victim.clone(),
                at: Spot {
                    mapping: place.index,
                    offset,
                },
                entry,
                size: tables.size(address, entry, trace)?,
                copied: entry.present && entry.physical != Some(physical),
            });
        }
    }
    Ok(found)
}

/// The extents of the mapped part of a file, without writing anything back; none of a file on the realtime device.
fn extents_of(place: &Place) -> Tried<Vec<Extent>> {
    let file = files::open(&place.file)?;
    let flags = file::flags(file.as_fd()).of("FS_IOC_FSGETXATTR", &place.file)?;
    if flags.flags & FsXattr::REALTIME != 0 {
        return Ok(Vec::new());
    }
    let found = file::fiemap(file.as_fd(), place.mapped.offset.0, place.mapped.length, false)
        .of("FIEMAP", &place.file)?;
    Ok(found.iter().map(files::extent).collect())
}

/// Where a page of the device is in a mapping, if this extent puts it there.
fn covered(extent: &Extent, page: FsOffset, mapped: &Mapped) -> Option<MappingOffset> {
    let start = extent.physical?.0;
    let first = page.0.max(start);
    if first >= (page.0 + PAGE_SIZE).min(start + extent.length) {
        return None;
    }
    let in_file = extent.logical.0 + (first - start);
    let offset = in_file.checked_sub(mapped.offset.0)?;
    (offset < mapped.length).then_some(MappingOffset(offset).page())
}

/// The inodes that something is known to keep in core.
fn in_core(call: &AskFacts, held: &Held, places: &[Place], filesystem: Option<u32>) -> BTreeMap<u64, InCore> {
    let mut found: BTreeMap<u64, InCore> = BTreeMap::new();
    let mut add = |inode: u64, dax: Option<bool>, why: WhyInCore| {
        let entry = found.entry(inode).or_insert(InCore {
            dax: None,
            why: Vec::new(),
        });
        entry.dax = entry.dax.or(dax);
        entry.why.push(why);
    };
    for path in &call.paths {
        // EAGAIN: not cached. Anything else: not there, or no way to it.
        let Ok(there) = file::open_if_cached(path) else {
            continue;
        };
        if let Some(status) = of_filesystem(there.as_fd(), filesystem) {
            add(status.inode, Some(status.dax), WhyInCore::Cached(path.clone()));
        }
    }
    for (path, file) in held.files().iter() {
        if let Some(status) = of_filesystem(file.as_fd(), filesystem) {
            add(status.inode, Some(status.dax), WhyInCore::Held(path.clone()));
        }
    }
    for place in places {
        let dax = file::status(&place.file, true).ok().map(|status| status.dax);
        add(place.mapped.inode, dax, WhyInCore::Mapped(place.victim.clone()));
    }
    found
}

/// What an open file is, if it is of this filesystem. One that is shut down does not say.
fn of_filesystem(open: BorrowedFd<'_>, filesystem: Option<u32>) -> Option<FileStatus> {
    let status = file::status_of(open).ok()?;
    (Some(status.device) == filesystem).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;
    use guest_agent::address::FileOffset;

    #[test]
    fn an_area_may_hold_more_than_one_mapping() {
        let table = "7f0000000000-7f0000400000 r--s 00000000 103:00 131    /mnt/a b\n\
                     7f0000400000-7f0000401000 rw-p 00000000 00:00 0\n";
        let found = area(table, 0x7f00_0020_0000).unwrap();
        assert_eq!(found, ("7f0000000000-7f0000400000".to_owned(), 0x1_0300));
        assert_eq!(area(table, 0x7f00_0040_0fff).unwrap().1, 0);
        assert_eq!(area(table, 0x7f00_0040_1000), None);
    }

    #[test]
    fn an_extent_puts_a_page_where_it_is_mapped() {
        let extent = Extent {
            logical: FileOffset(0x10000),
            physical: Some(FsOffset(0x80_0000)),
            length: 0x4000,
            shared: false,
            unwritten: false,
        };
        let mapped = |offset, length| Mapped {
            address: 0x7f00_0000_0000,
            length,
            offset: FileOffset(offset),
            inode: 131,
            device: 0x1_0300,
            dax: true,
        };
        let page = FsOffset(0x80_2000);
        assert_eq!(
            covered(&extent, page, &mapped(0, 0x20000)),
            Some(MappingOffset(0x12000))
        );
        assert_eq!(
            covered(&extent, page, &mapped(0x12000, 0x1000)),
            Some(MappingOffset(0))
        );
        assert_eq!(covered(&extent, page, &mapped(0x13000, 0x1000)), None);
        assert_eq!(covered(&extent, page, &mapped(0, 0x12000)), None);
        assert_eq!(covered(&extent, FsOffset(0x80_4000), &mapped(0, 0x20000)), None);
        let placeless = Extent {
            physical: None,
            ..extent
        };
        assert_eq!(covered(&placeless, page, &mapped(0, 0x20000)), None);
    }
}
