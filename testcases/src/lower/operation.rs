// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations.

use super::keys::{just_one, misfits, needed, present};
use crate::diagnostic::Diagnostic;
use crate::document::{
    Either, OperationDocument, ReadDocument, ReflinkDocument, SetFlagsDocument, SymlinkDocument,
    SyncDocument, TimedRunDocument, VictimPlaceDocument, WriteDocument,
};
use crate::model::{
    AdviseSpec, FileOperation, Fragment, FromTo, LinkTarget, MountOperation, Operation, Place, RangeToRange,
    ReadRange, RunSpec, SetFlags, SetSpec, SetXattr, StoreSpec, Sync, SystemOperation, VictimOperation,
    VictimPlace, WriteFile, WriteRange, WriteSource, XattrOf,
};
use crate::syntax::Node;
use crate::value::{Bytes, Seconds};

/// How an operation is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// It must succeed.
    Step,
    /// It is tried to see how it ends.
    Tried,
}

/// The operation that a document writes; `node` is what stands behind its word.
pub(super) fn operation(
    document: OperationDocument,
    node: &Node,
    mode: Mode,
    found: &mut Vec<Diagnostic>,
) -> Option<Operation> {
    Some(match document {
        OperationDocument::Write(write) => return self::write(write, node, mode, found),
        OperationDocument::Read(read) => Operation::File(FileOperation::Read(self::read(read))),
        OperationDocument::Create(it) => Operation::File(FileOperation::Create { file: it.file }),
        OperationDocument::Mkdir(it) => Operation::File(FileOperation::Mkdir {
            directory: it.directory,
        }),
        OperationDocument::Rmdir(it) => Operation::File(FileOperation::Rmdir {
            directory: it.directory,
        }),
        OperationDocument::List(it) => Operation::File(FileOperation::List {
            directory: it.directory,
        }),
        OperationDocument::Symlink(link) => return symlink(link, node, found),
        OperationDocument::Readlink(it) => Operation::File(FileOperation::Readlink { file: it.file }),
        OperationDocument::Rename(names) => Operation::File(FileOperation::Rename(names)),
        OperationDocument::Link(names) => Operation::File(FileOperation::Link(names)),
        OperationDocument::Unlink(it) => Operation::File(FileOperation::Unlink { file: it.file }),
        OperationDocument::Reflink(reflink) => return self::reflink(reflink, node, found),
        OperationDocument::Dedupe(ranges) => Operation::File(FileOperation::Dedupe(ranges)),
        OperationDocument::Copy(ranges) => Operation::File(FileOperation::Copy(ranges)),
        OperationDocument::Exchange(files) => Operation::File(FileOperation::Exchange(files)),
        OperationDocument::Allocate(part) => Operation::File(FileOperation::Allocate(part)),
        OperationDocument::Punch(part) => Operation::File(FileOperation::Punch(part)),
        OperationDocument::Zero(part) => Operation::File(FileOperation::Zero(part)),
        OperationDocument::Collapse(part) => Operation::File(FileOperation::Collapse(part)),
        OperationDocument::Insert(part) => Operation::File(FileOperation::Insert(part)),
        OperationDocument::Unshare(part) => Operation::File(FileOperation::Unshare(part)),
        OperationDocument::Truncate(truncate) => Operation::File(FileOperation::Truncate(truncate)),
        OperationDocument::Fragment(fragment) => return self::fragment(fragment, node, found),
        OperationDocument::Sync(sync) => return self::sync(sync, node, found),
        OperationDocument::Stat(it) => Operation::File(FileOperation::Stat { file: it.file }),
        OperationDocument::SetXattr(xattr) => Operation::File(FileOperation::SetXattr(SetXattr {
            file: xattr.file,
            name: xattr.name.0,
            size: xattr.size,
            fill: xattr.fill,
        })),
        OperationDocument::GetXattr(xattr) => Operation::File(FileOperation::GetXattr(XattrOf {
            file: xattr.file,
            name: xattr.name.0,
        })),
        OperationDocument::RemoveXattr(xattr) => Operation::File(FileOperation::RemoveXattr(XattrOf {
            file: xattr.file,
            name: xattr.name.0,
        })),
        OperationDocument::SetFlags(flags) => return set_flags(flags, node, found),
        OperationDocument::Open(it) => Operation::File(FileOperation::Open { file: it.file }),
        OperationDocument::Close(it) => Operation::File(FileOperation::Close { file: it.file }),
        OperationDocument::DropCaches(_) => Operation::System(SystemOperation::DropCaches),
        OperationDocument::Mount(mount) => Operation::Mount(MountOperation::Mount(mount)),
        OperationDocument::Unmount(_) => Operation::Mount(MountOperation::Unmount),
        OperationDocument::Remount(remount) => Operation::Mount(MountOperation::Remount {
            options: remount.options.0,
        }),
        OperationDocument::Freeze(_) => Operation::Mount(MountOperation::Freeze),
        OperationDocument::Thaw(_) => Operation::Mount(MountOperation::Thaw),
        OperationDocument::Shutdown(shutdown) => Operation::Mount(MountOperation::Shutdown {
            flush: shutdown.flush,
        }),
        OperationDocument::Repair(_) => Operation::Mount(MountOperation::Repair),
        OperationDocument::Run(run) => {
            let (command, timeout) = match run.0 {
                Either::Plain(command) => (command, None),
                Either::Mapping(TimedRunDocument { command, timeout }) => (command, timeout),
            };
            Operation::System(SystemOperation::Run(RunSpec {
                command: command.0,
                timeout: timeout.unwrap_or(Seconds::MINUTE),
            }))
        }
        OperationDocument::Sysctl(values) => {
            if values.is_empty() {
                found.push(
                    Diagnostic::new("this sets nothing")
                        .at(node.handle.clone(), "empty")
                        .help("name a kernel parameter: `sysctl: { vm.memory_failure_early_kill: 1 }`"),
                );
                return None;
            }
            let values = values.into_iter().map(|(name, value)| (name.0, value.0));
            Operation::System(SystemOperation::Sysctl {
                values: values.collect(),
            })
        }
        OperationDocument::Set(set) => Operation::System(SystemOperation::Set(SetSpec {
            file: set.file.0,
            to: set.to.0,
        })),
        OperationDocument::Touch(at) => Operation::Victim(VictimOperation::Touch(victim_place(at))),
        OperationDocument::Store(store) => Operation::Victim(VictimOperation::Store(StoreSpec {
            victim: store.victim,
            place: Place {
                map: store.map,
                at: store.at,
            },
            fill: store.fill,
        })),
        OperationDocument::Unmap(unmap) => Operation::Victim(VictimOperation::Unmap {
            victim: unmap.victim,
            map: unmap.map,
        }),
        OperationDocument::Policy(policy) => Operation::Victim(VictimOperation::Policy(policy)),
        OperationDocument::Advise(advise) => Operation::Victim(VictimOperation::Advise(AdviseSpec {
            victim: advise.victim,
            advice: advise.advice,
            place: Place {
                map: advise.map,
                at: advise.at,
            },
            length: advise.length,
        })),
    })
}

fn victim_place(at: VictimPlaceDocument) -> VictimPlace {
    VictimPlace {
        victim: at.victim,
        place: Place {
            map: at.map,
            at: at.at,
        },
    }
}

fn write(write: WriteDocument, node: &Node, mode: Mode, found: &mut Vec<Diagnostic>) -> Option<Operation> {
    let before = found.len();
    if let Some(size) = write.size {
        misfits(
            node,
            "size",
            &["offset", "length", "direct", "sync", "from"],
            found,
        );
        let fill = needed(write.fill, node, "fill", "size", found)?;
        return (found.len() == before).then_some(Operation::File(FileOperation::WriteFile(WriteFile {
            file: write.file,
            size,
            fill,
        })));
    }
    // What is tried is tried on a file that is there; a step most often makes one.
    if mode == Mode::Step && present(node, &["offset", "length", "from"]).is_empty() {
        found.push(
            Diagnostic::new("`size` is missing")
                .at(node.handle.clone(), "a new file needs `size`")
                .help("add `size: …` for a new file, or `offset: …` to write into one that exists"),
        );
        return None;
    }
    let help = "write `fill: 0x5a`, or `from: { victim: alice, at: 0 }` to write from a mapping";
    just_one(node, &["fill", "from"], "what is written", help, found)?;
    let source = match (write.fill, write.from) {
        (Some(fill), _) => WriteSource::Fill(fill),
        (None, Some(at)) => WriteSource::Mapping(victim_place(at)),
        (None, None) => return None,
    };
    Some(Operation::File(FileOperation::Write(WriteRange {
        file: write.file,
        offset: write.offset.unwrap_or_default(),
        length: write.length.unwrap_or(Bytes(4096)),
        source,
        direct: write.direct,
        sync: write.sync.unwrap_or(true),
    })))
}

fn read(read: ReadDocument) -> ReadRange {
    ReadRange {
        file: read.file,
        offset: read.offset,
        length: read.length,
        direct: read.direct,
        into: read.into.map(victim_place),
    }
}

fn symlink(link: SymlinkDocument, node: &Node, found: &mut Vec<Diagnostic>) -> Option<Operation> {
    // XFS_SYMLINK_MAXLEN, fs/xfs/libxfs/xfs_format.h.
    const LONGEST: u64 = 1024;
    let help = "write `to: a`, or `length: 1000` for some text so long";
    just_one(node, &["to", "length"], "what the link holds", help, found)?;
    let (key, length) = match (&link.to, link.length) {
        (Some(text), _) => ("to", text.0.len() as u64),
        (None, length) => ("length", length?.get()),
    };
    if !(1..LONGEST).contains(&length) {
        found.push(
            Diagnostic::new(format!("no symbolic link of XFS holds {length} bytes"))
                .at(node.at(key).handle.clone(), "too many, or none")
                .help(format!("choose 1 to {}", LONGEST - 1)),
        );
        return None;
    }
    let to = match link.to {
        Some(text) => LinkTarget::Text(text.0),
        None => LinkTarget::Length(link.length?),
    };
    Some(Operation::File(FileOperation::Symlink { at: link.at, to }))
}

fn reflink(reflink: ReflinkDocument, node: &Node, found: &mut Vec<Diagnostic>) -> Option<Operation> {
    let Some(key) = present(node, &["offset", "at", "length"]).first().copied() else {
        return Some(Operation::File(FileOperation::Reflink(FromTo {
            from: reflink.from,
            to: reflink.to,
        })));
    };
    let offset = needed(reflink.offset, node, "offset", key, found);
    let at = needed(reflink.at, node, "at", key, found);
    let length = needed(reflink.length, node, "length", key, found);
    Some(Operation::File(FileOperation::ReflinkRange(RangeToRange {
        from: reflink.from,
        offset: offset?,
        to: reflink.to,
        at: at?,
        length: length?,
    })))
}

fn fragment(fragment: Fragment, node: &Node, found: &mut Vec<Diagnostic>) -> Option<Operation> {
    // 8 KiB of file for each; more would not fit on the device.
    const MOST: u32 = 16_384;
    if (1..=MOST).contains(&fragment.extents) {
        return Some(Operation::File(FileOperation::Fragment(fragment)));
    }
    found.push(
        Diagnostic::new(format!(
            "a file of {} extents cannot be made here",
            fragment.extents
        ))
        .at(node.at("extents").handle.clone(), "too many, or none")
        .help(format!("choose 1 to {MOST}")),
    );
    None
}

fn sync(sync: SyncDocument, node: &Node, found: &mut Vec<Diagnostic>) -> Option<Operation> {
    Some(Operation::File(FileOperation::Sync(
        match (sync.file, sync.data) {
            (None, false) => Sync::Filesystem,
            (Some(file), false) => Sync::File(file),
            (Some(file), true) => Sync::Data(file),
            (None, true) => {
                needed(None::<()>, node, "file", "data", found)?;
                return None;
            }
        },
    )))
}

fn set_flags(flags: SetFlagsDocument, node: &Node, found: &mut Vec<Diagnostic>) -> Option<Operation> {
    if present(node, &["dax", "extsize", "cowextsize", "realtime"]).is_empty() {
        found.push(
            Diagnostic::new("this sets no flag")
                .at(node.handle.clone(), "only a file")
                .help("add one of `dax`, `extsize`, `cowextsize`, `realtime`"),
        );
        return None;
    }
    Some(Operation::File(FileOperation::SetFlags(SetFlags {
        file: flags.file,
        dax: flags.dax,
        extsize: flags.extsize,
        cowextsize: flags.cowextsize,
        realtime: flags.realtime,
    })))
}
