// SPDX-License-Identifier: MIT OR Apache-2.0
//! The steps of a case.

use std::path::PathBuf;

use serde::Serialize;
use words::Watcher;

use super::{Expect, ForkSpec, Injection, MarkSpec, Operation, Release, VictimSpec};
use crate::value::KernelRange;

/// One thing done or expected.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// The line of the case file where it begins, counted from 1; for a step that was included, the line of the `include`.
    pub line: usize,
    /// Where an included step itself stands.
    pub included: Option<Included>,
    /// The kernels on which the step is there; all if absent.
    pub when: Option<KernelRange>,
    /// What it is.
    pub action: Action,
}

/// A place in an included file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Included {
    /// The file.
    pub path: PathBuf,
    /// The line of the file, counted from 1.
    pub line: usize,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Does something that must succeed.
    Operation(Operation),
    /// Starts a process that maps files.
    Victim(VictimSpec),
    /// Has a victim make a child.
    Fork(ForkSpec),
    /// Ends victims, so that what they map can be unmounted.
    Release(Release),
    /// Starts something that hears what the kernel reports.
    Watch(Watcher),
    /// Remembers a page.
    Mark(MarkSpec),
    /// Injects memory errors.
    Inject(Injection),
    /// Says what holds now.
    Expect(Expect),
}
