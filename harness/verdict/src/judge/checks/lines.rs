// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernel messages, trace events, what watchers were told, and what commands said.

use super::Checks;
use crate::judge::words;
use crate::observe::evidence::{Evidence, Observation, StepEvidence, VictimView};
use crate::observe::{patterns, probes};
use guest_agent::address::GuestPhysical;
use guest_agent::trace::TraceLine;
use std::collections::BTreeMap;
use testcases::{
    Action, Case, Expect, FieldValue, FindingKind, FindingSignature, FindingValue, FindingWord, Glob, Lines,
    Pattern, StateExpectation, TraceExpectation,
};

/// A trace event that the case asks about and that nobody traces: whatever is expected of it would prove nothing.
pub(in crate::judge) fn untraceable(case: &Case) -> Option<String> {
    let traced = probes::traced_events();
    case.steps.iter().find_map(|step| match &step.action {
        Action::Expect(Expect::State(state)) => state
            .trace
            .iter()
            .find(|wanted| !traced.contains(&wanted.event))
            .map(|wanted| {
                format!(
                    "nobody traces {}; what is traced: {}",
                    wanted.event,
                    traced.join(", ")
                )
            }),
        _ => None,
    })
}

/// An event that came and has not the field that the case asks for, as this kernel prints it: that none of them has the value
/// would prove nothing. Where no such event came at all, nothing can have had it.
pub(in crate::judge) fn fieldless(case: &Case, evidence: &Evidence) -> Option<String> {
    case.steps.iter().zip(&evidence.steps).find_map(|(step, seen)| {
        let (Action::Expect(Expect::State(state)), StepEvidence::State(seen)) = (&step.action, seen) else {
            return None;
        };
        let trace = seen.trace.as_deref()?;
        let (wanted, (name, line)) = state
            .trace
            .iter()
            .find_map(|wanted| Some((wanted, absent_field(wanted, trace)?)))?;
        let event = &wanted.event;
        Some(format!(
            "this kernel's {event} has no field {name} that could be looked at: {}",
            line.text
        ))
    })
}

/// The first field that an event of this name does not have, and that event.
fn absent_field<'e>(
    wanted: &'e TraceExpectation,
    trace: &'e [TraceLine],
) -> Option<(&'e str, &'e TraceLine)> {
    let mut events = trace.iter().filter(|line| line.event == wanted.event);
    events.find_map(|line| {
        let absent = wanted.fields.keys().find(|name| field(line, name).is_none());
        absent.map(|name| (name.as_str(), line))
    })
}

/// Does a command say this? What its pattern stands for are the victims at the end; the error is that nobody knows what.
pub(super) fn says(glob: &Glob, said: &[String], evidence: &Evidence) -> Result<bool, String> {
    let known = Known {
        victims: &evidence.victims,
        injected: &[],
    };
    let patterns = filled(glob, &known)?;
    Ok(patterns
        .iter()
        .all(|pattern| said.iter().any(|line| pattern.is_in(line))))
}

/// What placeholders can stand for.
struct Known<'a> {
    victims: &'a BTreeMap<String, VictimView>,
    injected: &'a [GuestPhysical],
}

impl<'a> Checks<'a> {
    pub(super) fn lines(&mut self, step: usize, expected: &'a StateExpectation, seen: &'a Observation) {
        let known = Known {
            victims: &seen.victims,
            injected: &seen.injected,
        };
        if let Some(wanted) = &expected.log {
            self.has_and_lacks(
                step,
                FindingSignature::LOG,
                "the kernel's log",
                wanted,
                seen.log.as_deref(),
                &known,
            );
            self.asks_for(&wanted.has, seen.log.as_deref().unwrap_or_default(), &known);
        }
        for (watcher, wanted) in &expected.watched {
            let heard = seen.watched.get(watcher.as_str()).map(Vec::as_slice);
            let whose = format!("what {} was told", watcher.as_str());
            self.has_and_lacks(step, watcher.as_str(), &whose, wanted, heard, &known);
        }
        // Of an event that nobody traces, and of a field that it has not, nothing is known, and the case is not a pass.
        let traced = probes::traced_events();
        let seeable = |wanted: &&TraceExpectation| {
            let fieldless = seen
                .trace
                .as_deref()
                .is_some_and(|trace| absent_field(wanted, trace).is_some());
            traced.contains(&wanted.event)
                && self.evidence.blind.of_event(&wanted.event).is_none()
                && !fieldless
        };
        for wanted in expected.trace.iter().filter(seeable) {
            self.traced(step, wanted, seen.trace.as_deref(), &known);
        }
    }

    /// Keeps the lines of the kernel's log that these patterns ask for. One that stands for what is not known asks for none, and
    /// [`Self::has_and_lacks`] has made a finding of it.
    fn asks_for(&mut self, globs: &[Glob], log: &'a [String], known: &Known<'_>) {
        for glob in globs {
            let patterns = filled(glob, known).unwrap_or_default();
            let lines = log
                .iter()
                .filter(|line| patterns.iter().any(|pattern| pattern.is_in(line)));
            self.asked_lines
                .extend(lines.map(|line| (glob.to_string(), line.as_str())));
        }
    }

    fn has_and_lacks(
        &mut self,
        step: usize,
        of: &str,
        whose: &str,
        wanted: &Lines,
        seen: Option<&[String]>,
        known: &Known<'_>,
    ) {
        let line = |glob: &Glob, seen: FindingWord| {
            FindingSignature::new(FindingKind::Line, [seen])
                .of(of)
                .text(glob.to_string())
        };
        let Some(lines) = seen else {
            // One of them stands for all.
            if let Some(glob) = wanted.has.first().or_else(|| wanted.lacks.first()) {
                let what = format!("{whose} was not looked at");
                self.note(step, line(glob, FindingWord::Unseen), what, "lines", "nothing");
            }
            return;
        };
        for glob in &wanted.has {
            match filled(glob, known) {
                Ok(patterns) => {
                    let missing = patterns
                        .iter()
                        .find(|pattern| !lines.iter().any(|line| pattern.is_in(line)));
                    if let Some(pattern) = missing {
                        let said = if lines.is_empty() {
                            "no line".to_owned()
                        } else {
                            words::last(lines)
                        };
                        self.note(
                            step,
                            line(glob, FindingWord::Absent),
                            format!("{whose} lacks `{glob}`"),
                            pattern.to_string(),
                            said,
                        );
                    }
                }
                Err(unknown) => self.note(
                    step,
                    line(glob, FindingWord::Unknown),
                    format!("{whose} lacks `{glob}`"),
                    "something known",
                    unknown,
                ),
            }
        }
        for glob in &wanted.lacks {
            match filled(glob, known) {
                Ok(patterns) => {
                    let there = lines
                        .iter()
                        .find(|line| patterns.iter().any(|pattern| pattern.is_in(line)));
                    if let Some(there) = there {
                        self.note(
                            step,
                            line(glob, FindingWord::Present),
                            format!("{whose} has `{glob}`"),
                            "no such line",
                            there,
                        );
                    }
                }
                Err(unknown) => self.note(
                    step,
                    line(glob, FindingWord::Unknown),
                    format!("{whose} may have `{glob}`"),
                    "something known",
                    unknown,
                ),
            }
        }
    }

    fn traced(
        &mut self,
        step: usize,
        wanted: &TraceExpectation,
        seen: Option<&[TraceLine]>,
        known: &Known<'_>,
    ) {
        let mut conditions: Vec<String> = wanted.has.iter().map(|glob| format!("`{glob}`")).collect();
        conditions.extend(wanted.fields.iter().map(|(key, value)| format!("{key}={value}")));
        let conditions = conditions.join(", ");
        let event = |seen: FindingValue| {
            let signature = FindingSignature::new(FindingKind::Trace, [seen]).of(&wanted.event);
            if conditions.is_empty() {
                signature
            } else {
                signature.text(conditions.clone())
            }
        };
        let Some(trace) = seen else {
            let signature = event(FindingWord::Unseen.into());
            self.note(
                step,
                signature,
                "the trace was not looked at",
                "events",
                "nothing",
            );
            return;
        };
        let text = match wanted.has.as_ref().map(|glob| filled(glob, known)).transpose() {
            Ok(text) => text,
            Err(unknown) => {
                self.note(
                    step,
                    event(FindingWord::Unknown.into()),
                    format!("{} cannot be looked for", wanted.event),
                    "something known",
                    unknown,
                );
                return;
            }
        };
        let of_this_name: Vec<&TraceLine> = trace.iter().filter(|line| line.event == wanted.event).collect();
        let agrees = |line: &&&TraceLine| {
            let has = text
                .as_ref()
                .is_none_or(|patterns| patterns.iter().any(|pattern| pattern.is_in(&line.text)));
            has && wanted
                .fields
                .iter()
                .all(|(key, value)| field(line, key).is_some_and(|seen| is_value(value, seen, known)))
        };
        let count = of_this_name.iter().filter(agrees).count();
        if !wanted.times.contains(count) {
            let with = if conditions.is_empty() {
                String::new()
            } else {
                format!(" with {conditions}")
            };
            let all: Vec<String> = of_this_name.iter().map(|line| line.text.clone()).collect();
            self.note(
                step,
                event(FindingValue::count(count)),
                format!("{}{with} came {count} times", wanted.event),
                format!("{} times", wanted.times),
                if all.is_empty() {
                    "no such event".to_owned()
                } else {
                    words::last(&all)
                },
            );
        }
    }
}

fn filled(glob: &Glob, known: &Known<'_>) -> Result<Vec<Pattern>, String> {
    patterns::fill(glob, known.victims, known.injected)
        .map_err(|unknown| format!("nothing that {unknown} stands for"))
}

/// The value of a field: `key=value`, or, as older events print, the word after the key.
fn field<'l>(line: &'l TraceLine, key: &str) -> Option<&'l str> {
    if let Some(value) = line.fields().get(key) {
        return Some(value);
    }
    let mut words = line.text.split_whitespace();
    words.find(|word| word.trim_end_matches(':') == key)?;
    words.next().map(|value| value.trim_end_matches([':', ',']))
}

fn is_value(wanted: &FieldValue, seen: &str, known: &Known<'_>) -> bool {
    match wanted {
        FieldValue::Number(number) => number_of(seen) == Some(i128::from(*number)),
        FieldValue::Text(glob) => {
            filled(glob, known).is_ok_and(|patterns| patterns.iter().any(|pattern| pattern.is_in(seen)))
        }
    }
}

/// A number as events print it: decimal, signed, hexadecimal with `0x`.
fn number_of(text: &str) -> Option<i128> {
    match text.strip_prefix("0x") {
        Some(hex) => i128::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_however_they_are_printed() {
        let line =
            |text: &str| TraceLine::parse(&format!("x-1 [000] d..1. 1.0: some_event: {text}")).unwrap();
        let kprobe = line("(memory_failure+0x1/0x2) pfn=0x101202 flags=0x8");
        assert_eq!(field(&kprobe, "pfn").and_then(number_of), Some(0x10_1202));
        let shutdown = line("dev 259:0 ptag 0x0 flags corrupt_ondisk fname x line_num 1");
        assert_eq!(field(&shutdown, "flags"), Some("corrupt_ondisk"));
        let event = line("pfn 0x101202: recovery action for dax page: Recovered");
        assert_eq!(field(&event, "pfn"), Some("0x101202"));
        assert_eq!(field(&event, "page"), Some("Recovered"));
        assert_eq!(field(&event, "flags"), None);
        assert_eq!(number_of("-117"), Some(-117));
        assert_eq!(number_of("0xffffffffffffffff"), Some(0xffff_ffff_ffff_ffff));
    }
}
