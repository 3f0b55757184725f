// SPDX-License-Identifier: MIT OR Apache-2.0
//! The files of a case: what each name stands for, from which step on, and how large it is.

use std::collections::BTreeMap;
use std::ops::Range;

use super::names;
use crate::diagnostic::Diagnostic;
use crate::lower::LoweredStep;
use crate::model::{Action, Expect, FileKind, Named};
use crate::syntax::Node;
use crate::value::{Bytes, FilePath};

/// A file itself, whatever its names.
#[derive(Debug)]
struct Inode {
    kind: FileKind,
    size: Option<Bytes>,
    /// What says its size.
    size_span: Range<usize>,
}

/// One of the names of a file.
#[derive(Debug, Clone)]
struct Name {
    inode: usize,
    made: Range<usize>,
}

/// A file that is looked up.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) kind: FileKind,
    /// Its size, if it can be told.
    pub(super) size: Option<Bytes>,
    /// What says its size.
    pub(super) size_span: Range<usize>,
}

/// The files of a case.
#[derive(Debug, Default)]
pub(super) struct Files {
    names: BTreeMap<FilePath, Name>,
    inodes: Vec<Inode>,
    /// Where every file of the case is first made, so that a use before that can be told from a slip of the pen.
    ever: BTreeMap<FilePath, Range<usize>>,
    /// Names that are gone, and where they were taken away.
    gone: BTreeMap<FilePath, Range<usize>>,
    /// The commands so far: what they mention, they may have made.
    commands: Vec<String>,
    /// Files that are kept open.
    open: BTreeMap<FilePath, Range<usize>>,
}

impl Files {
    /// Knows every file that the case will make; none exists yet.
    pub(super) fn all(steps: &[&LoweredStep]) -> Self {
        let mut files = Self::default();
        for step in steps {
            let (operation, node) = match &step.action {
                Action::Operation(operation) => (operation, &step.node),
                Action::Expect(Expect::Operation { operation, .. }) => (operation, step.node.at("expect")),
                _ => continue,
            };
            let facts = operation.facts();
            if let Some(Named { path, key }) = facts.effect.made() {
                let span = node.at(facts.word).at(key).handle.clone();
                files.ever.entry(path.clone()).or_insert(span);
            }
        }
        files
    }

    /// The file exists from here on; `made` is where its name and its size are said.
    pub(super) fn make(
        &mut self,
        path: &FilePath,
        kind: FileKind,
        size: Option<Bytes>,
        (made, size_span): (Range<usize>, Range<usize>),
    ) {
        let inode = self.inodes.len();
        self.inodes.push(Inode {
            kind,
            size,
            size_span,
        });
        self.gone.remove(path);
        self.names.insert(path.clone(), Name { inode, made });
    }

    /// Refuses a name that is taken, or that lies in no directory.
    pub(super) fn is_new(&self, path: &FilePath, span: &Range<usize>, found: &mut Vec<Diagnostic>) -> bool {
        if let Some(name) = self.names.get(path) {
            found.push(
                Diagnostic::new(format!("there is a file `{path}` already"))
                    .at(span.clone(), "made a second time")
                    .see(name.made.clone(), "first made here")
                    .help("give one of the two another name"),
            );
            return false;
        }
        self.has_parent(path, span, found)
    }

    /// Refuses a name that lies in no directory.
    pub(super) fn has_parent(
        &self,
        path: &FilePath,
        span: &Range<usize>,
        found: &mut Vec<Diagnostic>,
    ) -> bool {
        let Some(parent) = path.parent() else {
            return true;
        };
        match self.known(&parent).map(|known| known.kind) {
            Some(FileKind::Directory | FileKind::Symlink) => true,
            Some(FileKind::File) => {
                found.push(
                    Diagnostic::new(format!("`{parent}` is a file, and holds no others"))
                        .at(span.clone(), "in a file")
                        .help(format!(
                            "make a directory instead: `- mkdir: {{ directory: {parent} }}`"
                        )),
                );
                false
            }
            None if self.mentioned(&parent) => true,
            None => {
                found.push(self.unknown(&parent, FileKind::Directory, span.clone()));
                false
            }
        }
    }

    pub(super) fn exists(&self, path: &FilePath) -> bool {
        self.names.contains_key(path)
    }

    /// What is known of a file, if it is known at all.
    pub(super) fn known(&self, path: &FilePath) -> Option<Known> {
        let inode = self.inodes.get(self.names.get(path)?.inode)?;
        Some(Known {
            kind: inode.kind,
            size: inode.size,
            size_span: inode.size_span.clone(),
        })
    }

    /// What is known of a file that is used here; says so if there can be none.
    pub(super) fn used(&self, path: &FilePath, usage: &Node, found: &mut Vec<Diagnostic>) -> Option<Known> {
        let known = self.known(path);
        if let Some(gone) = self.gone.get(path) {
            found.push(
                Diagnostic::new(format!("`{path}` is gone"))
                    .at(usage.handle.clone(), "not there any more")
                    .see(gone.clone(), "taken away here")
                    .help("move one of the two steps; that it is not there is said by `error: ENOENT`"),
            );
        } else if known.is_none() && !self.mentioned(path) {
            found.push(self.unknown(path, FileKind::File, usage.handle.clone()));
        }
        known
    }

    fn unknown(&self, path: &FilePath, kind: FileKind, usage: Range<usize>) -> Diagnostic {
        let known = self.names.iter().map(|(path, name)| (path.as_str(), &name.made));
        let (what, make) = match kind {
            FileKind::Directory => (
                "directory",
                format!("make it first: `- mkdir: {{ directory: {path} }}`"),
            ),
            FileKind::File | FileKind::Symlink => (
                "file",
                format!("make it first: `- write: {{ file: {path}, size: 2MiB, fill: 0x5a }}`"),
            ),
        };
        names::unknown(what, path.as_str(), usage, known, self.ever.get(path), &make)
    }

    /// The file has another size from here on.
    pub(super) fn resize(&mut self, path: &FilePath, size: Option<Bytes>, because: Range<usize>) {
        if let Some(inode) = self
            .names
            .get(path)
            .and_then(|name| self.inodes.get_mut(name.inode))
        {
            inode.size = size;
            inode.size_span = because;
        }
    }

    /// The file is at least so long from here on.
    pub(super) fn grow(&mut self, path: &FilePath, end: Option<Bytes>, because: &Range<usize>) {
        let size = self.known(path).and_then(|known| known.size);
        if let (Some(size), Some(end)) = (size, end)
            && end > size
        {
            self.resize(path, Some(end), because.clone());
        }
    }

    /// The file has one more name from here on.
    pub(super) fn link(&mut self, from: &FilePath, to: &FilePath, made: Range<usize>) {
        if let Some(name) = self.names.get(from) {
            let inode = name.inode;
            self.gone.remove(to);
            self.names.insert(to.clone(), Name { inode, made });
        }
    }

    /// The name is gone from here on.
    pub(super) fn unlink(&mut self, path: &FilePath, span: Range<usize>) {
        if self.names.remove(path).is_some() {
            self.gone.insert(path.clone(), span);
        }
    }

    /// The file, and what lies below it, is called something else from here on.
    pub(super) fn rename(
        &mut self,
        from: &FilePath,
        to: &FilePath,
        gone: &Range<usize>,
        made: &Range<usize>,
    ) {
        let moved: Vec<_> = self
            .names
            .iter()
            .filter_map(|(path, name)| Some((path.clone(), path.moved(from, to)?, name.clone())))
            .collect();
        for (old, _, _) in &moved {
            self.unlink(old, gone.clone());
        }
        for (_, new, name) in moved {
            let made = made.clone();
            self.gone.remove(&new);
            self.names.insert(new, Name { made, ..name });
        }
    }

    /// Something that lies in the directory.
    pub(super) fn child_of(&self, directory: &FilePath) -> Option<(&FilePath, &Range<usize>)> {
        let mut below = self.names.iter().filter(|(path, _)| path.is_below(directory));
        below.next().map(|(path, name)| (path, &name.made))
    }

    /// A command may make the files that it mentions, and change those that there are.
    pub(super) fn disturb(&mut self, command: &str) {
        for (path, name) in &self.names {
            if mentions(command, path)
                && let Some(inode) = self.inodes.get_mut(name.inode)
            {
                inode.size = None;
            }
        }
        self.gone.retain(|path, _| !mentions(command, path));
        self.commands.push(command.to_owned());
    }

    /// What the commands so far name: programs and files, without their folders, and the shell's own words.
    pub(super) fn words_of_commands(&self) -> impl Iterator<Item = &str> {
        let part = |letter: char| letter.is_ascii_alphanumeric() || "_-.+".contains(letter);
        let words = self
            .commands
            .iter()
            .flat_map(move |command| command.split(move |letter| !part(letter)));
        words.filter(|word| !word.is_empty())
    }

    fn mentioned(&self, path: &FilePath) -> bool {
        self.commands.iter().any(|command| mentions(command, path))
    }

    /// The file is kept open from here on; says so if it is already.
    pub(super) fn open(&mut self, path: &FilePath, span: Range<usize>, found: &mut Vec<Diagnostic>) {
        if let Some(first) = self.open.get(path) {
            found.push(
                Diagnostic::new(format!("`{path}` is open already"))
                    .at(span, "opened a second time")
                    .see(first.clone(), "first opened here")
                    .help("take one of the two away"),
            );
            return;
        }
        self.open.insert(path.clone(), span);
    }

    /// The file is closed here; says so if it is not open.
    pub(super) fn close(&mut self, path: &FilePath, span: Range<usize>, found: &mut Vec<Diagnostic>) {
        if self.open.remove(path).is_none() {
            found.push(
                Diagnostic::new(format!("`{path}` is not open"))
                    .at(span, "closed here")
                    .help(format!("open it first: `- open: {{ file: {path} }}`")),
            );
        }
    }

    /// The files that are open, and where they were opened.
    pub(super) fn opened(&self) -> impl Iterator<Item = (&FilePath, &Range<usize>)> {
        self.open.iter()
    }
}

/// Whether a command names a file: its last name, as a word of its own.
fn mentions(command: &str, path: &FilePath) -> bool {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "_-".contains(letter);
    command
        .split(|letter| !plain(letter))
        .any(|word| word == path.name())
}
