// SPDX-License-Identifier: MIT OR Apache-2.0
//! The folder of one run's reports and evidence.
//!
//! ```text
//! OUT/events.jsonl            as they happen
//! OUT/report.json, junit.xml  at the end
//! OUT/KERNEL/CASE/            a case's evidence
//! OUT/.lock                   held (flock(2)) by the run that writes here; that it lies there means nothing
//! ```

use guest_images::lock;
use machine::guest::QEMU_FILE;
use reports::EventKind;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Component, Path, PathBuf};

/// The files in the folder of a case, what people look into first at the head; beside them `run-LINE.txt`, what each command
/// said.
const EVIDENCE: [&str; 5] = ["console.log", "kernel.log", "trace.txt", "qmp.jsonl", QEMU_FILE];

const LOCK: &str = ".lock";

/// A folder that belongs to this run until it is dropped.
#[derive(Debug)]
pub struct OutFolder {
    _lock: File,
}

/// Why a folder cannot be a run's.
#[derive(Debug, thiserror::Error)]
pub enum OutError {
    /// Another run writes there.
    #[error("another run ({holder}) is writing to {}: wait for its end, or name another folder", path.display())]
    Taken {
        /// The folder.
        path: PathBuf,
        /// Whose, in words.
        holder: String,
    },
    /// What an earlier run left there cannot be removed, or the folder cannot be locked.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// A verb that reads before a path.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
}

impl OutError {
    /// Whether the user should have named another folder.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Taken { .. })
    }

    fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    }
}

impl OutFolder {
    /// The run's events, written one by one.
    pub const EVENTS: &str = "events.jsonl";
    /// The run's record.
    pub const RECORD: &str = "report.json";
    /// The same as a JUnit document.
    pub const JUNIT: &str = "junit.xml";

    /// Takes the folder, which exists, for a run that begins now, and removes the reports and the evidence of an earlier
    /// one: what would lie there if this run was killed would be taken for its own.
    ///
    /// Nothing else in the folder is touched. Fails when another run holds it.
    pub fn begin(path: &Path) -> Result<Self, OutError> {
        let lock_path = path.join(LOCK);
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(OutError::io("open", &lock_path))?;
        take(&lock, path)?;
        let folders = case_folders(path);
        // What says that all is well goes first.
        for name in [Self::RECORD, Self::JUNIT] {
            let file = path.join(name);
            remove(&file).map_err(OutError::io("remove", &file))?;
        }
        for folder in folders {
            clear_case(&folder).map_err(OutError::io("empty", &folder))?;
            // Each only if nothing is left in it.
            let mut empty = Some(folder.as_path());
            while let Some(folder) = empty.filter(|folder| *folder != path && fs::remove_dir(folder).is_ok())
            {
                empty = folder.parent();
            }
        }
        let events = path.join(Self::EVENTS);
        remove(&events).map_err(OutError::io("remove", &events))?;
        Ok(Self { _lock: lock })
    }

    /// Fails if a run is writing to the folder.
    pub fn is_free(path: &Path) -> Result<(), OutError> {
        match File::open(path.join(LOCK)) {
            Ok(lock) => take(&lock, path),
            // No run has ever locked it, or it was copied to where this user cannot look: then nobody writes there.
            Err(_) => Ok(()),
        }
    }
}

fn take(lock: &File, path: &Path) -> Result<(), OutError> {
    match lock.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(OutError::Taken {
            path: path.to_owned(),
            holder: lock::holders(lock),
        }),
        Err(TryLockError::Error(source)) => Err(OutError::io("lock", path)(source)),
    }
}

/// The folders of the cases that the run before this one began.
fn case_folders(out: &Path) -> Vec<PathBuf> {
    // What cannot be read names no folder; each case that runs again empties its own.
    let events = reports::read_events(out.join(OutFolder::EVENTS)).unwrap_or_default();
    let mut folders: Vec<PathBuf> = events
        .into_iter()
        .filter_map(|event| match event.kind {
            EventKind::CaseStarted { case, kernel, .. } => Some(folder(out, &kernel, &case)),
            _ => None,
        })
        // A file that came from elsewhere leads nowhere else.
        .filter(|folder| {
            let mut parts = folder.strip_prefix(out).unwrap_or(folder).components();
            parts.all(|part| matches!(part, Component::Normal(_)))
        })
        .collect();
    folders.sort();
    folders.dedup();
    folders
}

/// Removes what a case's folder holds of an earlier run. That there is no such folder is fine.
pub(super) fn clear_case(folder: &Path) -> io::Result<()> {
    evidence_in(folder)
        .iter()
        .try_for_each(|name| remove(&folder.join(name)))
}

/// The names of the files of evidence that a case's folder holds.
pub(super) fn evidence_in(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = EVIDENCE
        .into_iter()
        .map(str::to_owned)
        .filter(|name| folder.join(name).exists())
        .collect();
    // A folder that cannot be read holds nothing that could be named.
    let mut outputs: Vec<String> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("run-"))
        .collect();
    outputs.sort();
    names.extend(outputs);
    names
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error)
            if !matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Err(error)
        }
        _ => Ok(()),
    }
}

/// The folder of one case's evidence, below `out`.
pub(super) fn folder(out: &Path, kernel: &str, case: &str) -> PathBuf {
    out.join(name_of(kernel)).join(case)
}

/// A kernel as the name of one folder. Two kernels never have the same: what stands for `/`, and what begins an escape, is
/// escaped where it stands for itself. No name leads out of its folder.
fn name_of(kernel: &str) -> String {
    let plain = match kernel {
        "." => return "%2E".to_owned(),
        ".." => return "%2E.".to_owned(),
        // A path may well end in a slash, and is the same path without it.
        path => path.trim_end_matches('/'),
    };
    plain.replace('%', "%25").replace('+', "%2B").replace('/', "+")
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTED: &str = r#"{"at":0.0,"event":"case-started","case":"CASE","kernel":"/k/6.1","steps":1}"#;

    #[test]
    fn no_two_kernels_share_a_folder() {
        let kernels = [
            "debian-6.12",
            "/a/b",
            "/a-b",
            "a/b",
            "a-b",
            "a+b",
            "/a+b",
            "a%2Bb",
            "a/-b",
            "a-/b",
            ".",
            "..",
            "%2E",
            "/a",
            "../a",
            "..+a",
        ];
        let names: std::collections::BTreeSet<String> =
            kernels.iter().map(|kernel| name_of(kernel)).collect();
        assert_eq!(names.len(), kernels.len(), "{names:?}");
        assert!(
            names
                .iter()
                .all(|name| !name.contains('/') && name != "." && name != "..")
        );
        assert_eq!(name_of("debian-6.12"), "debian-6.12");
        assert_eq!(name_of("/usr/src/linux/"), "+usr+src+linux");
    }

    #[test]
    fn a_new_run_leaves_nothing_of_the_one_before() {
        let out = tempfile::tempdir().unwrap();
        let (path, file) = (out.path(), |name: &str| out.path().join(name));
        fs::create_dir_all(file("+k+6.1/data/a")).unwrap();
        fs::create_dir_all(file("../victim")).unwrap();
        for name in [
            "+k+6.1/data/a/console.log",
            "report.json",
            "junit.xml",
            "mine.txt",
        ] {
            fs::write(file(name), "old").unwrap();
        }
        let events = format!(
            "{}\n{}\n",
            STARTED.replace("CASE", "data/a"),
            STARTED.replace("CASE", "../../victim")
        );
        fs::write(file("events.jsonl"), events).unwrap();
        let held = OutFolder::begin(path).unwrap();
        for name in ["+k+6.1", "report.json", "junit.xml", "events.jsonl"] {
            assert!(!file(name).exists(), "{name} is still there");
        }
        assert!(file("mine.txt").exists() && file("../victim").exists());
        fs::remove_dir(file("../victim")).unwrap();
        let taken = OutFolder::begin(path).unwrap_err();
        let words = taken.to_string();
        assert!(taken.is_usage(), "{words}");
        assert!(
            words.contains(&format!("process {}", std::process::id())),
            "{words}"
        );
        assert!(OutFolder::is_free(path).is_err());
        drop(held);
        OutFolder::is_free(path).unwrap();
        OutFolder::begin(path).unwrap();
    }
}
