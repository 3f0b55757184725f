// SPDX-License-Identifier: MIT OR Apache-2.0
//! The list of an entry's files that tells a whole entry from a damaged one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, IoContext};
use crate::hash;

const FILE_NAME: &str = ".manifest.json";

/// What an entry consists of.
#[derive(Serialize, Deserialize)]
pub(super) struct Manifest {
    /// By path inside the entry.
    files: BTreeMap<PathBuf, Recorded>,
}

#[derive(Serialize, Deserialize)]
enum Recorded {
    /// The time is only a shortcut: a file whose time differs is hashed, so that a copied cache is still good.
    File {
        size: u64,
        modified_ns: i128,
        sha256: String,
    },
    Link {
        target: PathBuf,
    },
}

/// Why an entry cannot be used.
pub(super) enum Flaw {
    Absent,
    Damaged(String),
}

impl Manifest {
    /// Records every file below `entry`, as its last part.
    pub(super) fn write(entry: &Path) -> Result<(), Error> {
        let mut files = BTreeMap::new();
        collect(entry, Path::new(""), &mut files)?;
        let text = serde_json::to_vec(&Self { files }).map_err(|error| Error::Make {
            what: "a manifest",
            why: error.to_string(),
        })?;
        let path = entry.join(FILE_NAME);
        fs::write(&path, text).during("write", &path)
    }

    /// Cheap: one stat per file as long as nobody touched them.
    pub(super) fn check(entry: &Path) -> Result<(), Flaw> {
        Self::each_file(entry, Recorded::check)
    }

    /// Reads every file: also finds damage that changed neither size nor time.
    pub(super) fn examine(entry: &Path) -> Result<(), Flaw> {
        Self::each_file(entry, Recorded::examine)
    }

    /// Whether a folder is an entry.
    pub(super) fn is_in(folder: &Path) -> bool {
        folder.join(FILE_NAME).exists()
    }

    fn each_file(entry: &Path, look: impl Fn(&Recorded, &Path) -> Result<(), String>) -> Result<(), Flaw> {
        let text = match fs::read(entry.join(FILE_NAME)) {
            Ok(text) => text,
            Err(_) if !entry.exists() => return Err(Flaw::Absent),
            Err(error) => return Err(Flaw::Damaged(format!("its manifest: {error}"))),
        };
        let manifest: Self =
            serde_json::from_slice(&text).map_err(|error| Flaw::Damaged(format!("its manifest: {error}")))?;
        for (path, recorded) in &manifest.files {
            look(recorded, &entry.join(path))
                .map_err(|how| Flaw::Damaged(format!("{}: {how}", path.display())))?;
        }
        Ok(())
    }
}

impl Recorded {
    fn check(&self, path: &Path) -> Result<(), String> {
        let meta = fs::symlink_metadata(path).map_err(|error| error.to_string())?;
        match self {
            Self::Link { target } => match fs::read_link(path) {
                Ok(found) if found == *target => Ok(()),
                _ => Err("leads elsewhere".to_owned()),
            },
            Self::File { size, .. } if !meta.is_file() || meta.len() != *size => {
                Err(format!("{} bytes instead of {size}", meta.len()))
            }
            Self::File {
                modified_ns, sha256, ..
            } => {
                if modified(&meta) == *modified_ns {
                    return Ok(());
                }
                is_unchanged(path, sha256)
            }
        }
    }

    fn examine(&self, path: &Path) -> Result<(), String> {
        self.check(path)?;
        match self {
            Self::File { sha256, .. } => is_unchanged(path, sha256),
            Self::Link { .. } => Ok(()),
        }
    }
}

fn is_unchanged(path: &Path, sha256: &str) -> Result<(), String> {
    match hash::of_file(path) {
        Ok(found) if found == sha256 => Ok(()),
        Ok(_) => Err("its content changed".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn modified(meta: &fs::Metadata) -> i128 {
    i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec())
}

fn collect(entry: &Path, below: &Path, files: &mut BTreeMap<PathBuf, Recorded>) -> Result<(), Error> {
    let folder = entry.join(below);
    for found in fs::read_dir(&folder).during("read", &folder)? {
        let found = found.during("read", &folder)?;
        let (path, inside) = (found.path(), below.join(found.file_name()));
        let meta = fs::symlink_metadata(&path).during("read", &path)?;
        if meta.is_dir() {
            collect(entry, &inside, files)?;
        } else if meta.is_symlink() {
            files.insert(
                inside,
                Recorded::Link {
                    target: fs::read_link(&path).during("read", &path)?,
                },
            );
        } else {
            let sha256 = hash::of_file(&path)?;
            files.insert(
                inside,
                Recorded::File {
                    size: meta.len(),
                    modified_ns: modified(&meta),
                    sha256,
                },
            );
        }
    }
    Ok(())
}
