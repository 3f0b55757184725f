// SPDX-License-Identifier: MIT OR Apache-2.0
//! A cache with everything in it but templates, or but images too: what a run finds that is the first with its image, or
//! with its kernel.

use super::BenchError;
use guest_images::Cache;
use machine::snapshot::Store;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The real cache, seen through links, with no template yet; what is made in it goes when this is dropped.
///
/// It lies in the `tmp` of the real one, on the same disk, under a lock: whoever opens the cache after this process was
/// killed finds the lock free and removes it.
pub(super) struct FreshCache {
    /// To be used like any other.
    pub(super) cache: Cache,
    folder: PathBuf,
    lock_path: PathBuf,
    _lock: File,
}

/// What a run finds nothing of, and makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Without {
    /// Templates: [`Store`](machine::snapshot::Store).
    Templates,
    /// Images, and so templates of them.
    Images,
}

impl Without {
    fn leaves_out(self, name: &OsStr) -> bool {
        name == "templates" || (self == Self::Images && name == "images")
    }
}

impl FreshCache {
    pub(super) fn over(real: &Cache, without: Without) -> Result<Self, BenchError> {
        let name = format!("bench-{}", std::process::id());
        let lock_path = real.root().join("locks").join(&name);
        let folder = real.root().join("tmp").join(&name);
        let failed = |doing, path: &Path, source| BenchError::io(doing, path.display().to_string(), source);
        // Before the folder, so that nobody takes that for a dead run's.
        let lock = File::create(&lock_path).map_err(|source| failed("make", &lock_path, source))?;
        lock.lock().map_err(|source| failed("lock", &lock_path, source))?;
        fs::create_dir(&folder).map_err(|source| failed("make", &folder, source))?;
        let linked = fs::read_dir(real.root()).and_then(|entries| {
            for entry in entries {
                let entry = entry?;
                if !without.leaves_out(&entry.file_name()) {
                    symlink(entry.path(), folder.join(entry.file_name()))?;
                }
            }
            Ok(())
        });
        let cache = linked
            .map_err(|source| failed("link the cache into", &folder, source))
            .and_then(|()| {
                Cache::open(Some(folder.clone())).map_err(|source| BenchError::Images {
                    what: "cache without templates",
                    source,
                })
            });
        match cache {
            Ok(cache) => Ok(Self {
                cache,
                folder,
                lock_path,
                _lock: lock,
            }),
            Err(error) => {
                discard(&folder, &lock_path);
                Err(error)
            }
        }
    }
}

impl Drop for FreshCache {
    fn drop(&mut self) {
        discard(&self.folder, &self.lock_path);
    }
}

/// What cannot be removed now is removed by the next run that opens the cache. Links are removed, not what they lead to.
fn discard(folder: &Path, lock_path: &Path) {
    Store::forget(folder);
    drop(fs::remove_dir_all(folder));
    drop(fs::remove_file(lock_path));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_all_but_templates_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let real = Cache::open(Some(folder.path().to_owned())).unwrap();
        for part in ["images", "templates/KEY"] {
            fs::create_dir_all(real.root().join(part)).unwrap();
        }
        fs::write(real.root().join("images/one"), "an image").unwrap();

        let fresh = FreshCache::over(&real, Without::Templates).unwrap();
        let seen = fresh.cache.root().to_owned();
        assert_eq!(fs::read(seen.join("images/one")).unwrap(), b"an image");
        assert!(!seen.join("templates").exists());
        fs::create_dir_all(seen.join("templates/OTHER")).unwrap();
        // Neither does anybody who opens the real one meanwhile take it for a dead run's.
        Cache::open(Some(folder.path().to_owned())).unwrap();
        assert!(seen.exists());

        drop(fresh);
        assert!(!seen.exists());
        let emptier = FreshCache::over(&real, Without::Images).unwrap();
        assert!(!emptier.cache.root().join("images").exists());
        drop(emptier);
        assert!(real.root().join("images/one").exists());
        assert!(real.root().join("templates/KEY").exists());
        assert!(!real.root().join("templates/OTHER").exists());
    }
}
