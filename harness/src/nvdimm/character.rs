// SPDX-License-Identifier: MIT OR Apache-2.0
//! A namespace in devdax mode: a character device over a whole NVDIMM, and the proof that the harness knows where it lies.

use super::ground::require;
use super::namespaces::{check, create};
use super::stack::{Part, Pmem, Stack};
use super::{NvdimmError, QUESTION, tool};
use guest_agent::address::{FileOffset, FsOffset, MappingOffset};
use guest_agent::call::{AskPmem, AskRegions, AskVictim, Region, ReleaseVictim, StartVictim, VictimStarted};
use guest_agent::victim::{KillPolicy, MappingSpec, Spot, VictimSpec};
use machine::guest::agent::Agent;
use machine::qemu::Nvdimm;
use testcases::PageSize;

/// Whose drivers must be there, and what the kernel lacks otherwise.
const DRIVERS: [&str; 2] = ["/sys/bus/nd/drivers/dax_pmem", "/sys/bus/dax/drivers/device_dax"];
const LACKS: &str = "character devices on NVDIMMs (DEV_DAX, DEV_DAX_PMEM)";

/// A process of the harness's own. No case can have one of this name.
const PROVER: &str = ".prover";

/// Turns the raw namespace of the only NVDIMM (such a machine has no other: `template::nvdimms`) into one in devdax mode that is mapped by pages of `align`, with its struct
/// pages on the device (`-M dev`), and checks its address by mapping it. Afterwards no page of it has ever been mapped.
///
/// Fails with [`NvdimmError::Lacks`] if the kernel has no drivers for it.
pub async fn make_devdax(agent: &Agent, machine: &[Nvdimm], align: PageSize) -> Result<Stack, NvdimmError> {
    for driver in DRIVERS {
        require(agent, driver, LACKS).await?;
    }
    let bytes = align.bytes().get().to_string();
    let regions = agent.call(AskRegions {}, QUESTION).await?;
    check(&regions, machine)?;
    for region in &regions {
        create(agent, region, &["-m", "devdax", "-a", &bytes]).await?;
    }
    let stack = devices(agent, align).await?;
    prove_address(agent, &stack, align).await?;
    // A page that was mapped once knows its device for as long as it has a struct page, and an error in one that was not is
    // another thing (drivers/dax/device.c:dax_set_mapping, fs/dax.c:dax_lock_folio). So all get new ones.
    for region in &regions {
        let namespace = format!("namespace{}.0", region.number);
        tool(agent, &["ndctl", "disable-namespace", &namespace]).await?;
        tool(agent, &["ndctl", "enable-namespace", &namespace]).await?;
    }
    devices(agent, align).await
}

/// The devices that are there now.
async fn devices(agent: &Agent, align: PageSize) -> Result<Stack, NvdimmError> {
    let mut pmems = Vec::new();
    for region in agent.call(AskRegions {}, QUESTION).await? {
        pmems.push(device(agent, region, align).await?);
    }
    Ok(Stack::character(pmems, align))
}

async fn device(agent: &Agent, region: Region, align: PageSize) -> Result<Pmem, NvdimmError> {
    let none = |found: String| NvdimmError::NoCharacterDevice {
        region: region.number,
        align,
        found,
    };
    let device = region.device.clone().ok_or_else(|| none("nothing".to_owned()))?;
    let call = AskPmem {
        device: device.clone(),
    };
    let state = agent.call(call, QUESTION).await?;
    let Some(state) = state else {
        return Err(NvdimmError::Gone(device));
    };
    match (state.align, state.data_start) {
        (Some(found), Some(data_start)) if found == align.bytes().get() => Ok(Pmem {
            device,
            data_start,
            size: state.size,
        }),
        (Some(found), _) => Err(none(format!("{device}, by pages of {found} bytes"))),
        (None, _) => Err(none(format!("the block device {device}"))),
    }
}

/// Has a process map the end of the device, and compares what its page table says with what is computed.
async fn prove_address(agent: &Agent, stack: &Stack, align: PageSize) -> Result<(), NvdimmError> {
    let offset = FileOffset(stack.size().saturating_sub(align.bytes().get()));
    let path = stack.device().to_owned();
    let computed = stack.place(Part::Data, FsOffset(offset.0))?.physical;
    let spot = Spot {
        mapping: 0,
        offset: MappingOffset(0),
    };
    let mapping = MappingSpec {
        offset,
        length: Some(align.bytes().get()),
        ..MappingSpec::whole(&path)
    };
    let spec = VictimSpec {
        mappings: vec![mapping],
        ..VictimSpec::reader(PROVER, &path, KillPolicy::Default, &[spot.offset])
    };
    let unresolved = |refusal| NvdimmError::Unresolved {
        path: path.clone(),
        offset,
        refusal,
    };
    match agent.call(StartVictim { spec }, QUESTION).await? {
        VictimStarted::Running { .. } => {}
        VictimStarted::Refused(refusal) => return Err(unresolved(refusal)),
        VictimStarted::Ended(ended) => return Err(NvdimmError::Prover { path, ended }),
    }
    let call = AskVictim {
        name: PROVER.to_owned(),
        pages: vec![spot],
    };
    let pages = agent.call(call, QUESTION).await?.pages;
    let name = PROVER.to_owned();
    agent.call(ReleaseVictim { name }, QUESTION).await?;
    match pages.first().and_then(|page| page.entry.physical) {
        Some(mapped) if mapped == computed => Ok(()),
        Some(mapped) => Err(NvdimmError::Disagreement {
            path,
            offset,
            computed,
            mapped,
        }),
        None => Err(NvdimmError::NotMapped { path, offset }),
    }
}
