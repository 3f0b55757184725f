// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the packages of a named kernel hold beside what runs boot: for comparisons with those who boot that.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use super::named::{Parts, entry};
use super::{BootKind, Kernel};
use crate::cache::{Cache, remove};
use crate::error::{Error, IoContext};
use crate::packages;
use crate::progress::Progress;

/// Changes whenever what an entry holds does.
const LAYOUT: &str = "packaged entry 1";

const BZIMAGE: &str = "bzImage";
const CONFIG: &str = "config";
const BUILT_IN: &str = "modules.builtin";

/// Files of the packages of a named kernel, as they were packaged.
#[derive(Debug, Clone)]
pub struct Packaged {
    /// The compressed kernel, which everybody else boots.
    pub bzimage: PathBuf,
    config: PathBuf,
    built_in: PathBuf,
}

/// From the cache, or out of the packages, which the cache has when it has the kernel.
pub fn packaged(name: &str, cache: &Cache, progress: &dyn Progress) -> Result<Packaged, Error> {
    let (folder, _) = entry(name, "packaged", LAYOUT, cache, progress, |files, folder| {
        let unpacked = folder.join("unpacked");
        packages::unpack_all(files.iter().map(PathBuf::as_path), &unpacked, |path| {
            !path.starts_with("usr/share") && path.extension().is_none_or(|one| one != "xz" && one != "ko")
        })?;
        let parts = Parts::find(&unpacked)?.ok_or_else(|| Error::BadPackage {
            package: name.to_owned(),
            why: "it holds no boot image".to_owned(),
        })?;
        let built_in = parts.modules.join(BUILT_IN);
        for (from, to) in [
            (&parts.image, BZIMAGE),
            (&parts.config, CONFIG),
            (&built_in, BUILT_IN),
        ] {
            fs::rename(from, folder.join(to)).during("keep", from)?;
        }
        remove(&unpacked)
    })?;
    Ok(Packaged {
        bzimage: folder.join(BZIMAGE),
        config: folder.join(CONFIG),
        built_in: folder.join(BUILT_IN),
    })
}

/// Lays the named `kernel` out in the folder `tree` like a build tree that has just been built: the same code and modules,
/// and `mark` at the end of its vmlinux, where nobody looks, so that nothing in any cache is about it. Returns whether it
/// was possible: a kernel that only boots compressed has no vmlinux.
pub fn lay_out_tree(kernel: &Kernel, packaged: &Packaged, tree: &Path, mark: &[u8]) -> Result<bool, Error> {
    if kernel.boot_kind != BootKind::Vmlinux {
        return Ok(false);
    }
    let copy = |from: &Path, to: &str| {
        let to = tree.join(to);
        fs::copy(from, &to).during("write", &to)
    };
    copy(&packaged.config, ".config")?;
    copy(&packaged.built_in, BUILT_IN)?;
    copy(&kernel.boot, "vmlinux")?;
    let vmlinux = tree.join("vmlinux");
    let mut file = fs::File::options()
        .append(true)
        .open(&vmlinux)
        .during("open", &vmlinux)?;
    file.write_all(mark).during("write", &vmlinux)?;
    // What other modules ask for by algorithm is looked for below folders called `lib` and `crypto`.
    let modules = tree.join("lib");
    fs::create_dir(&modules).during("create", &modules)?;
    for module in &kernel.modules {
        let name = module.file.file_name().unwrap_or_default().to_string_lossy();
        copy(&module.file, &format!("lib/{name}"))?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_the_kernel_and_a_mark() {
        let place = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = place.path().join(name);
            fs::write(&path, name).unwrap();
            path
        };
        let packaged = Packaged {
            bzimage: file("bzImage"),
            config: file("config"),
            built_in: file("built-in"),
        };
        let kernel = Kernel {
            rebuild: None,
            name: "debian-6.12".to_owned(),
            release: String::new(),
            version: String::new(),
            commit: None,
            boot: file("image"),
            boot_kind: BootKind::Vmlinux,
            why_not_vmlinux: None,
            missing: Vec::new(),
            configuration_known: true,
            modules: Vec::new(),
            digest: String::new(),
        };
        let tree = place.path().join("tree");
        fs::create_dir(&tree).unwrap();
        assert!(lay_out_tree(&kernel, &packaged, &tree, b"!").unwrap());
        assert_eq!(fs::read(tree.join("vmlinux")).unwrap(), b"image!");
        assert_eq!(fs::read(tree.join(".config")).unwrap(), b"config");
        let compressed = Kernel {
            boot_kind: BootKind::BzImage,
            ..kernel
        };
        assert!(!lay_out_tree(&compressed, &packaged, &tree, b"!").unwrap());
    }
}
