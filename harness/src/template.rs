// SPDX-License-Identifier: MIT OR Apache-2.0
//! The named states in which cases begin, and the steps that lead from a booted guest to each.
//!
//! ```text
//! booted ──> fsdax ───────────────> xfs
//! probes     namespaces             devices over them, mkfs, mount, the arithmetic checked
//!   │          └──────────────────> what a case calls `unmounted`
//!   └──────> devdax
//!            a character device, the arithmetic checked
//! ```
//!
//! A template with more NVDIMMs than another begins with another machine, and so has a chain of its own.

use crate::nvdimm::{self, NvdimmError, Pmem, Stack};
use guest_agent::call::{AskLacking, MarkLog, Outcome, ReadLog};
use guest_images::Image;
use guest_images::qemu::Qemu;
use machine::guest::agent::{Agent, CallError};
use machine::guest::{Death, Guest};
use machine::qemu::{Machine, Mebibytes, Nvdimm};
use machine::snapshot::{Key, Recipe, Template as Kept, Unmade, Workshop};
use serde::Serialize;
use std::time::Duration;
use testcases::{Ground, Log, Template, Xfs};
use verdict::observe::{probes, splat};

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
    /// What a template was kept with is not what this program writes.
    #[error("the template `{template}` does not say which devices it has")]
    Facts {
        /// Its name.
        template: String,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// The kernel printed a warning, an oops or a stall meanwhile.
    #[error("the kernel complained while it was brought into its template: {0}")]
    Complained(String),
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

impl TemplateError {
    /// Whether it is the kernel that cannot have this state.
    pub fn is_lack(&self) -> bool {
        matches!(self, Self::Lacks(_) | Self::Nvdimm(NvdimmError::Lacks(_)))
    }
}

/// The templates that lead to a case's, each made out of the one before it.
pub struct Chain {
    /// Booted and observed.
    pub booted: Kept,
    /// With namespaces: in fsdax mode, or in devdax mode if that was wanted.
    pub namespaces: Kept,
    /// With the filesystem that was wanted; none if none was.
    pub xfs: Option<Kept>,
}

impl Chain {
    /// The one that cases are cloned from.
    pub fn last(self) -> Kept {
        self.xfs.unwrap_or(self.namespaces)
    }
}

const BOOTED: &str = "booted";
const FSDAX: &str = "fsdax";
const DEVDAX: &str = "devdax";
const XFS: &str = "xfs";

/// The size of the data device. mkfs.xfs wants 300 MB, and four allocation groups of a useful size are welcome.
const DATA: Mebibytes = Mebibytes(1024);
/// Each half of a striped data device.
const HALF: Mebibytes = Mebibytes(512);
/// An external log: mkfs.xfs wants 64 MB.
const LOG: Mebibytes = Mebibytes(128);
/// A realtime device.
const REALTIME: Mebibytes = Mebibytes(512);
/// In which namespaces are recorded.
const LABEL: Mebibytes = Mebibytes(2);

/// The NVDIMMs of the machine for a template, in the order of their addresses.
pub fn nvdimms(wanted: &Template) -> Vec<Nvdimm> {
    let mut sizes = Vec::new();
    match wanted {
        Template::Unmounted { nvdimms } => sizes.resize(usize::from(*nvdimms), DATA),
        // As large as the default's, so that both begin with the same booted guest.
        Template::Devdax { .. } => sizes.push(DATA),
        Template::Xfs(xfs) => {
            match xfs.on {
                Ground::Stripe => sizes.extend([HALF, HALF]),
                Ground::Namespace | Ground::Linear | Ground::Partition => sizes.push(DATA),
            }
            sizes.extend((xfs.log == Log::External).then_some(LOG));
            sizes.extend(xfs.realtime.then_some(REALTIME));
        }
    }
    sizes
        .into_iter()
        .map(|size| Nvdimm { size, label: LABEL })
        .collect()
}

/// What becomes of a template whose kernel complained while it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Complaints {
    Refused,
    Kept,
}

/// Takes the templates from the workshop's store; what is not there is made. `machine` is that of the template.
///
/// Every clone has the log of its template, so a stall on a host that was short of time for once would fail every case to come.
/// A kernel that complains is tried once more; one that does so again means it, and the cases are to say so.
pub async fn keep(
    workshop: &Workshop<'_>,
    machine: &Machine,
    wanted: &Template,
) -> Result<Chain, Unmade<TemplateError>> {
    match keep_once(workshop, machine, wanted, Complaints::Refused).await {
        Err(Unmade::Steps(error @ TemplateError::Complained(_))) => {
            (workshop.note)(&format!("{error}; it is made once more"));
            keep_once(workshop, machine, wanted, Complaints::Kept).await
        }
        kept => kept,
    }
}

async fn keep_once(
    workshop: &Workshop<'_>,
    machine: &Machine,
    wanted: &Template,
    complaints: Complaints,
) -> Result<Chain, Unmade<TemplateError>> {
    let booted = workshop
        .booted(BOOTED, machine, &observing_words(), async |guest: &Guest| {
            done(guest, observe(guest).await, complaints).await
        })
        .await?;
    let (name, words) = namespaces_words(wanted);
    let namespaces = workshop
        .after(name, &booted, &words, async |guest: &Guest| {
            let made = make_namespaces(&guest.agent, machine, wanted).await;
            done(guest, made, complaints).await
        })
        .await?;
    let Template::Xfs(wanted) = wanted else {
        return Ok(Chain {
            booted,
            namespaces,
            xfs: None,
        });
    };
    let below = stack(&namespaces).map_err(Unmade::Steps)?;
    let xfs = workshop
        .after(
            XFS,
            &namespaces,
            &filesystem_words(wanted),
            async |guest: &Guest| {
                let made = make_filesystem(&guest.agent, below.into_pmems(), wanted).await;
                done(guest, made, complaints).await
            },
        )
        .await?;
    Ok(Chain {
        booted,
        namespaces,
        xfs: Some(xfs),
    })
}

/// The devices of a template from [`Chain::namespaces`] on, and of every clone of it.
pub fn stack(template: &Kept) -> Result<Stack, TemplateError> {
    template.facts().map_err(|source| TemplateError::Facts {
        template: template.name().to_owned(),
        source,
    })
}

/// The name under which [`keep`] has the store keep the last of them.
pub fn key(image: &Image, qemu: &Qemu, machine: &Machine, wanted: &Template) -> Key {
    let booted = Recipe::booted(BOOTED, image, qemu, machine, &observing_words());
    let (name, words) = namespaces_words(wanted);
    let namespaces = Recipe::after(name, &booted.key(), &words);
    match wanted {
        Template::Xfs(xfs) => Recipe::after(XFS, &namespaces.key(), &filesystem_words(xfs)).key(),
        Template::Unmounted { .. } | Template::Devdax { .. } => namespaces.key(),
    }
}

/// Brings a freshly booted guest all the way.
pub async fn bring(guest: &Guest, machine: &Machine, wanted: &Template) -> Result<Stack, TemplateError> {
    let brought = async {
        observe(guest).await?;
        let stack = make_namespaces(&guest.agent, machine, wanted).await?;
        match wanted {
            Template::Xfs(xfs) => make_filesystem(&guest.agent, stack.into_pmems(), xfs).await,
            Template::Unmounted { .. } | Template::Devdax { .. } => Ok(stack),
        }
    };
    let brought = brought.await;
    told(guest, brought).await
}

/// What was learnt, to be kept with the template.
async fn done<T: Serialize>(
    guest: &Guest,
    brought: Result<T, TemplateError>,
    complaints: Complaints,
) -> Result<serde_json::Value, TemplateError> {
    let learnt = told(guest, brought).await?;
    if complaints == Complaints::Refused
        && let Some(complaint) = complaint(guest).await?
    {
        return Err(TemplateError::Complained(complaint));
    }
    serde_json::to_value(learnt).map_err(|source| TemplateError::Facts {
        template: "just made".to_owned(),
        source,
    })
}

/// The first thing that the kernel has complained of since it booted.
async fn complaint(guest: &Guest) -> Result<Option<String>, TemplateError> {
    let records = guest.agent.call(ReadLog { since: 0 }, PREPARATION).await?;
    let lines = records.iter().flat_map(|record| record.text.lines());
    Ok(splat::find(lines).into_iter().next().map(|splat| splat.title))
}

/// A failure is told with the guest's death, if it died of it.
async fn told<T>(guest: &Guest, brought: Result<T, TemplateError>) -> Result<T, TemplateError> {
    match brought {
        Err(error) if !error.is_lack() => Err(match guest.ended(true).await {
            Some(how) => TemplateError::Died {
                how,
                source: Box::new(error),
            },
            None => error,
        }),
        brought => brought,
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

/// `fsdax` or `devdax`: the namespaces have struct pages.
async fn make_namespaces(
    agent: &Agent,
    machine: &Machine,
    wanted: &Template,
) -> Result<Stack, TemplateError> {
    let nvdimms = &machine.nvdimms;
    Ok(match wanted {
        Template::Xfs(_) | Template::Unmounted { .. } => {
            Stack::plain(nvdimm::make_fsdax(agent, nvdimms).await?)
        }
        Template::Devdax { align } => nvdimm::make_devdax(agent, nvdimms, *align).await?,
    })
}

/// `xfs`: the filesystem that the case wants is mounted, and where it is DAX the harness's arithmetic is checked against
/// it. Whether it is, is for the case to ask: one that is not may be what it wants.
async fn make_filesystem(agent: &Agent, pmems: Vec<Pmem>, wanted: &Xfs) -> Result<Stack, TemplateError> {
    let stack = nvdimm::build(agent, pmems, wanted).await?;
    nvdimm::make_xfs(agent, &stack, &wanted.mkfs).await?;
    let since = agent.call(MarkLog {}, PREPARATION).await?;
    match nvdimm::mount(agent, &stack, &wanted.mount, PREPARATION).await? {
        Outcome::Done(()) => nvdimm::prove_dax(agent, &stack).await?,
        // The stub of a kernel without CONFIG_XFS_RT (fs/xfs/xfs_rtalloc.h: xfs_rtmount_init).
        Outcome::Refused(refusal) if wanted.realtime && refusal.errno == nix::libc::ENOSYS => {
            return Err(NvdimmError::Lacks("realtime devices (XFS_RT)".to_owned()).into());
        }
        Outcome::Refused(refusal) => {
            let options = stack.mount_options(&wanted.mount);
            let lack = nvdimm::lacking_for_mount(agent, &refusal, since).await?;
            let error = match lack {
                Some(lack) => NvdimmError::Lacks(lack),
                None => NvdimmError::Mount { options, refusal },
            };
            return Err(error.into());
        }
    };
    Ok(stack)
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

/// The name of what [`make_namespaces`] makes, and what it does, in words that change with it.
fn namespaces_words(wanted: &Template) -> (&'static str, Vec<String>) {
    const FACTS: &str = "facts: Stack, which may be a character device";
    let (name, how) = match wanted {
        Template::Xfs(_) | Template::Unmounted { .. } => (
            FSDAX,
            "every namespace fsdax, struct pages on the device".to_owned(),
        ),
        Template::Devdax { align } => (
            DEVDAX,
            format!("devdax, pages of {align}, struct pages on the device; address proved, enabled anew"),
        ),
    };
    (name, vec![how, FACTS.to_owned()])
}

/// What [`make_filesystem`] does, in words that change with it.
fn filesystem_words(wanted: &Xfs) -> Vec<String> {
    let Xfs {
        mkfs,
        mount,
        log,
        realtime,
        on,
    } = wanted;
    let mut steps = vec![
        format!("log {log:?}, realtime {realtime}, on {on:?}; 1 MiB left out, chunks of 256 KiB"),
        "mkfs.xfs reflink=1 rmapbt=1".to_owned(),
    ];
    steps.extend(mkfs.iter().cloned());
    steps.push(format!("mount {mount}, proof of 4096 zeros"));
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use testcases::PageSize;

    #[test]
    fn every_device_has_an_nvdimm_of_its_own() {
        let sizes = |wanted| {
            nvdimms(&wanted)
                .iter()
                .map(|nvdimm| nvdimm.size.0)
                .collect::<Vec<_>>()
        };
        assert_eq!(sizes(Template::default()), [1024]);
        let xfs = |log, realtime, on| {
            Template::Xfs(Xfs {
                log,
                realtime,
                on,
                ..Xfs::default()
            })
        };
        assert_eq!(sizes(xfs(Log::External, false, Ground::Linear)), [1024, 128]);
        assert_eq!(
            sizes(xfs(Log::External, true, Ground::Stripe)),
            [512, 512, 128, 512]
        );
        assert_eq!(sizes(Template::Unmounted { nvdimms: 2 }), [1024, 1024]);
        let align = PageSize::Huge;
        assert_eq!(sizes(Template::Devdax { align }), [1024]);
    }

    #[test]
    fn a_filesystem_and_no_filesystem_share_namespaces_and_character_devices_have_their_own() {
        let xfs = namespaces_words(&Template::default());
        assert_eq!(xfs, namespaces_words(&Template::Unmounted { nvdimms: 1 }));
        let devdax = |align| namespaces_words(&Template::Devdax { align });
        assert_ne!(devdax(PageSize::Huge), xfs);
        assert_ne!(devdax(PageSize::Huge), devdax(PageSize::Base));
    }

    #[test]
    fn what_is_made_differently_is_named_differently() {
        let plain = Xfs::default();
        let others = [
            Xfs {
                log: Log::External,
                ..plain.clone()
            },
            Xfs {
                on: Ground::Partition,
                ..plain.clone()
            },
            Xfs {
                mkfs: vec!["-m".to_owned()],
                ..plain.clone()
            },
            Xfs {
                mount: "dax=inode".to_owned(),
                ..plain.clone()
            },
            Xfs {
                realtime: true,
                ..plain.clone()
            },
        ];
        for other in others {
            assert_ne!(filesystem_words(&plain), filesystem_words(&other));
        }
    }
}
