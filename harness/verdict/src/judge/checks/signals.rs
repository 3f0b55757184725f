// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who was told, and who was not.

use super::Checks;
use crate::judge::findings::Found;
use crate::judge::oracle::{self, About};
use crate::judge::values;
use crate::judge::words;
use crate::observe::SIGBUS;
use crate::observe::evidence::{Access, Observation, Tried, VictimView};
use crate::observe::probes::{Sent, signals_in_lines, signals_sent};
use guest_agent::victim::{Ended, Signal};
use std::collections::{BTreeMap, BTreeSet};
use testcases::{
    Comm, DeadlySignal, FindingKind, FindingSignature, FindingValue, FindingWord, SentSignal,
    SignalExpectation, StateExpectation, VictimName,
};

impl<'a> Checks<'a> {
    pub(super) fn signals(&mut self, step: usize, expected: &'a StateExpectation, seen: &'a Observation) {
        for (name, killed) in &expected.killed {
            if let Some((name, victim)) = self.victim(step, name, seen) {
                self.killed(step, name, killed, victim);
            }
        }
        for (name, deadly) in &expected.died {
            if let Some((name, victim)) = self.victim(step, name, seen) {
                self.died(step, name, *deadly, victim);
            }
        }
        for name in &expected.alive {
            if let Some((name, victim)) = self.victim(step, name, seen) {
                self.alive(step, name, victim);
            }
        }
        for name in &expected.pending {
            if let Some((name, victim)) = self.victim(step, name, seen) {
                self.pending(step, name, victim);
            }
        }
        for (name, signal) in &expected.signalled {
            self.signalled(step, name, *signal, seen);
        }
    }

    /// A process of the case's own: each signal that it got since the latest injection is as expected, and there is one.
    fn signalled(&mut self, step: usize, name: &Comm, expected: SentSignal, seen: &Observation) {
        let ours = self.pids_of_victims();
        let got: Vec<&(usize, Sent)> = seen
            .sent
            .iter()
            .filter(|(_, sent)| sent.task == name.as_str() && !ours.contains(&sent.pid))
            .collect();
        self.lines.extend(got.iter().map(|(line, _)| *line));
        let alike = |(_, sent): &&(usize, Sent)| expected.allows(sent.number, sent.code);
        if got.is_empty() || !got.iter().all(alike) {
            let values = match got.as_slice() {
                [] => vec![FindingWord::None.into()],
                got => got
                    .iter()
                    .map(|(_, sent)| FindingValue::Sent(sent.number))
                    .collect(),
            };
            self.note(
                step,
                FindingSignature::new(FindingKind::Stranger, values).of(name.as_str()),
                format!("{name}, a process of the case's own, was not signalled as expected"),
                expected.to_string(),
                words::sent(got.iter().map(|(_, sent)| sent)),
            );
        }
    }

    /// The victims and their threads.
    fn pids_of_victims(&self) -> BTreeSet<i32> {
        let victims = self.evidence.victims.values();
        victims
            .flat_map(|victim| victim.threads.keys().copied().chain([victim.pid]))
            .collect()
    }

    fn victim(
        &mut self,
        step: usize,
        name: &VictimName,
        seen: &'a Observation,
    ) -> Option<(&'a str, &'a VictimView)> {
        let found = seen.victims.get_key_value(name.as_str());
        if found.is_none() {
            let signature = of_victim(name.as_str(), [FindingWord::Unknown]);
            let what = format!("{name} is unknown");
            self.note(step, signature, what, "a victim", "no such process");
        }
        found.map(|(name, victim)| (name.as_str(), victim))
    }

    /// The signals since the latest injection that no access has raised. From now on they are spoken about.
    fn fresh(&mut self, name: &'a str, victim: &'a VictimView) -> Vec<&'a Signal> {
        let fresh: Vec<(usize, &Signal)> = victim
            .signals
            .iter()
            .enumerate()
            .skip(victim.before)
            .filter(|(index, _)| !self.raised.contains(&(name, *index)))
            .collect();
        self.accounted
            .extend(fresh.iter().map(|&(index, _)| (name, index)));
        fresh.into_iter().map(|(_, signal)| signal).collect()
    }

    fn killed(&mut self, step: usize, name: &'a str, expected: &[SignalExpectation], victim: &'a VictimView) {
        let fresh = self.fresh(name, victim);
        if !in_order(expected, &fresh, victim) {
            self.note(
                step,
                of_victim(name, values::received(&fresh, victim)),
                format!("{name} was not signalled as expected"),
                words::expected(expected),
                words::received(&fresh, victim),
            );
            self.knew(step, About::Victim(name));
        }
    }

    fn died(&mut self, step: usize, name: &'a str, deadly: DeadlySignal, victim: &'a VictimView) {
        self.ends.insert(name);
        if victim.ended != Some(Ended::Killed(deadly.number())) {
            let signals: Vec<&Signal> = victim.signals.iter().skip(victim.before).collect();
            self.note(
                step,
                of_victim(name, values::received(&signals, victim)),
                format!("{name} did not die as expected"),
                format!("it dies of {deadly}"),
                words::received(&signals, victim),
            );
            self.knew(step, About::Victim(name));
        }
    }

    fn alive(&mut self, step: usize, name: &'a str, victim: &'a VictimView) {
        let fresh = self.fresh(name, victim);
        if !fresh.is_empty() || victim.ended.is_some() || victim.has_sigbus_pending() {
            self.ends.insert(name);
            self.note(
                step,
                of_victim(name, values::received(&fresh, victim)),
                format!("{name} was not left alone"),
                "alive, and no signal",
                words::received(&fresh, victim),
            );
            self.knew(step, About::Victim(name));
        }
    }

    fn pending(&mut self, step: usize, name: &'a str, victim: &'a VictimView) {
        let fresh = self.fresh(name, victim);
        if !fresh.is_empty() || victim.ended.is_some() || !victim.has_sigbus_pending() {
            self.ends.insert(name);
            self.note(
                step,
                of_victim(name, values::received(&fresh, victim)),
                format!("no SIGBUS waits for {name}"),
                "alive, no signal delivered, and SIGBUS pending",
                words::received(&fresh, victim),
            );
            self.knew(step, About::Victim(name));
        }
    }

    /// Is this the signal that an access was to raise?
    pub(super) fn raised(&self, expected: &SignalExpectation, access: &Access) -> bool {
        let Some(victim) = self.evidence.victims.get(&access.victim) else {
            return false;
        };
        let signals = victim.signals.get(access.signals.clone()).unwrap_or_default();
        match access.ended {
            None => in_order(
                std::slice::from_ref(expected),
                &signals.iter().collect::<Vec<_>>(),
                victim,
            ),
            // Whoever has no handler cannot tell where; the kernel told its trace how.
            Some(Ended::Killed(SIGBUS)) => signals_sent(&self.evidence.trace).iter().any(|sent| {
                sent.pid == victim.pid && sent.number == SIGBUS && sent.code == expected.code.number()
            }),
            Some(_) => false,
        }
    }

    /// The signals of an access, and the end that it brought, are spoken about by whoever tried it, and by nobody else.
    pub(super) fn speak_of_access(&mut self, tried: &'a Tried) {
        let Tried::ByVictim(access) = tried else {
            return;
        };
        let name = access.victim.as_str();
        for index in access.signals.clone() {
            self.accounted.insert((name, index));
            self.raised.insert((name, index));
        }
        if access.ended.is_some() {
            self.ends.insert(name);
        }
    }

    /// Signals that no expectation has spoken about.
    pub(super) fn unaccounted(&mut self) {
        let mut predicted = self.predicted_signals();
        for (name, victim) in &self.evidence.victims {
            let told = |index: usize| self.accounted.contains(&(name.as_str(), index));
            // Of equal predicted signals, those that an expectation names are taken first.
            for (_, signal) in victim
                .signals
                .iter()
                .enumerate()
                .filter(|(index, _)| told(*index))
            {
                take(&mut predicted, name, signal);
            }
            for (index, signal) in victim.signals.iter().enumerate() {
                let accounted = self.accounted.contains(&(name.as_str(), index));
                if !accounted && !take(&mut predicted, name, signal) {
                    self.found.push(Found::unforeseen(
                        of_victim(name, [values::signal(signal, victim)]),
                        format!("{name} was signalled, which no expectation names"),
                        words::signal(signal, victim),
                    ));
                    self.knew(self.evidence.steps.len(), About::Victim(name));
                }
            }
            if let (Some(ended), false) = (victim.ended, self.ends.contains(name.as_str())) {
                self.found.push(Found::unforeseen(
                    of_victim(name, [values::ended(ended)]),
                    format!("{name} ended by itself"),
                    ended.to_string(),
                ));
            }
        }
    }

    /// The signals that came of errors just as the oracle predicted them.
    fn predicted_signals(&self) -> Vec<(&'a str, &'a Signal)> {
        let evidence = self.evidence;
        let hits = evidence.injections().flat_map(|(_, injected)| &injected.hits);
        hits.flat_map(|hit| oracle::predicted_signals(hit, self.kernel, &evidence.blind))
            .collect()
    }

    /// Whether the case asks for the line in which the kernel says that it sends this signal (mm/memory-failure.c, kill_proc),
    /// and names the process there: `Sending SIGBUS to xfs_io`. A letter that happens to stand in what it asks names nobody.
    fn is_asked_of_the_log(&self, sent: &Sent) -> bool {
        let named = format!("to {}", sent.task);
        let line_of_kill_proc = format!("Sending SIGBUS to {}:{} ", sent.task, sent.pid);
        sent.number == SIGBUS
            && self
                .asked_lines
                .iter()
                .any(|(asked, line)| asked.contains(&named) && line.contains(&line_of_kill_proc))
    }

    /// Signals to processes that are no victims, of which no expectation has spoken.
    pub(super) fn strangers(&mut self) {
        let ours = self.pids_of_victims();
        let strangers: BTreeMap<(i32, String), i32> = signals_in_lines(&self.evidence.trace, 0)
            .into_iter()
            .filter(|(line, sent)| !ours.contains(&sent.pid) && !self.lines.contains(line))
            .filter(|(_, sent)| !self.is_asked_of_the_log(sent))
            .map(|(_, sent)| ((sent.pid, sent.task), sent.number))
            .collect();
        for ((pid, task), number) in strangers {
            let sent = FindingValue::Sent(number);
            self.found.push(Found::unforeseen(
                FindingSignature::new(FindingKind::Stranger, [sent]).of(&task),
                "a process that is no victim was signalled".to_owned(),
                format!("signal {number} to {task} (pid {pid})"),
            ));
        }
    }
}

/// Takes a signal of this victim out of those; whether it was there.
fn take(signals: &mut Vec<(&str, &Signal)>, name: &str, signal: &Signal) -> bool {
    let found = signals.iter().position(|one| *one == (name, signal));
    found.map(|index| signals.swap_remove(index)).is_some()
}

/// That this is what a victim was told.
fn of_victim<V: Into<FindingValue>>(name: &str, seen: impl IntoIterator<Item = V>) -> FindingSignature {
    FindingSignature::new(FindingKind::Victim, seen).of(name)
}

/// Are these exactly the signals that are expected, in this order, each as often as it may come?
fn in_order(expected: &[SignalExpectation], got: &[&Signal], victim: &VictimView) -> bool {
    let Some((first, rest)) = expected.split_first() else {
        return got.is_empty();
    };
    let alike = got.iter().take_while(|signal| is(first, signal, victim)).count();
    (0..=alike)
        .filter(|&count| first.times.contains(count))
        .any(|count| in_order(rest, got.get(count..).unwrap_or_default(), victim))
}

fn is(expected: &SignalExpectation, signal: &Signal, victim: &VictimView) -> bool {
    let place = signal.at.is_some_and(|spot| {
        u32::try_from(spot.mapping) == Ok(expected.at.map) && spot.offset.0 == expected.at.at.0
    });
    let thread = expected.thread.as_ref().is_none_or(|thread| {
        victim
            .threads
            .get(&signal.tid)
            .is_some_and(|name| name == thread.as_str())
    });
    signal.number == SIGBUS
        && signal.code == expected.code.number()
        && place
        && thread
        && expected.lsb.allows(signal.lsb)
}
