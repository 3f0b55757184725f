// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the stream to the record.

use crate::{
    CaseResult, Error, Event, EventKind, ExitStatus, Reader, RunRecord, SCHEMA, Unfinished, VERSION,
    WorkRecord,
};

/// Folds events into a [`RunRecord`], one at a time.
#[derive(Debug, Default)]
pub struct Recorder {
    record: Option<RunRecord>,
    finished: bool,
    fault: Option<StreamFault>,
}

/// What makes a stream one that no run emits.
#[derive(Debug, Clone, Copy)]
enum StreamFault {
    NoStart,
    TwoStarts,
}

impl Recorder {
    /// A recorder that has seen nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next event.
    pub fn add(&mut self, event: Event) {
        let Event { at, kind } = event;
        match (&mut self.record, kind) {
            (
                slot @ None,
                EventKind::RunStarted {
                    taster,
                    command,
                    started_at,
                    planned,
                    host,
                },
            ) => {
                *slot = Some(RunRecord {
                    schema: SCHEMA.to_owned(),
                    version: VERSION,
                    taster,
                    command,
                    host,
                    started_at,
                    seconds: 0.0,
                    planned,
                    // Until the stream says otherwise it is that of a runner that was killed.
                    exit: ExitStatus::Interrupted,
                    interrupted: true,
                    notes: Vec::new(),
                    work: Vec::new(),
                    results: Vec::new(),
                    unfinished: Vec::new(),
                });
            }
            (None, _) => self.fault = self.fault.or(Some(StreamFault::NoStart)),
            (Some(_), EventKind::RunStarted { .. }) => {
                self.fault = self.fault.or(Some(StreamFault::TwoStarts));
            }
            (
                Some(record),
                EventKind::RunFinished {
                    exit,
                    interrupted,
                    seconds,
                },
            ) => {
                record.interrupted = interrupted;
                record.seconds = seconds;
                record.exit = exit;
                self.finished = true;
            }
            (Some(record), kind) => {
                if !self.finished {
                    record.seconds = at;
                }
                apply(record, kind);
            }
        }
    }

    /// The record of all that was seen.
    ///
    /// Fails when the stream did not begin with `RunStarted`, or held a second one.
    pub fn into_record(self) -> Result<RunRecord, Error> {
        match (self.record, self.fault) {
            (Some(mut record), None) => {
                put_in_order(&mut record.results);
                record.exit = record.exit_status();
                Ok(record)
            }
            (_, Some(StreamFault::TwoStarts)) => Err(Error::TwoStarts),
            (None, _) | (_, Some(StreamFault::NoStart)) => Err(Error::NoStart),
        }
    }
}

/// Orders results by kernel, as kernels were first told of, and by case. Which guest was quicker is no property of a run,
/// and results are told as soon as they are there.
pub(crate) fn put_in_order(results: &mut [CaseResult]) {
    let mut kernels: Vec<String> = Vec::new();
    for result in results.iter() {
        if !kernels.contains(&result.environment.kernel) {
            kernels.push(result.environment.kernel.clone());
        }
    }
    results.sort_by_cached_key(|result| {
        let kernel = kernels.iter().position(|one| *one == result.environment.kernel);
        (kernel, result.case.clone())
    });
}

impl Reader for Recorder {
    fn event(&mut self, event: &Event) {
        self.add(event.clone());
    }

    fn finish(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// What an event between the start and the end of a run adds to the record.
fn apply(record: &mut RunRecord, kind: EventKind) {
    match kind {
        EventKind::Note { text } => record.notes.push(text),
        EventKind::WorkStarted { work, what } => {
            record.work.push(WorkRecord {
                work,
                what,
                seconds: 0.0,
                outcome: None,
            });
        }
        EventKind::WorkFinished {
            work,
            seconds,
            outcome,
        } => {
            let open = record
                .work
                .iter_mut()
                .rev()
                .find(|w| w.work == work && w.outcome.is_none());
            if let Some(open) = open {
                open.seconds = seconds;
                open.outcome = Some(outcome);
            } else {
                let what = work.clone();
                record.work.push(WorkRecord {
                    work,
                    what,
                    seconds,
                    outcome: Some(outcome),
                });
            }
        }
        EventKind::CaseStarted {
            case,
            kernel,
            steps: _,
        } => {
            record.unfinished.push(Unfinished {
                case,
                kernel,
                doing: None,
            });
        }
        EventKind::StepStarted {
            case,
            kernel,
            index: _,
            what,
        } => {
            let running = record
                .unfinished
                .iter_mut()
                .rev()
                .find(|u| u.case == case && u.kernel == kernel);
            if let Some(running) = running {
                running.doing = Some(what);
            }
        }
        EventKind::CaseFinished { result } => {
            let (case, kernel) = (&result.case, &result.environment.kernel);
            let running = record
                .unfinished
                .iter()
                .position(|u| u.case == *case && u.kernel == *kernel);
            if let Some(running) = running {
                record.unfinished.remove(running);
            }
            record.results.push(*result);
        }
        // Progress and finished steps matter while they happen; the steps come again, whole, in the result. The run's
        // own start and end are the caller's.
        EventKind::WorkProgress { .. }
        | EventKind::StepFinished { .. }
        | EventKind::RunStarted { .. }
        | EventKind::RunFinished { .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use crate::samples::{moment, one_of_each, one_of_each_in_order, result, stream};
    use crate::{
        Error, Event, EventKind, ExitStatus, RunRecord, Unfinished, Verdict, WorkOutcome, WorkRecord,
    };

    #[test]
    fn a_stream_folds_into_all_that_was_in_it() {
        let record = RunRecord::from_events(stream(one_of_each(), false)).unwrap();
        assert_eq!(record.results, one_of_each_in_order());
        assert_eq!(record.exit, ExitStatus::Broken);
        assert_eq!(
            (record.planned, record.started_at, record.host.as_str()),
            (5, moment(), "lab")
        );
        assert_eq!(record.command, ["test", "--kernel", "debian-6.12"]);
        assert_eq!(record.notes, ["accelerator: tcg, because /dev/kvm does not work"]);
        assert_eq!(
            record.work,
            [WorkRecord {
                work: "packages".into(),
                what: "fetch debian-6.12".into(),
                seconds: 3.25,
                outcome: Some(WorkOutcome::Ok("30.0 MiB".into())),
            }]
        );
        assert_eq!((record.unfinished, record.interrupted), (vec![], false));
    }

    #[test]
    fn the_record_does_not_depend_on_who_was_quicker() {
        let of = |order: [(&str, &str); 4]| {
            let results = order.map(|(case, kernel)| result(case, kernel, Verdict::Pass));
            let record = RunRecord::from_events(stream(results.to_vec(), false)).unwrap();
            let names = record.results.into_iter();
            names
                .map(|one| (one.case, one.environment.kernel))
                .collect::<Vec<_>>()
        };
        let slow_first = of([("b/b", "k2"), ("a/a", "k2"), ("a/a", "k1"), ("b/b", "k1")]);
        let quick_first = of([("a/a", "k2"), ("b/b", "k2"), ("b/b", "k1"), ("a/a", "k1")]);
        assert_eq!(slow_first, quick_first);
        let first = slow_first
            .first()
            .map(|(case, kernel)| (case.as_str(), kernel.as_str()));
        assert_eq!(first, Some(("a/a", "k2")));
    }

    #[test]
    fn a_stream_that_breaks_off_is_an_interrupted_run() {
        let mut events = stream(one_of_each(), false);
        // The last event of a step, of the last case that has any, is where the runner is killed.
        let last_step = events
            .iter()
            .rposition(|e| matches!(e.kind, EventKind::StepStarted { .. }))
            .unwrap();
        events.truncate(last_step + 1);
        let killed_at = events[last_step].at;
        let record = RunRecord::from_events(events).unwrap();
        assert!(record.interrupted);
        assert_eq!(record.exit, ExitStatus::Interrupted);
        assert!((record.seconds - killed_at).abs() < f64::EPSILON);
        assert_eq!(record.results.len(), 1);
        assert_eq!(
            record.unfinished,
            [Unfinished {
                case: "data/shared-block".into(),
                kernel: "debian-6.12".into(),
                doing: Some("expect killed".into()),
            }]
        );
    }

    #[test]
    fn a_runner_that_says_all_is_well_is_not_believed() {
        let mut events = stream(vec![result("a/b", "k", Verdict::Fail)], false);
        events.last_mut().unwrap().kind = EventKind::RunFinished {
            exit: ExitStatus::Ok,
            interrupted: false,
            seconds: 1.0,
        };
        assert_eq!(RunRecord::from_events(events).unwrap().exit, ExitStatus::Failed);
    }

    #[test]
    fn what_is_no_stream_of_a_run_is_refused() {
        let events = stream(one_of_each(), false);
        let fold = |events: &[Event]| RunRecord::from_events(events.to_vec());
        assert!(matches!(fold(&[]), Err(Error::NoStart)));
        assert!(matches!(fold(&events[1..]), Err(Error::NoStart)));
        assert!(matches!(
            fold(&[&events[1..], &events[..]].concat()),
            Err(Error::NoStart)
        ));
        assert!(matches!(
            fold(&[&events[..], &events[..]].concat()),
            Err(Error::TwoStarts)
        ));
    }
}
