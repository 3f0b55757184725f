// SPDX-License-Identifier: MIT OR Apache-2.0
//! YAML, and nothing of what a case means by it. The only module that knows which YAML libraries there are.

mod fault;
mod fill;
mod part;
mod reading;
mod tree;

pub(crate) use fill::{Filling, Values};
pub(crate) use part::Part;
pub(crate) use reading::{Later, open};
pub(crate) use tree::{Kind, Node};
