// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether an operation can be done, or tried, where it stands.

use std::ops::Range;

use super::Walk;
use super::files::Known;
use crate::diagnostic::Diagnostic;
use crate::model::{
    Advice, AdviseSpec, Effect, Exchange, FileKind, FileOperation, FileRange, InMapping, Mapped, MappingKind,
    Operation, Outcome, Place, PolicySpec, RangeToRange, ReadRange, StoreSpec, Sync, SystemOperation,
    VictimOperation, VictimPlace, WriteRange, WriteSource, Writes,
};
use crate::syntax::Node;
use crate::value::{Bytes, Errno, FilePath, VictimName};

impl Walk<'_> {
    /// Checks an operation that stands behind `word` in `node`, and takes in what it changes.
    pub(super) fn operation(&mut self, operation: &Operation, word: &str, node: &Node, outcome: &Outcome) {
        let args = node.at(word);
        let key = node.key(word);
        let facts = operation.facts();
        if facts.needs_mount {
            self.needs_mount(key.clone());
        }
        match operation {
            Operation::File(operation) => self.file_operation(operation, args, outcome),
            Operation::Mount(operation) => self.mounting(operation, key.clone(), outcome),
            Operation::System(operation) => self.system_operation(operation),
            Operation::Victim(operation) => self.victim_operation(operation, args, outcome),
        }
        self.new_names(&facts.effect, args);
        match facts.writes {
            Writes::Nothing => {}
            Writes::Filesystem => self.needs_thaw(key),
            Writes::Mapping(at) => {
                let span = Self::said_of(at, args).at("victim").handle.clone();
                self.stores_to_file(at.victim, at.place, span);
            }
        }
        if outcome.is_success() {
            self.take_in(&facts.effect, args);
        }
    }

    /// Where a case says of which victim and at which place.
    pub(super) fn said_of<'n>(at: InMapping, args: &'n Node) -> &'n Node {
        at.key.map_or(args, |key| args.at(key))
    }

    /// A name that is made must be free, even if making it is expected to fail. What has the new name of something that is
    /// moved is replaced.
    fn new_names(&mut self, effect: &Effect, args: &Node) {
        match effect {
            Effect::Makes { name, .. } | Effect::Links { to: name, .. } => {
                let span = &args.at(name.key).handle;
                self.files.is_new(name.path, span, &mut self.found);
            }
            Effect::Moves { from, to } => {
                let span = &args.at(to.key).handle;
                self.files.has_parent(to.path, span, &mut self.found);
                if to.path.is_below(from.path) {
                    self.found.push(
                        Diagnostic::new(format!("`{}` cannot be moved into itself", from.path))
                            .at(span.clone(), "below it")
                            .help("name another directory"),
                    );
                }
            }
            Effect::Nothing
            | Effect::Removes(_)
            | Effect::Opens(_)
            | Effect::Closes(_)
            | Effect::Resizes { .. }
            | Effect::Exchanges { .. } => {}
        }
    }

    fn file_operation(&mut self, operation: &FileOperation, args: &Node, outcome: &Outcome) {
        match operation {
            FileOperation::WriteFile(write) => self.some_bytes(write.size, args),
            FileOperation::Write(write) => self.write(write, args, outcome),
            FileOperation::Read(read) => self.read(read, args, outcome),
            FileOperation::Rmdir { directory } => {
                self.empty_directory(directory, args.at("directory"), outcome);
            }
            FileOperation::List { directory } => {
                if let Some(directory) = directory {
                    self.of_kind(directory, args.at("directory"), FileKind::Directory, outcome);
                }
            }
            FileOperation::Readlink { file } => {
                self.of_kind(file, args.at("file"), FileKind::Symlink, outcome);
            }
            FileOperation::Unlink { file }
            | FileOperation::Stat { file }
            | FileOperation::Sync(Sync::File(file) | Sync::Data(file)) => {
                self.uses(file, args.at("file"), outcome);
            }
            FileOperation::Open { file } => {
                self.of_kind(file, args.at("file"), FileKind::File, outcome);
            }
            FileOperation::Truncate(truncate) => {
                self.of_kind(&truncate.file, args.at("file"), FileKind::File, outcome);
            }
            FileOperation::SetXattr(xattr) => {
                self.uses(&xattr.file, args.at("file"), outcome);
                self.attribute_fits(xattr.size, args.at("size"), outcome);
            }
            FileOperation::GetXattr(xattr) | FileOperation::RemoveXattr(xattr) => {
                self.uses(&xattr.file, args.at("file"), outcome);
            }
            FileOperation::SetFlags(flags) => {
                self.uses(&flags.file, args.at("file"), outcome);
            }
            FileOperation::Rename(names) | FileOperation::Link(names) | FileOperation::Reflink(names) => {
                self.uses(&names.from, args.at("from"), outcome);
            }
            FileOperation::ReflinkRange(ranges) | FileOperation::Copy(ranges) => {
                self.source_range(ranges, args, outcome);
                self.of_kind(&ranges.to, args.at("to"), FileKind::File, outcome);
            }
            FileOperation::Dedupe(ranges) => {
                self.source_range(ranges, args, outcome);
                let length = Some((ranges.length, args.at("length")));
                self.inside(&ranges.to, args.at("to"), ranges.at, length, args.at("at"));
            }
            FileOperation::Exchange(Exchange { file, with }) => {
                self.of_kind(file, args.at("file"), FileKind::File, outcome);
                self.of_kind(with, args.at("with"), FileKind::File, outcome);
            }
            FileOperation::Allocate(part) => {
                self.of_kind(&part.file, args.at("file"), FileKind::File, outcome);
                self.not_empty(part.length, args.at("length"));
            }
            FileOperation::Punch(part) | FileOperation::Zero(part) => {
                self.of_kind(&part.file, args.at("file"), FileKind::File, outcome);
                self.not_empty(part.length, args.at("length"));
            }
            FileOperation::Collapse(part) | FileOperation::Insert(part) | FileOperation::Unshare(part) => {
                self.part_of(part, args, outcome);
            }
            // Whether the names that they make are free is seen from their facts.
            FileOperation::Create { .. }
            | FileOperation::Mkdir { .. }
            | FileOperation::Symlink { .. }
            | FileOperation::Fragment(_)
            // What is open is known by the name under which it was opened, even if that is gone.
            | FileOperation::Close { .. }
            | FileOperation::Sync(Sync::Filesystem) => {}
        }
    }

    fn system_operation(&mut self, operation: &SystemOperation) {
        match operation {
            // A command may do much before it fails.
            SystemOperation::Run(run) => self.files.disturb(&run.command),
            SystemOperation::DropCaches | SystemOperation::Sysctl { .. } | SystemOperation::Set(_) => {}
        }
    }

    fn victim_operation(&mut self, operation: &VictimOperation, args: &Node, outcome: &Outcome) {
        match operation {
            VictimOperation::Touch(at) => {
                self.access(at, args);
                self.victims.accesses(&at.victim, at.place, Bytes(1));
            }
            VictimOperation::Store(store) => self.store(store, args),
            VictimOperation::Unmap { victim, map } => {
                self.mapping_of(victim, *map, args);
                if outcome.is_success() {
                    let span = args.at("map").handle.clone();
                    self.victims.unmap(victim, *map, span, &mut self.found);
                }
            }
            VictimOperation::Policy(policy) => self.policy(policy, args),
            VictimOperation::Advise(advise) => self.advise(advise, args),
        }
    }

    /// A file that is used; that it is not there may be just what is expected.
    pub(super) fn uses(&mut self, file: &FilePath, node: &Node, outcome: &Outcome) -> Option<Known> {
        if !self.files.exists(file) && *outcome == Outcome::Fails(Errno::ENOENT) {
            return None;
        }
        self.files.used(file, node, &mut self.found)
    }

    /// The same, of something that has to be of one kind to succeed.
    fn of_kind(&mut self, file: &FilePath, node: &Node, kind: FileKind, outcome: &Outcome) {
        let Some(known) = self.uses(file, node, outcome) else {
            return;
        };
        // What is done to a link is done to what it leads to.
        let fits = known.kind == kind || (known.kind == FileKind::Symlink && kind != FileKind::Symlink);
        if !fits && outcome.is_success() {
            self.found.push(
                Diagnostic::new(format!("`{file}` is {}", known.kind.called()))
                    .at(node.handle.clone(), format!("needs {}", kind.called()))
                    .help("name another, or say the error that comes of it"),
            );
        }
    }

    fn some_bytes(&mut self, size: Bytes, args: &Node) {
        if size.get() == 0 {
            self.found.push(
                Diagnostic::new("a file of no bytes has no block that could be hit")
                    .at(args.at("size").handle.clone(), "no bytes")
                    .help("give it at least one byte, or make it with `create`"),
            );
        }
    }

    fn write(&mut self, write: &WriteRange, args: &Node, outcome: &Outcome) {
        // A write may go beyond the end.
        self.of_kind(&write.file, args.at("file"), FileKind::File, outcome);
        self.not_empty(write.length, args.at("length"));
        if let WriteSource::Mapping(at) = &write.source {
            self.buffer(at, args.at("from"), (write.length, args.at("length")));
        }
    }

    fn read(&mut self, read: &ReadRange, args: &Node, outcome: &Outcome) {
        let known = self.files.known(&read.file);
        if known.as_ref().is_some_and(|known| known.kind != FileKind::File) {
            self.of_kind(&read.file, args.at("file"), FileKind::File, outcome);
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
        self.of_kind(directory, node, FileKind::Directory, outcome);
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
        if let Advice::PopulateRead | Advice::PopulateWrite = advise.advice {
            self.victims.accesses(&advise.victim, advise.place, advise.length);
        }
    }
}
