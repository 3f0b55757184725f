// SPDX-License-Identifier: MIT OR Apache-2.0
//! The findings that a known issue names.

use super::keys::{empty, misfits};
use crate::diagnostic::Diagnostic;
use crate::document::{FindingDocument, OneOrMany, Text};
use crate::model::{FindingKey as Key, FindingSignature, Place, Watcher};
use crate::suggest;
use crate::syntax::Node;

/// The findings at `node`, which is one or a list; nothing if one of them is wrong.
pub(super) fn findings(
    OneOrMany(documents): OneOrMany<FindingDocument>,
    node: &Node,
    found: &mut Vec<Diagnostic>,
) -> Option<Vec<FindingSignature>> {
    let before = found.len();
    let findings = documents.into_iter().enumerate().map(|(index, document)| {
        // One that stands alone needs no list.
        finding(document, node.nth(index), found)
    });
    let findings: Vec<_> = findings.collect();
    (found.len() == before).then_some(findings)
}

fn finding(document: FindingDocument, node: &Node, found: &mut Vec<Diagnostic>) -> FindingSignature {
    let kind = document.kind;
    let shape = kind.shape();
    for key in shape.needs {
        if node.entry(key.as_str()).is_none() {
            let key = key.as_str();
            found.push(
                Diagnostic::new(format!("`{key}` is missing, and any `{kind}` would be excused"))
                    .at(node.handle.clone(), format!("`kind: {kind}` needs `{key}`"))
                    .help(format!("add `{key}: …`, as the report of the failure has it")),
            );
        }
    }
    for key in Key::ALL {
        if !shape.needs.contains(&key) && !shape.may_have.contains(&key) {
            misfits(node, "kind", &[key.as_str()], found);
        }
    }
    let OneOrMany(seen) = document.seen;
    let values = node.at("seen");
    for (index, value) in seen.iter().enumerate() {
        if !kind.can_see(value) {
            let forms: Vec<_> = shape.seen.iter().map(ToString::to_string).collect();
            found.push(
                Diagnostic::new(format!("no `{kind}` is ever seen as `{value}`"))
                    .at(values.nth(index).handle.clone(), "never seen")
                    .help(format!("choose one of {}", forms.join(", "))),
            );
        }
    }
    if seen.is_empty() {
        let help = "say what was seen, and where that was nothing, `seen: none`";
        empty(node, "seen", "this is seen as nothing at all", help, found);
    }
    let operation = document
        .operation
        .and_then(|Text(word)| operation(&word, node.at("operation"), found));
    let of = document.of.map(|Text(of)| of);
    if shape.needs.contains(&Key::Text)
        && let Some(of) = &of
        && of != FindingSignature::LOG
        && Watcher::from_word(of).is_none()
    {
        let known = [FindingSignature::LOG, "health", "fanotify", "badblocks"];
        let diagnostic = Diagnostic::new(format!("nobody hears lines from `{of}`"))
            .at(node.at("of").handle.clone(), "unknown");
        found.push(match suggest::way_out(of, "one", &known) {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        });
    }
    FindingSignature {
        kind,
        of,
        operation,
        at: document.at.map(Place::from),
        text: document.text.map(|Text(text)| text),
        seen,
    }
}

fn operation(word: &str, node: &Node, found: &mut Vec<Diagnostic>) -> Option<&'static str> {
    let operation = FindingSignature::operation_word(word);
    if operation.is_none() {
        let known: Vec<_> = FindingSignature::operation_words().collect();
        let help = suggest::way_out(word, "operation", &known)
            .unwrap_or_else(|| "write the word by which the step begins".to_owned());
        found.push(
            Diagnostic::new(format!("unknown operation `{word}`"))
                .at(node.handle.clone(), "unknown")
                .help(help),
        );
    }
    operation
}
