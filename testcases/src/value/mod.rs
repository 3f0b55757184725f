// SPDX-License-Identifier: MIT OR Apache-2.0
//! The words of the language: sizes, errno names, kernel versions, names of files and victims, patterns.
//!
//! Each is parsed once, where it is written, so that nothing later has to doubt it.

mod bytes;
mod comm;
mod count;
mod covers;
mod errno;
mod fill;
mod glob;
mod kernel;
mod name;
mod path;
mod scalar;
mod seconds;

pub use bytes::{Bytes, BytesError};
pub use comm::{Comm, CommError};
pub use count::{Count, CountError};
pub use covers::Row;
pub(crate) use errno::unknown_errno;
pub use errno::{Errno, ErrnoError, ReturnCode};
pub use fill::{Fill, Sha256, Sha256Error};
pub use glob::{Glob, GlobError, Pattern, Placeholder};
pub use kernel::{KernelRange, KernelRangeError, KernelVersion, KernelVersionError};
pub use name::{FileName, MarkName, NameError, ParameterName, ThreadName, VictimName};
pub use path::FilePath;
pub(crate) use scalar::{FromScalar, byte, deserialize as deserialize_scalar};
pub use seconds::{Seconds, SecondsError};
