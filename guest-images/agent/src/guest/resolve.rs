// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a byte of a file to the place that its filesystem gave it.

use super::error::{Doing, failure, outcome};
use super::realtime::is_realtime;
use super::{load, sys};
use guest_agent::address::{FileOffset, FsOffset, GuestPhysical, PAGE_SIZE, Resolution};
use guest_agent::call::{Failure, Outcome, PageEntry};
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

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
) -> Result<Outcome<Resolution>, Failure> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) => return outcome(format_args!("open {path}"), Err(error)),
    };
    let extent = match sys::fiemap(file.as_fd(), offset.0) {
        Ok(Some(extent)) => extent,
        Ok(None) => {
            return Err(failure(format_args!(
                "{path} has a hole at {offset}: nothing to resolve"
            )));
        }
        Err(error) => return outcome(format_args!("FIEMAP of {path}"), Err(error)),
    };
    let block_size = match sys::geometry(file.as_fd()) {
        Ok(geometry) => geometry.block_size,
        Err(error) => return outcome(format_args!("XFS_IOC_FSGEOMETRY of {path}"), Err(error)),
    };
    let realtime = match is_realtime(file.as_fd()) {
        Ok(realtime) => realtime,
        Err(error) => return outcome(format_args!("FS_IOC_FSGETXATTR of {path}"), Err(error)),
    };
    let fs_offset = offset
        .0
        .checked_sub(extent.logical)
        .and_then(|into| extent.physical.checked_add(into))
        .map(FsOffset)
        .ok_or_else(|| failure(format_args!("FIEMAP of {path} at {offset} answered {extent:?}")))?;
    let block = fs_offset
        .block(block_size)
        .ok_or_else(|| failure(format_args!("{path}: a block size of zero")))?;
    Ok(Outcome::Done(Resolution {
        file_offset: offset,
        fs_offset,
        realtime,
        block,
        by_pagemap: if cross_check {
            by_pagemap(&file, offset)?
        } else {
            None
        },
    }))
}

/// Maps the byte's page and asks pagemap where it is.
fn by_pagemap(file: &File, offset: FileOffset) -> Result<Option<GuestPhysical>, Failure> {
    load::record_signals().doing("sigaction")?;
    let length = file.metadata().doing("stat")?.len();
    // A mapping that is refused leaves nothing to compare with; what it means is for the reader to say.
    let Ok(mapping) = sys::Mapping::of(file.as_fd(), usize::try_from(length).unwrap_or(usize::MAX)) else {
        return Ok(None);
    };
    let address = mapping.address + usize::try_from(offset.0).doing("offset")?;
    let loaded = load::load(address);
    let entry = page_entry(i32::try_from(std::process::id()).doing("pid")?, address as u64);
    sys::unmap(mapping).doing("munmap")?;
    match loaded {
        None => Ok(None),
        Some(_) => Ok(entry?
            .physical
            .map(|page| GuestPhysical(page.0 + offset.0 % PAGE_SIZE))),
    }
}

/// One entry of /proc/PID/pagemap (`Documentation/admin-guide/mm/pagemap.rst`).
pub(crate) fn page_entry(pid: i32, address: u64) -> Result<PageEntry, Failure> {
    const PRESENT: u64 = 1 << 63;
    const PFN: u64 = (1 << 55) - 1;
    let path = format!("/proc/{pid}/pagemap");
    let mut word = [0; 8];
    File::open(&path)
        .and_then(|file| file.read_exact_at(&mut word, address / PAGE_SIZE * 8))
        .doing(&path)?;
    let word = u64::from_ne_bytes(word);
    let present = word & PRESENT != 0;
    Ok(PageEntry {
        present,
        physical: present.then_some(GuestPhysical((word & PFN) * PAGE_SIZE)),
    })
}
