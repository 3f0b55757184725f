// SPDX-License-Identifier: MIT OR Apache-2.0
//! The events of a run, its record, and everything that renders them.
//!
//! A runner emits one stream of [`Event`]s and nothing else. Whoever wants to know about the run is a [`Reader`] of
//! that stream: the [`terminal`], the [`EventLog`] on disk, the [`Recorder`] that folds it into a [`RunRecord`].
//! Reports ([`junit`], `report.json`) are functions of the record, so a finished run can be rendered again later.
//!
//! This crate never talks to a guest and knows none of the project's other crates.

mod case;
mod error;
mod event;
mod explain;
pub mod files;
mod fold;
mod junit;
mod oracle;
mod reader;
mod record;
#[cfg(test)]
mod samples;
pub mod terminal;
pub mod text;
mod verdict;

pub use case::{Attachment, CaseResult, Environment, Finding, LogLines, SourceLine, StepRecord};
pub use error::Error;
pub use event::{Event, EventKind, WorkOutcome};
pub use fold::Recorder;
pub use junit::{Totals, junit, junit_totals};
pub use oracle::{AppliedRule, Coverage, Prediction, PredictionRecord, Unpredicted};
pub use reader::{EventLog, Reader, Readers, SharedRecorder, read_events};
pub use record::{RunRecord, SCHEMA, Unfinished, VERSION, WorkRecord};
pub use terminal::Terminal;
pub use verdict::{Counts, ExitStatus, Verdict, exit_status};
