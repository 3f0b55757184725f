// SPDX-License-Identifier: MIT OR Apache-2.0
//! A guest's machine and its whole life: how it is described, booted, saved, cloned, talked to, and how it ends.
//!
//! From the outside in: [`snapshot`] keeps guests in a state and clones them; [`guest`] boots and restores one and speaks with
//! its agent; [`qemu`] is the process, its monitor and its memory; [`accel`] says which accelerator really works. Nothing here
//! knows what a case is.

pub mod accel;
pub mod guest;
pub mod qemu;
pub mod snapshot;
