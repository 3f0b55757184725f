// SPDX-License-Identifier: MIT OR Apache-2.0
//! A block or character device of persistent memory, as sysfs shows it.

use super::error::{Doing, failure};
use super::regions::number_in;
use guest_agent::address::{DeviceOffset, GuestPhysical};
use guest_agent::call::{BadMemory, BadRange, Failure, PmemState, SECTOR};
use std::fs;
use std::ops::Range;
use std::path::Path;

/// The character devices of `drivers/dax/bus.c`.
pub(super) const DAX_DEVICES: &str = "/sys/bus/dax/devices";

/// Size, data start and badblocks of `/dev/<device>`.
pub(crate) fn ask(device: &str) -> Result<Option<PmemState>, Failure> {
    let character = Path::new(DAX_DEVICES).join(device);
    if character.exists() {
        return of_character(device, &character).map(Some);
    }
    let block = Path::new("/sys/block").join(device);
    if !block.exists() {
        return Ok(None);
    }
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
    let (badblocks, own_cut) = shown(&block.join("badblocks"))?;
    let (region_badblocks, region_cut) = of_region(&holder)?;
    Ok(Some(PmemState {
        size: sectors * SECTOR,
        data_start,
        align: None,
        holder: name,
        truncated: own_cut || region_cut,
        badblocks,
        region_badblocks,
    }))
}

/// A list of bad blocks, and whether sysfs shows less than all of it.
fn shown(path: &Path) -> Result<(Vec<BadRange>, bool), Failure> {
    let text = fs::read_to_string(path).doing(path.display())?;
    BadRange::parse_shown(&text)
        .map_err(|line| failure(format_args!("{}: cannot make sense of {line:?}", path.display())))
}

/// The same of a character device, whose folder this is.
fn of_character(device: &str, folder: &Path) -> Result<PmemState, Failure> {
    let number = |attribute: &str| {
        let path = folder.join(attribute);
        let text = fs::read_to_string(&path).doing(path.display())?;
        number_in(&text).ok_or_else(|| failure(format_args!("{}: {text:?} is no number", path.display())))
    };
    let (start, size) = (number("resource")?, number("size")?);
    let place = fs::canonicalize(folder).doing(format_args!("device of {device}"))?;
    let holder = place.parent().and_then(Path::file_name).unwrap_or_default();
    let (region_badblocks, truncated) = of_region(&place)?;
    Ok(PmemState {
        size,
        data_start: Some(GuestPhysical(start)),
        align: Some(number("align")?),
        holder: holder.to_string_lossy().into_owned(),
        truncated,
        badblocks: within(start..start + size, &region_badblocks),
        region_badblocks,
    })
}

/// What of these lies in a part of memory, counted from its beginning.
fn within(memory: Range<u64>, bad: &[BadMemory]) -> Vec<BadRange> {
    bad.iter()
        .filter_map(|range| {
            let start = range.start.0.max(memory.start);
            let end = range.start.0.saturating_add(range.length).min(memory.end);
            let length = end.checked_sub(start).filter(|length| *length > 0)?;
            Some(BadRange {
                start: DeviceOffset(start - memory.start),
                length,
            })
        })
        .collect()
}

/// What the region above a namespace's device has on record, and whether sysfs shows less than all of it. Regions other than of persistent memory have no such list.
fn of_region(holder: &Path) -> Result<(Vec<BadMemory>, bool), Failure> {
    let is_region = |folder: &&Path| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with("region") && folder.join("badblocks").exists()
    };
    let Some(region) = holder.ancestors().find(is_region) else {
        return Ok((Vec::new(), false));
    };
    let read = |name: &str| {
        let path = region.join(name);
        fs::read_to_string(&path).doing(path.display())
    };
    let resource = read("resource")?;
    let digits = resource.trim().trim_start_matches("0x");
    let start = u64::from_str_radix(digits, 16).doing(format_args!("resource of {}", region.display()))?;
    let (ranges, truncated) = shown(&region.join("badblocks"))?;
    let bad = ranges
        .iter()
        .map(|range| BadMemory {
            start: GuestPhysical(start + range.start.0),
            length: range.length,
        })
        .collect();
    Ok((bad, truncated))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_device_has_what_is_bad_of_its_own_bytes() {
        let bad = |start, length| BadMemory {
            start: GuestPhysical(start),
            length,
        };
        let region = [
            bad(0x1000, 0x1000),
            bad(0x3f00, 0x200),
            bad(0x5000, 0x1000),
            bad(0x7ff0, 0x100),
        ];
        let found = within(0x4000..0x8000, &region);
        let expected = [(0, 0x100), (0x1000, 0x1000), (0x3ff0, 0x10)];
        assert_eq!(
            found,
            expected.map(|(start, length)| BadRange {
                start: DeviceOffset(start),
                length
            })
        );
    }
}
