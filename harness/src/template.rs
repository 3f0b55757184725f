// SPDX-License-Identifier: MIT OR Apache-2.0
//! The named states in which cases begin, and the steps that lead from a booted guest to each.
//!
//! ```text
//! booted ──> fsdax ──> xfs
//! probes     namespace  mkfs, mount, proof of DAX
//! ```

use crate::guest::agent::{Agent, CallError};
use crate::guest::{Death, Guest};
use crate::nvdimm::{self, NvdimmError};
use crate::observe::probes;
use crate::qemu::Machine;
use crate::snapshot::{Key, Recipe, Template as Kept, Unmade, Workshop};
use guest_agent::call::{AskLacking, Outcome};
use guest_images::Image;
use guest_images::qemu::Qemu;
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
    /// The guest died of it.
    #[error("{how}, while it was brought into its template")]
    Died {
        /// Whose death it was.
        how: Death,
        /// What failed.
        #[source]
        source: Box<TemplateError>,
    },
}

/// The templates that lead to a case's, each made out of the one before it.
pub struct Chain {
    /// Booted and observed.
    pub booted: Kept,
    /// With an fsdax namespace.
    pub fsdax: Kept,
    /// With the filesystem that was wanted.
    pub xfs: Kept,
}

const BOOTED: &str = "booted";
const FSDAX: &str = "fsdax";
const XFS: &str = "xfs";

/// Takes the templates from the workshop's store; what is not there is made.
pub async fn keep(
    workshop: &Workshop<'_>,
    machine: &Machine,
    wanted: &Template,
) -> Result<Chain, Unmade<TemplateError>> {
    let booted = workshop
        .booted(BOOTED, machine, &observing_words(), async |guest: &Guest| {
            done(guest, observe(guest).await).await
        })
        .await?;
    let fsdax = workshop
        .after(FSDAX, &booted, &fsdax_words(), async |guest: &Guest| {
            done(guest, make_fsdax(&guest.agent).await).await
        })
        .await?;
    let xfs = workshop
        .after(XFS, &fsdax, &filesystem_words(wanted), async |guest: &Guest| {
            done(guest, make_filesystem(&guest.agent, wanted).await).await
        })
        .await?;
    Ok(Chain { booted, fsdax, xfs })
}

/// The name under which [`keep`] has the store keep the last of them.
pub fn key(image: &Image, qemu: &Qemu, machine: &Machine, wanted: &Template) -> Key {
    let booted = Recipe::booted(BOOTED, image, qemu, machine, &observing_words());
    let fsdax = Recipe::after(FSDAX, &booted.key(), &fsdax_words());
    Recipe::after(XFS, &fsdax.key(), &filesystem_words(wanted)).key()
}

/// Brings a freshly booted guest all the way.
pub async fn bring(guest: &Guest, wanted: &Template) -> Result<(), TemplateError> {
    let brought = async {
        observe(guest).await?;
        make_fsdax(&guest.agent).await?;
        make_filesystem(&guest.agent, wanted).await
    };
    let brought = brought.await;
    done(guest, brought).await.map(drop)
}

/// Templates have no facts to keep; a failure is told with the guest's death, if it died of it.
async fn done(guest: &Guest, brought: Result<(), TemplateError>) -> Result<serde_json::Value, TemplateError> {
    match brought {
        Ok(()) => Ok(serde_json::Value::Null),
        Err(error @ TemplateError::Lacks(_)) => Err(error),
        Err(error) => Err(match guest.ended(true).await {
            Some(how) => TemplateError::Died {
                how,
                source: Box::new(error),
            },
            None => error,
        }),
    }
}

/// `booted`: everything that is needed has loaded, and what follows is observed from its beginning.
async fn observe(guest: &Guest) -> Result<(), TemplateError> {
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
async fn make_fsdax(agent: &Agent) -> Result<(), TemplateError> {
    nvdimm::make_fsdax(agent).await?;
    Ok(())
}

/// `xfs`: the filesystem that the case wants is mounted, and the harness's arithmetic is checked against it. Whether the
/// mount is DAX is for the case to ask: one that is not may be what it wants.
async fn make_filesystem(agent: &Agent, template: &Template) -> Result<(), TemplateError> {
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
fn observing_words() -> Vec<String> {
    let request = probes::request();
    let events = request
        .events
        .into_iter()
        .map(|event| format!("{} {}", event.name, event.filter.unwrap_or_default()));
    request.kprobes.into_iter().chain(events).collect()
}

/// What [`make_fsdax`] does, in words that change with it.
fn fsdax_words() -> Vec<String> {
    vec!["namespace0.0 fsdax, struct pages on the device".to_owned()]
}

/// What [`make_filesystem`] does, in words that change with it.
fn filesystem_words(template: &Template) -> Vec<String> {
    let Template::Xfs { mkfs, mount } = template;
    let mut steps = vec!["mkfs.xfs reflink=1 rmapbt=1".to_owned()];
    steps.extend(mkfs.iter().cloned());
    steps.push(format!("mount {mount}, proof of 4096 zeros"));
    steps
}
