// SPDX-License-Identifier: MIT OR Apache-2.0
//! A namespace in devdax mode: a character device over a whole NVDIMM, and the proof that the harness knows where it lies.

use super::command::{Action, Command, Known, Open, Text};
use super::namespaces::namespace;
use super::stack::{Part, Pmem, Stack};
use super::{NvdimmError, QUESTION};
use guest_agent::address::{FileOffset, FsOffset, MappingOffset};
use guest_agent::call::{AskPmem, AskVictim, Region, ReleaseVictim, StartVictim, VictimStarted};
use guest_agent::victim::{KillPolicy, MappingSpec, Spot, VictimSpec};
use machine::guest::agent::Agent;
use serde::Serialize;
use testcases::PageSize;

/// Whose drivers must be there, and what the kernel lacks otherwise.
const DRIVERS: [&str; 2] = ["/sys/bus/nd/drivers/dax_pmem", "/sys/bus/dax/drivers/device_dax"];
const LACKS: &str = "character devices on NVDIMMs (DEV_DAX, DEV_DAX_PMEM)";

/// A process of the harness's own. No case can have one of this name.
const PROVER: &str = ".prover";
/// What she loads from: the beginning of her mapping.
const FIRST: Spot = Spot {
    mapping: 0,
    offset: MappingOffset(0),
};

/// What a kernel must have for namespaces in devdax mode.
pub(super) fn drivers() -> Vec<Action> {
    let require = |driver: &str| Action::Require {
        path: driver.into(),
        lacks: LACKS,
    };
    DRIVERS.map(require).into()
}

/// Gives a namespace new struct pages. A page that was mapped once knows its device for as long as it has a struct page,
/// and an error in one that was not is another thing (drivers/dax/device.c:dax_set_mapping, fs/dax.c:dax_lock_folio).
pub(super) fn renew(nvdimm: usize) -> [Action; 2] {
    ["disable-namespace", "enable-namespace"]
        .map(|verb| Action::Run(Command::new(&["ndctl", verb]).word(namespace(nvdimm))))
}

pub(super) async fn device(agent: &Agent, region: Region, align: PageSize) -> Result<Pmem, NvdimmError> {
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
        (Some(found), Some(data_start)) if found == align.bytes() => Ok(Pmem {
            device,
            data_start,
            size: state.size,
        }),
        (Some(found), _) => Err(none(format!("{device}, by pages of {found} bytes"))),
        (None, _) => Err(none(format!("the block device {device}"))),
    }
}

/// A process maps the end of the device, and what its page table says is compared with what is computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Proof {
    /// The device, which is that of the only NVDIMM: such a machine has no other (`template::devices`).
    path: Text,
    /// The bytes at its end that are mapped.
    last: u64,
    /// Who maps them. Of her mapping, path and beginning are still open.
    prover: VictimSpec,
}

impl Proof {
    /// For a device that is mapped by such pages.
    pub(super) fn of(align: PageSize) -> Self {
        let last = align.bytes();
        let mapping = MappingSpec {
            length: Some(last),
            ..MappingSpec::whole("")
        };
        Self {
            path: Text::from("/dev/").then(Open::Device(0)),
            last,
            prover: VictimSpec {
                mappings: vec![mapping],
                ..VictimSpec::reader(PROVER, "", KillPolicy::Default, &[FIRST.offset])
            },
        }
    }

    /// Fails unless both say the same.
    pub(super) async fn give(&self, agent: &Agent, stack: &Stack) -> Result<(), NvdimmError> {
        let known = Known {
            regions: &[],
            pmems: stack.pmems(),
        };
        let path = self.path.close(known)?;
        let offset = FileOffset(stack.size().saturating_sub(self.last));
        let computed = stack.place(Part::Data, FsOffset(offset.0))?.physical;
        let mut spec = self.prover.clone();
        for mapping in &mut spec.mappings {
            mapping.path.clone_from(&path);
            mapping.offset = offset;
        }
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
            pages: vec![FIRST],
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
}
