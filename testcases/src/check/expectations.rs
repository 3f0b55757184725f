// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether an expectation can be one: about victims that there are, about an injection that was made, inside files.

use std::collections::BTreeMap;

use super::Walk;
use super::victims::Victim;
use crate::diagnostic::Diagnostic;
use crate::model::{
    BadRange, BusCode, Contents, DataAccess, DeadlySignal, Disposition, FieldValue, FilesystemState, Lines,
    Operation, Outcome, SignalExpectation, StateExpectation, TraceExpectation, TracedEvent,
};
use crate::suggest;
use crate::syntax::{Kind, Node, Scalar};
use crate::value::{Bytes, Glob, Placeholder, ThreadName, VictimName};

/// The unit of the kernel's badblocks lists (block/badblocks.c).
const SECTOR: u64 = 512;
const PAGE: u64 = 4096;

impl Walk<'_> {
    pub(super) fn state(&mut self, state: &StateExpectation, node: &Node) {
        self.killed(state, node);
        self.fates(state, node);
        self.signalled(state, node);
        self.presence(state, node);
        let without_injector = self.injected.as_ref().filter(|(by, _)| !by.has_injector());
        if let (Some(_), Some((_, injected))) = (state.injector, without_injector) {
            self.found.push(
                Diagnostic::new("a machine check has no writer that could get an error")
                    .at(node.key("injector"), "nobody to ask")
                    .see(injected.clone(), "the latest injection is a machine check")
                    .help("take `injector` away, or inject through `debugfs: corrupt-pfn`"),
            );
        }
        if state
            .filesystem
            .is_some_and(|state| state != FilesystemState::Unmounted)
        {
            self.needs_mount(node.key("filesystem"));
        }
        let ranges = node.at("badblocks");
        for (index, range) in state.badblocks.iter().flatten().enumerate() {
            self.bad_range(range, ranges.nth(index));
        }
        if let Some(log) = &state.log {
            self.lines(log, node.at("log"));
        }
        let trace = node.at("trace");
        for (index, event) in state.trace.iter().enumerate() {
            let node = one_of(trace, index);
            self.found.extend(untraced(event, node));
            if let Some(glob) = &event.has {
                self.placeholders(glob, node.at("has"));
            }
            for (name, value) in &event.fields {
                if let FieldValue::Text(glob) = value {
                    self.placeholders(glob, node.at("fields").at(name));
                }
            }
        }
        if let Some(bytes) = state
            .hardware_corrupted
            .filter(|bytes| !bytes.is_multiple_of(PAGE))
        {
            self.found.push(
                Diagnostic::new(format!("{bytes} is no whole number of pages"))
                    .at(
                        node.at("hardware_corrupted").handle.clone(),
                        "not a multiple of 4KiB",
                    )
                    .help("the kernel counts pages of 4KiB"),
            );
        }
        let files = node.at("files");
        for file in state.files.keys() {
            self.needs_mount(node.key("files"));
            let _ = self
                .files
                .used(file, &key_of(files, file.as_str()), &mut self.found);
        }
        for (watcher, lines) in &state.watched {
            let watched = node.at("watched");
            if !self.watchers.contains(watcher) {
                let word = watcher.as_str();
                self.found.push(
                    Diagnostic::new(format!("nobody watches `{word}`"))
                        .at(watched.key(word), "not started")
                        .help(format!("put `- watch: {word}` before the injection")),
                );
            }
            self.lines(lines, watched.at(watcher.as_str()));
        }
    }

    /// Signals that victims write down.
    fn killed(&mut self, state: &StateExpectation, node: &Node) {
        let killed = node.at("killed");
        for (name, signals) in &state.killed {
            let usage = killed.key(name.as_str());
            let Some(victim) = self.victims.known(name, usage.clone(), &mut self.found) else {
                continue;
            };
            let instead = match victim.spec.sigbus {
                Disposition::Handler => None,
                Disposition::Default => Some(format!("write `died: {{ {name}: SIGBUS }}`")),
                Disposition::Ignored => Some(format!(
                    "write `alive: [{name}]`, or `died: {{ {name}: SIGBUS }}` if it is forced"
                )),
                Disposition::Blocked => Some(format!("write `pending: [{name}]`")),
            };
            if let Some(instead) = instead {
                self.found.push(
                    Diagnostic::new(format!("`{name}` has no handler that could tell of a signal"))
                        .at(usage, "cannot tell")
                        .see(
                            victim.made.clone(),
                            format!("`sigbus: {}`", victim.spec.sigbus.as_str()),
                        )
                        .help(instead),
                );
            }
            for (index, signal) in signals.iter().enumerate() {
                let node = one_of(killed.at(name.as_str()), index);
                self.signal(name, signal, &key_of(killed, name.as_str()), node);
                self.has_page(name, signal, node);
            }
        }
    }

    /// Who has accessed nothing has no page-table entry there, and is told of no memory error: __add_to_kill()
    /// (mm/memory-failure.c) passes over whom dev_pagemap_mapping_shift() finds nothing for.
    fn has_page(&mut self, name: &VictimName, signal: &SignalExpectation, node: &Node) {
        let of_memory_error = match signal.code {
            BusCode::MceerrAo | BusCode::MceerrAr => true,
            BusCode::Adrerr => false,
        };
        if self.injected.is_none() || !of_memory_error || signal.times.contains(0) {
            return;
        }
        // Whether there is such a victim has been said.
        let known = self.victims.known(name, node.handle.clone(), &mut Vec::new());
        if let Some(victim) = known.filter(|victim| !victim.may_have_page(signal.at)) {
            self.found.push(
                Diagnostic::new(format!(
                    "`{name}` has no page at {}, and cannot be told of an error there: nothing there is read or written",
                    signal.at
                ))
                .at(node.at("at").handle.clone(), "not in its page table")
                .see(victim.made.clone(), format!("`{name}` is started here"))
                .help(format!(
                    "add it to `touches` where the victim is started, or write `alive: [{name}]`"
                )),
            );
        }
    }

    /// The same of whose signal has no place that could be told.
    fn has_some_page(&mut self, name: &VictimName, span: &std::ops::Range<usize>) {
        if self.injected.is_none() {
            return;
        }
        // Whether there is such a victim has been said.
        let known = self.victims.known(name, span.clone(), &mut Vec::new());
        if let Some(victim) = known.filter(|victim| !victim.has_accessed()) {
            self.found.push(
                Diagnostic::new(format!(
                    "`{name}` has no page at all, and cannot be told of an error: nothing is read or written"
                ))
                .at(span.clone(), "nothing in its page table")
                .see(victim.made.clone(), format!("`{name}` is started here"))
                .help("add `touches` where the victim is started"),
            );
        }
    }

    /// Where a signal points, and who gets it.
    fn signal(&mut self, name: &VictimName, signal: &SignalExpectation, usage: &Node, node: &Node) {
        let places = (node.at("at"), node.at("map"));
        self.in_mapping(name, usage, signal.at, places, None);
        let Some(thread) = &signal.thread else {
            return;
        };
        // Whether there is such a victim has been said.
        let known = self.victims.known(name, usage.handle.clone(), &mut Vec::new());
        if let Some(victim) = known.filter(|victim| !victim.has_thread(thread)) {
            self.found.push(no_thread(victim, thread, node.at("thread")));
        }
    }

    /// Processes that are no victims: something must have started them.
    fn signalled(&mut self, state: &StateExpectation, node: &Node) {
        let written = node.at("signalled");
        for name in state.signalled.keys() {
            let span = written.key(name.as_str());
            if self.victims.is_one(name.as_str()) {
                self.found.push(
                    Diagnostic::new(format!("`{name}` is a victim"))
                        .at(span, "no process of a `run`")
                        .help(format!(
                            "say what she is told under `killed`, `died`, `alive` or `pending`: `alive: [{name}]`"
                        )),
                );
                continue;
            }
            let words: Vec<&str> = self.files.words_of_commands().collect();
            if words.is_empty() {
                self.found.push(
                    Diagnostic::new(format!("nothing has started `{name}`"))
                        .at(span, "no `run` stands before this")
                        .help(format!("start it first: `- run: {name} … &`")),
                );
                continue;
            }
            // Longer ones the kernel cuts off. A script may start what its command line does not show; a name that is nearly
            // there is a slip.
            let named = words.iter().any(|word| word.starts_with(name.as_str()));
            let near = suggest::nearest(name.as_str(), words);
            if let Some(near) = near.filter(|_| !named) {
                let near = near.to_owned();
                self.found.push(
                    Diagnostic::new(format!("no `run` before this names `{name}`"))
                        .at(span, "not started")
                        .help(suggest::did_you_mean(&near)),
                );
            }
        }
    }

    /// Nobody has two fates at once.
    fn fates(&mut self, state: &StateExpectation, node: &Node) {
        let mut fates: BTreeMap<&VictimName, (&str, std::ops::Range<usize>)> = BTreeMap::new();
        let killed = node.at("killed");
        for name in state.killed.keys() {
            fates.insert(name, ("killed", killed.key(name.as_str())));
        }
        let died = node.at("died");
        let mut dead = Vec::new();
        for (name, signal) in &state.died {
            let span = died.key(name.as_str());
            if self.victims.known(name, span.clone(), &mut self.found).is_none() {
                continue;
            }
            dead.push((name, span.clone()));
            if *signal == DeadlySignal::Sigbus {
                self.has_some_page(name, &span);
            }
            // A process whose handler has run may still be killed by what the kernel sends then.
            if *signal == DeadlySignal::Sigbus || !fates.contains_key(name) {
                self.fate(&mut fates, name, "dead", span);
            }
        }
        for (key, names, how) in [
            ("alive", &state.alive, "alive"),
            ("pending", &state.pending, "waiting"),
        ] {
            let list = node.at(key);
            for (index, name) in names.iter().enumerate() {
                let span = list.nth(index).handle.clone();
                let Some(victim) = self.victims.known(name, span.clone(), &mut self.found) else {
                    continue;
                };
                if key == "pending" && victim.spec.sigbus != Disposition::Blocked {
                    self.found.push(
                        Diagnostic::new(format!("no signal waits for `{name}`, who blocks none"))
                            .at(span.clone(), "blocks nothing")
                            .see(
                                victim.made.clone(),
                                format!("`sigbus: {}`", victim.spec.sigbus.as_str()),
                            )
                            .help("add `sigbus: blocked` where the victim is started"),
                    );
                }
                if key == "pending" {
                    self.has_some_page(name, &span);
                }
                self.fate(&mut fates, name, how, span);
            }
        }
        for (name, span) in dead {
            self.victims.dies(name, span);
        }
    }

    fn fate<'n>(
        &mut self,
        fates: &mut BTreeMap<&'n VictimName, (&'static str, std::ops::Range<usize>)>,
        name: &'n VictimName,
        how: &'static str,
        span: std::ops::Range<usize>,
    ) {
        match fates.get(name) {
            None => {
                fates.insert(name, (how, span));
            }
            Some((other, first)) if *other == how => self.found.push(
                Diagnostic::new(format!("`{name}` is named twice"))
                    .at(span, "again here")
                    .see(first.clone(), "first here")
                    .help("keep one of the two"),
            ),
            Some((other, first)) => self.found.push(
                Diagnostic::new(format!("`{name}` cannot be both {other} and {how}"))
                    .at(span, format!("{how} here"))
                    .see(first.clone(), format!("{other} here"))
                    .help("take one of the two away"),
            ),
        }
    }

    /// Pages that are there, and pages that are not.
    fn presence(&mut self, state: &StateExpectation, node: &Node) {
        for (key, map) in [("present", &state.present), ("absent", &state.absent)] {
            let written = node.at(key);
            for (name, places) in map {
                for (index, place) in places.iter().enumerate() {
                    let node = one_of(written.at(name.as_str()), index);
                    let at = (node.at("at"), node.at("map"));
                    self.in_mapping(name, &key_of(written, name.as_str()), *place, at, None);
                    let other = state
                        .absent
                        .get(name)
                        .is_some_and(|absent| absent.contains(place));
                    if key == "present" && other {
                        self.found.push(
                            Diagnostic::new(format!(
                                "`{name}`'s page at {place} cannot be both present and absent"
                            ))
                            .at(node.handle.clone(), "present here")
                            .help("take one of the two away"),
                        );
                    }
                }
            }
        }
    }

    fn lines(&mut self, lines: &Lines, node: &Node) {
        for (key, globs) in [("has", &lines.has), ("lacks", &lines.lacks)] {
            let written = node.at(key);
            for (index, glob) in globs.iter().enumerate() {
                self.placeholders(glob, one_of(written, index));
            }
        }
    }

    /// Whoever stands in braces must be a victim.
    fn placeholders(&mut self, glob: &Glob, node: &Node) {
        for placeholder in glob.placeholders() {
            if let Placeholder::Victim(name) | Placeholder::Pid(name) = placeholder {
                let _ = self.victims.known(name, node.handle.clone(), &mut self.found);
            }
        }
    }

    fn bad_range(&mut self, range: &BadRange, node: &Node) {
        let parts: &[(&str, Bytes)] = match range {
            BadRange::File { file, offset, length } => {
                let length_node = Some((*length, node.at("length")));
                self.inside(file, node.at("file"), *offset, length_node, node.at("offset"));
                &[("offset", *offset), ("length", *length)]
            }
            BadRange::Injected { length } => {
                self.some_sectors(*length, node.at("injected"));
                &[("injected", *length)]
            }
            BadRange::Device { offset, length, .. } => {
                self.some_sectors(*length, node.at("length"));
                &[("device", *offset), ("length", *length)]
            }
        };
        for (key, bytes) in parts {
            if !bytes.is_multiple_of(SECTOR) {
                self.found.push(
                    Diagnostic::new(format!("{bytes} is no whole number of sectors"))
                        .at(node.at(key).handle.clone(), format!("not a multiple of {SECTOR}"))
                        .help(format!(
                            "the kernel records bad blocks in sectors of {SECTOR} bytes"
                        )),
                );
            }
        }
    }

    fn some_sectors(&mut self, length: Bytes, node: &Node) {
        if length.get() == 0 {
            self.found.push(
                Diagnostic::new("a range of no bytes shows nothing")
                    .at(node.handle.clone(), "no bytes")
                    .help("write `badblocks: []` if nothing is recorded"),
            );
        }
    }

    /// What an ending says beyond the operation itself.
    pub(super) fn outcome(&mut self, operation: &Operation, word: &str, node: &Node, outcome: &Outcome) {
        match outcome {
            Outcome::Contains(Contents::File { file, offset }) => {
                let contains = node.at("contains");
                let length = match operation.facts().data {
                    DataAccess::Part { length, .. } => Some((length, contains.at("offset"))),
                    DataAccess::None | DataAccess::Byte(_) => None,
                };
                self.inside(file, contains.at("file"), *offset, length, contains.at("offset"));
            }
            Outcome::Raises(signal) => {
                let Some(at) = operation.facts().data.mapping() else {
                    self.found.push(
                        Diagnostic::new("nobody is signalled by a write that no victim makes")
                            .at(node.key("raises"), "not here")
                            .see(node.key(word), "this is tried")
                            .help("write `error: EIO`, or `from: { victim: alice, at: 4KiB }` in place of `fill`"),
                    );
                    return;
                };
                let (name, place) = (at.victim, Self::said_of(at, node.at(word)));
                // Whether there is such a victim has been said.
                let known = self
                    .victims
                    .known(name, place.at("victim").handle.clone(), &mut Vec::new());
                if known.is_some() {
                    self.signal(name, signal, place.at("victim"), node.at("raises"));
                }
            }
            Outcome::Exits { output, .. } => self.lines(output, node.at("output")),
            _ => {}
        }
    }
}

/// An event that nobody traces, or a field that it does not have: `times: 0` of it would hold whatever the kernel does.
fn untraced(expected: &TraceExpectation, node: &Node) -> Vec<Diagnostic> {
    let name = &expected.event;
    let help = |near: Option<&str>, what: String| near.map_or(what, suggest::did_you_mean);
    let Some(event) = TracedEvent::of_name(name) else {
        let names = || TracedEvent::ALL.iter().map(|event| event.name);
        let all = names().collect::<Vec<_>>().join(", ");
        let unknown = Diagnostic::new(format!("nobody traces `{name}`"))
            .at(node.at("event").handle.clone(), "not traced")
            .help(help(suggest::nearest(name, names()), format!("traced are {all}")));
        return vec![unknown];
    };
    let unknown = expected
        .fields
        .keys()
        .filter(|field| !event.fields.contains(&field.as_str()));
    let diagnostic = |field: &String| {
        let near = suggest::nearest(field, event.fields.iter().copied());
        Diagnostic::new(format!("no `{name}` has a field `{field}`"))
            .at(node.at("fields").key(field), "no such field")
            .help(help(near, format!("its fields are {}", event.fields.join(", "))))
    };
    unknown.map(diagnostic).collect()
}

/// The one that is written, or one of the many.
fn one_of(node: &Node, index: usize) -> &Node {
    match &node.kind {
        Kind::List(_) => node.nth(index),
        _ => node,
    }
}

/// A key of a mapping as something to point at.
fn key_of(node: &Node, key: &str) -> Node {
    let span = node.key(key);
    Node {
        span: span.clone(),
        handle: span,
        kind: Kind::Scalar(Scalar::text(key.to_owned())),
    }
}

/// A thread that a victim does not have.
pub(super) fn no_thread(victim: &Victim, thread: &ThreadName, node: &Node) -> Diagnostic {
    let name = &victim.spec.name;
    let diagnostic = Diagnostic::new(format!("`{name}` has no thread `{thread}`"))
        .at(node.handle.clone(), "no such thread")
        .see(victim.made.clone(), format!("`{name}` is started here"));
    let known: Vec<&str> = victim.spec.threads.keys().map(ThreadName::as_str).collect();
    match suggest::nearest(thread.as_str(), known) {
        Some(near) => diagnostic.help(suggest::did_you_mean(near)),
        None => diagnostic.help(format!(
            "add `threads: {{ {thread}: early }}` where the victim is started"
        )),
    }
}
