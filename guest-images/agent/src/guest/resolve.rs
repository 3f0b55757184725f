// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a byte of a file to the place that its filesystem gave it.

use super::error::{Call, Doing, Tried, failure};
use super::pages::Tables;
use super::sys::file::{self, FiemapExtent, FsXattr};
use super::sys::memory::{How, Mapping};
use super::sys::xfs;
use super::{access, files, signals};
use guest_agent::address::{FileOffset, FsOffset, GuestPhysical, PAGE_SIZE, Resolution, Resolved};
use guest_agent::call::{Failure, Outcome};
use std::fs::File;
use std::os::fd::AsFd;

/// The subcommand `resolve FILE BYTE`: prints the resolution as JSON.
pub(crate) fn run(path: &str, byte: &str) -> Result<(), Failure> {
    let offset = FileOffset(byte.parse().doing(format_args!("byte {byte}"))?);
    let found = resolve(path, offset, true)?;
    println!(
        "{}",
        serde_json::to_string(&found).doing("cannot write the answer")?
    );
    Ok(())
}

/// Follows a byte down; refused when the kernel refuses to open the file or to map its extents.
pub(crate) fn resolve(
    path: &str,
    offset: FileOffset,
    cross_check: bool,
) -> Result<Outcome<Resolved>, Failure> {
    let Found {
        file,
        extents,
        block_size,
        realtime,
    } = match look_up(path, offset) {
        Ok(found) => found,
        Err(stopped) => return stopped.refusal().map(Outcome::Refused),
    };
    let Some(extent) = extents.first().map(files::extent) else {
        let size = file.metadata().doing(path)?.len();
        return Ok(Outcome::Done(Resolved::Nowhere { size }));
    };
    let fs_offset = offset
        .0
        .checked_sub(extent.logical.0)
        .and_then(|into| extent.physical?.0.checked_add(into))
        .map(FsOffset)
        .ok_or_else(|| {
            failure(format_args!(
                "FIEMAP of {path} at {offset} answered with an extent that begins behind it, or lies nowhere"
            ))
        })?;
    let block = fs_offset
        .block(block_size)
        .ok_or_else(|| failure(format_args!("{path}: a block size of zero")))?;
    Ok(Outcome::Done(Resolved::At(Resolution {
        file_offset: offset,
        fs_offset,
        realtime,
        block,
        by_pagemap: if cross_check {
            by_pagemap(&file, offset)?
        } else {
            None
        },
    })))
}

/// What is asked of the kernel about a byte of a file.
struct Found {
    file: File,
    /// The one that holds it, if there is one.
    extents: Vec<FiemapExtent>,
    /// Of the filesystem.
    block_size: u32,
    /// Whether its extents lie on the realtime device.
    realtime: bool,
}

fn look_up(path: &str, offset: FileOffset) -> Tried<Found> {
    let file = files::open(path)?;
    let extents = file::fiemap(file.as_fd(), offset.0, 1, true).of("FIEMAP", path)?;
    let geometry = xfs::geometry(file.as_fd()).of("XFS_IOC_FSGEOMETRY", path)?;
    let flags = file::flags(file.as_fd()).of("FS_IOC_FSGETXATTR", path)?;
    Ok(Found {
        file,
        extents,
        block_size: geometry.block_size,
        realtime: flags.flags & FsXattr::REALTIME != 0,
    })
}

/// Maps the byte's page and asks pagemap.
fn by_pagemap(file: &File, offset: FileOffset) -> Result<Option<GuestPhysical>, Failure> {
    signals::record_signals().doing("sigaction")?;
    let how = How {
        flags: libc::MAP_SHARED,
        writable: false,
        huge: false,
    };
    let length = usize::try_from(PAGE_SIZE).doing("page size")?;
    // A mapping that is refused leaves nothing to compare with; what it means is for the reader to say.
    let Ok(mapping) = Mapping::of(file.as_fd(), offset.page().0, length, how) else {
        return Ok(None);
    };
    let loaded = access::load(mapping.address);
    let pid = i32::try_from(std::process::id()).doing("pid")?;
    let entry = Tables::of(pid).and_then(|tables| tables.entry(mapping.address as u64));
    mapping.unmap().doing("munmap")?;
    match loaded {
        None => Ok(None),
        Some(_) => Ok(entry?
            .physical
            .map(|page| GuestPhysical(page.0 + offset.0 % PAGE_SIZE))),
    }
}
