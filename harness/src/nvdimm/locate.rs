// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a file to memory, and what is bad there.

use super::stack::{Part, Place, Stack};
use super::{NvdimmError, QUESTION};
use guest_agent::address::{FileOffset, FsOffset, Resolved};
use guest_agent::call::{AskPmem, BadMemory, Outcome, Resolve};
use machine::guest::agent::Agent;
use testcases::Bytes;

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
        Outcome::Done(Resolved::At(found)) => found,
        Outcome::Done(Resolved::Nowhere { size }) => {
            return Err(NvdimmError::Nowhere {
                path: path.to_owned(),
                offset: Bytes(offset.0),
                size: Bytes(size),
            });
        }
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

/// The badblocks of all pmem devices.
pub async fn badblocks(agent: &Agent, stack: &Stack) -> Result<Vec<BadMemory>, NvdimmError> {
    let mut bad = Vec::new();
    for (nvdimm, pmem) in stack.pmems().iter().enumerate() {
        let call = AskPmem {
            device: pmem.device.clone(),
        };
        let state = agent.call(call, QUESTION).await?;
        let state = state.ok_or_else(|| NvdimmError::Gone(pmem.device.clone()))?;
        if state.truncated {
            return Err(NvdimmError::CutOff(pmem.device.clone()));
        }
        for range in state.badblocks {
            bad.push(BadMemory {
                start: stack.byte(nvdimm, range.start)?.physical,
                length: range.length,
            });
        }
    }
    Ok(bad)
}
