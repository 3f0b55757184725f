// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations on files: each done once, and what came of it.

use super::{Scene, Trouble};
use crate::nvdimm::path_of;
use guest_agent::MOUNT_POINT;
use guest_agent::address::FileOffset;
use guest_agent::call::{
    Allocation, ChangeFile, CopyRange, Dedupe, Deduped, FileChange, FileRanges, FlagChange, GetXattr,
    Outcome as Answer, ReadAt, ReadDirectory, ReadLink, Stat, SyncHow,
};
use testcases::{
    Allocate, Bytes, Contents, Exchange, FileOperation, FilePath, FileRange, Fill, FromTo, LinkTarget,
    Operation, Outcome, RangeToRange, ReadRange, SetFlags, Sync, WriteRange, WriteSource, XattrOf,
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
        let facts = operation.facts();
        self.names.begin(&facts);
        let tried = match operation {
            Operation::File(operation) => self.file_operation(operation, wanted).await?,
            Operation::Mount(operation) => self.mount_operation(operation).await?,
            Operation::System(operation) => self.system_operation(operation).await?,
            Operation::Victim(operation) => self.victim_operation(operation).await?,
        };
        if matches!(tried, Tried::Succeeded(_)) {
            self.names.done(&facts.effect);
        }
        Ok(tried)
    }

    async fn file_operation(
        &mut self,
        operation: &FileOperation,
        wanted: Option<&Outcome>,
    ) -> Result<Tried, Trouble> {
        let change = match operation {
            // What brings something, or is done by a victim.
            FileOperation::Read(read) => return self.read(read, wanted).await,
            FileOperation::List { directory } => return self.list(directory.as_ref()).await,
            FileOperation::Readlink { file } => return self.read_link(file).await,
            FileOperation::Stat { file } => return self.stat(file).await,
            FileOperation::GetXattr(of) => return self.get_xattr(of).await,
            FileOperation::Dedupe(ranges) => return self.dedupe(ranges).await,
            FileOperation::Copy(ranges) => return self.copy(ranges).await,
            FileOperation::Write(write) => match &write.source {
                WriteSource::Mapping(buffer) => return self.write_from(write, buffer).await,
                WriteSource::Fill(with) => write_range(write, *with),
            },
            // What is done, or refused, and brings nothing else.
            FileOperation::WriteFile(write) => FileChange::WriteNew {
                path: path(&write.file),
                size: write.size.0,
                fill: write.fill,
            },
            FileOperation::Create { file } => FileChange::Create { path: path(file) },
            FileOperation::Mkdir { directory } => FileChange::MakeDirectory {
                path: path(directory),
            },
            FileOperation::Rmdir { directory } => FileChange::RemoveDirectory {
                path: path(directory),
            },
            FileOperation::Symlink { at, to } => FileChange::Symlink {
                path: path(at),
                target: link_target(to),
            },
            FileOperation::Rename(FromTo { from, to }) => FileChange::Rename {
                from: path(from),
                to: path(to),
            },
            FileOperation::Link(FromTo { from, to }) => FileChange::Link {
                from: path(from),
                to: path(to),
            },
            FileOperation::Unlink { file } => FileChange::Unlink { path: path(file) },
            FileOperation::Reflink(FromTo { from, to }) => FileChange::Reflink {
                from: path(from),
                to: path(to),
            },
            FileOperation::ReflinkRange(ranges) => FileChange::ReflinkRange(file_ranges(ranges)),
            FileOperation::Exchange(Exchange { file, with }) => FileChange::Exchange {
                file: path(file),
                with: path(with),
            },
            FileOperation::Allocate(allocate) => allocation(allocate),
            FileOperation::Punch(part) => range(part, Allocation::Punch),
            FileOperation::Zero(part) => range(part, Allocation::Zero),
            FileOperation::Collapse(part) => range(part, Allocation::Collapse),
            FileOperation::Insert(part) => range(part, Allocation::Insert),
            FileOperation::Unshare(part) => range(part, Allocation::Unshare),
            FileOperation::Truncate(truncate) => FileChange::Truncate {
                path: path(&truncate.file),
                size: truncate.size.0,
            },
            FileOperation::Fragment(fragment) => FileChange::Fragment {
                path: path(&fragment.file),
                extents: fragment.extents,
                fill: fragment.fill,
            },
            FileOperation::Sync(sync) => {
                let (path, how) = match sync {
                    Sync::Filesystem => (MOUNT_POINT.to_owned(), SyncHow::Filesystem),
                    Sync::File(file) => (path(file), SyncHow::File),
                    Sync::Data(file) => (path(file), SyncHow::Data),
                };
                FileChange::Sync { path, how }
            }
            FileOperation::SetXattr(set) => FileChange::SetXattr {
                path: path(&set.file),
                name: set.name.clone(),
                // Longer ones the kernel refuses by itself (XATTR_SIZE_MAX is 64 KiB).
                size: u32::try_from(set.size.0).unwrap_or(u32::MAX),
                fill: set.fill,
            },
            FileOperation::RemoveXattr(of) => FileChange::RemoveXattr {
                path: path(&of.file),
                name: of.name.clone(),
            },
            FileOperation::SetFlags(set) => flags(set),
            FileOperation::Open { file } => FileChange::Hold { path: path(file) },
            FileOperation::Close { file } => FileChange::LetGo { path: path(file) },
        };
        self.change_files(change).await
    }

    pub(super) async fn change_files(&self, change: FileChange) -> Result<Tried, Trouble> {
        let answer = self.call(ChangeFile { change }).await?;
        Ok(brought(answer, |()| Brought::Nothing))
    }

    async fn read_link(&self, file: &FilePath) -> Result<Tried, Trouble> {
        let answer = self.call(ReadLink { path: path(file) }).await?;
        Ok(brought(answer, Brought::Text))
    }

    async fn stat(&self, file: &FilePath) -> Result<Tried, Trouble> {
        let (path, follow) = (path(file), false);
        let answer = self.call(Stat { path, follow }).await?;
        Ok(brought(answer, |_status| Brought::Nothing))
    }

    async fn get_xattr(&self, of: &XattrOf) -> Result<Tried, Trouble> {
        let (path, name) = (path(&of.file), of.name.clone());
        let answer = self.call(GetXattr { path, name }).await?;
        Ok(brought(answer, |contents| Brought::Contents {
            contents,
            other: None,
        }))
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

fn path(file: &FilePath) -> String {
    path_of(file.as_str())
}

fn range(part: &FileRange, mode: Allocation) -> FileChange {
    FileChange::Allocate {
        path: path(&part.file),
        mode,
        offset: FileOffset(part.offset.0),
        length: part.length.0,
    }
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

fn write_range(write: &WriteRange, with: Fill) -> FileChange {
    FileChange::Write {
        path: path_of(write.file.as_str()),
        offset: FileOffset(write.offset.0),
        length: write.length.0,
        fill: with,
        direct: write.direct,
        sync: write.sync,
    }
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
}
