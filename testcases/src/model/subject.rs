// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a step is about: the word that a case writes, on which file or victim, and where.

use super::describe::{list, one_line};
use super::{Action, Expect, FileRange, Operation, Place, RangeToRange, Sync, describe_target};
use crate::value::{Bytes, FilePath};

/// On what, and where.
type Subject = (Option<String>, Option<Place>);

impl Action {
    /// The words of the steps that are no operations.
    pub(crate) const OTHER_WORDS: [&'static str; 7] =
        ["victim", "fork", "release", "watch", "mark", "inject", "expect"];

    /// The word that a case writes; of an expectation, that of the operation that it tries.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Operation(operation) | Self::Expect(Expect::Operation { operation, .. }) => {
                operation.word()
            }
            Self::Victim(_) => "victim",
            Self::Fork(_) => "fork",
            Self::Release(_) => "release",
            Self::Watch(_) => "watch",
            Self::Mark(_) => "mark",
            Self::Inject(_) => "inject",
            Self::Expect(Expect::State(_)) => "expect",
        }
    }

    /// On which file, victim or other thing, and at which place of it.
    pub(super) fn subject(&self) -> Subject {
        match self {
            Self::Operation(operation) | Self::Expect(Expect::Operation { operation, .. }) => {
                operation.subject()
            }
            Self::Victim(victim) => (Some(victim.name.to_string()), None),
            Self::Fork(fork) => (Some(fork.victim.to_string()), None),
            Self::Release(release) => (Some(list(&release.victims)), None),
            Self::Watch(watcher) => (Some(watcher.as_str().to_owned()), None),
            Self::Mark(mark) => (Some(mark.name.to_string()), None),
            Self::Inject(injection) => (Some(describe_target(&injection.at)), None),
            Self::Expect(Expect::State(_)) => (None, None),
        }
    }
}

fn file(file: &FilePath) -> Subject {
    (Some(file.to_string()), None)
}

fn at(file: &FilePath, at: Bytes) -> Subject {
    (Some(file.to_string()), Some(Place { map: 0, at }))
}

impl Operation {
    /// The word that a case writes.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::WriteFile(_) | Self::Write(_) => "write",
            Self::Read(_) => "read",
            Self::Create { .. } => "create",
            Self::Mkdir { .. } => "mkdir",
            Self::Rmdir { .. } => "rmdir",
            Self::List { .. } => "list",
            Self::Symlink { .. } => "symlink",
            Self::Readlink { .. } => "readlink",
            Self::Rename(_) => "rename",
            Self::Link(_) => "link",
            Self::Unlink { .. } => "unlink",
            Self::Reflink(_) | Self::ReflinkRange(_) => "reflink",
            Self::Dedupe(_) => "dedupe",
            Self::Copy(_) => "copy",
            Self::Allocate(_) => "allocate",
            Self::Punch(_) => "punch",
            Self::Zero(_) => "zero",
            Self::Collapse(_) => "collapse",
            Self::Insert(_) => "insert",
            Self::Unshare(_) => "unshare",
            Self::Truncate(_) => "truncate",
            Self::Fragment(_) => "fragment",
            Self::Sync(_) => "sync",
            Self::Stat { .. } => "stat",
            Self::SetXattr(_) => "set-xattr",
            Self::GetXattr(_) => "get-xattr",
            Self::RemoveXattr(_) => "remove-xattr",
            Self::SetFlags(_) => "set-flags",
            Self::Open { .. } => "open",
            Self::Close { .. } => "close",
            Self::DropCaches => "drop-caches",
            Self::Mount(_) => "mount",
            Self::Unmount => "unmount",
            Self::Remount { .. } => "remount",
            Self::Freeze => "freeze",
            Self::Thaw => "thaw",
            Self::Shutdown { .. } => "shutdown",
            Self::Repair => "repair",
            Self::Run(_) => "run",
            Self::Sysctl { .. } => "sysctl",
            Self::Set(_) => "set",
            Self::Touch(_) => "touch",
            Self::Store(_) => "store",
            Self::Unmap { .. } => "unmap",
            Self::Policy(_) => "policy",
            Self::Advise(_) => "advise",
        }
    }

    fn subject(&self) -> Subject {
        match self {
            Self::WriteFile(write) => file(&write.file),
            Self::Write(write) => at(&write.file, write.offset),
            Self::Read(read) => at(&read.file, read.offset),
            Self::List { directory } => (directory.as_ref().map(ToString::to_string), None),
            Self::Create { file: path }
            | Self::Mkdir { directory: path }
            | Self::Rmdir { directory: path }
            | Self::Symlink { at: path, .. }
            | Self::Readlink { file: path }
            | Self::Unlink { file: path }
            | Self::Stat { file: path }
            | Self::Open { file: path }
            | Self::Close { file: path }
            | Self::Sync(Sync::File(path) | Sync::Data(path)) => file(path),
            Self::Rename(names) | Self::Link(names) | Self::Reflink(names) => file(&names.from),
            Self::ReflinkRange(RangeToRange { from, offset, .. })
            | Self::Dedupe(RangeToRange { from, offset, .. })
            | Self::Copy(RangeToRange { from, offset, .. }) => at(from, *offset),
            Self::Allocate(allocate) => at(&allocate.file, allocate.offset),
            Self::Punch(FileRange { file, offset, .. })
            | Self::Zero(FileRange { file, offset, .. })
            | Self::Collapse(FileRange { file, offset, .. })
            | Self::Insert(FileRange { file, offset, .. })
            | Self::Unshare(FileRange { file, offset, .. }) => at(file, *offset),
            Self::Truncate(truncate) => file(&truncate.file),
            Self::Fragment(fragment) => file(&fragment.file),
            Self::SetXattr(xattr) => file(&xattr.file),
            Self::GetXattr(xattr) | Self::RemoveXattr(xattr) => file(&xattr.file),
            Self::SetFlags(flags) => file(&flags.file),
            Self::Sync(Sync::Filesystem)
            | Self::DropCaches
            | Self::Mount(_)
            | Self::Unmount
            | Self::Remount { .. }
            | Self::Freeze
            | Self::Thaw
            | Self::Shutdown { .. }
            | Self::Repair => (None, None),
            Self::Run(run) => (Some(one_line(&run.command)), None),
            Self::Sysctl { values } => (Some(list(values.keys())), None),
            Self::Set(set) => (Some(set.file.clone()), None),
            Self::Touch(touch) => (Some(touch.victim.to_string()), Some(touch.place)),
            Self::Store(store) => (Some(store.victim.to_string()), Some(store.place)),
            Self::Unmap { victim, map } => {
                let start = Place {
                    map: *map,
                    at: Bytes(0),
                };
                (Some(victim.to_string()), Some(start))
            }
            Self::Policy(policy) => (Some(policy.victim.to_string()), None),
            Self::Advise(advise) => (Some(advise.victim.to_string()), Some(advise.place)),
        }
    }
}
