// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is done to files.

mod table;
mod text;

use serde::Serialize;

use crate::model::{
    Allocate, Exchange, FileRange, Fragment, FromTo, LinkTarget, RangeToRange, ReadRange, SetFlags, SetXattr,
    Sync, Truncate, WriteFile, WriteRange, XattrOf,
};
use crate::value::FilePath;

/// Something that is done to files. What is known of each stands in `table.rs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileOperation {
    /// Makes a file, fills it, and has it on the medium before the next step.
    WriteFile(WriteFile),
    /// Writes a part of a file that exists, with pwrite(2).
    Write(WriteRange),
    /// Reads a part of a file, with pread(2).
    Read(ReadRange),
    /// Makes an empty file, which must not exist (O_EXCL).
    Create {
        /// The file.
        file: FilePath,
    },
    /// Makes a directory.
    Mkdir {
        /// The directory.
        directory: FilePath,
    },
    /// Takes an empty directory away.
    Rmdir {
        /// The directory.
        directory: FilePath,
    },
    /// Reads the names in a directory.
    List {
        /// The directory; the top of the filesystem if absent.
        directory: Option<FilePath>,
    },
    /// Makes a symbolic link.
    Symlink {
        /// The link.
        at: FilePath,
        /// What it holds.
        to: LinkTarget,
    },
    /// Reads what a symbolic link holds.
    Readlink {
        /// The link.
        file: FilePath,
    },
    /// Gives a file or directory another name; what had that name is replaced, as rename(2) does.
    Rename(FromTo),
    /// Gives a file a second name.
    Link(FromTo),
    /// Takes a file's name away.
    Unlink {
        /// The file.
        file: FilePath,
    },
    /// Makes a file that shares all blocks of another (FICLONE).
    Reflink(FromTo),
    /// Makes a part of a file share the blocks of a part of another (FICLONERANGE).
    ReflinkRange(RangeToRange),
    /// Makes two parts of files share their blocks if they hold the same (FIDEDUPERANGE).
    Dedupe(RangeToRange),
    /// Copies a part of a file into another (copy_file_range(2)).
    Copy(RangeToRange),
    /// Exchanges all that two files hold (XFS_IOC_EXCHANGE_RANGE).
    Exchange(Exchange),
    /// Allocates space (fallocate(2), mode 0 or FALLOC_FL_KEEP_SIZE).
    Allocate(Allocate),
    /// Takes the blocks of a part of a file away (FALLOC_FL_PUNCH_HOLE).
    Punch(FileRange),
    /// Makes a part of a file read as zeros (FALLOC_FL_ZERO_RANGE).
    Zero(FileRange),
    /// Takes a part out of a file, so that what follows moves up (FALLOC_FL_COLLAPSE_RANGE).
    Collapse(FileRange),
    /// Puts a hole into a file, so that what follows moves down (FALLOC_FL_INSERT_RANGE).
    Insert(FileRange),
    /// Gives a part of a file blocks of its own (FALLOC_FL_UNSHARE_RANGE).
    Unshare(FileRange),
    /// Sets a file's size.
    Truncate(Truncate),
    /// Makes a file of many extents, with holes between them, so that its extent map needs blocks of its own.
    Fragment(Fragment),
    /// Brings data to the medium.
    Sync(Sync),
    /// Asks for the attributes of a file or directory (lstat(2)).
    Stat {
        /// The file.
        file: FilePath,
    },
    /// Gives a file an extended attribute.
    SetXattr(SetXattr),
    /// Reads an extended attribute.
    GetXattr(XattrOf),
    /// Takes an extended attribute away.
    RemoveXattr(XattrOf),
    /// Sets a file's or directory's flags (FS_IOC_FSSETXATTR).
    SetFlags(SetFlags),
    /// Opens a file and keeps it open, so that its inode stays in memory.
    Open {
        /// The file.
        file: FilePath,
    },
    /// Closes a file that was opened.
    Close {
        /// The file.
        file: FilePath,
    },
}
