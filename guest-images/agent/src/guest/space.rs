// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who owns which piece of a mounted XFS.

use super::error::{Call, Tried};
use super::files;
use super::sys::file;
use super::sys::xfs::{self, Fsmap};
use guest_agent::address::{FileOffset, FsOffset, PAGE_SIZE};
use guest_agent::call::{Space, SpaceOwner, SpaceRecord, WOULD_WAIT};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::{fs, io};

const FMR_OF_PREALLOC: u32 = 0x1;
const FMR_OF_ATTR_FORK: u32 = 0x2;
const FMR_OF_EXTENT_MAP: u32 = 0x4;
const FMR_OF_SHARED: u32 = 0x8;
const FMR_OF_SPECIAL_OWNER: u32 = 0x10;

/// Geometry and all GETFSMAP records of the data device.
pub(crate) fn map(at: &str) -> Tried<Space> {
    let root = files::open(at)?;
    let geometry = xfs::geometry(root.as_fd()).of("XFS_IOC_FSGEOMETRY", at)?;
    let device = file::status_of(root.as_fd()).of("statx", at)?.device;
    let (low, high) = (Fsmap::from(device, 0), Fsmap::up_to(device, u64::MAX));
    let records = ask(root.as_fd(), low, high).of("GETFSMAP", at)?;
    Ok(Space {
        block_size: geometry.block_size,
        ag_blocks: geometry.ag_blocks,
        ag_count: geometry.ag_count,
        records: records.iter().map(record).collect(),
    })
}

/// The records that overlap a page.
pub(crate) fn owners(at: &str, page: FsOffset) -> Tried<Vec<SpaceRecord>> {
    let root = files::open(at)?;
    let device = file::status_of(root.as_fd()).of("statx", at)?.device;
    let low = Fsmap::from(device, page.0);
    let high = Fsmap::up_to(device, page.0 + PAGE_SIZE - 1);
    let records = ask(root.as_fd(), low, high).of("GETFSMAP", at)?;
    Ok(records.iter().map(record).collect())
}

/// GETFSMAP, but not while the device below is suspended: it reads the allocation groups' btrees from the device, and would wait
/// until that is resumed.
fn ask(root: BorrowedFd<'_>, low: Fsmap, high: Fsmap) -> io::Result<Vec<Fsmap>> {
    if is_suspended(Path::new("/sys/dev/block"), low.device) {
        return Err(io::Error::from_raw_os_error(WOULD_WAIT));
    }
    xfs::getfsmap(root, low, high)
}

/// Whether device mapper holds back all I/O of a device (drivers/md/dm-sysfs.c); no other can be held back so.
fn is_suspended(devices: &Path, device: u32) -> bool {
    let (major, minor) = file::decoded(device);
    let path = devices.join(format!("{major}:{minor}/dm/suspended"));
    fs::read_to_string(path).is_ok_and(|text| text.trim() == "1")
}

fn record(found: &Fsmap) -> SpaceRecord {
    let has = |flag: u32| found.flags & flag != 0;
    SpaceRecord {
        start: FsOffset(found.physical),
        length: found.length,
        owner: owner(found),
        attribute_fork: has(FMR_OF_ATTR_FORK),
        extent_map: has(FMR_OF_EXTENT_MAP),
        unwritten: has(FMR_OF_PREALLOC),
        shared: has(FMR_OF_SHARED),
    }
}

fn owner(record: &Fsmap) -> SpaceOwner {
    const XFS: u64 = (b'X' as u64) << 32;
    if record.flags & FMR_OF_SPECIAL_OWNER == 0 {
        return SpaceOwner::Inode {
            number: record.owner,
            offset: FileOffset(record.offset),
        };
    }
    match record.owner {
        // FMR_OWNER(0, …), `<linux/fsmap.h>`.
        1 => SpaceOwner::Free,
        2 => SpaceOwner::Unknown,
        owner if owner == XFS | 1 => SpaceOwner::AgHeader,
        owner if owner == XFS | 2 => SpaceOwner::Log,
        owner if owner == XFS | 3 => SpaceOwner::AgBtree,
        owner if owner == XFS | 4 => SpaceOwner::InodeBtree,
        owner if owner == XFS | 5 => SpaceOwner::InodeChunk,
        owner if owner == XFS | 6 => SpaceOwner::RefcountBtree,
        owner if owner == XFS | 7 => SpaceOwner::CowStaging,
        other => SpaceOwner::Other(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suspended_device_is_not_waited_for() {
        let devices = tempfile::tempdir().unwrap();
        let folder = devices.path().join("253:1/dm");
        fs::create_dir_all(&folder).unwrap();
        let device = file::encoded(253, 1);
        for (text, suspended) in [("0\n", false), ("1\n", true)] {
            fs::write(folder.join("suspended"), text).unwrap();
            assert_eq!(is_suspended(devices.path(), device), suspended);
        }
        // No device of device mapper.
        assert!(!is_suspended(devices.path(), file::encoded(259, 0)));
    }
}
