// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table of all operations on files: what is known of each.

use super::{FileOperation, text};
use crate::model::operation::{
    DataAccess, Effect, FileKind, InMapping, Named, NewSize, OperationFacts, SizeChange, Verb, Writes,
};
use crate::model::{
    Allocate, Exchange, FileRange, Fragment, FromTo, Place, SetXattr, Sync, Truncate, VictimPlace, WriteFile,
    WriteSource, XattrOf,
};
use crate::value::{Bytes, FilePath};

impl FileOperation {
    /// What is known of it.
    pub(in crate::model::operation) fn facts(&self) -> OperationFacts<'_> {
        match self {
            Self::WriteFile(WriteFile { file, size, fill }) => OperationFacts {
                word: "write",
                verb: Verb::new("write", "writing"),
                object: format!("{file} ({size}, filled with {fill})"),
                subject: whole(file),
                needs_mount: true,
                writes: Writes::Filesystem,
                uses: vec![],
                effect: new_file(file, *size, "size"),
                data: DataAccess::None,
            },
            Self::Write(write) => OperationFacts {
                word: "write",
                verb: Verb::new("write", "writing"),
                object: text::write(write),
                subject: part(&write.file, write.offset),
                needs_mount: true,
                writes: Writes::Filesystem,
                uses: vec![],
                effect: reaches(&write.file, write.offset, write.length),
                data: DataAccess::Part {
                    file: &write.file,
                    offset: write.offset,
                    length: write.length,
                    buffer: match &write.source {
                        WriteSource::Fill(_) => None,
                        WriteSource::Mapping(at) => Some(behind("from", at)),
                    },
                },
            },
            Self::Read(read) => OperationFacts {
                word: "read",
                verb: Verb::new("read", "reading"),
                object: text::read(read),
                subject: part(&read.file, read.offset),
                needs_mount: true,
                writes: read
                    .into
                    .as_ref()
                    .map_or(Writes::Nothing, |at| Writes::Mapping(behind("into", at))),
                uses: vec![&read.file],
                effect: Effect::Nothing,
                data: DataAccess::Part {
                    file: &read.file,
                    offset: read.offset,
                    length: read.length,
                    buffer: read.into.as_ref().map(|at| behind("into", at)),
                },
            },
            Self::Create { file } => OperationFacts {
                word: "create",
                verb: Verb::new("create", "creating"),
                object: file.to_string(),
                subject: whole(file),
                needs_mount: true,
                writes: Writes::Filesystem,
                uses: vec![],
                effect: new_file(file, Bytes(0), "file"),
                data: DataAccess::None,
            },
            Self::Mkdir { directory } => OperationFacts {
                word: "mkdir",
                verb: Verb::new("make", "making"),
                object: format!("directory {directory}"),
                subject: whole(directory),
                needs_mount: true,
                writes: Writes::Filesystem,
                uses: vec![],
                effect: Effect::Makes {
                    name: named(directory, "directory"),
                    kind: FileKind::Directory,
                    size: NewSize::None,
                },
                data: DataAccess::None,
            },
            Self::Rmdir { directory } => OperationFacts {
                word: "rmdir",
                verb: Verb::new("remove", "removing"),
                object: format!("directory {directory}"),
                subject: whole(directory),
                needs_mount: true,
                writes: Writes::Filesystem,
                uses: vec![],
                effect: Effect::Removes(named(directory, "directory")),
                data: DataAccess::None,
            },
            Self::List { directory } => OperationFacts {
                word: "list",
                verb: Verb::new("list", "listing"),
                object: directory
                    .as_ref()
                    .map_or("the top directory".to_owned(), ToString::to_string),
                subject: (directory.as_ref().map(ToString::to_string), None),
                needs_mount: true,
                writes: Writes::Nothing,
                uses: directory.iter().collect(),
                effect: Effect::Nothing,
                data: DataAccess::None,
            },
            Self::Symlink { at, to } => OperationFacts {
                word: "symlink",
                verb: Verb::new("make", "making"),
                object: format!("symlink {at} {}", text::target(to)),
                subject: whole(at),
                needs_mount: true,
                writes: Writes::Filesystem,
                uses: vec![],
                effect: Effect::Makes {
                    name: named(at, "at"),
                    kind: FileKind::Symlink,
                    size: NewSize::None,
                },
                data: DataAccess::None,
            },
            Self::Readlink { file } => OperationFacts {
                word: "readlink",
                verb: Verb::new("read", "reading"),
                object: format!("symlink {file}"),
                subject: whole(file),
                needs_mount: true,
                writes: Writes::Nothing,
                uses: vec![file],
                effect: Effect::Nothing,
                data: DataAccess::None,
            },
            Self::Rename(FromTo { from, to }) => OperationFacts {
                word: "rename",
                verb: Verb::new("rename", "renaming"),
                object: format!("{from} to {to}"),
                subject: whole(from),
                needs_mount: true,
                writes: Writes::Filesystem,
                uses: vec![],
                effect: Effect::Moves {
                    from: named(from, "from"),
                    to: named(to, "to"),
                },
                data: DataAccess::None,
            },
            Self::Link(FromTo { from, to }) => OperationFacts {
                word: "link",
                verb: Verb::new("link", "linking"),
                object: format!("{from} to {to}"),
                subject: whole(from),
                needs_mount: true,
                writes: Writes::Filesystem,
                uses: vec![],
                effect: Effect::Links {
                    from,
                    to: named(to, "to"),
                },
                data: DataAccess::None,
            },
            Self::Unlink { file } => OperationFacts {
                word: "unlink",
                verb: Verb::new("unlink", "unlinking"),
                object: file.to_string(),
                subject: whole(file),
                needs_mount: true,
                writes: Writes::Filesystem,
                uses: vec![],
                effect: Effect::Removes(named(file, "file")),
                data: DataAccess::None,
            },
            Self::Reflink(FromTo { from, to }) => OperationFacts {
                word: "reflink",
                verb: Verb::new("reflink", "reflinking"),
                object: format!("{from} to {to}"),
                subject: whole(from),
                needs_mount: true,
                writes: Writes::Filesystem,
                uses: vec![from],
                effect: Effect::Makes {
                    name: named(to, "to"),
                    kind: FileKind::File,
                    size: NewSize::As(from),
                },
                data: DataAccess::None,
            },
            Self::ReflinkRange(ranges) => OperationFacts {
                word: "reflink",
                verb: Verb::new("reflink", "reflinking"),
                object: text::from_to(ranges),
                subject: part(&ranges.from, ranges.offset),
                needs_mount: true,
                writes: Writes::Filesystem,
                uses: vec![&ranges.from],
                effect: reaches(&ranges.to, ranges.at, ranges.length),
                data: DataAccess::None,
            },
            Self::Dedupe(ranges) => OperationFacts {
                word: "dedupe",
                verb: Verb::new("dedupe", "deduping"),
                object: text::from_to(ranges),
                subject: part(&ranges.from, ranges.offset),
                needs_mount: true,
                writes: Writes::Filesystem,
                uses: vec![&ranges.from, &ranges.to],
                effect: Effect::Nothing,
                data: DataAccess::None,
            },
            Self::Copy(ranges) => OperationFacts {
                word: "copy",
                verb: Verb::new("copy", "copying"),
                object: text::from_to(ranges),
                subject: part(&ranges.from, ranges.offset),
                needs_mount: true,
                writes: Writes::Filesystem,
                uses: vec![&ranges.from],
                effect: reaches(&ranges.to, ranges.at, ranges.length),
                data: DataAccess::None,
            },
            Self::Exchange(Exchange { file, with }) => OperationFacts {
                word: "exchange",
                verb: Verb::new("exchange", "exchanging"),
                object: format!("{file} with {with}"),
                subject: whole(file),
                needs_mount: true,
                writes: Writes::Filesystem,
                uses: vec![],
                effect: Effect::Exchanges { file, with },
                data: DataAccess::None,
            },
            Self::Allocate(Allocate {
                file,
                offset,
                length,
                keep_size: false,
            }) => OperationFacts {
                word: "allocate",
                verb: Verb::new("allocate", "allocating"),
                object: text::range(file, *offset, *length),
                subject: part(file, *offset),
                needs_mount: true,
                writes: Writes::Filesystem,
                uses: vec![],
                effect: reaches(file, *offset, *length),
                data: DataAccess::None,
            },
            Self::Allocate(Allocate {
                file,
                offset,
                length,
                keep_size: true,
            }) => OperationFacts {
                word: "allocate",
                verb: Verb::new("allocate", "allocating"),
                object: format!("{}, size kept", text::range(file, *offset, *length)),
                subject: part(file, *offset),
                needs_mount: true,
                writes: Writes::Filesystem,
                uses: vec![file],
                effect: Effect::Nothing,
                data: DataAccess::None,
            },
            Self::Punch(FileRange { file, offset, length }) => OperationFacts {
                word: "punch",
                verb: Verb::new("punch", "punching"),
                object: text::range(file, *offset, *length),
                subject: part(file, *offset),
                needs_mount: true,
                writes: Writes::Filesystem,
                uses: vec![file],
                effect: Effect::Nothing,
                data: DataAccess::None,
            },
            Self::Zero(FileRange { file, offset, length }) => OperationFacts {
                word: "zero",
                verb: Verb::new("zero", "zeroing"),
                object: text::range(file, *offset, *length),
                subject: part(file, *offset),
                needs_mount: true,
                writes: Writes::Filesystem,
                uses: vec![],
                effect: reaches(file, *offset, *length),
                data: DataAccess::None,
            },
            Self::Collapse(FileRange { file, offset, length }) => OperationFacts {
                word: "collapse",
                verb: Verb::new("collapse", "collapsing"),
                object: text::range(file, *offset, *length),
                subject: part(file, *offset),
                needs_mount: true,
                writes: Writes::Filesystem,
                uses: vec![],
                effect: Effect::Resizes {
                    file,
                    size: SizeChange::Less(*length),
                },
                data: DataAccess::None,
            },
            Self::Insert(FileRange { file, offset, length }) => OperationFacts {
                word: "insert",
                verb: Verb::new("insert", "inserting"),
                object: text::range(file, *offset, *length),
                subject: part(file, *offset),
                needs_mount: true,
                writes: Writes::Filesystem,
                uses: vec![],
                effect: Effect::Resizes {
                    file,
                    size: SizeChange::More(*length),
                },
                data: DataAccess::None,
            },
            Self::Unshare(FileRange { file, offset, length }) => OperationFacts {
                word: "unshare",
                verb: Verb::new("unshare", "unsharing"),
                object: text::range(file, *offset, *length),
                subject: part(file, *offset),
                needs_mount: true,
                writes: Writes::Filesystem,
                uses: vec![file],
                effect: Effect::Nothing,
                data: DataAccess::None,
            },
            Self::Truncate(Truncate { file, size }) => OperationFacts {
                word: "truncate",
                verb: Verb::new("truncate", "truncating"),
                object: format!("{file} to {size}"),
                subject: whole(file),
                needs_mount: true,
                writes: Writes::Filesystem,
                uses: vec![],
                effect: Effect::Resizes {
                    file,
                    size: SizeChange::Is {
                        size: *size,
                        key: "size",
                    },
                },
                data: DataAccess::None,
            },
            Self::Fragment(Fragment { file, extents, fill }) => OperationFacts {
                word: "fragment",
                verb: Verb::new("write", "writing"),
                object: format!("{file} ({extents} extents, filled with {fill})"),
                subject: whole(file),
                needs_mount: true,
                writes: Writes::Filesystem,
                uses: vec![],
                effect: new_file(file, fragmented(*extents), "extents"),
                data: DataAccess::None,
            },
            Self::Sync(Sync::Filesystem) => OperationFacts {
                word: "sync",
                verb: Verb::new("sync", "syncing"),
                object: "the filesystem".to_owned(),
                subject: (None, None),
                needs_mount: true,
                writes: Writes::Nothing,
                uses: vec![],
                effect: Effect::Nothing,
                data: DataAccess::None,
            },
            Self::Sync(Sync::File(file)) => OperationFacts {
                word: "sync",
                verb: Verb::new("sync", "syncing"),
                object: file.to_string(),
                subject: whole(file),
                needs_mount: true,
                writes: Writes::Nothing,
                uses: vec![file],
                effect: Effect::Nothing,
                data: DataAccess::None,
            },
            Self::Sync(Sync::Data(file)) => OperationFacts {
                word: "sync",
                verb: Verb::new("sync", "syncing"),
                object: format!("the data of {file}"),
                subject: whole(file),
                needs_mount: true,
                writes: Writes::Nothing,
                uses: vec![file],
                effect: Effect::Nothing,
                data: DataAccess::None,
            },
            Self::Stat { file } => OperationFacts {
                word: "stat",
                verb: Verb::new("stat", "stat of"),
                object: file.to_string(),
                subject: whole(file),
                needs_mount: true,
                writes: Writes::Nothing,
                uses: vec![file],
                effect: Effect::Nothing,
                data: DataAccess::None,
            },
            Self::SetXattr(SetXattr {
                file,
                name,
                size,
                fill,
            }) => OperationFacts {
                word: "set-xattr",
                verb: Verb::new("set", "setting"),
                object: format!("{name} of {file} ({size}, filled with {fill:#04x})"),
                subject: whole(file),
                needs_mount: true,
                writes: Writes::Filesystem,
                uses: vec![file],
                effect: Effect::Nothing,
                data: DataAccess::None,
            },
            Self::GetXattr(XattrOf { file, name }) => OperationFacts {
                word: "get-xattr",
                verb: Verb::new("get", "getting"),
                object: format!("{name} of {file}"),
                subject: whole(file),
                needs_mount: true,
                writes: Writes::Nothing,
                uses: vec![file],
                effect: Effect::Nothing,
                data: DataAccess::None,
            },
            Self::RemoveXattr(XattrOf { file, name }) => OperationFacts {
                word: "remove-xattr",
                verb: Verb::new("remove", "removing"),
                object: format!("{name} of {file}"),
                subject: whole(file),
                needs_mount: true,
                writes: Writes::Filesystem,
                uses: vec![file],
                effect: Effect::Nothing,
                data: DataAccess::None,
            },
            Self::SetFlags(flags) => OperationFacts {
                word: "set-flags",
                verb: Verb::new("set", "setting"),
                object: format!("{} of {}", text::switched(flags), flags.file),
                subject: whole(&flags.file),
                needs_mount: true,
                writes: Writes::Filesystem,
                uses: vec![&flags.file],
                effect: Effect::Nothing,
                data: DataAccess::None,
            },
            Self::Open { file } => OperationFacts {
                word: "open",
                verb: Verb::new("open", "opening"),
                object: file.to_string(),
                subject: whole(file),
                needs_mount: true,
                writes: Writes::Nothing,
                uses: vec![],
                effect: Effect::Opens(named(file, "file")),
                data: DataAccess::None,
            },
            // What is open is known by the name under which it was opened, even if that is gone.
            Self::Close { file } => OperationFacts {
                word: "close",
                verb: Verb::new("close", "closing"),
                object: file.to_string(),
                subject: whole(file),
                needs_mount: false,
                writes: Writes::Nothing,
                uses: vec![],
                effect: Effect::Closes(named(file, "file")),
                data: DataAccess::None,
            },
        }
    }
}

fn whole(file: &FilePath) -> (Option<String>, Option<Place>) {
    (Some(file.to_string()), None)
}

fn part(file: &FilePath, at: Bytes) -> (Option<String>, Option<Place>) {
    (Some(file.to_string()), Some(Place { map: 0, at }))
}

const fn named<'a>(path: &'a FilePath, key: &'static str) -> Named<'a> {
    Named { path, key }
}

const fn behind<'a>(key: &'static str, at: &'a VictimPlace) -> InMapping<'a> {
    InMapping {
        victim: &at.victim,
        place: at.place,
        key: Some(key),
    }
}

fn reaches(file: &FilePath, offset: Bytes, length: Bytes) -> Effect<'_> {
    Effect::Resizes {
        file,
        size: SizeChange::Reaches(offset.checked_add(length)),
    }
}

/// There is a new regular file.
fn new_file<'a>(file: &'a FilePath, size: Bytes, key: &'static str) -> Effect<'a> {
    Effect::Makes {
        name: named(file, "file"),
        kind: FileKind::File,
        size: NewSize::Is { size, key },
    }
}

/// The size of a file of so many extents: each is a block, with a hole of one block behind it but for the last.
fn fragmented(extents: u32) -> Bytes {
    const STRIDE: u64 = 8192;
    const BLOCK: u64 = 4096;
    Bytes(u64::from(extents.saturating_sub(1)) * STRIDE + BLOCK)
}
