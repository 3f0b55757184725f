// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernels that are broken on purpose: a suite is worth what it notices.
//!
//! A [`Mutant`] is a small defect in a file of the kernel ([`description`]); [`apply`] puts it in, [`fate`] says what came
//! of it, [`campaign`] does that to one tree with all of them, [`page`] keeps the table of it in a file.

pub mod apply;
pub mod campaign;
pub mod description;
pub mod fate;
pub mod page;

pub use apply::NotApplied;
pub use campaign::Cases;
pub use description::{Mutant, load_all};
pub use fate::{Fate, table};
