// SPDX-License-Identifier: MIT OR Apache-2.0
//! Expectations: either what can be seen, or one operation and how it ends.

mod outcome;
mod state;

use super::keys::{just_one, present};
use super::operation::{Mode, operation};
use crate::diagnostic::Diagnostic;
use crate::document::{ENDINGS, ExpectDocument, OPERATIONS, STATE, SignalDocument};
use crate::model::{Expect, Lsb, Place, SignalExpectation};
use crate::syntax::Node;
use crate::value::Count;
use outcome::{Ends, outcome};
use state::state;

/// The expectation that a document writes: of the state, or of one operation.
pub(super) fn expectation(
    mut expect: ExpectDocument,
    node: &Node,
    found: &mut Vec<Diagnostic>,
) -> Option<Expect> {
    let first = |keys: &[&'static str]| present(node, keys).first().copied();
    match (first(OPERATIONS), first(STATE)) {
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
            let (span, help) = match first(ENDINGS) {
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
        (None, Some(_)) => state(expect, node, found).map(|state| Expect::State(Box::new(state))),
        (Some(_), None) => {
            let tried = just_one(
                node,
                OPERATIONS,
                "the operation",
                "try each in a step of its own",
                found,
            )?;
            let document = expect.take_operation()?;
            let ends = Ends::of(&document);
            let operation = operation(document, node.at(tried), Mode::Tried, found);
            let outcome = outcome(expect, node, (tried, ends), found);
            Some(Expect::Operation {
                operation: operation?,
                outcome: outcome?,
            })
        }
    }
}

/// A signal; `node` is where it stands.
fn signal(document: SignalDocument, node: &Node, found: &mut Vec<Diagnostic>) -> Option<SignalExpectation> {
    if let Lsb::Bits(64..) = document.lsb {
        found.push(
            Diagnostic::new("no address has so many bits")
                .at(node.at("lsb").handle.clone(), "2 to the power of this")
                .help("12 stands for 4KiB, 21 for 2MiB"),
        );
        return None;
    }
    if document.times == Count::exactly(0) {
        found.push(
            Diagnostic::new("a signal that never comes is none")
                .at(node.at("times").handle.clone(), "zero times")
                .help("name those that get no signal under `alive`"),
        );
        return None;
    }
    Some(SignalExpectation {
        code: document.code,
        at: Place {
            map: document.map,
            at: document.at,
        },
        lsb: document.lsb,
        thread: document.thread,
        times: document.times,
    })
}
