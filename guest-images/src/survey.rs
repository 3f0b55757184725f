// SPDX-License-Identifier: MIT OR Apache-2.0
//! What this machine has already, asked without fetching, building or writing anything.
//!
//! The answers are for people: a run looks again for itself, and checks every file before it uses it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;

use crate::cache::default_root;
use crate::error::{Error, IoContext};
use crate::hash;
use crate::kernel::Kernel;
use crate::packages::{self, Mirrors};
use crate::qemu::{self, Qemu};

/// The folder that a cache would be opened in, which need not exist.
#[derive(Debug, Clone)]
pub struct CacheFolder {
    /// It, as it was named.
    pub path: PathBuf,
    /// Whether it exists.
    pub exists: bool,
    /// Whether this user may write into it, or may make it.
    pub writable: bool,
    /// Bytes on disk that its files take.
    pub used: u64,
    /// Bytes that this user can still write there.
    pub free: u64,
}

impl CacheFolder {
    /// Looks at the folder that [`Cache::open`](crate::Cache::open) would use for the same `root`.
    ///
    /// Fails if there is no such folder to name, or if the system does not say how full its file system is.
    pub fn look(root: Option<PathBuf>) -> Result<Self, Error> {
        let path = match root {
            Some(root) => root,
            None => default_root(|name| std::env::var_os(name)).ok_or(Error::NoCacheFolder)?,
        };
        let ground = std::path::absolute(&path).during("resolve the cache folder", &path)?;
        let exists = ground.is_dir();
        // What is not there yet is made below the nearest folder that is.
        let ground = ground
            .ancestors()
            .find(|folder| folder.exists())
            .unwrap_or(Path::new("/"));
        let writable = ground.is_dir()
            && nix::unistd::access(
                ground,
                nix::unistd::AccessFlags::W_OK | nix::unistd::AccessFlags::X_OK,
            )
            .is_ok();
        let space = nix::sys::statvfs::statvfs(ground)
            .map_err(io::Error::from)
            .during("ask for the free space of", ground)?;
        Ok(Self {
            exists,
            writable,
            used: if exists { bytes_below(&path) } else { 0 },
            free: space.blocks_available().saturating_mul(space.fragment_size()),
            path,
        })
    }

    /// The named kernels in it, each with its release (`uname -r`); of several releases of one, the newest entry.
    pub fn kernels(&self) -> Vec<(String, String)> {
        let mut kernels: Vec<(String, String)> = Vec::new();
        for entry in entries(&self.path.join("kernels")) {
            let kernel = read_json::<Kernel>(&entry.join("kernel.json"));
            if let Some(kernel) = kernel.filter(|one| kernels.iter().all(|(name, _)| *name != one.name)) {
                kernels.push((kernel.name, kernel.release));
            }
        }
        kernels.sort();
        kernels
    }

    /// Whether it holds the guest's programs.
    pub fn has_userland(&self) -> bool {
        !entries(&self.path.join("userland")).is_empty()
    }

    /// How many images it holds.
    pub fn images(&self) -> usize {
        entries(&self.path.join("images")).len()
    }

    /// The QEMU that an earlier run fetched into it.
    pub fn qemu(&self) -> Option<CachedQemu> {
        let folder = entries(&self.path.join("qemu"))
            .into_iter()
            .find(|folder| folder.join("usr/bin").join(qemu::NAME).is_file())?;
        let pin = packages::host_codename()
            .and_then(|codename| read_json(&self.path.join(format!("pins/qemu-{codename}.json"))));
        let package = pin.and_then(|packages: Vec<Pinned>| {
            packages
                .into_iter()
                .find(|one| one.name == "qemu-system-x86")
                .map(|one| one.version)
        });
        Some(CachedQemu {
            package_version: package,
            digest: folder.file_name()?.to_str()?.to_owned(),
        })
    }
}

/// A QEMU in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedQemu {
    /// The version of the package that it came in, if that is still on record: `1:10.0.2+ds-2`.
    pub package_version: Option<String>,
    /// The same as [`Qemu::digest`] of it.
    pub digest: String,
}

/// The little that is wanted here of a remembered package.
#[derive(Deserialize)]
struct Pinned {
    name: String,
    version: String,
}

/// The QEMU that is installed on this host: `chosen` if the user chose one, else the one on PATH, if there is one.
///
/// Fails with [`Error::Qemu`] if it is there and will not do: when it was chosen, a run fails, too; the one on PATH is
/// passed over.
pub fn installed_qemu(chosen: Option<&Path>) -> Result<Option<Qemu>, Error> {
    let (wanted, origin) = match chosen {
        Some(path) => (path, "chosen by the user"),
        None => (Path::new(qemu::NAME), "the host's, found on PATH"),
    };
    let refused = |path: &Path, why: String| Error::Qemu {
        path: path.to_owned(),
        why,
    };
    let found = match (which::which(wanted), chosen) {
        (Ok(found), _) => found,
        (Err(_), None) => return Ok(None),
        (Err(_), Some(path)) => return Err(refused(path, "it is not there, or not executable".to_owned())),
    };
    let binary = fs::canonicalize(&found).during("resolve", &found)?;
    let unproven = Qemu {
        version: (0, 0, 0),
        version_text: String::new(),
        arguments: Vec::new(),
        environment: Vec::new(),
        origin: origin.to_owned(),
        digest: hash::of_file(&binary)?,
        binary,
    };
    unproven.verify().map(Some).map_err(|why| refused(&found, why))
}

/// Whether the host's apt is configured for a mirror of Debian's archive; asks apt, contacts nobody.
///
/// Fails with [`Error::NoMirror`] if it is not, or with what kept apt from answering.
pub fn debian_mirror() -> Result<(), Error> {
    Mirrors::of_host().map(drop)
}

/// The codename of the Debian release that this host runs, which a QEMU can be fetched for; `None` on other hosts.
pub fn debian_release() -> Option<String> {
    packages::host_codename()
}

/// The folders of a kind of entry, newest first; none if there is nothing that can be read.
fn entries(kind: &Path) -> Vec<PathBuf> {
    let Ok(found) = fs::read_dir(kind) else {
        return Vec::new();
    };
    let mut folders: Vec<(SystemTime, PathBuf)> = found
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let meta = entry.metadata().ok()?;
            meta.is_dir().then_some((meta.modified().ok()?, entry.path()))
        })
        .collect();
    folders.sort();
    folders.into_iter().rev().map(|(_, path)| path).collect()
}

/// What is no such JSON is as good as not there.
fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// Bytes that the files below a folder take on disk; what cannot be read counts nothing.
fn bytes_below(folder: &Path) -> u64 {
    let Ok(found) = fs::read_dir(folder) else {
        return 0;
    };
    found
        .filter_map(Result::ok)
        .filter_map(|entry| Some((entry.path(), entry.metadata().ok()?)))
        .map(|(path, meta)| {
            if meta.is_dir() {
                bytes_below(&path)
            } else {
                // st_blocks counts in 512 bytes, whatever the file system does (stat(2)).
                meta.blocks() * 512
            }
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{Cache, EntryName};
    use crate::progress::Silent;

    #[test]
    fn a_folder_that_is_not_there_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/cache");
        let found = CacheFolder::look(Some(path.clone())).unwrap();
        assert_eq!((found.exists, found.writable, found.used), (false, true, 0));
        assert!(found.free > 0 && found.path == path);
        assert_eq!((found.kernels(), found.images(), found.qemu()), (vec![], 0, None));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_in_the_place_of_the_folder_is_not_writable() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache");
        fs::write(&path, "").unwrap();
        let found = CacheFolder::look(Some(path)).unwrap();
        assert_eq!((found.exists, found.writable), (false, false));
    }

    #[test]
    fn what_a_run_left_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(folder.path().to_owned())).unwrap();
        let make = |kind, key: &str, file: &str, content: &str| {
            cache
                .obtain(&EntryName::new(kind, key), "it", &Silent, |entry| {
                    let path = entry.join(file);
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::write(path, content).during("write", entry)
                })
                .unwrap();
        };
        let kernel = r#"{"name": "debian-6.12", "release": "6.12.1-amd64", "version": "6.12.1", "commit": null,
            "boot": "vmlinux", "boot_kind": "vmlinux", "why_not_vmlinux": null, "missing": [],
            "configuration_known": true, "modules": [], "digest": ""}"#;
        make("kernels", "aa", "kernel.json", kernel);
        make("kernels", "bb", "kernel.json", "{ damaged");
        make("images", "cc", "initramfs.cpio", "0707");
        make("qemu", "dd", "usr/bin/qemu-system-x86_64", "ELF");
        let found = CacheFolder::look(Some(folder.path().to_owned())).unwrap();
        assert_eq!(found.kernels(), [("debian-6.12".into(), "6.12.1-amd64".into())]);
        assert_eq!((found.images(), found.has_userland()), (1, false));
        assert_eq!(found.qemu().unwrap().digest, "dd");
        assert!(found.exists && found.used > 0);
    }

    #[test]
    fn a_chosen_qemu_that_is_none_is_refused_by_name() {
        for (path, why) in [
            ("/nowhere/qemu", "not there"),
            ("/bin/true", "not say that it is"),
        ] {
            let text = installed_qemu(Some(Path::new(path))).unwrap_err().to_string();
            assert!(text.contains(path) && text.contains(why), "{text}");
        }
    }
}
