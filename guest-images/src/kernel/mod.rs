// SPDX-License-Identifier: MIT OR Apache-2.0
//! From what the user named to a kernel that can be booted, with the modules that it needs.

pub mod build;
mod bzimage;
mod catalogue;
mod config;
mod inspect;
mod lines;
mod named;
mod packaged;
mod path;
mod spec;
mod tree;
mod vmlinux;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use catalogue::{KnownKernel, known_kernels};
pub use config::{Missing, MissingOption};
pub use lines::SourceLines;
pub use packaged::{Packaged, lay_out_tree, packaged};
pub use spec::KernelSpec;

use crate::cache::Cache;
use crate::error::Error;
use crate::modules::PlannedModule;
use crate::progress::Progress;

/// What QEMU is given to boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BootKind {
    /// An uncompressed kernel, entered directly (PVH): under emulation it boots in half the time.
    Vmlinux,
    /// A compressed one, which first uncompresses itself inside the guest.
    BzImage,
}

/// A kernel that can be booted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kernel {
    /// What it was asked for as: `debian-6.12`, or the path.
    pub name: String,
    /// What `uname -r` says in it: `6.1.0-56-amd64`.
    pub release: String,
    /// The upstream version: `6.1.192`; Debian's kernels hide it in their banner behind a stable release name.
    pub version: String,
    /// The git commit of a build tree, with `-dirty` if there were changes; `None` for anything else.
    pub commit: Option<String>,
    /// What to give to QEMU's `-kernel`.
    pub boot: PathBuf,
    /// The command that completes its configuration and builds it again, if it was given as a build tree.
    #[serde(default)]
    pub rebuild: Option<String>,
    /// What kind of file that is.
    pub boot_kind: BootKind,
    /// Why the compressed kernel has to be booted, if it has.
    pub why_not_vmlinux: Option<String>,
    /// What the tests need and this kernel does not have; nothing can be judged on it unless this is empty.
    pub missing: Vec<MissingOption>,
    /// Whether its configuration was found. If not, `missing` speaks of modules only and may be incomplete.
    pub configuration_known: bool,
    /// The modules to load, in order.
    pub(crate) modules: Vec<PlannedModule>,
    /// A digest that changes when the booted file does.
    pub(crate) digest: String,
}

impl Kernel {
    /// An error that lists what is missing, or nothing if the kernel has all that is needed.
    pub fn require_complete(&self) -> Result<(), Error> {
        if self.missing.is_empty() {
            return Ok(());
        }
        Err(Error::KernelLacks {
            name: self.name.clone(),
            missing: self.missing.clone(),
            way_out: self
                .rebuild
                .as_ref()
                .map(|command| format!("set these and build again, or let it be done: {command}")),
        })
    }
}

/// Finds the kernel that a specification names, fetching it if it is a named one that is not in the cache.
///
/// Builds no image: what the kernel lacks ([`Kernel::missing`]) is known before that.
pub fn resolve_kernel(spec: &KernelSpec, cache: &Cache, progress: &dyn Progress) -> Result<Kernel, Error> {
    match spec {
        KernelSpec::Named(name) => named::resolve(name, cache, progress),
        KernelSpec::Path { kernel, modules } => path::resolve(kernel, modules.as_deref(), cache, progress),
        KernelSpec::Tree { tree, modules } => tree::resolve(tree, modules.as_deref(), cache, progress),
    }
}

/// A kernel given as a path is called by the last two parts of it: whole paths fill tables and say nothing more.
fn shown(path: &Path) -> String {
    let parts: Vec<_> = path
        .components()
        .rev()
        .take(2)
        .map(|part| part.as_os_str().to_string_lossy())
        .collect();
    parts
        .into_iter()
        .rev()
        .collect::<Vec<_>>()
        .join("/")
        .trim_start_matches('/')
        .to_owned()
}
