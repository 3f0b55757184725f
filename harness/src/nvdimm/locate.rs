// SPDX-License-Identifier: MIT OR Apache-2.0
//! From what a case names to a page of memory.

use super::stack::{Part, Place, Stack};
use super::{MOUNT_POINT, NvdimmError, QUESTION, path_of};
use crate::guest::agent::Agent;
use guest_agent::address::{FileOffset, FsOffset, GuestPhysical, PAGE_SIZE};
use guest_agent::call::{AskPmem, Outcome, Resolve, Space, SpaceMap, SpaceOwner, SpaceRecord};
use serde::{Deserialize, Serialize};
use testcases::{MetadataKind, Target};

/// Finds the place that a case means.
pub async fn locate(agent: &Agent, stack: &Stack, target: &Target) -> Result<Place, NvdimmError> {
    match target {
        Target::File { file, offset } => {
            let path = path_of(file.as_str());
            let found = resolve(agent, stack, &path, FileOffset(offset.0), false).await?;
            Ok(found.place)
        }
        Target::Metadata { .. } | Target::FreeSpace { .. } => {
            let call = SpaceMap {
                at: MOUNT_POINT.to_owned(),
            };
            let space = match agent.call(call, QUESTION).await? {
                Outcome::Done(space) => space,
                Outcome::Refused(refusal) => return Err(NvdimmError::NoSpaceMap(refusal)),
            };
            let at = choose(&space, target).map_err(NvdimmError::NoSuchPlace)?;
            stack.place(Part::Data, at)
        }
    }
}

/// Where a byte of a file was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// The filesystem's device that has it.
    pub part: Part,
    /// On that device.
    pub fs_offset: FsOffset,
    /// Below it.
    pub place: Place,
}

/// Follows a byte of a file down; with `cross_check`, by two ways, which must agree.
pub async fn resolve(
    agent: &Agent,
    stack: &Stack,
    path: &str,
    offset: FileOffset,
    cross_check: bool,
) -> Result<Found, NvdimmError> {
    let call = Resolve {
        path: path.to_owned(),
        offset,
        cross_check,
    };
    let found = match agent.call(call, QUESTION).await? {
        Outcome::Done(found) => found,
        Outcome::Refused(refusal) => {
            return Err(NvdimmError::Unresolved {
                path: path.to_owned(),
                offset,
                refusal,
            });
        }
    };
    let part = if found.realtime {
        Part::Realtime
    } else {
        Part::Data
    };
    let place = stack.place(part, found.fs_offset)?;
    match found.by_pagemap {
        Some(mapped) if mapped != place.physical => Err(NvdimmError::Disagreement {
            path: path.to_owned(),
            offset,
            computed: place.physical,
            mapped,
        }),
        _ => Ok(Found {
            part,
            fs_offset: found.fs_offset,
            place,
        }),
    }
}

/// A range of memory that a pmem device's badblocks name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BadMemory {
    /// Its first byte.
    pub start: GuestPhysical,
    /// Bytes.
    pub length: u64,
}

/// The badblocks of all pmem devices.
pub async fn badblocks(agent: &Agent, stack: &Stack) -> Result<Vec<BadMemory>, NvdimmError> {
    let mut bad = Vec::new();
    for (nvdimm, pmem) in stack.pmems().iter().enumerate() {
        let call = AskPmem {
            device: pmem.device.clone(),
        };
        for range in agent.call(call, QUESTION).await?.badblocks {
            bad.push(BadMemory {
                start: stack.byte(nvdimm, range.start)?.physical,
                length: range.length,
            });
        }
    }
    Ok(bad)
}

/// `FMR_OWN_UNKNOWN`, `<linux/fsmap.h>`: allocated, and nobody knows to whom.
const UNKNOWN: u64 = 2;

/// The first byte of the page that a target of the filesystem's own means; the error says what there is instead.
pub fn choose(space: &Space, target: &Target) -> Result<FsOffset, String> {
    let group_size = u64::from(space.ag_blocks) * u64::from(space.block_size);
    let group = |ag: u32| {
        if ag < space.ag_count {
            Ok(u64::from(ag) * group_size..u64::from(ag + 1) * group_size)
        } else {
            Err(format!(
                "there is no AG {ag}: the filesystem has {} (0 to {})",
                space.ag_count,
                space.ag_count - 1
            ))
        }
    };
    match target {
        Target::File { .. } => Err("a file's byte is not found in the space map".to_owned()),
        Target::Metadata {
            kind: MetadataKind::AgHeader,
            ag,
        } => {
            let range = group(*ag)?;
            let is_header = |record: &SpaceRecord| match record.owner {
                SpaceOwner::AgHeader => record.start.0 == range.start,
                // Without rmapbt the kernel knows only what is free; a header is where it is all the same.
                SpaceOwner::Other(UNKNOWN) => {
                    record.start.0 <= range.start && range.start < record.start.0 + record.length
                }
                _ => false,
            };
            space
                .records
                .iter()
                .any(is_header)
                .then_some(FsOffset(range.start))
                .ok_or_else(|| format!("GETFSMAP names no header at the beginning of AG {ag}"))
        }
        Target::FreeSpace { ag } => {
            let range = group(*ag)?;
            // The middle of the largest free extent: the allocator takes from the ends.
            let whole_pages = |record: &SpaceRecord| {
                let first = record.start.0.next_multiple_of(PAGE_SIZE);
                let end = (record.start.0 + record.length) / PAGE_SIZE * PAGE_SIZE;
                (first < end).then(|| (end - first, first))
            };
            space
                .records
                .iter()
                .filter(|record| record.owner == SpaceOwner::Free && range.contains(&record.start.0))
                .filter_map(whole_pages)
                .max()
                .map(|(length, first)| FsOffset(first + length / 2).page())
                .ok_or_else(|| format!("AG {ag} has no free page"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(start: u64, length: u64, owner: SpaceOwner) -> SpaceRecord {
        SpaceRecord {
            start: FsOffset(start),
            length,
            owner,
            attribute_fork: false,
            extent_map: false,
            unwritten: false,
        }
    }

    fn space() -> Space {
        // Two groups of 16 MiB.
        Space {
            block_size: 4096,
            ag_blocks: 4096,
            ag_count: 2,
            records: vec![
                record(0, 4096, SpaceOwner::AgHeader),
                record(4096, 0x3000, SpaceOwner::AgBtree),
                record(0x4000, 0x2000, SpaceOwner::Free),
                record(
                    0x6000,
                    0x1000,
                    SpaceOwner::Inode {
                        number: 131,
                        offset: FileOffset(0),
                    },
                ),
                record(0x7000, 0xff_9000, SpaceOwner::Free),
                record(0x100_0000, 0x1000, SpaceOwner::AgHeader),
                record(0x100_1000, 0xff_f000, SpaceOwner::InodeChunk),
            ],
        }
    }

    #[test]
    fn a_header_is_the_first_block_of_its_group() {
        let header = |ag| {
            choose(
                &space(),
                &Target::Metadata {
                    kind: MetadataKind::AgHeader,
                    ag,
                },
            )
        };
        assert_eq!(header(0), Ok(FsOffset(0)));
        assert_eq!(header(1), Ok(FsOffset(0x100_0000)));
        assert_eq!(
            header(2),
            Err("there is no AG 2: the filesystem has 2 (0 to 1)".to_owned())
        );
    }

    #[test]
    fn a_free_page_lies_in_the_middle_of_the_largest_extent() {
        let free = |ag| choose(&space(), &Target::FreeSpace { ag });
        let page = free(0).unwrap();
        assert!(
            page.0 > 0x7000 && page.0 < 0x100_0000 && page.0 % PAGE_SIZE == 0,
            "{page}"
        );
        assert_eq!(free(1), Err("AG 1 has no free page".to_owned()));
    }

    #[test]
    fn without_a_reverse_map_a_header_is_where_it_must_be() {
        let space = Space {
            records: vec![
                record(0, 0x8000, SpaceOwner::Other(UNKNOWN)),
                record(0x8000, 0xff_0000, SpaceOwner::Free),
                record(0xff_8000, 0x1_0000, SpaceOwner::Other(UNKNOWN)),
            ],
            ..space()
        };
        let target = |ag| Target::Metadata {
            kind: MetadataKind::AgHeader,
            ag,
        };
        assert_eq!(choose(&space, &target(0)), Ok(FsOffset(0)));
        assert_eq!(choose(&space, &target(1)), Ok(FsOffset(0x100_0000)));
    }
}
