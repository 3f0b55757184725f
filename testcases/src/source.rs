// SPDX-License-Identifier: MIT OR Apache-2.0
//! The texts that a case is made of: its own file, and those that it includes.
//!
//! They are counted as though they stood one behind the other, so that a range of bytes also says which file it is in.

use std::ops::Range;
use std::path::{Path, PathBuf};

/// A place in a text, both numbers counted from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

/// One text, and why it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    /// Where it begins among all texts.
    pub(crate) base: usize,
    /// Where another text includes it.
    pub(crate) from: Option<Range<usize>>,
    /// The byte at which each line begins.
    lines: Vec<usize>,
}

/// All texts of a case, its own file first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sources(Vec<Source>);

impl Sources {
    pub(crate) fn new(path: &Path, text: &str) -> Self {
        let mut sources = Self(Vec::new());
        sources.add(path, text, None);
        sources
    }

    /// Adds a text that is included at a place, and says where it begins; one that is known for this place begins there.
    pub(crate) fn add(&mut self, path: &Path, text: &str, from: Option<Range<usize>>) -> usize {
        let known = self
            .0
            .iter()
            .find(|source| source.path == path && source.from == from);
        if let Some(source) = known {
            return source.base;
        }
        // One byte apart, so that the end of a text is not the beginning of the next.
        let base = self.0.last().map_or(0, |last| last.base + last.text.len() + 1);
        self.0.push(Source {
            path: path.to_owned(),
            text: text.to_owned(),
            base,
            from,
            lines: std::iter::once(0)
                .chain(text.match_indices('\n').map(|(newline, _)| newline + 1))
                .collect(),
        });
        base
    }

    /// The case's own file.
    pub(crate) fn main(&self) -> Option<&Source> {
        self.0.first()
    }

    /// The text that a place is in.
    pub(crate) fn of(&self, place: usize) -> Option<&Source> {
        let after = self.0.partition_point(|source| source.base <= place);
        self.0.get(after.checked_sub(1)?)
    }

    /// The line and column of a place in its own text.
    pub(crate) fn position(&self, place: usize) -> Position {
        let Some(source) = self.of(place) else {
            return Position { line: 1, column: 1 };
        };
        let offset = place - source.base;
        let line = source.lines.partition_point(|start| *start <= offset).max(1);
        let start = source.lines.get(line - 1).copied().unwrap_or(0);
        let before = source.text.get(start..offset);
        Position {
            line,
            column: before.map_or(0, |before| before.chars().count()) + 1,
        }
    }

    /// The files that lead to a place: the one that it is in, the one that includes that, and so on.
    pub(crate) fn chain(&self, place: usize) -> Vec<&Source> {
        let mut chain = Vec::new();
        let mut next = self.of(place);
        while let Some(source) = next {
            chain.push(source);
            next = source.from.as_ref().and_then(|from| self.of(from.start));
        }
        chain
    }
}
