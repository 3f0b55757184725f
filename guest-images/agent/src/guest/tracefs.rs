// SPDX-License-Identifier: MIT OR Apache-2.0
//! Observation in a tracefs instance of our own, read as it comes.

use super::error::{Doing, failure};
use guest_agent::address::GuestPhysical;
use guest_agent::call::{Failure, Handled, TraceEvent, TraceStarted};
use guest_agent::trace::TraceLine;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const TRACEFS: &str = "/sys/kernel/tracing";
const INSTANCE: &str = "/sys/kernel/tracing/instances/taster";

/// What could not be attached, one a line with the reason.
const UNAVAILABLE: &str = "/run/taster-trace-unavailable";

/// What the marks say that show how far the trace has been read; a number follows.
const MARK: &str = "taster-mark ";
/// A mark comes out within milliseconds, unless the guest is all but standing still.
const MARK_PATIENCE: Duration = Duration::from_secs(20);

/// The trace of this guest.
#[derive(Default)]
pub(crate) struct Trace {
    lines: Mutex<Lines>,
    news: Condvar,
}

#[derive(Default)]
struct Lines {
    all: Vec<TraceLine>,
    /// Why reading ended, if it has: then silence proves nothing.
    ended: Option<String>,
    started: bool,
    /// The mark that was written last.
    marks: u64,
    /// The latest one that has come out.
    marked: u64,
}

impl Lines {
    fn take(&mut self, line: TraceLine) {
        match line.text.strip_prefix(MARK).map(str::parse::<u64>) {
            // One of a guest that this one was cloned from may come out once more.
            Some(Ok(number)) if line.event == "tracing_mark_write" => {
                self.marked = self.marked.max(number.min(self.marks));
            }
            _ => self.all.push(line),
        }
    }
}

impl Trace {
    /// Follows the instance from now on; the first one to do so in this guest's life makes it, with its probes and
    /// events. Who comes later, in a clone of the guest, is told what the first one was.
    pub(crate) fn start(
        self: &Arc<Self>,
        kprobes: &[String],
        events: &[TraceEvent],
    ) -> Result<TraceStarted, Failure> {
        let mut lines = self.lock();
        if !Path::new(INSTANCE).exists() {
            fs::create_dir(INSTANCE).doing(INSTANCE)?;
            fs::write(UNAVAILABLE, attach(kprobes, events)?.join("\n")).doing(UNAVAILABLE)?;
        }
        if !lines.started {
            let pipe = Path::new(INSTANCE).join("trace_pipe");
            let pipe = File::open(&pipe).doing(pipe.display())?;
            lines.started = true;
            let reader = Arc::clone(self);
            std::thread::spawn(move || reader.listen(pipe));
        }
        let unavailable = fs::read_to_string(UNAVAILABLE).doing(UNAVAILABLE)?;
        Ok(TraceStarted {
            unavailable: unavailable.lines().map(str::to_owned).collect(),
        })
    }

    /// How many lines there are.
    pub(crate) fn mark(&self) -> Result<usize, Failure> {
        self.with_lines(<[TraceLine]>::len)
    }

    /// The lines from a mark on.
    pub(crate) fn read(&self, since: usize) -> Result<Vec<TraceLine>, Failure> {
        self.with_lines(|lines| lines.get(since..).unwrap_or_default().to_vec())
    }

    /// Looks at all lines, among them everything that was traced before the call: a mark of our own, written into the
    /// trace, has come out again. None, when nothing is traced.
    pub(crate) fn with_lines<T>(&self, look: impl FnOnce(&[TraceLine]) -> T) -> Result<T, Failure> {
        let mut lines = self.lock();
        if lines.started {
            lines.marks += 1;
            let number = lines.marks;
            drop(lines);
            let text = format!("{MARK}{number}");
            fs::write(Path::new(INSTANCE).join("trace_marker"), &text)
                .doing("write a mark into the trace")?;
            let end = Instant::now() + MARK_PATIENCE;
            lines = self.lock();
            while lines.marked < number && lines.ended.is_none() {
                let left = end.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(failure(
                        "the trace does not keep up: a mark written into it has not come out",
                    ));
                }
                lines = self
                    .news
                    .wait_timeout(lines, left)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            }
        }
        match &lines.ended {
            Some(why) => Err(failure(format_args!("the trace ended: {why}"))),
            None => Ok(look(&lines.all)),
        }
    }

    /// Waits for `enter` with the address and the following `leave` of the same task.
    pub(crate) fn await_handled(
        &self,
        since: usize,
        enter: &str,
        leave: &str,
        address: GuestPhysical,
        patience: Duration,
    ) -> Result<Handled, Failure> {
        let end = Instant::now() + patience;
        let mut lines = self.lock();
        loop {
            let state = handled(lines.all.get(since..).unwrap_or_default(), enter, leave, address);
            if let Some(why) = &lines.ended {
                return Err(failure(format_args!("the trace ended: {why}")));
            }
            let left = end.saturating_duration_since(Instant::now());
            if state == Handled::Finished || left.is_zero() {
                return Ok(state);
            }
            lines = self
                .news
                .wait_timeout(lines, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    fn listen(&self, pipe: File) {
        let mut ended = "trace_pipe was closed".to_owned();
        for line in BufReader::new(pipe).lines() {
            match line {
                Ok(line) => {
                    if let Some(parsed) = TraceLine::parse(&line) {
                        self.lock().take(parsed);
                        self.news.notify_all();
                    } else if line.contains("LOST") {
                        ended = format!("the kernel lost events: {line}");
                        break;
                    }
                }
                Err(error) => {
                    ended = format!("cannot read trace_pipe: {error}");
                    break;
                }
            }
        }
        self.lock().ended = Some(ended);
        self.news.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Attaches everything, and names what could not be.
fn attach(kprobes: &[String], events: &[TraceEvent]) -> Result<Vec<String>, Failure> {
    let mut unavailable = Vec::new();
    for probe in kprobes {
        if let Err(error) = append(&Path::new(TRACEFS).join("kprobe_events"), probe) {
            unavailable.push(format!("{probe}: {error}"));
        }
    }
    let ours = Path::new(INSTANCE).join("events/kprobes");
    if ours.exists() {
        fs::write(ours.join("enable"), "1").doing("enable the kprobes")?;
    }
    for event in events {
        if let Err(error) = enable(event) {
            unavailable.push(format!("{}: {error}", event.name));
        }
    }
    Ok(unavailable)
}

fn handled(lines: &[TraceLine], enter: &str, leave: &str, address: GuestPhysical) -> Handled {
    let entered = lines.iter().position(|line| {
        line.event == enter
            && line.unsigned("addr").map(|addr| GuestPhysical(addr).page()) == Some(address.page())
    });
    match entered {
        None => Handled::Silent,
        Some(at) => {
            let task = lines[at].pid;
            let left = lines[at..]
                .iter()
                .any(|line| line.event == leave && line.pid == task);
            if left { Handled::Finished } else { Handled::Stuck }
        }
    }
}

fn append(path: &Path, line: &str) -> std::io::Result<()> {
    // One write(2) per probe: the kernel parses what one write brings.
    OpenOptions::new()
        .append(true)
        .open(path)?
        .write_all(format!("{line}\n").as_bytes())
}

fn enable(event: &TraceEvent) -> std::io::Result<()> {
    let folder = Path::new(INSTANCE).join("events").join(&event.name);
    if let Some(filter) = &event.filter {
        fs::write(folder.join("filter"), filter)?;
    }
    fs::write(folder.join("enable"), "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(pid: i32, event: &str, text: &str) -> TraceLine {
        TraceLine {
            task: "kworker".into(),
            pid,
            cpu: 0,
            time: 0.0,
            event: event.into(),
            text: text.into(),
        }
    }

    #[test]
    fn marks_are_no_lines_of_the_trace() {
        let mut lines = Lines {
            marks: 4,
            ..Lines::default()
        };
        lines.take(line(1, "tracing_mark_write", "taster-mark 3"));
        assert_eq!((lines.marked, lines.all.len()), (3, 0));
        lines.take(line(1, "tracing_mark_write", "something of somebody else's"));
        lines.take(line(1, "other", "taster-mark 4"));
        assert_eq!((lines.marked, lines.all.len()), (3, 2));
    }

    #[test]
    fn the_barrier_wants_the_same_address_and_the_same_task() {
        let address = GuestPhysical(0x1_0120_2000);
        let other = line(7, "in", "(f+0x0) addr=0x5000");
        let ours = line(8, "in", "(f+0x0) addr=0x101202010");
        let leave = |pid| line(pid, "out", "(g <- f) ret=0x1");
        let ask = |lines: &[TraceLine]| handled(lines, "in", "out", address);
        assert_eq!(ask(&[]), Handled::Silent);
        assert_eq!(ask(&[other.clone(), leave(7)]), Handled::Silent);
        assert_eq!(ask(&[ours.clone(), leave(7)]), Handled::Stuck);
        assert_eq!(ask(&[leave(8), ours.clone()]), Handled::Stuck);
        assert_eq!(ask(&[other, ours, leave(7), leave(8)]), Handled::Finished);
    }
}
