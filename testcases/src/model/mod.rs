// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a case says, once every doubt about it is settled.

mod case;
mod describe;
mod expect;
mod file;
mod finding;
mod injection;
mod operation;
mod page_flag;
mod signal;
mod step;
mod subject;
mod system;
mod template;
mod trace;
mod victim;
mod words;

pub use ::words::{Advice, Disposition, KillPolicy, MadviseError, MappingKind, PageSize, Watcher};
pub use case::{Case, CaseId, CaseIdError, KnownIssue, Parameter};
pub use describe::{describe, target as describe_target};
pub use expect::{
    BadRange, CallResult, Contents, Expect, FieldValue, FileState, FilesystemState, Lines, NotifyFailure,
    Outcome, PageFlagsExpectation, Sharing, ShutdownReason, StateExpectation, TraceExpectation,
};
pub use file::{
    Allocate, Exchange, FileRange, Fragment, FromTo, LinkTarget, RangeToRange, ReadRange, SetFlags, SetXattr,
    Sync, Truncate, WriteFile, WriteRange, WriteSource, XattrOf,
};
pub(crate) use finding::Key as FindingKey;
pub use finding::{FindingKind, FindingSignature, FindingValue, FindingValueError, FindingWord, SeenSignal};
pub use injection::{
    DebugfsFile, Device, FileMetadata, GroupMetadata, Injection, MarkSpec, MceInject, Mechanism, Severity,
    SysfsFile, Target,
};
pub use operation::{
    DataAccess, Effect, FileKind, FileOperation, InMapping, MountOperation, Named, NewSize, Operation,
    OperationFacts, SizeChange, SystemOperation, VictimOperation, Writes,
};
pub use page_flag::PageFlag;
pub use signal::{BusCode, DeadlySignal, Lsb, SentSignal, SignalExpectation};
pub use step::{Action, Included, Step};
pub use system::{AdviseSpec, Flush, MountSpec, PolicySpec, RunSpec, SetSpec, StoreSpec};
pub use template::{Ground, Isolation, Log, Template, UnknownIsolation, Xfs};
pub use trace::TracedEvent;
pub use victim::{
    Access, CharacterDevice, ForkSpec, Mapped, Mapping, Place, Release, VictimPlace, VictimSpec,
};
