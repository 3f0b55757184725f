// SPDX-License-Identifier: MIT OR Apache-2.0
//! The testcase language: types, parser, diagnostics, schema.
//!
//! A case file is YAML. Reading one goes in three steps, and each finds as many mistakes as it can before it gives up:
//!
//! 1. `syntax`: the text becomes a tree of values, each with its place.
//! 2. `document`, `lower`: the values become the types of the model, part for part.
//! 3. `check`: the parts are held against each other, in the order in which the steps will run.
//!
//! What comes out is a [`Case`], in which nothing is left to doubt, or [`Diagnostics`], which show every mistake in the line
//! where it stands. The crate knows nothing of guests, of QEMU or of reports.

mod check;
mod coverage;
mod diagnostic;
mod document;
mod library;
mod load;
mod lower;
mod model;
mod show;
mod source;
mod suggest;
mod syntax;
mod value;

pub use coverage::{Coverage, CoverageError};
pub use diagnostic::{Diagnostic, Diagnostics};
pub use document::{json_schema, steps_schema};
pub use library::{DiscoverError, discover};
pub use load::{load, load_all, parse, parse_all};
pub use model::*;
pub use show::show;
pub use source::Position;
pub use suggest::way_out;
pub use value::{
    Bytes, BytesError, Comm, CommError, Count, CountError, Errno, ErrnoError, FileName, FilePath, Fill, Glob,
    GlobError, KernelRange, KernelRangeError, KernelVersion, KernelVersionError, MarkName, NameError,
    ParameterName, Pattern, Placeholder, ReturnCode, Row, Seconds, SecondsError, Sha256, Sha256Error,
    ThreadName, VictimName,
};
