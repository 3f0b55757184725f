// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finding a page in the filesystem's own map of its space (GETFSMAP), so that no inode is read in and no page faulted in.

use guest_agent::address::{FileOffset, FsOffset, PAGE_SIZE};
use guest_agent::call::{Space, SpaceOwner, SpaceRecord};
use std::ops::Range;

/// A page that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// One that the filesystem keeps for itself, in one allocation group.
    Group {
        /// The group.
        ag: u32,
        /// What it holds.
        holds: Structure,
    },
    /// The first page of the log, in whichever group it lies.
    Log,
    /// One of an inode's.
    Inode {
        /// The inode's number.
        number: u64,
        /// What it holds.
        holds: Part,
    },
    /// The last page of an allocation group.
    LastOfGroup {
        /// The group.
        ag: u32,
    },
    /// The last page of the filesystem.
    LastOfDevice,
}

/// What an allocation group keeps in a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Structure {
    /// Superblock, AGF, AGI and AGFL, in the group's first block.
    Header,
    /// A free-space btree, the reverse mapping, or what is kept free for them.
    Btree,
    /// An inode btree.
    InodeBtree,
    /// The refcount btree.
    RefcountBtree,
    /// Inodes.
    InodeChunk,
    /// Reserved for a coming copy-on-write.
    CowStaging,
    /// Nothing.
    Free,
}

/// What an inode keeps in a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A byte of its data fork: a file's data, a directory's entries, a symlink's target.
    Data(FileOffset),
    /// Whatever its data fork has first.
    FirstData,
    /// Extended attributes.
    Attributes,
    /// Its extent map (bmbt).
    ExtentMap,
    /// Allocated, never written.
    Unwritten,
}

impl Structure {
    fn is(self, owner: SpaceOwner) -> bool {
        owner
            == match self {
                Self::Header => SpaceOwner::AgHeader,
                Self::Btree => SpaceOwner::AgBtree,
                Self::InodeBtree => SpaceOwner::InodeBtree,
                Self::RefcountBtree => SpaceOwner::RefcountBtree,
                Self::InodeChunk => SpaceOwner::InodeChunk,
                Self::CowStaging => SpaceOwner::CowStaging,
                Self::Free => SpaceOwner::Free,
            }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::Btree => "page of a free-space or reverse-mapping btree",
            Self::InodeBtree => "page of an inode btree",
            Self::RefcountBtree => "page of a refcount btree",
            Self::InodeChunk => "page of inodes",
            Self::CowStaging => "page of copy-on-write staging",
            Self::Free => "free page",
        }
    }
}

/// The first byte of the page that is wanted; the error says what there is instead.
pub fn choose(space: &Space, wanted: Wanted) -> Result<FsOffset, String> {
    match wanted {
        Wanted::Group { ag, holds } => in_group(space, ag, holds),
        Wanted::Log => space
            .records
            .iter()
            .find(|record| record.owner == SpaceOwner::Log)
            .map(|record| record.start.page())
            .ok_or_else(|| "the log does not lie on the data device".to_owned()),
        Wanted::Inode { number, holds } => of_inode(space, number, holds),
        Wanted::LastOfGroup { ag } => last_page(group(space, ag)?),
        Wanted::LastOfDevice => last_page(0..end(space)),
    }
}

/// The byte of an inode's data fork, not rounded to its page; `None` in a hole, and when nobody knows the owners (no rmapbt).
pub fn data_at(space: &Space, number: u64, byte: FileOffset) -> Option<FsOffset> {
    space.records.iter().find_map(|record| {
        let SpaceOwner::Inode {
            number: owner,
            offset,
        } = record.owner
        else {
            return None;
        };
        let into = byte.0.checked_sub(offset.0)?;
        (owner == number && !record.attribute_fork && !record.extent_map && into < record.length)
            .then_some(FsOffset(record.start.0 + into))
    })
}

fn in_group(space: &Space, ag: u32, holds: Structure) -> Result<FsOffset, String> {
    let range = group(space, ag)?;
    let theirs = space
        .records
        .iter()
        .filter(|record| holds.is(record.owner) && range.contains(&record.start.0));
    let found = match holds {
        // Secondary superblocks are the groups' first blocks; other blocks of this owner are none.
        Structure::Header => space
            .records
            .iter()
            .any(|record| is_header(record, range.start))
            .then_some(FsOffset(range.start)),
        // The middle of the largest extent: the allocator takes from the ends.
        Structure::Free => theirs
            .filter_map(whole_pages)
            .max_by_key(|pages| pages.end - pages.start)
            .map(|pages| FsOffset(pages.start + (pages.end - pages.start) / 2)),
        _ => theirs
            .filter_map(whole_pages)
            .map(|pages| FsOffset(pages.start))
            .next(),
    };
    found
        .map(FsOffset::page)
        .ok_or_else(|| format!("AG {ag} has no {}", holds.words()))
}

/// Is the group's header in this record? Without a reverse mapping the kernel knows only what is free; a header is where it is
/// all the same.
fn is_header(record: &SpaceRecord, start: u64) -> bool {
    match record.owner {
        SpaceOwner::AgHeader => record.start.0 == start,
        SpaceOwner::Unknown => (record.start.0..record.start.0 + record.length).contains(&start),
        _ => false,
    }
}

fn of_inode(space: &Space, number: u64, holds: Part) -> Result<FsOffset, String> {
    if let Part::Data(byte) = holds {
        return data_at(space, number, byte)
            .map(FsOffset::page)
            .ok_or_else(|| format!("inode {number} has no block at {byte}"));
    }
    let is_wanted = |record: &SpaceRecord| match holds {
        Part::Attributes => record.attribute_fork && !record.extent_map,
        Part::ExtentMap => record.extent_map && !record.attribute_fork,
        Part::Unwritten => record.unwritten && !record.attribute_fork,
        Part::FirstData | Part::Data(_) => !record.attribute_fork && !record.extent_map,
    };
    space
        .records
        .iter()
        .find(|record| {
            matches!(record.owner, SpaceOwner::Inode { number: owner, .. } if owner == number)
                && is_wanted(record)
        })
        .map(|record| record.start.page())
        .ok_or_else(|| {
            let what = match holds {
                Part::Attributes => "no block of attributes: they fit into the inode",
                Part::ExtentMap => "no block of its extent map: its extents fit into the inode",
                Part::Unwritten => "no unwritten extent",
                Part::FirstData | Part::Data(_) => "no block: what it holds fits into the inode",
            };
            format!("inode {number} has {what}")
        })
}

fn group(space: &Space, ag: u32) -> Result<Range<u64>, String> {
    if ag >= space.ag_count {
        return Err(format!(
            "there is no AG {ag}: the filesystem has {} (0 to {})",
            space.ag_count,
            space.ag_count.saturating_sub(1)
        ));
    }
    let size = u64::from(space.ag_blocks) * u64::from(space.block_size);
    let start = u64::from(ag) * size;
    Ok(start..(start + size).min(end(space).max(start)))
}

/// Where the filesystem ends: GETFSMAP leaves no block out.
fn end(space: &Space) -> u64 {
    let ends = space.records.iter().map(|record| record.start.0 + record.length);
    ends.max().unwrap_or_default()
}

fn last_page(range: Range<u64>) -> Result<FsOffset, String> {
    let last = range.end.checked_sub(1).filter(|last| *last >= range.start);
    last.map(|last| FsOffset(last).page())
        .ok_or_else(|| "the space map is empty".to_owned())
}

/// The pages that lie wholly in the record.
fn whole_pages(record: &SpaceRecord) -> Option<Range<u64>> {
    let first = record.start.0.next_multiple_of(PAGE_SIZE);
    let end = (record.start.0 + record.length) / PAGE_SIZE * PAGE_SIZE;
    (first < end).then_some(first..end)
}

#[cfg(test)]
mod tests;
