// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest's whole life, and the judgement over it.
//!
//! From the outside in: [`run`] takes cases and kernels and emits events; [`steps`] carries one case out in one
//! [`guest`], cloned from a template ([`snapshot`]); [`observe`] says what was seen, and [`judge`] what it means. Below them are the machine ([`qemu`],
//! [`accel`]), the memory under test ([`nvdimm`]) and what is done to it ([`inject`]).

pub mod bench;
pub mod bisect;
pub mod inject;
pub mod mutants;
pub mod nvdimm;
pub mod places;
pub mod run;
pub mod steps;
pub mod template;
