// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a bad release to the guilty commit.
//!
//! [`hunt`] does a whole bisection with the laboratory ([`crate::lab`]), in a clone of its own, and keeps a [`journal`] from
//! which it can go on. [`confidence`] says how far a good word can be relied on; [`compare`] shows the last good and the
//! first bad side by side.

pub mod compare;
pub mod confidence;
pub mod hunt;
pub mod journal;
