// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who owns which piece of a mounted XFS.

use super::error::outcome;
use super::sys;
use guest_agent::address::{FileOffset, FsOffset};
use guest_agent::call::{Failure, Outcome, Space, SpaceOwner, SpaceRecord};
use nix::sys::stat::{major, minor};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

const FMR_OF_PREALLOC: u32 = 0x1;
const FMR_OF_ATTR_FORK: u32 = 0x2;
const FMR_OF_EXTENT_MAP: u32 = 0x4;
const FMR_OF_SPECIAL_OWNER: u32 = 0x10;

/// Geometry and all GETFSMAP records of the data device.
pub(crate) fn map(at: &str) -> Result<Outcome<Space>, Failure> {
    outcome(format_args!("GETFSMAP of {at}"), read(at))
}

fn read(at: &str) -> io::Result<Space> {
    let root = File::open(at)?;
    let geometry = sys::geometry(root.as_fd())?;
    let records = sys::getfsmap(root.as_fd())?;
    // Records of other devices (an external log, a realtime device) carry another number, which may be the lower one.
    let device = root.metadata()?.dev();
    let data_device = encoded(major(device), minor(device));
    Ok(Space {
        block_size: geometry.block_size,
        ag_blocks: geometry.ag_blocks,
        ag_count: geometry.ag_count,
        records: records
            .iter()
            .filter(|record| u64::from(record.device) == data_device)
            .map(|record| SpaceRecord {
                start: FsOffset(record.physical),
                length: record.length,
                owner: owner(record),
                attribute_fork: record.flags & FMR_OF_ATTR_FORK != 0,
                extent_map: record.flags & FMR_OF_EXTENT_MAP != 0,
                unwritten: record.flags & FMR_OF_PREALLOC != 0,
            })
            .collect(),
    })
}

/// A device's number as GETFSMAP gives it (`include/linux/kdev_t.h`: new_encode_dev).
fn encoded(major: u64, minor: u64) -> u64 {
    minor & 0xff | major << 8 | (minor & !0xff) << 12
}

fn owner(record: &sys::Fsmap) -> SpaceOwner {
    const XFS: u64 = (b'X' as u64) << 32;
    if record.flags & FMR_OF_SPECIAL_OWNER == 0 {
        return SpaceOwner::Inode {
            number: record.owner,
            offset: FileOffset(record.offset),
        };
    }
    match record.owner {
        // FMR_OWNER(0, 1), `<linux/fsmap.h>`.
        1 => SpaceOwner::Free,
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
    fn devices_are_numbered_as_the_kernel_does() {
        assert_eq!(encoded(259, 1), 0x1_0301);
        assert_eq!(encoded(254, 0x1ff), 0x10_feff);
    }
}
