// SPDX-License-Identifier: MIT OR Apache-2.0
//! Expectations: either what can be seen, or one operation and how it ends.

use std::collections::BTreeMap;

use super::{just_one, misfits, needed};
use crate::diagnostic::Diagnostic;
use crate::document::{BadRangeDocument, Ending, ExpectDocument};
use crate::model::{BadRange, Expect, NotifyFailure, Operation, Outcome, StateExpectation};
use crate::syntax::Node;

const STATE: [&str; 6] = [
    "killed",
    "alive",
    "injector",
    "notify_failure",
    "filesystem",
    "badblocks",
];
const OPERATIONS: [&str; 6] = ["read", "write", "create", "stat", "mount", "unmount"];
const ENDINGS: [&str; 2] = ["error", "contains"];

/// The expectation that a document writes: of the state, or of one operation.
pub(super) fn expectation(
    expect: ExpectDocument,
    node: &Node,
    found: &mut Vec<Diagnostic>,
) -> Option<Expect> {
    let present = |keys: &[&'static str]| keys.iter().copied().find(|key| node.entry(key).is_some());
    let operation = present(&OPERATIONS);
    let state = present(&STATE);
    match (operation, state) {
        (Some(tried), Some(seen)) => {
            found.push(
                Diagnostic::new("an operation is tried in a step of its own")
                    .at(node.key(seen), "this is looked at, not tried")
                    .see(node.key(tried), "this is tried")
                    .help(format!("move `{seen}` into another `- expect:`")),
            );
            None
        }
        (None, None) => {
            let (span, help) = match present(&ENDINGS) {
                Some(ending) => (
                    node.key(ending),
                    "say of which operation, such as `read: { file: a, offset: 0 }`; of the injection, `injector:`",
                ),
                None => (
                    node.handle.clone(),
                    "say what holds (`killed`, `alive`, `filesystem`, …) or how an operation ends",
                ),
            };
            found.push(
                Diagnostic::new("this expects nothing of anything")
                    .at(span, "no expectation")
                    .help(help),
            );
            None
        }
        (None, Some(_)) => state_expectation(expect, node, found).map(Expect::State),
        (Some(_), None) => {
            let tried = just_one(
                node,
                &OPERATIONS,
                "the operation",
                "try each in a step of its own",
                found,
            )?;
            let outcome = outcome(&expect, node, tried, found)?;
            Some(Expect::Operation {
                operation: operation_of(expect)?,
                outcome,
            })
        }
    }
}

fn state_expectation(
    expect: ExpectDocument,
    node: &Node,
    found: &mut Vec<Diagnostic>,
) -> Option<StateExpectation> {
    let before = found.len();
    for ending in ENDINGS.into_iter().filter(|key| node.entry(key).is_some()) {
        found.push(
            Diagnostic::new(format!(
                "`{ending}` says how an operation ends, but none is tried here"
            ))
            .at(node.key(ending), "of what?")
            .help("for the writer of an injection, write `injector: EUCLEAN`"),
        );
    }
    let nobody = [
        ("killed", expect.killed.as_ref().is_some_and(BTreeMap::is_empty)),
        ("alive", expect.alive.as_ref().is_some_and(Vec::is_empty)),
    ];
    for (key, _) in nobody.into_iter().filter(|(_, empty)| *empty) {
        found.push(
            Diagnostic::new(format!("`{key}` names nobody"))
                .at(node.at(key).handle.clone(), "empty")
                .help("name the victims that get a signal under `killed`, those that get none under `alive`"),
        );
    }
    if let Some(NotifyFailure::Called { calls: Some(0), .. }) = expect.notify_failure {
        found.push(
            Diagnostic::new("no call returns anything")
                .at(node.at("notify_failure").at("calls").handle.clone(), "zero calls")
                .help("write `notify_failure: never`"),
        );
    }
    let badblocks = expect.badblocks.map(|ranges| {
        let node = node.at("badblocks");
        ranges
            .into_iter()
            .enumerate()
            .filter_map(|(index, range)| bad_range(range, node.nth(index), found))
            .collect()
    });
    (found.len() == before).then(|| StateExpectation {
        killed: expect.killed.unwrap_or_default(),
        alive: expect.alive.unwrap_or_default(),
        injector: expect.injector,
        notify_failure: expect.notify_failure,
        filesystem: expect.filesystem,
        badblocks,
    })
}

fn bad_range(range: BadRangeDocument, node: &Node, found: &mut Vec<Diagnostic>) -> Option<BadRange> {
    let help = "write either `{ file: a, offset: 4KiB, length: 4KiB }` or `{ injected: 4KiB }`";
    let before = found.len();
    let lowered = match just_one(
        node,
        &["file", "injected"],
        "the place of the bad range",
        help,
        found,
    )? {
        "file" => {
            let offset = needed(range.offset, node, "offset", "file", found);
            let length = needed(range.length, node, "length", "file", found);
            range
                .file
                .zip(offset.zip(length))
                .map(|(file, (offset, length))| BadRange::File { file, offset, length })
        }
        injected => {
            misfits(node, injected, &["offset", "length"], found);
            range.injected.map(|length| BadRange::Injected { length })
        }
    };
    lowered.filter(|_| found.len() == before)
}

fn outcome(
    expect: &ExpectDocument,
    node: &Node,
    tried: &str,
    found: &mut Vec<Diagnostic>,
) -> Option<Outcome> {
    let reads = tried == "read";
    let help = if reads {
        "write either `error: EIO`, `error: none` or `contains: 0x5a`"
    } else {
        "write `error: EIO`, or `error: none` if it succeeds"
    };
    if !reads && node.entry("contains").is_some() {
        found.push(
            Diagnostic::new(format!("`contains` is for reading, and this is `{tried}`"))
                .at(node.key("contains"), "nothing is read")
                .see(node.key(tried), "this is tried")
                .help(help),
        );
        return None;
    }
    just_one(node, &ENDINGS, &format!("how `{tried}` ends"), help, found)?;
    Some(match expect.error {
        Some(Ending::Error(errno)) => Outcome::Error(errno),
        Some(Ending::Success) | None => Outcome::Succeeds {
            contains: expect.contains,
        },
    })
}

fn operation_of(expect: ExpectDocument) -> Option<Operation> {
    if let Some(read) = expect.read {
        return Some(Operation::Read {
            file: read.file,
            offset: read.offset,
            length: read.length,
        });
    }
    if let Some(write) = expect.write {
        return Some(Operation::Write {
            file: write.file,
            offset: write.offset,
            length: write.length,
            fill: write.fill,
        });
    }
    if let Some(create) = expect.create {
        return Some(Operation::Create { file: create.file });
    }
    if let Some(stat) = expect.stat {
        return Some(Operation::Stat { file: stat.file });
    }
    if let Some(mount) = expect.mount {
        return Some(Operation::Mount {
            options: mount.options,
        });
    }
    expect.unmount.map(|_| Operation::Unmount)
}
