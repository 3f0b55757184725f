// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where templates live: a folder on disk, and one in memory for want of room there.
//!
//! On disk they outlive a reboot, and the page cache serves them: memory that many clones share and that the kernel can
//! take back. That makes the first verdict of the next run a matter of two seconds, so the disk is the home of choice.
//! In a tmpfs they take memory away from guests until somebody prunes them or the host reboots; but a host whose
//! cache has no room still clones.

use super::error::{Doing, StoreError};
use super::recipe::Key;
use crate::qemu::free_bytes;
use nix::unistd::Uid;
use sha2::{Digest, Sha256};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

/// What the templates that lead to one case take, roughly: three of 170 MiB (kernels of Debian, measured).
pub(super) const CHAIN: u64 = 600 << 20;
/// Memory that is left to guests when templates are put there.
const FOR_GUESTS: u64 = 1 << 30;
/// The link in a home in memory that leads to its cache.
pub(super) const OWNER: &str = "cache";
/// Where memory is a file system.
const TMPFS: &str = "/dev/shm";

/// What a home is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Medium {
    /// What the cache is on.
    Disk,
    /// A tmpfs.
    Memory,
}

/// A folder with templates. It need not exist.
#[derive(Debug, Clone)]
pub(super) struct Home {
    root: PathBuf,
    medium: Medium,
    /// The cache that it belongs to, where that is another folder.
    cache: Option<PathBuf>,
    /// Bytes that can be written below a folder.
    free: fn(&Path) -> io::Result<u64>,
}

impl Home {
    /// The one in the folder `cache`.
    pub(super) fn on_disk(cache: &Path) -> Self {
        Self {
            root: cache.join("templates"),
            medium: Medium::Disk,
            cache: None,
            free: free_bytes,
        }
    }

    /// The one in memory that stands in for it: this user's, and this cache's.
    pub(super) fn in_memory(cache: &Path) -> Self {
        let cache = fs::canonicalize(cache).unwrap_or_else(|_| cache.to_owned());
        let hash = Sha256::digest(cache.as_os_str().as_encoded_bytes());
        let user = format!("taster-{}", Uid::effective());
        Self {
            root: Path::new(TMPFS).join(user).join(&super::recipe::hex(&hash)[..16]),
            medium: Medium::Memory,
            cache: Some(cache),
            free: free_bytes,
        }
    }

    #[cfg(test)]
    pub(super) fn with(root: &Path, medium: Medium, free: fn(&Path) -> io::Result<u64>) -> Self {
        Self {
            root: root.to_owned(),
            medium,
            cache: None,
            free,
        }
    }

    /// What it is made of.
    pub(super) fn medium(&self) -> Medium {
        self.medium
    }

    /// The folder itself.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Makes its folders. In memory, where every user may write, nobody else's will do.
    pub(super) fn prepare(&self) -> Result<(), StoreError> {
        if let (Medium::Memory, Some(parent)) = (self.medium, self.root.parent()) {
            make_private(parent)?;
        }
        for part in ["tmp", "locks"] {
            let folder = self.root.join(part);
            fs::create_dir_all(&folder).doing("create the folder", &folder)?;
        }
        if let Some(cache) = &self.cache {
            let link = self.root.join(OWNER);
            match symlink(cache, &link) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(error).doing("create", &link);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The homes in memory of this user's caches that are no more: nobody else would ever remove them.
    pub(super) fn orphans(&self) -> Vec<Self> {
        // What cannot be read is not ours to remove.
        let siblings = match (self.medium, self.root.parent()) {
            (Medium::Memory, Some(parent)) if is_private(parent).unwrap_or(false) => fs::read_dir(parent),
            _ => return Vec::new(),
        };
        siblings
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|root| fs::read_link(root.join(OWNER)).is_ok_and(|cache| !cache.exists()))
            .map(|root| Self {
                root,
                medium: Medium::Memory,
                cache: None,
                free: self.free,
            })
            .collect()
    }

    /// Whether there is one.
    pub(super) fn exists(&self) -> bool {
        let trusted = match (self.medium, self.root.parent()) {
            (Medium::Memory, Some(parent)) => is_private(parent).unwrap_or(false),
            _ => true,
        };
        trusted && self.root.is_dir()
    }

    /// Bytes that templates may take beside those that are there.
    pub(super) fn room(&self) -> Result<u64, StoreError> {
        // What is not there yet is made below the nearest folder that is.
        let ground = self.root.ancestors().find(|folder| folder.exists());
        let ground = ground.unwrap_or(Path::new("/"));
        let free = (self.free)(ground).doing("look for room in", ground)?;
        Ok(match self.medium {
            Medium::Disk => free,
            Medium::Memory => free.saturating_sub(FOR_GUESTS),
        })
    }

    pub(super) fn folder(&self, key: &Key) -> PathBuf {
        self.root.join(key.as_str())
    }

    pub(super) fn lock_path(&self, name: &str, what: &str) -> PathBuf {
        self.root.join("locks").join(format!("{name}.{what}"))
    }

    pub(super) fn scratch(&self, key: &Key) -> PathBuf {
        self.tmp().join(key.as_str())
    }

    pub(super) fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// `/cache/templates has 12 MiB free`.
    fn describe_room(&self, room: &Result<u64, StoreError>) -> String {
        let folder = self.root.display();
        match (room, self.medium) {
            (Ok(room), Medium::Disk) => format!("{folder} has {} MiB free", room >> 20),
            (Ok(room), Medium::Memory) => {
                format!("{folder} has {} MiB to spare beside the guests'", room >> 20)
            }
            (Err(error), _) => format!("{folder}: {error}"),
        }
    }
}

/// A folder that this user alone may look into.
fn make_private(folder: &Path) -> Result<(), StoreError> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            return Err(error).doing("create the folder", folder);
        }
        _ => {}
    }
    if is_private(folder).doing("look at", folder)? {
        Ok(())
    } else {
        Err(StoreError::NotPrivate {
            folder: folder.to_owned(),
        })
    }
}

fn is_private(folder: &Path) -> io::Result<bool> {
    // Not what a link of somebody else's leads to.
    let found = fs::symlink_metadata(folder)?;
    let others = 0o077;
    Ok(found.is_dir() && found.uid() == Uid::effective().as_raw() && found.mode() & others == 0)
}

/// The first of `homes` with room for `needed` bytes, and a sentence that says which and why; or why there is none.
pub(super) fn choose(homes: &[Home], needed: u64) -> Result<(&Home, String), String> {
    let mut refused = Vec::new();
    for home in homes {
        let room = home.room();
        if room.as_ref().is_ok_and(|room| *room >= needed) {
            let how_long = match home.medium {
                Medium::Disk => "on disk",
                Medium::Memory => "in memory, until they are pruned or the host reboots",
            };
            let mut text = format!("in {}, {how_long}", home.root.display());
            if !refused.is_empty() {
                text = format!("{text}, because {}", refused.join(", "));
            }
            return Ok((home, text));
        }
        refused.push(home.describe_room(&room));
    }
    Err(format!(
        "{} MiB are wanted, but {}",
        needed.div_ceil(1 << 20),
        refused.join(", and ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    fn home(root: &str, medium: Medium, free: fn(&Path) -> io::Result<u64>) -> Home {
        Home::with(Path::new(root), medium, free)
    }

    #[test]
    fn the_disk_is_chosen_while_it_has_room() {
        let homes = [
            home("/cache/templates", Medium::Disk, |_| Ok(4 << 30)),
            home("/dev/shm/x/y", Medium::Memory, |_| Ok(4 << 30)),
        ];
        let (chosen, text) = choose(&homes, CHAIN).unwrap();
        assert_eq!(chosen.medium(), Medium::Disk);
        assert_eq!(text, "in /cache/templates, on disk");

        let full = [
            home("/cache/templates", Medium::Disk, |_| Ok(100 << 20)),
            homes[1].clone(),
        ];
        let (chosen, text) = choose(&full, CHAIN).unwrap();
        assert_eq!(chosen.medium(), Medium::Memory);
        assert!(text.starts_with("in /dev/shm/x/y, in memory, until"), "{text}");
        assert!(
            text.ends_with("because /cache/templates has 100 MiB free"),
            "{text}"
        );
    }

    #[test]
    fn what_guests_need_is_not_room() {
        let homes = [
            home("/cache/templates", Medium::Disk, |_| Ok(0)),
            home("/dev/shm/x/y", Medium::Memory, |_| Ok(1 << 30)),
        ];
        let why = choose(&homes, CHAIN).unwrap_err();
        assert!(
            why.starts_with("600 MiB are wanted, but /cache/templates has 0 MiB free"),
            "{why}"
        );
    }

    #[test]
    fn a_home_in_memory_whose_cache_is_gone_is_an_orphan() {
        let place = tempfile::tempdir().unwrap();
        let cache = |name: &str| place.path().join(name);
        let home_of = |name: &str| Home {
            cache: Some(cache(name)),
            ..home(
                place.path().join("private").join(name).to_str().unwrap(),
                Medium::Memory,
                |_| Ok(0),
            )
        };
        for name in ["here", "gone"] {
            fs::create_dir(cache(name)).unwrap();
            home_of(name).prepare().unwrap();
            // A second run finds the link there.
            home_of(name).prepare().unwrap();
            fs::create_dir(home_of(name).root().join("template")).unwrap();
        }
        assert!(home_of("here").orphans().is_empty());
        fs::remove_dir(cache("gone")).unwrap();
        let orphans = home_of("here").orphans();
        assert_eq!(orphans.len(), 1);
        super::super::prune::forget_home(&orphans[0]).unwrap();
        assert!(!home_of("gone").root().exists() && home_of("here").root().join("template").exists());
    }

    #[test]
    fn a_folder_that_others_can_write_to_is_not_ours() {
        let place = tempfile::tempdir().unwrap();
        let parent = place.path().join("taster");
        let home = Home::with(&parent.join("cache"), Medium::Memory, |_| Ok(0));
        home.prepare().unwrap();
        assert!(home.exists());
        fs::set_permissions(&parent, fs::Permissions::from_mode(0o770)).unwrap();
        assert!(!home.exists());
        assert!(matches!(home.prepare(), Err(StoreError::NotPrivate { .. })));

        let link = place.path().join("link");
        fs::set_permissions(&parent, fs::Permissions::from_mode(0o700)).unwrap();
        symlink(&parent, &link).unwrap();
        let linked = Home::with(&link.join("cache"), Medium::Memory, |_| Ok(0));
        assert!(matches!(linked.prepare(), Err(StoreError::NotPrivate { .. })));
    }
}
