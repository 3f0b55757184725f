// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files and directories as a case writes them.

use schemars::JsonSchema;
use serde::Deserialize;

use super::text::XattrName;
use super::victims::VictimPlaceDocument;
use super::words::Text;
use crate::value::{Bytes, FilePath, Fill, byte};

/// The default of everything that reaches over a page.
pub(super) fn page() -> Bytes {
    Bytes(4096)
}

/// A new file (`size`), or a part of an existing one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ file: a, size: 2MiB, fill: 0x5a }`"
)]
#[schemars(
    rename = "Write",
    extend("oneOf" = [
        { "required": ["size", "fill"] },
        { "not": { "required": ["size"] }, "required": ["fill"] },
        { "not": { "required": ["size"] }, "required": ["from"] },
    ])
)]
pub(crate) struct WriteDocument {
    /// The file: a new one with `size`, else one that exists.
    pub(crate) file: FilePath,
    /// The size of a new file, which is on the medium before the next step.
    #[schemars(with = "Bytes", default)]
    pub(crate) size: Option<Bytes>,
    /// Where to start in an existing file.
    #[schemars(with = "Bytes", default)]
    pub(crate) offset: Option<Bytes>,
    /// How much of an existing file is written; 4KiB if absent.
    #[schemars(with = "Bytes", default)]
    pub(crate) length: Option<Bytes>,
    /// What is written.
    #[schemars(with = "Fill", default)]
    pub(crate) fill: Option<Fill>,
    /// Whether an existing file is opened with O_DIRECT.
    #[serde(default)]
    pub(crate) direct: bool,
    /// Whether fsync(2) follows the write to an existing file; true if absent.
    #[schemars(with = "bool", default)]
    pub(crate) sync: Option<bool>,
    /// The buffer, in place of `fill`: a victim's mapping.
    #[schemars(with = "VictimPlaceDocument", default)]
    pub(crate) from: Option<VictimPlaceDocument>,
}

/// A read with pread(2).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping like `{ file: a, offset: 4KiB }`")]
#[schemars(rename = "Read")]
pub(crate) struct ReadDocument {
    /// The file.
    pub(crate) file: FilePath,
    /// Where to start; 0 if absent.
    #[serde(default)]
    pub(crate) offset: Bytes,
    /// How much; 4KiB if absent.
    #[serde(default = "page")]
    pub(crate) length: Bytes,
    /// Whether the file is opened with O_DIRECT.
    #[serde(default)]
    pub(crate) direct: bool,
    /// The buffer: a victim's mapping.
    #[schemars(with = "VictimPlaceDocument", default)]
    pub(crate) into: Option<VictimPlaceDocument>,
}

/// A file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping like `{ file: a }`")]
#[schemars(rename = "File")]
pub(crate) struct FileDocument {
    /// The file.
    pub(crate) file: FilePath,
}

/// A directory.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping like `{ directory: d }`")]
#[schemars(rename = "Directory")]
pub(crate) struct DirectoryDocument {
    /// The directory.
    pub(crate) directory: FilePath,
}

/// A directory, or the top of the filesystem.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping, `{}` or `{ directory: d }`")]
#[schemars(rename = "List")]
pub(crate) struct ListDocument {
    /// The directory; the top of the filesystem if absent.
    #[schemars(with = "FilePath", default)]
    pub(crate) directory: Option<FilePath>,
}

/// A symbolic link.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping like `{ at: s, to: a }`")]
#[schemars(rename = "Symlink", extend("oneOf" = [{ "required": ["to"] }, { "required": ["length"] }]))]
pub(crate) struct SymlinkDocument {
    /// The link.
    pub(crate) at: FilePath,
    /// What it holds.
    #[schemars(with = "Text", default)]
    pub(crate) to: Option<Text>,
    /// It holds so many letters; from some 400 on they have a block of their own.
    #[schemars(with = "Bytes", default)]
    pub(crate) length: Option<Bytes>,
}

/// A whole file that shares the blocks of another, or a part that does.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping like `{ from: a, to: b }`")]
#[schemars(rename = "Reflink")]
pub(crate) struct ReflinkDocument {
    /// The file that exists.
    pub(crate) from: FilePath,
    /// The file that is made; if a part is shared, one that exists.
    pub(crate) to: FilePath,
    /// Where the part starts in `from`.
    #[schemars(with = "Bytes", default)]
    pub(crate) offset: Option<Bytes>,
    /// Where it goes in `to`.
    #[schemars(with = "Bytes", default)]
    pub(crate) at: Option<Bytes>,
    /// How long the part is.
    #[schemars(with = "Bytes", default)]
    pub(crate) length: Option<Bytes>,
}

/// The whole filesystem, or a file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping, `{}` or `{ file: a }`")]
#[schemars(rename = "Sync")]
pub(crate) struct SyncDocument {
    /// The file; all of the filesystem if absent.
    #[schemars(with = "FilePath", default)]
    pub(crate) file: Option<FilePath>,
    /// Only the data of the file (fdatasync(2)).
    #[serde(default)]
    pub(crate) data: bool,
}

/// An extended attribute and its value.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ file: a, name: user.note, size: 2000, fill: 1 }`"
)]
#[schemars(rename = "SetXattr")]
pub(crate) struct SetXattrDocument {
    /// The file.
    pub(crate) file: FilePath,
    /// The attribute's full name.
    pub(crate) name: XattrName,
    /// The size of the value, at most 64KiB.
    pub(crate) size: Bytes,
    /// The byte that fills it.
    #[serde(deserialize_with = "byte::deserialize")]
    pub(crate) fill: u8,
}

/// An extended attribute.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ file: a, name: user.note }`"
)]
#[schemars(rename = "Xattr")]
pub(crate) struct XattrDocument {
    /// The file.
    pub(crate) file: FilePath,
    /// The attribute's full name.
    pub(crate) name: XattrName,
}

/// Flags of a file or directory; what is absent stays as it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping like `{ file: a, dax: true }`")]
#[schemars(rename = "SetFlags", extend("minProperties" = 2))]
pub(crate) struct SetFlagsDocument {
    /// The file or directory.
    pub(crate) file: FilePath,
    /// FS_XFLAG_DAX.
    #[schemars(with = "bool", default)]
    pub(crate) dax: Option<bool>,
    /// The extent size hint; 0 takes it away.
    #[schemars(with = "Bytes", default)]
    pub(crate) extsize: Option<Bytes>,
    /// The extent size hint for copy on write; 0 takes it away.
    #[schemars(with = "Bytes", default)]
    pub(crate) cowextsize: Option<Bytes>,
    /// FS_XFLAG_REALTIME, or for a directory FS_XFLAG_RTINHERIT.
    #[schemars(with = "bool", default)]
    pub(crate) realtime: Option<bool>,
}
