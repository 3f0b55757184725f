// SPDX-License-Identifier: MIT OR Apache-2.0
//! The named states in which cases begin, and the steps that lead from a booted guest to each.
//!
//! ```text
//! booted ──> fsdax ──> xfs
//! probes     namespace  mkfs, mount, proof of DAX
//! ```

use crate::guest::Guest;
use crate::guest::agent::{Agent, CallError};
use crate::nvdimm::{self, NvdimmError};
use crate::observe::probes;
use guest_agent::call::{AskLacking, Outcome};
use std::time::Duration;
use testcases::Template;

/// Attaching a dozen probes patches kernel text under emulation; mounting replays a log.
const PREPARATION: Duration = Duration::from_secs(60);

/// Why a guest could not be brought into a state.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// The image and its kernel do not fit.
    #[error("modules did not load (do they belong to this kernel?): {0}")]
    Modules(String),
    /// The kernel cannot show what every case is about.
    #[error("this kernel lacks what is needed: {0} (what is built as modules is given with --modules)")]
    Lacks(String),
    /// The guest could not be asked.
    #[error(transparent)]
    Call(#[from] CallError),
    /// Namespace, filesystem or mount failed.
    #[error(transparent)]
    Nvdimm(#[from] NvdimmError),
}

/// `booted`: everything that is needed has loaded, and what follows is observed from its beginning.
pub async fn observe(guest: &Guest) -> Result<(), TemplateError> {
    if !guest.welcome.failed_modules.is_empty() {
        return Err(TemplateError::Modules(guest.welcome.failed_modules.join(", ")));
    }
    let lacking = guest.agent.call(AskLacking {}, PREPARATION).await?;
    if !lacking.is_empty() {
        return Err(TemplateError::Lacks(lacking.join("; ")));
    }
    guest.agent.call(probes::request(), PREPARATION).await?;
    Ok(())
}

/// `fsdax`: the namespace has struct pages.
pub async fn make_fsdax(agent: &Agent) -> Result<(), TemplateError> {
    nvdimm::make_fsdax(agent).await?;
    Ok(())
}

/// `xfs`: the filesystem that the case wants is mounted, and the harness's arithmetic is checked against it. Whether the
/// mount is DAX is for the case to ask: one that is not may be what it wants.
pub async fn make_filesystem(agent: &Agent, template: &Template) -> Result<(), TemplateError> {
    let Template::Xfs { mkfs, mount } = template;
    nvdimm::make_xfs(agent, mkfs).await?;
    match nvdimm::mount(agent, mount, PREPARATION).await? {
        Outcome::Done(()) => nvdimm::prove_dax(agent).await?,
        Outcome::Refused(refusal) => {
            return Err(NvdimmError::Mount {
                options: mount.clone(),
                refusal,
            }
            .into());
        }
    };
    Ok(())
}

/// What [`observe`] does, in words that change with it.
pub fn observing() -> Vec<String> {
    let request = probes::request();
    let events = request
        .events
        .into_iter()
        .map(|event| format!("{} {}", event.name, event.filter.unwrap_or_default()));
    request.kprobes.into_iter().chain(events).collect()
}

/// What [`make_fsdax`] does, in words that change with it.
pub fn fsdax() -> Vec<String> {
    vec!["namespace0.0 fsdax, struct pages on the device".to_owned()]
}

/// What [`make_filesystem`] does, in words that change with it.
pub fn filesystem(template: &Template) -> Vec<String> {
    let Template::Xfs { mkfs, mount } = template;
    let mut steps = vec!["mkfs.xfs reflink=1 rmapbt=1".to_owned()];
    steps.extend(mkfs.iter().cloned());
    steps.push(format!("mount {mount}, proof of 4096 zeros"));
    steps
}
