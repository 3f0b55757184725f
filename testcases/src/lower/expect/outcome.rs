// SPDX-License-Identifier: MIT OR Apache-2.0
//! How an operation ends: each has endings of its own.

use std::collections::BTreeSet;

use super::signal;
use super::state::lines;
use crate::diagnostic::Diagnostic;
use crate::document::{
    ContentsDocument, ENDINGS, Either, Ending, ExpectDocument, OperationDocument, OtherContentsDocument,
};
use crate::lower::keys::{just_one, misfits, present};
use crate::model::{Contents, Lines, Outcome};
use crate::syntax::Node;

/// The ways in which operations end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ends {
    /// With an errno, or with success.
    Errno,
    /// Likewise, or with what a part of a file holds.
    Contents,
    /// Likewise, or with what an attribute holds.
    Attribute,
    /// Likewise, or with the names in a directory.
    Names,
    /// Likewise, or with success and no block shared.
    Shares,
    /// Likewise, or, where a victim makes the call, with a signal.
    Writes,
    /// With a byte, or with a signal.
    Loads,
    /// With success, or with a signal.
    Stores,
    /// With an exit status and an output.
    Exits,
}

impl Ends {
    /// How an operation ends.
    pub(super) fn of(operation: &OperationDocument) -> Self {
        match operation {
            OperationDocument::Read(_) => Self::Contents,
            OperationDocument::GetXattr(_) => Self::Attribute,
            OperationDocument::List(_) => Self::Names,
            OperationDocument::Dedupe(_) => Self::Shares,
            OperationDocument::Write(_) => Self::Writes,
            OperationDocument::Touch(_) => Self::Loads,
            OperationDocument::Store(_) => Self::Stores,
            OperationDocument::Run(_) | OperationDocument::Repair(_) => Self::Exits,
            OperationDocument::Create(_)
            | OperationDocument::Mkdir(_)
            | OperationDocument::Rmdir(_)
            | OperationDocument::Symlink(_)
            | OperationDocument::Readlink(_)
            | OperationDocument::Rename(_)
            | OperationDocument::Link(_)
            | OperationDocument::Unlink(_)
            | OperationDocument::Reflink(_)
            | OperationDocument::Copy(_)
            | OperationDocument::Exchange(_)
            | OperationDocument::Allocate(_)
            | OperationDocument::Punch(_)
            | OperationDocument::Zero(_)
            | OperationDocument::Collapse(_)
            | OperationDocument::Insert(_)
            | OperationDocument::Unshare(_)
            | OperationDocument::Truncate(_)
            | OperationDocument::Fragment(_)
            | OperationDocument::Sync(_)
            | OperationDocument::Stat(_)
            | OperationDocument::SetXattr(_)
            | OperationDocument::RemoveXattr(_)
            | OperationDocument::SetFlags(_)
            | OperationDocument::Open(_)
            | OperationDocument::Close(_)
            | OperationDocument::DropCaches(_)
            | OperationDocument::Mount(_)
            | OperationDocument::Unmount(_)
            | OperationDocument::Remount(_)
            | OperationDocument::Freeze(_)
            | OperationDocument::Thaw(_)
            | OperationDocument::Shutdown(_)
            | OperationDocument::Sysctl(_)
            | OperationDocument::Set(_)
            | OperationDocument::Unmap(_)
            | OperationDocument::Policy(_)
            | OperationDocument::Advise(_) => Self::Errno,
        }
    }

    /// The words for such endings, and how to write them.
    fn words(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Contents => (
                &["error", "contains"],
                "write either `error: EIO`, `error: none` or `contains: 0x5a`",
            ),
            Self::Attribute => (
                &["error", "contains"],
                "write either `error: ENODATA`, `error: none` or `contains: 0x5a`",
            ),
            Self::Loads => (
                &["error", "value", "raises"],
                "write `value: 0x5a`, `raises: { code: BUS_MCEERR_AR, at: 4KiB }`, or `error: none` for any byte",
            ),
            Self::Stores => (
                &["error", "raises"],
                "write `error: none`, or `raises: { code: BUS_MCEERR_AR, at: 4KiB }`",
            ),
            Self::Writes => (
                &["error", "raises"],
                "write `error: EIO`, `error: none`, or, of a victim's write, `raises: { code: BUS_MCEERR_AR, at: 4KiB }`",
            ),
            Self::Exits => (
                &["status", "output"],
                "write `status: 0`, `output: some text`, or both",
            ),
            Self::Names => (
                &["error", "names"],
                "write either `error: EIO`, `error: none` or `names: [a, b]`",
            ),
            Self::Errno | Self::Shares => (&["error"], "write `error: EIO`, or `error: none` if it succeeds"),
        }
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
    (tried, ends): (&str, Ends),
    found: &mut Vec<Diagnostic>,
) -> Option<Outcome> {
    let (fitting, help) = ends.words();
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
    if ends == Ends::Exits {
        return command(expect, node, tried, help, found);
    }
    let ending = just_one(node, fitting, &format!("how `{tried}` ends"), help, found)?;
    match ending {
        "error" => error(expect.error?, node, (tried, ends), help, found),
        "contains" => contents(expect.contains.take()?, node.at(ending), ends, found).map(Outcome::Contains),
        "value" => expect.value.map(Outcome::Value),
        "raises" => signal(expect.raises.take()?, node.at(ending), found).map(Outcome::Raises),
        _ => names(expect.names.take()?, node, found),
    }
}

fn error(
    error: Ending,
    node: &Node,
    (tried, ends): (&str, Ends),
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
        Ending::Differs if ends == Ends::Shares => Some(Outcome::Differs),
        Ending::Differs => {
            found.push(refuse(
                format!("only `dedupe` finds that parts differ, and this is `{tried}`"),
                "no error",
            ));
            None
        }
        Ending::Error(_) if matches!(ends, Ends::Loads | Ends::Stores) => {
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
    ends: Ends,
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
    if ends == Ends::Attribute && matches!(contents, Contents::File { .. }) {
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
