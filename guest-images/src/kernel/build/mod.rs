// SPDX-License-Identifier: MIT OR Apache-2.0
//! From a kernel's source to a tree that can be tested: configured with what a case needs, and built.
//!
//! A tree is built where it is, as its owner would, or in a folder of its own (`O=`), which the kernel's makefiles allow
//! only as long as nothing was built in the tree itself. What one build left, the next one goes on from.

mod complaint;
mod configure;
mod fragment;
mod make;
mod source;
mod tools;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

pub use fragment::Flavour;
pub use source::{fetch_source, sources_known};
pub use tools::{Tool, survey_tools};

use crate::cache::Cache;
use crate::error::Error;
use crate::progress::Progress;
use make::Make;
use tools::Tools;

/// What is to be built.
#[derive(Debug, Clone)]
pub struct BuildRequest {
    /// The source tree.
    pub tree: PathBuf,
    /// A folder to build in instead of the tree itself; it is made if need be.
    pub out: Option<PathBuf>,
    /// Which configuration a tree gets that has none of its own.
    pub flavour: Flavour,
    /// How many compilers at once; `None` for as many as there are processors.
    pub jobs: Option<NonZeroUsize>,
}

/// A kernel that was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The folder to test: what [`KernelSpec::Tree`](super::KernelSpec::Tree) takes.
    pub folder: PathBuf,
    /// What `uname -r` will say.
    pub release: String,
    /// How many files were compiled; none if all was up to date.
    pub compiled: u64,
    /// What the fragment asks for and this version cannot give, and a case can do without: `CONFIG_X86_MCE_INJECT=y`.
    pub not_taken: Vec<String>,
}

/// Configures and builds.
///
/// Fails with [`Error::DoesNotBuild`] when the source is at fault, with [`Error::KernelLacks`] when this version cannot be
/// configured to what a case needs, and otherwise for reasons of this machine.
pub fn build(request: &BuildRequest, cache: &Cache, progress: &dyn Progress) -> Result<Built, Error> {
    let tree = source_tree(&request.tree)?;
    let out = match &request.out {
        Some(out) => {
            refuse_dirty(&tree)?;
            Some(ready(out)?)
        }
        None => None,
    };
    let tools = Tools::obtain(cache, progress)?;
    let make = Make::new(&tree, out.as_deref(), &tools, request.jobs);
    let not_taken = configure::configure(&make, request.flavour, progress)?;
    let compiled = make.build(progress)?;
    Ok(Built {
        release: make.release()?,
        folder: make.folder().to_owned(),
        compiled,
        not_taken,
    })
}

/// The folder, absolute, if it holds the source of a kernel.
fn source_tree(tree: &Path) -> Result<PathBuf, Error> {
    let not = |why: &str| Error::NotASourceTree {
        path: tree.to_owned(),
        why: why.to_owned(),
    };
    let path = std::fs::canonicalize(tree).map_err(|error| Error::io("look into", tree, error))?;
    let has = |name: &str| path.join(name).is_file();
    if has("Kbuild") && has("Makefile") && path.join("mm").is_dir() && path.join("arch/x86").is_dir() {
        return Ok(path);
    }
    if has("Makefile") && path.join("source").is_dir() {
        return Err(not(
            "it is a build folder (O=); name the tree that it was built from",
        ));
    }
    Err(not("it has no Makefile, Kbuild, mm and arch/x86"))
}

/// The kernel's makefiles refuse `O=` for such a tree, after a while and in a page of text.
fn refuse_dirty(tree: &Path) -> Result<(), Error> {
    let traces = [".config", "include/config", "arch/x86/include/generated"];
    match traces.iter().find(|trace| tree.join(trace).exists()) {
        None => Ok(()),
        Some(trace) => Err(Error::NotASourceTree {
            path: tree.to_owned(),
            why: format!(
                "something was configured or built in it ({trace}), and then it cannot be built in another folder: \
                 build it where it is (leave --out out), clean it (`make mrproper`, which removes its .config), or take a \
                 worktree of it (`git worktree add`)"
            ),
        }),
    }
}

fn ready(out: &Path) -> Result<PathBuf, Error> {
    std::fs::create_dir_all(out).map_err(|error| Error::io("create", out, error))?;
    std::fs::canonicalize(out).map_err(|error| Error::io("resolve", out, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_source_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let text = |path: &Path| source_tree(path).unwrap_err().to_string();
        assert!(
            text(folder.path()).contains("no Makefile"),
            "{}",
            text(folder.path())
        );
        assert!(text(&folder.path().join("none")).contains("none"));
        std::fs::write(folder.path().join("Makefile"), "").unwrap();
        std::fs::create_dir(folder.path().join("source")).unwrap();
        assert!(text(folder.path()).contains("build folder"));
        for name in ["mm", "arch/x86"] {
            std::fs::create_dir_all(folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join("Kbuild"), "").unwrap();
        assert!(source_tree(folder.path()).is_ok());
    }

    #[test]
    fn a_tree_that_was_built_in_is_not_built_from_outside() {
        let folder = tempfile::tempdir().unwrap();
        assert!(refuse_dirty(folder.path()).is_ok());
        std::fs::write(folder.path().join(".config"), "").unwrap();
        let text = refuse_dirty(folder.path()).unwrap_err().to_string();
        assert!(text.contains("mrproper") && text.contains("--out"), "{text}");
    }
}
