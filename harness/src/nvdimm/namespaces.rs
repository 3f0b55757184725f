// SPDX-License-Identifier: MIT OR Apache-2.0
//! The namespaces of a template, one on each NVDIMM: in fsdax mode, or in devdax mode.

use super::character::{self, Proof};
use super::command::{Action, Command, Known, Open, Text, take};
use super::stack::{Pmem, Stack};
use super::{NvdimmError, QUESTION};
use guest_agent::call::{AskPmem, AskRegions, Region};
use machine::guest::agent::Agent;
use machine::qemu::MemoryDevice;
use serde::Serialize;
use testcases::{PageSize, Template};

/// What is done to a booted guest until it has a template's namespaces. As JSON it is part of the template's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Namespaces {
    mode: Mode,
    make: Vec<Action>,
    proof: Option<Proof>,
    renew: Vec<Action>,
}

/// What the namespaces are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    Fsdax,
    Devdax { align: PageSize },
}

impl Namespaces {
    /// Those that a case wants on so many NVDIMMs.
    pub fn of(wanted: &Template, nvdimms: usize) -> Self {
        match wanted {
            Template::Xfs(_) | Template::Unmounted { .. } => Self {
                mode: Mode::Fsdax,
                make: (0..nvdimms)
                    .map(|nvdimm| create(nvdimm, &["-m", "fsdax"]))
                    .collect(),
                proof: None,
                renew: Vec::new(),
            },
            Template::Devdax { align } => {
                let bytes = align.bytes().to_string();
                let mode = ["-m", "devdax", "-a", &bytes];
                let create = (0..nvdimms).map(|nvdimm| create(nvdimm, &mode));
                Self {
                    mode: Mode::Devdax { align: *align },
                    make: character::drivers().into_iter().chain(create).collect(),
                    proof: Some(Proof::of(*align)),
                    renew: (0..nvdimms).flat_map(character::renew).collect(),
                }
            }
        }
    }

    /// Turns the raw namespace of every NVDIMM into one that is wanted, with its struct pages on the device, and checks
    /// that it is. `machine` is how the machine was built, in its order, which is that of the addresses.
    ///
    /// Fails with [`NvdimmError::Lacks`] if the kernel has no drivers for it.
    pub async fn make(&self, agent: &Agent, machine: &[MemoryDevice]) -> Result<Stack, NvdimmError> {
        let regions = agent.call(AskRegions {}, QUESTION).await?;
        check(&regions, machine)?;
        let known = Known {
            regions: &regions,
            pmems: &[],
        };
        take(&self.make, agent, known).await?;
        if let Some(proof) = &self.proof {
            proof.give(agent, &self.mode.devices(agent).await?).await?;
        }
        take(&self.renew, agent, known).await?;
        self.mode.devices(agent).await
    }
}

impl Mode {
    /// The devices that are there now.
    async fn devices(self, agent: &Agent) -> Result<Stack, NvdimmError> {
        let mut pmems = Vec::new();
        for region in agent.call(AskRegions {}, QUESTION).await? {
            pmems.push(match self {
                Self::Fsdax => pmem(agent, region).await?,
                Self::Devdax { align } => character::device(agent, region, align).await?,
            });
        }
        Ok(match self {
            Self::Fsdax => Stack::plain(pmems),
            Self::Devdax { align } => Stack::character(pmems, align),
        })
    }
}

/// The namespace that an NVDIMM has from the beginning, and keeps.
pub(super) fn namespace(nvdimm: usize) -> Text {
    Text::from("namespace").then(Open::Region(nvdimm)).then(".0")
}

/// Has ndctl make a namespace over all of an NVDIMM, in this mode and with its struct pages on the device (`-M dev`).
fn create(nvdimm: usize, mode: &[&str]) -> Action {
    let command = Command::new(&["ndctl", "create-namespace", "-f", "-e"])
        .word(namespace(nvdimm))
        .words(&["-M", "dev"])
        .words(mode);
    Action::Run(command)
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
fn check(regions: &[Region], machine: &[MemoryDevice]) -> Result<(), NvdimmError> {
    let found: Vec<u64> = regions.iter().map(|region| region.size).collect();
    let expected: Vec<u64> = machine.iter().map(|device| device.size().bytes()).collect();
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
        let machine = [1024, 256].map(|size| MemoryDevice::Nvdimm {
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
