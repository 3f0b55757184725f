// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which keys of a mapping go together: what the types of the document cannot say.

use crate::diagnostic::Diagnostic;
use crate::syntax::Node;

/// Those of `keys` that stand in a mapping.
pub(super) fn present(node: &Node, keys: &[&'static str]) -> Vec<&'static str> {
    let present = keys.iter().copied().filter(|key| node.entry(key).is_some());
    present.collect()
}

/// The one of `keys` that stands in a mapping; anything else is a mistake.
pub(super) fn just_one(
    node: &Node,
    keys: &[&'static str],
    what: &str,
    help: &str,
    found: &mut Vec<Diagnostic>,
) -> Option<&'static str> {
    match present(node, keys).as_slice() {
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
pub(super) fn misfits(node: &Node, beside: &str, keys: &[&'static str], found: &mut Vec<Diagnostic>) {
    for key in present(node, keys) {
        found.push(
            Diagnostic::new(format!("`{key}` means nothing beside `{beside}`"))
                .at(node.key(key), "not here")
                .see(node.key(beside), "because of this")
                .help(format!("take `{key}` away")),
        );
    }
}

/// The value of a key that its neighbour needs.
pub(super) fn needed<T>(
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

/// Refuses a list or mapping that is there and holds nothing.
pub(super) fn empty(node: &Node, key: &str, title: &str, help: &str, found: &mut Vec<Diagnostic>) {
    found.push(
        Diagnostic::new(title)
            .at(node.at(key).handle.clone(), "empty")
            .help(help),
    );
}
