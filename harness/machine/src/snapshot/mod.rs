// SPDX-License-Identifier: MIT OR Apache-2.0
//! Templates and clones: a guest of its own for every case, for the price of a fork.
//!
//! A *template* is a guest that was brought into a state, stopped and written down: files that are its memory, and a
//! file with the state of its devices. A *clone* is a QEMU that maps these files privately (copy on write) and goes on
//! from there; what it does ends with it.
//!
//! - [`Recipe`] says everything that makes a template what it is, and names it: its [`Key`] is the hash of that.
//! - [`Store`] keeps templates between runs, verifies them, lets runs share them, and prunes them.
//! - [`Workshop`] makes templates, one out of another, and clones guests from them.

mod copy;
mod error;
mod home;
mod kept;
mod lock;
mod manifest;
mod prune;
mod recipe;
mod store;
mod workshop;

pub use error::{MakeError, SnapshotError, StoreError};
pub use kept::Snapshot;
pub use prune::{Limits, Pruned};
pub use recipe::{Key, Recipe};
pub use store::{Made, Store};
pub use workshop::Workshop;
