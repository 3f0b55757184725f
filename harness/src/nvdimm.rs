// SPDX-License-Identifier: MIT OR Apache-2.0
//! The NVDIMM of a guest: namespace, filesystem, and the addresses between a case's target and a guest physical page.

use crate::guest::agent::{Agent, CallError};
use guest_agent::address::{DeviceOffset, FileOffset, GuestPhysical, PAGE_SIZE, Resolution};
use guest_agent::call::{
    AskPmem, IsDax, Mount, Outcome, PmemState, Refusal, Resolve, Run, RunResult, Space, SpaceMap, SpaceOwner,
    WriteFile,
};
use guest_agent::victim::Ended;
use std::time::Duration;
use testcases::{MetadataKind, Target};

/// The block device of the namespace under test.
pub const DEVICE: &str = "pmem0";

/// Where its filesystem is mounted.
pub const MOUNT_POINT: &str = "/mnt";

/// Making a namespace or a filesystem, which on an emulated processor takes seconds.
const PREPARATION: Duration = Duration::from_secs(120);
const QUESTION: Duration = Duration::from_secs(30);

/// What goes wrong with the NVDIMM before or beside a case's own steps.
#[derive(Debug, thiserror::Error)]
pub enum NvdimmError {
    /// The guest could not be asked.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A tool in the guest failed.
    #[error("`{command}` failed in the guest ({ended}): {said}")]
    Tool {
        /// The command line.
        command: String,
        /// How it ended.
        ended: String,
        /// What it said.
        said: String,
    },
    /// The namespace did not become fsdax.
    #[error(
        "/dev/{DEVICE} is held by `{holder}`, not by a pfn device: the namespace is raw, so its pages have no struct \
         page and no memory failure is ever handled (is the NVDIMM's size misaligned, or NVDIMM_PFN missing?)"
    )]
    Raw {
        /// The device's parent.
        holder: String,
    },
    /// The first mount was refused.
    #[error("the fresh filesystem could not be mounted with `{options}`: {} (errno {})", .refusal.what, .refusal.errno)]
    Mount {
        /// The options.
        options: String,
        /// What mount(2) said.
        refusal: Refusal,
    },
    /// The proof of DAX could not be had.
    #[error("cannot tell whether the mount is DAX: {} (errno {})", .0.what, .0.errno)]
    Proof(Refusal),
    /// The two ways to an address disagree.
    #[error(
        "{path} at {offset}: the pfn device's resource says {computed}, /proc/self/pagemap says {mapped}; the harness \
         has misunderstood this device"
    )]
    Disagreement {
        /// The file.
        path: String,
        /// The byte.
        offset: FileOffset,
        /// Computed from FIEMAP and the resource.
        computed: GuestPhysical,
        /// Read from pagemap.
        mapped: GuestPhysical,
    },
    /// A file's offset cannot be followed down.
    #[error("cannot find the memory of {path} at {offset}: {} (errno {})", .refusal.what, .refusal.errno)]
    Unresolved {
        /// The file.
        path: String,
        /// The byte.
        offset: FileOffset,
        /// What the kernel refused.
        refusal: Refusal,
    },
    /// GETFSMAP was refused.
    #[error("cannot ask who owns which block: {} (errno {})", .0.what, .0.errno)]
    NoSpaceMap(Refusal),
    /// The filesystem has no such place.
    #[error("{0}")]
    NoSuchPlace(String),
    /// An address beyond the end of the address space.
    #[error("device offset {0} has no guest physical address")]
    NoAddress(DeviceOffset),
}

/// Is the mount really DAX?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dax {
    /// A file of the mount has STATX_ATTR_DAX.
    Proved,
    /// It has not: `mount -o dax=always` falls back to the page cache without failing.
    Absent,
}

/// The path of a case's file in the guest.
pub fn path_of(file: &str) -> String {
    format!("{MOUNT_POINT}/{file}")
}

async fn tool(agent: &Agent, argv: &[&str]) -> Result<RunResult, NvdimmError> {
    let call = Run {
        argv: argv.iter().map(|&word| word.to_owned()).collect(),
    };
    let result = agent.call(call, PREPARATION).await?;
    if result.ended == Ended::Exited(0) {
        return Ok(result);
    }
    let said = [result.stderr.trim(), result.stdout.trim()]
        .join(" ")
        .trim()
        .to_owned();
    Err(NvdimmError::Tool {
        command: argv.join(" "),
        ended: format!("{:?}", result.ended),
        said,
    })
}

/// Turns the raw namespace into an fsdax one, with its struct pages on the device (`-M dev`), and checks that it is.
pub async fn make_fsdax(agent: &Agent) -> Result<PmemState, NvdimmError> {
    tool(
        agent,
        &[
            "ndctl",
            "create-namespace",
            "-f",
            "-e",
            "namespace0.0",
            "-m",
            "fsdax",
            "-M",
            "dev",
        ],
    )
    .await?;
    let state = ask(agent).await?;
    if state.data_start.is_none() {
        return Err(NvdimmError::Raw { holder: state.holder });
    }
    Ok(state)
}

/// Makes an XFS with reflink and rmapbt; `more` are further arguments of mkfs.xfs, which override ours.
pub async fn make_xfs(agent: &Agent, more: &[String]) -> Result<(), NvdimmError> {
    let device = format!("/dev/{DEVICE}");
    let mut argv = vec!["mkfs.xfs", "-q", "-f", "-m", "reflink=1,rmapbt=1"];
    argv.extend(more.iter().map(String::as_str));
    argv.push(&device);
    tool(agent, &argv).await.map(drop)
}

/// mount(2) of the filesystem under test.
pub async fn mount(agent: &Agent, options: &str, deadline: Duration) -> Result<Outcome<()>, CallError> {
    let call = Mount {
        device: format!("/dev/{DEVICE}"),
        at: MOUNT_POINT.to_owned(),
        kind: "xfs".to_owned(),
        options: options.to_owned(),
    };
    agent.call(call, deadline).await
}

/// The file that proves DAX; it stays in the filesystem, hidden.
fn proof() -> String {
    path_of(".taster-proof")
}

/// Makes the proof file in a fresh filesystem. When it is DAX, the two ways to its address are checked against each
/// other, once for this guest and before there is any victim.
pub async fn prove_dax(agent: &Agent) -> Result<Dax, NvdimmError> {
    let call = WriteFile {
        path: proof(),
        size: PAGE_SIZE,
        fill: 0,
    };
    if let Outcome::Refused(refusal) = agent.call(call, QUESTION).await? {
        return Err(NvdimmError::Proof(refusal));
    }
    let dax = still_dax(agent).await?;
    if dax == Dax::Proved {
        resolve(agent, &proof(), FileOffset(0), true).await?;
    }
    Ok(dax)
}

/// Is the proof file DAX, in this mount?
pub async fn still_dax(agent: &Agent) -> Result<Dax, NvdimmError> {
    match is_dax(agent, proof()).await? {
        Outcome::Done(dax) => Ok(dax),
        Outcome::Refused(refusal) => Err(NvdimmError::Proof(refusal)),
    }
}

/// Is this file DAX?
pub async fn is_dax(agent: &Agent, path: String) -> Result<Outcome<Dax>, CallError> {
    Ok(match agent.call(IsDax { path }, QUESTION).await? {
        Outcome::Done(true) => Outcome::Done(Dax::Proved),
        Outcome::Done(false) => Outcome::Done(Dax::Absent),
        Outcome::Refused(refusal) => Outcome::Refused(refusal),
    })
}

/// What the kernel says of the device.
pub async fn ask(agent: &Agent) -> Result<PmemState, NvdimmError> {
    Ok(agent
        .call(
            AskPmem {
                device: DEVICE.to_owned(),
            },
            QUESTION,
        )
        .await?)
}

/// A place on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// On the device.
    pub device: DeviceOffset,
    /// In the guest's memory.
    pub physical: GuestPhysical,
}

/// Finds the place that a case means.
pub async fn locate(agent: &Agent, target: &Target) -> Result<Place, NvdimmError> {
    match target {
        Target::File { file, offset } => {
            let found = resolve(agent, &path_of(file.as_str()), FileOffset(offset.0), false).await?;
            Ok(Place {
                device: found.device_offset,
                physical: found.physical,
            })
        }
        Target::Metadata { .. } | Target::FreeSpace { .. } => {
            let space = match agent
                .call(
                    SpaceMap {
                        at: MOUNT_POINT.to_owned(),
                    },
                    QUESTION,
                )
                .await?
            {
                Outcome::Done(space) => space,
                Outcome::Refused(refusal) => return Err(NvdimmError::NoSpaceMap(refusal)),
            };
            let device = choose(&space, target).map_err(NvdimmError::NoSuchPlace)?;
            let state = ask(agent).await?;
            let start = state
                .data_start
                .ok_or(NvdimmError::Raw { holder: state.holder })?;
            let physical = device.physical(start).ok_or(NvdimmError::NoAddress(device))?;
            Ok(Place { device, physical })
        }
    }
}

/// Follows a byte of a file down; with `cross_check`, by two ways, which must agree.
pub async fn resolve(
    agent: &Agent,
    path: &str,
    offset: FileOffset,
    cross_check: bool,
) -> Result<Resolution, NvdimmError> {
    let call = Resolve {
        path: path.to_owned(),
        offset,
        device: DEVICE.to_owned(),
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
    match found.by_pagemap {
        Some(mapped) if mapped != found.physical => Err(NvdimmError::Disagreement {
            path: path.to_owned(),
            offset,
            computed: found.physical,
            mapped,
        }),
        _ => Ok(found),
    }
}

/// The first byte of the page that a target of the filesystem's own means; the error says what there is instead.
pub fn choose(space: &Space, target: &Target) -> Result<DeviceOffset, String> {
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
            let is_header = |owner: &SpaceOwner, start: DeviceOffset| {
                *owner == SpaceOwner::AgHeader && start.0 == range.start
            };
            space
                .records
                .iter()
                .find(|record| is_header(&record.owner, record.start))
                .map(|record| record.start.page())
                .ok_or_else(|| format!("GETFSMAP names no header at the beginning of AG {ag}"))
        }
        Target::FreeSpace { ag } => {
            let range = group(*ag)?;
            // The middle of the largest free extent: the allocator takes from the ends.
            let whole_pages = |record: &guest_agent::call::SpaceRecord| {
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
                .map(|(length, first)| DeviceOffset(first + length / 2).page())
                .ok_or_else(|| format!("AG {ag} has no free page"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use guest_agent::call::SpaceRecord;

    fn record(start: u64, length: u64, owner: SpaceOwner) -> SpaceRecord {
        SpaceRecord {
            start: DeviceOffset(start),
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
        assert_eq!(header(0), Ok(DeviceOffset(0)));
        assert_eq!(header(1), Ok(DeviceOffset(0x100_0000)));
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
}
