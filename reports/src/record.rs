// SPDX-License-Identifier: MIT OR Apache-2.0
//! The record of a run: all that its reports are made from, as `report.json`.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{CaseResult, Error, Event, EventKind, ExitStatus, Recorder, WorkOutcome, exit_status, files};

/// The name of the record's format, in its `schema` field.
pub const SCHEMA: &str = "taster-report";

/// The version of the record's format that this crate writes and reads.
pub const VERSION: u32 = 1;

/// Everything about a run, complete enough to render every report again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// Always [`VERSION`]; raised when a reader of the old format would misread the new one.
    pub version: u32,
    /// Taster's own version.
    pub taster: String,
    /// The command line.
    pub command: Vec<String>,
    /// The machine the run was on.
    pub host: String,
    /// When it began.
    pub started_at: jiff::Timestamp,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// How many verdicts the run owed.
    pub planned: usize,
    /// How it ended. Never milder than what the results amount to.
    pub exit: ExitStatus,
    /// Whether it was stopped before its end.
    pub interrupted: bool,
    /// What the runner wanted its readers to know.
    pub notes: Vec<String>,
    /// The preparation that was done.
    pub work: Vec<WorkRecord>,
    /// The cases that were judged, by kernel and case, whichever finished first.
    pub results: Vec<CaseResult>,
    /// The cases that were begun and never judged.
    pub unfinished: Vec<Unfinished>,
}

/// A piece of preparation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkRecord {
    /// Its name among all work of the run.
    pub work: String,
    /// What was done.
    pub what: String,
    /// How long it took, in seconds; 0 while it is not over.
    pub seconds: f64,
    /// How it ended; none when the run ended before it did.
    pub outcome: Option<WorkOutcome>,
}

/// A case that was begun and never judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// The case.
    pub case: String,
    /// The kernel.
    pub kernel: String,
    /// What it was doing when it was last heard of.
    pub doing: Option<String>,
}

impl RunRecord {
    /// Folds a stream into its record. Nothing but the stream goes in.
    ///
    /// A stream that breaks off before `RunFinished` gives the record of an interrupted run. Fails when the stream does
    /// not begin with `RunStarted`, or holds a second one.
    pub fn from_events(events: impl IntoIterator<Item = Event>) -> Result<Self, Error> {
        let mut recorder = Recorder::new();
        for event in events {
            recorder.add(event);
        }
        recorder.into_record()
    }

    /// The stream that this record could have come from, without what only matters while a run is on (steps,
    /// progress). Feeding it to a [`Reader`](crate::Reader) renders the run again.
    pub fn events(&self) -> Vec<Event> {
        let mut kinds = vec![EventKind::RunStarted {
            taster: self.taster.clone(),
            command: self.command.clone(),
            started_at: self.started_at,
            planned: self.planned,
            host: self.host.clone(),
        }];
        kinds.extend(
            self.notes
                .iter()
                .map(|text| EventKind::Note { text: text.clone() }),
        );
        for work in &self.work {
            kinds.push(EventKind::WorkStarted {
                work: work.work.clone(),
                what: work.what.clone(),
            });
            kinds.extend(work.outcome.clone().map(|outcome| EventKind::WorkFinished {
                work: work.work.clone(),
                seconds: work.seconds,
                outcome,
            }));
        }
        for Unfinished { case, kernel, doing } in &self.unfinished {
            let (case, kernel) = (case.clone(), kernel.clone());
            kinds.push(EventKind::CaseStarted {
                case: case.clone(),
                kernel: kernel.clone(),
                steps: 0,
            });
            kinds.extend(doing.clone().map(|what| EventKind::StepStarted {
                case,
                kernel,
                index: 0,
                what,
            }));
        }
        kinds.extend(self.results.iter().map(|result| EventKind::CaseFinished {
            result: Box::new(result.clone()),
        }));
        kinds.push(EventKind::RunFinished {
            exit: self.exit,
            interrupted: self.interrupted,
            seconds: self.seconds,
        });
        kinds
            .into_iter()
            .map(|kind| Event {
                at: self.seconds,
                kind,
            })
            .collect()
    }

    /// The status to exit with: the graver of what the runner said and what its results amount to. A planned case
    /// without a verdict is a broken harness, for silence is never a pass.
    pub fn exit_status(&self) -> ExitStatus {
        let silent = if self.missing() > 0 {
            ExitStatus::Broken
        } else {
            ExitStatus::Ok
        };
        self.exit
            .worst(exit_status(&self.results, self.interrupted))
            .worst(silent)
    }

    /// How many verdicts the run still owes.
    pub fn missing(&self) -> usize {
        self.planned.saturating_sub(self.results.len())
    }

    /// What is wrong with the run as a whole, as sentences; empty when its results say all there is to say. Every
    /// report shows these, so that no bad run looks good for want of a failing case.
    pub fn troubles(&self) -> Vec<String> {
        let mut troubles = Vec::new();
        match (self.interrupted, self.missing()) {
            (false, 0) => {}
            (true, 0) => troubles.push("The run was interrupted.".to_owned()),
            (true, missing) => troubles.push(format!(
                "The run was interrupted: {missing} of {} planned verdicts missing.",
                self.planned
            )),
            (false, missing) => {
                troubles.push(format!("{missing} of {} planned verdicts missing.", self.planned));
            }
        }
        troubles.extend(
            self.unfinished
                .iter()
                .map(|Unfinished { case, kernel, doing }| match doing {
                    Some(doing) => {
                        format!("{case} on {kernel} was begun and never judged; last it did: {doing}.")
                    }
                    None => format!("{case} on {kernel} was begun and never judged."),
                }),
        );
        let explained = exit_status(&self.results, self.interrupted);
        if explained == ExitStatus::NothingJudged {
            troubles.push(if self.results.is_empty() {
                "Nothing was judged: no case ran.".to_owned()
            } else {
                "Nothing was judged: every case is untestable.".to_owned()
            });
        }
        let exit = self.exit_status();
        if exit != explained && troubles.is_empty() {
            troubles.push(format!(
                "The run ended with exit status {}, which no case explains.",
                exit.code()
            ));
        }
        if !troubles.is_empty() {
            troubles.extend(self.work.iter().filter_map(|work| match &work.outcome {
                Some(WorkOutcome::Error(error)) => Some(format!("{} failed: {error}", work.what)),
                _ => None,
            }));
        }
        troubles
    }

    /// Reads a record from a file.
    ///
    /// Fails when the file cannot be read, is no JSON, is not a record of ours, or is one of a version that this crate
    /// does not know.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(|source| Error::Read {
            path: path.to_owned(),
            source,
        })?;
        let not_a_report = |source| Error::NotAReport {
            path: path.to_owned(),
            source,
        };
        let header: Header = serde_json::from_slice(&bytes).map_err(not_a_report)?;
        if header.schema != SCHEMA {
            return Err(Error::OtherSchema {
                path: path.to_owned(),
                found: header.schema,
            });
        }
        if header.version != u64::from(VERSION) {
            return Err(Error::OtherVersion {
                path: path.to_owned(),
                found: header.version,
            });
        }
        serde_json::from_slice(&bytes).map_err(not_a_report)
    }

    /// Writes the record to a file, as readable JSON, all of it or nothing.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        let mut bytes = serde_json::to_vec_pretty(self).map_err(|source| Error::Json {
            path: path.to_owned(),
            source,
        })?;
        bytes.push(b'\n');
        files::write_atomically(path, &bytes)
    }
}

/// The part of a record that stays the same in every version.
#[derive(Deserialize)]
struct Header {
    schema: String,
    version: u64,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::RunRecord;
    use crate::samples::{any_record, one_of_each, record, result};
    use crate::{Error, ExitStatus, Verdict};

    fn read(value: &serde_json::Value) -> Result<RunRecord, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        std::fs::write(&path, value.to_string()).unwrap();
        RunRecord::read(&path)
    }

    #[test]
    fn a_record_comes_back_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/report.json");
        let record = record(one_of_each(), false);
        record.write(&path).unwrap();
        assert_eq!(RunRecord::read(&path).unwrap(), record);
    }

    #[test]
    fn what_is_no_record_of_ours_is_refused_by_name() {
        let good = serde_json::to_value(record(one_of_each(), false)).unwrap();
        let changed = |key: &str, value| {
            let mut changed = good.clone();
            changed[key] = value;
            read(&changed).unwrap_err().to_string()
        };
        let newer = changed("version", json!(2));
        assert!(
            newer.contains("is a record of version 2, and this taster reads version 1"),
            "{newer}"
        );
        let other = changed("schema", json!("nextest"));
        assert!(
            other.contains("its schema is \"nextest\", not \"taster-report\""),
            "{other}"
        );
        assert!(changed("results", json!(1)).ends_with("report.json is not the record of a run"));
        assert!(matches!(
            read(&json!({"version": 1})),
            Err(Error::NotAReport { .. })
        ));
        // A newer record need not look like ours to be recognised.
        let newer = read(&json!({"schema": "taster-report", "version": 9, "runs": []}));
        assert!(matches!(newer, Err(Error::OtherVersion { found: 9, .. })));
        assert!(matches!(
            RunRecord::read("/nowhere/at/all"),
            Err(Error::Read { .. })
        ));
    }

    #[test]
    fn a_verdict_that_is_owed_is_no_pass() {
        let mut record = record(vec![result("a/b", "k", Verdict::Pass)], false);
        assert_eq!(
            (record.exit_status(), record.troubles()),
            (ExitStatus::Ok, vec![])
        );
        record.planned = 2;
        assert_eq!(record.exit_status(), ExitStatus::Broken);
        assert_eq!(record.troubles(), ["1 of 2 planned verdicts missing."]);
    }

    #[test]
    fn an_exit_status_that_no_case_explains_is_explained() {
        let mut record = record(vec![result("a/b", "k", Verdict::Fail)], false);
        assert_eq!(record.troubles(), Vec::<String>::new());
        record.exit = ExitStatus::Broken;
        assert_eq!(
            record.troubles(),
            ["The run ended with exit status 3, which no case explains."]
        );
    }

    proptest! {
        #[test]
        fn a_run_is_well_exactly_when_nothing_is_wrong_with_it(record in any_record()) {
            let counts = crate::Counts::of(&record.results);
            let well = record.troubles().is_empty() && counts.fail + counts.broken == 0;
            prop_assert_eq!(record.exit_status() == ExitStatus::Ok, well);
        }

        #[test]
        fn any_record_survives_its_json(record in any_record()) {
            let json = serde_json::to_string(&record).unwrap();
            prop_assert_eq!(serde_json::from_str::<RunRecord>(&json).unwrap(), record);
        }
    }
}
