// SPDX-License-Identifier: MIT OR Apache-2.0
//! The cache: folders named by the hash of what they were made from, complete or not there at all.
//!
//! - An entry is built in `tmp/` and renamed into place with a manifest of its files, so a reader never sees half.
//! - A lock file per entry (flock(2), through std) lets one run build while another waits for the result.
//! - What a killed run left in `tmp/` is removed by whoever finds its lock free.
//! - An entry whose files no longer match its manifest is rebuilt, with a word about it; it is never used.

mod manifest;
mod space;

use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{Error, IoContext};
use crate::lock::{DEADLINE, Kind, lock};
use crate::progress::Progress;
use manifest::Manifest;

/// Where kernels, packages, images and QEMU are kept between runs.
#[derive(Debug, Clone)]
pub struct Cache {
    root: PathBuf,
}

/// Names an entry: what it is, and the hash of everything that went into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EntryName {
    kind: &'static str,
    key: String,
}

impl EntryName {
    /// `key` is a hexadecimal digest.
    pub(crate) fn new(kind: &'static str, key: impl Into<String>) -> Self {
        Self {
            kind,
            key: key.into(),
        }
    }

    fn flat(&self) -> String {
        format!("{}-{}", self.kind, self.key)
    }
}

impl Cache {
    /// Opens the cache, making its folder if need be, and clears away what killed runs left half-written.
    ///
    /// Without `root`: `$TASTER_CACHE`, else `$XDG_CACHE_HOME/taster`, else `$HOME/.cache/taster`. Fails if none of
    /// these is set or the folder cannot be written.
    pub fn open(root: Option<PathBuf>) -> Result<Self, Error> {
        let root = match root {
            Some(root) => root,
            None => default_root(|name| std::env::var_os(name)).ok_or(Error::NoCacheFolder)?,
        };
        for part in ["", "tmp", "locks", "pins"] {
            let folder = root.join(part);
            fs::create_dir_all(&folder).during("create the cache folder", &folder)?;
        }
        // QEMU, apt and cargo run in other working directories than ours.
        let root = fs::canonicalize(&root).during("resolve the cache folder", &root)?;
        let tag = root.join("CACHEDIR.TAG");
        if !tag.exists() {
            // The signature is fixed by the Cache Directory Tagging convention; backup programs skip such folders.
            fs::write(&tag, "Signature: 8a477f597d28d172789f06886806bc55\n").during("write", &tag)?;
        }
        let cache = Self { root };
        cache.sweep()?;
        Ok(cache)
    }

    /// The folder, absolute.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Removes an entry that is not wanted any more. Does nothing if it is not there; waits for whoever is making it. That nobody
    /// uses it is the caller's word. `what` names the entry for people.
    pub(crate) fn forget(&self, name: &EntryName, what: &str, progress: &dyn Progress) -> Result<(), Error> {
        let _lock = self.lock(&name.flat(), what, progress)?;
        remove(&self.folder(name))
    }

    /// The folder of an entry that is there and undamaged.
    pub(crate) fn lookup(&self, name: &EntryName) -> Option<PathBuf> {
        let folder = self.folder(name);
        Manifest::check(&folder).is_ok().then_some(folder)
    }

    /// The folder of an entry, built by `build` (in the empty folder that it is given) unless it is there already.
    ///
    /// `what` names the entry for people. If another run is building the same entry, waits for that.
    pub(crate) fn obtain(
        &self,
        name: &EntryName,
        what: &str,
        progress: &dyn Progress,
        build: impl FnOnce(&Path) -> Result<(), Error>,
    ) -> Result<PathBuf, Error> {
        if let Some(folder) = self.lookup(name) {
            return Ok(folder);
        }
        let _lock = self.lock(&name.flat(), what, progress)?;
        let folder = self.folder(name);
        match Manifest::check(&folder) {
            Ok(()) => return Ok(folder),
            Err(manifest::Flaw::Absent) => {}
            Err(manifest::Flaw::Damaged(how)) => {
                progress.note(&format!(
                    "{what} in the cache is damaged ({how}): making it again"
                ));
                remove(&folder)?;
            }
        }
        let scratch = self.root.join("tmp").join(name.flat());
        remove(&scratch)?;
        fs::create_dir(&scratch).during("create", &scratch)?;
        let outcome = build(&scratch)
            .and_then(|()| Manifest::write(&scratch))
            .and_then(|()| {
                let parent = self.root.join(name.kind);
                fs::create_dir_all(&parent).during("create", &parent)?;
                fs::rename(&scratch, &folder).during("rename into place", &folder)
            });
        if outcome.is_err() {
            // The first error is the one to tell; what stays behind is swept by the next run.
            drop(remove(&scratch));
        }
        outcome.map(|()| folder)
    }

    /// Holds the lock called `name` until dropped.
    pub(crate) fn lock(&self, name: &str, what: &str, progress: &dyn Progress) -> Result<File, Error> {
        let path = self.root.join("locks").join(name);
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .during("create", &path)?;
        lock(file, Kind::Exclusive, DEADLINE, |holder| {
            progress.note(&format!("{what}: {holder} is busy with it, waiting"));
        })
        .during("lock", &path)
    }

    /// Reads every entry, and removes those whose content is not what was kept: for when something has failed, since a damage
    /// that changed neither size nor time is seen in no other way. The next run makes them again. Returns them in words.
    pub fn remove_damaged(&self, progress: &dyn Progress) -> Result<Vec<String>, Error> {
        let mut damaged = Vec::new();
        for kind in folders_in(&self.root)? {
            for entry in folders_in(&kind)? {
                if !Manifest::is_in(&entry) {
                    continue;
                }
                let Err(manifest::Flaw::Damaged(how)) = Manifest::examine(&entry) else {
                    continue;
                };
                let inside = entry
                    .strip_prefix(&self.root)
                    .unwrap_or(&entry)
                    .display()
                    .to_string();
                let _lock = self.lock(&inside.replace('/', "-"), "a damaged part of the cache", progress)?;
                remove(&entry)?;
                damaged.push(format!("{inside} ({how})"));
            }
        }
        Ok(damaged)
    }

    /// A scratch folder that goes away when dropped, or with the next run if this one is killed.
    pub(crate) fn scratch(&self, progress: &dyn Progress) -> Result<Scratch, Error> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!(
            "scratch-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let lock = self.lock(&name, "a scratch folder", progress)?;
        let folder = self.root.join("tmp").join(&name);
        remove(&folder)?;
        fs::create_dir(&folder).during("create", &folder)?;
        Ok(Scratch {
            folder,
            lock_path: self.root.join("locks").join(&name),
            _lock: lock,
        })
    }

    /// A small record kept under a name, not under a hash: what a moving name was resolved to.
    pub(crate) fn pin<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        // An unreadable or damaged pin is as good as none: it is resolved anew.
        serde_json::from_slice(&fs::read(self.pin_path(name)).ok()?).ok()
    }

    /// Writes a pin, atomically.
    pub(crate) fn set_pin<T: Serialize>(&self, name: &str, value: &T) -> Result<(), Error> {
        let path = self.pin_path(name);
        let text = serde_json::to_vec_pretty(value).map_err(|error| Error::Make {
            what: "a pin",
            why: error.to_string(),
        })?;
        write_atomically(&path, &text)
    }

    /// The SHA-256 of a file outside the cache, not computed again as long as size, time and inode stay.
    ///
    /// A kernel built with debug information has hundreds of megabytes, and is hashed once per build.
    pub(crate) fn remembered_hash(&self, path: &Path) -> Result<String, Error> {
        let meta = fs::metadata(path).during("read", path)?;
        let state = [meta.ino(), meta.dev(), meta.size()].map(|number| number.to_string());
        let state = format!("{} {}.{:09}", state.join(" "), meta.mtime(), meta.mtime_nsec());
        let name = format!(
            "hash-{}",
            crate::hash::of_bytes(path.as_os_str().as_encoded_bytes())
        );
        if let Some((known, digest)) = self.pin::<(String, String)>(&name)
            && known == state
        {
            return Ok(digest);
        }
        let digest = crate::hash::of_file(path)?;
        self.set_pin(&name, &(state, &digest))?;
        Ok(digest)
    }

    fn pin_path(&self, name: &str) -> PathBuf {
        self.root.join("pins").join(format!("{name}.json"))
    }

    fn folder(&self, name: &EntryName) -> PathBuf {
        self.root.join(name.kind).join(&name.key)
    }

    /// Removes what is in `tmp/` and belongs to nobody alive.
    fn sweep(&self) -> Result<(), Error> {
        let tmp = self.root.join("tmp");
        for found in fs::read_dir(&tmp).during("read", &tmp)? {
            let found = found.during("read", &tmp)?;
            let lock_path = self.root.join("locks").join(found.file_name());
            let lock = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&lock_path)
                .during("open", &lock_path)?;
            match lock.try_lock() {
                Ok(()) => {
                    remove(&found.path())?;
                    forget_scratch_lock(&lock_path, &found.file_name());
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(Error::io("lock", &lock_path, error)),
            }
        }
        Ok(())
    }
}

/// A folder for the length of one job.
pub(crate) struct Scratch {
    folder: PathBuf,
    lock_path: PathBuf,
    _lock: File,
}

impl Scratch {
    pub(crate) fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nobody can be told from here; what cannot be removed now is swept by the next run.
        drop(remove(&self.folder));
        drop(fs::remove_file(&self.lock_path));
    }
}

/// Lock files of entries stay (removing one under a waiter would split the lock); those of scratch folders are
/// never waited for.
fn forget_scratch_lock(path: &Path, name: &OsStr) {
    if name.to_string_lossy().starts_with("scratch-") {
        drop(fs::remove_file(path));
    }
}

/// Writes a file so that a reader sees the old content or the new, never half.
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> Result<(), Error> {
    let parent = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(parent).during("create a file in", parent)?;
    file.write_all(content).during("write", path)?;
    file.persist(path)
        .map_err(|error| Error::io("write", path, error.error))?;
    Ok(())
}

fn folders_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut folders = Vec::new();
    for found in fs::read_dir(folder).during("read", folder)? {
        let path = found.during("read", folder)?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    Ok(folders)
}

/// Removes a folder or file with all that is in it; one that is not there is fine.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    let outcome = match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match outcome {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.during("remove", path),
    }
}

pub(crate) fn default_root(variable: impl Fn(&str) -> Option<std::ffi::OsString>) -> Option<PathBuf> {
    let set = |name: &str| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    set("TASTER_CACHE")
        // The XDG base directory specification: a relative path here is invalid and to be ignored.
        .or_else(|| {
            set("XDG_CACHE_HOME")
                .filter(|path| path.is_absolute())
                .map(|path| path.join("taster"))
        })
        .or_else(|| set("HOME").map(|home| home.join(".cache/taster")))
}

#[cfg(test)]
mod tests;
