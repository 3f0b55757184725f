// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was seen, in the typed words of findings: by these a known issue names it.

use super::checks::shutdown_reason;
use crate::observe::evidence::{Access, AccessResult, Away, Brought, Filesystem, Tried, VictimView};
pub(super) use crate::oracle::values::{ended, returned};
use guest_agent::call::Contents;
use guest_agent::victim::Signal;
use std::collections::BTreeMap;
use testcases::{FindingValue, FindingWord, Place, SeenSignal};

/// How an operation ended; what it raised is looked up among the signals of its victim.
pub(super) fn tried(seen: &Tried, victims: &BTreeMap<String, VictimView>) -> Vec<FindingValue> {
    match seen {
        Tried::Refused(refused) => vec![FindingValue::returned(refused.errno)],
        Tried::ByVictim(seen) => access(seen, victims.get(&seen.victim)),
        Tried::Succeeded(brought) => vec![self::brought(brought)],
    }
}

fn brought(seen: &Brought) -> FindingValue {
    match seen {
        Brought::Nothing | Brought::Text(_) => FindingWord::Ok.into(),
        Brought::Contents { contents, .. } => self::contents(contents),
        Brought::Names(names) if names.is_empty() => FindingWord::None.into(),
        Brought::Names(_) => FindingWord::OtherNames.into(),
        Brought::Moved { bytes, of } => moved(*bytes, *of),
        Brought::Differs => FindingWord::Differs.into(),
        Brought::Ran { ended: None, .. } => FindingWord::Deadline.into(),
        Brought::Ran { ended: Some(how), .. } => ended(*how),
    }
}

fn moved(bytes: u64, of: u64) -> FindingValue {
    let word = if bytes == of {
        FindingWord::Ok
    } else {
        FindingWord::Short
    };
    word.into()
}

fn contents(seen: &Contents) -> FindingValue {
    match (seen.uniform, seen.counting) {
        _ if seen.length == 0 => FindingWord::None.into(),
        (Some(byte), _) => FindingValue::Number(byte.into()),
        (None, true) => FindingWord::Counting.into(),
        (None, false) => FindingWord::OtherBytes.into(),
    }
}

fn access(seen: &Access, victim: Option<&VictimView>) -> Vec<FindingValue> {
    let raised = victim.map_or(Vec::new(), |victim| {
        let signals = victim.signals.get(seen.signals.clone()).unwrap_or_default();
        signals.iter().map(|seen| signal(seen, victim)).collect()
    });
    let result = match &seen.result {
        Some(AccessResult::Done) => Some(FindingWord::Ok.into()),
        Some(AccessResult::Byte(byte)) => Some(FindingValue::Number((*byte).into())),
        Some(AccessResult::Moved { bytes, of }) => Some(moved(*bytes, *of)),
        Some(AccessResult::Refused(refused)) => Some(FindingValue::returned(refused.errno)),
        // The signal says it, or the end.
        Some(AccessResult::Faulted) => raised.is_empty().then(|| FindingWord::Faulted.into()),
        None => seen.ended.is_none().then(|| FindingWord::NoAnswer.into()),
    };
    let end = seen.ended.map(ended);
    result.into_iter().chain(raised).chain(end).collect()
}

/// What a victim was told: some signals, what waits, and its end.
pub(super) fn received(signals: &[&Signal], victim: &VictimView) -> Vec<FindingValue> {
    let pending = victim.has_sigbus_pending().then(|| FindingWord::Pending.into());
    signals
        .iter()
        .map(|seen| signal(seen, victim))
        .chain(pending)
        .chain(victim.ended.map(ended))
        .collect()
}

/// One signal that a victim got.
pub(super) fn signal(seen: &Signal, victim: &VictimView) -> FindingValue {
    let thread = victim.threads.get(&seen.tid).filter(|_| seen.tid != victim.pid);
    FindingValue::Signal(SeenSignal {
        number: seen.number,
        code: seen.code,
        at: seen.at.map(|spot| Place::of(spot.mapping, spot.offset.0)),
        lsb: seen.lsb,
        thread: thread.cloned(),
    })
}

/// The state of the filesystem.
pub(super) fn filesystem(seen: &Filesystem) -> FindingValue {
    match seen {
        Filesystem::Up => FindingWord::Up.into(),
        Filesystem::Away(Away::Detached) => FindingWord::Detached.into(),
        Filesystem::Away(Away::Elsewhere(_)) => FindingWord::Elsewhere.into(),
        Filesystem::Away(Away::Covered { .. }) => FindingWord::Covered.into(),
        Filesystem::Unmounted => FindingWord::Unmounted.into(),
        Filesystem::ShutDown(flags) => FindingValue::Shutdown(flags.and_then(shutdown_reason)),
    }
}
