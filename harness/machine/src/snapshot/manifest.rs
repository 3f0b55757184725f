// SPDX-License-Identifier: MIT OR Apache-2.0
//! What belongs to a template, so that a damaged, truncated or foreign one is noticed.

use super::copy::PAGE;
use super::recipe::{IMAGE, Key, PARENT, Recipe, hex};
use crate::qemu::Cloning;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

/// The manifest's own file.
pub(super) const MANIFEST: &str = "manifest.json";
/// The state of the devices.
pub(super) const STATE: &str = "state";
/// Ordinary memory.
pub(super) const RAM: &str = "ram";

/// Pages of a memory file that are read to recognise it: a MiB, a few milliseconds.
const SAMPLES: usize = 256;

/// The file behind a memory device.
pub(super) fn device(index: usize) -> String {
    format!("device{index}")
}

/// A template's papers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Manifest {
    pub(super) key: Key,
    pub(super) name: String,
    /// For people, and for [`Manifest::origin`]; the key stands for it.
    pub(super) recipe: Vec<(String, String)>,
    pub(super) cloning: Cloning,
    pub(super) boot_id: String,
    pub(super) facts: serde_json::Value,
    pub(super) files: Vec<Entry>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    name: String,
    size: u64,
    /// Nanoseconds since 1970; i64 reaches beyond the year 2200.
    modified: i64,
    /// The pages that the digest covers; none: the whole file.
    samples: Vec<u64>,
    digest: String,
}

/// Why a template is not used.
#[derive(Debug)]
pub(super) enum Flaw {
    /// There is none.
    Absent,
    /// There is something else.
    Damaged(String),
}

impl Entry {
    /// Describes a file whole.
    pub(super) fn whole(folder: &Path, name: &str) -> io::Result<Self> {
        Self::describe(folder, name, Vec::new())
    }

    /// Describes a large file of which `pages` are not zero.
    pub(super) fn sampled(folder: &Path, name: &str, pages: &[u64]) -> io::Result<Self> {
        let step = pages.len().div_ceil(SAMPLES).max(1);
        let mut samples: Vec<u64> = pages.iter().copied().step_by(step).collect();
        samples.extend(pages.last());
        samples.dedup();
        if samples.is_empty() {
            // All zero: any page will do, and no page would mean all of them.
            samples.push(0);
        }
        Self::describe(folder, name, samples)
    }

    fn describe(folder: &Path, name: &str, samples: Vec<u64>) -> io::Result<Self> {
        let file = File::open(folder.join(name))?;
        let metadata = file.metadata()?;
        Ok(Self {
            name: name.to_owned(),
            size: metadata.len(),
            modified: modified(&metadata),
            digest: digest(file, &samples)?,
            samples,
        })
    }

    /// What is wrong with the file, if anything is.
    fn flaw(&self, folder: &Path) -> Option<String> {
        let name = &self.name;
        let found = match fs::metadata(folder.join(name)) {
            Ok(found) => found,
            Err(error) => return Some(format!("{name}: {error}")),
        };
        if found.len() != self.size {
            return Some(format!(
                "{name} has {} bytes instead of {}",
                found.len(),
                self.size
            ));
        }
        if modified(&found) != self.modified {
            return Some(format!("{name} was modified after it was made"));
        }
        match File::open(folder.join(name)).and_then(|file| digest(file, &self.samples)) {
            Ok(digest) if digest == self.digest => None,
            Ok(_) => Some(format!("{name} has another content")),
            Err(error) => Some(format!("{name}: {error}")),
        }
    }
}

fn modified(metadata: &fs::Metadata) -> i64 {
    metadata.mtime().saturating_mul(1_000_000_000) + metadata.mtime_nsec()
}

fn digest(mut file: File, samples: &[u64]) -> io::Result<String> {
    let mut hash = Sha256::new();
    if samples.is_empty() {
        let mut all = Vec::new();
        file.read_to_end(&mut all)?;
        hash.update(&all);
    }
    let mut page = [0; PAGE];
    for &offset in samples {
        file.read_exact_at(&mut page, offset)?;
        hash.update(page);
    }
    Ok(hex(&hash.finalize()))
}

impl Manifest {
    /// Writes itself into the template's folder.
    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(io::Error::other)?;
        fs::write(folder.join(MANIFEST), text)
    }

    /// The manifest of whatever template is in `folder`, if it can be read.
    pub(super) fn of_any(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&fs::read(folder.join(MANIFEST)).ok()?).ok()
    }

    /// What it was made from: the id of an image, or the key of another template.
    pub(super) fn origin(&self) -> Option<&str> {
        self.recipe
            .iter()
            .find(|(what, _)| [IMAGE, PARENT].contains(&what.as_str()))
            .map(|(_, value)| value.as_str())
    }

    /// The manifest of the template in `folder`, which is the one that `recipe` describes and undamaged.
    pub(super) fn verified(folder: &Path, recipe: &Recipe) -> Result<Self, Flaw> {
        let damaged = |how: String| Err(Flaw::Damaged(how));
        let text = match fs::read(folder.join(MANIFEST)) {
            Ok(text) => text,
            Err(_) if !folder.exists() => return Err(Flaw::Absent),
            Err(error) => return damaged(format!("its manifest: {error}")),
        };
        let manifest: Self = match serde_json::from_slice(&text) {
            Ok(manifest) => manifest,
            Err(error) => return damaged(format!("its manifest: {error}")),
        };
        if manifest.key != recipe.key() {
            return damaged("it is another template".to_owned());
        }
        match manifest.files.iter().find_map(|file| file.flaw(folder)) {
            Some(flaw) => damaged(flaw),
            None => Ok(manifest),
        }
    }
}
