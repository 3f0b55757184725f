// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations on files: each done once, and what came of it.

use super::{Scene, Trouble};
use crate::nvdimm::path_of;
use guest_agent::MOUNT_POINT;
use guest_agent::address::FileOffset;
use guest_agent::call::{
    Allocation, Caches, ChangeFile, CopyRange, Dedupe, Deduped, FileChange, FileRanges, Fill as GuestFill,
    FlagChange, GetXattr, Outcome as Answer, ReadAt, ReadDirectory, ReadLink, Stat, SyncHow,
};
use testcases::{
    Allocate, Bytes, Contents, FilePath, FileRange, Fill, LinkTarget, Operation, Outcome, RangeToRange,
    ReadRange, SetFlags, Sync, WriteRange, WriteSource,
};
use verdict::observe::evidence::{Brought, Tried};

/// The longest name in a directory (NAME_MAX).
const LONGEST_NAME: u64 = 255;
/// What the harness keeps in the filesystem for itself begins so; a case cannot make such a name.
const HIDDEN: char = '.';

impl Scene<'_> {
    /// Carries an operation out. What it is expected to bring (`wanted`) decides what has to be looked at.
    pub(super) async fn operate(
        &mut self,
        operation: &Operation,
        wanted: Option<&Outcome>,
    ) -> Result<Tried, Trouble> {
        self.names.begin(operation);
        let tried = self.operation(operation, wanted).await?;
        if matches!(tried, Tried::Succeeded(_)) {
            self.names.done(operation);
        }
        Ok(tried)
    }

    async fn operation(&mut self, operation: &Operation, wanted: Option<&Outcome>) -> Result<Tried, Trouble> {
        match operation {
            Operation::Read(read) => self.read(read, wanted).await,
            Operation::Write(write) => match &write.source {
                WriteSource::Mapping(buffer) => self.write_from(write, buffer).await,
                WriteSource::Fill(_) => self.change_files(operation).await,
            },
            Operation::List { directory } => self.list(directory.as_ref()).await,
            Operation::Readlink { file } => {
                let path = path_of(file.as_str());
                Ok(brought(self.call(ReadLink { path }).await?, Brought::Text))
            }
            Operation::Stat { file } => {
                let (path, follow) = (path_of(file.as_str()), false);
                let answer = self.call(Stat { path, follow }).await?;
                Ok(brought(answer, |_status| Brought::Nothing))
            }
            Operation::GetXattr(of) => {
                let (path, name) = (path_of(of.file.as_str()), of.name.clone());
                let answer = self.call(GetXattr { path, name }).await?;
                Ok(brought(answer, |contents| Brought::Contents {
                    contents,
                    other: None,
                }))
            }
            Operation::Dedupe(ranges) => self.dedupe(ranges).await,
            Operation::Copy(ranges) => self.copy(ranges).await,
            Operation::Mount(_)
            | Operation::Unmount
            | Operation::Remount { .. }
            | Operation::Freeze
            | Operation::Thaw
            | Operation::Shutdown { .. } => self.change_mount(operation).await,
            Operation::Repair | Operation::Run(_) | Operation::Sysctl { .. } | Operation::Set(_) => {
                self.command(operation).await
            }
            Operation::Touch(_)
            | Operation::Store(_)
            | Operation::Unmap { .. }
            | Operation::Policy(_)
            | Operation::Advise(_) => self.by_victim(operation).await,
            Operation::DropCaches => {
                // What is not known by now may have to be asked of the medium later.
                self.learn_inodes().await?;
                self.change_files(operation).await
            }
            _ => self.change_files(operation).await,
        }
    }

    async fn change_files(&mut self, operation: &Operation) -> Result<Tried, Trouble> {
        let Some(change) = file_change(operation) else {
            return Err(Trouble::Harness(
                "nobody carries this step out; this is a fault of taster's own".to_owned(),
            ));
        };
        let answer = self.call(ChangeFile { change }).await?;
        Ok(brought(answer, |()| Brought::Nothing))
    }

    async fn read(&mut self, read: &ReadRange, wanted: Option<&Outcome>) -> Result<Tried, Trouble> {
        if let Some(buffer) = &read.into {
            return self.read_into(read, buffer).await;
        }
        let checksum = matches!(
            wanted,
            Some(Outcome::Contains(Contents::Sha256(_) | Contents::File { .. }))
        );
        let call = |file: &FilePath, offset: Bytes| ReadAt {
            path: path_of(file.as_str()),
            offset: FileOffset(offset.0),
            length: read.length.0,
            direct: read.direct,
            checksum,
        };
        let contents = match self.call(call(&read.file, read.offset)).await? {
            Answer::Done(contents) => contents,
            Answer::Refused(refusal) => return Ok(Tried::Refused(refusal)),
        };
        let other = match wanted {
            Some(Outcome::Contains(Contents::File { file, offset })) => {
                self.names.touch(file.as_str());
                Some(match self.call(call(file, *offset)).await? {
                    Answer::Done(contents) => Ok(contents),
                    Answer::Refused(refusal) => Err(refusal),
                })
            }
            _ => None,
        };
        Ok(Tried::Succeeded(Brought::Contents { contents, other }))
    }

    async fn list(&mut self, directory: Option<&FilePath>) -> Result<Tried, Trouble> {
        let path = directory.map_or(MOUNT_POINT.to_owned(), |directory| path_of(directory.as_str()));
        let answer = self.call(ReadDirectory { path }).await?;
        Ok(brought(answer, |mut names| {
            names.retain(|name| !name.starts_with(HIDDEN));
            Brought::Names(names)
        }))
    }

    async fn dedupe(&mut self, ranges: &RangeToRange) -> Result<Tried, Trouble> {
        let call = Dedupe {
            ranges: file_ranges(ranges),
        };
        let of = ranges.length.0;
        Ok(brought(self.call(call).await?, |deduped| match deduped {
            Deduped::Shared(bytes) => Brought::Moved { bytes, of },
            Deduped::Differs => Brought::Differs,
        }))
    }

    async fn copy(&mut self, ranges: &RangeToRange) -> Result<Tried, Trouble> {
        let call = CopyRange {
            ranges: file_ranges(ranges),
        };
        let of = ranges.length.0;
        Ok(brought(self.call(call).await?, |bytes| Brought::Moved {
            bytes,
            of,
        }))
    }

    /// Asks for the inode numbers that are not known yet, while what they belong to is still in core.
    pub(super) async fn learn_inodes(&mut self) -> Result<(), Trouble> {
        for path in self.names.without_number() {
            let call = Stat {
                path: path_of(&path),
                follow: false,
            };
            // A filesystem that is shut down answers nothing; then the file can only be found by its extents. What another
            // one has under that name is not the file.
            match self.call(call).await? {
                Answer::Done(status) if self.is_under_test(status.device) => {
                    self.names.number(&path, status.inode);
                }
                Answer::Done(_) | Answer::Refused(_) => {}
            }
        }
        Ok(())
    }
}

/// What an answer means for an operation.
pub(super) fn brought<T>(answer: Answer<T>, keep: impl FnOnce(T) -> Brought) -> Tried {
    match answer {
        Answer::Done(value) => Tried::Succeeded(keep(value)),
        Answer::Refused(refusal) => Tried::Refused(refusal),
    }
}

fn fill(fill: Fill) -> GuestFill {
    match fill {
        Fill::Byte(byte) => GuestFill::Byte(byte),
        Fill::Counting => GuestFill::Counting,
    }
}

/// The change that an operation makes; `None` for one that is no change of files.
fn file_change(operation: &Operation) -> Option<FileChange> {
    let path = |path: &FilePath| path_of(path.as_str());
    let pair = |pair: &testcases::FromTo| (path(&pair.from), path(&pair.to));
    let range = |range: &FileRange, mode| FileChange::Allocate {
        path: path(&range.file),
        mode,
        offset: FileOffset(range.offset.0),
        length: range.length.0,
    };
    Some(match operation {
        Operation::WriteFile(write) => FileChange::WriteNew {
            path: path(&write.file),
            size: write.size.0,
            fill: fill(write.fill),
        },
        Operation::Write(write) => write_range(write)?,
        Operation::Create { file } => FileChange::Create { path: path(file) },
        Operation::Mkdir { directory } => FileChange::MakeDirectory {
            path: path(directory),
        },
        Operation::Rmdir { directory } => FileChange::RemoveDirectory {
            path: path(directory),
        },
        Operation::Symlink { at, to } => FileChange::Symlink {
            path: path(at),
            target: link_target(to),
        },
        Operation::Rename(rename) => {
            let (from, to) = pair(rename);
            FileChange::Rename { from, to }
        }
        Operation::Link(link) => {
            let (from, to) = pair(link);
            FileChange::Link { from, to }
        }
        Operation::Unlink { file } => FileChange::Unlink { path: path(file) },
        Operation::Reflink(link) => {
            let (from, to) = pair(link);
            FileChange::Reflink { from, to }
        }
        Operation::ReflinkRange(ranges) => FileChange::ReflinkRange(file_ranges(ranges)),
        Operation::Allocate(allocate) => allocation(allocate),
        Operation::Punch(part) => range(part, Allocation::Punch),
        Operation::Zero(part) => range(part, Allocation::Zero),
        Operation::Collapse(part) => range(part, Allocation::Collapse),
        Operation::Insert(part) => range(part, Allocation::Insert),
        Operation::Unshare(part) => range(part, Allocation::Unshare),
        Operation::Truncate(truncate) => FileChange::Truncate {
            path: path(&truncate.file),
            size: truncate.size.0,
        },
        Operation::Fragment(fragment) => FileChange::Fragment {
            path: path(&fragment.file),
            extents: fragment.extents,
            fill: fill(fragment.fill),
        },
        Operation::Sync(sync) => {
            let (path, how) = match sync {
                Sync::Filesystem => (MOUNT_POINT.to_owned(), SyncHow::Filesystem),
                Sync::File(file) => (path(file), SyncHow::File),
                Sync::Data(file) => (path(file), SyncHow::Data),
            };
            FileChange::Sync { path, how }
        }
        Operation::SetXattr(set) => FileChange::SetXattr {
            path: path(&set.file),
            name: set.name.clone(),
            // Longer ones the kernel refuses by itself (XATTR_SIZE_MAX is 64 KiB).
            size: u32::try_from(set.size.0).unwrap_or(u32::MAX),
            fill: set.fill,
        },
        Operation::RemoveXattr(of) => FileChange::RemoveXattr {
            path: path(&of.file),
            name: of.name.clone(),
        },
        Operation::SetFlags(set) => flags(set),
        Operation::Open { file } => FileChange::Hold { path: path(file) },
        Operation::Close { file } => FileChange::LetGo { path: path(file) },
        Operation::DropCaches => FileChange::DropCaches { what: Caches::Both },
        _ => return None,
    })
}

fn file_ranges(ranges: &RangeToRange) -> FileRanges {
    FileRanges {
        from: path_of(ranges.from.as_str()),
        from_offset: FileOffset(ranges.offset.0),
        to: path_of(ranges.to.as_str()),
        to_offset: FileOffset(ranges.at.0),
        length: ranges.length.0,
    }
}

fn write_range(write: &WriteRange) -> Option<FileChange> {
    let WriteSource::Fill(with) = write.source else {
        return None;
    };
    Some(FileChange::Write {
        path: path_of(write.file.as_str()),
        offset: FileOffset(write.offset.0),
        length: write.length.0,
        fill: fill(with),
        direct: write.direct,
        sync: write.sync,
    })
}

fn allocation(allocate: &Allocate) -> FileChange {
    FileChange::Allocate {
        path: path_of(allocate.file.as_str()),
        mode: if allocate.keep_size {
            Allocation::KeepSize
        } else {
            Allocation::Extend
        },
        offset: FileOffset(allocate.offset.0),
        length: allocate.length.0,
    }
}

fn flags(set: &SetFlags) -> FileChange {
    let size = |bytes: Option<Bytes>| bytes.map(|bytes| u32::try_from(bytes.0).unwrap_or(u32::MAX));
    FileChange::SetFlags {
        path: path_of(set.file.as_str()),
        flags: FlagChange {
            dax: set.dax,
            extent_size: size(set.extsize),
            cow_extent_size: size(set.cowextsize),
            realtime: set.realtime,
        },
    }
}

/// The text of a symbolic link.
fn link_target(to: &LinkTarget) -> String {
    match to {
        LinkTarget::Text(text) => text.clone(),
        LinkTarget::Length(length) => {
            let letter = |index: u64| {
                // A component of the longest name, and a slash.
                if index % (LONGEST_NAME + 1) == LONGEST_NAME {
                    '/'
                } else {
                    'a'
                }
            };
            (0..length.0).map(letter).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_link_has_names_that_a_directory_could_have() {
        let text = link_target(&LinkTarget::Length(Bytes(1000)));
        assert_eq!(text.len(), 1000);
        assert!(
            text.split('/').all(|name| !name.is_empty() && name.len() <= 255),
            "{text}"
        );
        assert_eq!(link_target(&LinkTarget::Text("../x".to_owned())), "../x");
    }

    #[test]
    fn an_operation_that_is_no_change_of_files_is_told_apart() {
        assert_eq!(file_change(&Operation::Unmount), None);
        let file = "d/a".parse().unwrap();
        assert_eq!(
            file_change(&Operation::Unlink { file }),
            Some(FileChange::Unlink {
                path: "/mnt/d/a".to_owned()
            })
        );
    }
}
