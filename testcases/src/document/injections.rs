// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory errors as a case writes them.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::model::{DebugfsFile, Device, MadviseError, MceInject, Severity, SysfsFile};
use crate::value::{Bytes, FilePath, MarkName, VictimName};

/// One memory error, or several: by one way, at a target.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a mapping like `{ machine-check: action-optional, at: { file: a, offset: 4KiB } }`"
)]
#[schemars(
    rename = "Inject",
    extend("oneOf" = [
        { "required": ["machine-check"] },
        { "required": ["madvise"] },
        { "required": ["debugfs"] },
        { "required": ["sysfs"] },
        { "required": ["mce-inject"] },
    ])
)]
pub(crate) struct InjectDocument {
    /// The machine raises a machine check.
    #[schemars(with = "Severity", default)]
    pub(crate) machine_check: Option<Severity>,
    /// A victim injects into its own mapping.
    #[schemars(with = "MadviseError", default)]
    pub(crate) madvise: Option<MadviseError>,
    /// A file of /sys/kernel/debug/hwpoison is written.
    #[schemars(with = "DebugfsFile", default)]
    pub(crate) debugfs: Option<DebugfsFile>,
    /// A file of /sys is written.
    #[schemars(with = "SysfsFile", default)]
    pub(crate) sysfs: Option<SysfsFile>,
    /// The kernel's own injector of machine checks is told.
    #[schemars(with = "MceInject", default)]
    pub(crate) mce_inject: Option<MceInject>,
    /// What is hit.
    pub(crate) at: TargetDocument,
    /// How often, one after the other; once if absent.
    #[schemars(with = "NonZeroU32", default)]
    pub(crate) times: Option<NonZeroU32>,
}

/// A page that is remembered.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ name: spot, at: { file: a, offset: 4KiB } }`"
)]
#[schemars(rename = "Mark")]
pub(crate) struct MarkDocument {
    /// How the case calls the page.
    pub(crate) name: MarkName,
    /// Where it lies now.
    pub(crate) at: TargetDocument,
}

/// What is hit: a byte of a `file`, the page that a `victim` has, a kind of `metadata`, a kind of `space`, the `last-block`, a
/// place of a `device`, a `pfn`, or what was `mark`ed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a target like `{ file: a, offset: 4KiB }`, `{ metadata: ag-header, ag: 1 }` or `{ space: free }`"
)]
#[schemars(
    rename = "Target",
    extend("anyOf" = [
        { "required": ["file", "offset"] },
        { "required": ["victim", "offset"] },
        { "required": ["metadata"] },
        { "required": ["space"] },
        { "required": ["last-block"] },
        { "required": ["device"] },
        { "required": ["pfn"] },
        { "required": ["mark"] },
    ])
)]
pub(crate) struct TargetDocument {
    /// The page that holds a byte of this file; or whose metadata or unwritten space it is.
    #[schemars(with = "FilePath", default)]
    pub(crate) file: Option<FilePath>,
    /// The page that this victim has at the offset.
    #[schemars(with = "VictimName", default)]
    pub(crate) victim: Option<VictimName>,
    /// The byte of the file, or of the victim's mapping.
    #[schemars(with = "Bytes", default)]
    pub(crate) offset: Option<Bytes>,
    /// Every page of a range from there on, one after the other; only the one page if absent.
    #[schemars(with = "Bytes", default)]
    pub(crate) length: Option<Bytes>,
    /// Which of the victim's mappings, counted from 0; the first if absent.
    #[schemars(with = "u32", default)]
    pub(crate) map: Option<u32>,
    /// Whether the file must be proved to be DAX, or not to be; true if absent.
    #[schemars(with = "bool", default)]
    pub(crate) dax: Option<bool>,
    /// A page of the filesystem's own.
    #[schemars(with = "MetadataWord", default)]
    pub(crate) metadata: Option<MetadataWord>,
    /// A page of space that is no file's data.
    #[schemars(with = "SpaceWord", default)]
    pub(crate) space: Option<SpaceWord>,
    /// The last page of an allocation group, or of the filesystem.
    #[schemars(with = "LastBlockWord", default)]
    pub(crate) last_block: Option<LastBlockWord>,
    /// The allocation group of metadata, space or last block; 0 if absent.
    #[schemars(with = "u32", default)]
    pub(crate) ag: Option<u32>,
    /// The byte of a device, whatever is there.
    #[schemars(with = "Bytes", default)]
    pub(crate) device: Option<Bytes>,
    /// Which device that is; the one that is mounted if absent.
    #[schemars(with = "Device", default)]
    pub(crate) of: Option<Device>,
    /// The number of a page frame, whatever is there.
    #[schemars(with = "u64", default)]
    pub(crate) pfn: Option<u64>,
    /// The page that was marked under this name, whatever is there now.
    #[schemars(with = "MarkName", default)]
    pub(crate) mark: Option<MarkName>,
}

/// What the filesystem keeps in a page.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum MetadataWord {
    /// The first block of an allocation group: superblock, AGF, AGI, AGFL.
    AgHeader,
    /// The btrees of free space and of the reverse mapping.
    AgBtree,
    /// The btrees of inodes.
    InodeBtree,
    /// The btree of reference counts.
    RefcountBtree,
    /// Inodes.
    InodeChunk,
    /// The log.
    Log,
    /// A block of a file's extent map.
    ExtentMap,
    /// A block of a file's extended attributes.
    Attributes,
    /// A block of a directory's names.
    Directory,
    /// The block of a long symbolic link.
    Symlink,
    /// A block of the user quota's inode.
    Quota,
}

/// Space that is no file's data.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SpaceWord {
    /// Not allocated.
    Free,
    /// Reserved for a copy on write that has not been finished.
    CowStaging,
    /// Allocated to a file, and never written.
    Unwritten,
}

/// Of what the last block is meant.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LastBlockWord {
    /// Of an allocation group.
    Group,
    /// Of the filesystem.
    Device,
}
