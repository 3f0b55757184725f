// SPDX-License-Identifier: MIT OR Apache-2.0
//! YAML, and nothing of what a case means by it. The only module that knows which YAML libraries there are.

mod fault;
mod reading;
mod tree;

pub(crate) use reading::{Later, open, read, read_past, read_word};
pub(crate) use tree::{Kind, Node};
