// SPDX-License-Identifier: MIT OR Apache-2.0
//! From what a case names to pages: arithmetic, and nothing else. Who has to be asked for what is the steps' affair.

mod choose;

pub use choose::{Part, Structure, Wanted, choose, data_at};

use crate::nvdimm::{Part as Device, Stack};
use guest_agent::address::{DeviceOffset, FsOffset, GuestPhysical, PAGE_SIZE};
use guest_agent::call::Region as Nvdimm;
use testcases::{FileMetadata, GroupMetadata};
use verdict::oracle::facts::Region;

/// A page that an injection hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// In the guest's memory.
    pub physical: GuestPhysical,
    /// What it is part of.
    pub region: Region,
    /// The NVDIMM, counted from 0 by rising address, and where on its pmem device; `None` when it has no place there.
    pub nvdimm: Option<(usize, DeviceOffset)>,
    /// What the filesystem uses it for, and as which byte of that device; `None` when it does not.
    pub used: Option<(Device, FsOffset)>,
}

/// The memory of a guest, as far as cases aim at it.
#[derive(Debug, Clone, Copy)]
pub struct Memory<'a> {
    /// The filesystem's devices.
    pub stack: &'a Stack,
    /// The NVDIMMs, with the namespaces' own pages.
    pub nvdimms: &'a [Nvdimm],
    /// Bytes of the filesystem on its data device, if one knows.
    pub filesystem: Option<u64>,
    /// Bytes of an external log, if one knows.
    pub log: Option<u64>,
}

impl Memory<'_> {
    /// The page that holds a byte of one of the filesystem's devices; the error says why there is none.
    pub fn of_device(&self, device: Device, at: FsOffset) -> Result<Page, String> {
        let place = self
            .stack
            .place(device, at.page())
            .map_err(|error| error.to_string())?;
        Ok(self.of_nvdimm(place.nvdimm, place.device, place.physical))
    }

    /// The page that holds a byte of memory, wherever it is.
    pub fn of_physical(&self, at: GuestPhysical) -> Page {
        let at = at.page();
        let mut pmems = self.stack.pmems().iter().enumerate();
        let on_pmem = pmems.find_map(|(index, pmem)| {
            let into = at.0.checked_sub(pmem.data_start.0)?;
            (into < pmem.size).then_some((index, DeviceOffset(into)))
        });
        if let Some((index, into)) = on_pmem {
            return self.of_nvdimm(index, into, at);
        }
        let is_in = |nvdimm: &Nvdimm| (nvdimm.start.0..nvdimm.start.0 + nvdimm.size).contains(&at.0);
        Page {
            physical: at,
            region: if self.nvdimms.iter().any(is_in) {
                Region::Reserved
            } else {
                Region::OrdinaryMemory
            },
            nvdimm: None,
            used: None,
        }
    }

    fn of_nvdimm(&self, index: usize, at: DeviceOffset, physical: GuestPhysical) -> Page {
        let used = self.stack.above(index, at);
        let beyond = |size: Option<u64>, at: FsOffset| size.is_some_and(|size| at.0 >= size);
        let region = match (used, self.stack.mapped_by()) {
            (Some((_, at)), Some(page)) => Region::DeviceDax { at, page },
            (Some((Device::Data, offset)), _) if beyond(self.filesystem, offset) => Region::BeyondFilesystem,
            (Some((Device::Data, offset)), None) => Region::Data(offset),
            (Some((Device::Realtime, offset)), None) => Region::Realtime(offset),
            (Some((Device::Log, offset)), _) if beyond(self.log, offset) => Region::BeyondLog,
            (Some((Device::Log, _)), None) => Region::Log,
            (None, _) => Region::OutsidePartition,
        };
        Page {
            physical,
            region,
            nvdimm: Some((index, at)),
            used,
        }
    }
}

/// The first byte of every page that a range touches; the one page at its beginning if it has no length.
pub fn page_starts(offset: u64, length: Option<u64>) -> impl Iterator<Item = u64> {
    let first = offset - offset % PAGE_SIZE;
    let end = offset.saturating_add(length.unwrap_or(1).max(1));
    (first..end).step_by(usize::try_from(PAGE_SIZE).unwrap_or(usize::MAX))
}

/// How the space map calls what a case wants.
pub const fn structure(kind: GroupMetadata) -> Structure {
    match kind {
        GroupMetadata::AgHeader => Structure::Header,
        GroupMetadata::AgBtree => Structure::Btree,
        GroupMetadata::InodeBtree => Structure::InodeBtree,
        GroupMetadata::RefcountBtree => Structure::RefcountBtree,
        GroupMetadata::InodeChunk => Structure::InodeChunk,
    }
}

/// How the space map calls what a case wants of a file. Blocks of a directory and of a long symbolic link are data of their
/// inodes.
pub const fn part(kind: FileMetadata) -> Part {
    match kind {
        FileMetadata::ExtentMap => Part::ExtentMap,
        FileMetadata::Attributes => Part::Attributes,
        FileMetadata::Directory | FileMetadata::Symlink => Part::FirstData,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::nvdimm::Pmem;
    use testcases::PageSize;

    #[test]
    fn a_byte_of_memory_is_part_of_something() {
        let stack = Stack::plain(vec![Pmem {
            device: "pmem0".to_owned(),
            data_start: GuestPhysical(0x1_0120_0000),
            size: 0x3ee0_0000,
        }]);
        let nvdimms = [Nvdimm {
            number: 0,
            start: GuestPhysical(0x1_0000_0000),
            size: 0x4000_0000,
            device: Some("pmem0".to_owned()),
        }];
        let memory = Memory {
            stack: &stack,
            nvdimms: &nvdimms,
            filesystem: Some(0x1900_0000),
            log: None,
        };
        let page = memory.of_physical(GuestPhysical(0x1_0120_2010));
        assert_eq!(page.nvdimm, Some((0, DeviceOffset(0x2000))));
        assert_eq!(page.used, Some((Device::Data, FsOffset(0x2000))));
        assert_eq!(page.region, Region::Data(FsOffset(0x2000)));
        assert_eq!(memory.of_device(Device::Data, FsOffset(0x2fff)), Ok(page));
        let region = |at| memory.of_physical(GuestPhysical(at)).region;
        assert_eq!(region(0x1_0000_1000), Region::Reserved);
        assert_eq!(region(0x1_0120_0000 + 0x1900_0000), Region::BeyondFilesystem);
        assert_eq!(region(0x1000), Region::OrdinaryMemory);
        assert_eq!(region(0x1_4000_0000), Region::OrdinaryMemory);
        let beyond = memory.of_device(Device::Data, FsOffset(0x3ee0_0000)).unwrap_err();
        assert!(beyond.contains("beyond the end"), "{beyond}");
        assert!(memory.of_device(Device::Log, FsOffset(0)).is_err());
    }

    #[test]
    fn a_character_device_has_no_filesystem_around_its_bytes() {
        let pmem = Pmem {
            device: "dax0.0".to_owned(),
            data_start: GuestPhysical(0x1_0120_0000),
            size: 0x3ee0_0000,
        };
        let stack = Stack::character(vec![pmem], PageSize::Huge);
        let memory = Memory {
            stack: &stack,
            nvdimms: &[],
            filesystem: None,
            log: None,
        };
        let expected = Region::DeviceDax {
            at: FsOffset(0x30_1000),
            page: PageSize::Huge,
        };
        let page = memory.of_device(Device::Data, FsOffset(0x30_1234)).unwrap();
        assert_eq!(
            (page.region, page.physical),
            (expected, GuestPhysical(0x1_0150_1000))
        );
        assert_eq!(memory.of_physical(page.physical), page);
        assert!(memory.of_device(Device::Log, FsOffset(0)).is_err());
    }

    #[test]
    fn a_range_is_every_page_that_it_touches() {
        let pages = |offset, length| page_starts(offset, length).collect::<Vec<_>>();
        assert_eq!(pages(0x1234, None), [0x1000]);
        assert_eq!(pages(0x1fff, Some(2)), [0x1000, 0x2000]);
        assert_eq!(pages(0x2000, Some(0x2000)), [0x2000, 0x3000]);
    }
}
