// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a kernel and packages to something QEMU can boot.
//!
//! [`prepare`] turns what the user named into an [`Image`]: a kernel, an initramfs, and the keys to the guest they
//! make. [`qemu::locate`] finds the QEMU to boot it with. Everything that is fetched or built is kept in a [`Cache`];
//! nothing is installed, nothing needs root, and no guest is ever started here.
//!
//! Rooms: `cache` (content-addressed, atomic, locked), `packages` (a private apt and unpacked .debs), `kernel`
//! (named, file or build tree; and building one), `modules` (what to load, from the target kernel's own facts), `elf` (library
//! closure), `userland`, `initramfs`, `agent_build`, `keys` and `image` (the guest's files), `qemu`, `child`,
//! `progress`, `plain_data` (files of YAML that are no cases), `survey` (what is here already, for people).

mod agent_build;
mod cache;
pub mod child;
mod elf;
mod error;
mod hash;
mod image;
mod initramfs;
mod kernel;
mod keys;
pub mod lock;
mod modules;
mod packages;
mod plain_data;
pub mod progress;
pub mod qemu;
pub mod survey;
mod userland;

pub use cache::Cache;
pub use error::{Error, with_causes};
pub use image::{Image, build_image, forget_image, prepare};
pub use kernel::build;
pub use kernel::{
    BootKind, Kernel, KernelSpec, KnownKernel, Missing, MissingOption, Packaged, SourceLines, known_kernels,
    lay_out_tree, packaged, resolve_kernel,
};
pub use plain_data::{PlainDataError, parse_plain_data};
pub use progress::Progress;
