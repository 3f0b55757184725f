// SPDX-License-Identifier: MIT OR Apache-2.0
//! The words of the language: sizes, errno names, kernel versions, names of files and victims, patterns.
//!
//! Each is parsed once, where it is written, so that nothing later has to doubt it.

pub(crate) mod byte;
mod bytes;
mod comm;
mod count;
mod covers;
mod errno;
mod glob;
mod kernel;
mod name;
mod path;
mod seconds;
mod sha256;

pub use bytes::{Bytes, BytesError};
pub use comm::{Comm, CommError};
pub use count::{Count, CountError};
pub use covers::Row;
pub(crate) use errno::unknown_errno;
pub use errno::{Errno, ErrnoError, ReturnCode};
pub use glob::{Glob, GlobError, Pattern, Placeholder};
pub use kernel::{KernelRange, KernelRangeError, KernelVersion, KernelVersionError};
pub use name::{FileName, MarkName, NameError, ParameterName, ThreadName, VictimName};
pub use path::FilePath;
pub use seconds::{Seconds, SecondsError};
pub use sha256::{Sha256, Sha256Error};
pub use words::Fill;
pub(crate) use words::scalar::{FromScalar, deserialize as deserialize_scalar};
