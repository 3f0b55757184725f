// SPDX-License-Identifier: MIT OR Apache-2.0
//! Templates kept between runs: complete or not there at all, shared, verified, pruned.
//!
//! ```text
//! templates/KEY/           manifest.json, ram, nvdimm0…, state, console.log
//! templates/tmp/KEY/       one that is being made
//! templates/locks/KEY.make held by whoever makes it
//! templates/locks/KEY.use  shared by everybody who uses it; its time is that of the last use
//! ```
//!
//! They lie in the cache folder, on disk, and the page cache serves them: memory that many clones share and that the
//! kernel can take back. Locks are flock(2): they end with their holder, however it ends. Lock files stay, since
//! removing one under somebody who waits would make two locks of it.

use super::copy::copy;
use super::error::{Doing, StoreError, Unmade};
use super::lock::{Kind, blocking, lock, open_lock};
use super::manifest::{Entry, Flaw, Manifest, RAM, STATE, nvdimm};
use super::recipe::{Key, Recipe};
use crate::guest::Origin;
use crate::qemu::{Cloning, GuestMemory, Machine, MemoryFile, Sharing, free_bytes};
use serde::de::DeserializeOwned;
use std::fs::{self, File, Permissions, TryLockError};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Templates below the cache folder.
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

/// What the maker of a template brings; the state of the devices is in the folder that it was given.
#[derive(Debug)]
pub struct Made {
    /// How the state was saved, and is to be restored.
    pub cloning: Cloning,
    /// The memory, which nobody writes to any more.
    pub memory: GuestMemory,
    /// The guest's boot id.
    pub boot_id: String,
    /// What was learnt on the way and is true of every clone.
    pub facts: serde_json::Value,
}

/// A verified template. As long as it is held it is not pruned.
#[derive(Debug)]
pub struct Template {
    folder: PathBuf,
    manifest: Manifest,
    machine: Machine,
    _in_use: File,
}

/// What may stay in the store.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Since the last use.
    pub age: Duration,
    /// Of all templates together, in bytes on disk.
    pub size: u64,
}

impl Limits {
    /// A fortnight, and 24 GiB: about 80 templates of 300 MiB.
    pub const DEFAULT: Self = Self {
        age: Duration::from_secs(14 * 24 * 3600),
        size: 24 << 30,
    };
}

/// What was pruned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Templates removed.
    pub removed: usize,
    /// Bytes on disk that they had.
    pub freed: u64,
    /// Bytes on disk of the templates that are left.
    pub left: u64,
}

impl Store {
    /// The store in the folder `cache`, which is made if it is not there.
    pub fn open(cache: &Path) -> Result<Self, StoreError> {
        let root = cache.join("templates");
        for part in ["tmp", "locks"] {
            let folder = root.join(part);
            fs::create_dir_all(&folder).doing("create the folder", &folder)?;
        }
        Ok(Self { root })
    }

    /// The template that `recipe` describes for `machine`, from the store if it is there and undamaged, else made by
    /// `make` in the folder that it is given. If another run is making it, waits for that.
    ///
    /// `note` hears what is worth a word: that a damaged one is made again, that another run is waited for.
    pub async fn obtain<E>(
        &self,
        recipe: &Recipe,
        machine: &Machine,
        note: &(dyn Fn(&str) + Sync),
        make: impl AsyncFnOnce(&Path) -> Result<Made, Unmade<E>>,
    ) -> Result<Template, Unmade<E>> {
        let key = recipe.key();
        if let Ok(template) = self.lookup(recipe, machine).await? {
            return Ok(template);
        }
        let _making = lock(
            &self.lock_path(&key, "make"),
            Kind::Exclusive,
            &format!(
                "the template `{}`: another run is making it, waiting",
                recipe.name()
            ),
            note,
        )
        .await?;
        match self.lookup(recipe, machine).await? {
            Ok(template) => return Ok(template),
            Err(Flaw::Absent) => {}
            Err(Flaw::Damaged(how)) => note(&format!(
                "the template `{}` in the cache is damaged ({how}): making it again",
                recipe.name()
            )),
        }
        let scratch = Scratch::new(self.root.join("tmp").join(key.as_str()))?;
        let brought = make(&scratch.0).await?;
        let folder = self.folder(&key);
        let keeping = (recipe.clone(), scratch, folder);
        blocking(move || keep(&keeping.0, brought, &keeping.1.0, &keeping.2)).await??;
        match self.lookup(recipe, machine).await? {
            Ok(template) => Ok(template),
            Err(flaw) => Err(StoreError::Io {
                doing: "use the template just made in",
                path: self.folder(&key),
                source: std::io::Error::other(match flaw {
                    Flaw::Absent => "it is gone".to_owned(),
                    Flaw::Damaged(how) => how,
                }),
            }
            .into()),
        }
    }

    /// The template, if it is there and undamaged. Marks it as used.
    async fn lookup(&self, recipe: &Recipe, machine: &Machine) -> Result<Result<Template, Flaw>, StoreError> {
        let key = recipe.key();
        let path = self.lock_path(&key, "use");
        // Held exclusively only while it is being removed.
        let in_use = lock(&path, Kind::Shared, "", &|_| {}).await?;
        in_use
            .set_modified(SystemTime::now())
            .doing("note the use in", &path)?;
        let (folder, recipe) = (self.folder(&key), recipe.clone());
        let (folder, verified) = blocking(move || {
            let verified = Manifest::verified(&folder, &recipe);
            (folder, verified)
        })
        .await?;
        Ok(verified.map(|manifest| Template {
            folder,
            manifest,
            machine: machine.clone(),
            _in_use: in_use,
        }))
    }

    /// Removes templates that were not used for longer than `limits` allow, then the longest unused ones until the rest
    /// fits, but none that is in use or being made; and what killed runs left half-made.
    pub fn prune(&self, limits: Limits) -> Result<Pruned, StoreError> {
        let mut found = Vec::new();
        for (name, folder) in folders(&self.root)? {
            if ["tmp", "locks"].contains(&name.as_str()) {
                continue;
            }
            let lock = self.root.join("locks").join(format!("{name}.use"));
            let used = fs::metadata(&lock).and_then(|lock| lock.modified());
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
            if (old || pruned.left > limits.size) && self.remove_unused(&name, &folder)? {
                pruned.removed += 1;
                pruned.freed += size;
                pruned.left -= size;
            }
        }
        for (name, folder) in folders(&self.root.join("tmp"))? {
            self.remove_unused(&name, &folder)?;
        }
        Ok(pruned)
    }

    /// Removes a folder unless its template is being made or used.
    fn remove_unused(&self, name: &str, folder: &Path) -> Result<bool, StoreError> {
        let mut held = Vec::new();
        for what in ["make", "use"] {
            let path = self.root.join("locks").join(format!("{name}.{what}"));
            let file = open_lock(&path)?;
            match file.try_lock() {
                Ok(()) => held.push(file),
                Err(TryLockError::WouldBlock) => return Ok(false),
                Err(TryLockError::Error(source)) => return Err(source).doing("lock", &path),
            }
        }
        fs::remove_dir_all(folder).doing("remove", folder).map(|()| true)
    }

    /// Whether there is a template of that name. It may still prove damaged when it is used.
    pub fn has(&self, key: &Key) -> bool {
        self.folder(key).is_dir()
    }

    fn folder(&self, key: &Key) -> PathBuf {
        self.root.join(key.as_str())
    }

    fn lock_path(&self, key: &Key, what: &str) -> PathBuf {
        self.root.join("locks").join(format!("{key}.{what}"))
    }
}

/// A folder that goes away unless it was moved elsewhere.
struct Scratch(PathBuf);

impl Scratch {
    /// An empty folder, in place of what a killed run left there.
    fn new(path: PathBuf) -> Result<Self, StoreError> {
        remove(&path)?;
        fs::create_dir(&path).doing("create the folder", &path)?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nobody can be told from here; the next maker or `prune` tries again.
        drop(remove(&self.0));
    }
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).doing("remove", path),
        _ => Ok(()),
    }
}

/// Files the template: memory, manifest, then its name.
fn keep(recipe: &Recipe, made: Made, scratch: &Path, folder: &Path) -> Result<(), StoreError> {
    let names = (0..made.memory.nvdimms.len()).map(nvdimm);
    let sources = std::iter::once(&made.memory.ram).chain(&made.memory.nvdimms);
    let files: Vec<(String, &MemoryFile)> = std::iter::once(RAM.to_owned())
        .chain(names)
        .zip(sources)
        .collect();
    require_room(recipe, &files, scratch)?;
    let state = scratch.join(STATE);
    // QEMU before 8.2 opens a clone's memory for writing even though it maps it privately.
    let permissions = if made.cloning.sealed { 0o400 } else { 0o600 };
    let mut entries = vec![Entry::whole(scratch, STATE).doing("read", &state)?];
    for (name, source) in &files {
        let path = scratch.join(name);
        let file = File::create_new(&path).doing("create", &path)?;
        file.set_len(source.size().bytes()).doing("size", &path)?;
        let pages = copy(source.file(), &file).doing("copy guest memory to", &path)?;
        file.set_permissions(Permissions::from_mode(permissions))
            .doing("protect", &path)?;
        entries.push(Entry::sampled(scratch, name, &pages).doing("read", &path)?);
    }
    fs::set_permissions(&state, Permissions::from_mode(0o400)).doing("protect", &state)?;
    let manifest = Manifest {
        key: recipe.key(),
        name: recipe.name().to_owned(),
        recipe: recipe.parts().to_vec(),
        cloning: made.cloning,
        boot_id: made.boot_id,
        facts: made.facts,
        files: entries,
    };
    manifest.write(scratch).doing("write the manifest in", scratch)?;
    // A damaged one; clones of it, if there are any, have its files open.
    remove(folder)?;
    fs::rename(scratch, folder).doing("rename into place", folder)
}

/// Sparse files grow until their file system is full, so look before.
fn require_room(recipe: &Recipe, files: &[(String, &MemoryFile)], folder: &Path) -> Result<(), StoreError> {
    let mut needed = 0;
    for (_, file) in files {
        needed += file
            .file()
            .metadata()
            .doing("size the memory for", folder)?
            .blocks()
            * 512;
    }
    let free = free_bytes(folder).doing("look for room in", folder)?;
    if free >= needed {
        return Ok(());
    }
    Err(StoreError::NoRoom {
        name: recipe.name().to_owned(),
        needed: needed.div_ceil(1 << 20),
        folder: folder.to_owned(),
        free: free >> 20,
    })
}

impl Template {
    /// Its key.
    pub fn key(&self) -> &Key {
        &self.manifest.key
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.manifest.name
    }

    /// The machine that every clone is.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// What its maker learnt, if it is of this type.
    pub fn facts<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(&self.manifest.facts)
    }

    /// The folder with its files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How its QEMU saves and restores.
    pub fn cloning(&self) -> Cloning {
        self.manifest.cloning
    }

    /// Where clones come from.
    pub(super) fn origin<'a>(&'a self, state: &'a Path) -> Origin<'a> {
        Origin {
            state,
            route: self.manifest.cloning.route,
            boot_id: &self.manifest.boot_id,
        }
    }

    /// The file with the state of the devices.
    pub(super) fn state(&self) -> PathBuf {
        self.folder.join(STATE)
    }

    /// Its memory files, opened for a clone.
    pub(super) fn private_memory(&self) -> Result<GuestMemory, StoreError> {
        let sharing = if self.manifest.cloning.sealed {
            Sharing::Sealed
        } else {
            Sharing::Private
        };
        let open = |name: &str, size| MemoryFile::open(&self.folder.join(name), size, sharing);
        let nvdimms = self.machine.nvdimms.iter().enumerate();
        Ok(GuestMemory {
            ram: open(RAM, self.machine.memory)?,
            nvdimms: nvdimms
                .map(|(index, shape)| open(&nvdimm(index), shape.file_size()))
                .collect::<Result<_, _>>()?,
            place: format!(
                "guest memory is that of the template `{}`, copied on write",
                self.name()
            ),
        })
    }

    /// A copy of its memory, for a guest whose writes are to last.
    pub(super) async fn copied_memory(&self) -> Result<GuestMemory, StoreError> {
        let (from, to) = (self.private_memory()?, GuestMemory::create(&self.machine)?);
        let folder = self.folder.clone();
        blocking(move || {
            let pairs = std::iter::once((&from.ram, &to.ram)).chain(from.nvdimms.iter().zip(&to.nvdimms));
            for (from, to) in pairs {
                copy(from.file(), to.file()).doing("copy guest memory from", &folder)?;
            }
            Ok(to)
        })
        .await?
    }
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
    let mut sum = 0;
    for entry in fs::read_dir(folder)? {
        sum += entry?.metadata()?.blocks() * 512;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests;
