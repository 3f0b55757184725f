// SPDX-License-Identifier: MIT OR Apache-2.0
//! One case in one guest, and many of them at once.
//!
//! From the outside in: [`run`] takes cases and kernels and emits events; [`steps`] carries one case out in one guest, cloned
//! from a [`template`]. Below them are the memory under test ([`nvdimm`]), how a page of it is found ([`places`]), and what is
//! done to it ([`inject`]). Guests come from the crate `machine`; what was seen goes to the crate `verdict`.

pub mod inject;
pub mod nvdimm;
pub mod places;
pub mod run;
pub mod steps;
pub mod template;
