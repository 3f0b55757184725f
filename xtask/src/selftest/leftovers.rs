// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a run may not leave: a process, a file elsewhere than in its folder and the cache, memory, a lock.

use super::processes;
use super::trouble::{Outcome, must};
use super::world::World;
use harness::run::OutFolder;
use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

/// Where memory is a file system.
const SHARED_MEMORY: &str = "/dev/shm";

/// How long what was killed may take to be gone, in looks of some milliseconds: the kernel takes the memory of a guest apart.
const LOOKS: usize = 1000;

/// Fails if there is still something left of the runs in this world, as `left_of` sees it, after a while.
pub(super) fn look(world: &World<'_>, left_of: fn(&World<'_>) -> Vec<String>) -> Outcome {
    let mut looks = 0;
    let left = world.setting.wait("nothing left", || {
        looks += 1;
        let left = left_of(world);
        Ok((left.is_empty() || looks > LOOKS).then_some(left))
    })?;
    must(
        left.is_empty(),
        "that nothing is left of the run",
        left.join("; "),
    )
}

/// What a runner cannot leave, however it ends: the kernel ends what it has started.
pub(super) fn processes_of(world: &World<'_>) -> Vec<String> {
    let sessions = world.sessions.borrow();
    let all = sessions.iter().flat_map(|session| processes::of(*session));
    all.map(|process| format!("the process {} ({})", process.pid, process.name))
        .collect()
}

/// All that a run that was not killed, or the one after it, cannot leave.
pub(super) fn everything_of(world: &World<'_>) -> Vec<String> {
    let mut left = processes_of(world);
    for folder in ["tmp", "here"] {
        left.extend(files_in(&world.path(folder)));
    }
    for out in world.outs.borrow().iter() {
        if let Err(taken) = OutFolder::is_free(out) {
            left.push(taken.to_string());
        }
        left.extend(strangers(out));
    }
    let cache = world.cache();
    for home in [cache.clone(), cache.join("templates")] {
        left.extend(files_in(&home.join("tmp")));
        left.extend(held_in(&home.join("locks")));
    }
    for folder in [cache.clone(), cache.join("pins")] {
        left.extend(unnamed_in(&folder));
    }
    left.extend(
        shared_memory()
            .difference(&world.shared_memory)
            .filter(|path| !is_elses(path, &cache))
            .map(|path| path.display().to_string()),
    );
    left
}

fn paths_in(folder: &Path) -> impl Iterator<Item = PathBuf> {
    // A folder that is not there holds nothing.
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
}

fn files_in(folder: &Path) -> Vec<String> {
    paths_in(folder).map(|path| path.display().to_string()).collect()
}

/// Files under names that only last until they get their own.
fn unnamed_in(folder: &Path) -> Vec<String> {
    let is_unnamed = |path: &PathBuf| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(".tmp"))
    };
    paths_in(folder)
        .filter(is_unnamed)
        .map(|path| path.display().to_string())
        .collect()
}

/// What does not belong into a folder with reports: beside these and the lock there are only kernels' folders.
fn strangers(out: &Path) -> Vec<String> {
    let known = [OutFolder::EVENTS, OutFolder::RECORD, OutFolder::JUNIT, ".lock"];
    paths_in(out)
        .filter(|path| {
            let is_known = path
                .file_name()
                .is_some_and(|name| known.iter().any(|known| name == *known));
            !is_known && !path.is_dir()
        })
        .map(|path| path.display().to_string())
        .collect()
}

/// Locks that somebody holds.
fn held_in(folder: &Path) -> Vec<String> {
    paths_in(folder)
        .filter(|path| {
            // One that is being removed is not held.
            File::open(path).is_ok_and(|lock| matches!(lock.try_lock(), Err(TryLockError::WouldBlock)))
        })
        .map(|path| format!("the lock {} is held", path.display()))
        .collect()
}

/// Everything of Taster's, and everything without a proper name, that lies in memory.
pub(super) fn shared_memory() -> BTreeSet<PathBuf> {
    let name = |path: &Path| {
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    let mut found = BTreeSet::new();
    for path in paths_in(Path::new(SHARED_MEMORY)) {
        if name(&path).starts_with("taster") {
            found.extend(paths_in(&path));
        } else if name(&path).starts_with(".tmp") {
            found.insert(path);
        }
    }
    found
}

/// Whether it is a home of templates, and of another cache than this.
fn is_elses(path: &Path, cache: &Path) -> bool {
    fs::read_link(path.join("cache")).is_ok_and(|owner| owner != cache)
}
