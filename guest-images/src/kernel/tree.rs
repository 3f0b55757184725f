// SPDX-License-Identifier: MIT OR Apache-2.0
//! A kernel build tree: what `make` left in it, without installing anything.

use std::path::{Path, PathBuf};

use super::config::Config;
use super::inspect::{self, Image};
use super::path::{Bootable, assemble};
use super::{Kernel, shown};
use crate::cache::Cache;
use crate::child;
use crate::error::{Error, IoContext};
use crate::progress::Progress;

pub(super) fn resolve(
    tree: &Path,
    modules: Option<&Path>,
    cache: &Cache,
    progress: &dyn Progress,
) -> Result<Kernel, Error> {
    let not = |why: String| Error::NotABuildTree {
        path: tree.to_owned(),
        why,
    };
    let config = tree.join(".config");
    if !config.is_file() {
        return Err(not(format!(
            "it has no .config; name the folder in which the kernel was built (its O= folder), or build it: {}",
            build_command(tree)
        )));
    }
    let config = Config::parse(&std::fs::read_to_string(&config).during("read", &config)?);
    let (image, why_not) = choose_image(tree)?;
    let image = image.ok_or_else(|| {
        not(format!(
            "it has neither vmlinux nor arch/x86/boot/bzImage; run `make` in it first, or {}",
            build_command(tree)
        ))
    })?;
    let bootable = Bootable::open(&image, cache, progress)?
        .because(why_not)
        .with_config(Some(config));
    let release_file = tree.join("include/config/kernel.release");
    if let Ok(release) = std::fs::read_to_string(&release_file)
        && release.trim() != bootable.release
    {
        return Err(not(format!(
            "its image is {} and its configuration says {}; run `make` in it again",
            bootable.release,
            release.trim()
        )));
    }
    let folder = match modules {
        Some(given) => inspect::locate_modules(given, &bootable.release)?,
        None => tree.to_owned(),
    };
    let kernel = assemble(shown(tree), commit(tree)?, bootable, Some(&folder))?;
    Ok(Kernel {
        rebuild: Some(build_command(tree)),
        ..kernel
    })
}

/// The vmlinux if QEMU can enter it; else the bzImage, and why.
fn choose_image(tree: &Path) -> Result<(Option<PathBuf>, Option<String>), Error> {
    let there = |name: &str| Some(tree.join(name)).filter(|path| path.is_file());
    let bzimage = there("arch/x86/boot/bzImage").or_else(|| there("arch/x86_64/boot/bzImage"));
    let Some(vmlinux) = there("vmlinux") else {
        return Ok((bzimage, None));
    };
    match inspect::image(&vmlinux)? {
        Image::Vmlinux { pvh: false, .. } if bzimage.is_some() => Ok((
            bzimage,
            Some("its vmlinux has no PVH entry (CONFIG_PVH)".to_owned()),
        )),
        _ => Ok((Some(vmlinux), None)),
    }
}

/// Where the sources are, and with them git's data: an O= folder has a link there.
fn source_of(tree: &Path) -> PathBuf {
    let linked = std::fs::canonicalize(tree.join("source")).ok();
    linked
        .filter(|path| path.is_dir())
        .unwrap_or_else(|| tree.to_owned())
}

/// What configures and builds a tree with all that is needed.
fn build_command(tree: &Path) -> String {
    let source = source_of(tree);
    let command = format!("cargo xtask kernel build --tree {}", source.display());
    if source == tree {
        command
    } else {
        format!("{command} --out {}", tree.display())
    }
}

/// The commit that is checked out, with `-dirty` if tracked files differ; `None` if git does not track the tree, or there is
/// no git.
fn commit(tree: &Path) -> Result<Option<String>, Error> {
    let source = source_of(tree);
    if which::which("git").is_err() {
        return Ok(None);
    }
    let git = |arguments: &[&str]| {
        // No optional locks: the user may be working in the tree at this moment.
        child::run(
            child::command("git")
                .arg("--no-optional-locks")
                .arg("-C")
                .arg(&source)
                .args(arguments),
        )
    };
    // A tree that was unpacked inside some other repository has no commit: that repository's is none of its.
    let tracked = git(&["ls-files", "--error-unmatch", "--", "Makefile"])?;
    let head = git(&["rev-parse", "HEAD"])?;
    if !tracked.status.success() || !head.status.success() {
        return Ok(None);
    }
    let mut commit = String::from_utf8_lossy(&head.stdout).trim().to_owned();
    if !git(&["diff-index", "--quiet", "HEAD", "--"])?.status.success() {
        commit.push_str("-dirty");
    }
    Ok(Some(commit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;

    fn cache(folder: &Path) -> Cache {
        Cache::open(Some(folder.join("cache"))).unwrap()
    }

    #[test]
    fn a_folder_that_is_no_tree_says_what_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        std::fs::create_dir(&tree).unwrap();
        let refused = || {
            resolve(&tree, None, &cache(folder.path()), &Silent)
                .unwrap_err()
                .to_string()
        };
        assert!(refused().contains("no .config"), "{}", refused());
        std::fs::write(tree.join(".config"), "CONFIG_XFS_FS=y\n").unwrap();
        assert!(refused().contains("run `make`"), "{}", refused());
    }

    #[test]
    fn a_commit_is_that_of_the_repository_that_tracks_the_tree() {
        let folder = tempfile::tempdir().unwrap();
        let git = |arguments: &[&str]| {
            let run = child::run(
                child::command("git")
                    .arg("-C")
                    .arg(folder.path())
                    .args(["-c", "user.name=t", "-c", "user.email=t@example.org"])
                    .args(arguments),
            )
            .unwrap();
            assert!(run.status.success());
            String::from_utf8(run.stdout).unwrap().trim().to_owned()
        };
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        assert_eq!(commit(folder.path()).unwrap(), None);
        git(&["init", "-q"]);
        write("Makefile", "all:\n");
        git(&["add", "Makefile"]);
        git(&["commit", "-q", "-m", "first"]);
        let head = git(&["rev-parse", "HEAD"]);
        assert_eq!(commit(folder.path()).unwrap(), Some(head.clone()));
        let inside = folder.path().join("unpacked");
        std::fs::create_dir(&inside).unwrap();
        write("unpacked/Makefile", "all:\n");
        assert_eq!(commit(&inside).unwrap(), None);
        write("Makefile", "none:\n");
        assert_eq!(commit(folder.path()).unwrap(), Some(format!("{head}-dirty")));
    }

    #[test]
    fn a_tree_with_a_bzimage() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        std::fs::create_dir_all(tree.join("arch/x86/boot")).unwrap();
        std::fs::create_dir_all(tree.join("include/config")).unwrap();
        std::fs::create_dir_all(tree.join("kernel/sched")).unwrap();
        std::fs::write(tree.join(".config"), "CONFIG_MEMORY_FAILURE=y\n").unwrap();
        std::fs::write(tree.join("include/config/kernel.release"), "6.12.0-rc1+\n").unwrap();
        let image = super::super::bzimage::tests::synthetic(b"BZh payload", "6.12.0-rc1+ (me@here) #1 SMP");
        std::fs::write(tree.join("arch/x86/boot/bzImage"), image).unwrap();
        let kernel = resolve(&tree, None, &cache(folder.path()), &Silent).unwrap();
        assert_eq!(
            (kernel.release.as_str(), kernel.version.as_str()),
            ("6.12.0-rc1+", "6.12.0-rc1")
        );
        assert!(kernel.why_not_vmlinux.is_some_and(|why| why.contains("bzip2")));
        let command = kernel.rebuild.clone().unwrap();
        assert!(
            command.ends_with(&format!("kernel build --tree {}", tree.display())),
            "{command}"
        );
        let source = folder.path().join("the-source");
        std::fs::create_dir(&source).unwrap();
        std::os::unix::fs::symlink(&source, tree.join("source")).unwrap();
        let command = build_command(&tree);
        let source = std::fs::canonicalize(&source).unwrap();
        let expected = format!("--tree {} --out {}", source.display(), tree.display());
        assert!(command.ends_with(&expected), "{command}");
        std::fs::remove_file(tree.join("source")).unwrap();
        assert!(kernel.missing.iter().any(|one| one.option == "CONFIG_XFS_FS"));
        assert!(
            !kernel
                .missing
                .iter()
                .any(|one| one.option == "CONFIG_MEMORY_FAILURE")
        );
        std::fs::write(tree.join("include/config/kernel.release"), "6.12.0-rc2\n").unwrap();
        let text = resolve(&tree, None, &cache(folder.path()), &Silent)
            .unwrap_err()
            .to_string();
        assert!(text.contains("6.12.0-rc2") && text.contains("make"), "{text}");
    }
}
