// SPDX-License-Identifier: MIT OR Apache-2.0
//! The words of the language: sizes, errno names, kernel versions, names of files and victims.
//!
//! Each is parsed once, where it is written, so that nothing later has to doubt it.

mod bytes;
mod errno;
mod kernel;
mod name;
mod scalar;

pub use bytes::{Bytes, BytesError};
pub use errno::{Errno, ErrnoError, ReturnCode};
pub use kernel::{KernelRange, KernelRangeError, KernelVersion, KernelVersionError};
pub use name::{FileName, NameError, VictimName};
pub(crate) use scalar::{FromScalar, byte, deserialize as deserialize_scalar};
