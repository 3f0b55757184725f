// SPDX-License-Identifier: MIT OR Apache-2.0
//! What must come of a run: its exit status, its verdicts, its reports.

use super::running::{Ended, last_words_of};
use super::trouble::{Outcome, Trouble, must, wrong};
use super::world::World;
use anyhow::Context;
use harness::run::OutFolder;
use reports::{CaseResult, ExitStatus, RunRecord, Verdict};

impl Ended {
    /// Ended with this exit status.
    pub(super) fn is(&self, expected: ExitStatus) -> Outcome {
        let saw = match self.status {
            Some(status) => format!("exit status {status}"),
            None => "a signal ended it".to_owned(),
        };
        must(
            self.status == Some(i32::from(expected.code())),
            format!("exit status {}", expected.code()),
            format!("{saw}{}", last_words_of(&self.said)),
        )
    }

    /// Said these words.
    pub(super) fn says(&self, words: &str) -> Outcome {
        must(
            self.said.contains(words),
            format!("the words `{words}`"),
            last_words_of(&self.said).trim_start_matches("; ").to_owned(),
        )
    }
}

/// A run with its exit status, and with reports that are of one mind.
pub(super) fn finished(world: &World<'_>, ended: &Ended, expected: ExitStatus) -> Result<RunRecord, Trouble> {
    ended.is(expected)?;
    let record = record(world, "out")?;
    must(
        record.exit == expected,
        format!("exit status {} in the record", expected.code()),
        record.exit.code().to_string(),
    )?;
    Ok(record)
}

/// The record in a folder, with which junit.xml and events agree.
pub(super) fn record(world: &World<'_>, out: &str) -> Result<RunRecord, Trouble> {
    let folder = world.path(out);
    let checked = world.command(["report".as_ref(), "--check".as_ref(), folder.as_os_str()])?;
    must(
        checked.status == Some(0),
        "reports that agree",
        last_words_of(&checked.said).trim_start_matches("; ").to_owned(),
    )?;
    Ok(RunRecord::read(folder.join(OutFolder::RECORD)).context("cannot read the record of a run")?)
}

/// The case has this verdict, for a reason with these words.
pub(super) fn judged(record: &RunRecord, case: &str, verdict: Verdict, words: &str) -> Outcome {
    let result = result_of(record, case)?;
    let because = match words {
        "" => String::new(),
        words => format!(", because `{words}`"),
    };
    must(
        result.verdict == verdict && result.reason.contains(words),
        format!("{case}: {verdict}{because}"),
        format!("{}: {}", result.verdict, result.reason),
    )
}

pub(super) fn result_of<'r>(record: &'r RunRecord, case: &str) -> Result<&'r CaseResult, Trouble> {
    record
        .results
        .iter()
        .find(|result| result.case == case)
        .ok_or_else(|| wrong(format!("a verdict on {case}"), "none in the record"))
}

/// The run has passed with all its cases.
pub(super) fn all_pass(world: &World<'_>, ended: &Ended) -> Result<RunRecord, Trouble> {
    let record = finished(world, ended, ExitStatus::Ok)?;
    must(
        record.results.len() == record.planned,
        format!("{} verdicts", record.planned),
        record.results.len().to_string(),
    )?;
    for result in &record.results {
        judged(&record, &result.case, Verdict::Pass, "")?;
    }
    Ok(record)
}

/// A note with all these words.
pub(super) fn noted(record: &RunRecord, words: &[&str]) -> Outcome {
    let found = record
        .notes
        .iter()
        .any(|note| words.iter().all(|word| note.contains(word)));
    must(
        found,
        format!("a note with `{}`", words.join("` and `")),
        format!("the notes: {}", record.notes.join(" | ")),
    )
}

/// No note with these words.
pub(super) fn not_noted(record: &RunRecord, words: &str) -> Outcome {
    let found = record.notes.iter().find(|note| note.contains(words));
    must(
        found.is_none(),
        format!("no note with `{words}`"),
        found.map(String::as_str).unwrap_or_default(),
    )
}
