// SPDX-License-Identifier: MIT OR Apache-2.0
//! What files hold, what they are, and where they lie.

use super::{Outcome, calls};
use crate::address::{FileOffset, FsOffset, Resolved};
use serde::{Deserialize, Serialize};

/// A range of one file, and the range of another, as long, that something of the first goes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileRanges {
    /// The file that it comes from.
    pub from: String,
    /// Where it begins there.
    pub from_offset: FileOffset,
    /// The file that it goes to; it exists.
    pub to: String,
    /// Where it goes there.
    pub to_offset: FileOffset,
    /// Bytes.
    pub length: u64,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Bytes read; less than asked for at the end of the file.
    pub length: u64,
    /// The value of every byte, when all are alike and there is one.
    pub uniform: Option<u8>,
    /// Every byte is what [`Fill::Counting`] has there, and there is one.
    pub counting: bool,
    /// The first bytes, up to 16.
    pub head: Vec<u8>,
    /// Where the bytes cease to be like the first one; none where `uniform` is some, or nothing was read.
    pub turn: Option<Turn>,
    /// SHA-256 in lower-case hexadecimal digits, if it was asked for.
    pub sha256: Option<String>,
}

/// The first byte of a range that is not like those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    /// Where it stands in the file.
    pub at: FileOffset,
    /// Its value.
    pub byte: u8,
}

/// What FS_IOC_FSGETXATTR says of a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFlags {
    /// `FS_XFLAG_DAX`: what is wished; [`FileStatus::dax`] is what is.
    pub dax: bool,
    /// `FS_XFLAG_REALTIME` or, of a directory, `FS_XFLAG_RTINHERIT`.
    pub realtime: bool,
    /// The extent size hint in bytes; 0: none.
    pub extent_size: u32,
    /// The copy-on-write extent size hint in bytes; 0: none.
    pub cow_extent_size: u32,
    /// Extents of the data fork.
    pub extents: u32,
    /// All of `fsx_xflags`.
    pub raw: u32,
}

/// What statx(2) says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileStatus {
    /// What kind of thing it is.
    pub kind: FileKind,
    /// Bytes.
    pub size: u64,
    /// Inode number.
    pub inode: u64,
    /// Names.
    pub links: u32,
    /// Blocks of 512 bytes.
    pub blocks: u64,
    /// `STATX_ATTR_DAX`: its data is reached without the page cache, now. A kernel that does not know the attribute
    /// says no.
    pub dax: bool,
    /// The number of the device that its filesystem is on, as [`super::BlockDevice::number`]; a filesystem without one has a
    /// number of its own.
    pub device: u32,
}

/// What kind of thing a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symlink.
    Symlink,
    /// A device, a pipe, a socket.
    Other,
}

/// One extent, as FIEMAP tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// Its first byte in the file.
    pub logical: FileOffset,
    /// Where it lies on the filesystem's device, the realtime one if the file is there; `None` while it has no place (`FIEMAP_EXTENT_UNKNOWN`: delayed allocation) or its data are in the
    /// inode.
    pub physical: Option<FsOffset>,
    /// Bytes.
    pub length: u64,
    /// `FIEMAP_EXTENT_SHARED`.
    pub shared: bool,
    /// `FIEMAP_EXTENT_UNWRITTEN`.
    pub unwritten: bool,
}

/// What FIDEDUPERANGE did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Deduped {
    /// So many bytes are shared now.
    Shared(u64),
    /// `FILE_DEDUPE_RANGE_DIFFERS`: the contents are not the same, and nothing was done.
    Differs,
}

calls! {
    /// What is asked of files.
    enum FileCall;

    /// Reads with pread(2) and says what was there.
    ReadAt("read-at") -> Outcome<Contents> {
        /// The file.
        path: String,
        /// Where.
        offset: FileOffset,
        /// How many bytes.
        length: u64,
        /// `O_DIRECT`; offset and length must then be multiples of the device's sector.
        direct: bool,
        /// Whether to compute SHA-256, which an emulated processor takes a second per 10 MiB or so for.
        checksum: bool,
    }

    /// statx(2).
    Stat("stat") -> Outcome<FileStatus> {
        /// The path.
        path: String,
        /// Whether a symlink at its end is followed; otherwise the symlink itself is meant.
        follow: bool,
    }

    /// ioctl(FS_IOC_FSGETXATTR).
    AskFlags("ask-flags") -> Outcome<FileFlags> {
        /// The file or directory.
        path: String,
    }

    /// ioctl(FS_IOC_FIEMAP): all extents, in order. Writes delayed allocations back before (`FIEMAP_FLAG_SYNC`) if
    /// `sync`; a DAX file has none.
    AskExtents("ask-extents") -> Outcome<Vec<Extent>> {
        /// The file.
        path: String,
        /// Whether to write back first.
        sync: bool,
    }

    /// readlink(2): the target.
    ReadLink("read-link") -> Outcome<String> {
        /// The symlink.
        path: String,
    }

    /// readdir(3): the names, sorted, without `.` and `..`.
    ReadDirectory("read-directory") -> Outcome<Vec<String>> {
        /// The directory.
        path: String,
    }

    /// getxattr(2).
    GetXattr("get-xattr") -> Outcome<Contents> {
        /// The file.
        path: String,
        /// With its namespace.
        name: String,
    }

    /// ioctl(FIDEDUPERANGE) with one destination. Kernels do at most 16 MiB at once, and say how much they did.
    Dedupe("dedupe") -> Outcome<Deduped> {
        /// The blocks to be shared, and where those are that are to become the same.
        ranges: FileRanges,
    }

    /// copy_file_range(2), until `length` bytes are copied or there are no more: how many.
    CopyRange("copy-range") -> Outcome<u64> {
        /// What to read, and where to write it.
        ranges: FileRanges,
    }

    /// Follows a byte of a file down to the device.
    Resolve("resolve") -> Outcome<Resolved> {
        /// The file.
        path: String,
        /// The byte.
        offset: FileOffset,
        /// Whether to fault the page in and ask pagemap too. Not while victims are about: a new read fault of a
        /// shared block may take their page-table entries away.
        cross_check: bool,
    }
}
