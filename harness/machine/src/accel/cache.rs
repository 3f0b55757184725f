// SPDX-License-Identifier: MIT OR Apache-2.0
//! What earlier runs found out: one small JSON file for each pair of a QEMU and a host.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Accelerator, Host, KvmDevice};

/// How a canary fared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Trial {
    /// It booted.
    Worked { seconds: f64 },
    /// It did not.
    Failed { why: String },
}

impl Trial {
    pub(super) fn worked(took: Duration) -> Self {
        Self::Worked {
            seconds: took.as_secs_f64(),
        }
    }
}

/// The file's content. The key is in it in full: its name is only a digest of that.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    key: Key,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kvm: Option<Trial>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tcg: Option<Trial>,
}

/// What an answer depends on.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    qemu: String,
    kernel: String,
    /// Number of the device; `None` if it does not open.
    kvm_device: Option<String>,
}

impl Key {
    fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for part in [
            &self.qemu,
            &self.kernel,
            self.kvm_device.as_ref().unwrap_or(&String::new()),
        ] {
            hash.update(part.len().to_le_bytes());
            hash.update(part);
        }
        let digest = hash.finalize();
        let start = digest
            .iter()
            .take(8)
            .fold(0, |number: u64, &byte| number << 8 | u64::from(byte));
        format!("{start:016x}")
    }
}

/// The open cache. Nothing that goes wrong with it stops a run; it becomes a note.
#[derive(Debug)]
pub(super) struct Cache {
    path: PathBuf,
    record: Record,
    changed: bool,
    notes: Vec<String>,
}

impl Cache {
    pub(super) fn open(directory: &Path, qemu_digest: &str, host: &Host) -> Self {
        let kvm_device = match &host.kvm {
            KvmDevice::Opens { identity, .. } => Some(identity.clone()),
            _ => None,
        };
        let key = Key {
            qemu: qemu_digest.to_owned(),
            kernel: host.kernel.clone(),
            kvm_device,
        };
        let path = directory.join(format!("accelerator-{}.json", key.digest()));
        let mut notes = Vec::new();
        let (kvm, tcg) = match read(&path, &key) {
            Ok(Some(record)) => (record.kvm, record.tcg),
            Ok(None) => (None, None),
            Err(error) => {
                notes.push(format!(
                    "ignored the accelerator cache {}: {error}",
                    path.display()
                ));
                (None, None)
            }
        };
        Self {
            path,
            record: Record { key, kvm, tcg },
            changed: false,
            notes,
        }
    }

    pub(super) fn trial(&self, accelerator: Accelerator) -> Option<Trial> {
        match accelerator {
            Accelerator::Kvm => self.record.kvm.clone(),
            Accelerator::Tcg => self.record.tcg.clone(),
        }
    }

    pub(super) fn record(&mut self, accelerator: Accelerator, trial: Trial) {
        self.changed = true;
        match accelerator {
            Accelerator::Kvm => self.record.kvm = Some(trial),
            Accelerator::Tcg => self.record.tcg = Some(trial),
        }
    }

    /// Writes what was recorded: whole, or not at all.
    pub(super) fn save(&mut self) {
        if self.changed
            && let Err(error) = write(&self.path, &self.record)
        {
            self.notes.push(format!(
                "could not write the accelerator cache {}: {error}; the next run will boot its canary again",
                self.path.display()
            ));
        }
    }

    pub(super) fn into_notes(self) -> Vec<String> {
        self.notes
    }
}

fn read(path: &Path, key: &Key) -> io::Result<Option<Record>> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let record: Record = serde_json::from_str(&text)?;
    if record.key == *key {
        Ok(Some(record))
    } else {
        Err(io::Error::other("it is about another machine"))
    }
}

fn write(path: &Path, record: &Record) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let mut file = tempfile::NamedTempFile::new_in(directory)?;
    serde_json::to_writer_pretty(&mut file, record)?;
    file.flush()?;
    file.persist(path)?;
    Ok(())
}
