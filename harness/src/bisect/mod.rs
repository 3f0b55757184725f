// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a bad release to the guilty commit.
//!
//! [`trial`] says what a tested commit is, [`confidence`] how far that can be relied on; both are pure. [`lab`] builds a
//! tree and runs the cases on it. [`hunt`] does a whole bisection with them, in a clone of its own ([`clone`]), and keeps
//! a [`journal`] from which it can go on; [`compare`] shows the last good and the first bad side by side.

pub mod clone;
pub mod compare;
pub mod confidence;
pub mod hunt;
pub mod journal;
pub mod lab;
pub mod trial;
