// SPDX-License-Identifier: MIT OR Apache-2.0
//! Many runs for one question.
//!
//! [`lab`] builds a tree and runs cases on it, and says what a commit is, given what they came to. On it stand [`bisect`],
//! which looks for the guilty commit, and [`mutants`], which break the kernel on purpose to see who notices. [`bench`]
//! measures and asserts nothing.

pub mod bench;
pub mod bisect;
pub mod lab;
pub mod mutants;
