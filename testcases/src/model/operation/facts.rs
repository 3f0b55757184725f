// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is known of an operation, whichever it is. The checker, the texts for people and the runner read it here, and so agree.

use crate::model::Place;
use crate::value::{Bytes, FilePath, VictimName};

/// What is known of an operation. There are no defaults: whoever adds an operation is asked for each of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationFacts<'a> {
    /// The word that a case writes.
    pub word: &'static str,
    /// What is done, in words.
    pub(crate) verb: Verb,
    /// To what, and how, in words; comes after the verb.
    pub(crate) object: String,
    /// On which file, victim or other thing, and at which place of it.
    pub(crate) subject: (Option<String>, Option<Place>),
    /// Whether the filesystem must be mounted.
    pub needs_mount: bool,
    /// What it writes to.
    pub writes: Writes<'a>,
    /// The paths that it looks up, and leaves as they are.
    pub uses: Vec<&'a FilePath>,
    /// What has changed once it has succeeded.
    pub effect: Effect<'a>,
    /// The data that it reads or writes.
    pub data: DataAccess<'a>,
}

impl OperationFacts<'_> {
    /// All paths that it looks up, and those that it makes, moves or removes.
    pub fn paths(&self) -> impl Iterator<Item = &FilePath> {
        let changed = match &self.effect {
            Effect::Nothing => [None, None],
            Effect::Makes { name, .. }
            | Effect::Removes(name)
            | Effect::Opens(name)
            | Effect::Closes(name) => [Some(name.path), None],
            Effect::Links { from, to } => [Some(*from), Some(to.path)],
            Effect::Moves { from, to } => [Some(from.path), Some(to.path)],
            Effect::Resizes { file, .. } => [Some(*file), None],
            Effect::Exchanges { file, with } => [Some(*file), Some(*with)],
        };
        self.uses.iter().copied().chain(changed.into_iter().flatten())
    }
}

/// A verb in its two forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verb {
    /// `punch`, `alice reads`: what a step does.
    pub(crate) bare: String,
    /// `punching`, `alice's reading`: what an expectation is about.
    pub(crate) ing: String,
}

impl Verb {
    /// What nobody in particular does.
    pub(super) fn new(bare: &str, ing: &str) -> Self {
        Self {
            bare: bare.to_owned(),
            ing: ing.to_owned(),
        }
    }

    /// What a victim does.
    pub(super) fn of(victim: &str, bare: &str, ing: &str) -> Self {
        Self {
            bare: format!("{victim} {bare}"),
            ing: format!("{victim}'s {ing}"),
        }
    }
}

/// What something is, that has a name in the filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
}

impl FileKind {
    /// What people call it.
    pub(crate) const fn called(self) -> &'static str {
        match self {
            Self::File => "a file",
            Self::Directory => "a directory",
            Self::Symlink => "a symbolic link",
        }
    }
}

/// A path, and the key behind which a case says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named<'a> {
    /// The path.
    pub path: &'a FilePath,
    /// The key.
    pub key: &'static str,
}

/// A place of a victim's mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InMapping<'a> {
    /// The victim.
    pub victim: &'a VictimName,
    /// The place.
    pub place: Place,
    /// The key behind which a case says both, if they do not stand beside the operation's other keys.
    pub key: Option<&'static str>,
}

/// What an operation writes to. What a command writes to, nobody knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writes<'a> {
    /// Nothing of the filesystem.
    Nothing,
    /// The filesystem: while that is frozen, it waits (sb_start_write()).
    Filesystem,
    /// What a victim has mapped: if that is a shared mapping of a file, it waits likewise (sb_start_pagefault()).
    Mapping(InMapping<'a>),
}

/// What has changed once an operation has succeeded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect<'a> {
    /// No name, and no file's size.
    Nothing,
    /// There is something new.
    Makes {
        /// Its name, which was free.
        name: Named<'a>,
        /// What it is.
        kind: FileKind,
        /// How large it is.
        size: NewSize<'a>,
    },
    /// A file has one more name.
    Links {
        /// One that it had.
        from: &'a FilePath,
        /// The new one, which was free.
        to: Named<'a>,
    },
    /// A file or directory, and what lies in it, is called something else; what had that name is gone.
    Moves {
        /// What it was called.
        from: Named<'a>,
        /// What it is called now.
        to: Named<'a>,
    },
    /// A name is gone.
    Removes(Named<'a>),
    /// A file is kept open.
    Opens(Named<'a>),
    /// A file is not any more.
    Closes(Named<'a>),
    /// A file has another size.
    Resizes {
        /// The file.
        file: &'a FilePath,
        /// What becomes of the size.
        size: SizeChange,
    },
    /// Each of two files has what the other held, and its size.
    Exchanges {
        /// One.
        file: &'a FilePath,
        /// The other.
        with: &'a FilePath,
    },
}

impl<'a> Effect<'a> {
    /// The name that is there afterwards, and need not have been before.
    pub const fn made(&self) -> Option<Named<'a>> {
        match self {
            Self::Makes { name, .. } => Some(*name),
            Self::Links { to, .. } | Self::Moves { to, .. } => Some(*to),
            Self::Nothing
            | Self::Removes(_)
            | Self::Opens(_)
            | Self::Closes(_)
            | Self::Resizes { .. }
            | Self::Exchanges { .. } => None,
        }
    }
}

/// How large something new is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewSize<'a> {
    /// It is no regular file.
    None,
    /// Just so large.
    Is {
        /// The size that results.
        size: Bytes,
        /// The key behind which a case says it.
        key: &'static str,
    },
    /// As large as this file.
    As(&'a FilePath),
}

/// How the size of a file changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SizeChange {
    /// It is this.
    Is {
        /// The size that results.
        size: Bytes,
        /// The key behind which a case says it.
        key: &'static str,
    },
    /// It is at least this; `None` is more than can be counted.
    Reaches(Option<Bytes>),
    /// It is less by this.
    Less(Bytes),
    /// It is more by this.
    More(Bytes),
}

/// The data that an operation reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataAccess<'a> {
    /// None in particular.
    None,
    /// A part of a file, by a system call.
    Part {
        /// The file.
        file: &'a FilePath,
        /// Where the part starts.
        offset: Bytes,
        /// Its length.
        length: Bytes,
        /// The buffer of the call, if it is in a victim's mapping.
        buffer: Option<InMapping<'a>>,
    },
    /// A byte of a victim's mapping, by an instruction.
    Byte(InMapping<'a>),
}

impl<'a> DataAccess<'a> {
    /// Whose mapping is read or written by it, and at which place.
    pub const fn mapping(&self) -> Option<InMapping<'a>> {
        match self {
            Self::None => None,
            Self::Part { buffer, .. } => *buffer,
            Self::Byte(at) => Some(*at),
        }
    }
}
