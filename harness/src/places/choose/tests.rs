// SPDX-License-Identifier: MIT OR Apache-2.0
use super::*;

const FILE: u64 = 131;
const DIRECTORY: u64 = 132;

fn record(start: u64, length: u64, owner: SpaceOwner) -> SpaceRecord {
    SpaceRecord {
        start: FsOffset(start),
        length,
        owner,
        attribute_fork: false,
        extent_map: false,
        unwritten: false,
        shared: false,
    }
}

fn inode(start: u64, length: u64, number: u64, offset: u64) -> SpaceRecord {
    let offset = FileOffset(offset);
    record(start, length, SpaceOwner::Inode { number, offset })
}

/// Two groups of 16 MiB; the second is cut short by a page.
fn space() -> Space {
    Space {
        block_size: 4096,
        ag_blocks: 4096,
        ag_count: 2,
        records: vec![
            record(0, 4096, SpaceOwner::AgHeader),
            record(0x1000, 0x2000, SpaceOwner::AgBtree),
            record(0x3000, 0x1000, SpaceOwner::InodeBtree),
            record(0x4000, 0x2000, SpaceOwner::Free),
            inode(0x6000, 0x2000, FILE, 0x10_0000),
            inode(0x8000, 0x1000, FILE, 0),
            SpaceRecord {
                extent_map: true,
                ..inode(0x9000, 0x1000, FILE, 0)
            },
            SpaceRecord {
                attribute_fork: true,
                ..inode(0xa000, 0x1000, FILE, 0)
            },
            SpaceRecord {
                unwritten: true,
                ..inode(0xb000, 0x2000, FILE, 0x20_0000)
            },
            inode(0xd000, 0x1000, DIRECTORY, 0),
            record(0xe000, 0xff_2000, SpaceOwner::Free),
            record(0x100_0000, 0x1000, SpaceOwner::AgHeader),
            record(0x100_1000, 0x1000, SpaceOwner::RefcountBtree),
            record(0x100_2000, 0x4000, SpaceOwner::InodeChunk),
            record(0x100_6000, 0x2000, SpaceOwner::CowStaging),
            record(0x100_8000, 0xff_7000, SpaceOwner::Log),
        ],
    }
}

fn of_group(ag: u32, holds: Structure) -> Result<FsOffset, String> {
    choose(&space(), Wanted::Group { ag, holds })
}

fn of_file(holds: Part) -> Result<FsOffset, String> {
    choose(&space(), Wanted::Inode { number: FILE, holds })
}

#[test]
fn a_group_has_its_own_structures() {
    use Structure::{Btree, CowStaging, Header, InodeBtree, InodeChunk, RefcountBtree};
    for (ag, holds, page) in [
        (0, Header, 0),
        (1, Header, 0x100_0000),
        (0, Btree, 0x1000),
        (0, InodeBtree, 0x3000),
        (1, RefcountBtree, 0x100_1000),
        (1, InodeChunk, 0x100_2000),
        (1, CowStaging, 0x100_6000),
    ] {
        assert_eq!(of_group(ag, holds), Ok(FsOffset(page)), "{holds:?} of AG {ag}");
    }
    assert_eq!(
        of_group(0, CowStaging),
        Err("AG 0 has no page of copy-on-write staging".to_owned())
    );
    assert_eq!(
        of_group(2, Header),
        Err("there is no AG 2: the filesystem has 2 (0 to 1)".to_owned())
    );
}

#[test]
fn a_header_is_there_without_a_reverse_mapping_too() {
    let mut space = space();
    for record in &mut space.records {
        if record.owner == SpaceOwner::AgHeader {
            record.owner = SpaceOwner::Unknown;
        }
    }
    let header = |ag| {
        let holds = Structure::Header;
        choose(&space, Wanted::Group { ag, holds })
    };
    assert_eq!(header(1), Ok(FsOffset(0x100_0000)));
    assert!(header(2).is_err());
}

#[test]
fn a_free_page_lies_in_the_middle_of_the_largest_extent() {
    let page = of_group(0, Structure::Free).unwrap();
    assert!(
        page.0 > 0xf000 && page.0 < 0xff_f000 && page.0.is_multiple_of(PAGE_SIZE),
        "{page}"
    );
    assert_eq!(
        of_group(1, Structure::Free),
        Err("AG 1 has no free page".to_owned())
    );
}

#[test]
fn a_file_is_followed_through_its_extents() {
    for (byte, page) in [(0, 0x8000), (0x10_0000, 0x6000), (0x10_1fff, 0x7000)] {
        assert_eq!(
            of_file(Part::Data(FileOffset(byte))),
            Ok(FsOffset(page)),
            "{byte:#x}"
        );
    }
    assert_eq!(
        of_file(Part::Data(FileOffset(0x1000))),
        Err("inode 131 has no block at 0x1000".to_owned())
    );
    assert_eq!(
        data_at(&space(), FILE, FileOffset(0x10_1234)),
        Some(FsOffset(0x7234))
    );
}

#[test]
fn an_inode_has_more_than_data() {
    assert_eq!(of_file(Part::ExtentMap), Ok(FsOffset(0x9000)));
    assert_eq!(of_file(Part::Attributes), Ok(FsOffset(0xa000)));
    assert_eq!(of_file(Part::Unwritten), Ok(FsOffset(0xb000)));
    let directory = |holds| {
        let number = DIRECTORY;
        choose(&space(), Wanted::Inode { number, holds })
    };
    assert_eq!(directory(Part::FirstData), Ok(FsOffset(0xd000)));
    for (holds, words) in [
        (Part::Attributes, "no block of attributes"),
        (Part::ExtentMap, "no block of its extent map"),
        (Part::Unwritten, "no unwritten extent"),
    ] {
        assert!(directory(holds).unwrap_err().contains(words), "{holds:?}");
    }
}

#[test]
fn the_log_and_the_last_pages() {
    assert_eq!(choose(&space(), Wanted::Log), Ok(FsOffset(0x100_8000)));
    let last = |ag| choose(&space(), Wanted::LastOfGroup { ag });
    assert_eq!(last(0), Ok(FsOffset(0xff_f000)));
    // The second group is shorter than the first.
    assert_eq!(last(1), Ok(FsOffset(0x1ff_e000)));
    assert_eq!(choose(&space(), Wanted::LastOfDevice), Ok(FsOffset(0x1ff_e000)));
    let mut external = space();
    external.records.retain(|record| record.owner != SpaceOwner::Log);
    assert!(choose(&external, Wanted::Log).is_err());
}
