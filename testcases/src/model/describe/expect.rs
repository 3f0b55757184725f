// SPDX-License-Identifier: MIT OR Apache-2.0
//! Expectations in words.

use crate::model::words::list;
use crate::model::{
    BadRange, CallResult, Contents, FieldValue, FileState, FilesystemState, Lines, NotifyFailure, Outcome,
    PageFlagsExpectation, SignalExpectation, StateExpectation, TraceExpectation,
};
use crate::value::{Count, FilePath};

pub(super) fn state(state: &StateExpectation) -> String {
    let mut parts = Vec::new();
    if !state.killed.is_empty() {
        parts.push(format!("{} killed", list(state.killed.keys())));
    }
    for (name, signal) in &state.died {
        parts.push(format!("{name} dead by {signal}"));
    }
    if !state.alive.is_empty() {
        parts.push(format!("{} alive", list(&state.alive)));
    }
    if !state.pending.is_empty() {
        parts.push(format!("a SIGBUS waiting for {}", list(&state.pending)));
    }
    for (name, signal) in &state.signalled {
        parts.push(format!("{name} sent {signal}"));
    }
    for (map, verb) in [(&state.present, "present"), (&state.absent, "absent")] {
        for (name, at) in map {
            parts.push(format!("{name}'s page at {} {verb}", list(at)));
        }
    }
    match state.injector {
        Some(CallResult::Succeeds) => parts.push("the injector to succeed".to_owned()),
        Some(CallResult::Error(errno)) => parts.push(format!("{errno} for the injector")),
        None => {}
    }
    parts.extend(state.notify_failure.map(notify_failure));
    match state.filesystem {
        Some(FilesystemState::Up) => parts.push("the filesystem up".to_owned()),
        Some(state) => parts.push(format!("the filesystem {state}")),
        None => {}
    }
    match state.badblocks.as_deref() {
        Some([]) => parts.push("no badblocks".to_owned()),
        Some(ranges) => parts.push(format!("badblocks at {}", list(ranges.iter().map(bad_range)))),
        None => {}
    }
    if let Some(log) = &state.log {
        parts.push(format!("the log {}", lines(log)));
    }
    parts.extend(state.trace.iter().map(event));
    if let Some(bytes) = state.hardware_corrupted {
        parts.push(format!("HardwareCorrupted to grow by {bytes}"));
    }
    if let Some(flags) = &state.page_flags {
        parts.push(format!("the page {}", page_flags(flags)));
    }
    parts.extend(state.files.iter().map(|(name, state)| file(name, state)));
    for (watcher, seen) in &state.watched {
        parts.push(format!("{} {}", watcher.as_str(), lines(seen)));
    }
    parts.join(", ")
}

fn notify_failure(expected: NotifyFailure) -> String {
    match expected {
        NotifyFailure::Never => "no call of notify_failure".to_owned(),
        NotifyFailure::Called { returned, calls } => {
            let calls = match calls {
                Some(1) => " in 1 call".to_owned(),
                Some(calls) => format!(" in {calls} calls"),
                None => String::new(),
            };
            format!("notify_failure to return {returned}{calls}")
        }
    }
}

fn bad_range(range: &BadRange) -> String {
    match range {
        BadRange::File { file, offset, length } => format!("{file}+{offset} ({length})"),
        BadRange::Injected { length } => format!("the injected page ({length})"),
        BadRange::Device { of, offset, length } => {
            format!("{offset} ({length}) of the {} device", of.as_str())
        }
    }
}

/// `to have “a” and to lack “b”`.
fn lines(lines: &Lines) -> String {
    let quoted = |globs: &[crate::value::Glob]| list(globs.iter().map(|glob| format!("“{glob}”")));
    let mut parts = Vec::new();
    if !lines.has.is_empty() {
        parts.push(format!("to have {}", quoted(&lines.has)));
    }
    if !lines.lacks.is_empty() {
        parts.push(format!("to lack {}", quoted(&lines.lacks)));
    }
    parts.join(" and ")
}

fn event(expected: &TraceExpectation) -> String {
    let mut what = Vec::new();
    what.extend(expected.has.as_ref().map(|glob| format!("“{glob}”")));
    what.extend(expected.fields.iter().map(|(name, value)| match value {
        FieldValue::Number(number) => format!("{name}={number}"),
        FieldValue::Text(glob) => format!("{name}=“{glob}”"),
    }));
    let with = if what.is_empty() {
        String::new()
    } else {
        format!(" with {}", list(what))
    };
    format!("{} of {}{with}", times(expected.times), expected.event)
}

fn times(count: Count) -> String {
    match count {
        Count::ONCE => "1 event".to_owned(),
        count => format!("{count} events"),
    }
}

fn page_flags(flags: &PageFlagsExpectation) -> String {
    let mut parts = Vec::new();
    if !flags.has.is_empty() {
        parts.push(format!("to be {}", list(&flags.has)));
    }
    if !flags.lacks.is_empty() {
        parts.push(format!("not to be {}", list(&flags.lacks)));
    }
    parts.join(" and ")
}

fn file(name: &FilePath, state: &FileState) -> String {
    let yes = |on: bool, yes: &str, no: &str| (if on { yes } else { no }).to_owned();
    let parts = [
        state.size.map(|size| format!("of {size}")),
        state.dax.map(|dax| yes(dax, "DAX", "not DAX")),
        state
            .shared
            .map(|shared| format!("sharing {} of its blocks", shared.as_str())),
        state.extents.map(|extents| format!("of {extents} extents")),
        state
            .unwritten
            .map(|some| yes(some, "partly unwritten", "written throughout")),
    ];
    format!("{name} {}", list(parts.into_iter().flatten()))
}

pub(super) fn ending(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Succeeds => "succeeds".to_owned(),
        Outcome::Fails(errno) => format!("fails with {errno}"),
        Outcome::Differs => "finds a difference".to_owned(),
        Outcome::Contains(Contents::Fill(fill)) => format!("gives {fill} only"),
        Outcome::Contains(Contents::File { file, offset }) => format!("gives the same as {file}+{offset}"),
        Outcome::Contains(Contents::Sha256(sum)) => format!("gives bytes of the checksum {sum}"),
        Outcome::Value(byte) => format!("gives {byte:#04x}"),
        Outcome::Raises(expected) => format!("raises {}", signal(expected)),
        Outcome::Exits { status, output } => {
            let said = lines(output);
            if said.is_empty() {
                format!("exits with {status}")
            } else {
                format!("exits with {status}, its output {said}")
            }
        }
        Outcome::Names(names) if names.is_empty() => "gives no name".to_owned(),
        Outcome::Names(names) => format!("gives {}", list(names)),
    }
}

/// `BUS_MCEERR_AR at 4KiB, lsb 12`.
pub(crate) fn signal(expected: &SignalExpectation) -> String {
    let lsb = expected.lsb;
    let thread = expected.thread.as_ref();
    let thread = thread.map_or(String::new(), |thread| format!(" to thread {thread}"));
    let times = match expected.times {
        Count::ONCE => String::new(),
        times => format!(", {times} times"),
    };
    format!("{} at {}{lsb}{thread}{times}", expected.code, expected.at)
}
