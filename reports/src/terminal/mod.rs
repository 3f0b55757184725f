// SPDX-License-Identifier: MIT OR Apache-2.0
//! What people see while a run is on, and at its end.

mod live;
mod paint;
mod plain;
mod result;
mod summary;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;

use self::live::Live;
use self::paint::{Paint, count, headed, seconds};
use self::plain::Plain;
use self::result::{KernelColumn, result_lines};
use self::summary::summary_lines;
use crate::text::one_line;
use crate::{Error, Event, EventKind, Reader, Recorder, WorkOutcome};

/// How to show a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Look {
    /// Whether somebody watches: bars and spinners move on standard error. Otherwise plain lines only.
    pub live: bool,
    /// Whether verdicts are coloured.
    pub colour: bool,
    /// The folder that attachments are relative to, to be shown with their names.
    pub out: Option<PathBuf>,
}

impl Look {
    /// The look for a terminal, or for a file or a pipe, as the environment wishes it: `NO_COLOR` set to anything but
    /// nothing takes the colours away, `TERM=dumb` takes the movement too.
    pub fn for_output(is_terminal: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            live: is_terminal && !dumb,
            colour: is_terminal && !dumb && !no_colour,
            out: None,
        }
    }

    /// The same with the folder that attachments are relative to.
    #[must_use]
    pub fn with_out(mut self, out: impl Into<PathBuf>) -> Self {
        self.out = Some(out.into());
        self
    }
}

/// Shows a run. Its last line is always `N passed, N failed, N skipped`.
pub struct Terminal<W> {
    out: W,
    look: Look,
    progress: Progress,
    /// What is called how, of the work under way.
    work: HashMap<String, String>,
    /// Folds the run for its summary; gone once that is shown.
    recorder: Option<Recorder>,
    kernels: KernelColumn,
    error: Option<Error>,
}

/// How progress is shown.
enum Progress {
    Live(Live),
    Plain(Plain),
}

impl<W: Write + Send> Terminal<W> {
    /// Shows to `out`, most often standard output.
    pub fn new(out: W, look: Look) -> Self {
        let progress = if look.live {
            Progress::Live(Live::new())
        } else {
            Progress::Plain(Plain::default())
        };
        Self {
            out,
            look,
            progress,
            work: HashMap::new(),
            recorder: None,
            kernels: KernelColumn::default(),
            error: None,
        }
    }

    /// What it has shown to.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn paint(&self) -> Paint {
        Paint {
            colour: self.look.colour,
        }
    }

    /// Writes lines, with whatever moves out of the way.
    fn write(&mut self, lines: &str) {
        if lines.is_empty() || self.error.is_some() {
            return;
        }
        let out = &mut self.out;
        let mut write = || out.write_all(lines.as_bytes()).and_then(|()| out.flush());
        let written = match &self.progress {
            Progress::Live(live) => live.aside(write),
            Progress::Plain(_) => write(),
        };
        self.error = written.err().map(Error::Terminal);
    }

    /// The end of the run, once.
    fn summary(&mut self) -> String {
        match self.recorder.take().map(Recorder::into_record) {
            Some(Ok(record)) => summary_lines(&record, self.paint()),
            Some(Err(error)) => {
                self.error.get_or_insert(error);
                String::new()
            }
            None => String::new(),
        }
    }

    /// The lines an event is worth, beside its progress.
    fn lines(&mut self, kind: &EventKind) -> String {
        match kind {
            EventKind::RunStarted { taster, planned, .. } => headed(
                "taster",
                &format!("{}, {} to give", one_line(taster), count(*planned, "verdict")),
            ),
            EventKind::Note { text } => headed("note", &one_line(text)),
            EventKind::WorkFinished {
                work,
                seconds: took,
                outcome,
            } => {
                let what = one_line(&self.work.remove(work).unwrap_or_else(|| work.clone()));
                match outcome {
                    WorkOutcome::Ok(text) if text.trim().is_empty() => {
                        headed("done", &format!("{what} ({})", seconds(*took)))
                    }
                    WorkOutcome::Ok(text) => headed(
                        "done",
                        &format!("{what}: {} ({})", one_line(text), seconds(*took)),
                    ),
                    WorkOutcome::Error(text) => headed("failed", &format!("{what}: {}", one_line(text))),
                }
            }
            EventKind::CaseStarted { kernel, .. } => {
                self.kernels.make_room_for(kernel);
                String::new()
            }
            EventKind::CaseFinished { result } => {
                self.kernels.make_room_for(&result.environment.kernel);
                result_lines(result, self.paint(), self.kernels, self.look.out.as_deref())
            }
            EventKind::RunFinished { .. } => self.summary(),
            EventKind::WorkStarted { work, what } => {
                self.work.insert(work.clone(), what.clone());
                String::new()
            }
            EventKind::WorkProgress { .. }
            | EventKind::StepStarted { .. }
            | EventKind::StepFinished { .. } => String::new(),
        }
    }
}

impl<W: Write + Send> Reader for Terminal<W> {
    fn event(&mut self, event: &Event) {
        let mut lines = match &mut self.progress {
            Progress::Live(live) => {
                live.show(&event.kind);
                String::new()
            }
            Progress::Plain(plain) => plain.lines(event.at, &event.kind),
        };
        // Before the lines are made, for the summary is one of them.
        if matches!(event.kind, EventKind::RunStarted { .. }) && self.recorder.is_none() {
            self.recorder = Some(Recorder::new());
        }
        if let Some(recorder) = &mut self.recorder {
            recorder.event(event);
        }
        lines += &self.lines(&event.kind);
        self.write(&lines);
    }

    /// Also gives a run that broke off its summary.
    fn finish(&mut self) -> Result<(), Error> {
        if let Progress::Live(live) = &mut self.progress {
            live.clear();
        }
        let lines = self.summary();
        self.write(&lines);
        match self.error.take() {
            // Whoever stopped reading has read enough; that is no trouble of the run.
            Some(Error::Terminal(source)) if source.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}
