// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be seen.

use std::collections::{BTreeMap, BTreeSet};

use super::signal;
use crate::diagnostic::Diagnostic;
use crate::document::{
    BadRangeDocument, ENDINGS, Either, ExpectDocument, FileStateDocument, LinesDocument, OneOrMany,
    PageFlagsDocument, PlaceDocument, SignalDocument, TraceDocument,
};
use crate::lower::keys::{empty, just_one, misfits, needed, present};
use crate::model::{
    BadRange, FieldValue, FileState, Lines, NotifyFailure, PageFlag, PageFlagsExpectation, Place,
    SignalExpectation, StateExpectation, TraceExpectation,
};
use crate::syntax::Node;
use crate::value::{Glob, VictimName};

/// The expectation of the state that a document writes.
pub(super) fn state(
    expect: ExpectDocument,
    node: &Node,
    found: &mut Vec<Diagnostic>,
) -> Option<StateExpectation> {
    let before = found.len();
    for ending in present(node, ENDINGS) {
        found.push(
            Diagnostic::new(format!(
                "`{ending}` says how an operation ends, but none is tried here"
            ))
            .at(node.key(ending), "of what?")
            .help("for the writer of an injection, write `injector: EUCLEAN`"),
        );
    }
    nobody(&expect, node, found);
    if let Some(NotifyFailure::Called { calls: Some(0), .. }) = expect.notify_failure {
        found.push(
            Diagnostic::new("no call returns anything")
                .at(node.at("notify_failure").at("calls").handle.clone(), "zero calls")
                .help("write `notify_failure: never`"),
        );
    }
    let killed = expect
        .killed
        .map(|killed| signals(killed, node.at("killed"), found));
    let badblocks = expect.badblocks.map(|ranges| {
        let node = node.at("badblocks");
        ranges
            .into_iter()
            .enumerate()
            .filter_map(|(index, range)| bad_range(range, node.nth(index), found))
            .collect()
    });
    let log = expect.log.map(|log| lines(log, node.at("log"), found));
    let trace = expect.trace.map(|trace| events(trace, node.at("trace"), found));
    let page_flags = expect
        .page_flags
        .map(|flags| page_flags(flags, node.at("page_flags"), found));
    let files = expect.files.map(|files| {
        let node = node.at("files");
        let file = |(name, state): (_, FileStateDocument)| (name, file_state(state));
        let files: BTreeMap<_, _> = files.into_iter().map(file).collect();
        for (name, _) in files.iter().filter(|(_, state)| **state == FileState::default()) {
            says_nothing(
                &node.at(name.as_str()).handle,
                "add one of `size`, `dax`, `shared`, `extents`, `unwritten`",
                found,
            );
        }
        files
    });
    let watched = expect.watched.map(|watched| {
        let node = node.at("watched");
        let seen = watched.into_iter().filter_map(|(watcher, seen)| {
            let node = node.at(watcher.as_str());
            let lines = lines(seen, node, found)?;
            if lines.has.is_empty() {
                no_barrier(node, found);
            }
            Some((watcher, lines))
        });
        seen.collect()
    });
    (found.len() == before).then(|| StateExpectation {
        killed: killed.unwrap_or_default(),
        died: expect.died.unwrap_or_default(),
        alive: expect.alive.unwrap_or_default(),
        pending: expect.pending.unwrap_or_default(),
        signalled: expect.signalled.unwrap_or_default(),
        present: places(expect.present),
        absent: places(expect.absent),
        injector: expect.injector,
        notify_failure: expect.notify_failure,
        filesystem: expect.filesystem,
        badblocks,
        log: log.flatten(),
        trace: trace.unwrap_or_default(),
        hardware_corrupted: expect.hardware_corrupted,
        page_flags: page_flags.flatten(),
        files: files.unwrap_or_default(),
        watched: watched.unwrap_or_default(),
    })
}

/// Refuses keys that are there and name nobody, so that they would be passed over in silence.
fn nobody(expect: &ExpectDocument, node: &Node, found: &mut Vec<Diagnostic>) {
    let places = |map: &Option<BTreeMap<_, OneOrMany<_>>>| map.as_ref().is_some_and(BTreeMap::is_empty);
    let victims = "name the victims that get a signal under `killed`, those that get none under `alive`";
    let list = "name the victim and the place: `present: { alice: 4KiB }`";
    let all = [
        (
            "killed",
            expect.killed.as_ref().is_some_and(BTreeMap::is_empty),
            victims,
        ),
        ("alive", expect.alive.as_ref().is_some_and(Vec::is_empty), victims),
        (
            "died",
            expect.died.as_ref().is_some_and(BTreeMap::is_empty),
            victims,
        ),
        (
            "pending",
            expect.pending.as_ref().is_some_and(Vec::is_empty),
            victims,
        ),
        (
            "signalled",
            expect.signalled.as_ref().is_some_and(BTreeMap::is_empty),
            "name the process and its signal: `signalled: { xfs_io: BUS_MCEERR_AO }`",
        ),
        ("present", places(&expect.present), list),
        ("absent", places(&expect.absent), list),
    ];
    for (key, _, help) in all.into_iter().filter(|(_, empty, _)| *empty) {
        empty(node, key, &format!("`{key}` names nobody"), help, found);
    }
    let nothing = [
        (
            "files",
            expect.files.as_ref().is_some_and(BTreeMap::is_empty),
            "name a file: `files: { a: { size: 2MiB } }`",
        ),
        (
            "watched",
            expect.watched.as_ref().is_some_and(BTreeMap::is_empty),
            "name a watcher: `watched: { health: { has: [media-error] } }`",
        ),
        (
            "trace",
            expect.trace.as_ref().is_some_and(|trace| trace.0.is_empty()),
            "name an event; one that does not come has `times: 0`",
        ),
    ];
    for (key, _, help) in nothing.into_iter().filter(|(_, empty, _)| *empty) {
        empty(node, key, &format!("`{key}` says nothing"), help, found);
    }
    for (key, map) in [("present", &expect.present), ("absent", &expect.absent)] {
        let without = map.iter().flatten().filter(|(_, places)| places.0.is_empty());
        for (name, _) in without {
            says_nothing(
                &node.at(key).at(name.as_str()).handle,
                "name a place, such as `4KiB`",
                found,
            );
        }
    }
}

fn says_nothing(span: &std::ops::Range<usize>, help: &str, found: &mut Vec<Diagnostic>) {
    found.push(
        Diagnostic::new("this says nothing")
            .at(span.clone(), "empty")
            .help(help),
    );
}

fn signals(
    killed: BTreeMap<VictimName, OneOrMany<SignalDocument>>,
    node: &Node,
    found: &mut Vec<Diagnostic>,
) -> BTreeMap<VictimName, Vec<SignalExpectation>> {
    let mut all = BTreeMap::new();
    for (name, OneOrMany(documents)) in killed {
        let node = node.at(name.as_str());
        if documents.is_empty() {
            says_nothing(&node.handle, "name those that get no signal under `alive`", found);
        }
        let signals = documents
            .into_iter()
            .enumerate()
            .filter_map(|(index, document)| signal(document, node.nth(index), found));
        let signals = signals.collect();
        all.insert(name, signals);
    }
    all
}

fn places(map: Option<BTreeMap<VictimName, OneOrMany<PlaceDocument>>>) -> BTreeMap<VictimName, Vec<Place>> {
    map.unwrap_or_default()
        .into_iter()
        .map(|(name, OneOrMany(places))| (name, places.into_iter().map(Place::from).collect()))
        .collect()
}

/// Texts that must be there or must not.
pub(super) fn lines(
    LinesDocument(document): LinesDocument,
    node: &Node,
    found: &mut Vec<Diagnostic>,
) -> Option<Lines> {
    let lines = match document {
        Either::Plain(glob) => Lines {
            has: vec![glob],
            lacks: Vec::new(),
        },
        Either::Mapping(both) => Lines {
            has: both.has.0,
            lacks: both.lacks.0,
        },
    };
    if lines.has.is_empty() && lines.lacks.is_empty() {
        says_nothing(
            &node.handle,
            "write `has: [some text]` or `lacks: [some text]`",
            found,
        );
        return None;
    }
    let before = found.len();
    empty_lists(
        node,
        [("has", lines.has.is_empty()), ("lacks", lines.lacks.is_empty())],
        "some text",
        found,
    );
    for (key, globs) in [("has", &lines.has), ("lacks", &lines.lacks)] {
        let list = node.entry(key).map_or(node, |entry| &entry.value);
        for (index, glob) in globs.iter().enumerate() {
            telling(glob, list.nth(index), found);
        }
    }
    if found.len() > before {
        return None;
    }
    let contradiction = lines.lacks.iter().position(|glob| lines.has.contains(glob));
    if let Some(index) = contradiction {
        contradicts(node, index, found);
        return None;
    }
    Some(lines)
}

/// Refuses a list that is there and has nothing in it, beside one that has.
fn empty_lists(node: &Node, lists: [(&str, bool); 2], example: &str, found: &mut Vec<Diagnostic>) {
    for (key, _) in lists.into_iter().filter(|(_, empty)| *empty) {
        if node.entry(key).is_some() {
            let help = format!("take it away, or write `{key}: [{example}]`");
            says_nothing(&node.at(key).handle, &help, found);
        }
    }
}

/// Refuses a text that is found in nearly any line.
fn telling(glob: &Glob, node: &Node, found: &mut Vec<Diagnostic>) {
    if !glob.is_telling() {
        found.push(
            Diagnostic::new(format!("`{glob}` is found in nearly any line"))
                .at(node.handle.clone(), "says nearly nothing")
                .help(format!(
                    "write more of the line; if that is all of it, tie it to both ends: `\"^{}$\"`",
                    glob.as_str().trim_matches(['^', '$', '*', ' '])
                )),
        );
    }
}

/// Watchers are told from a worker of the kernel: that a line is *not* there means something only after one that is.
fn no_barrier(node: &Node, found: &mut Vec<Diagnostic>) {
    found.push(
        Diagnostic::new("what is not there may only be late")
            .at(node.at("lacks").handle.clone(), "not there, says this")
            .help("write under `has` what the watcher is told in any case; then what it was not told by then is looked at"),
    );
}

/// The same under `has` and `lacks`.
fn contradicts(node: &Node, index: usize, found: &mut Vec<Diagnostic>) {
    found.push(
        Diagnostic::new("the same is expected to be there and not to be there")
            .at(node.at("lacks").nth(index).handle.clone(), "not there, says this")
            .see(node.key("has"), "there, says this")
            .help("take one of the two away"),
    );
}

fn events(
    OneOrMany(documents): OneOrMany<TraceDocument>,
    node: &Node,
    found: &mut Vec<Diagnostic>,
) -> Vec<TraceExpectation> {
    let mut events = Vec::new();
    for (index, document) in documents.into_iter().enumerate() {
        let event = document.event.0;
        let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        if !event.chars().all(plain) {
            let name = event.rsplit([':', '/']).next().unwrap_or_default().trim();
            found.push(
                Diagnostic::new(format!("`{event}` is no name of a trace event"))
                    .at(node.nth(index).at("event").handle.clone(), "not a plain name")
                    .help(format!("leave its system away: write `{name}`")),
            );
        }
        let node = node.nth(index);
        if let Some(glob) = &document.has {
            telling(glob, node.at("has"), found);
        }
        for (name, value) in &document.fields {
            if let FieldValue::Text(glob) = value {
                telling(glob, node.at("fields").at(name), found);
            }
        }
        events.push(TraceExpectation {
            event,
            has: document.has,
            fields: document.fields,
            times: document.times,
        });
    }
    events
}

fn page_flags(
    document: PageFlagsDocument,
    node: &Node,
    found: &mut Vec<Diagnostic>,
) -> Option<PageFlagsExpectation> {
    let (has, lacks) = (document.has.0, document.lacks.0);
    if has.is_empty() && lacks.is_empty() {
        says_nothing(
            &node.handle,
            "write `has: [hwpoison]` or `lacks: [hwpoison]`",
            found,
        );
        return None;
    }
    let before = found.len();
    empty_lists(
        node,
        [("has", has.is_empty()), ("lacks", lacks.is_empty())],
        "hwpoison",
        found,
    );
    if found.len() > before {
        return None;
    }
    if let Some(index) = lacks.iter().position(|flag| has.contains(flag)) {
        contradicts(node, index, found);
        return None;
    }
    let set = |flags: Vec<PageFlag>| flags.into_iter().collect::<BTreeSet<_>>();
    Some(PageFlagsExpectation {
        has: set(has),
        lacks: set(lacks),
    })
}

fn file_state(document: FileStateDocument) -> FileState {
    FileState {
        size: document.size,
        dax: document.dax,
        shared: document.shared,
        extents: document.extents,
        unwritten: document.unwritten,
    }
}

fn bad_range(range: BadRangeDocument, node: &Node, found: &mut Vec<Diagnostic>) -> Option<BadRange> {
    let help = "write either `{ file: a, offset: 4KiB, length: 4KiB }` or `{ injected: 4KiB }`";
    let before = found.len();
    let lowered = match just_one(
        node,
        &["file", "injected", "device"],
        "the place of the bad range",
        help,
        found,
    )? {
        "file" => {
            misfits(node, "file", &["of"], found);
            let offset = needed(range.offset, node, "offset", "file", found);
            let length = needed(range.length, node, "length", "file", found);
            range
                .file
                .zip(offset.zip(length))
                .map(|(file, (offset, length))| BadRange::File { file, offset, length })
        }
        "device" => {
            misfits(node, "device", &["offset"], found);
            let length = needed(range.length, node, "length", "device", found);
            range.device.zip(length).map(|(offset, length)| BadRange::Device {
                of: range.of.unwrap_or_default(),
                offset,
                length,
            })
        }
        injected => {
            misfits(node, injected, &["offset", "length", "of"], found);
            range.injected.map(|length| BadRange::Injected { length })
        }
    };
    lowered.filter(|_| found.len() == before)
}
