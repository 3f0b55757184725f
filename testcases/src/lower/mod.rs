// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the document as it is written to the case that it means: what the types of the document cannot say by themselves.

mod expect;

use crate::diagnostic::{Diagnostic, ENOUGH};
use crate::document::{
    DebugfsFile, Document, InjectDocument, KnownIssueDocument, StepDocument, TargetDocument, Text,
};
use crate::model::{Action, Injection, Isolation, KnownIssue, Mechanism, Target, Template};
use crate::syntax::{Kind, Later, Node, read, read_past, read_word};
use crate::value::KernelRange;
use expect::expectation;

/// A case whose parts are each well formed; whether they fit together is still to be checked.
///
/// `actions` and `known_issues` are in the order of the file, so that the n-th belongs to the n-th node there.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) summary: String,
    pub(crate) why: String,
    pub(crate) template: Template,
    pub(crate) isolation: Isolation,
    pub(crate) kernel: KernelRange,
    pub(crate) actions: Vec<Action>,
    /// Their `line` is still 0.
    pub(crate) known_issues: Vec<KnownIssue>,
}

/// Reads the parts of a case, adding every mistake to `found`.
pub(crate) fn parts(
    document: Later<Document>,
    root: &mut Node,
    found: &mut Vec<Diagnostic>,
) -> Option<Parts> {
    let before = found.len();
    let document = read_past(document, "word", root, found)?;
    let summary = required(document.summary, "summary", root, found);
    let why = required(document.why, "why", root, found);
    let template = required(document.template, "template", root, found);
    let steps = required(document.steps, "steps", root, found);
    let mut isolation = None;
    if let Some(later) = document.isolation
        && let Some(node) = root.at_mut("isolation")
    {
        isolation = read(later, node, found);
    }
    let mut kernel = None;
    if let Some(later) = document.kernel
        && let Some(node) = root.at_mut("kernel")
    {
        kernel = read(later, node, found);
    }
    let mut actions = Vec::new();
    if let Some(steps) = steps
        && let Some(node) = root.at_mut("steps")
    {
        if steps.is_empty() {
            found.push(
                Diagnostic::new("`steps` is empty: a case that does nothing shows nothing")
                    .at(node.handle.clone(), "no step")
                    .help("prepare files and victims, inject, and say what is expected"),
            );
        }
        for (later, node) in steps.into_iter().zip(node.items_mut()) {
            actions.extend(action(later, node, found));
            if found.len() > ENOUGH {
                return None;
            }
        }
    }
    let mut known_issues = Vec::new();
    if let Some(later) = document.known_issues
        && let Some(node) = root.at_mut("known_issues")
        && let Some(issues) = read(later, node, found)
    {
        for (later, node) in issues.into_iter().zip(node.items_mut()) {
            known_issues.extend(read(later, node, found).and_then(|issue| known_issue(issue, node, found)));
        }
    }
    if found.len() > before {
        return None;
    }
    Some(Parts {
        summary: summary?.0,
        why: why?.0,
        template: template?,
        isolation: isolation.unwrap_or_default(),
        kernel: kernel.unwrap_or_default(),
        actions,
        known_issues,
    })
}

fn required<T: serde::de::DeserializeOwned>(
    value: Option<Later<T>>,
    key: &str,
    root: &mut Node,
    found: &mut Vec<Diagnostic>,
) -> Option<T> {
    let Some(later) = value else {
        let help = match key {
            "summary" => "say in one or two sentences what the case shows: `summary: …`",
            "why" => "name the thread, patch or source that promises it: `why: …`",
            "template" => "say what the case starts from: `template: xfs`",
            _ => "say what happens: `steps:` and a list",
        };
        found.push(
            Diagnostic::new(format!("`{key}` is missing"))
                .at(root.handle.clone(), format!("a case needs `{key}`"))
                .help(help),
        );
        return None;
    };
    root.at_mut(key).and_then(|node| read(later, node, found))
}

fn known_issue(issue: KnownIssueDocument, node: &Node, found: &mut Vec<Diagnostic>) -> Option<KnownIssue> {
    if issue.splat.is_none() && issue.finding.is_none() {
        found.push(
            Diagnostic::new(
                "a known issue needs a `splat` or a `finding`, or any failure would be excused by it",
            )
            .at(node.handle.clone(), "neither is here")
            .help("`splat:` is a part of what the kernel prints, `finding:` a part of what the judge finds"),
        );
        return None;
    }
    let inner = |text: Option<Text>| text.map(|text| text.0);
    Some(KnownIssue {
        kernel: issue.kernel,
        splat: inner(issue.splat),
        finding: inner(issue.finding),
        because: issue.because.0,
        line: 0,
    })
}

fn action(later: Later<StepDocument>, node: &mut Node, found: &mut Vec<Diagnostic>) -> Option<Action> {
    match &node.kind {
        Kind::Map(entries) => match entries.as_slice() {
            [_] => {}
            [] => {
                found.push(
                    Diagnostic::new("this step is empty")
                        .at(node.handle.clone(), "no key")
                        .help("a step is a mapping with one key, such as `write: { … }`"),
                );
                return None;
            }
            [first, second, ..] => {
                let count = entries.len();
                found.push(
                    Diagnostic::new(format!("a step has one key, this one has {count}"))
                        .at(second.key_span.clone(), "one key too many")
                        .see(first.key_span.clone(), "the step's key")
                        .help(format!(
                            "begin a new step with `- {}:`, or indent it below `{}:`",
                            second.key, first.key
                        )),
                );
                return None;
            }
        },
        Kind::Scalar | Kind::List(_) => {
            found.push(
                Diagnostic::new("a step is a mapping with one key")
                    .at(node.handle.clone(), "not a mapping")
                    .help("write it like `- write: { … }`, or `- unmount: {}`"),
            );
            return None;
        }
    }
    Some(match read_word(later, "step", node, found)? {
        StepDocument::Write(write) => Action::Write(write),
        StepDocument::Reflink(reflink) => Action::Reflink(reflink),
        StepDocument::Victim(victim) => Action::Victim(victim),
        StepDocument::Release(release) => Action::Release(release),
        StepDocument::Unmount(unmount) => Action::Unmount(unmount),
        StepDocument::Mount(mount) => Action::Mount(mount),
        StepDocument::Inject(inject) => Action::Inject(injection(inject, node.at("inject"), found)?),
        StepDocument::Expect(expect) => Action::Expect(expectation(*expect, node.at("expect"), found)?),
    })
}

/// The one of `keys` that stands in a mapping; anything else is a mistake.
fn just_one(
    node: &Node,
    keys: &[&'static str],
    what: &str,
    help: &str,
    found: &mut Vec<Diagnostic>,
) -> Option<&'static str> {
    let present: Vec<_> = keys
        .iter()
        .copied()
        .filter(|key| node.entry(key).is_some())
        .collect();
    match present.as_slice() {
        [one] => Some(one),
        [] => {
            found.push(
                Diagnostic::new(format!("{what} is missing"))
                    .at(node.handle.clone(), "not said here")
                    .help(help),
            );
            None
        }
        [first, second, ..] => {
            found.push(
                Diagnostic::new(format!("`{first}` and `{second}` exclude each other"))
                    .at(node.key(second), "one too many")
                    .see(node.key(first), "already said here")
                    .help(help),
            );
            None
        }
    }
}

/// Refuses keys that mean nothing beside another.
fn misfits(node: &Node, beside: &str, keys: &[&str], found: &mut Vec<Diagnostic>) {
    for key in keys.iter().filter(|key| node.entry(key).is_some()) {
        found.push(
            Diagnostic::new(format!("`{key}` means nothing beside `{beside}`"))
                .at(node.key(key), "not here")
                .see(node.key(beside), "because of this")
                .help(format!("take `{key}` away")),
        );
    }
}

/// The value of a key that its neighbour needs.
fn needed<T>(
    value: Option<T>,
    node: &Node,
    key: &str,
    beside: &str,
    found: &mut Vec<Diagnostic>,
) -> Option<T> {
    if value.is_none() {
        found.push(
            Diagnostic::new(format!("`{key}` is missing"))
                .at(node.handle.clone(), format!("`{beside}` needs `{key}`"))
                .help(format!("add `{key}: …`")),
        );
    }
    value
}

fn injection(inject: InjectDocument, node: &Node, found: &mut Vec<Diagnostic>) -> Option<Injection> {
    let by = just_one(
        node,
        &["machine-check", "debugfs"],
        "the way of the injection",
        "write either `machine-check: action-optional` or `debugfs: corrupt-pfn`",
        found,
    );
    let at = target(inject.at, node.at("at"), found);
    by?;
    let by = match (inject.machine_check, inject.debugfs) {
        (Some(severity), _) => Mechanism::MachineCheck(severity),
        (None, Some(DebugfsFile::CorruptPfn)) => Mechanism::CorruptPfn,
        (None, None) => return None,
    };
    Some(Injection { by, at: at? })
}

fn target(target: TargetDocument, node: &Node, found: &mut Vec<Diagnostic>) -> Option<Target> {
    let kind = just_one(
        node,
        &["file", "metadata", "space"],
        "the target",
        "write one of `{ file: a, offset: 4KiB }`, `{ metadata: ag-header, ag: 1 }`, `{ space: free, ag: 0 }`",
        found,
    )?;
    let before = found.len();
    let ag = target.ag.unwrap_or(0);
    let lowered = match kind {
        "file" => {
            misfits(node, kind, &["ag"], found);
            let offset = needed(target.offset, node, "offset", kind, found);
            target
                .file
                .zip(offset)
                .map(|(file, offset)| Target::File { file, offset })
        }
        "metadata" => {
            misfits(node, kind, &["offset"], found);
            target.metadata.map(|kind| Target::Metadata { kind, ag })
        }
        _ => {
            misfits(node, kind, &["offset"], found);
            target.space.map(|_| Target::FreeSpace { ag })
        }
    };
    lowered.filter(|_| found.len() == before)
}
