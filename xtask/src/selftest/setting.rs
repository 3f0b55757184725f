// SPDX-License-Identifier: MIT OR Apache-2.0
//! What all faults have in common: this program, a kernel, and a cache of the self-test's own.
//!
//! The user's cache is read and never harmed: what a run needs is copied from it, and faults are made in the copy, or in a copy
//! of that.

use super::trouble::{Trouble, wrong};
use crate::Stopped;
use crate::flags::{SelftestFlags, workspace};
use crate::kernel::on_stderr;
use anyhow::{Context, ensure};
use guest_images::qemu::{Qemu, locate};
use guest_images::{Cache, KernelSpec, prepare};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// How long anything may take before it is called wrong: a boot under emulation on a busy machine, and then some.
const PATIENCE: Duration = Duration::from_secs(300);

/// How often one looks for what no event tells of: files and processes of somebody else.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

pub(super) struct Setting {
    /// This very program.
    pub(super) program: PathBuf,
    /// The kernel, as it is named to `test`.
    pub(super) kernel: String,
    /// The emulator that runs use, and how.
    pub(super) qemu: Qemu,
    /// Whether it has to be named to them.
    pub(super) chosen: Option<PathBuf>,
    /// Everything below here goes with the self-test.
    folder: TempDir,
    stop: CancellationToken,
}

impl Setting {
    /// Fetches and builds what a run needs, and copies it.
    pub(super) fn prepare(flags: SelftestFlags, stop: CancellationToken) -> Result<Self, Stopped> {
        let spec = match &flags.kernel {
            Some(text) => KernelSpec::parse(text, None).map_err(Stopped::usage)?,
            None => KernelSpec::default_kernel().map_err(Stopped::broken)?,
        };
        let cache = Cache::open(flags.cache.root).map_err(Stopped::of_images)?;
        let teller = on_stderr();
        let chosen = flags.qemu;
        let qemu = locate(chosen.as_deref(), &cache, &teller).map_err(Stopped::of_images)?;
        let image = prepare(&spec, &cache, &teller).map_err(Stopped::of_images)?;
        let needed = [&image.kernel.boot, &image.initramfs];
        let setting = Self {
            program: std::env::current_exe()
                .context("cannot find this program")
                .map_err(Stopped::broken)?,
            kernel: spec.to_string(),
            qemu,
            chosen,
            folder: folder().map_err(Stopped::broken)?,
            stop,
        };
        seed(cache.root(), &needed.map(PathBuf::as_path), &setting.cache()).map_err(Stopped::broken)?;
        Ok(setting)
    }

    /// The cache that runs use unless theirs is to be harmed.
    pub(super) fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    /// Where worlds are made.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Looks until something is there. Fails with `expected` when that takes too long.
    pub(super) fn wait<T>(
        &self,
        expected: &str,
        mut look: impl FnMut() -> Result<Option<T>, Trouble>,
    ) -> Result<T, Trouble> {
        let until = Instant::now() + PATIENCE;
        loop {
            if self.stop.is_cancelled() {
                return Err(Trouble::Interrupted);
            }
            if let Some(found) = look()? {
                return Ok(found);
            }
            if Instant::now() > until {
                return Err(wrong(expected, format!("nothing in {} s", PATIENCE.as_secs())));
            }
            std::thread::park_timeout(BETWEEN_LOOKS);
        }
    }
}

/// A folder on the disk that also has room for a build.
fn folder() -> anyhow::Result<TempDir> {
    let target = workspace().join("target");
    fs::create_dir_all(&target).with_context(|| format!("cannot make the folder {}", target.display()))?;
    tempfile::Builder::new()
        .prefix("selftest-")
        .tempdir_in(&target)
        .with_context(|| format!("cannot make a folder in {}", target.display()))
}

/// Copies from the cache `from` what a run with these files needs.
fn seed(from: &Path, files: &[&Path], to: &Path) -> anyhow::Result<()> {
    let mut parts: Vec<PathBuf> = ["CACHEDIR.TAG", "pins", "qemu", "userland"]
        .map(PathBuf::from)
        .to_vec();
    for file in files {
        // KIND/KEY; what lies elsewhere is not the cache's.
        if let Ok(inside) = file.strip_prefix(from) {
            parts.push(inside.components().take(2).collect());
        }
    }
    let names = fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))?;
    let names = names.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    parts.extend(
        names
            .filter(|name| name.starts_with("accelerator-"))
            .map(PathBuf::from),
    );
    parts.extend(packages_of_the_userland(from)?);
    for part in parts.iter().filter(|part| from.join(part).exists()) {
        let parent = to.join(part).parent().map(Path::to_owned).unwrap_or_default();
        fs::create_dir_all(&parent).with_context(|| format!("cannot make {}", parent.display()))?;
        copy(&from.join(part), &parent)?;
    }
    Ok(())
}

/// The packages of what a guest runs, as far as they are there.
fn packages_of_the_userland(cache: &Path) -> anyhow::Result<Vec<PathBuf>> {
    #[derive(serde::Deserialize)]
    struct Package {
        sha256: String,
    }
    let pins = cache.join("pins");
    let mut packages = Vec::new();
    for entry in fs::read_dir(&pins).with_context(|| format!("cannot read {}", pins.display()))? {
        let path = entry
            .with_context(|| format!("cannot read {}", pins.display()))?
            .path();
        if !path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("userland-"))
        {
            continue;
        }
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let pinned: Vec<Package> = serde_json::from_slice(&text)
            .with_context(|| format!("cannot make sense of {}", path.display()))?;
        packages.extend(
            pinned
                .into_iter()
                .map(|one| Path::new("packages").join(one.sha256)),
        );
    }
    Ok(packages)
}

/// Copies a file or folder into a folder, with its times, holes, and what else it has.
pub(super) fn copy(from: &Path, into: &Path) -> anyhow::Result<()> {
    let status = Command::new("cp")
        .args(["-a", "--reflink=auto", "--sparse=auto"])
        .args([from, into])
        .status()
        .context("cannot start `cp`")?;
    ensure!(
        status.success(),
        "cannot copy {} into {}",
        from.display(),
        into.display()
    );
    Ok(())
}
