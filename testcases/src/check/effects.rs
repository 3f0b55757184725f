// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an operation changes, if it does what it is asked to.

use super::Walk;
use super::files::Kind;
use crate::model::{Operation, Outcome};
use crate::syntax::Node;
use crate::value::Bytes;

/// An extent of a fragmented file, with the hole behind it.
const STRIDE: u64 = 8192;
const BLOCK: u64 = 4096;

impl Walk<'_> {
    /// Takes in what an operation changes; `args` is what stands behind its word.
    pub(super) fn take_in(&mut self, operation: &Operation, args: &Node, outcome: &Outcome) {
        // A command may do much before it fails.
        if let Operation::Run(run) = operation {
            self.files.disturb(&run.command);
        }
        if !outcome.is_success() {
            return;
        }
        let said = |key: &str| args.at(key).handle.clone();
        let files = &mut self.files;
        let mut make = |path, kind, size, key: &str, size_key: &str| {
            if !files.exists(path) {
                files.make(path, kind, size, (said(key), said(size_key)));
            }
        };
        match operation {
            Operation::WriteFile(write) => make(&write.file, Kind::File, Some(write.size), "file", "size"),
            Operation::Create { file } => make(file, Kind::File, Some(Bytes(0)), "file", "file"),
            Operation::Fragment(fragment) => {
                let size = u64::from(fragment.extents.saturating_sub(1)) * STRIDE + BLOCK;
                make(&fragment.file, Kind::File, Some(Bytes(size)), "file", "extents");
            }
            Operation::Mkdir { directory } => {
                make(directory, Kind::Directory, None, "directory", "directory");
            }
            Operation::Symlink { at, .. } => make(at, Kind::Symlink, None, "at", "at"),
            Operation::Reflink(names) => {
                let known = files.known(&names.from);
                let size_span = known
                    .as_ref()
                    .map_or(said("from"), |known| known.size_span.clone());
                let size = known.and_then(|known| known.size);
                if !files.exists(&names.to) {
                    files.make(&names.to, Kind::File, size, (said("to"), size_span));
                }
            }
            Operation::Write(write) => {
                let end = write.offset.checked_add(write.length);
                files.grow(&write.file, end, &args.handle);
            }
            Operation::ReflinkRange(ranges) | Operation::Copy(ranges) => {
                files.grow(&ranges.to, ranges.at.checked_add(ranges.length), &args.handle);
            }
            Operation::Allocate(part) if !part.keep_size => {
                files.grow(&part.file, part.offset.checked_add(part.length), &args.handle);
            }
            Operation::Zero(part) => {
                files.grow(&part.file, part.offset.checked_add(part.length), &args.handle);
            }
            Operation::Truncate(truncate) => files.resize(&truncate.file, Some(truncate.size), said("size")),
            Operation::Collapse(part) => {
                let size = files.known(&part.file).and_then(|known| known.size);
                let size = size.and_then(|size| size.get().checked_sub(part.length.get()));
                files.resize(&part.file, size.map(Bytes), args.handle.clone());
            }
            Operation::Insert(part) => {
                let size = files.known(&part.file).and_then(|known| known.size);
                let size = size.and_then(|size| size.checked_add(part.length));
                files.resize(&part.file, size, args.handle.clone());
            }
            Operation::Link(names) => files.link(&names.from, &names.to, said("to")),
            Operation::Rename(names) if !names.to.is_below(&names.from) => {
                files.rename(&names.from, &names.to, &said("from"), &said("to"));
            }
            Operation::Unlink { file } => files.unlink(file, said("file")),
            Operation::Rmdir { directory } if files.child_of(directory).is_none() => {
                files.unlink(directory, said("directory"));
            }
            Operation::Open { file } => files.open(file, said("file"), &mut self.found),
            Operation::Close { file } => files.close(file, said("file"), &mut self.found),
            Operation::Unmap { victim, map } => {
                self.victims.unmap(victim, *map, said("map"), &mut self.found);
            }
            _ => {}
        }
    }
}
