// SPDX-License-Identifier: MIT OR Apache-2.0
//! The named state in which a case begins, and how a guest is brought into it.

use crate::guest::agent::{Agent, CallError};
use crate::nvdimm::{self, Dax, NvdimmError};
use crate::observe::probes;
use guest_agent::call::Outcome;
use std::time::Duration;
use testcases::Template;

/// Attaching a dozen probes patches kernel text under emulation; mounting replays a log.
const PREPARATION: Duration = Duration::from_secs(60);

/// Attaches the probes, so that what follows is observed from its beginning.
pub async fn attach_probes(agent: &Agent) -> Result<(), CallError> {
    agent.call(probes::request(), PREPARATION).await.map(drop)
}

/// Makes the namespace, the filesystem and the mount that the template names, and proves what can be proved of them.
/// Whether the mount is DAX is for the case to ask: one that is not may be what it wants.
pub async fn make(agent: &Agent, template: &Template) -> Result<Dax, NvdimmError> {
    let Template::Xfs { mkfs, mount } = template;
    nvdimm::make_fsdax(agent).await?;
    nvdimm::make_xfs(agent, mkfs).await?;
    match nvdimm::mount(agent, mount, PREPARATION).await? {
        Outcome::Done(()) => nvdimm::prove_dax(agent).await,
        Outcome::Refused(refusal) => Err(NvdimmError::Mount {
            options: mount.clone(),
            refusal,
        }),
    }
}
