// SPDX-License-Identifier: MIT OR Apache-2.0
//! Packages of the distribution's archive: found, fetched, verified, kept, unpacked; nothing is ever installed.

mod apt;
mod deb;
mod deb822;
mod sources;
mod version;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub(crate) use apt::{Installed, Purpose, Repository, newest_first};
pub(crate) use deb::unpack_all;
pub(crate) use sources::{Archive, Mirrors, Suite};

use crate::cache::{Cache, EntryName};
use crate::error::{Error, IoContext};
use crate::hash;
use crate::progress::Progress;

/// One package of the archive, at one version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Of the .deb file, from the signed index.
    pub(crate) sha256: String,
    /// Of the .deb file, in bytes.
    pub(crate) size: u64,
}

impl Package {
    fn entry(&self) -> EntryName {
        EntryName::new("packages", &self.sha256)
    }

    fn file_in(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.deb", self.name))
    }
}

/// A set of packages that a name stands for: once resolved it stays, so that later runs need no network.
pub(crate) struct Wanted<'a> {
    /// What the resolution is remembered under.
    pub(crate) pin: String,
    pub(crate) purpose: Purpose,
    pub(crate) suites: &'a [Suite],
    /// Chooses among what the suites have.
    pub(crate) resolve: &'a dyn Fn(&Repository<'_>) -> Result<Vec<Package>, Error>,
}

/// Makes an entry of the cache out of packages: `make` gets their files and the folder to fill.
///
/// Asks the archive only if the name was never resolved, or if neither the entry nor the packages are there.
/// `recipe` names the way that `make` works; a change of it makes a new entry.
pub(crate) fn entry_from(
    wanted: &Wanted<'_>,
    kind: &'static str,
    recipe: &str,
    cache: &Cache,
    progress: &dyn Progress,
    make: impl Fn(&[PathBuf], &Path) -> Result<(), Error>,
) -> Result<(PathBuf, String), Error> {
    let existing = |packages: &[Package]| {
        let (key, name) = entry_name(kind, recipe, packages);
        cache.lookup(&name).map(|folder| (folder, key))
    };
    if let Some(found) = cache
        .pin::<Vec<Package>>(&wanted.pin)
        .as_deref()
        .and_then(existing)
    {
        return Ok(found);
    }
    let _lock = cache.lock(&format!("pin-{}", wanted.pin), &wanted.purpose.what, progress)?;
    let mut open = None;
    let packages = match cache.pin(&wanted.pin) {
        Some(packages) => packages,
        None => resolve(wanted, cache, progress, &mut open)?,
    };
    if let Some(found) = existing(&packages) {
        return Ok(found);
    }
    let (packages, files) = fetch_or_newer(packages, wanted, cache, progress, &mut open)?;
    drop(open);
    let (key, name) = entry_name(kind, recipe, &packages);
    let folder = cache.obtain(&name, &wanted.purpose.what, progress, |folder| {
        crate::progress::piece_of_work(
            progress,
            "unpack",
            &format!("unpack {}", wanted.purpose.what),
            || make(&files, folder),
        )
    })?;
    Ok((folder, key))
}

/// The .deb files that a name stands for, from the cache or from the archive.
pub(crate) fn files(
    wanted: &Wanted<'_>,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<Vec<PathBuf>, Error> {
    let _lock = cache.lock(&format!("pin-{}", wanted.pin), &wanted.purpose.what, progress)?;
    let mut open = None;
    let packages = match cache.pin(&wanted.pin) {
        Some(packages) => packages,
        None => resolve(wanted, cache, progress, &mut open)?,
    };
    fetch_or_newer(packages, wanted, cache, progress, &mut open).map(|(_, files)| files)
}

fn entry_name(kind: &'static str, recipe: &str, packages: &[Package]) -> (String, EntryName) {
    let inputs = packages
        .iter()
        .fold(hash::Inputs::new(kind).part("recipe", recipe), |inputs, one| {
            inputs.part(&one.name, &one.sha256)
        });
    let key = inputs.finish();
    (key.clone(), EntryName::new(kind, key))
}

fn resolve<'a>(
    wanted: &Wanted<'_>,
    cache: &'a Cache,
    progress: &'a dyn Progress,
    open: &mut Option<Repository<'a>>,
) -> Result<Vec<Package>, Error> {
    let repository = repository(wanted, cache, progress, open)?;
    let packages = (wanted.resolve)(repository)?;
    cache.set_pin(&wanted.pin, &packages)?;
    Ok(packages)
}

fn repository<'a, 'b>(
    wanted: &Wanted<'_>,
    cache: &'a Cache,
    progress: &'a dyn Progress,
    open: &'b mut Option<Repository<'a>>,
) -> Result<&'b Repository<'a>, Error> {
    match open {
        Some(repository) => Ok(repository),
        None => Ok(open.insert(Repository::open(
            cache,
            wanted.suites,
            wanted.purpose.clone(),
            progress,
        )?)),
    }
}

/// The files of what was pinned, or of what the archive has in its place by now.
fn fetch_or_newer<'a>(
    packages: Vec<Package>,
    wanted: &Wanted<'_>,
    cache: &'a Cache,
    progress: &'a dyn Progress,
    open: &mut Option<Repository<'a>>,
) -> Result<(Vec<Package>, Vec<PathBuf>), Error> {
    match fetch(&packages, wanted, cache, progress, open) {
        Ok(files) => Ok((packages, files)),
        // The archive answers, but what was pinned may have left it since; what it has now will do.
        Err(gone @ Error::Fetch { .. }) if open.is_some() => {
            let newer = resolve(wanted, cache, progress, open)?;
            if newer == packages {
                return Err(gone);
            }
            progress.note(&format!(
                "{} has moved on in the archive: taking what is there now",
                wanted.purpose.what
            ));
            let files = fetch(&newer, wanted, cache, progress, open)?;
            Ok((newer, files))
        }
        Err(other) => Err(other),
    }
}

/// The .deb files of packages, from the cache or from the archive.
fn fetch<'a>(
    packages: &[Package],
    wanted: &Wanted<'_>,
    cache: &'a Cache,
    progress: &'a dyn Progress,
    open: &mut Option<Repository<'a>>,
) -> Result<Vec<PathBuf>, Error> {
    let lacking: Vec<&Package> = packages
        .iter()
        .filter(|one| cache.lookup(&one.entry()).is_none())
        .collect();
    if !lacking.is_empty() {
        let scratch = cache.scratch(progress)?;
        repository(wanted, cache, progress, open)?.download(&lacking, scratch.path())?;
        for package in lacking {
            let downloaded = downloaded(package, scratch.path())?;
            cache.obtain(&package.entry(), &package.name, progress, |folder| {
                let target = package.file_in(folder);
                std::fs::rename(&downloaded, &target).during("keep", &target)
            })?;
        }
    }
    Ok(packages
        .iter()
        .map(|one| one.file_in(&cache.root().join("packages").join(&one.sha256)))
        .collect())
}

/// Finds a package among what apt downloaded (`name_version_arch.deb`, colons escaped) and checks it once more.
fn downloaded(package: &Package, folder: &Path) -> Result<PathBuf, Error> {
    let bad = |why: &str| Error::BadPackage {
        package: package.name.clone(),
        why: why.to_owned(),
    };
    let prefix = format!("{}_{}_", package.name, package.version.replace(':', "%3a"));
    let mut files = std::fs::read_dir(folder)
        .during("read", folder)?
        .filter_map(Result::ok);
    let file = files
        .find(|file| file.file_name().to_string_lossy().starts_with(&prefix))
        .ok_or_else(|| bad("apt reported success but did not leave it"))?;
    if hash::of_file(&file.path())? != package.sha256 {
        return Err(bad("its SHA-256 is not the one in the signed index"));
    }
    Ok(file.path())
}

/// The codename of the host's Debian release: `bookworm`; `None` on another distribution or a nameless sid.
pub(crate) fn host_codename() -> Option<String> {
    let text = std::fs::read_to_string("/etc/os-release").ok()?;
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))?;
    Some(value.trim_matches('"').to_owned())
}
