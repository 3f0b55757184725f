// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether an operation can be done, or tried, where it stands.

use std::ops::Range;

use super::Walk;
use super::files::{Kind, Known};
use crate::diagnostic::Diagnostic;
use crate::model::{
    Advice, AdviseSpec, FileRange, FromTo, Mapped, MappingKind, Operation, Outcome, Place, PolicySpec,
    RangeToRange, ReadRange, StoreSpec, Sync, VictimPlace, WriteFile, WriteRange, WriteSource,
};
use crate::syntax::Node;
use crate::value::{Bytes, Errno, FilePath, VictimName};

impl Walk<'_> {
    /// Checks an operation that stands behind `word` in `node`, and takes in what it changes.
    pub(super) fn operation(&mut self, operation: &Operation, word: &str, node: &Node, outcome: &Outcome) {
        let args = node.at(word);
        let key = node.key(word);
        if needs_mount(operation) {
            self.needs_mount(key.clone());
        }
        if changes(operation) {
            self.needs_thaw(key.clone());
        }
        match operation {
            Operation::WriteFile(write) => self.new_file(write, args),
            Operation::Write(write) => self.write(write, args, outcome),
            Operation::Read(read) => self.read(read, args, outcome),
            Operation::Create { file } => self.new_name(file, args.at("file")),
            Operation::Mkdir { directory } => self.new_name(directory, args.at("directory")),
            Operation::Symlink { at, .. } => self.new_name(at, args.at("at")),
            Operation::Fragment(fragment) => self.new_name(&fragment.file, args.at("file")),
            Operation::Rmdir { directory } => self.empty_directory(directory, args.at("directory"), outcome),
            Operation::List { directory } => {
                if let Some(directory) = directory {
                    self.of_kind(directory, args.at("directory"), Kind::Directory, outcome);
                }
            }
            Operation::Readlink { file } => {
                self.of_kind(file, args.at("file"), Kind::Symlink, outcome);
            }
            Operation::Unlink { file }
            | Operation::Stat { file }
            | Operation::Sync(Sync::File(file) | Sync::Data(file)) => {
                self.uses(file, args.at("file"), outcome);
            }
            Operation::Open { file } => {
                self.of_kind(file, args.at("file"), Kind::File, outcome);
            }
            Operation::Truncate(truncate) => {
                self.of_kind(&truncate.file, args.at("file"), Kind::File, outcome);
            }
            Operation::SetXattr(xattr) => {
                self.uses(&xattr.file, args.at("file"), outcome);
                self.attribute_fits(xattr.size, args.at("size"), outcome);
            }
            Operation::GetXattr(xattr) | Operation::RemoveXattr(xattr) => {
                self.uses(&xattr.file, args.at("file"), outcome);
            }
            Operation::SetFlags(flags) => {
                self.uses(&flags.file, args.at("file"), outcome);
            }
            Operation::Rename(names) => self.rename(names, args, outcome),
            Operation::Link(names) | Operation::Reflink(names) => {
                self.uses(&names.from, args.at("from"), outcome);
                self.new_name(&names.to, args.at("to"));
            }
            Operation::ReflinkRange(ranges) | Operation::Copy(ranges) => {
                self.source_range(ranges, args, outcome);
                self.of_kind(&ranges.to, args.at("to"), Kind::File, outcome);
            }
            Operation::Dedupe(ranges) => {
                self.source_range(ranges, args, outcome);
                let length = Some((ranges.length, args.at("length")));
                self.inside(&ranges.to, args.at("to"), ranges.at, length, args.at("at"));
            }
            Operation::Allocate(part) => {
                self.of_kind(&part.file, args.at("file"), Kind::File, outcome);
                self.not_empty(part.length, args.at("length"));
            }
            Operation::Punch(part) | Operation::Zero(part) => {
                self.of_kind(&part.file, args.at("file"), Kind::File, outcome);
                self.not_empty(part.length, args.at("length"));
            }
            Operation::Collapse(part) | Operation::Insert(part) | Operation::Unshare(part) => {
                self.part_of(part, args, outcome);
            }
            Operation::Touch(at) => {
                self.access(at, args);
                self.victims.accesses(&at.victim, at.place, Bytes(1));
            }
            Operation::Store(store) => self.store(store, args),
            Operation::Unmap { victim, map } => {
                self.mapping_of(victim, *map, args);
            }
            Operation::Policy(policy) => self.policy(policy, args),
            Operation::Advise(advise) => self.advise(advise, args),
            Operation::Mount(_)
            | Operation::Unmount
            | Operation::Freeze
            | Operation::Thaw
            | Operation::Repair => self.mounting(operation, key.clone(), outcome),
            Operation::Sync(Sync::Filesystem)
            | Operation::Remount { .. }
            | Operation::Shutdown { .. }
            | Operation::DropCaches
            | Operation::Run(_)
            | Operation::Sysctl { .. }
            | Operation::Set(_)
            // What is open is known by the name under which it was opened, even if that is gone.
            | Operation::Close { .. } => {}
        }
        self.take_in(operation, args, outcome);
    }

    /// A file that is used; that it is not there may be just what is expected.
    pub(super) fn uses(&mut self, file: &FilePath, node: &Node, outcome: &Outcome) -> Option<Known> {
        if !self.files.exists(file) && *outcome == Outcome::Fails(Errno::ENOENT) {
            return None;
        }
        self.files.used(file, node, &mut self.found)
    }

    /// The same, of something that has to be of one kind to succeed.
    fn of_kind(&mut self, file: &FilePath, node: &Node, kind: Kind, outcome: &Outcome) {
        let Some(known) = self.uses(file, node, outcome) else {
            return;
        };
        // What is done to a link is done to what it leads to.
        let fits = known.kind == kind || (known.kind == Kind::Symlink && kind != Kind::Symlink);
        if !fits && outcome.is_success() {
            self.found.push(
                Diagnostic::new(format!("`{file}` is {}", known.kind.called()))
                    .at(node.handle.clone(), format!("needs {}", kind.called()))
                    .help("name another, or say the error that comes of it"),
            );
        }
    }

    /// A name that is made must be free, even if making it is expected to fail.
    fn new_name(&mut self, path: &FilePath, node: &Node) {
        self.files.is_new(path, &node.handle, &mut self.found);
    }

    fn new_file(&mut self, write: &WriteFile, args: &Node) {
        if write.size.get() == 0 {
            self.found.push(
                Diagnostic::new("a file of no bytes has no block that could be hit")
                    .at(args.at("size").handle.clone(), "no bytes")
                    .help("give it at least one byte, or make it with `create`"),
            );
        }
        self.new_name(&write.file, args.at("file"));
    }

    fn write(&mut self, write: &WriteRange, args: &Node, outcome: &Outcome) {
        // A write may go beyond the end.
        self.of_kind(&write.file, args.at("file"), Kind::File, outcome);
        self.not_empty(write.length, args.at("length"));
        if let WriteSource::Mapping(at) = &write.source {
            self.buffer(at, args.at("from"), (write.length, args.at("length")));
        }
    }

    fn read(&mut self, read: &ReadRange, args: &Node, outcome: &Outcome) {
        let known = self.files.known(&read.file);
        if known.as_ref().is_some_and(|known| known.kind != Kind::File) {
            self.of_kind(&read.file, args.at("file"), Kind::File, outcome);
        } else if known.is_some() || *outcome != Outcome::Fails(Errno::ENOENT) {
            let offset = args.entry("offset").map_or(args.at("file"), |entry| &entry.value);
            let length = args.entry("length").map_or(offset, |entry| &entry.value);
            self.inside(
                &read.file,
                args.at("file"),
                read.offset,
                Some((read.length, length)),
                offset,
            );
        }
        if let Some(at) = &read.into {
            self.buffer(at, args.at("into"), (read.length, args.at("length")));
            self.writable(&at.victim, at.place, args.at("into"));
            self.stores_to_file(&at.victim, at.place, args.at("into").at("victim").handle.clone());
        }
    }

    /// A part of a victim's mapping is the buffer of a call.
    fn buffer(&mut self, at: &VictimPlace, node: &Node, length: (Bytes, &Node)) {
        let span = node.at("victim").handle.clone();
        if self.victims.running(&at.victim, span, &mut self.found).is_some() {
            let places = (node.at("at"), node.at("map"));
            self.in_mapping(&at.victim, node.at("victim"), at.place, places, Some(length));
            self.victims.accesses(&at.victim, at.place, length.0);
        }
    }

    fn empty_directory(&mut self, directory: &FilePath, node: &Node, outcome: &Outcome) {
        self.of_kind(directory, node, Kind::Directory, outcome);
        if outcome.is_success()
            && let Some((child, made)) = self.files.child_of(directory)
        {
            self.found.push(
                Diagnostic::new(format!("`{directory}` is not empty: it has `{child}`"))
                    .at(node.handle.clone(), "would fail with ENOTEMPTY")
                    .see(made.clone(), format!("`{child}` is made here"))
                    .help(format!("take it away first: `- unlink: {{ file: {child} }}`")),
            );
        }
    }

    fn rename(&mut self, names: &FromTo, args: &Node, outcome: &Outcome) {
        self.uses(&names.from, args.at("from"), outcome);
        self.files
            .has_parent(&names.to, &args.at("to").handle, &mut self.found);
        if names.to.is_below(&names.from) {
            self.found.push(
                Diagnostic::new(format!("`{}` cannot be moved into itself", names.from))
                    .at(args.at("to").handle.clone(), "below it")
                    .help("name another directory"),
            );
        }
    }

    fn source_range(&mut self, ranges: &RangeToRange, args: &Node, outcome: &Outcome) {
        if self.files.exists(&ranges.from) || *outcome != Outcome::Fails(Errno::ENOENT) {
            let length = Some((ranges.length, args.at("length")));
            self.inside(
                &ranges.from,
                args.at("from"),
                ranges.offset,
                length,
                args.at("offset"),
            );
        }
    }

    fn part_of(&mut self, part: &FileRange, args: &Node, outcome: &Outcome) {
        if self.files.exists(&part.file) || *outcome != Outcome::Fails(Errno::ENOENT) {
            let length = Some((part.length, args.at("length")));
            self.inside(
                &part.file,
                args.at("file"),
                part.offset,
                length,
                args.at("offset"),
            );
        }
    }

    fn attribute_fits(&mut self, size: Bytes, node: &Node, outcome: &Outcome) {
        // XATTR_SIZE_MAX, include/uapi/linux/limits.h.
        const LARGEST: u64 = 65_536;
        if size.get() > LARGEST && outcome.is_success() {
            self.found.push(
                Diagnostic::new(format!("no attribute has {size}"))
                    .at(node.handle.clone(), "would fail with E2BIG")
                    .help("64KiB is the most"),
            );
        }
    }

    fn access(&mut self, at: &VictimPlace, args: &Node) {
        let span = args.at("victim").handle.clone();
        if self.victims.running(&at.victim, span, &mut self.found).is_none() {
            return;
        }
        let places = (args.at("at"), args.at("map"));
        self.in_mapping(&at.victim, args.at("victim"), at.place, places, None);
        let span = args.at("map").handle.clone();
        self.victims
            .has_mapping(&at.victim, at.place.map, span, &mut self.found);
    }

    fn store(&mut self, store: &StoreSpec, args: &Node) {
        let at = VictimPlace {
            victim: store.victim.clone(),
            place: store.place,
        };
        self.access(&at, args);
        self.writable(&store.victim, store.place, args);
        self.stores_to_file(&store.victim, store.place, args.at("victim").handle.clone());
        self.victims.accesses(&store.victim, store.place, Bytes(1));
    }

    /// A store to a shared mapping of a file waits while the filesystem is frozen: freezing it has cleaned and
    /// write-protected every page, so that the store faults and xfs_filemap_page_mkwrite() or its DAX siblings call
    /// sb_start_pagefault(). One to a private mapping makes a copy, and asks nobody.
    pub(super) fn stores_to_file(&mut self, name: &VictimName, place: Place, span: Range<usize>) {
        // Whether there is such a victim, with such a mapping, is said elsewhere.
        let known = self.victims.known(name, span.clone(), &mut Vec::new());
        let index = usize::try_from(place.map).unwrap_or(usize::MAX);
        let mapping = known.and_then(|victim| victim.spec.maps.get(index));
        let waits = mapping.is_some_and(|mapping| {
            matches!(mapping.of, Mapped::File(_)) && mapping.mapping != MappingKind::Private
        });
        if waits {
            self.needs_thaw(span);
        }
    }

    /// A victim writes to its mapping, which it must be allowed to.
    fn writable(&mut self, name: &VictimName, place: Place, node: &Node) {
        // Whether there is such a victim is said elsewhere.
        let known = self
            .victims
            .known(name, node.at("victim").handle.clone(), &mut Vec::new());
        if let Some(victim) = known.filter(|victim| !victim.may_write(place.map)) {
            self.found.push(
                Diagnostic::new(format!("`{name}` may not write to this mapping"))
                    .at(node.at("victim").handle.clone(), "would be written to")
                    .see(victim.made.clone(), format!("`{name}` is started here"))
                    .help("add `access: write` where the victim is started"),
            );
        }
    }

    fn mapping_of(&mut self, name: &VictimName, map: u32, args: &Node) {
        let span = args.at("victim").handle.clone();
        if self.victims.running(name, span, &mut self.found).is_some() {
            let place = Place { map, at: Bytes(0) };
            let node = args.at("map");
            self.in_mapping(name, args.at("victim"), place, (node, node), None);
        }
    }

    fn policy(&mut self, policy: &PolicySpec, args: &Node) {
        let span = args.at("victim").handle.clone();
        let Some(victim) = self.victims.running(&policy.victim, span, &mut self.found) else {
            return;
        };
        if let Some(thread) = policy.thread.as_ref().filter(|thread| !victim.has_thread(thread)) {
            let diagnostic = super::expectations::no_thread(victim, thread, args.at("thread"));
            self.found.push(diagnostic);
        }
    }

    fn advise(&mut self, advise: &AdviseSpec, args: &Node) {
        let at = VictimPlace {
            victim: advise.victim.clone(),
            place: advise.place,
        };
        self.access(&at, args);
        self.not_empty(advise.length, args.at("length"));
        match advise.advice {
            // MADV_REMOVE punches a hole, which waits like any other.
            Advice::PopulateWrite | Advice::Remove => {
                let span = args.at("victim").handle.clone();
                self.stores_to_file(&advise.victim, advise.place, span);
            }
            Advice::PopulateRead
            | Advice::Willneed
            | Advice::Dontneed
            | Advice::Dontfork
            | Advice::Hugepage
            | Advice::Nohugepage
            | Advice::Cold
            | Advice::Pageout => {}
        }
        if let Advice::PopulateRead | Advice::PopulateWrite = advise.advice {
            self.victims.accesses(&advise.victim, advise.place, advise.length);
        }
    }
}

/// Whether an operation needs the filesystem mounted.
fn needs_mount(operation: &Operation) -> bool {
    !matches!(
        operation,
        Operation::Mount(_)
            | Operation::Unmount
            | Operation::Repair
            | Operation::DropCaches
            | Operation::Run(_)
            | Operation::Sysctl { .. }
            | Operation::Set(_)
            | Operation::Policy(_)
            | Operation::Close { .. }
            | Operation::Unmap { .. }
            | Operation::Touch(_)
            | Operation::Store(_)
            | Operation::Advise(_)
    )
}

/// Whether an operation changes the filesystem, and so waits while it is frozen (sb_start_write()).
fn changes(operation: &Operation) -> bool {
    matches!(
        operation,
        Operation::WriteFile(_)
            | Operation::Write(_)
            | Operation::Create { .. }
            | Operation::Mkdir { .. }
            | Operation::Rmdir { .. }
            | Operation::Symlink { .. }
            | Operation::Rename(_)
            | Operation::Link(_)
            | Operation::Unlink { .. }
            | Operation::Reflink(_)
            | Operation::ReflinkRange(_)
            | Operation::Dedupe(_)
            | Operation::Copy(_)
            | Operation::Allocate(_)
            | Operation::Punch(_)
            | Operation::Zero(_)
            | Operation::Collapse(_)
            | Operation::Insert(_)
            | Operation::Unshare(_)
            | Operation::Truncate(_)
            | Operation::Fragment(_)
            | Operation::SetXattr(_)
            | Operation::RemoveXattr(_)
            | Operation::SetFlags(_)
    )
}
