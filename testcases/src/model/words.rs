// SPDX-License-Identifier: MIT OR Apache-2.0
//! What all texts for people are put together from.

use super::VictimPlace;

/// `alice's 4KiB`, `alice's 4KiB of mapping 1`.
pub(super) fn place(at: &VictimPlace) -> String {
    format!("{}'s {}", at.victim, at.place)
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn list<I: IntoIterator<Item: ToString>>(items: I) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match items.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [start @ .., last] => format!("{} and {last}", start.join(", ")),
    }
}

/// A text of several lines in one, and not too long.
pub(super) fn one_line(text: &str) -> String {
    const LONGEST: usize = 60;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LONGEST {
        return line;
    }
    let start: String = line.chars().take(LONGEST).collect();
    format!("{start}…")
}
