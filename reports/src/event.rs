// SPDX-License-Identifier: MIT OR Apache-2.0
//! The one stream of typed events a run consists of.

use serde::{Deserialize, Serialize};

use crate::{CaseResult, ExitStatus, StepRecord};

/// Something that happened, and when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Seconds since the run began, by a clock that never goes back.
    pub at: f64,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What can happen in a run.
///
/// The stream begins with `RunStarted` and ends with `RunFinished`; a stream without its end is that of a runner that
/// was killed. Between them every planned case on every kernel gets exactly one `CaseFinished`, also when it never
/// started (untestable on this machine, or its image could not be built): a planned case without a verdict makes the
/// run broken.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    /// The run begins. Always the first event.
    RunStarted {
        /// Taster's own version.
        taster: String,
        /// The command line.
        command: Vec<String>,
        /// The wall clock at the moment that all `at`s count from.
        started_at: jiff::Timestamp,
        /// How many verdicts the run owes: cases times kernels.
        planned: usize,
        /// The machine it runs on.
        host: String,
    },
    /// Something a reader of the reports should know: the accelerator and why.
    Note {
        /// The sentence.
        text: String,
    },
    /// Long preparation begins: a download, an image, the canary's boot.
    WorkStarted {
        /// Its name among all work of this run.
        work: String,
        /// What is done, in a few words.
        what: String,
    },
    /// Preparation goes on.
    WorkProgress {
        /// The name from `WorkStarted`.
        work: String,
        /// How much is done, in `unit`s.
        done: u64,
        /// How much there is to do, when that is known.
        total: Option<u64>,
        /// What is counted: `B` for bytes, `files`, …
        unit: String,
        /// What is being done right now.
        detail: Option<String>,
    },
    /// Preparation is over.
    WorkFinished {
        /// The name from `WorkStarted`.
        work: String,
        /// How long it took, in seconds.
        seconds: f64,
        /// How it ended.
        outcome: WorkOutcome,
    },
    /// A case begins.
    CaseStarted {
        /// The case.
        case: String,
        /// The kernel, as [`Environment::kernel`](crate::Environment::kernel) names it.
        kernel: String,
        /// How many steps it has.
        steps: usize,
    },
    /// A step begins.
    StepStarted {
        /// The case.
        case: String,
        /// The kernel.
        kernel: String,
        /// Its place in the case, counted from 0.
        index: usize,
        /// What it does, in a few words.
        what: String,
    },
    /// A step is over.
    StepFinished {
        /// The case.
        case: String,
        /// The kernel.
        kernel: String,
        /// How it went.
        step: StepRecord,
    },
    /// A case is judged.
    CaseFinished {
        /// The verdict and all that led to it.
        result: Box<CaseResult>,
    },
    /// The run is over. Always the last event.
    RunFinished {
        /// What the runner is about to exit with.
        exit: ExitStatus,
        /// Whether somebody stopped it.
        interrupted: bool,
        /// How long it took, in seconds.
        seconds: f64,
    },
}

/// How a piece of preparation ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkOutcome {
    /// Well; with a few words about the result, or none.
    Ok(String),
    /// Badly, and why.
    Error(String),
}
