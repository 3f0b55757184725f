// SPDX-License-Identifier: MIT OR Apache-2.0
//! Namespaces in fsdax mode, one on each NVDIMM.

use super::stack::Pmem;
use super::{NvdimmError, QUESTION, tool};
use guest_agent::call::{AskPmem, AskRegions, Region};
use machine::guest::agent::Agent;
use machine::qemu::Nvdimm;

/// Turns the raw namespace of every NVDIMM into an fsdax one, with its struct pages on the device (`-M dev`), and checks
/// that it is. `machine` is how the machine was built, in its order, which is that of the addresses.
pub async fn make_fsdax(agent: &Agent, machine: &[Nvdimm]) -> Result<Vec<Pmem>, NvdimmError> {
    let regions = agent.call(AskRegions {}, QUESTION).await?;
    check(&regions, machine)?;
    for region in &regions {
        create(agent, region, &["-m", "fsdax"]).await?;
    }
    let mut pmems = Vec::new();
    for region in agent.call(AskRegions {}, QUESTION).await? {
        pmems.push(pmem(agent, region).await?);
    }
    Ok(pmems)
}

/// Has ndctl make a namespace over all of a region, in this mode and with its struct pages on the device.
pub(super) async fn create(agent: &Agent, region: &Region, mode: &[&str]) -> Result<(), NvdimmError> {
    let namespace = format!("namespace{}.0", region.number);
    let mut argv = vec!["ndctl", "create-namespace", "-f", "-e", &namespace, "-M", "dev"];
    argv.extend(mode);
    tool(agent, &argv).await.map(drop)
}

async fn pmem(agent: &Agent, region: Region) -> Result<Pmem, NvdimmError> {
    let raw = |holder: String| NvdimmError::Raw {
        region: region.number,
        holder,
    };
    let device = region.device.clone().ok_or_else(|| raw("nothing".to_owned()))?;
    let call = AskPmem {
        device: device.clone(),
    };
    let state = agent.call(call, QUESTION).await?;
    let Some(state) = state else {
        return Err(NvdimmError::Gone(device));
    };
    Ok(Pmem {
        device,
        data_start: state
            .data_start
            .filter(|_| state.align.is_none())
            .ok_or_else(|| raw(state.holder))?,
        size: state.size,
    })
}

/// The guest's NVDIMMs are the machine's. QEMU plugs them at rising addresses (`hw/mem/memory-device.c`), and numbers
/// that the guest's kernel gives them say nothing.
pub(super) fn check(regions: &[Region], machine: &[Nvdimm]) -> Result<(), NvdimmError> {
    let found: Vec<u64> = regions.iter().map(|region| region.size).collect();
    let expected: Vec<u64> = machine.iter().map(|nvdimm| nvdimm.size.bytes()).collect();
    if found == expected {
        return Ok(());
    }
    let list = |sizes: Vec<u64>| sizes.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    Err(NvdimmError::Regions {
        expected: list(expected),
        found: list(found),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use guest_agent::address::GuestPhysical;
    use machine::qemu::Mebibytes;

    fn region(number: u32, start: u64, size: u64) -> Region {
        Region {
            number,
            start: GuestPhysical(start),
            size,
            device: None,
        }
    }

    #[test]
    fn an_nvdimm_is_known_by_its_place_and_its_size() {
        let machine = [1024, 256].map(|size| Nvdimm {
            size: Mebibytes(size),
            label: Mebibytes(2),
        });
        let mut regions = vec![region(1, 1 << 32, 1 << 30), region(0, 5 << 30, 256 << 20)];
        assert!(check(&regions, &machine).is_ok());
        regions.swap(0, 1);
        let error = check(&regions, &machine).unwrap_err().to_string();
        assert!(error.contains("1073741824, 268435456"), "{error}");
        assert!(check(&regions[..1], &machine).is_err());
    }
}
