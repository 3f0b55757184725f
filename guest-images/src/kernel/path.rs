// SPDX-License-Identifier: MIT OR Apache-2.0
//! A kernel that is given as a file, with or without a folder of modules.

use std::path::{Path, PathBuf};

use super::config::Config;
use super::inspect::{self, Image};
use super::{BootKind, Kernel, shown};
use crate::cache::{Cache, EntryName};
use crate::error::{Error, IoContext};
use crate::hash;
use crate::modules::ModuleFolder;
use crate::progress::Progress;

pub(super) fn resolve(
    kernel: &Path,
    modules: Option<&Path>,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<Kernel, Error> {
    let bootable = Bootable::open(kernel, cache, progress)?;
    let config = match bootable.config {
        Some(config) => Some(config),
        None => config_beside(kernel, &bootable.release)?,
    };
    let folder = modules
        .map(|given| inspect::locate_modules(given, &bootable.release))
        .transpose()?;
    assemble(
        shown(kernel),
        None,
        Bootable { config, ..bootable },
        folder.as_deref(),
    )
}

/// A kernel file that can be booted, in the form in which it will be.
pub(super) struct Bootable {
    pub(super) release: String,
    banner: String,
    boot: PathBuf,
    boot_kind: BootKind,
    why_not_vmlinux: Option<String>,
    config: Option<Config>,
    digest: String,
}

impl Bootable {
    /// Looks at the file, and takes the vmlinux out of a bzImage (once; the cache keeps it).
    pub(super) fn open(path: &Path, cache: &Cache, progress: &dyn Progress) -> Result<Self, Error> {
        let release_and_banner = |banner: String| (inspect::release(&banner), banner);
        match inspect::image(path)? {
            Image::Vmlinux {
                pvh: true,
                banner,
                config,
            } => {
                let (release, banner) = release_and_banner(banner);
                let digest = cache.remembered_hash(path)?;
                let boot = path.to_owned();
                Ok(Self {
                    release,
                    banner,
                    boot,
                    boot_kind: BootKind::Vmlinux,
                    why_not_vmlinux: None,
                    config,
                    digest,
                })
            }
            Image::Vmlinux { pvh: false, .. } => Err(Error::NotAKernel {
                path: path.to_owned(),
                why: "it is a vmlinux without a PVH entry (CONFIG_PVH), which QEMU cannot enter; \
                      give the bzImage (arch/x86/boot/bzImage), or set CONFIG_PVH=y"
                    .to_owned(),
            }),
            Image::BzImage { bytes, banner } => {
                let (release, banner) = release_and_banner(banner);
                let digest = hash::of_bytes(&bytes);
                let extracted = extract_once(&bytes, &digest, cache, progress)?;
                let config = extracted
                    .as_deref()
                    .ok()
                    .map(inspect::image)
                    .transpose()?
                    .and_then(|image| match image {
                        Image::Vmlinux { config, .. } => config,
                        Image::BzImage { .. } => None,
                    });
                let (boot, boot_kind, why_not_vmlinux) = match extracted {
                    Ok(vmlinux) => (vmlinux, BootKind::Vmlinux, None),
                    Err(why) => (path.to_owned(), BootKind::BzImage, Some(why)),
                };
                Ok(Self {
                    release,
                    banner,
                    boot,
                    boot_kind,
                    why_not_vmlinux,
                    config,
                    digest,
                })
            }
        }
    }

    pub(super) fn because(mut self, why_not_vmlinux: Option<String>) -> Self {
        self.why_not_vmlinux = self.why_not_vmlinux.or(why_not_vmlinux);
        self
    }

    pub(super) fn with_config(mut self, config: Option<Config>) -> Self {
        self.config = config.or(self.config);
        self
    }
}

/// Puts a kernel together out of its file and its modules.
pub(super) fn assemble(
    name: String,
    commit: Option<String>,
    bootable: Bootable,
    modules: Option<&Path>,
) -> Result<Kernel, Error> {
    let facts = modules.map(ModuleFolder::open).transpose()?;
    let fit = inspect::fitness(bootable.config.as_ref(), facts.as_ref())?;
    inspect::check_release(&fit.modules, &bootable.release)?;
    Ok(Kernel {
        name,
        version: inspect::version(&bootable.banner, &bootable.release),
        release: bootable.release,
        commit,
        boot: bootable.boot,
        rebuild: None,
        boot_kind: bootable.boot_kind,
        why_not_vmlinux: bootable.why_not_vmlinux,
        missing: fit.missing,
        configuration_known: bootable.config.is_some(),
        modules: fit.modules,
        digest: bootable.digest,
    })
}

/// The vmlinux inside a bzImage, from the cache; `Err` says why there is none to boot.
fn extract_once(
    bzimage: &[u8],
    digest: &str,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<Result<PathBuf, String>, Error> {
    let entry = EntryName::new("vmlinux", digest);
    let folder = cache.obtain(
        &entry,
        "the uncompressed kernel",
        progress,
        |folder| match inspect::extract(bzimage, &folder.join("vmlinux"))? {
            Ok(_) => Ok(()),
            Err(why) => {
                let path = folder.join("why-not");
                std::fs::write(&path, why).during("write", &path)
            }
        },
    )?;
    let why = folder.join("why-not");
    if why.is_file() {
        return Ok(Err(std::fs::read_to_string(&why).during("read", &why)?));
    }
    Ok(Ok(folder.join("vmlinux")))
}

/// The configuration that distributions put next to their kernels: /boot/config-RELEASE, or `config` beside it.
fn config_beside(kernel: &Path, release: &str) -> Result<Option<Config>, Error> {
    let Some(folder) = kernel.parent() else {
        return Ok(None);
    };
    let candidates = [
        folder.join(format!("config-{release}")),
        folder.join("config"),
        folder.join(".config"),
    ];
    match candidates.iter().find(|path| path.is_file()) {
        Some(path) => Ok(Some(Config::parse(
            &std::fs::read_to_string(path).during("read", path)?,
        ))),
        None => Ok(None),
    }
}
