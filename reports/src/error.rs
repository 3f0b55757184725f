// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can go wrong with reports.

use std::io;
use std::path::{Path, PathBuf};

use crate::VERSION;

/// Why a report could not be written, read or made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No room for a file.
    #[error("cannot write {}: the disk, or your quota on it, is full; free some space or choose another folder", path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be written for another reason.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is not JSON, or not the JSON of a record.
    #[error("{} is not the record of a run", path.display())]
    NotAReport {
        /// The file.
        path: PathBuf,
        /// Where it departs from one.
        source: serde_json::Error,
    },
    /// A file is JSON of somebody else's.
    #[error("{} is not the record of a run: its schema is {found:?}, not {:?}", path.display(), crate::SCHEMA)]
    OtherSchema {
        /// The file.
        path: PathBuf,
        /// What it says of itself.
        found: String,
    },
    /// A file is a record of another version.
    #[error(
        "{} is a record of version {found}, and this taster reads version {VERSION}; use a taster as old or as new as the one that wrote it",
        path.display()
    )]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u64,
    },
    /// A record, or an event, could not be put into JSON.
    #[error("cannot write {}: it cannot be put into JSON", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: serde_json::Error,
    },
    /// A stream of events does not begin with the start of a run.
    #[error("these events are not those of a run: the first is not its start")]
    NoStart,
    /// A stream of events holds two runs.
    #[error("these events are those of two runs: there is a second start")]
    TwoStarts,
    /// The JUnit document could not be written.
    #[error("cannot write the JUnit document")]
    JunitReport(#[source] junit_report::Error),
    /// The JUnit document could not be completed.
    #[error("cannot complete the JUnit document")]
    Xml(#[source] quick_xml::Error),
    /// The JUnit document has another shape than expected.
    #[error("cannot complete the JUnit document: {0}")]
    JunitShape(&'static str),
    /// A document that should be JUnit is not even XML.
    #[error("it is not well-formed XML")]
    NotXml(#[source] quick_xml::Error),
    /// A document that should be JUnit is something else, or contradicts itself.
    #[error("it is no JUnit document of ours: {0}")]
    NotJunit(String),
    /// The terminal, or whatever stands for it, cannot be written to.
    #[error("cannot write to the terminal")]
    Terminal(#[source] io::Error),
}

impl Error {
    /// Why writing to a path failed, with a full disk named as such.
    pub(crate) fn writing(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path, source },
            _ => Self::Write { path, source },
        }
    }
}
