// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a filesystem's devices to the NVDIMMs below them: arithmetic, and nothing else.

use super::NvdimmError;
use guest_agent::address::{DeviceOffset, FsOffset, GuestPhysical};
use serde::{Deserialize, Serialize};
use std::fmt;
use testcases::PageSize;

/// A namespace in fsdax mode over a whole NVDIMM, and its block device; or one in devdax mode, and its character device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pmem {
    /// Its device's name, `pmem0` or `dax0.0`.
    pub device: String,
    /// The guest physical address of the device's first byte.
    pub data_start: GuestPhysical,
    /// Bytes of the device.
    pub size: u64,
}

impl Pmem {
    /// The device's path.
    pub fn path(&self) -> String {
        format!("/dev/{}", self.device)
    }
}

/// One of the devices that a filesystem is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Part {
    /// The data device.
    Data,
    /// An external log.
    Log,
    /// The realtime device.
    Realtime,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Data => "data device",
            Self::Log => "external log",
            Self::Realtime => "realtime device",
        })
    }
}

/// A place in the memory of the NVDIMMs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The NVDIMM, counted from 0 by rising address.
    pub nvdimm: usize,
    /// On its pmem device.
    pub device: DeviceOffset,
    /// In the guest's memory.
    pub physical: GuestPhysical,
}

/// How the data device's bytes lie on pmem devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Map {
    /// One after the other, from `start` of the first NVDIMM on.
    Linear { start: DeviceOffset, length: u64 },
    /// In turns on the first `count` NVDIMMs, `chunk` bytes each (`drivers/md/dm-stripe.c:stripe_map_sector`).
    Striped { count: usize, chunk: u64, length: u64 },
}

/// The devices of a template: the pmem devices of its NVDIMMs, by rising address, and what the filesystem uses them for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stack {
    pmems: Vec<Pmem>,
    device: String,
    map: Map,
    log: Option<usize>,
    realtime: Option<usize>,
    /// By which pages the data device is mapped, if it is a character device.
    character: Option<PageSize>,
}

impl Stack {
    /// A data device at the path `device`, which lies on `pmems` as `map` says; the others, if any, are nobody's yet.
    pub(super) fn new(pmems: Vec<Pmem>, device: String, map: Map) -> Self {
        Self {
            pmems,
            device,
            map,
            log: None,
            realtime: None,
            character: None,
        }
    }

    /// The first of these as the data device itself.
    pub fn plain(pmems: Vec<Pmem>) -> Self {
        let (device, length) = pmems
            .first()
            .map_or_else(Default::default, |pmem| (pmem.path(), pmem.size));
        let start = DeviceOffset(0);
        Self::new(pmems, device, Map::Linear { start, length })
    }

    /// One of each form in which a template's devices can be written down: what is written otherwise is another template.
    pub fn forms() -> [Self; 2] {
        let pmem = Pmem {
            device: String::new(),
            data_start: GuestPhysical(0),
            size: 0,
        };
        let [start, length, chunk] = [0; 3];
        let maps = [
            Map::Linear {
                start: DeviceOffset(start),
                length,
            },
            Map::Striped {
                count: 0,
                chunk,
                length,
            },
        ];
        maps.map(|map| Self {
            pmems: vec![pmem.clone()],
            device: String::new(),
            map,
            log: Some(0),
            realtime: Some(0),
            character: Some(PageSize::Base),
        })
    }

    /// How long the data device is, in bytes.
    pub const fn size(&self) -> u64 {
        match self.map {
            Map::Linear { length, .. } | Map::Striped { length, .. } => length,
        }
    }

    /// The first of these as a character device that is mapped by pages of this size: nothing lies on it, and cases mean it when
    /// they speak of the data device.
    pub fn character(pmems: Vec<Pmem>, align: PageSize) -> Self {
        Self {
            character: Some(align),
            ..Self::plain(pmems)
        }
    }

    /// By which pages the data device is mapped as a whole, if it is a character device; `None` if it is there for a filesystem.
    pub const fn mapped_by(&self) -> Option<PageSize> {
        self.character
    }

    /// With an external log, a realtime device, or both, on these NVDIMMs.
    pub(super) fn with(self, log: Option<usize>, realtime: Option<usize>) -> Self {
        Self {
            log,
            realtime,
            ..self
        }
    }

    /// The path of the data device, which is what is mounted.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// The pmem devices, by rising address.
    pub fn pmems(&self) -> &[Pmem] {
        &self.pmems
    }

    /// The path of the external log, if there is one.
    pub fn log(&self) -> Option<String> {
        self.of(self.log)
    }

    /// The path of the realtime device, if there is one.
    pub fn realtime(&self) -> Option<String> {
        self.of(self.realtime)
    }

    /// The NVDIMMs of the external log and of the realtime device.
    pub(super) const fn others(&self) -> [Option<usize>; 2] {
        [self.log, self.realtime]
    }

    fn of(&self, index: Option<usize>) -> Option<String> {
        index.and_then(|index| self.pmems.get(index)).map(Pmem::path)
    }

    /// Where a byte of one of the filesystem's devices lies.
    pub fn place(&self, part: Part, at: FsOffset) -> Result<Place, NvdimmError> {
        let (nvdimm, device) = match part {
            Part::Data => self.below_data(at).ok_or(NvdimmError::Beyond { part, at })?,
            Part::Log => (self.log.ok_or(NvdimmError::NoPart(part))?, DeviceOffset(at.0)),
            Part::Realtime => (
                self.realtime.ok_or(NvdimmError::NoPart(part))?,
                DeviceOffset(at.0),
            ),
        };
        self.byte(nvdimm, device)
    }

    /// A byte of an NVDIMM's pmem device.
    pub fn byte(&self, nvdimm: usize, at: DeviceOffset) -> Result<Place, NvdimmError> {
        self.pmems
            .get(nvdimm)
            .filter(|pmem| at.0 < pmem.size)
            .and_then(|pmem| at.physical(pmem.data_start))
            .map(|physical| Place {
                nvdimm,
                device: at,
                physical,
            })
            .ok_or(NvdimmError::NoByte { nvdimm, at })
    }

    /// What the filesystem uses a byte of an NVDIMM's pmem device for, and as which byte; `None` when it leaves it out.
    pub fn above(&self, nvdimm: usize, at: DeviceOffset) -> Option<(Part, FsOffset)> {
        if self.log == Some(nvdimm) {
            return Some((Part::Log, FsOffset(at.0)));
        }
        if self.realtime == Some(nvdimm) {
            return Some((Part::Realtime, FsOffset(at.0)));
        }
        let (offset, length) = match self.map {
            Map::Linear { start, length } if nvdimm == 0 => (at.0.checked_sub(start.0)?, length),
            Map::Striped { count, chunk, length } if nvdimm < count => {
                let row = at.0.checked_div(chunk)?;
                let number = row * u64::try_from(count).ok()? + u64::try_from(nvdimm).ok()?;
                (number * chunk + at.0 % chunk, length)
            }
            Map::Linear { .. } | Map::Striped { .. } => return None,
        };
        (offset < length).then_some((Part::Data, FsOffset(offset)))
    }

    fn below_data(&self, at: FsOffset) -> Option<(usize, DeviceOffset)> {
        match self.map {
            Map::Linear { start, length } => {
                (at.0 < length).then(|| (0, DeviceOffset(start.0.saturating_add(at.0))))
            }
            Map::Striped { count, chunk, length } => {
                let number = at.0.checked_div(chunk)?;
                let count_of = u64::try_from(count).ok()?;
                let stripe = usize::try_from(number.checked_rem(count_of)?).ok()?;
                let row = number / count_of;
                (at.0 < length).then_some((stripe, DeviceOffset(row * chunk + at.0 % chunk)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn pmems() -> Vec<Pmem> {
        // As the guest numbers them: not in the order of their addresses.
        [("pmem1", 0x1_0120_0000), ("pmem0", 0x1_4120_0000)]
            .map(|(device, start)| Pmem {
                device: device.to_owned(),
                data_start: GuestPhysical(start),
                size: 1000 * MIB,
            })
            .to_vec()
    }

    fn placed(stack: &Stack, part: Part, at: u64) -> Option<(usize, u64, u64)> {
        stack
            .place(part, FsOffset(at))
            .ok()
            .map(|place| (place.nvdimm, place.device.0, place.physical.0))
    }

    #[test]
    fn a_plain_device_begins_where_its_namespace_does() {
        let stack = Stack::plain(pmems());
        assert_eq!(stack.device(), "/dev/pmem1");
        assert_eq!(
            placed(&stack, Part::Data, 0x2010),
            Some((0, 0x2010, 0x1_0120_2010))
        );
        assert_eq!(placed(&stack, Part::Data, 1000 * MIB), None);
        assert_eq!(placed(&stack, Part::Log, 0), None);
    }

    #[test]
    fn a_character_device_is_a_plain_one_that_is_mapped_itself() {
        let stack = Stack::character(pmems(), PageSize::Huge);
        assert_eq!(stack.mapped_by(), Some(PageSize::Huge));
        assert_eq!(Stack::plain(pmems()).mapped_by(), None);
        assert_eq!(
            placed(&stack, Part::Data, 0x2010),
            Some((0, 0x2010, 0x1_0120_2010))
        );
        let kept = serde_json::to_string(&stack).unwrap();
        assert_eq!(serde_json::from_str::<Stack>(&kept).unwrap(), stack);
    }

    #[test]
    fn what_leaves_a_part_out_is_counted_from_there() {
        let map = Map::Linear {
            start: DeviceOffset(MIB),
            length: 998 * MIB,
        };
        let stack = Stack::new(pmems(), "/dev/mapper/taster".to_owned(), map);
        assert_eq!(placed(&stack, Part::Data, 0), Some((0, MIB, 0x1_0130_0000)));
        assert_eq!(placed(&stack, Part::Data, 998 * MIB), None);
    }

    #[test]
    fn stripes_take_turns() {
        let map = Map::Striped {
            count: 2,
            chunk: MIB,
            length: 2000 * MIB,
        };
        let stack = Stack::new(pmems(), "/dev/mapper/taster".to_owned(), map);
        let place = |at| placed(&stack, Part::Data, at).map(|(nvdimm, device, _)| (nvdimm, device));
        assert_eq!(place(5), Some((0, 5)));
        assert_eq!(place(MIB + 5), Some((1, 5)));
        assert_eq!(place(2 * MIB), Some((0, MIB)));
        assert_eq!(place(7 * MIB - 1), Some((0, 4 * MIB - 1)));
        assert_eq!(place(2000 * MIB), None);
    }

    #[test]
    fn the_way_up_is_the_way_down_turned_round() {
        let start = DeviceOffset(MIB);
        let maps = [
            Map::Linear {
                start,
                length: 998 * MIB,
            },
            Map::Striped {
                count: 2,
                chunk: MIB,
                length: 2000 * MIB,
            },
        ];
        for map in maps {
            let stack = Stack::new(pmems(), "/dev/mapper/taster".to_owned(), map);
            for at in [0, 5, MIB + 5, 7 * MIB - 1, 997 * MIB] {
                let place = stack.place(Part::Data, FsOffset(at)).unwrap();
                assert_eq!(
                    stack.above(place.nvdimm, place.device),
                    Some((Part::Data, FsOffset(at))),
                    "{map:?} {at}"
                );
            }
        }
        let linear = Stack::new(pmems(), "/dev/pmem1p1".to_owned(), maps[0]).with(Some(1), None);
        assert_eq!(linear.above(0, DeviceOffset(0)), None, "before the partition");
        assert_eq!(linear.above(0, DeviceOffset(999 * MIB)), None, "behind it");
        assert_eq!(linear.above(1, DeviceOffset(7)), Some((Part::Log, FsOffset(7))));
    }

    #[test]
    fn a_log_and_a_realtime_device_have_nvdimms_of_their_own() {
        let stack = Stack::plain(pmems()).with(Some(1), None);
        assert_eq!(stack.log().as_deref(), Some("/dev/pmem0"));
        assert_eq!(placed(&stack, Part::Log, 8), Some((1, 8, 0x1_4120_0008)));
        let stack = Stack::plain(pmems()).with(None, Some(1));
        assert_eq!(stack.realtime().as_deref(), Some("/dev/pmem0"));
        assert!(stack.byte(2, DeviceOffset(0)).is_err());
    }
}
