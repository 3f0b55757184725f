// SPDX-License-Identifier: MIT OR Apache-2.0
//! Steps: one table of what can be done and tried, from which all that depends on it is made.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::expectations::{
    BadRangeDocument, ContentsDocument, FileStateDocument, LinesDocument, PageFlagsDocument, SignalDocument,
    TraceDocument,
};
use super::files::{
    DirectoryDocument, FileDocument, ListDocument, ReadDocument, ReflinkDocument, SetFlagsDocument,
    SetXattrDocument, SymlinkDocument, SyncDocument, WriteDocument, XattrDocument,
};
use super::head::IncludeDocument;
use super::injections::{InjectDocument, MarkDocument};
use super::shapes::OneOrMany;
use super::system::{
    NothingDocument, RemountDocument, RunDocument, SetDocument, ShutdownDocument, SysctlDocument,
};
use super::victims::{
    AdviseDocument, PlaceDocument, StoreDocument, UnmapDocument, VictimDocument, VictimPlaceDocument,
};
use super::words::Ending;
use crate::model::{
    Allocate, CallResult, DeadlySignal, Exchange, FileRange, FilesystemState, ForkSpec, Fragment, FromTo,
    MountSpec, NotifyFailure, PolicySpec, RangeToRange, Release, SentSignal, Truncate, Watcher,
};
use crate::value::{Bytes, Comm, FileName, FilePath, VictimName, byte};

/// Makes the types that know every operation: steps, what can be tried in an expectation, and the operation itself.
macro_rules! verbs {
    (
        operations { $( $(#[$doc:meta])* $field:ident $word:literal $variant:ident($type:ty); )* }
        steps { $($steps:tt)* }
        expectations { $($expectations:tt)* }
    ) => {
        /// The words of all operations.
        pub(crate) const OPERATIONS: &[&str] = &[$($word),*];

        /// Something that is done, or tried.
        #[derive(Debug)]
        pub(crate) enum OperationDocument {
            $( $variant($type), )*
        }

        /// One step: a mapping with one key.
        #[derive(Debug, Deserialize, JsonSchema)]
        #[schemars(rename = "Step")]
        pub(crate) enum StepDocument {
            $( $(#[$doc])* #[serde(rename = $word)] $variant($type), )*
            $($steps)*
        }

        impl StepDocument {
            /// The operation that this step is, or the step itself if it is something else.
            pub(crate) fn into_operation(self) -> Result<OperationDocument, Self> {
                match self {
                    $( Self::$variant(document) => Ok(OperationDocument::$variant(document)), )*
                    other => Err(other),
                }
            }
        }

        /// What holds now, or one operation and how it ends.
        #[derive(Debug, Deserialize, JsonSchema)]
        #[serde(
            deny_unknown_fields,
            expecting = "a mapping like `{ filesystem: up }` or `{ stat: { file: a }, error: EIO }`"
        )]
        #[schemars(rename = "Expect", extend("minProperties" = 1))]
        pub(crate) struct ExpectDocument {
            $($expectations)*
            $( $(#[$doc])* #[serde(rename = $word)]
               pub(crate) $field: Option<$type>, )*
        }

        impl ExpectDocument {
            /// The operation that is tried.
            pub(crate) fn take_operation(&mut self) -> Option<OperationDocument> {
                $( if let Some(document) = self.$field.take() {
                    return Some(OperationDocument::$variant(document));
                } )*
                None
            }
        }
    };
}

verbs! {
    operations {
        /// Makes and fills a file (`size`), or writes a part of one that exists.
        write "write" Write(WriteDocument);
        /// Reads a part of a file.
        read "read" Read(ReadDocument);
        /// Creates an empty file.
        create "create" Create(FileDocument);
        /// Makes a directory.
        mkdir "mkdir" Mkdir(DirectoryDocument);
        /// Takes an empty directory away.
        rmdir "rmdir" Rmdir(DirectoryDocument);
        /// Reads the names in a directory.
        list "list" List(ListDocument);
        /// Makes a symbolic link.
        symlink "symlink" Symlink(SymlinkDocument);
        /// Reads what a symbolic link holds.
        readlink "readlink" Readlink(FileDocument);
        /// Gives a file or directory another name.
        rename "rename" Rename(FromTo);
        /// Gives a file a second name.
        link "link" Link(FromTo);
        /// Takes a file's name away.
        unlink "unlink" Unlink(FileDocument);
        /// Makes a file, or a part of one, that shares the blocks of another.
        reflink "reflink" Reflink(ReflinkDocument);
        /// Makes two parts of files share their blocks if they hold the same.
        dedupe "dedupe" Dedupe(RangeToRange);
        /// Copies a part of a file into another (copy_file_range(2)).
        copy "copy" Copy(RangeToRange);
        /// Exchanges all that two files hold (XFS_IOC_EXCHANGE_RANGE).
        exchange "exchange" Exchange(Exchange);
        /// Allocates space for a part of a file.
        allocate "allocate" Allocate(Allocate);
        /// Takes the blocks of a part of a file away.
        punch "punch" Punch(FileRange);
        /// Makes a part of a file read as zeros.
        zero "zero" Zero(FileRange);
        /// Takes a part out of a file.
        collapse "collapse" Collapse(FileRange);
        /// Puts a hole into a file.
        insert "insert" Insert(FileRange);
        /// Gives a part of a file blocks of its own.
        unshare "unshare" Unshare(FileRange);
        /// Sets a file's size.
        truncate "truncate" Truncate(Truncate);
        /// Makes a file of many extents with holes between them.
        fragment "fragment" Fragment(Fragment);
        /// Brings the filesystem, a file or its data to the medium.
        sync "sync" Sync(SyncDocument);
        /// Asks for the attributes of a file or directory.
        stat "stat" Stat(FileDocument);
        /// Gives a file an extended attribute.
        set_xattr "set-xattr" SetXattr(SetXattrDocument);
        /// Reads an extended attribute.
        get_xattr "get-xattr" GetXattr(XattrDocument);
        /// Takes an extended attribute away.
        remove_xattr "remove-xattr" RemoveXattr(XattrDocument);
        /// Sets flags of a file or directory.
        set_flags "set-flags" SetFlags(SetFlagsDocument);
        /// Opens a file and keeps it open.
        open "open" Open(FileDocument);
        /// Closes a file that was opened.
        close "close" Close(FileDocument);
        /// Has the kernel forget clean caches.
        drop_caches "drop-caches" DropCaches(NothingDocument);
        /// Mounts the filesystem.
        mount "mount" Mount(MountSpec);
        /// Unmounts the filesystem.
        unmount "unmount" Unmount(NothingDocument);
        /// Changes the options of the mount.
        remount "remount" Remount(RemountDocument);
        /// Stops all writing to the filesystem.
        freeze "freeze" Freeze(NothingDocument);
        /// Lets it go on.
        thaw "thaw" Thaw(NothingDocument);
        /// Shuts the filesystem down on purpose.
        shutdown "shutdown" Shutdown(ShutdownDocument);
        /// Checks the unmounted filesystem with `xfs_repair -n`.
        repair "repair" Repair(NothingDocument);
        /// Runs a shell command in the guest.
        run "run" Run(RunDocument);
        /// Sets kernel parameters.
        sysctl "sysctl" Sysctl(SysctlDocument);
        /// Writes to a file of /sys or /proc.
        set "set" Set(SetDocument);
        /// Has a victim read a byte through its mapping.
        touch "touch" Touch(VictimPlaceDocument);
        /// Has a victim write a byte through its mapping.
        store "store" Store(StoreDocument);
        /// Has a victim give up a mapping.
        unmap "unmap" Unmap(UnmapDocument);
        /// Changes the memory-failure policy of a victim or of its thread.
        policy "policy" Policy(PolicySpec);
        /// Has a victim give advice on its mapping (madvise(2)).
        advise "advise" Advise(AdviseDocument);
    }
    steps {
        /// Starts a process that maps files and reports every signal it gets.
        #[serde(rename = "victim")]
        Victim(Box<VictimDocument>),
        /// Has a victim make a child, which is a victim too.
        #[serde(rename = "fork")]
        Fork(ForkSpec),
        /// Ends these victims, so that what they map can be unmounted.
        #[serde(rename = "release")]
        Release(Release),
        /// Starts something that hears what the kernel reports of the filesystem.
        #[serde(rename = "watch")]
        Watch(Watcher),
        /// Remembers where a page lies, so that it can be hit when nothing leads to it any more.
        #[serde(rename = "mark")]
        Mark(Box<MarkDocument>),
        /// Injects memory errors.
        #[serde(rename = "inject")]
        Inject(Box<InjectDocument>),
        /// Says what holds now, or how an operation ends that is tried now.
        #[serde(rename = "expect")]
        Expect(Box<ExpectDocument>),
        /// The steps of another file stand here.
        #[serde(rename = "include")]
        Include(IncludeDocument),
    }
    expectations {
        /// Victims that got a SIGBUS since the latest injection: all that they got, in order.
        #[schemars(with = "BTreeMap<VictimName, OneOrMany<SignalDocument>>", default)]
        pub(crate) killed: Option<BTreeMap<VictimName, OneOrMany<SignalDocument>>>,
        /// Victims that a signal has ended.
        #[schemars(with = "BTreeMap<VictimName, DeadlySignal>", default)]
        pub(crate) died: Option<BTreeMap<VictimName, DeadlySignal>>,
        /// Victims that got no signal since the latest injection.
        #[schemars(with = "Vec<VictimName>", default)]
        pub(crate) alive: Option<Vec<VictimName>>,
        /// Victims for whom a SIGBUS waits that they have blocked.
        #[schemars(with = "Vec<VictimName>", default)]
        pub(crate) pending: Option<Vec<VictimName>>,
        /// Processes that are no victims, by what the kernel calls them (`comm`), and the signal that each got since the
        /// latest injection.
        #[schemars(with = "BTreeMap<Comm, SentSignal>", default)]
        pub(crate) signalled: Option<BTreeMap<Comm, SentSignal>>,
        /// Places at which a victim has a page.
        #[schemars(with = "BTreeMap<VictimName, OneOrMany<PlaceDocument>>", default)]
        pub(crate) present: Option<BTreeMap<VictimName, OneOrMany<PlaceDocument>>>,
        /// Places at which a victim has none.
        #[schemars(with = "BTreeMap<VictimName, OneOrMany<PlaceDocument>>", default)]
        pub(crate) absent: Option<BTreeMap<VictimName, OneOrMany<PlaceDocument>>>,
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
        /// What the kernel has said since the latest injection.
        #[schemars(with = "LinesDocument", default)]
        pub(crate) log: Option<LinesDocument>,
        /// Trace events since the latest injection.
        #[schemars(with = "OneOrMany<TraceDocument>", default)]
        pub(crate) trace: Option<OneOrMany<TraceDocument>>,
        /// By how much HardwareCorrupted of /proc/meminfo has grown.
        #[schemars(with = "Bytes", default)]
        pub(crate) hardware_corrupted: Option<Bytes>,
        /// Flags of the page that the latest injection hit.
        #[schemars(with = "PageFlagsDocument", default)]
        pub(crate) page_flags: Option<PageFlagsDocument>,
        /// What the filesystem says of files.
        #[schemars(with = "BTreeMap<FilePath, FileStateDocument>", default)]
        pub(crate) files: Option<BTreeMap<FilePath, FileStateDocument>>,
        /// What watchers have seen.
        #[schemars(with = "BTreeMap<Watcher, LinesDocument>", default)]
        pub(crate) watched: Option<BTreeMap<Watcher, LinesDocument>>,
        /// How the operation ends: the name of an errno, `none`, or for dedupe `differs`.
        #[schemars(with = "Ending", default)]
        pub(crate) error: Option<Ending>,
        /// The read succeeds, and gives this.
        #[schemars(with = "ContentsDocument", default)]
        pub(crate) contains: Option<ContentsDocument>,
        /// The touch gets this byte.
        #[serde(default, deserialize_with = "byte::deserialize_some")]
        #[schemars(with = "u8", default)]
        pub(crate) value: Option<u8>,
        /// The touch or store ends in this signal.
        #[schemars(with = "SignalDocument", default)]
        pub(crate) raises: Option<SignalDocument>,
        /// The command exits with this status.
        #[schemars(with = "u8", default)]
        pub(crate) status: Option<u8>,
        /// The command says this.
        #[schemars(with = "LinesDocument", default)]
        pub(crate) output: Option<LinesDocument>,
        /// The directory has exactly these names.
        #[schemars(with = "Vec<FileName>", default)]
        pub(crate) names: Option<Vec<FileName>>,
    }
}

/// The words for what can be seen.
pub(crate) const STATE: &[&str] = &[
    "killed",
    "died",
    "alive",
    "pending",
    "signalled",
    "present",
    "absent",
    "injector",
    "notify_failure",
    "filesystem",
    "badblocks",
    "log",
    "trace",
    "hardware_corrupted",
    "page_flags",
    "files",
    "watched",
];

/// The words for how an operation ends.
pub(crate) const ENDINGS: &[&str] = &[
    "error", "contains", "value", "raises", "status", "output", "names",
];
