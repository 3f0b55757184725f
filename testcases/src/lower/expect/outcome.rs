// SPDX-License-Identifier: MIT OR Apache-2.0
//! How an operation ends: each has endings of its own.

use std::collections::BTreeSet;

use super::signal;
use super::state::lines;
use crate::diagnostic::Diagnostic;
use crate::document::{ContentsDocument, ENDINGS, Either, Ending, ExpectDocument, OtherContentsDocument};
use crate::lower::keys::{just_one, misfits, present};
use crate::model::{Contents, Lines, Outcome};
use crate::syntax::Node;

/// The endings that an operation can have, and how to write them.
fn endings_of(tried: &str) -> (&'static [&'static str], &'static str) {
    match tried {
        "read" => (
            &["error", "contains"],
            "write either `error: EIO`, `error: none` or `contains: 0x5a`",
        ),
        "get-xattr" => (
            &["error", "contains"],
            "write either `error: ENODATA`, `error: none` or `contains: 0x5a`",
        ),
        "touch" => (
            &["error", "value", "raises"],
            "write `value: 0x5a`, `raises: { code: BUS_MCEERR_AR, at: 4KiB }`, or `error: none` for any byte",
        ),
        "store" => (
            &["error", "raises"],
            "write `error: none`, or `raises: { code: BUS_MCEERR_AR, at: 4KiB }`",
        ),
        "write" => (
            &["error", "raises"],
            "write `error: EIO`, `error: none`, or, of a victim's write, `raises: { code: BUS_MCEERR_AR, at: 4KiB }`",
        ),
        "run" | "repair" => (
            &["status", "output"],
            "write `status: 0`, `output: some text`, or both",
        ),
        "list" => (
            &["error", "names"],
            "write either `error: EIO`, `error: none` or `names: [a, b]`",
        ),
        _ => (&["error"], "write `error: EIO`, or `error: none` if it succeeds"),
    }
}

/// What an ending is for.
fn meant_for(ending: &str) -> &'static str {
    match ending {
        "contains" => "for reading",
        "value" => "for `touch`",
        "raises" => "for `touch`, `store`, and a victim's `write`",
        "names" => "for `list`",
        "error" => "for what returns an errno",
        _ => "for `run` and `repair`",
    }
}

/// How the operation `tried` ends.
pub(super) fn outcome(
    mut expect: ExpectDocument,
    node: &Node,
    tried: &str,
    found: &mut Vec<Diagnostic>,
) -> Option<Outcome> {
    let (fitting, help) = endings_of(tried);
    let before = found.len();
    for ending in present(node, ENDINGS) {
        if !fitting.contains(&ending) {
            found.push(
                Diagnostic::new(format!(
                    "`{ending}` is {}, and this is `{tried}`",
                    meant_for(ending)
                ))
                .at(node.key(ending), "not here")
                .see(node.key(tried), "this is tried")
                .help(help),
            );
        }
    }
    if found.len() > before {
        return None;
    }
    if fitting.contains(&"status") {
        return command(expect, node, tried, help, found);
    }
    let ending = just_one(node, fitting, &format!("how `{tried}` ends"), help, found)?;
    match ending {
        "error" => error(expect.error?, node, tried, help, found),
        "contains" => contents(expect.contains.take()?, node.at(ending), tried, found).map(Outcome::Contains),
        "value" => expect.value.map(Outcome::Value),
        "raises" => signal(expect.raises.take()?, node.at(ending), found).map(Outcome::Raises),
        _ => names(expect.names.take()?, node, found),
    }
}

fn error(
    error: Ending,
    node: &Node,
    tried: &str,
    help: &str,
    found: &mut Vec<Diagnostic>,
) -> Option<Outcome> {
    let refuse = |title: String, label: &str| {
        Diagnostic::new(title)
            .at(node.at("error").handle.clone(), label)
            .see(node.key(tried), "this is tried")
            .help(help)
    };
    match error {
        Ending::Success => Some(Outcome::Succeeds),
        Ending::Differs if tried == "dedupe" => Some(Outcome::Differs),
        Ending::Differs => {
            found.push(refuse(
                format!("only `dedupe` finds that parts differ, and this is `{tried}`"),
                "no error",
            ));
            None
        }
        Ending::Error(_) if matches!(tried, "touch" | "store") => {
            found.push(refuse(
                format!("a `{tried}` is an instruction, and gets no errno"),
                "of a system call",
            ));
            None
        }
        Ending::Error(errno) => Some(Outcome::Fails(errno)),
    }
}

fn command(
    expect: ExpectDocument,
    node: &Node,
    tried: &str,
    help: &str,
    found: &mut Vec<Diagnostic>,
) -> Option<Outcome> {
    if expect.status.is_none() && expect.output.is_none() {
        found.push(
            Diagnostic::new(format!("how `{tried}` ends is missing"))
                .at(node.handle.clone(), "not said here")
                .help(help),
        );
        return None;
    }
    let output = match expect.output {
        Some(document) => lines(document, node.at("output"), found)?,
        None => Lines::default(),
    };
    Some(Outcome::Exits {
        status: expect.status.unwrap_or(0),
        output,
    })
}

fn contents(
    ContentsDocument(document): ContentsDocument,
    node: &Node,
    tried: &str,
    found: &mut Vec<Diagnostic>,
) -> Option<Contents> {
    let contents = match document {
        Either::Plain(fill) => Contents::Fill(fill),
        Either::Mapping(OtherContentsDocument { file, offset, sha256 }) => {
            let help = "write either `{ file: b, offset: 0 }` or `{ sha256: … }`";
            let kind = just_one(node, &["file", "sha256"], "what it is compared with", help, found)?;
            match (file, sha256) {
                (Some(file), _) => Contents::File {
                    file,
                    offset: offset.unwrap_or_default(),
                },
                (None, Some(sum)) => {
                    let before = found.len();
                    misfits(node, kind, &["offset"], found);
                    if found.len() > before {
                        return None;
                    }
                    Contents::Sha256(sum)
                }
                (None, None) => return None,
            }
        }
    };
    if tried == "get-xattr" && matches!(contents, Contents::File { .. }) {
        found.push(
            Diagnostic::new("an attribute is no part of a file")
                .at(node.handle.clone(), "compared with a file")
                .help("write the byte that fills it, such as `contains: 0x5a`"),
        );
        return None;
    }
    Some(contents)
}

fn names(names: Vec<crate::value::FileName>, node: &Node, found: &mut Vec<Diagnostic>) -> Option<Outcome> {
    let list = node.at("names");
    let mut all = BTreeSet::new();
    let before = found.len();
    for (index, name) in names.into_iter().enumerate() {
        if all.contains(&name) {
            found.push(
                Diagnostic::new(format!("`{name}` is named twice"))
                    .at(list.nth(index).handle.clone(), "again here")
                    .help("keep one of the two"),
            );
        }
        all.insert(name);
    }
    (found.len() == before).then_some(Outcome::Names(all))
}
