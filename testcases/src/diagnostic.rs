// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is wrong with a case file, drawn for the one who wrote it.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

use crate::source::{Position, Source, Sources};

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
    note: Option<String>,
    position: Option<Position>,
    included: Option<PathBuf>,
}

impl Diagnostic {
    pub(crate) fn new(title: impl AsRef<str>) -> Self {
        Self {
            title: printable(title.as_ref()),
            primary: None,
            secondary: Vec::new(),
            help: None,
            note: None,
            position: None,
            included: None,
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

    /// Says under which circumstances it is wrong.
    pub(crate) fn note(mut self, note: impl AsRef<str>) -> Self {
        self.note = Some(printable(note.as_ref()));
        self
    }

    /// The same of a text that does not stand at the beginning of all texts, but here.
    pub(crate) fn moved(mut self, base: usize) -> Self {
        let labels = self.primary.iter_mut().chain(&mut self.secondary);
        for label in labels {
            label.span = label.span.start + base..label.span.end + base;
        }
        self
    }

    /// Whether the two say the same of the same place.
    pub(crate) fn repeats(&self, other: &Self) -> bool {
        let place = |diagnostic: &Self| diagnostic.primary.as_ref().map(|label| label.span.clone());
        self.title == other.title && place(self) == place(other)
    }

    /// What is wrong, in one sentence.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The way out, where there is one to name.
    pub fn way_out(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// The included file in which it is wrong; nothing if it is the case's own.
    pub fn included(&self) -> Option<&Path> {
        self.included.as_deref()
    }

    /// Where it is wrong; nothing when the file could not be read at all.
    pub fn position(&self) -> Option<Position> {
        self.position
    }

    fn group<'a>(&'a self, sources: &'a Sources, path: &'a str) -> Group<'a> {
        let title = Level::ERROR.primary_title(self.title.as_str());
        let chain = self
            .primary
            .as_ref()
            .map_or_else(Vec::new, |primary| sources.chain(primary.span.start));
        // A file that is only pointed at comes last.
        let mut chain = chain;
        for label in &self.secondary {
            if let Some(source) = sources.of(label.span.start)
                && !chain.iter().any(|known| known.base == source.base)
                && self.primary.is_some()
            {
                chain.push(source);
            }
        }
        let mut elements = Vec::new();
        let mut included: Option<&Range<usize>> = None;
        for source in chain {
            let here = |place: usize| sources.of(place).is_some_and(|theirs| theirs.base == source.base);
            let primary = self.primary.iter().filter(|label| here(label.span.start));
            let primary = primary.map(|label| (AnnotationKind::Primary, &label.span, label.text.as_str()));
            // Where the text before this one is included.
            let from = included
                .filter(|from| here(from.start))
                .map(|from| (AnnotationKind::Context, from, "included here"));
            let secondary = self.secondary.iter().filter(|label| here(label.span.start));
            let secondary =
                secondary.map(|label| (AnnotationKind::Context, &label.span, label.text.as_str()));
            let annotations = primary.chain(from).chain(secondary);
            elements.push(
                Snippet::source(source.text.as_str())
                    .path(printable(&source.path.to_string_lossy()))
                    .annotations(
                        annotations.map(|(kind, span, label)| kind.span(within(source, span)).label(label)),
                    ),
            );
            included = source.from.as_ref();
        }
        let mut elements = elements.into_iter();
        let mut group = match elements.next() {
            Some(first) => title.element(first),
            None => title.element(Origin::path(path)),
        };
        for snippet in elements {
            group = group.element(snippet);
        }
        if let Some(note) = &self.note {
            group = group.element(Level::NOTE.message(note.as_str()));
        }
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        group
    }
}

/// A range of all texts as one of this text.
fn within(source: &Source, span: &Range<usize>) -> Range<usize> {
    let inner = |place: usize| place.saturating_sub(source.base).min(source.text.len());
    inner(span.start)..inner(span.end)
}

/// Everything that is wrong with one case file.
///
/// Displays as plain text, every mistake with the line that it stands in; [`Diagnostics::colored`] does the same for
/// a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostics {
    path: PathBuf,
    sources: Sources,
    found: Vec<Diagnostic>,
    /// These are not all.
    more: bool,
}

/// So many mistakes are enough to show at once; whoever has found one more may stop looking.
pub(crate) const ENOUGH: usize = 32;

impl Diagnostics {
    /// Gathers what was found in one text.
    pub(crate) fn new(path: &Path, source: &str, found: Vec<Diagnostic>) -> Self {
        Self::of(Sources::new(path, source), found)
    }

    /// Gathers what was found, in the order of the texts.
    pub(crate) fn of(sources: Sources, mut found: Vec<Diagnostic>) -> Self {
        for diagnostic in &mut found {
            let start = diagnostic.primary.as_ref().map(|primary| primary.span.start);
            diagnostic.position = start.map(|start| sources.position(start));
            diagnostic.included = start
                .and_then(|start| sources.of(start))
                .filter(|source| source.from.is_some())
                .map(|source| source.path.clone());
        }
        found.sort_by_key(|diagnostic| diagnostic.primary.as_ref().map(|primary| primary.span.start));
        let more = found.len() > ENOUGH;
        found.truncate(ENOUGH);
        Self {
            path: sources.main().map(|main| main.path.clone()).unwrap_or_default(),
            sources,
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
            .map(|diagnostic| renderer.render(&[diagnostic.group(&self.sources, &path)]))
            .collect();
        if self.more {
            drawn.push(format!(
                "There are more mistakes in {path}; these are the first {ENOUGH}."
            ));
        }
        drawn.join("\n\n")
    }
}

/// The same mistakes found several times over, under several circumstances: each once, and where it was not found under
/// all of them, with a word on when.
pub(crate) fn merged(all: Vec<(String, Vec<Diagnostic>)>) -> Vec<Diagnostic> {
    let count = all.len();
    let mut merged: Vec<(Diagnostic, Vec<String>)> = Vec::new();
    for (circumstance, found) in all {
        for diagnostic in found {
            match merged.iter_mut().find(|(known, _)| known.repeats(&diagnostic)) {
                Some((_, when)) if when.last() == Some(&circumstance) => {}
                Some((_, when)) => when.push(circumstance.clone()),
                None => merged.push((diagnostic, vec![circumstance.clone()])),
            }
        }
    }
    let noted = |(diagnostic, when): (Diagnostic, Vec<String>)| match when.as_slice() {
        all if all.len() == count => diagnostic,
        [] => diagnostic,
        [only] => diagnostic.note(only),
        [first, others @ ..] => diagnostic.note(format!("{first}, and {} more", others.len())),
    };
    merged.into_iter().map(noted).collect()
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
