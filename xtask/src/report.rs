// SPDX-License-Identifier: MIT OR Apache-2.0
//! `report`: a finished run, rendered again or checked, from its record alone.

use crate::flags::ReportFlags;
use crate::{Stopped, print};
use anyhow::{Context, anyhow, ensure};
use harness::run::OutFolder;
use reports::terminal::Look;
use reports::{EventKind, ExitStatus, Reader, RunRecord, Terminal, Totals};
use std::io::IsTerminal;
use std::path::Path;

/// What a run leaves in its folder.
const RECORD: &str = OutFolder::RECORD;
const JUNIT: &str = OutFolder::JUNIT;

pub(crate) fn run(flags: &ReportFlags) -> Result<ExitStatus, Stopped> {
    let record = read(&flags.folder)?;
    if flags.check {
        is_of_this_run(&record, &flags.folder).map_err(Stopped::broken)?;
        let found = check(&record, &flags.folder.join(JUNIT)).map_err(Stopped::broken)?;
        let text = format!(
            "the reports agree: tests {}, failures {}, errors {}, skipped {}; exit status {}\n",
            found.tests,
            found.failures,
            found.errors,
            found.skipped,
            record.exit_status().code()
        );
        return print::text(&text, "cannot say that the reports agree");
    }
    record.write(flags.folder.join(RECORD)).map_err(Stopped::broken)?;
    show(&record, &flags.folder).map_err(Stopped::broken)?;
    write_junit(&record, &flags.folder).map_err(Stopped::broken)?;
    Ok(record.exit_status())
}

/// The record in a folder; of a run that was killed, what its events amount to. That there is neither means that another
/// folder was meant.
fn read(folder: &Path) -> Result<RunRecord, Stopped> {
    let other_folder = |why: &str| {
        Stopped::usage(anyhow!(
            "{} {why}; name the folder that a run told as \"reports and evidence\"",
            folder.display()
        ))
    };
    if !folder.exists() {
        return Err(other_folder("does not exist"));
    }
    OutFolder::is_free(folder).map_err(Stopped::usage)?;
    let (record, events) = (folder.join(RECORD), folder.join(OutFolder::EVENTS));
    if record.exists() {
        return RunRecord::read(&record).map_err(Stopped::broken);
    }
    if !events.exists() {
        return Err(other_folder("holds no report.json, nor the events of a run"));
    }
    reports::read_events(&events)
        .and_then(RunRecord::from_events)
        .map_err(Stopped::broken)
}

/// Refuses a record that stands beside the events of another run. Without events there is nothing to compare with.
fn is_of_this_run(record: &RunRecord, folder: &Path) -> anyhow::Result<()> {
    let events = folder.join(OutFolder::EVENTS);
    if !events.exists() {
        return Ok(());
    }
    let began = reports::read_events(&events)?
        .into_iter()
        .find_map(|event| match event.kind {
            EventKind::RunStarted { started_at, .. } => Some(started_at),
            _ => None,
        });
    ensure!(
        began == Some(record.started_at),
        "{} is the record of another run than the one whose events are beside it",
        folder.join(RECORD).display()
    );
    Ok(())
}

/// Shows what the terminal showed when the run was over. Nothing moves, for nothing is under way any more.
fn show(record: &RunRecord, folder: &Path) -> Result<(), reports::Error> {
    let mut look = Look::for_output(std::io::stdout().is_terminal()).with_out(folder);
    look.live = false;
    let mut terminal = Terminal::new(std::io::stdout(), look);
    for event in record.events() {
        terminal.event(&event);
    }
    terminal.finish()
}

/// Writes a record's JUnit document into the folder of its run.
pub(crate) fn write_junit(record: &RunRecord, folder: &Path) -> Result<(), reports::Error> {
    let junit = reports::junit(record)?;
    reports::files::write_atomically(folder.join(JUNIT), junit.as_bytes())
}

/// Whether a JUnit document is well-formed, is the record's, and agrees with its exit status.
fn check(record: &RunRecord, path: &Path) -> anyhow::Result<Totals> {
    let shown = path.display();
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {shown}"))?;
    let found = String::from_utf8(bytes).with_context(|| format!("{shown} is not UTF-8"))?;
    let totals = reports::junit_totals(&found).with_context(|| format!("{shown} cannot be relied on"))?;
    let expected = reports::junit(record)?;
    if let Some(line) = first_difference(&found, &expected) {
        return Err(anyhow!(
            "{shown} is not what the record beside it renders to: they differ from line {line} on; \
             `cargo xtask report` without --check writes it anew"
        ));
    }
    let status = record.exit_status();
    ensure!(
        (status == ExitStatus::Ok) == (totals.failures + totals.errors == 0),
        "{shown} has {} failures and {} errors, but the run's exit status is {}",
        totals.failures,
        totals.errors,
        status.code()
    );
    Ok(totals)
}

/// The first line, counted from 1, in which two texts differ; none if they are equal.
fn first_difference(a: &str, b: &str) -> Option<usize> {
    if a == b {
        return None;
    }
    let same = a
        .split('\n')
        .zip(b.split('\n'))
        .take_while(|(a, b)| a == b)
        .count();
    Some(same + 1)
}

#[cfg(test)]
mod tests {
    use super::first_difference;

    #[test]
    fn lines_are_counted_from_one() {
        assert_eq!(first_difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(first_difference("a\nb\n", "a\nc\n"), Some(2));
        assert_eq!(first_difference("x", "y"), Some(1));
        assert_eq!(first_difference("a\n", "a\n\n"), Some(3));
        assert_eq!(first_difference("a", "a\n"), Some(2));
    }
}
