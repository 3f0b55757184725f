// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the harness knows of the case's files without asking the guest: their names, and which inodes those are.
//!
//! A file that nobody has touched since the mount is not in core, and some cases are about just that. So its inode's number is
//! learned before it can be forgotten by the kernel, and what is known of it is not asked again.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use testcases::{Effect, FileKind, FilePath, OperationFacts};

/// Something that has a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Named {
    /// What it is.
    pub(super) kind: FileKind,
    /// Its inode's number, once that has been asked.
    pub(super) inode: Option<u64>,
}

/// The names that the case has made.
#[derive(Debug, Default)]
pub(super) struct Names {
    known: BTreeMap<String, Named>,
    /// Those that an operation has looked up since the latest mount.
    touched: BTreeSet<String>,
    /// Those that a victim has mapped since then.
    mapped: BTreeSet<String>,
    /// The parts of the character device that victims have mapped.
    device: Vec<Range<u64>>,
}

impl Names {
    pub(super) fn get(&self, path: &str) -> Option<Named> {
        self.known.get(path).copied()
    }

    /// All of them, in order.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, Named)> {
        self.known.iter().map(|(path, named)| (path.as_str(), *named))
    }

    /// Those whose inodes' numbers are not known yet.
    pub(super) fn without_number(&self) -> Vec<String> {
        let unknown = self.known.iter().filter(|(_, named)| named.inode.is_none());
        unknown.map(|(path, _)| path.clone()).collect()
    }

    pub(super) fn number(&mut self, path: &str, inode: u64) {
        if let Some(named) = self.known.get_mut(path) {
            named.inode = Some(inode);
        }
    }

    /// Has no operation looked the name up since the latest mount?
    pub(super) fn is_untouched(&self, path: &str) -> bool {
        !self.touched.contains(path)
    }

    /// Something looks this name up.
    pub(super) fn touch(&mut self, path: &str) {
        self.touched.insert(path.to_owned());
    }

    /// A victim maps it.
    pub(super) fn map(&mut self, path: &str) {
        self.touch(path);
        self.mapped.insert(path.to_owned());
    }

    /// Has any victim mapped it since the latest mount?
    pub(super) fn was_mapped(&self, path: &str) -> bool {
        self.mapped.contains(path)
    }

    /// A victim maps this part of the character device.
    pub(super) fn map_device(&mut self, part: Range<u64>) {
        self.device.push(part);
    }

    /// Has any victim mapped something of this part of the character device?
    pub(super) fn was_device_mapped(&self, part: &Range<u64>) -> bool {
        let overlaps = |mapped: &Range<u64>| mapped.start < part.end && part.start < mapped.end;
        self.device.iter().any(overlaps)
    }

    /// The filesystem has just been mounted: nothing of it is in core.
    pub(super) fn mounted(&mut self) {
        self.touched.clear();
        self.mapped.clear();
    }

    /// An operation is about to be done: it looks names up.
    pub(super) fn begin(&mut self, facts: &OperationFacts) {
        for path in facts.paths() {
            self.touched.insert(path.as_str().to_owned());
        }
    }

    /// An operation has succeeded.
    pub(super) fn done(&mut self, effect: &Effect) {
        match effect {
            Effect::Makes { name, kind, .. } => self.make(name.path, *kind),
            Effect::Links { from, to } => {
                if let Some(named) = self.get(from.as_str()) {
                    self.known.insert(to.path.as_str().to_owned(), named);
                }
            }
            Effect::Moves { from, to } => self.rename(from.path, to.path),
            Effect::Removes(name) => self.forget(name.path),
            // Files that exchange what they hold keep their inodes.
            Effect::Nothing
            | Effect::Opens(_)
            | Effect::Closes(_)
            | Effect::Resizes { .. }
            | Effect::Exchanges { .. } => {}
        }
    }

    fn make(&mut self, path: &FilePath, kind: FileKind) {
        let named = Named { kind, inode: None };
        self.known.insert(path.as_str().to_owned(), named);
    }

    fn forget(&mut self, path: &FilePath) {
        self.known.remove(path.as_str());
    }

    /// With a directory everything below it moves.
    fn rename(&mut self, from: &FilePath, to: &FilePath) {
        let moved: Vec<(String, String)> = self
            .known
            .keys()
            .filter_map(|path| Some((path.clone(), path.parse::<FilePath>().ok()?.moved(from, to)?)))
            .map(|(old, new)| (old, new.as_str().to_owned()))
            .collect();
        for (old, new) in moved {
            if let Some(named) = self.known.remove(&old) {
                self.known.insert(new.clone(), named);
            }
            for set in [&mut self.touched, &mut self.mapped] {
                if set.remove(&old) {
                    set.insert(new.clone());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testcases::{FileOperation, FromTo, Operation};

    fn path(text: &str) -> FilePath {
        text.parse().unwrap()
    }

    fn pair(from: &str, to: &str) -> FromTo {
        FromTo {
            from: path(from),
            to: path(to),
        }
    }

    fn names() -> Names {
        let mut names = Names::default();
        names.done(
            &Operation::File(FileOperation::Mkdir { directory: path("d") })
                .facts()
                .effect,
        );
        for file in ["d/a", "da", "b"] {
            let operation = Operation::File(FileOperation::Create { file: path(file) });
            names.begin(&operation.facts());
            names.done(&operation.facts().effect);
        }
        names.number("d/a", 131);
        names
    }

    #[test]
    fn a_directory_takes_with_it_what_is_in_it() {
        let mut names = names();
        names.done(
            &Operation::File(FileOperation::Rename(pair("d", "e")))
                .facts()
                .effect,
        );
        assert_eq!(names.get("d/a"), None);
        assert_eq!(names.get("e/a").and_then(|named| named.inode), Some(131));
        assert!(names.get("da").is_some(), "a name that only begins alike stays");
        assert!(!names.is_untouched("e/a"));
    }

    #[test]
    fn a_second_name_is_the_same_inode_and_a_new_file_is_not() {
        let mut names = names();
        names.done(
            &Operation::File(FileOperation::Link(pair("d/a", "c")))
                .facts()
                .effect,
        );
        assert_eq!(names.get("c").and_then(|named| named.inode), Some(131));
        names.done(
            &Operation::File(FileOperation::Unlink { file: path("d/a") })
                .facts()
                .effect,
        );
        assert_eq!(names.get("d/a"), None);
        names.done(
            &Operation::File(FileOperation::Create { file: path("d/a") })
                .facts()
                .effect,
        );
        assert_eq!(names.get("d/a").and_then(|named| named.inode), None);
        assert_eq!(names.without_number(), ["b", "d", "d/a", "da"]);
    }

    #[test]
    fn a_part_of_a_device_was_mapped_by_whoever_mapped_some_of_it() {
        let mut names = Names::default();
        names.map_device(0x20_0000..0x60_0000);
        assert!(names.was_device_mapped(&(0x40_0000..0x60_0000)));
        assert!(!names.was_device_mapped(&(0..0x20_0000)));
        assert!(!names.was_device_mapped(&(0x60_0000..0x80_0000)));
    }

    #[test]
    fn a_mount_forgets_who_was_looked_up() {
        let mut names = names();
        assert!(!names.is_untouched("b"));
        names.mounted();
        assert!(names.is_untouched("b"));
        names.begin(&Operation::File(FileOperation::Stat { file: path("b") }).facts());
        assert!(!names.is_untouched("b"));
    }
}
