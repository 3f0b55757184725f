// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is known about one case on one kernel once it has been judged.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{PredictionRecord, Verdict};

/// One thing that was wrong, with the place in the case file that says what would have been right.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Finding {
    /// The step of the case it belongs to, counted from 0; none when it belongs to the case as a whole (a splat).
    pub step: Option<usize>,
    /// The line of the case file, counted from 1.
    pub line: Option<usize>,
    /// What kind of thing was wrong, as a known issue names it: `injector`. Empty in records of before there were kinds.
    #[serde(default)]
    pub kind: String,
    /// What it is about: a victim, a file, an event, the pattern of a line.
    #[serde(default)]
    pub subject: Option<String>,
    /// The whole of it as a known issue would name it: `{ kind: injector, seen: EUCLEAN }`. None where `splat` names it, or
    /// nothing can.
    #[serde(default)]
    pub signature: Option<String>,
    /// One sentence, for people: what was wrong.
    pub what: String,
    /// What the case, or the oracle, wanted.
    pub expected: Option<String>,
    /// What the evidence holds instead.
    pub seen: Option<String>,
    /// What the oracle knows of it: the facts from before the error, and the rule with the kernel's function.
    #[serde(default)]
    pub because: Option<String>,
}

/// Where a case ran. Strings that are not known (the guest never booted) are empty.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Environment {
    /// The kernel by the name it was chosen by: `debian-6.12`, or a path. The axis of every grid of results.
    pub kernel: String,
    /// What the guest's `uname -r` says.
    pub kernel_release: String,
    /// What the guest's `uname -v` says.
    pub kernel_version: String,
    /// The commit the kernel was built from, where the build tree tells.
    pub kernel_commit: Option<String>,
    /// The version QEMU reports of itself.
    pub qemu_version: String,
    /// The accelerator in use: `tcg`, `kvm`.
    pub accelerator: String,
    /// Why this one and no other.
    pub accelerator_reason: String,
    /// The CPU model the guest was given.
    pub cpu_model: String,
    /// The digest of the guest image.
    pub image: String,
    /// How the case got its guest: `clone`, `boot`. Empty for one that got none.
    #[serde(default)]
    pub isolation: String,
}

/// One step of a case, as it went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Its place in the case, counted from 0.
    pub index: usize,
    /// Its line in the case file, counted from 1.
    pub line: usize,
    /// What it does, in a few words: `inject machine-check at a+4KiB`.
    pub what: String,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The error when it failed; none when it did what it should.
    pub outcome: Option<String>,
}

/// A line of a case's file, as it was when the case ran, so that reports need not look for the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceLine {
    /// Counted from 1.
    pub line: usize,
    /// Its text.
    pub text: String,
}

/// How much the kernel said, in lines; both 0 where that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogLines {
    /// From the case's first step on.
    pub own: usize,
    /// In all, with the boot.
    pub all: usize,
}

/// A file that belongs to a case's evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// What it is: `console`.
    pub name: String,
    /// Where it is, relative to the run's output folder.
    pub path: PathBuf,
}

/// One case on one kernel, judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CaseResult {
    /// The case by name: `data/shared-block`.
    pub case: String,
    /// The case's file, as it shall be shown to a reader.
    pub file: String,
    /// The case's own summary.
    pub summary: String,
    /// What the judge said.
    pub verdict: Verdict,
    /// Why, in one line; empty for a clean pass.
    pub reason: String,
    /// Everything that was wrong.
    pub findings: Vec<Finding>,
    /// The `because` of every known-issue entry that matched.
    pub known_issues: Vec<String>,
    /// Where it ran.
    pub environment: Environment,
    /// The steps that were taken.
    pub steps: Vec<StepRecord>,
    /// When it began.
    pub started_at: jiff::Timestamp,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// The last lines of what the kernel said from the case's first step on.
    pub log: String,
    /// How many lines there are of it.
    #[serde(default)]
    pub log_lines: LogLines,
    /// The lines of the case's file that findings speak of.
    #[serde(default)]
    pub source: Vec<SourceLine>,
    /// What the oracle had to say of each memory error that the case made, in order.
    #[serde(default)]
    pub oracle: Vec<PredictionRecord>,
    /// Files that hold more.
    pub attachments: Vec<Attachment>,
    /// Everything that was observed, as the harness recorded it; the reports pass it on unread.
    pub evidence: serde_json::Value,
}
