// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is seen in a guest: probes, kernel log, splats, and all of it together as evidence.

pub mod evidence;
pub mod patterns;
pub mod probes;
mod sigbus;
pub mod splat;
pub mod watched;

pub use sigbus::{SIGBUS, has_sigbus};
