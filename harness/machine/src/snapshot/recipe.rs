// SPDX-License-Identifier: MIT OR Apache-2.0
//! What makes a template what it is.

use crate::qemu::{Descriptors, Machine, Sharing};
use guest_images::Image;
use guest_images::qemu::Qemu;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::path::PathBuf;

/// Changes whenever templates are made or written down differently.
const FORMAT: &str = "template 3";

/// The part of a recipe that names the image, in a guest that was booted.
pub(super) const IMAGE: &str = "image";

/// The part of a recipe that names the template that it goes on from.
pub(super) const PARENT: &str = "parent";

/// A template's name: the SHA-256 of its recipe, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(String);

impl Key {
    /// As text, 64 characters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything that makes a template what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipe {
    name: String,
    parts: Vec<(String, String)>,
}

impl Recipe {
    /// The template called `name` that is made by booting `machine`, which boots `image`, under `qemu`, and taking `steps`.
    pub fn booted(name: &str, image: &Image, qemu: &Qemu, machine: &Machine, steps: &[String]) -> Self {
        let kernel = &image.kernel;
        let facts = [
            ("kernel", kernel.name.clone()),
            ("kernel release", kernel.release.clone()),
            // The image's id stands for the content of both files, but not for its keys.
            (IMAGE, image.id.clone()),
            ("host key", image.host_key.clone()),
            ("qemu", qemu.digest.clone()),
            ("qemu version", qemu.version_text.clone()),
            ("accelerator", machine.accelerator.to_string()),
            ("cpu", machine.cpu_model.clone()),
            ("machine", shape(machine)),
            ("command line", machine.boot.command_line.clone()),
        ];
        let facts = facts.map(|(what, value)| (what.to_owned(), value));
        Self::of(name, facts.into_iter().collect(), steps)
    }

    /// The template called `name` that is made by taking `steps` in a clone of the template `parent`.
    pub fn after(name: &str, parent: &Key, steps: &[String]) -> Self {
        Self::of(name, vec![(PARENT.to_owned(), parent.to_string())], steps)
    }

    fn of(name: &str, mut parts: Vec<(String, String)>, steps: &[String]) -> Self {
        parts.extend(steps.iter().map(|step| ("step".to_owned(), step.clone())));
        Self {
            name: name.to_owned(),
            parts,
        }
    }

    #[cfg(test)]
    pub(super) fn made_of(name: &str, what: &str, origin: &str) -> Self {
        Self::of(name, vec![(what.to_owned(), origin.to_owned())], &[])
    }

    /// What people call it: `booted`, `fsdax`, `xfs`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it consists of, for people who look into a manifest.
    pub(super) fn parts(&self) -> &[(String, String)] {
        &self.parts
    }

    /// Its hash.
    pub fn key(&self) -> Key {
        let mut hash = Sha256::new();
        let parts = self
            .parts
            .iter()
            .map(|(what, value)| (what.as_str(), value.as_str()));
        for (what, value) in [("format", FORMAT), ("name", &self.name)]
            .into_iter()
            .chain(parts)
        {
            for text in [what, value] {
                // With its length first, no text can pass for the end of one and the beginning of the next.
                hash.update((text.len() as u64).to_le_bytes());
                hash.update(text);
            }
        }
        Key(hex(&hash.finalize()))
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

/// QEMU's arguments without what differs from one start to the next: numbers of open files and places of files whose
/// content is named elsewhere.
fn shape(machine: &Machine) -> String {
    let mut machine = machine.clone();
    machine.boot.kernel = PathBuf::from("kernel");
    machine.boot.initramfs = PathBuf::from("initramfs");
    let nowhere = Descriptors {
        qmp: 0,
        console: 0,
        ports: vec![0; machine.ports.len()],
        ram: (0, Sharing::Shared),
        devices: vec![(0, Sharing::Shared); machine.devices.len()],
    };
    let arguments = machine.arguments(&nowhere);
    let words: Vec<_> = arguments.iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accel::Accelerator;
    use crate::qemu::{Boot, Mebibytes, MemoryDevice};

    fn machine() -> Machine {
        Machine {
            accelerator: Accelerator::Tcg,
            cpu_model: Machine::CPU_MODEL.to_owned(),
            cpus: 2,
            memory: Mebibytes(768),
            devices: vec![MemoryDevice::Nvdimm {
                size: Mebibytes(512),
                label: Mebibytes(2),
            }],
            boot: Boot {
                kernel: "/here/vmlinux".into(),
                initramfs: "/here/initramfs".into(),
                command_line: "console=ttyS0".to_owned(),
            },
            ports: Vec::new(),
        }
    }

    #[test]
    fn the_shape_of_a_machine_is_not_where_its_files_are() {
        let mut elsewhere = machine();
        elsewhere.boot.kernel = "/there/vmlinux".into();
        assert_eq!(shape(&machine()), shape(&elsewhere));
        let mut other = machine();
        let MemoryDevice::Nvdimm { size, .. } = &mut other.devices[0];
        *size = Mebibytes(1024);
        assert_ne!(shape(&machine()), shape(&other));
        other = machine();
        other.cpus = 1;
        assert_ne!(shape(&machine()), shape(&other));
    }

    fn parts(facts: &[(&str, &str)], steps: &[&str]) -> Key {
        let facts = facts
            .iter()
            .map(|(what, value)| ((*what).to_owned(), (*value).to_owned()));
        let steps: Vec<String> = steps.iter().map(|&step| step.to_owned()).collect();
        Recipe::of("xfs", facts.collect(), &steps).key()
    }

    #[test]
    fn every_part_counts_and_none_runs_into_the_next() {
        let key = parts(&[("kernel", "6.1"), ("qemu", "7.2")], &["mkfs", "mount"]);
        assert_eq!(key.as_str().len(), 64);
        assert_eq!(
            key,
            parts(&[("kernel", "6.1"), ("qemu", "7.2")], &["mkfs", "mount"])
        );
        for other in [
            parts(&[("kernel", "6.12"), ("qemu", "7.2")], &["mkfs", "mount"]),
            parts(&[("kernel", "6.1"), ("qemu", "10.0")], &["mkfs", "mount"]),
            parts(&[("kernel", "6.1"), ("qemu", "7.2")], &["mount", "mkfs"]),
            parts(&[("kernel", "6.1"), ("qemu", "7.2")], &["mkfsmount"]),
            parts(&[("kernel", "6.1"), ("qemu", "7.2")], &["mkfs", "mount", ""]),
        ] {
            assert_ne!(key, other);
        }
    }

    #[test]
    fn a_child_is_named_by_its_parent_too() {
        let steps = ["mkfs.xfs".to_owned()];
        let (one, two) = (parts(&[], &[]), parts(&[], &["x"]));
        let child = Recipe::after("xfs", &one, &steps);
        assert_ne!(child.key(), Recipe::after("xfs", &two, &steps).key());
        assert_ne!(child.key(), Recipe::after("unmounted", &one, &steps).key());
        assert_eq!(child.name(), "xfs");
    }
}
