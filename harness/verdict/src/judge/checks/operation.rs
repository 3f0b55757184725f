// SPDX-License-Identifier: MIT OR Apache-2.0
//! How an operation ended that was tried.

use super::Checks;
use super::lines::says;
use crate::judge::oracle::About;
use crate::judge::{values, words};
use crate::observe::evidence::{Access, AccessResult, Brought, Evidence, StepEvidence, Tried};
use guest_agent::call::Contents as Read;
use guest_agent::victim::Ended;
use testcases::{
    Action, Case, Contents, DataAccess, Errno, Expect, FileName, Fill, FindingKind, FindingSignature,
    FindingValue, FindingWord, Glob, Outcome, describe,
};

impl<'a> Checks<'a> {
    pub(super) fn operation(&mut self, step: usize, expected: &'a Outcome, seen: &'a Tried) {
        self.speak_of_access(seen);
        if self.ends_so(step, expected, seen) || undecided(expected, seen, self.evidence).is_some() {
            return;
        }
        let action = self.case.steps.get(step).map(|step| &step.action);
        let doing = action.map_or(String::new(), describe);
        let mut values = values::tried(seen, &self.evidence.victims);
        values.extend(self.beside(step, expected, seen));
        self.note(
            step,
            FindingSignature::new(FindingKind::Operation, values).in_step(action),
            format!("another answer to: {doing}"),
            wanted(expected),
            self.seen(seen),
        );
        if let Some(tried) = self.case.steps.get(step) {
            self.knew(step, About::Operation(&tried.action));
        }
    }

    /// What is wrong with an ending that is right as far as its first word goes.
    fn beside(&self, step: usize, expected: &Outcome, seen: &Tried) -> Option<FindingValue> {
        let Tried::Succeeded(brought) = seen else {
            return None;
        };
        match (expected, brought) {
            (_, Brought::Contents { contents, .. })
                if contents.length > 0 && !self.is_whole(step, contents) =>
            {
                Some(FindingWord::Short.into())
            }
            (
                _,
                Brought::Contents {
                    other: Some(Err(refused)),
                    ..
                },
            ) => Some(FindingValue::returned(refused.errno)),
            (Outcome::Exits { status, .. }, Brought::Ran { ended, .. })
                if *ended == Some(Ended::Exited(i32::from(*status))) =>
            {
                Some(FindingWord::OtherOutput.into())
            }
            _ => None,
        }
    }

    /// What was seen, with the signals that it raised.
    fn seen(&self, seen: &Tried) -> String {
        let mut text = words::describe_attempt(seen);
        if let Tried::ByVictim(access) = seen
            && let Some(victim) = self.evidence.victims.get(&access.victim)
        {
            for signal in victim.signals.get(access.signals.clone()).unwrap_or_default() {
                text.push_str("; ");
                text.push_str(&words::signal(signal, victim));
            }
        }
        text
    }

    fn ends_so(&self, step: usize, expected: &Outcome, seen: &Tried) -> bool {
        match (expected, seen) {
            (Outcome::Succeeds, Tried::Succeeded(brought)) => is_success(brought),
            (Outcome::Succeeds, Tried::ByVictim(access)) => access.is_success(),
            (Outcome::Fails(errno), Tried::Refused(refusal)) => {
                Errno::from_number(refusal.errno) == Some(*errno)
            }
            (Outcome::Fails(errno), Tried::ByVictim(access)) => refused_by(access) == Some(*errno),
            (Outcome::Differs, Tried::Succeeded(brought)) => *brought == Brought::Differs,
            (Outcome::Contains(wanted), Tried::Succeeded(Brought::Contents { contents, other })) => {
                self.is_whole(step, contents)
                    && holds(
                        wanted,
                        contents,
                        other.as_ref().and_then(|other| other.as_ref().ok()),
                    )
            }
            (Outcome::Value(byte), Tried::ByVictim(access)) => {
                access.is_success() && access.result == Some(AccessResult::Byte(*byte))
            }
            (Outcome::Raises(signal), Tried::ByVictim(access)) => self.raised(signal, access),
            (
                Outcome::Exits { status, output },
                Tried::Succeeded(Brought::Ran {
                    ended, output: said, ..
                }),
            ) => {
                let says = |glob| says(glob, said, self.evidence);
                *ended == Some(Ended::Exited(i32::from(*status)))
                    && output.has.iter().all(|glob| says(glob) == Ok(true))
                    && output.lacks.iter().all(|glob| says(glob) == Ok(false))
            }
            (Outcome::Names(names), Tried::Succeeded(Brought::Names(seen))) => {
                names.len() == seen.len()
                    && seen
                        .iter()
                        .all(|name| names.iter().any(|wanted| wanted.as_str() == name))
            }
            _ => false,
        }
    }

    /// Was all read that was asked for?
    fn is_whole(&self, step: usize, contents: &Read) -> bool {
        let wanted = match self.case.steps.get(step).map(|step| &step.action) {
            Some(Action::Expect(Expect::Operation { operation, .. })) => operation.facts().data,
            _ => DataAccess::None,
        };
        match wanted {
            DataAccess::Part { length, .. } => contents.length == length.0,
            DataAccess::None | DataAccess::Byte(_) => contents.length > 0,
        }
    }
}

/// An output of which too much is left out for its expectation: what was looked for and not found may be there.
pub(in crate::judge) fn cut_off(case: &Case, evidence: &Evidence) -> Option<String> {
    case.steps.iter().zip(&evidence.steps).find_map(|(step, seen)| {
        let (Action::Expect(Expect::Operation { outcome, .. }), StepEvidence::Operation(seen)) =
            (&step.action, seen)
        else {
            return None;
        };
        undecided(outcome, seen, evidence).map(|bytes| {
            format!(
                "line {}: {bytes} bytes of what it said are left out, and what was looked for and not found may be among them",
                step.line
            )
        })
    })
}

/// How many bytes of an output are left out that its expectation would need. It needs none where what was kept speaks against
/// it already, by what must not be there or by the exit status, or has all that it asks for and it forbids nothing.
fn undecided(expected: &Outcome, seen: &Tried, evidence: &Evidence) -> Option<u64> {
    let (
        Outcome::Exits { status, output },
        Tried::Succeeded(Brought::Ran {
            ended,
            output: said,
            left_out,
        }),
    ) = (expected, seen)
    else {
        return None;
    };
    let says = |glob| says(glob, said, evidence);
    let open = *left_out > 0
        && *ended == Some(Ended::Exited(i32::from(*status)))
        && output.lacks.iter().all(|glob| says(glob) == Ok(false))
        && (!output.lacks.is_empty() || output.has.iter().any(|glob| says(glob) == Ok(false)));
    open.then_some(*left_out)
}

fn is_success(brought: &Brought) -> bool {
    match brought {
        Brought::Differs => false,
        Brought::Moved { bytes, of } => bytes == of,
        Brought::Ran { ended, .. } => *ended == Some(Ended::Exited(0)),
        Brought::Nothing | Brought::Contents { .. } | Brought::Names(_) | Brought::Text(_) => true,
    }
}

/// The errno that a victim's call got; a signal besides makes it another ending.
fn refused_by(access: &Access) -> Option<Errno> {
    match &access.result {
        Some(AccessResult::Refused(refusal)) if access.signals.is_empty() && access.ended.is_none() => {
            Errno::from_number(refusal.errno)
        }
        _ => None,
    }
}

fn holds(wanted: &Contents, read: &Read, other: Option<&Read>) -> bool {
    match wanted {
        Contents::Fill(Fill::Byte(byte)) => read.uniform == Some(*byte),
        Contents::Fill(Fill::Counting) => read.counting,
        Contents::File { .. } => other.is_some_and(|other| {
            other.length == read.length && read.sha256.is_some() && other.sha256 == read.sha256
        }),
        Contents::Sha256(sum) => read.sha256.as_deref() == Some(sum.to_string().as_str()),
    }
}

fn wanted(expected: &Outcome) -> String {
    match expected {
        Outcome::Succeeds => "success".to_owned(),
        Outcome::Fails(errno) => errno.to_string(),
        Outcome::Differs => "contents that differ".to_owned(),
        Outcome::Contains(Contents::Fill(Fill::Byte(byte))) => format!("every byte {byte:#04x}"),
        Outcome::Contains(Contents::Fill(Fill::Counting)) => "counting pages".to_owned(),
        Outcome::Contains(Contents::File { file, offset }) => format!("what {file} holds from {offset} on"),
        Outcome::Contains(Contents::Sha256(sum)) => format!("bytes of the SHA-256 {sum}"),
        Outcome::Value(byte) => format!("the byte {byte:#04x}"),
        Outcome::Raises(signal) => words::expected(std::slice::from_ref(signal)),
        Outcome::Exits { status, output } => {
            let globs = |words: &str, globs: &[Glob]| {
                let words = globs.iter().map(|glob| format!(", {words} `{glob}`"));
                words.collect::<Vec<_>>().concat()
            };
            format!(
                "exit status {status}{}{}",
                globs("saying", &output.has),
                globs("not saying", &output.lacks)
            )
        }
        Outcome::Names(names) => names.iter().map(FileName::as_str).collect::<Vec<_>>().join(", "),
    }
}
