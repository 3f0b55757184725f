// SPDX-License-Identifier: MIT OR Apache-2.0
//! The mappings of a victim, and what it does through them.

use super::super::access;
use super::super::contents::Summary;
use super::super::error::{Call, Tried};
use super::super::sys::file;
use super::super::sys::memory::{How, Mapping};
use super::{Access, Touch};
use guest_agent::address::{FileOffset, MappingOffset};
use guest_agent::call::FileStatus;
use guest_agent::victim::{Mapped, MappingKind, MappingSpec, Reply, Spot};
use std::fs::OpenOptions;
use std::os::fd::AsFd;

/// Bytes that are copied out of a mapping at once.
const PIECE: usize = 64 << 10;

/// All mappings, in the order of the specification.
pub(super) struct Maps {
    all: Vec<Map>,
}

struct Map {
    /// `None` when it is unmapped.
    mapping: Option<Mapping>,
    offset: FileOffset,
    /// The file as it was when it was mapped.
    file: FileStatus,
    writable: bool,
}

impl Maps {
    /// Maps everything. The files are closed again: what keeps them in core is their mapping.
    pub(super) fn make(specs: &[MappingSpec]) -> Tried<Self> {
        let all = specs.iter().map(map).collect::<Tried<Vec<_>>>()?;
        Ok(Self { all })
    }

    pub(super) fn told(&self) -> Vec<Mapped> {
        self.all
            .iter()
            .map(|map| Mapped {
                address: map.mapping.map_or(0, |mapping| mapping.address as u64),
                length: map.mapping.map_or(0, |mapping| mapping.length as u64),
                offset: map.offset,
                inode: map.file.inode,
                device: map.file.device,
                dax: map.file.dax,
            })
            .collect()
    }

    /// The byte of a mapping that lies at an address.
    pub(super) fn spot_of(&self, address: u64) -> Option<Spot> {
        self.all.iter().enumerate().find_map(|(index, map)| {
            let mapping = map.mapping?;
            let offset = address.checked_sub(mapping.address as u64)?;
            (offset < mapping.length as u64).then_some(Spot {
                mapping: index,
                offset: MappingOffset(offset),
            })
        })
    }

    fn find(&self, index: usize) -> Result<(&Map, Mapping), Reply> {
        let map = self
            .all
            .get(index)
            .ok_or_else(|| Reply::Nonsense(format!("there is no mapping {index}")))?;
        match map.mapping {
            Some(mapping) => Ok((map, mapping)),
            None => Err(Reply::Nonsense(format!("mapping {index} is unmapped"))),
        }
    }

    /// The address of a byte.
    pub(super) fn address(&self, at: Spot) -> Result<usize, Reply> {
        let (_, mapping) = self.find(at.mapping)?;
        mapping
            .at(at.offset.0)
            .ok_or_else(|| Reply::Nonsense(format!("mapping {} ends before {}", at.mapping, at.offset)))
    }

    /// The address and length of a range.
    pub(super) fn range(&self, at: Spot, length: u64) -> Result<(usize, usize), Reply> {
        let (_, mapping) = self.find(at.mapping)?;
        mapping.range(at.offset.0, length).ok_or_else(|| {
            Reply::Nonsense(format!(
                "mapping {} does not have {length} bytes from {} on",
                at.mapping, at.offset
            ))
        })
    }

    /// One access.
    pub(super) fn touch(&self, touch: Touch) -> Reply {
        let address = match self.address(touch.at) {
            Ok(address) => address,
            Err(nonsense) => return nonsense,
        };
        match touch.access {
            Access::Load => access::load(address).map_or(Reply::Faulted, Reply::Loaded),
            Access::Store(_) if !self.all.get(touch.at.mapping).is_some_and(|map| map.writable) => {
                Reply::Nonsense(format!("mapping {} is read-only", touch.at.mapping))
            }
            Access::Store(value) if access::store(address, value) => Reply::Done,
            Access::Store(_) => Reply::Faulted,
        }
    }

    /// Everything in a range, up to the first load that faults.
    pub(super) fn read(&self, at: Spot, length: u64, checksum: bool) -> Result<Reply, Reply> {
        let (map, _) = self.find(at.mapping)?;
        let (address, length) = self.range(at, length)?;
        let mut summary = Summary::from(FileOffset(map.offset.0 + at.offset.0), checksum);
        let mut buffer = vec![0; PIECE.min(length)];
        let mut done = 0;
        let mut faulted = None;
        while done < length && faulted.is_none() {
            let piece = (length - done).min(PIECE);
            let copied = access::copy(&mut buffer[..piece], address + done);
            summary.take(&buffer[..copied]);
            done += copied;
            faulted = (copied < piece).then_some(Spot {
                mapping: at.mapping,
                offset: MappingOffset(at.offset.0 + done as u64),
            });
        }
        Ok(Reply::Contents {
            contents: summary.finish(),
            faulted,
        })
    }

    /// munmap(2) of one.
    pub(super) fn unmap(&mut self, index: usize) -> Result<Tried<()>, Reply> {
        let (_, mapping) = self.find(index)?;
        let done = mapping.unmap().of("munmap", format_args!("mapping {index}"));
        if let (Ok(()), Some(map)) = (&done, self.all.get_mut(index)) {
            map.mapping = None;
        }
        Ok(done)
    }
}

fn map(spec: &MappingSpec) -> Tried<Map> {
    let path = &spec.path;
    let file = OpenOptions::new()
        .read(true)
        .write(spec.writable && spec.kind != MappingKind::Private)
        .open(path)
        .of("open", path)?;
    let status = file::status_of(file.as_fd()).of("statx", path)?;
    let length = spec
        .length
        .unwrap_or_else(|| status.size.saturating_sub(spec.offset.0));
    let how = How {
        flags: match spec.kind {
            MappingKind::Shared => libc::MAP_SHARED,
            MappingKind::Sync => libc::MAP_SHARED_VALIDATE | libc::MAP_SYNC,
            MappingKind::Private => libc::MAP_PRIVATE,
        },
        writable: spec.writable,
        huge: spec.huge,
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let mapping = Mapping::of(file.as_fd(), spec.offset.0, length, how).of("mmap", path)?;
    Ok(Map {
        mapping: Some(mapping),
        offset: spec.offset,
        file: status,
        writable: spec.writable,
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::signals;
    use super::*;

    #[test]
    fn a_victim_reaches_what_it_mapped_and_nothing_else() {
        signals::record_signals().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a").to_str().unwrap().to_owned();
        let bytes: Vec<u8> = (0..3_u8).flat_map(|page| [page * 37 + 11; 4096]).collect();
        std::fs::write(&path, bytes).unwrap();
        let whole = MappingSpec {
            writable: true,
            ..MappingSpec::whole(&path)
        };
        let second_page = MappingSpec {
            offset: FileOffset(4096),
            length: Some(4096),
            huge: true,
            ..MappingSpec::whole(&path)
        };
        let mut maps = Maps::make(&[whole, second_page]).unwrap();
        let spot = |mapping, offset| Spot {
            mapping,
            offset: MappingOffset(offset),
        };
        let touch = |at, access| Touch { at, access };
        assert_eq!(maps.touch(touch(spot(1, 4095), Access::Load)), Reply::Loaded(48));
        assert_eq!(maps.touch(touch(spot(0, 4096), Access::Store(9))), Reply::Done);
        // The same byte of the file.
        assert_eq!(maps.touch(touch(spot(1, 0), Access::Load)), Reply::Loaded(9));
        for nonsense in [
            touch(spot(1, 4096), Access::Load),
            touch(spot(2, 0), Access::Load),
            touch(spot(1, 0), Access::Store(1)),
        ] {
            assert!(matches!(maps.touch(nonsense), Reply::Nonsense(_)), "{nonsense:?}");
        }
        let address = maps.address(spot(1, 17)).unwrap() as u64;
        assert_eq!(maps.spot_of(address), Some(spot(1, 17)));
        // The file ends, and with it what can be loaded.
        std::fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_len(8192)
            .unwrap();
        let Ok(Reply::Contents { contents, faulted }) = maps.read(spot(0, 4097), 8191, false) else {
            panic!("the range is inside");
        };
        assert_eq!((contents.length, faulted), (4095, Some(spot(0, 8192))));
        assert_eq!((contents.uniform, contents.counting), (Some(48), true));
        maps.unmap(1).unwrap().unwrap();
        assert!(maps.address(spot(1, 0)).is_err());
        assert_eq!(maps.spot_of(address), None);
    }
}
