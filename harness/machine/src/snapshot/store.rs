// SPDX-License-Identifier: MIT OR Apache-2.0
//! Templates kept between runs: complete or not there at all, shared, verified, pruned.
//!
//! ```text
//! HOME/KEY/           manifest.json, ram, device0…, state, console.log
//! HOME/tmp/KEY/       one that is being made
//! HOME/locks/KEY.make held by whoever makes it
//! HOME/locks/KEY.use  shared by everybody who uses it; its time is that of the last use
//! ```
//!
//! There are two homes, see [`home`](super::home). Locks are flock(2): they end with their holder, however it ends.
//! Lock files stay, since removing one under somebody who waits would make two locks of it.

use super::copy::copy;
use super::error::{Doing, MakeError, StoreError};
use super::home::{CHAIN, Home, choose};
use super::kept::Snapshot;
use super::lock::{blocking, lock};
use super::manifest::{Entry, Flaw, Manifest, RAM, STATE, device};
use super::prune::{Limits, Pruned, forget, forget_home, prune};
use super::recipe::{Key, Recipe};
use crate::qemu::{Cloning, GuestMemory, Machine, MemoryFile};
use guest_images::lock::Kind;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Templates of one cache.
#[derive(Debug, Clone)]
pub struct Store {
    /// The better one first.
    homes: Vec<Home>,
    /// Why the disk is not among them, if it is not.
    without_disk: Option<String>,
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

impl Store {
    /// The store of the cache in this folder.
    ///
    /// Fails if no folder for templates can be made, neither there nor in memory.
    pub fn open(cache: &Path) -> Result<Self, StoreError> {
        let memory = Home::in_memory(cache);
        for orphan in memory.orphans() {
            // Another run may be at it, and what stays now is found again by the next one.
            drop(forget_home(&orphan));
        }
        Self::of(Home::on_disk(cache), memory)
    }

    fn of(disk: Home, memory: Home) -> Result<Self, StoreError> {
        match disk.prepare() {
            Ok(()) => Ok(Self {
                homes: vec![disk, memory],
                without_disk: None,
            }),
            // A full disk has no room for a folder either.
            Err(why) => memory.prepare().map_err(|_| why).map(|()| Self {
                homes: vec![memory],
                without_disk: Some(format!("nothing can be put into {}", disk.root().display())),
            }),
        }
    }

    /// Where new templates are put at the moment, and why there; or why there is no room for any. Makes nothing.
    pub fn outlook(cache: &Path) -> Result<String, String> {
        Self {
            homes: vec![Home::on_disk(cache), Home::in_memory(cache)],
            without_disk: None,
        }
        .place()
    }

    /// The same of this store.
    pub fn place(&self) -> Result<String, String> {
        let (_, text) = choose(&self.homes, CHAIN)?;
        Ok(match &self.without_disk {
            Some(why) => format!("{text}, because {why}"),
            None => text,
        })
    }

    /// Removes what is kept in memory for a cache that is no more. What cannot be removed is pruned by nobody, and gone
    /// with the next reboot.
    pub fn forget(cache: &Path) {
        let home = Home::in_memory(cache);
        if home.exists() {
            drop(fs::remove_dir_all(home.root()));
        }
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
        make: impl AsyncFnOnce(&Path) -> Result<Made, MakeError<E>>,
    ) -> Result<Snapshot, MakeError<E>> {
        let key = recipe.key();
        if let Ok(template) = self.lookup(recipe, machine).await? {
            return Ok(template);
        }
        let _making = self.lock_for_making(recipe, note).await?;
        match self.lookup(recipe, machine).await? {
            Ok(template) => return Ok(template),
            Err(Flaw::Absent) => {}
            Err(Flaw::Damaged(how)) => note(&format!(
                "the template `{}` in the cache is damaged ({how}): making it again",
                recipe.name()
            )),
        }
        // Before anything is done in vain; how much it needs exactly is known afterwards.
        let home = self.with_room(recipe, LIKELY)?;
        home.prepare()?;
        let scratch = Scratch::new(home.scratch(&key))?;
        let brought = make(&scratch.0).await?;
        let needed = allocated(&brought.memory).doing("size the memory for", &scratch.0)?;
        let home = self.with_room(recipe, needed)?;
        home.prepare()?;
        let keeping = (recipe.clone(), scratch, home.clone());
        blocking(move || keep(&keeping.0, brought, keeping.1, &keeping.2)).await??;
        match self.lookup(recipe, machine).await? {
            Ok(template) => Ok(template),
            Err(flaw) => Err(StoreError::Io {
                doing: "use the template just made in",
                path: home.folder(&key),
                source: std::io::Error::other(match flaw {
                    Flaw::Absent => "it is gone".to_owned(),
                    Flaw::Damaged(how) => how,
                }),
            }
            .into()),
        }
    }

    fn with_room(&self, recipe: &Recipe, needed: u64) -> Result<&Home, StoreError> {
        choose(&self.homes, needed)
            .map(|(home, _)| home)
            .map_err(|why| StoreError::NoRoom {
                name: recipe.name().to_owned(),
                why,
            })
    }

    /// The lock of the first home in which one can be had: a full disk may have no room even for that.
    async fn lock_for_making(
        &self,
        recipe: &Recipe,
        note: &(dyn Fn(&str) + Sync),
    ) -> Result<File, StoreError> {
        let busy = format!(
            "the template `{}`: another run is making it, waiting",
            recipe.name()
        );
        let mut failed = None;
        for home in &self.homes {
            let path = home.lock_path(recipe.key().as_str(), "make");
            let locked = match home.prepare() {
                Ok(()) => lock(&path, Kind::Exclusive, &busy, note).await,
                Err(error) => Err(error),
            };
            match locked {
                Ok(file) => return Ok(file),
                Err(error) => {
                    failed.get_or_insert(error);
                }
            }
        }
        Err(failed.unwrap_or(StoreError::Homeless))
    }

    /// The template, if it is there and undamaged. Marks it as used.
    async fn lookup(&self, recipe: &Recipe, machine: &Machine) -> Result<Result<Snapshot, Flaw>, StoreError> {
        let mut flaw = Flaw::Absent;
        for home in self.homes.iter().filter(|home| home.exists()) {
            match lookup_in(home, recipe, machine).await? {
                Ok(template) => return Ok(Ok(template)),
                Err(Flaw::Absent) => {}
                Err(damaged) => flaw = damaged,
            }
        }
        Ok(Err(flaw))
    }

    /// Keeps each home within its limits.
    pub fn prune(&self) -> Result<Pruned, StoreError> {
        let mut pruned = Pruned::default();
        for home in self.homes.iter().filter(|home| home.exists()) {
            pruned += prune(home, Limits::of(home.medium()))?;
        }
        Ok(pruned)
    }

    /// Removes what was made from the image with this id: of a kernel that will not be seen again. What is in use stays.
    pub fn forget_image(&self, image: &str) -> Result<Pruned, StoreError> {
        let mut pruned = Pruned::default();
        for home in self.homes.iter().filter(|home| home.exists()) {
            pruned += forget(home, image)?;
        }
        Ok(pruned)
    }

    /// Whether there is a template of that name. It may still prove damaged when it is used.
    pub fn has(&self, key: &Key) -> bool {
        self.homes.iter().any(|home| home.folder(key).is_dir())
    }
}

/// What a template takes, roughly.
const LIKELY: u64 = CHAIN / 3;

async fn lookup_in(
    home: &Home,
    recipe: &Recipe,
    machine: &Machine,
) -> Result<Result<Snapshot, Flaw>, StoreError> {
    let key = recipe.key();
    // On a full disk there is no room for the lock of what is not there.
    if !home.folder(&key).exists() {
        return Ok(Err(Flaw::Absent));
    }
    let path = home.lock_path(key.as_str(), "use");
    // Held exclusively only while it is being removed.
    let in_use = lock(&path, Kind::Shared, "", &|_| {}).await?;
    in_use
        .set_modified(SystemTime::now())
        .doing("note the use in", &path)?;
    let (folder, recipe) = (home.folder(&key), recipe.clone());
    let (folder, verified) = blocking(move || {
        let verified = Manifest::verified(&folder, &recipe);
        (folder, verified)
    })
    .await?;
    Ok(verified.map(|manifest| Snapshot {
        folder,
        manifest,
        machine: machine.clone(),
        _in_use: in_use,
    }))
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

    /// This one if it is at `path` already, else a new one there with the same files.
    fn moved_to(self, path: PathBuf) -> Result<Self, StoreError> {
        if self.0 == path {
            return Ok(self);
        }
        let other = Self::new(path)?;
        for entry in fs::read_dir(&self.0).doing("read", &self.0)? {
            let entry = entry.doing("read", &self.0)?;
            let to = other.0.join(entry.file_name());
            fs::copy(entry.path(), &to).doing("copy a file to", &to)?;
        }
        Ok(other)
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

/// What the files of a guest's memory hold: sparse files grow until their file system is full, so one looks before.
fn allocated(memory: &GuestMemory) -> std::io::Result<u64> {
    std::iter::once(&memory.ram)
        .chain(&memory.devices)
        .map(|file| Ok(file.file().metadata()?.blocks() * 512))
        .sum()
}

/// Files the template in `home`: memory, manifest, then its name.
fn keep(recipe: &Recipe, made: Made, scratch: Scratch, home: &Home) -> Result<(), StoreError> {
    let key = recipe.key();
    let scratch = scratch.moved_to(home.scratch(&key))?;
    let (scratch, folder) = (&scratch.0, home.folder(&key));
    let names = (0..made.memory.devices.len()).map(device);
    let sources = std::iter::once(&made.memory.ram).chain(&made.memory.devices);
    let files: Vec<(String, &MemoryFile)> = std::iter::once(RAM.to_owned())
        .chain(names)
        .zip(sources)
        .collect();
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
        key,
        name: recipe.name().to_owned(),
        recipe: recipe.parts().to_vec(),
        cloning: made.cloning,
        boot_id: made.boot_id,
        facts: made.facts,
        files: entries,
    };
    manifest.write(scratch).doing("write the manifest in", scratch)?;
    // A damaged one; clones of it, if there are any, have its files open.
    remove(&folder)?;
    fs::rename(scratch, &folder).doing("rename into place", &folder)
}

#[cfg(test)]
mod tests;
