// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a case says, once every doubt about it is settled.

mod case;
mod describe;
mod expect;
mod step;
mod template;

pub use case::{Case, CaseId, CaseIdError, KnownIssue};
pub use describe::describe;
pub use expect::{
    BadRange, BusCode, CallResult, Expect, FilesystemState, Killed, NotifyFailure, Operation, Outcome,
    ShutdownReason, StateExpectation,
};
pub use step::{
    Action, Injection, KillPolicy, Mechanism, MetadataKind, MountSpec, Reflink, Release, Severity, Step,
    Target, UnmountSpec, VictimSpec, WriteFile,
};
pub use template::{Ground, Isolation, Log, Template, UnknownIsolation, Xfs};
