// SPDX-License-Identifier: MIT OR Apache-2.0
//! What goes: when it was not used for long, when there is too much, or when its image will not be seen again.

use super::error::{Doing, StoreError};
use super::home::{Home, Medium, OWNER};
use super::lock::open_lock;
use super::manifest::Manifest;
use std::fs::{self, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// What may stay in a home.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Since the last use.
    pub age: Duration,
    /// Of all its templates together, in allocated bytes.
    pub size: u64,
}

impl Limits {
    /// On disk: a fortnight, and 24 GiB, about 140 templates.
    pub const DISK: Self = Self {
        age: Duration::from_secs(14 * 24 * 3600),
        size: 24 << 30,
    };
    /// In memory: a working day, and 2 GiB, about 12 templates.
    pub const MEMORY: Self = Self {
        age: Duration::from_secs(8 * 3600),
        size: 2 << 30,
    };

    /// Those of such a home.
    pub(super) fn of(medium: Medium) -> Self {
        match medium {
            Medium::Disk => Self::DISK,
            Medium::Memory => Self::MEMORY,
        }
    }
}

/// What was pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Templates removed.
    pub removed: usize,
    /// Bytes that they had allocated.
    pub freed: u64,
    /// Bytes allocated by the templates that are left, where all were looked at.
    pub left: u64,
}

impl std::ops::AddAssign for Pruned {
    fn add_assign(&mut self, other: Self) {
        self.removed += other.removed;
        self.freed += other.freed;
        self.left += other.left;
    }
}

/// Removes templates that were not used for longer than `limits` allow, then the longest unused ones until the rest
/// fits, but none that is in use or being made; and what killed runs left half-made.
pub(super) fn prune(home: &Home, limits: Limits) -> Result<Pruned, StoreError> {
    let mut found = Vec::new();
    for (name, folder) in templates(home)? {
        let used = fs::metadata(home.lock_path(&name, "use")).and_then(|lock| lock.modified());
        // Without a trace of use it is as old as can be.
        let used = used.unwrap_or(SystemTime::UNIX_EPOCH);
        let size = size_on_disk(&folder).doing("look into", &folder)?;
        found.push((used, size, name, folder));
    }
    found.sort();
    let now = SystemTime::now();
    let mut pruned = Pruned {
        left: found.iter().map(|(_, size, ..)| size).sum(),
        ..Pruned::default()
    };
    for (used, size, name, folder) in found {
        let old = now.duration_since(used).is_ok_and(|age| age > limits.age);
        if (old || pruned.left > limits.size) && remove_unused(home, &name, &folder)? {
            pruned.removed += 1;
            pruned.freed += size;
            pruned.left -= size;
        }
    }
    for (name, folder) in folders(&home.tmp())? {
        remove_unused(home, &name, &folder)?;
    }
    Ok(pruned)
}

/// Removes the templates that were made from the image with this id, and those that were made from these, but none that
/// is in use.
pub(super) fn forget(home: &Home, image: &str) -> Result<Pruned, StoreError> {
    // One whose papers cannot be read is nobody's, and goes by its age.
    let mut others: Vec<(String, PathBuf, String)> = templates(home)?
        .into_iter()
        .filter_map(|(name, folder)| {
            let origin = Manifest::of_any(&folder)?.origin()?.to_owned();
            Some((name, folder, origin))
        })
        .collect();
    let mut pruned = Pruned::default();
    let mut gone = vec![image.to_owned()];
    while let Some(origin) = gone.pop() {
        let (made_of_it, rest) = others.into_iter().partition(|(.., of)| *of == origin);
        others = rest;
        for (name, folder, _) in made_of_it {
            let size = size_on_disk(&folder).doing("look into", &folder)?;
            if remove_unused(home, &name, &folder)? {
                pruned.removed += 1;
                pruned.freed += size;
            }
            gone.push(name);
        }
    }
    Ok(pruned)
}

/// Removes a home whose cache is no more, but for templates that are still in use.
pub(super) fn forget_home(home: &Home) -> Result<(), StoreError> {
    let nothing = Limits {
        age: Duration::ZERO,
        size: 0,
    };
    prune(home, nothing)?;
    if templates(home)?.is_empty() {
        fs::remove_dir_all(home.root()).doing("remove", home.root())?;
    }
    Ok(())
}

fn templates(home: &Home) -> Result<Vec<(String, PathBuf)>, StoreError> {
    let mut found = folders(home.root())?;
    found.retain(|(name, _)| !["tmp", "locks", OWNER].contains(&name.as_str()));
    Ok(found)
}

/// Removes a folder unless its template is being made or used.
fn remove_unused(home: &Home, name: &str, folder: &Path) -> Result<bool, StoreError> {
    let mut held = Vec::new();
    for what in ["make", "use"] {
        let path = home.lock_path(name, what);
        let file = open_lock(&path)?;
        match file.try_lock() {
            Ok(()) => held.push(file),
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(source)) => return Err(source).doing("lock", &path),
        }
    }
    fs::remove_dir_all(folder).doing("remove", folder).map(|()| true)
}

fn folders(parent: &Path) -> Result<Vec<(String, PathBuf)>, StoreError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(parent).doing("read", parent)? {
        let entry = entry.doing("read", parent)?;
        found.push((entry.file_name().to_string_lossy().into_owned(), entry.path()));
    }
    Ok(found)
}

fn size_on_disk(folder: &Path) -> std::io::Result<u64> {
    use std::os::unix::fs::MetadataExt;
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        sum += entry?.metadata()?.blocks() * 512;
    }
    Ok(sum)
}
