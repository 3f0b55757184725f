// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every expectation against its observation.

use super::findings::Found;
use crate::observe::evidence::{Evidence, Filesystem, Layout, Observation, StepEvidence, Tried, VictimView};
use crate::observe::probes::{Blind, signals_sent};
use guest_agent::address::{GuestPhysical, PAGE_SIZE};
use guest_agent::call::{Handled, SECTOR};
use guest_agent::victim::{Ended, Signal};
use std::collections::{BTreeMap, BTreeSet};
use testcases::{
    Action, BadRange, BusCode, CallResult, Case, Errno, Expect, FilesystemState, Killed, Mechanism,
    NotifyFailure, Outcome, ShutdownReason, StateExpectation, describe,
};

const SIGBUS: i32 = 7;

/// Why an expectation of the case cannot be seen at all in this guest.
pub(super) fn unseeable(case: &Case, blind: &Blind) -> Option<String> {
    case.steps.iter().find_map(|step| match &step.action {
        Action::Expect(Expect::State(state)) if state.notify_failure.is_some() => blind
            .notify_failure
            .as_ref()
            .map(|why| format!("notify_failure cannot be observed: {why}")),
        Action::Inject(injection) if matches!(injection.by, Mechanism::MachineCheck(_)) => blind
            .handled
            .as_ref()
            .map(|why| format!("nothing proves that this kernel has finished with a machine check: {why}")),
        _ => None,
    })
}

/// The checks of one case.
pub(super) struct Checks<'a> {
    case: &'a Case,
    evidence: &'a Evidence,
    /// The signals that an expectation has spoken about, by victim and index.
    accounted: BTreeSet<(&'a str, usize)>,
    found: Vec<Found>,
}

impl<'a> Checks<'a> {
    pub(super) fn new(case: &'a Case, evidence: &'a Evidence) -> Self {
        Self {
            case,
            evidence,
            accounted: BTreeSet::new(),
            found: Vec::new(),
        }
    }

    pub(super) fn run(mut self) -> Vec<Found> {
        let (case, evidence) = (self.case, self.evidence);
        for (index, (step, seen)) in case.steps.iter().zip(&evidence.steps).enumerate() {
            match (&step.action, seen) {
                (_, StepEvidence::Refused(refusal)) => self.note(
                    index,
                    format!("the kernel refused: {}", describe(&step.action)),
                    "success",
                    format!("{}: {}", refusal.what, errno(refusal.errno)),
                ),
                (_, StepEvidence::Stuck(what)) => self.note(
                    index,
                    format!("the kernel did not come back from: {}", describe(&step.action)),
                    "an answer, whichever",
                    what,
                ),
                (Action::Inject(_), StepEvidence::Injected(injected))
                    if injected.handled != Handled::Finished =>
                {
                    self.note(
                        index,
                        "the kernel took the machine check and did not finish handling it",
                        "a return from every handler",
                        match injected.handled {
                            Handled::Stuck => "the last handler was entered and never left",
                            _ => "the last handler was never entered",
                        },
                    );
                }
                (Action::Expect(Expect::State(expected)), StepEvidence::State(seen)) => {
                    self.state(index, expected, seen);
                }
                (Action::Expect(Expect::Operation { outcome, .. }), StepEvidence::Operation(seen)) => {
                    self.operation(index, *outcome, seen);
                }
                // Preconditions are judged before; a step that was done has nothing to say.
                _ => {}
            }
        }
        self.unaccounted();
        self.strangers();
        self.found
    }

    fn note(
        &mut self,
        step: usize,
        what: impl Into<String>,
        expected: impl Into<String>,
        seen: impl Into<String>,
    ) {
        self.found
            .push(Found::deviation(self.case, step, what, expected, seen));
    }

    fn state(&mut self, step: usize, expected: &'a StateExpectation, seen: &'a Observation) {
        for (name, killed) in &expected.killed {
            match seen.victims.get_key_value(name.as_str()) {
                Some((name, victim)) => self.killed(step, name, killed, victim),
                None => self.note(step, format!("{name} is unknown"), "a victim", "no such process"),
            }
        }
        for name in &expected.alive {
            match seen.victims.get_key_value(name.as_str()) {
                Some((name, victim)) => self.alive(step, name, victim),
                None => self.note(step, format!("{name} is unknown"), "a victim", "no such process"),
            }
        }
        if let Some(injector) = expected.injector {
            let got = seen.injector.as_ref();
            let agrees = match (injector, got) {
                (CallResult::Succeeds, Some(Tried::Succeeded(_))) => true,
                (CallResult::Error(errno), Some(Tried::Refused(refusal))) => {
                    Errno::from_number(refusal.errno) == Some(errno)
                }
                _ => false,
            };
            if !agrees {
                let got = got.map_or("no call".to_owned(), tried);
                self.note(
                    step,
                    "the injecting call got another answer",
                    injector.to_string(),
                    got,
                );
            }
        }
        if let Some(notify) = expected.notify_failure {
            self.notify_failure(step, notify, seen);
        }
        if let Some(state) = expected.filesystem
            && !same_filesystem(state, &seen.filesystem)
        {
            self.note(
                step,
                "the filesystem is in another state",
                state.to_string(),
                filesystem(&seen.filesystem),
            );
        }
        if let Some(ranges) = &expected.badblocks {
            self.badblocks(step, ranges, seen);
        }
    }

    fn killed(&mut self, step: usize, name: &'a str, expected: &Killed, victim: &'a VictimView) {
        let fresh: Vec<(usize, &Signal)> = victim.signals.iter().enumerate().skip(victim.before).collect();
        self.accounted
            .extend(fresh.iter().map(|&(index, _)| (name, index)));
        let agrees = |signal: &Signal| {
            signal.number == SIGBUS
                && signal.code == expected.code.number()
                && signal.offset.map(|offset| offset.0) == Some(expected.at.0)
                && (expected.lsb.is_none() || signal.lsb == expected.lsb)
        };
        if !matches!(fresh.as_slice(), [(_, only)] if agrees(only)) {
            let lsb = expected.lsb.map_or(String::new(), |lsb| format!(", lsb {lsb}"));
            self.note(
                step,
                format!("{name} was not signalled as expected"),
                format!("one SIGBUS, {} at {}{lsb}", expected.code, expected.at),
                told(&fresh, victim),
            );
        }
    }

    fn alive(&mut self, step: usize, name: &'a str, victim: &'a VictimView) {
        let fresh: Vec<(usize, &Signal)> = victim.signals.iter().enumerate().skip(victim.before).collect();
        self.accounted
            .extend(fresh.iter().map(|&(index, _)| (name, index)));
        let sigbus_pending = victim.pending & (1 << (SIGBUS - 1)) != 0;
        if !fresh.is_empty() || victim.ended.is_some() || sigbus_pending {
            self.note(
                step,
                format!("{name} was not left alone"),
                "alive, and no signal",
                told(&fresh, victim),
            );
        }
    }

    fn notify_failure(&mut self, step: usize, expected: NotifyFailure, seen: &Observation) {
        let returns: Vec<Option<i32>> = seen.notify_failure.iter().map(|call| call.returned).collect();
        let (agrees, wanted) = match expected {
            NotifyFailure::Never => (returns.is_empty(), "no call".to_owned()),
            NotifyFailure::Called { returned, calls } => {
                let value = return_number(returned);
                let right = returns.iter().all(|&got| got == Some(value));
                let many = match calls {
                    Some(calls) => returns.len() == calls as usize,
                    None => !returns.is_empty(),
                };
                let calls = calls.map_or("at least one call".to_owned(), |calls| format!("calls: {calls}"));
                (right && many, format!("{calls}, each returning {}", errno(value)))
            }
        };
        if !agrees {
            let got = match returns.as_slice() {
                [] => "no call of xfs_dax_notify_failure".to_owned(),
                returns => returns
                    .iter()
                    .map(|value| value.map_or("a call that did not return".to_owned(), errno))
                    .collect::<Vec<_>>()
                    .join(", "),
            };
            self.note(step, "xfs_dax_notify_failure answered otherwise", wanted, got);
        }
    }

    fn badblocks(&mut self, step: usize, expected: &[BadRange], seen: &Observation) {
        let mut wanted = BTreeSet::new();
        for range in expected {
            match sectors(range, seen.injected, &seen.layout) {
                Ok(sectors) => wanted.extend(sectors),
                Err(why) => {
                    self.note(
                        step,
                        "the expected bad range is nowhere",
                        "a place in memory",
                        why,
                    );
                    return;
                }
            }
        }
        let got: BTreeSet<u64> = seen
            .badblocks
            .iter()
            .flat_map(|range| sectors_of(range.start, range.length))
            .collect();
        if wanted != got {
            self.note(
                step,
                "badblocks lists other sectors",
                ranges(&wanted),
                ranges(&got),
            );
        }
    }

    fn operation(&mut self, step: usize, expected: Outcome, seen: &Tried) {
        let agrees = match (expected, seen) {
            (Outcome::Succeeds { contains: None }, Tried::Succeeded(_)) => true,
            (Outcome::Succeeds { contains: Some(fill) }, Tried::Succeeded(Some(contents))) => {
                contents.uniform == Some(fill) && contents.length > 0
            }
            (Outcome::Error(errno), Tried::Refused(refusal)) => {
                Errno::from_number(refusal.errno) == Some(errno)
            }
            _ => false,
        };
        if !agrees {
            let wanted = match expected {
                Outcome::Succeeds { contains: None } => "success".to_owned(),
                Outcome::Succeeds { contains: Some(fill) } => format!("every byte {fill:#04x}"),
                Outcome::Error(errno) => errno.to_string(),
            };
            let doing = self
                .case
                .steps
                .get(step)
                .map_or(String::new(), |step| describe(&step.action));
            self.note(step, format!("another answer to: {doing}"), wanted, tried(seen));
        }
    }

    /// Signals that no expectation has spoken about.
    fn unaccounted(&mut self) {
        for (name, victim) in &self.evidence.victims {
            for (index, signal) in victim.signals.iter().enumerate() {
                if !self.accounted.contains(&(name.as_str(), index)) {
                    self.found.push(Found::unforeseen(
                        format!("{name} was signalled, which no expectation names"),
                        signal_text(signal),
                    ));
                }
            }
            let spoken_about = victim.signals.iter().any(|signal| signal.number == SIGBUS);
            if let (Some(ended), false) = (victim.ended, spoken_about) {
                self.found.push(Found::unforeseen(
                    format!("{name} ended by itself"),
                    ended_text(ended),
                ));
            }
        }
    }

    /// Signals to processes that are no victims.
    fn strangers(&mut self) {
        let victims: BTreeSet<i32> = self.evidence.victims.values().map(|victim| victim.pid).collect();
        let strangers: BTreeMap<(i32, String), i32> = signals_sent(&self.evidence.trace)
            .into_iter()
            .filter(|sent| !victims.contains(&sent.pid))
            .map(|sent| ((sent.pid, sent.task), sent.number))
            .collect();
        for ((pid, task), number) in strangers {
            self.found.push(Found::unforeseen(
                "a process that is no victim was signalled".to_owned(),
                format!("signal {number} to {task} (pid {pid})"),
            ));
        }
    }
}

fn return_number(code: testcases::ReturnCode) -> i32 {
    code.errno().map_or(0, |errno| -errno.number())
}

fn same_filesystem(expected: FilesystemState, seen: &Filesystem) -> bool {
    match (expected, seen) {
        (FilesystemState::Up, Filesystem::Up) => true,
        (FilesystemState::Shutdown(reason), Filesystem::ShutDown(Some(flags))) => {
            flags.0 & shutdown_flag(reason) != 0
        }
        _ => false,
    }
}

/// `SHUTDOWN_*`, `fs/xfs/xfs_mount.h`.
fn shutdown_flag(reason: ShutdownReason) -> u32 {
    match reason {
        ShutdownReason::MetadataIo => 1,
        ShutdownReason::LogIo => 2,
        ShutdownReason::Forced => 4,
        ShutdownReason::CorruptIncore => 8,
        ShutdownReason::CorruptOndisk => 16,
        ShutdownReason::DeviceRemoved => 32,
    }
}

fn filesystem(seen: &Filesystem) -> String {
    match seen {
        Filesystem::Up => "up".to_owned(),
        Filesystem::ShutDown(Some(flags)) => format!("shut down: {flags}"),
        Filesystem::ShutDown(None) => "shut down, and it did not say why".to_owned(),
        Filesystem::Unmounted => "not mounted".to_owned(),
    }
}

fn sectors_of(start: GuestPhysical, length: u64) -> impl Iterator<Item = u64> {
    let first = start.0 / SECTOR;
    let end = start.0.saturating_add(length).div_ceil(SECTOR);
    first..end
}

fn sectors(range: &BadRange, injected: Option<GuestPhysical>, layout: &Layout) -> Result<Vec<u64>, String> {
    match range {
        BadRange::Injected { length } => {
            let start = injected.ok_or("nothing has been injected")?;
            Ok(sectors_of(start, length.0).collect())
        }
        BadRange::File { file, offset, length } => {
            let pages = layout
                .get(file.as_str())
                .ok_or_else(|| format!("the layout of {file} is unknown"))?;
            let end = offset.0.saturating_add(length.0);
            let mut all = Vec::new();
            let mut at = offset.0;
            while at < end {
                let page = at - at % PAGE_SIZE;
                let place = pages
                    .get(&page)
                    .ok_or_else(|| format!("{file} has no block at {page:#x}"))?;
                let until = end.min(page + PAGE_SIZE);
                all.extend(sectors_of(GuestPhysical(place.0 + at % PAGE_SIZE), until - at));
                at = until;
            }
            Ok(all)
        }
    }
}

/// Sectors as ranges of bytes in the guest's memory.
fn ranges(sectors: &BTreeSet<u64>) -> String {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    for &sector in sectors {
        match ranges.last_mut() {
            Some((_, end)) if *end == sector => *end += 1,
            _ => ranges.push((sector, sector + 1)),
        }
    }
    if ranges.is_empty() {
        return "none".to_owned();
    }
    let text = |&(start, end): &(u64, u64)| {
        format!(
            "{} bytes at device offset {:#x}",
            (end - start) * SECTOR,
            start * SECTOR
        )
    };
    ranges.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn tried(seen: &Tried) -> String {
    match seen {
        Tried::Succeeded(None) => "success".to_owned(),
        Tried::Succeeded(Some(contents)) => match contents.uniform {
            Some(byte) => format!("{} bytes, each {byte:#04x}", contents.length),
            None if contents.length == 0 => "no bytes".to_owned(),
            None => format!("{} bytes beginning with {:02x?}", contents.length, contents.head),
        },
        Tried::Refused(refusal) => format!("{} ({})", errno(refusal.errno), refusal.what),
    }
}

fn errno(number: i32) -> String {
    match (number, Errno::from_number(number.abs())) {
        (0, _) => "0".to_owned(),
        (_, Some(errno)) => format!("{}{errno}", if number < 0 { "-" } else { "" }),
        (_, None) => number.to_string(),
    }
}

fn told(fresh: &[(usize, &Signal)], victim: &VictimView) -> String {
    let mut words: Vec<String> = fresh.iter().map(|(_, signal)| signal_text(signal)).collect();
    if words.is_empty() {
        words.push("no signal".to_owned());
    }
    if victim.pending & (1 << (SIGBUS - 1)) != 0 {
        words.push("SIGBUS pending".to_owned());
    }
    words.extend(victim.ended.map(ended_text));
    words.join(", ")
}

fn signal_text(signal: &Signal) -> String {
    let name = if signal.number == SIGBUS {
        "SIGBUS".to_owned()
    } else {
        format!("signal {}", signal.number)
    };
    let code = BusCode::from_number(signal.code)
        .filter(|_| signal.number == SIGBUS)
        .map_or(format!("si_code {}", signal.code), |code| code.to_string());
    let place = match signal.offset {
        Some(offset) => format!("at {}", testcases::Bytes(offset.0)),
        None => format!("at address {:#x}, outside its mapping", signal.address),
    };
    let lsb = signal.lsb.map_or(String::new(), |lsb| format!(", lsb {lsb}"));
    format!("{name} {code} {place}{lsb}")
}

fn ended_text(ended: Ended) -> String {
    match ended {
        Ended::Exited(status) => format!("it exited with status {status}"),
        Ended::Killed(signal) => format!("signal {signal} killed it"),
    }
}
