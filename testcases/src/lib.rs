// SPDX-License-Identifier: MIT OR Apache-2.0
//! The testcase language: types, parser, diagnostics, schema.
//!
//! A case file is YAML. Reading one goes in three steps, and each finds as many mistakes as it can before it gives up:
//!
//! 1. `syntax`: the text becomes values (serde_yaml) and a tree of places (saphyr-parser).
//! 2. `document`, `lower`: the values become the types of the model, part for part.
//! 3. `check`: the parts are held against each other, in the order in which the steps will run.
//!
//! What comes out is a [`Case`], in which nothing is left to doubt, or [`Diagnostics`], which show every mistake in the line
//! where it stands. The crate knows nothing of guests, of QEMU or of reports.

mod check;
mod diagnostic;
mod document;
mod load;
mod lower;
mod model;
mod suggest;
mod syntax;
mod value;

pub use diagnostic::{Diagnostic, Diagnostics, Position};
pub use document::json_schema;
pub use load::{DiscoverError, discover, load, load_all, parse};
pub use model::*;
pub use value::{
    Bytes, BytesError, Errno, ErrnoError, FileName, KernelRange, KernelRangeError, KernelVersion,
    KernelVersionError, NameError, ReturnCode, VictimName,
};
