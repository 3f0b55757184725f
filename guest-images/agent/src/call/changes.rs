// SPDX-License-Identifier: MIT OR Apache-2.0
//! What cases do to files.

use super::{FileRanges, Fill, Outcome, calls};
use crate::address::FileOffset;
use serde::{Deserialize, Serialize};

/// One thing that is done to files, and that succeeds or is refused and brings nothing else. Paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FileChange {
    /// Creates an empty file, which must not exist: open(2) with `O_CREAT | O_EXCL`.
    Create {
        /// The file.
        path: String,
    },
    /// Creates a file, which must not exist, fills it, and writes it back with fsync(2).
    WriteNew {
        /// The file.
        path: String,
        /// Bytes.
        size: u64,
        /// What they are.
        fill: Fill,
    },
    /// Writes into an existing file with pwrite(2).
    Write {
        /// The file.
        path: String,
        /// Where.
        offset: FileOffset,
        /// How many bytes.
        length: u64,
        /// What they are.
        fill: Fill,
        /// `O_DIRECT`; offset and length must then be multiples of the device's sector.
        direct: bool,
        /// fsync(2) afterwards.
        sync: bool,
    },
    /// Creates a file, which must not exist, of so many extents that its map needs a btree: every other page is written,
    /// the pages between are holes. Written back with fsync(2).
    Fragment {
        /// The file.
        path: String,
        /// How many extents.
        extents: u32,
        /// What the written pages hold.
        fill: Fill,
    },
    /// truncate(2).
    Truncate {
        /// The file.
        path: String,
        /// The new size in bytes.
        size: u64,
    },
    /// fallocate(2).
    Allocate {
        /// The file.
        path: String,
        /// What becomes of the range.
        mode: Allocation,
        /// Where.
        offset: FileOffset,
        /// How many bytes.
        length: u64,
    },
    /// Writes something back.
    Sync {
        /// A file or directory; for [`SyncHow::Everything`] it is not looked at. One that is held open is not opened
        /// again: after a shutdown it could not be.
        path: String,
        /// With which call.
        how: SyncHow,
    },
    /// rename(2).
    Rename {
        /// The file or directory.
        from: String,
        /// Its new path; what is there is replaced.
        to: String,
    },
    /// link(2).
    Link {
        /// The file.
        from: String,
        /// The further name.
        to: String,
    },
    /// unlink(2).
    Unlink {
        /// The file.
        path: String,
    },
    /// mkdir(2).
    MakeDirectory {
        /// The directory.
        path: String,
    },
    /// rmdir(2).
    RemoveDirectory {
        /// The directory.
        path: String,
    },
    /// symlink(2). XFS keeps a target that is longer than what fits into the inode (336 bytes of a 512-byte inode
    /// without attributes) in a block of its own, at most 1023 bytes (`fs/xfs/libxfs/xfs_format.h:XFS_SYMLINK_MAXLEN`).
    Symlink {
        /// The symlink.
        path: String,
        /// What it says; it need not exist.
        target: String,
    },
    /// setxattr(2).
    SetXattr {
        /// The file.
        path: String,
        /// With its namespace, `user.note`.
        name: String,
        /// Bytes of the value; above 3/4 of a block or so XFS gives it blocks of its own.
        size: u32,
        /// Every byte of the value.
        fill: u8,
    },
    /// removexattr(2).
    RemoveXattr {
        /// The file.
        path: String,
        /// With its namespace.
        name: String,
    },
    /// ioctl(FICLONE): `to` is created, must not exist, and shares every block of `from`. Written back with fsync(2).
    Reflink {
        /// The file that exists.
        from: String,
        /// The one that must not.
        to: String,
    },
    /// ioctl(FICLONERANGE) into an existing file; a length of 0 means to the end of the first one.
    ReflinkRange(FileRanges),
    /// ioctl(XFS_IOC_EXCHANGE_RANGE) of two existing files, to the end of both, so that they exchange their sizes too; written
    /// back before it returns.
    Exchange {
        /// One of them.
        file: String,
        /// The other.
        with: String,
    },
    /// ioctl(FS_IOC_FSSETXATTR): what is `None` stays.
    SetFlags {
        /// A file or directory.
        path: String,
        /// What changes.
        flags: FlagChange,
    },
    /// Writes to `/proc/sys/vm/drop_caches`, without writing anything back before. What is dirty or in use stays; so do
    /// inodes that XFS has not got round to reclaiming. Only a remount is sure to have nothing in core.
    DropCaches {
        /// Page cache, dentries and inodes, or both.
        what: Caches,
    },
    /// Opens a file for reading and keeps it open, so that its inode stays in core and lives on when it is unlinked.
    Hold {
        /// The file or directory.
        path: String,
    },
    /// Closes what [`FileChange::Hold`] has opened under this path.
    LetGo {
        /// The path as it was held.
        path: String,
    },
}

/// fallocate(2)'s modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Allocation {
    /// 0: unwritten blocks where there are none, and a size that includes them.
    Extend,
    /// `FALLOC_FL_KEEP_SIZE`: the same, and the size stays.
    KeepSize,
    /// `FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE`.
    Punch,
    /// `FALLOC_FL_ZERO_RANGE`.
    Zero,
    /// `FALLOC_FL_COLLAPSE_RANGE`.
    Collapse,
    /// `FALLOC_FL_INSERT_RANGE`.
    Insert,
    /// `FALLOC_FL_UNSHARE_RANGE`.
    Unshare,
}

/// Ways to write back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyncHow {
    /// fsync(2).
    File,
    /// fdatasync(2).
    Data,
    /// syncfs(2): the filesystem that holds the file.
    Filesystem,
    /// sync(2), which never fails.
    Everything,
}

/// What goes with `drop_caches`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Caches {
    /// 1.
    Pages,
    /// 2.
    Inodes,
    /// 3.
    Both,
}

/// A change of a file's flags; `None` leaves one as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FlagChange {
    /// `FS_XFLAG_DAX`. It becomes the file's state (`STATX_ATTR_DAX`) when the inode is read in anew.
    pub dax: Option<bool>,
    /// The extent size hint in bytes, 0 for none; of a directory, what its new files inherit.
    pub extent_size: Option<u32>,
    /// The copy-on-write extent size hint in bytes, 0 for none.
    pub cow_extent_size: Option<u32>,
    /// `FS_XFLAG_REALTIME` of a file, `FS_XFLAG_RTINHERIT` of a directory.
    pub realtime: Option<bool>,
}

calls! {
    /// What is done to files.
    enum ChangeCall;

    /// Changes something about files.
    ChangeFile("change-file") -> Outcome<()> {
        /// What.
        change: FileChange,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_reads_like_what_it_is() {
        let change = FileChange::Allocate {
            path: "/mnt/a".to_owned(),
            mode: Allocation::Punch,
            offset: FileOffset(4096),
            length: 8192,
        };
        let text = serde_json::to_string(&change).unwrap();
        assert_eq!(
            text,
            r#"{"allocate":{"path":"/mnt/a","mode":"punch","offset":4096,"length":8192}}"#
        );
        assert_eq!(serde_json::from_str::<FileChange>(&text).unwrap(), change);
    }
}
