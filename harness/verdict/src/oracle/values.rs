// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was seen, in the typed words of findings: the same as those of a case's own expectations.

use super::facts::MAIN_THREAD;
use super::observed::{SeenSignal, SeenVictim};
use super::prediction::{EventResult, FilesystemAfter};
use guest_agent::victim::Ended;
use nix::errno::Errno;
use testcases::{FindingKind, FindingSignature, FindingValue, FindingWord, Place};

/// What a victim was told: signals, what waits, and its end.
pub(super) fn victim(name: &str, seen: &SeenVictim) -> FindingSignature {
    let pending = seen.sigbus_pending.then(|| FindingWord::Pending.into());
    let end = seen.ended.map(ended);
    let told = seen.signals.iter().map(signal).chain(pending).chain(end);
    FindingSignature::new(FindingKind::Victim, told).of(name)
}

/// How a process ended.
pub(crate) const fn ended(how: Ended) -> FindingValue {
    match how {
        Ended::Exited(status) => FindingValue::Exited(status),
        Ended::Killed(signal) => FindingValue::Died(signal),
    }
}

/// What a function returned; `no-return` where it did not.
pub(crate) fn returned(value: Option<i32>) -> FindingValue {
    value.map_or(FindingWord::NoReturn.into(), FindingValue::returned)
}

fn signal(seen: &SeenSignal) -> FindingValue {
    FindingValue::Signal(testcases::SeenSignal {
        number: seen.number,
        code: seen.code,
        at: seen.place.map(|(map, at)| Place::of(map, at)),
        lsb: seen.lsb,
        thread: seen.thread.clone().filter(|thread| thread != MAIN_THREAD),
    })
}

/// What an injecting call got.
pub(super) fn injector(seen: Result<(), Errno>) -> FindingSignature {
    let value = match seen {
        Ok(()) => FindingWord::Ok.into(),
        Err(errno) => FindingValue::returned(errno as i32),
    };
    FindingSignature::new(FindingKind::Injector, [value])
}

/// What the calls of `xfs_dax_notify_failure` returned.
pub(super) fn notify(seen: &[Option<i32>]) -> FindingSignature {
    let values = seen.iter().copied().map(returned);
    FindingSignature::new(FindingKind::NotifyFailure, values)
}

/// The state of the filesystem.
pub(super) fn filesystem(seen: FilesystemAfter) -> FindingSignature {
    let value = match seen {
        FilesystemAfter::Unmounted => FindingWord::Unmounted.into(),
        FilesystemAfter::Up => FindingWord::Up.into(),
        FilesystemAfter::ShutDown(reason) => FindingValue::Shutdown(reason),
    };
    FindingSignature::new(FindingKind::Filesystem, [value])
}

/// What every `memory_failure_event` said.
pub(super) fn events(seen: &[EventResult]) -> FindingSignature {
    let words = seen.iter().map(|result| match result {
        EventResult::Recovered => FindingWord::Recovered,
        EventResult::Failed => FindingWord::Failed,
    });
    FindingSignature::new(FindingKind::MemoryFailureEvent, words)
}

/// Whether something is there.
pub(super) const fn there(is: bool) -> FindingWord {
    if is {
        FindingWord::Present
    } else {
        FindingWord::Absent
    }
}
