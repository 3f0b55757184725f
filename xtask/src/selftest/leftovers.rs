// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a run may not leave: a process, a file elsewhere than in its folder and the cache, memory, a lock.

use super::processes;
use super::trouble::{Outcome, must};
use super::world::World;
use anyhow::Context;
use harness::run::OutFolder;
use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Where memory is a file system.
const SHARED_MEMORY: &str = "/dev/shm";

/// How long what was killed may take to be gone, in looks of some milliseconds: the kernel takes the memory of a guest apart.
const LOOKS: usize = 1000;

/// Fails if there is still something left of the runs in this world, as `left_of` sees it, after a while.
pub(super) fn look(world: &World<'_>, left_of: fn(&World<'_>) -> anyhow::Result<Vec<String>>) -> Outcome {
    let mut looks = 0;
    let left = world.setting.wait("nothing left", || {
        looks += 1;
        let left = left_of(world)?;
        Ok((left.is_empty() || looks > LOOKS).then_some(left))
    })?;
    must(
        left.is_empty(),
        "that nothing is left of the run",
        left.join("; "),
    )
}

/// What a runner cannot leave, however it ends: the kernel ends what it has started.
pub(super) fn processes_of(world: &World<'_>) -> anyhow::Result<Vec<String>> {
    let sessions = world.sessions.borrow();
    let mut left = Vec::new();
    for session in sessions.iter() {
        let processes = processes::of(*session)?.into_iter();
        left.extend(processes.map(|process| format!("the process {} ({})", process.pid, process.name)));
    }
    Ok(left)
}

/// All that a run that was not killed, or the one after it, cannot leave.
pub(super) fn everything_of(world: &World<'_>) -> anyhow::Result<Vec<String>> {
    let mut left = processes_of(world)?;
    for folder in ["tmp", "here"] {
        left.extend(files_in(&world.path(folder))?);
    }
    for out in world.outs.borrow().iter() {
        if let Err(taken) = OutFolder::is_free(out) {
            left.push(taken.to_string());
        }
        left.extend(strangers(out)?);
    }
    let cache = world.cache();
    for home in [cache.clone(), cache.join("templates")] {
        left.extend(files_in(&home.join("tmp"))?);
        left.extend(held_in(&home.join("locks"))?);
    }
    for folder in [cache.clone(), cache.join("pins")] {
        left.extend(unnamed_in(&folder)?);
    }
    left.extend(
        shared_memory()?
            .difference(&world.shared_memory)
            .filter(|path| !is_elses(path, &cache))
            .map(|path| path.display().to_string()),
    );
    Ok(left)
}

/// What is in a folder; a folder that is not there holds nothing. One that cannot be read is no clean one.
fn paths_in(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| format!("cannot read {}", folder.display()))?,
    };
    entries
        .map(|entry| {
            Ok(entry
                .with_context(|| format!("cannot read {}", folder.display()))?
                .path())
        })
        .collect()
}

fn files_in(folder: &Path) -> anyhow::Result<Vec<String>> {
    let paths = paths_in(folder)?;
    Ok(paths.iter().map(|path| path.display().to_string()).collect())
}

/// Files under names that only last until they get their own.
fn unnamed_in(folder: &Path) -> anyhow::Result<Vec<String>> {
    let is_unnamed = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(".tmp"))
    };
    let unnamed = paths_in(folder)?.into_iter().filter(is_unnamed);
    Ok(unnamed.map(|path| path.display().to_string()).collect())
}

/// What does not belong into a folder with reports: beside these and the lock there are only kernels' folders.
fn strangers(out: &Path) -> anyhow::Result<Vec<String>> {
    let known = [OutFolder::EVENTS, OutFolder::RECORD, OutFolder::JUNIT, ".lock"];
    let is_strange = |path: &PathBuf| {
        let is_known = path
            .file_name()
            .is_some_and(|name| known.iter().any(|known| name == *known));
        !is_known && !path.is_dir()
    };
    let strange = paths_in(out)?.into_iter().filter(is_strange);
    Ok(strange.map(|path| path.display().to_string()).collect())
}

/// Locks that somebody holds.
fn held_in(folder: &Path) -> anyhow::Result<Vec<String>> {
    let mut held = Vec::new();
    for path in paths_in(folder)? {
        let lock = match File::open(&path) {
            // One that is being removed is not held.
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            lock => lock.with_context(|| format!("cannot open the lock {}", path.display()))?,
        };
        if matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) {
            held.push(format!("the lock {} is held", path.display()));
        }
    }
    Ok(held)
}

/// Everything of Taster's, and everything without a proper name, that lies in memory.
pub(super) fn shared_memory() -> anyhow::Result<BTreeSet<PathBuf>> {
    let name = |path: &Path| {
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    let mut found = BTreeSet::new();
    for path in paths_in(Path::new(SHARED_MEMORY))? {
        if name(&path).starts_with("taster") {
            found.extend(paths_in(&path)?);
        } else if name(&path).starts_with(".tmp") {
            found.insert(path);
        }
    }
    Ok(found)
}

/// Whether it is a home of templates, and of another cache than this.
fn is_elses(path: &Path, cache: &Path) -> bool {
    fs::read_link(path.join("cache")).is_ok_and(|owner| owner != cache)
}
