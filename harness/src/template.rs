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

use crate::nvdimm::{Filesystem, Namespaces, NvdimmError, Stack};
use guest_agent::call::{AskLacking, ReadLog, StartTrace};
use guest_images::Image;
use guest_images::qemu::Qemu;
use machine::guest::agent::CallError;
use machine::guest::{Death, Guest};
use machine::qemu::{Machine, Mebibytes, MemoryDevice};
use machine::snapshot::{Key, MakeError, Recipe, Snapshot, Workshop};
use serde::Serialize;
use std::time::Duration;
use testcases::{Ground, Log, Template};
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
    /// What is done for a template has no written form.
    #[error("cannot write down what is done for a template")]
    Unwritten(#[source] serde_json::Error),
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
    pub booted: Snapshot,
    /// With namespaces: in fsdax mode, or in devdax mode if that was wanted.
    pub namespaces: Snapshot,
    /// With the filesystem that was wanted; none if none was.
    pub xfs: Option<Snapshot>,
}

impl Chain {
    /// The one that cases are cloned from.
    pub fn last(self) -> Snapshot {
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

/// The memory devices of the machine for a template, in the order of their addresses.
pub fn devices(wanted: &Template) -> Vec<MemoryDevice> {
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
        .map(|size| MemoryDevice::Nvdimm { size, label: LABEL })
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
) -> Result<Chain, MakeError<TemplateError>> {
    match keep_once(workshop, machine, wanted, Complaints::Refused).await {
        Err(MakeError::Setup(error @ TemplateError::Complained(_))) => {
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
) -> Result<Chain, MakeError<TemplateError>> {
    let work = Work::of(machine, wanted);
    let steps = work.observing.steps().map_err(MakeError::Setup)?;
    let booted = workshop
        .booted(BOOTED, machine, &steps, async |guest: &Guest| {
            done(guest, work.observing.start(guest).await, complaints).await
        })
        .await?;
    let steps = steps_with_facts(&work.namespaces).map_err(MakeError::Setup)?;
    let namespaces = workshop
        .after(name_of(wanted), &booted, &steps, async |guest: &Guest| {
            let made = work.namespaces.make(&guest.agent, &machine.devices).await;
            done(guest, made.map_err(TemplateError::from), complaints).await
        })
        .await?;
    let xfs = match &work.filesystem {
        Some(filesystem) => {
            let below = stack(&namespaces).map_err(MakeError::Setup)?;
            let steps = steps_with_facts(filesystem).map_err(MakeError::Setup)?;
            let make = async |guest: &Guest| {
                let made = filesystem.make(&guest.agent, below.pmems()).await;
                done(guest, made.map_err(TemplateError::from), complaints).await
            };
            Some(workshop.after(XFS, &namespaces, &steps, make).await?)
        }
        None => None,
    };
    Ok(Chain {
        booted,
        namespaces,
        xfs,
    })
}

/// The devices of a template from [`Chain::namespaces`] on, and of every clone of it.
pub fn stack(template: &Snapshot) -> Result<Stack, TemplateError> {
    template.facts().map_err(|source| TemplateError::Facts {
        template: template.name().to_owned(),
        source,
    })
}

/// The name under which [`keep`] has the store keep the last of them.
pub fn key(image: &Image, qemu: &Qemu, machine: &Machine, wanted: &Template) -> Result<Key, TemplateError> {
    let work = Work::of(machine, wanted);
    let booted = Recipe::booted(BOOTED, image, qemu, machine, &work.observing.steps()?);
    let steps = steps_with_facts(&work.namespaces)?;
    let namespaces = Recipe::after(name_of(wanted), &booted.key(), &steps);
    let Some(filesystem) = &work.filesystem else {
        return Ok(namespaces.key());
    };
    let steps = steps_with_facts(filesystem)?;
    Ok(Recipe::after(XFS, &namespaces.key(), &steps).key())
}

/// Brings a freshly booted guest all the way.
pub async fn bring(guest: &Guest, machine: &Machine, wanted: &Template) -> Result<Stack, TemplateError> {
    let work = Work::of(machine, wanted);
    let brought = async {
        work.observing.start(guest).await?;
        let stack = work.namespaces.make(&guest.agent, &machine.devices).await?;
        Ok(match &work.filesystem {
            Some(filesystem) => filesystem.make(&guest.agent, stack.pmems()).await?,
            None => stack,
        })
    };
    let brought = brought.await;
    with_death(guest, brought).await
}

/// All that is done to a booted guest for a template. It is written down for the key and carried out as it stands.
struct Work {
    observing: Observing,
    namespaces: Namespaces,
    filesystem: Option<Filesystem>,
}

impl Work {
    fn of(machine: &Machine, wanted: &Template) -> Self {
        Self {
            observing: Observing {
                trace: probes::request(),
            },
            namespaces: Namespaces::of(wanted, machine.devices.len()),
            filesystem: match wanted {
                Template::Xfs(xfs) => Some(Filesystem::of(xfs)),
                Template::Unmounted { .. } | Template::Devdax { .. } => None,
            },
        }
    }
}

/// The name of the template that has the namespaces.
fn name_of(wanted: &Template) -> &'static str {
    match wanted {
        Template::Xfs(_) | Template::Unmounted { .. } => FSDAX,
        Template::Devdax { .. } => DEVDAX,
    }
}

/// What is done, as it is hashed.
fn steps(work: &impl Serialize) -> Result<Vec<String>, TemplateError> {
    let text = serde_json::to_string(work).map_err(TemplateError::Unwritten)?;
    Ok(vec![text])
}

/// What is done, and the form of what is learnt by it, as they are hashed.
fn steps_with_facts(work: &impl Serialize) -> Result<Vec<String>, TemplateError> {
    let mut steps = steps(work)?;
    for form in Stack::forms() {
        steps.push(serde_json::to_string(&form).map_err(TemplateError::Unwritten)?);
    }
    Ok(steps)
}

/// What was learnt, to be kept with the template.
async fn done<T: Serialize>(
    guest: &Guest,
    brought: Result<T, TemplateError>,
    complaints: Complaints,
) -> Result<serde_json::Value, TemplateError> {
    let learnt = with_death(guest, brought).await?;
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

/// Adds to a failure how the guest ended, if it has.
async fn with_death<T>(guest: &Guest, brought: Result<T, TemplateError>) -> Result<T, TemplateError> {
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
struct Observing {
    trace: StartTrace,
}

impl Observing {
    fn steps(&self) -> Result<Vec<String>, TemplateError> {
        steps(&self.trace)
    }

    async fn start(&self, guest: &Guest) -> Result<(), TemplateError> {
        if !guest.welcome.failed_modules.is_empty() {
            return Err(TemplateError::Modules(guest.welcome.failed_modules.join(", ")));
        }
        let lacking = guest.agent.call(AskLacking {}, PREPARATION).await?;
        if !lacking.is_empty() {
            return Err(TemplateError::Lacks(lacking.join("; ")));
        }
        guest.agent.call(self.trace.clone(), PREPARATION).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testcases::{PageSize, Xfs};

    #[test]
    fn every_device_has_an_nvdimm_of_its_own() {
        let sizes = |wanted| {
            devices(&wanted)
                .iter()
                .map(|device| device.size().0)
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

    /// What is hashed of a template beyond the booted guest, and its machine.
    fn hashed(wanted: &Template) -> (usize, Vec<String>) {
        let machine = devices(wanted).len();
        let mut steps = steps_with_facts(&Namespaces::of(wanted, machine)).unwrap();
        if let Template::Xfs(xfs) = wanted {
            steps.extend(steps_with_facts(&Filesystem::of(xfs)).unwrap());
        }
        (machine, steps)
    }

    /// Templates of every kind, no two of which are the same.
    fn templates() -> Vec<Template> {
        let devdax = [PageSize::Base, PageSize::Huge].map(|align| Template::Devdax { align });
        let unmounted = [1, 2].map(|nvdimms| Template::Unmounted { nvdimms });
        let mut all: Vec<Template> = devdax.into_iter().chain(unmounted).collect();
        for on in [
            Ground::Namespace,
            Ground::Linear,
            Ground::Stripe,
            Ground::Partition,
        ] {
            for log in [Log::Internal, Log::External] {
                for realtime in [false, true] {
                    for mkfs in [&[][..], &["-m", "rmapbt=0"], &["-m rmapbt=0"], &["{device 0}"]] {
                        for mount in ["dax=always", "dax=inode", ""] {
                            all.push(Template::Xfs(Xfs {
                                mkfs: mkfs.iter().map(|&word| word.to_owned()).collect(),
                                mount: mount.to_owned(),
                                log,
                                realtime,
                                on,
                            }));
                        }
                    }
                }
            }
        }
        all
    }

    #[test]
    fn no_two_templates_are_hashed_alike() {
        let templates = templates();
        let hashed: Vec<_> = templates.iter().map(hashed).collect();
        for (index, one) in hashed.iter().enumerate() {
            for (other, template) in hashed[..index].iter().zip(&templates) {
                assert_ne!(one, other, "{} and {template}", templates[index]);
            }
        }
    }

    #[test]
    fn a_filesystem_and_no_filesystem_share_their_namespaces() {
        let namespaces = |wanted| steps(&Namespaces::of(&wanted, 1)).unwrap();
        assert_eq!(
            namespaces(Template::default()),
            namespaces(Template::Unmounted { nvdimms: 1 })
        );
    }

    #[test]
    fn what_is_hashed_is_what_is_executed() {
        let hashed = hashed(&Template::Xfs(Xfs {
            mkfs: vec!["-d".to_owned(), "agcount=8".to_owned()],
            log: Log::External,
            on: Ground::Linear,
            ..Xfs::default()
        }));
        for command in [
            r#"["ndctl","create-namespace","-f","-e","namespace{region 1}.0","-M","dev","-m","fsdax"]"#,
            r#""0 {sectors of device 0 but 1048576 bytes} linear /dev/{device 0} 2048""#,
            r#"["dmsetup","mknodes","--noudevsync","taster"]"#,
            r#"["mkfs.xfs","-q","-f","-m","reflink=1,rmapbt=1","-d","agcount=8","-l","logdev=/dev/{device 1}","/dev/mapper/taster"]"#,
            r#""device":"/dev/mapper/taster","at":"/mnt","kind":"xfs","options":"dax=always,logdev=/dev/{device 1}""#,
            r#""path":"/mnt/.taster-proof""#,
        ] {
            assert!(
                hashed.1.iter().any(|step| step.contains(command)),
                "{command} in {hashed:#?}"
            );
        }
        let align = PageSize::Huge;
        let devdax = steps(&Namespaces::of(&Template::Devdax { align }, 1)).unwrap();
        for command in [
            r#""-m","devdax","-a","2097152"]"#,
            r#"["ndctl","disable-namespace","namespace{region 0}.0"]"#,
            r#"["ndctl","enable-namespace","namespace{region 0}.0"]"#,
            r#""name":".prover""#,
        ] {
            assert!(devdax[0].contains(command), "{command} in {devdax:#?}");
        }
    }
}
