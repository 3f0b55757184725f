// SPDX-License-Identifier: MIT OR Apache-2.0
//! The steps of a case.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

/// Something that hears what the kernel reports of the filesystem or its device, and writes it down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Watcher {
    /// XFS's health monitor (XFS_IOC_HEALTH_MONITOR, from 7.0 on): a line for each of its events, in JSON.
    Health,
    /// fanotify with FAN_FS_ERROR: a line for each event.
    Fanotify,
    /// poll(2) of the first NVDIMM's list of bad blocks: the list, in a line, for each time that it wakes.
    Badblocks,
}

impl Watcher {
    /// The watcher that a case writes so.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        [Self::Health, Self::Fanotify, Self::Badblocks]
            .into_iter()
            .find(|watcher| watcher.as_str() == word)
    }

    /// The word that a case writes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Fanotify => "fanotify",
            Self::Badblocks => "badblocks",
        }
    }
}
