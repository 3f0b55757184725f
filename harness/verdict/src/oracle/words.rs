// SPDX-License-Identifier: MIT OR Apache-2.0
//! The parts of predictions and observations in words; none of them holds a pid or an address.

use super::observed::{SeenSignal, SeenVictim};
use super::prediction::{
    BadblocksAfter, EventResult, FilesystemAfter, InjectorEnd, NotifyCalls, SignalCode, Told,
};
use crate::observe::SIGBUS;
use guest_agent::victim::Ended;
use nix::errno::Errno;
use nix::sys::signal::Signal;
use testcases::Bytes;

/// "0", "-EUCLEAN": as a function of the kernel returns it.
pub(super) fn returned(result: Result<(), Errno>) -> String {
    match result {
        Ok(()) => "0".to_owned(),
        Err(errno) => format!("-{errno:?}"),
    }
}

/// "ok", "EUCLEAN": as a program gets it.
pub(super) fn ending(result: Result<(), Errno>) -> String {
    match result {
        Ok(()) => "ok".to_owned(),
        Err(errno) => format!("{errno:?}"),
    }
}

/// "get nothing", "get BUS_MCEERR_AO at 4KiB, lsb 12", "die of SIGBUS".
pub(super) fn describe_told(told: &Told) -> String {
    match told {
        Told::Nothing => "get nothing".to_owned(),
        Told::Dies => "die of SIGBUS".to_owned(),
        Told::Pending => "keep SIGBUS pending".to_owned(),
        Told::Signals { any_of, most } => {
            let list = any_of.iter().map(ToString::to_string).collect::<Vec<_>>();
            match (list.as_slice(), most) {
                ([one], _) => format!("get {one}"),
                (_, 1) => format!("get one of ({})", list.join(" | ")),
                (_, most) => format!("get 1 to {most} of ({})", list.join(" | ")),
            }
        }
    }
}

/// What a victim was seen to get, in the same words.
pub(super) fn seen(victim: &SeenVictim) -> String {
    let mut words: Vec<String> = Vec::new();
    if !victim.signals.is_empty() {
        let list: Vec<String> = victim.signals.iter().map(signal).collect();
        words.push(format!("get {}", list.join(" and ")));
    }
    if victim.sigbus_pending {
        words.push("keep SIGBUS pending".to_owned());
    }
    match victim.ended {
        Some(Ended::Killed(number)) => words.push(format!("die of {}", signal_name(number))),
        Some(Ended::Exited(status)) => words.push(format!("exit with status {status}")),
        None => {}
    }
    if words.is_empty() {
        words.push("get nothing".to_owned());
    }
    words.join(" and ")
}

fn signal(signal: &SeenSignal) -> String {
    let what = if signal.number == SIGBUS {
        SignalCode::from_number(signal.code).map_or_else(
            || format!("SIGBUS si_code {}", signal.code),
            |code| code.to_string(),
        )
    } else {
        signal_name(signal.number)
    };
    let place = match signal.place {
        Some((0, at)) => format!(" at {}", Bytes(at)),
        Some((map, at)) => format!(" at {} of mapping {map}", Bytes(at)),
        None if signal.address == 0 => " without an address".to_owned(),
        None => " outside its mappings".to_owned(),
    };
    let lsb = signal.lsb.map_or(String::new(), |lsb| format!(", lsb {lsb}"));
    let thread = match signal.thread.as_deref() {
        None | Some(super::facts::MAIN_THREAD) => String::new(),
        Some(thread) => format!(", to thread {thread}"),
    };
    format!("{what}{place}{lsb}{thread}")
}

fn signal_name(number: i32) -> String {
    Signal::try_from(number).map_or_else(|_| format!("signal {number}"), |known| known.as_str().to_owned())
}

/// "no call", "one call returning 0".
pub(super) fn notify(calls: NotifyCalls) -> String {
    match calls {
        NotifyCalls::Never => "no call".to_owned(),
        NotifyCalls::Once(result) => format!("one call returning {}", returned(result)),
    }
}

/// The same of what was seen.
pub(super) fn notify_seen(calls: &[Option<i32>]) -> String {
    let one = |call: &Option<i32>| match call {
        None => "never returning".to_owned(),
        Some(0) => "returning 0".to_owned(),
        Some(raw) => format!("returning -{:?}", Errno::from_raw(-raw)),
    };
    match calls {
        [] => "no call".to_owned(),
        [only] => format!("one call {}", one(only)),
        several => {
            let list: Vec<String> = several.iter().map(one).collect();
            format!("{} calls {}", several.len(), list.join(", "))
        }
    }
}

/// "unmounted", "up", "shut down (corrupt-ondisk)".
pub(super) fn filesystem(state: FilesystemAfter) -> String {
    match state {
        FilesystemAfter::Unmounted => "unmounted".to_owned(),
        FilesystemAfter::Up => "up".to_owned(),
        FilesystemAfter::ShutDown(None) => "shut down".to_owned(),
        FilesystemAfter::ShutDown(Some(reason)) => format!("shut down ({reason})"),
    }
}

/// "ok", "EUCLEAN", "no call".
pub(super) fn injector(end: InjectorEnd) -> String {
    match end {
        InjectorEnd::NoCall => "nothing, for there is no call".to_owned(),
        InjectorEnd::Returns(result) => ending(result),
    }
}

/// "Recovered", "none".
pub(super) fn events(results: &[EventResult]) -> String {
    if results.is_empty() {
        return "none".to_owned();
    }
    results
        .iter()
        .map(|result| result.word())
        .collect::<Vec<_>>()
        .join(", ")
}

/// "gain the page", "stay as they are".
pub(super) const fn badblocks(after: &BadblocksAfter) -> &'static str {
    match after.added {
        Some(_) => "gain the page",
        None => "stay as they are",
    }
}
