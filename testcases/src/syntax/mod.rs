// SPDX-License-Identifier: MIT OR Apache-2.0
//! YAML, and nothing of what a case means by it. The only module that knows which YAML library there is.

mod deserialize;
mod error;
mod fill;
mod node;
mod parse;
mod scalar;

pub(crate) use deserialize::{Later, Shape, deserialize_by_shape};
pub(crate) use fill::{Filling, Values};
pub(crate) use node::{Entry, Kind, Node};
pub(crate) use parse::open;
pub(crate) use scalar::Scalar;
