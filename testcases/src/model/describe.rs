// SPDX-License-Identifier: MIT OR Apache-2.0
//! One short line for each step.

use std::fmt::Write as _;

use super::{
    Action, BadRange, CallResult, Expect, FilesystemState, Injection, KillPolicy, Mechanism, NotifyFailure,
    Operation, Outcome, StateExpectation, Target,
};

/// What a step does, in one short line for people, such as
/// `inject a machine check (action optional) at a+4KiB`.
pub fn describe(action: &Action) -> String {
    match action {
        Action::Write(write) => format!(
            "write {} ({}, filled with {:#04x})",
            write.file, write.size, write.fill
        ),
        Action::Reflink(reflink) => format!("reflink {} to {}", reflink.from, reflink.to),
        Action::Victim(victim) => {
            let policy = match victim.kill {
                KillPolicy::Early => ", killed early",
                KillPolicy::Late => ", killed late",
                KillPolicy::Default => "",
            };
            format!(
                "victim {} maps {} and touches it at {}{policy}",
                victim.name, victim.maps, victim.touches
            )
        }
        Action::Release(release) => format!("release {}", list(&release.victims)),
        Action::Inject(injection) => inject(injection),
        Action::Expect(Expect::State(state)) => format!("expect {}", expected_state(state)),
        Action::Expect(Expect::Operation { operation, outcome }) => {
            format!("expect {} {}", tried(operation), ending(*outcome))
        }
        Action::Unmount(_) => "unmount".to_owned(),
        Action::Mount(mount) => match &mount.options {
            Some(options) => format!("mount with {options}"),
            None => "mount".to_owned(),
        },
    }
}

fn inject(injection: &Injection) -> String {
    let by = match injection.by {
        Mechanism::MachineCheck(severity) => format!("a machine check ({severity})"),
        Mechanism::CorruptPfn => "an error through corrupt-pfn".to_owned(),
    };
    let at = match &injection.at {
        Target::File { file, offset } => format!("{file}+{offset}"),
        Target::Metadata { kind, ag } => format!("the {kind} of AG {ag}"),
        Target::FreeSpace { ag } => format!("a free block of AG {ag}"),
    };
    format!("inject {by} at {at}")
}

fn expected_state(state: &StateExpectation) -> String {
    let mut parts = Vec::new();
    if !state.killed.is_empty() {
        parts.push(format!("{} killed", list(state.killed.keys())));
    }
    if !state.alive.is_empty() {
        parts.push(format!("{} alive", list(&state.alive)));
    }
    match state.injector {
        Some(CallResult::Succeeds) => parts.push("the injector to succeed".to_owned()),
        Some(CallResult::Error(errno)) => parts.push(format!("{errno} for the injector")),
        None => {}
    }
    match state.notify_failure {
        Some(NotifyFailure::Never) => parts.push("no call of notify_failure".to_owned()),
        Some(NotifyFailure::Called { returned, calls }) => {
            let mut text = format!("notify_failure to return {returned}");
            if let Some(calls) = calls {
                // Writing to a String cannot fail.
                let _ = write!(text, " in {calls} {}", if calls == 1 { "call" } else { "calls" });
            }
            parts.push(text);
        }
        None => {}
    }
    match state.filesystem {
        Some(FilesystemState::Up) => parts.push("the filesystem up".to_owned()),
        Some(FilesystemState::Shutdown(reason)) => parts.push(format!("the filesystem shut down ({reason})")),
        None => {}
    }
    match state.badblocks.as_deref() {
        Some([]) => parts.push("no badblocks".to_owned()),
        Some(ranges) => parts.push(format!("badblocks at {}", list(ranges.iter().map(bad_range)))),
        None => {}
    }
    parts.join(", ")
}

fn bad_range(range: &BadRange) -> String {
    match range {
        BadRange::File { file, offset, length } => format!("{file}+{offset} ({length})"),
        BadRange::Injected { length } => format!("the injected page ({length})"),
    }
}

fn tried(operation: &Operation) -> String {
    match operation {
        Operation::Read { file, offset, length } => format!("reading {file}+{offset} ({length})"),
        Operation::Write {
            file, offset, length, ..
        } => format!("writing {file}+{offset} ({length})"),
        Operation::Create { file } => format!("creating {file}"),
        Operation::Stat { file } => format!("stat of {file}"),
        Operation::Mount {
            options: Some(options),
        } => format!("mounting with {options}"),
        Operation::Mount { options: None } => "mounting".to_owned(),
        Operation::Unmount => "unmounting".to_owned(),
    }
}

fn ending(outcome: Outcome) -> String {
    match outcome {
        Outcome::Succeeds { contains: Some(byte) } => format!("to give {byte:#04x} only"),
        Outcome::Succeeds { contains: None } => "to succeed".to_owned(),
        Outcome::Error(errno) => format!("to fail with {errno}"),
    }
}

/// `a`, `a and b`, `a, b and c`.
fn list<I: IntoIterator<Item: ToString>>(items: I) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match items.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [start @ .., last] => format!("{} and {last}", start.join(", ")),
    }
}
