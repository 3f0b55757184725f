// SPDX-License-Identifier: MIT OR Apache-2.0
//! The NVDIMMs of this machine, and the block and character devices on them.

use super::error::{Doing, failure};
use super::pmem::DAX_DEVICES;
use guest_agent::address::GuestPhysical;
use guest_agent::call::{Failure, Region};
use std::fs;
use std::path::Path;

/// Every persistent-memory region, the one at the lowest address first.
pub(crate) fn ask() -> Result<Vec<Region>, Failure> {
    const BUS: &str = "/sys/bus/nd/devices";
    let devices = devices()?;
    let mut found = Vec::new();
    for entry in fs::read_dir(BUS).doing(BUS)? {
        let entry = entry.doing(BUS)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(number) = name.strip_prefix("region").and_then(|text| text.parse().ok()) else {
            continue;
        };
        let read = |attribute: &str| {
            let path = entry.path().join(attribute);
            let text = fs::read_to_string(&path).doing(path.display())?;
            number_in(&text).ok_or_else(|| failure(format_args!("{}: {text:?} is no number", path.display())))
        };
        let device = devices.iter().find(|(_, region)| *region == name);
        found.push(Region {
            number,
            start: GuestPhysical(read("resource")?),
            size: read("size")?,
            device: device.map(|(device, _)| device.clone()),
        });
    }
    found.sort_by_key(|region| region.start);
    Ok(found)
}

/// The pmem block devices and the DAX character devices, each with the name of the region that it is in.
fn devices() -> Result<Vec<(String, String)>, Failure> {
    const BLOCK: &str = "/sys/block";
    let mut found = named(BLOCK, "pmem")?;
    // A kernel without device-dax has no such bus.
    if Path::new(DAX_DEVICES).exists() {
        found.extend(named(DAX_DEVICES, "dax")?);
    }
    Ok(found)
}

/// The devices of a class whose names begin so, each with the name of its region.
fn named(class: &str, prefix: &str) -> Result<Vec<(String, String)>, Failure> {
    let mut found = Vec::new();
    for entry in fs::read_dir(class).doing(class)? {
        let entry = entry.doing(class)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with(prefix) {
            continue;
        }
        let path = fs::canonicalize(entry.path()).doing(entry.path().display())?;
        found.extend(region_of(&path).map(|region| (name, region)));
    }
    Ok(found)
}

/// `region0` of `/sys/devices/…/ndbus0/region0/pfn0.0/block/pmem0`.
fn region_of(path: &Path) -> Option<String> {
    path.iter()
        .map(|part| part.to_string_lossy())
        .find(|part| part.starts_with("region"))
        .map(std::borrow::Cow::into_owned)
}

/// A number as sysfs writes it, with or without `0x`.
pub(super) fn number_in(text: &str) -> Option<u64> {
    let text = text.trim();
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_device_lies_below_its_region() {
        let path = "/sys/devices/LNXSYSTM:00/ACPI0012:00/ndbus0/region1/pfn1.0/block/pmem1";
        assert_eq!(region_of(Path::new(path)).as_deref(), Some("region1"));
        assert_eq!(region_of(Path::new("/sys/devices/virtual/block/dm-0")), None);
        let character = "/sys/devices/LNXSYSTM:00/ACPI0012:00/ndbus0/region0/dax0.1/dax0.0";
        assert_eq!(region_of(Path::new(character)).as_deref(), Some("region0"));
    }

    #[test]
    fn sysfs_writes_numbers_in_two_ways() {
        assert_eq!(number_in("0x100000000\n"), Some(1 << 32));
        assert_eq!(number_in("1073741824\n"), Some(1 << 30));
        assert_eq!(number_in("pmem\n"), None);
    }
}
