// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is wrong with a case file, drawn for the one who wrote it.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

/// A place in a text, both numbers counted from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

/// Where the lines of a text begin.
pub(crate) struct Lines(Vec<usize>);

impl Lines {
    pub(crate) fn of(text: &str) -> Self {
        Self(
            std::iter::once(0)
                .chain(text.match_indices('\n').map(|(newline, _)| newline + 1))
                .collect(),
        )
    }

    /// The place of the byte `offset` of the same text.
    pub(crate) fn position(&self, text: &str, offset: usize) -> Position {
        let line = self.0.partition_point(|start| *start <= offset).max(1);
        let start = self.0.get(line - 1).copied().unwrap_or(0);
        Position {
            line,
            column: text.get(start..offset).map_or(0, |before| before.chars().count()) + 1,
        }
    }
}

/// A part of the file, and what it has to do with the mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Label {
    span: Range<usize>,
    text: String,
}

/// One mistake in a case file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    title: String,
    primary: Option<Label>,
    secondary: Vec<Label>,
    help: Option<String>,
    position: Option<Position>,
}

impl Diagnostic {
    pub(crate) fn new(title: impl AsRef<str>) -> Self {
        Self {
            title: printable(title.as_ref()),
            primary: None,
            secondary: Vec::new(),
            help: None,
            position: None,
        }
    }

    /// Points at what is wrong.
    pub(crate) fn at(mut self, span: Range<usize>, label: impl AsRef<str>) -> Self {
        self.primary = Some(Label {
            span,
            text: printable(label.as_ref()),
        });
        self
    }

    /// Points at something that explains it.
    pub(crate) fn see(mut self, span: Range<usize>, label: impl AsRef<str>) -> Self {
        self.secondary.push(Label {
            span,
            text: printable(label.as_ref()),
        });
        self
    }

    /// Says what to do.
    pub(crate) fn help(mut self, help: impl AsRef<str>) -> Self {
        self.help = Some(printable(help.as_ref()));
        self
    }

    /// What is wrong, in one sentence.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The way out, where there is one to name.
    pub fn way_out(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// Where it is wrong; nothing when the file could not be read at all.
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    fn group<'a>(&'a self, source: &'a str, path: &'a str) -> Group<'a> {
        let title = Level::ERROR.primary_title(self.title.as_str());
        let mut group = match &self.primary {
            Some(primary) => {
                let secondary = self.secondary.iter().map(|label| {
                    AnnotationKind::Context
                        .span(label.span.clone())
                        .label(label.text.as_str())
                });
                title.element(
                    Snippet::source(source)
                        .path(path)
                        .annotation(
                            AnnotationKind::Primary
                                .span(primary.span.clone())
                                .label(primary.text.as_str()),
                        )
                        .annotations(secondary),
                )
            }
            None => title.element(Origin::path(path)),
        };
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        group
    }
}

/// Everything that is wrong with one case file.
///
/// Displays as plain text, every mistake with the line that it stands in; [`Diagnostics::colored`] does the same for
/// a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    path: PathBuf,
    source: String,
    found: Vec<Diagnostic>,
    /// These are not all.
    more: bool,
}

/// So many mistakes are enough to show at once; whoever has found one more may stop looking.
pub(crate) const ENOUGH: usize = 32;

impl Diagnostics {
    /// Gathers what was found, in the order of the file.
    pub(crate) fn new(path: &Path, source: &str, mut found: Vec<Diagnostic>) -> Self {
        let lines = Lines::of(source);
        for diagnostic in &mut found {
            diagnostic.position = diagnostic
                .primary
                .as_ref()
                .map(|primary| lines.position(source, primary.span.start));
        }
        found.sort_by_key(|diagnostic| diagnostic.position);
        let more = found.len() > ENOUGH;
        found.truncate(ENOUGH);
        Self {
            path: path.to_owned(),
            source: source.to_owned(),
            found,
            more,
        }
    }

    /// The file, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The mistakes, in the order of the file; there is at least one. Of very many, only the first are kept.
    pub fn iter(&self) -> std::slice::Iter<'_, Diagnostic> {
        self.found.iter()
    }

    /// The drawing with terminal colours.
    pub fn colored(&self) -> String {
        self.draw(&Renderer::styled())
    }

    fn draw(&self, renderer: &Renderer) -> String {
        let path = printable(&self.path.to_string_lossy());
        let mut drawn: Vec<_> = self
            .found
            .iter()
            .map(|diagnostic| renderer.render(&[diagnostic.group(&self.source, &path)]))
            .collect();
        if self.more {
            drawn.push(format!(
                "There are more mistakes in {path}; these are the first {ENOUGH}."
            ));
        }
        drawn.join("\n\n")
    }
}

impl<'a> IntoIterator for &'a Diagnostics {
    type Item = &'a Diagnostic;
    type IntoIter = std::slice::Iter<'a, Diagnostic>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.draw(&Renderer::plain()))
    }
}

impl std::error::Error for Diagnostics {}

/// The text with control characters made visible: a case file may hold them, a terminal would obey them.
fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|letter| {
            let escaped = letter.is_control().then(|| letter.escape_default());
            let plain = escaped.is_none().then_some(letter);
            escaped.into_iter().flatten().chain(plain)
        })
        .collect()
}
