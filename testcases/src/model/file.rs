// SPDX-License-Identifier: MIT OR Apache-2.0
//! What operations on files say.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::VictimPlace;
use crate::value::{Bytes, FilePath, Fill};

/// A file that is made and filled, and on the medium before the next step.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct WriteFile {
    /// The new file.
    pub file: FilePath,
    /// Its size, at least one byte.
    pub size: Bytes,
    /// What fills it.
    pub fill: Fill,
}

/// A part of a file that is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct WriteRange {
    /// The file, which exists.
    pub file: FilePath,
    /// Where to start.
    pub offset: Bytes,
    /// How much, not zero.
    pub length: Bytes,
    /// What is written.
    pub source: WriteSource,
    /// Whether the file is opened with O_DIRECT.
    pub direct: bool,
    /// Whether fsync(2) follows.
    pub sync: bool,
}

/// What is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WriteSource {
    /// Bytes that the case names.
    Fill(Fill),
    /// A victim's mapping is the buffer, and the victim makes the call.
    Mapping(VictimPlace),
}

/// A part of a file that is read.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct ReadRange {
    /// The file.
    pub file: FilePath,
    /// Where to start.
    pub offset: Bytes,
    /// How much, not zero.
    pub length: Bytes,
    /// Whether the file is opened with O_DIRECT.
    pub direct: bool,
    /// A victim's mapping is the buffer, and the victim makes the call.
    pub into: Option<VictimPlace>,
}

/// What a symbolic link holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkTarget {
    /// This text.
    Text(String),
    /// So many letters `a` in path components of at most 255; from some 400 on they do not fit into the inode, and have a
    /// block of their own.
    Length(Bytes),
}

/// One path and another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping like `{ from: a, to: b }`")]
pub struct FromTo {
    /// What exists.
    pub from: FilePath,
    /// What is made.
    pub to: FilePath,
}

/// Two files that exist.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping like `{ file: a, with: b }`")]
pub struct Exchange {
    /// One of them.
    pub file: FilePath,
    /// The other.
    pub with: FilePath,
}

/// A part of a file, and where it goes in another that exists.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ from: a, offset: 0, to: b, at: 4KiB, length: 4KiB }`"
)]
pub struct RangeToRange {
    /// The file that it comes from.
    pub from: FilePath,
    /// Where it starts there.
    pub offset: Bytes,
    /// The file that it goes to; it exists.
    pub to: FilePath,
    /// Where it goes there.
    pub at: Bytes,
    /// Its length, not zero.
    pub length: Bytes,
}

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ file: a, offset: 4KiB, length: 4KiB }`"
)]
pub struct FileRange {
    /// The file.
    pub file: FilePath,
    /// Where it starts.
    pub offset: Bytes,
    /// Its length, not zero.
    pub length: Bytes,
}

/// Space for a part of a file, which must exist.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ file: a, offset: 0, length: 2MiB }`"
)]
pub struct Allocate {
    /// The file.
    pub file: FilePath,
    /// Where the part starts.
    pub offset: Bytes,
    /// Its length, not zero.
    pub length: Bytes,
    /// Whether the file's size stays as it is (FALLOC_FL_KEEP_SIZE).
    #[serde(default)]
    pub keep_size: bool,
}

/// A new size.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping like `{ file: a, size: 4KiB }`")]
pub struct Truncate {
    /// The file.
    pub file: FilePath,
    /// Its new size.
    pub size: Bytes,
}

/// A new file of many extents: written blocks of 4 KiB at every other 4 KiB, on the medium before the next step.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ file: a, extents: 300, fill: 0x5a }`"
)]
pub struct Fragment {
    /// The new file. The n-th extent, counted from 0, lies at offset n * 8 KiB; the file ends with the last.
    pub file: FilePath,
    /// How many extents, at least one.
    pub extents: u32,
    /// What fills them.
    pub fill: Fill,
}

/// What is brought to the medium.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sync {
    /// The whole filesystem (syncfs(2)).
    Filesystem,
    /// A file with its attributes (fsync(2)).
    File(FilePath),
    /// A file's data (fdatasync(2)).
    Data(FilePath),
}

/// An extended attribute and its value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct SetXattr {
    /// The file.
    pub file: FilePath,
    /// The attribute's full name, such as `user.note`.
    pub name: String,
    /// The size of its value; from some hundred bytes on it has a block of its own.
    pub size: Bytes,
    /// The byte that fills the value.
    pub fill: u8,
}

/// An extended attribute of a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct XattrOf {
    /// The file.
    pub file: FilePath,
    /// The attribute's full name, such as `user.note`.
    pub name: String,
}

/// Flags of a file or directory; what is absent stays as it is. At least one is there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct SetFlags {
    /// The file or directory.
    pub file: FilePath,
    /// FS_XFLAG_DAX: the file, or new files in the directory, go past the page cache from the next time they are read in.
    pub dax: Option<bool>,
    /// FS_XFLAG_EXTSIZE and the size; 0 takes the flag away. On a directory, FS_XFLAG_EXTSZINHERIT.
    pub extsize: Option<Bytes>,
    /// FS_XFLAG_COWEXTSIZE and the size; 0 takes the flag away.
    pub cowextsize: Option<Bytes>,
    /// FS_XFLAG_REALTIME; on a directory, FS_XFLAG_RTINHERIT.
    pub realtime: Option<bool>,
}
