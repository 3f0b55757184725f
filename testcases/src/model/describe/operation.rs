// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations in words: as something that is told to be done, and as something that ends in some way.

use crate::model::Operation;

/// `punch a+4KiB (4KiB)`: what a step does.
pub(super) fn told(operation: &Operation) -> String {
    let facts = operation.facts();
    join(facts.verb.bare, &facts.object)
}

/// `punching a+4KiB (4KiB)`: what an expectation is about.
pub(super) fn clause(operation: &Operation) -> String {
    let facts = operation.facts();
    join(facts.verb.ing, &facts.object)
}

fn join(verb: String, rest: &str) -> String {
    if rest.is_empty() {
        verb
    } else {
        format!("{verb} {rest}")
    }
}
