// SPDX-License-Identifier: MIT OR Apache-2.0
//! A pmem block device as sysfs shows it.

use super::error::{Doing, failure};
use guest_agent::address::GuestPhysical;
use guest_agent::call::{BadMemory, BadRange, Failure, PmemState, SECTOR};
use std::fs;
use std::path::Path;

/// Size, data start and badblocks of `/dev/<device>`.
pub(crate) fn ask(device: &str) -> Result<PmemState, Failure> {
    let block = Path::new("/sys/block").join(device);
    let read = |path: &Path| fs::read_to_string(path).doing(path.display());
    let sectors: u64 = read(&block.join("size"))?
        .trim()
        .parse()
        .doing(format_args!("size of {device}"))?;
    let holder = fs::canonicalize(block.join("device")).doing(format_args!("device of {device}"))?;
    let name = holder
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .ok_or_else(|| failure(format_args!("{} has no name", holder.display())))?;
    // A raw namespace has a resource too, but no struct pages: only a pfn device counts.
    let data_start = if name.starts_with("pfn") {
        let text = read(&holder.join("resource"))?;
        let digits = text.trim().trim_start_matches("0x");
        Some(GuestPhysical(
            u64::from_str_radix(digits, 16).doing(format_args!("resource of {name}: {}", text.trim()))?,
        ))
    } else {
        None
    };
    let badblocks = BadRange::parse_list(&read(&block.join("badblocks"))?).map_err(|line| {
        failure(format_args!(
            "badblocks of {device}: cannot make sense of {line:?}"
        ))
    })?;
    Ok(PmemState {
        size: sectors * SECTOR,
        data_start,
        holder: name,
        badblocks,
        region_badblocks: of_region(&holder)?,
    })
}

/// What the region above a namespace's device has on record. Regions other than of persistent memory have no such list.
fn of_region(holder: &Path) -> Result<Vec<BadMemory>, Failure> {
    let is_region = |folder: &&Path| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("region") && folder.join("badblocks").exists()
    };
    let Some(region) = holder.ancestors().find(is_region) else {
        return Ok(Vec::new());
    };
    let read = |name: &str| {
        let path = region.join(name);
        fs::read_to_string(&path).doing(path.display())
    };
    let resource = read("resource")?;
    let digits = resource.trim().trim_start_matches("0x");
    let start = u64::from_str_radix(digits, 16).doing(format_args!("resource of {}", region.display()))?;
    let ranges = BadRange::parse_list(&read("badblocks")?).map_err(|line| {
        failure(format_args!(
            "badblocks of {}: cannot make sense of {line:?}",
            region.display()
        ))
    })?;
    Ok(ranges
        .iter()
        .map(|range| BadMemory {
            start: GuestPhysical(start + range.start.0),
            length: range.length,
        })
        .collect())
}
