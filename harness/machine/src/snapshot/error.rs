// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why there is no template.

use crate::guest::GuestError;
use crate::qemu::MemoryError;
use std::io;
use std::path::{Path, PathBuf};

/// The store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or folder could not be used.
    #[error("cannot {doing} {path}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Too little room.
    #[error(
        "there is no room for the template `{name}`: {why}; free some, or let the cache be elsewhere (TASTER_CACHE)"
    )]
    NoRoom {
        /// The template.
        name: String,
        /// What is needed, and what each home has.
        why: String,
    },
    /// A folder in a tmpfs that could be somebody else's.
    #[error(
        "{} is not a folder that this user alone may use (owner, mode 0700); remove it, or have it removed", .folder.display()
    )]
    NotPrivate {
        /// The folder.
        folder: PathBuf,
    },
    /// No folder at all.
    #[error("there is no folder for templates")]
    Homeless,
    /// Memory files that cannot be made or opened.
    #[error("the template's memory cannot be used")]
    Memory(#[from] MemoryError),
    /// A thread that did file work died.
    #[error("the thread that kept the template died")]
    Thread(#[source] tokio::task::JoinError),
}

/// A template could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It could not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its guest failed.
    #[error("the guest that was to become the template `{name}` failed")]
    Guest {
        /// The template.
        name: String,
        /// Why.
        #[source]
        source: GuestError,
    },
}

impl SnapshotError {
    /// Whether this QEMU can make no template at all, so that guests have to be booted.
    pub fn is_cannot_clone(&self) -> bool {
        matches!(
            self,
            Self::Guest {
                source: GuestError::CannotClone(_),
                ..
            }
        )
    }
}

/// Whose fault it is that a template was not made.
#[derive(Debug)]
pub enum MakeError<E> {
    /// The steps that lead to its state failed, in their own words.
    Setup(E),
    /// All else.
    Snapshot(SnapshotError),
}

impl<E, T: Into<SnapshotError>> From<T> for MakeError<E> {
    fn from(error: T) -> Self {
        Self::Snapshot(error.into())
    }
}

/// Adds what was tried, on what.
pub(super) trait Doing<T> {
    fn doing(self, doing: &'static str, path: &Path) -> Result<T, StoreError>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, doing: &'static str, path: &Path) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::Io {
            doing,
            path: path.to_owned(),
            source,
        })
    }
}
