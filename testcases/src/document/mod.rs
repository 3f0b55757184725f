// SPDX-License-Identifier: MIT OR Apache-2.0
//! A case file as it is written: what may stand where. Parser and JSON schema both come from these types.
//!
//! Strict everywhere, and no flattened, untagged or internally tagged types: serde_yaml loses the place of a mistake in
//! those. What the types cannot say ("exactly one of these keys") is said when the document is lowered to the model.

mod template;
mod words;

use std::collections::BTreeMap;

use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde::Deserialize;

use crate::model::{
    CallResult, FilesystemState, Isolation, Killed, MetadataKind, MountSpec, NotifyFailure, Reflink, Release,
    Severity, Template, UnmountSpec, VictimSpec, WriteFile,
};
use crate::syntax::Later;
use crate::value::{Bytes, FileName, KernelRange, VictimName, byte};
pub(crate) use words::{Ending, Text};

/// A testcase: a guest's state, what is done to it, and what is expected.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping with `summary`, `why`, `template` and `steps`"
)]
#[schemars(title = "Testcase")]
pub(crate) struct Document {
    /// What the case shows, in one or two sentences.
    #[schemars(required)]
    pub(crate) summary: Option<Later<Text>>,
    /// Where the behaviour comes from: the thread, patch or source that promises it.
    #[schemars(required)]
    pub(crate) why: Option<Later<Text>>,
    /// The guest that the case starts from.
    #[schemars(required)]
    pub(crate) template: Option<Later<Template>>,
    /// How the case gets its guest: by `clone`, if absent, or by `boot`, whatever the run does with the others.
    #[schemars(with = "Isolation", default)]
    pub(crate) isolation: Option<Later<Isolation>>,
    /// The kernels that the case applies to; any, if absent.
    #[schemars(with = "KernelRange", default)]
    pub(crate) kernel: Option<Later<KernelRange>>,
    /// What happens, in order; expectations stand where they hold.
    #[schemars(required, length(min = 1))]
    pub(crate) steps: Option<Later<Vec<Later<StepDocument>>>>,
    /// The kernels that are known to get it wrong, and how that shows.
    #[schemars(with = "Vec<KnownIssueDocument>", default)]
    pub(crate) known_issues: Option<Later<Vec<Later<KnownIssueDocument>>>>,
}

/// One step: a mapping with one key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Step")]
pub(crate) enum StepDocument {
    /// Creates a file and fills it.
    Write(WriteFile),
    /// Makes a file that shares all blocks of another.
    Reflink(Reflink),
    /// Starts a process that maps a file and reports every signal it gets.
    Victim(VictimSpec),
    /// Ends these victims, so that what they map can be unmounted.
    Release(Release),
    /// Injects one memory error.
    Inject(InjectDocument),
    /// Says what holds now, or how an operation ends that is tried now.
    Expect(Box<ExpectDocument>),
    /// Unmounts the filesystem; a failure fails the case.
    Unmount(UnmountSpec),
    /// Mounts the filesystem again; a failure fails the case.
    Mount(MountSpec),
}

/// One memory error: by `machine-check` or through `debugfs`, at a target.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    rename_all = "kebab-case",
    expecting = "a mapping like `{ machine-check: action-optional, at: { file: a, offset: 4KiB } }`"
)]
#[schemars(rename = "Inject", extend("oneOf" = [{ "required": ["machine-check"] }, { "required": ["debugfs"] }]))]
pub(crate) struct InjectDocument {
    /// The machine raises a machine check.
    #[schemars(with = "Severity", default)]
    pub(crate) machine_check: Option<Severity>,
    /// A file of /sys/kernel/debug/hwpoison is written.
    #[schemars(with = "DebugfsFile", default)]
    pub(crate) debugfs: Option<DebugfsFile>,
    /// What is hit.
    pub(crate) at: TargetDocument,
}

/// A file of /sys/kernel/debug/hwpoison.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DebugfsFile {
    /// Takes the number of a page and treats the page as hit, in the context of the writer.
    CorruptPfn,
}

/// What is hit: a byte of a `file`, a kind of `metadata`, or `space` that nobody owns.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a target like `{ file: a, offset: 4KiB }`, `{ metadata: ag-header, ag: 1 }` or `{ space: free }`"
)]
#[schemars(
    rename = "Target",
    extend("oneOf" = [{ "required": ["file", "offset"] }, { "required": ["metadata"] }, { "required": ["space"] }])
)]
pub(crate) struct TargetDocument {
    /// The page that holds a byte of this file.
    #[schemars(with = "FileName", default)]
    pub(crate) file: Option<FileName>,
    /// The byte of the file.
    #[schemars(with = "Bytes", default)]
    pub(crate) offset: Option<Bytes>,
    /// A page of the filesystem's own.
    #[schemars(with = "MetadataKind", default)]
    pub(crate) metadata: Option<MetadataKind>,
    /// A page that belongs to nobody.
    #[schemars(with = "SpaceKind", default)]
    pub(crate) space: Option<SpaceKind>,
    /// The allocation group of metadata or space; 0 if absent.
    #[schemars(with = "u32", default)]
    pub(crate) ag: Option<u32>,
}

/// Space that holds nothing of the filesystem's.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SpaceKind {
    /// Not allocated.
    Free,
}

/// What holds now (any of killed, alive, injector, notify_failure, filesystem, badblocks), or one operation and how it ends.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ filesystem: up }` or `{ stat: { file: a }, error: EIO }`"
)]
#[schemars(rename = "Expect", extend("minProperties" = 1))]
pub(crate) struct ExpectDocument {
    /// Victims that got a memory-failure signal since the latest injection, and which.
    #[schemars(with = "BTreeMap<VictimName, Killed>", default)]
    pub(crate) killed: Option<BTreeMap<VictimName, Killed>>,
    /// Victims that got no signal since the latest injection.
    #[schemars(with = "Vec<VictimName>", default)]
    pub(crate) alive: Option<Vec<VictimName>>,
    /// How the call ended by which the latest error was injected: `ok`, or an errno.
    #[schemars(with = "CallResult", default)]
    pub(crate) injector: Option<CallResult>,
    /// What xfs_dax_notify_failure() did with the latest injection.
    #[schemars(with = "NotifyFailure", default)]
    pub(crate) notify_failure: Option<NotifyFailure>,
    /// Whether the filesystem works.
    #[schemars(with = "FilesystemState", default)]
    pub(crate) filesystem: Option<FilesystemState>,
    /// Exactly these ranges are recorded as bad; an empty list means none.
    #[schemars(with = "Vec<BadRangeDocument>", default)]
    pub(crate) badblocks: Option<Vec<BadRangeDocument>>,

    /// Reads a part of a file.
    #[schemars(with = "ReadDocument", default)]
    pub(crate) read: Option<ReadDocument>,
    /// Writes a part of a file that exists.
    #[schemars(with = "WriteDocument", default)]
    pub(crate) write: Option<WriteDocument>,
    /// Creates an empty file.
    #[schemars(with = "FileDocument", default)]
    pub(crate) create: Option<FileDocument>,
    /// Asks for a file's attributes.
    #[schemars(with = "FileDocument", default)]
    pub(crate) stat: Option<FileDocument>,
    /// Mounts the filesystem.
    #[schemars(with = "MountSpec", default)]
    pub(crate) mount: Option<MountSpec>,
    /// Unmounts the filesystem.
    #[schemars(with = "UnmountSpec", default)]
    pub(crate) unmount: Option<UnmountSpec>,

    /// How the operation ends: the name of an errno, or `none`.
    #[schemars(with = "Ending", default)]
    pub(crate) error: Option<Ending>,
    /// The read succeeds, and every byte is this one.
    #[serde(default, deserialize_with = "byte::deserialize_some")]
    #[schemars(with = "u8", default)]
    pub(crate) contains: Option<u8>,
}

/// A read with pread(2).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping like `{ file: a, offset: 4KiB }`")]
#[schemars(rename = "Read")]
pub(crate) struct ReadDocument {
    /// The file.
    pub(crate) file: FileName,
    /// Where to start.
    pub(crate) offset: Bytes,
    /// How much; 4KiB if absent.
    #[serde(default = "page")]
    pub(crate) length: Bytes,
}

/// A write with pwrite(2) and fsync(2).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ file: a, offset: 4KiB, fill: 0x5a }`"
)]
#[schemars(rename = "WriteRange")]
pub(crate) struct WriteDocument {
    /// The file, which exists.
    pub(crate) file: FileName,
    /// Where to start; 0 if absent.
    #[serde(default)]
    pub(crate) offset: Bytes,
    /// How much; 4KiB if absent.
    #[serde(default = "page")]
    pub(crate) length: Bytes,
    /// The byte that is written.
    #[serde(deserialize_with = "byte::deserialize")]
    pub(crate) fill: u8,
}

/// A file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping like `{ file: a }`")]
#[schemars(rename = "File")]
pub(crate) struct FileDocument {
    /// The file.
    pub(crate) file: FileName,
}

/// A bad range: a part of a `file`, or from the start of the page that was `injected`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a range like `{ file: a, offset: 4KiB, length: 4KiB }` or `{ injected: 4KiB }`"
)]
#[schemars(
    rename = "BadRange",
    extend("oneOf" = [{ "required": ["file", "offset", "length"] }, { "required": ["injected"] }])
)]
pub(crate) struct BadRangeDocument {
    /// The range is where a part of this file lies.
    #[schemars(with = "FileName", default)]
    pub(crate) file: Option<FileName>,
    /// The start of the range in the file.
    #[schemars(with = "Bytes", default)]
    pub(crate) offset: Option<Bytes>,
    /// The length of the range.
    #[schemars(with = "Bytes", default)]
    pub(crate) length: Option<Bytes>,
    /// So many bytes from the start of the page that the latest injection hit.
    #[schemars(with = "Bytes", default)]
    pub(crate) injected: Option<Bytes>,
}

/// A defect that some kernels are known to have, and how it shows in this case: by a `splat`, a `finding`, or both.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping with `kernel`, `splat` or `finding`, and `because`"
)]
#[schemars(rename = "KnownIssue", extend("anyOf" = [{ "required": ["splat"] }, { "required": ["finding"] }]))]
pub(crate) struct KnownIssueDocument {
    /// The kernels that have it.
    pub(crate) kernel: KernelRange,
    /// A part of the warning or oops that the kernel prints.
    #[schemars(with = "Text", default)]
    pub(crate) splat: Option<Text>,
    /// A part of what the judge then finds.
    #[schemars(with = "Text", default)]
    pub(crate) finding: Option<Text>,
    /// What is wrong, for someone who meets it in a report.
    pub(crate) because: Text,
}

fn page() -> Bytes {
    Bytes(4096)
}

/// The JSON schema (draft 7, which editors know) of a case file.
pub fn json_schema() -> serde_json::Value {
    // An absent key has no value that could be its default.
    let no_null = |schema: &mut Schema| {
        if schema.get("default").is_some_and(serde_json::Value::is_null) {
            schema.remove("default");
        }
    };
    schemars::generate::SchemaSettings::draft07()
        .with_transform(RecursiveTransform(no_null))
        .into_generator()
        .into_root_schema_for::<Document>()
        .to_value()
}
