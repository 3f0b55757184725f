// SPDX-License-Identifier: MIT OR Apache-2.0
//! An initramfs: an uncompressed cpio archive in the `newc` format (the kernel's
//! Documentation/driver-api/early-userspace/buffer-format.rst), the same bytes for the same content.

use std::collections::BTreeMap;
use std::io::Write;

use cpio::newc::{Builder, trailer};

const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

/// The files of a guest, by path without a leading slash; everything belongs to root, nothing has a date.
#[derive(Debug, Default)]
pub(crate) struct Initramfs(BTreeMap<String, Node>);

#[derive(Debug)]
struct Node {
    mode: u32,
    content: Vec<u8>,
    device: (u32, u32),
}

impl Initramfs {
    /// A folder, and those above it; permissions of one that is there already are kept.
    pub(crate) fn folder(&mut self, path: &str, permissions: u32) {
        self.parents(path);
        self.0.entry(path.to_owned()).or_insert(Node {
            mode: DIRECTORY | permissions,
            content: Vec::new(),
            device: (0, 0),
        });
    }

    /// A regular file.
    pub(crate) fn file(&mut self, path: &str, permissions: u32, content: impl Into<Vec<u8>>) {
        self.node(path, FILE | permissions, content.into(), (0, 0));
    }

    /// A symbolic link.
    pub(crate) fn link(&mut self, path: &str, target: &str) {
        self.node(path, LINK | 0o777, target.as_bytes().to_vec(), (0, 0));
    }

    /// A character device.
    pub(crate) fn device(&mut self, path: &str, permissions: u32, major: u32, minor: u32) {
        self.node(path, CHARACTER_DEVICE | permissions, Vec::new(), (major, minor));
    }

    /// Whether something is there.
    pub(crate) fn contains(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    fn node(&mut self, path: &str, mode: u32, content: Vec<u8>, device: (u32, u32)) {
        self.parents(path);
        self.0.insert(
            path.to_owned(),
            Node {
                mode,
                content,
                device,
            },
        );
    }

    fn parents(&mut self, path: &str) {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.folder(parent, 0o755);
        }
    }

    /// Writes the archive. Sorted by path, a folder stands before what is in it, as the kernel needs it.
    pub(crate) fn write(&self, mut out: impl Write) -> std::io::Result<()> {
        for (number, (path, node)) in (1_u32..).zip(&self.0) {
            let size = u32::try_from(node.content.len())
                .map_err(|_| std::io::Error::other(format!("{path} is too big for a cpio archive")))?;
            let entry = Builder::new(path)
                .ino(number)
                .mode(node.mode)
                .rdev_major(node.device.0)
                .rdev_minor(node.device.1);
            let mut writer = entry.write(&mut out, size);
            writer.write_all(&node.content)?;
            writer.finish()?;
        }
        trailer(&mut out)?.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn sample() -> Vec<u8> {
        let mut guest = Initramfs::default();
        guest.folder("root", 0o700);
        guest.file("root/.ssh/authorized_keys", 0o600, "key");
        guest.link("init", "bin/guest-agent");
        guest.file("bin/guest-agent", 0o755, "program");
        guest.device("dev/console", 0o600, 5, 1);
        let mut out = Vec::new();
        guest.write(&mut out).unwrap();
        out
    }

    #[test]
    fn what_goes_in_comes_out_parents_first() {
        let archive = sample();
        let mut rest = archive.as_slice();
        let mut found = Vec::new();
        loop {
            let mut reader = cpio::newc::Reader::new(rest).unwrap();
            let entry = reader.entry();
            if entry.is_trailer() {
                break;
            }
            assert_eq!((entry.uid(), entry.gid(), entry.mtime()), (0, 0, 0));
            let head = (
                entry.name().to_owned(),
                entry.mode(),
                entry.rdev_major(),
                entry.rdev_minor(),
            );
            let mut content = String::new();
            reader.read_to_string(&mut content).unwrap();
            found.push((head, content));
            rest = reader.finish().unwrap();
        }
        let seen: Vec<_> = found
            .iter()
            .map(|((name, mode, ..), content)| (name.as_str(), *mode, content.as_str()))
            .collect();
        assert_eq!(
            seen,
            [
                ("bin", 0o040_755, ""),
                ("bin/guest-agent", 0o100_755, "program"),
                ("dev", 0o040_755, ""),
                ("dev/console", 0o020_600, ""),
                ("init", 0o120_777, "bin/guest-agent"),
                ("root", 0o040_700, ""),
                ("root/.ssh", 0o040_755, ""),
                ("root/.ssh/authorized_keys", 0o100_600, "key"),
            ]
        );
        let console = &found[3].0;
        assert_eq!((console.2, console.3), (5, 1));
    }

    #[test]
    fn the_same_content_gives_the_same_bytes() {
        assert_eq!(sample(), sample());
    }
}
