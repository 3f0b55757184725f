// SPDX-License-Identifier: MIT OR Apache-2.0
//! A kernel that is asked for by name: fetched as packages, unpacked, its few needed modules kept.

use std::fs;
use std::path::{Path, PathBuf};

use super::catalogue::Catalogue;
use super::config::Config;
use super::inspect::{self, Image};
use super::{BootKind, Kernel};
use crate::cache::{Cache, remove};
use crate::error::{Error, IoContext};
use crate::modules::ModuleFolder;
use crate::packages::{self, Purpose, Wanted};
use crate::progress::Progress;

/// Changes whenever what an entry holds does.
const LAYOUT: &str = "kernel entry 1";

const RECORD: &str = "kernel.json";

/// Under which the packages of a named kernel are remembered.
fn pin_name(kernel: &str) -> String {
    format!("kernel-{kernel}")
}

/// An entry of the cache made out of the packages of a named kernel, and its key; see [`packages::entry_from`].
pub(super) fn entry(
    name: &str,
    kind: &'static str,
    layout: &str,
    cache: &Cache,
    progress: &dyn Progress,
    make: impl Fn(&[PathBuf], &Path) -> Result<(), Error>,
) -> Result<(PathBuf, String), Error> {
    let catalogue = Catalogue::built_in()?;
    let recipe = catalogue.find(name).ok_or_else(|| catalogue.unknown(name))?;
    let wanted = Wanted {
        pin: pin_name(name),
        purpose: Purpose {
            what: format!("the kernel {name}"),
            instead: "give a kernel as a path (--kernel PATH)".to_owned(),
        },
        suites: &recipe.suites,
        resolve: &|repository| {
            let found = repository.packages(|package| recipe.concerns(package))?;
            recipe.choose(found, repository.suites())
        },
    };
    packages::entry_from(&wanted, kind, layout, cache, progress, make)
}

pub(super) fn resolve(name: &str, cache: &Cache, progress: &dyn Progress) -> Result<Kernel, Error> {
    let layout = format!("{LAYOUT} {}", inspect::needs_digest());
    let (folder, key) = entry(name, "kernels", &layout, cache, progress, |files, folder| {
        make(name, files, folder)
    })?;
    let path = folder.join(RECORD);
    let text = fs::read(&path).during("read", &path)?;
    let mut kernel: Kernel = serde_json::from_slice(&text).map_err(|error| Error::Make {
        what: "a kernel out of its record",
        why: error.to_string(),
    })?;
    // The record holds paths inside the entry, so that a cache can be moved.
    kernel.boot = folder.join(&kernel.boot);
    for module in &mut kernel.modules {
        module.file = folder.join(&module.file);
    }
    kernel.digest = key;
    Ok(kernel)
}

/// Fills an entry: `vmlinux` or `bzImage`, `modules/`, and the record.
fn make(name: &str, files: &[PathBuf], folder: &Path) -> Result<(), Error> {
    let unpacked = folder.join("unpacked");
    packages::unpack_all(files.iter().map(PathBuf::as_path), &unpacked, |path| {
        !path.starts_with("usr/share") && !path.starts_with("usr/lib/debug")
    })?;
    let bad = |why: &str| Error::BadPackage {
        package: name.to_owned(),
        why: why.to_owned(),
    };
    let parts = Parts::find(&unpacked)?.ok_or_else(|| bad("it holds no boot image"))?;
    let Image::BzImage { bytes, banner } = inspect::image(&parts.image)? else {
        return Err(bad("its boot image is no bzImage"));
    };
    let release = inspect::release(&banner);
    let text = fs::read_to_string(&parts.config).during("read", &parts.config)?;
    let config = Config::parse(&text);
    let facts = ModuleFolder::open(&parts.modules)?;
    let mut fit = inspect::fitness(Some(&config), Some(&facts))?;
    inspect::check_release(&fit.modules, &release)?;
    let kept = folder.join("modules");
    fs::create_dir(&kept).during("create", &kept)?;
    for module in &mut fit.modules {
        let target = Path::new("modules").join(module.file.file_name().unwrap_or_default());
        fs::rename(&module.file, folder.join(&target)).during("keep", &module.file)?;
        module.file = target;
    }
    let (boot, boot_kind, why_not_vmlinux) = match inspect::extract(&bytes, &folder.join("vmlinux"))? {
        Ok(_) => ("vmlinux", BootKind::Vmlinux, None),
        Err(why) => {
            fs::rename(&parts.image, folder.join("bzImage")).during("keep", &parts.image)?;
            ("bzImage", BootKind::BzImage, Some(why))
        }
    };
    remove(&unpacked)?;
    let kernel = Kernel {
        name: name.to_owned(),
        version: inspect::version(&banner, &release),
        release,
        commit: None,
        boot: boot.into(),
        rebuild: None,
        boot_kind,
        why_not_vmlinux,
        missing: fit.missing,
        configuration_known: true,
        modules: fit.modules,
        digest: String::new(),
    };
    let text = serde_json::to_vec_pretty(&kernel).map_err(|error| Error::Make {
        what: "a kernel's record",
        why: error.to_string(),
    })?;
    let path = folder.join(RECORD);
    fs::write(&path, text).during("write", &path)
}

/// Where the parts are in unpacked kernel packages.
pub(super) struct Parts {
    pub(super) image: PathBuf,
    pub(super) config: PathBuf,
    pub(super) modules: PathBuf,
}

impl Parts {
    /// Up to 6.18 the image and configuration are in /boot, from 6.19 on with the modules.
    pub(super) fn find(unpacked: &Path) -> Result<Option<Self>, Error> {
        for place in ["usr/lib/modules", "lib/modules"] {
            let place = unpacked.join(place);
            let Ok(found) = fs::read_dir(&place) else { continue };
            for found in found {
                let modules = found.during("read", &place)?.path();
                let Some(release) = modules.file_name().and_then(|name| name.to_str()) else {
                    continue;
                };
                let boot = |name: &str| unpacked.join("boot").join(format!("{name}-{release}"));
                let pairs = [
                    (boot("vmlinuz"), boot("config")),
                    (modules.join("vmlinuz"), modules.join("config")),
                ];
                let whole = pairs
                    .into_iter()
                    .find(|(image, config)| image.is_file() && config.is_file());
                if let Some((image, config)) = whole {
                    return Ok(Some(Self {
                        image,
                        config,
                        modules,
                    }));
                }
            }
        }
        Ok(None)
    }
}
