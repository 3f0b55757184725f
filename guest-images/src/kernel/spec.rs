// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the user typed for a kernel.

use std::path::{Path, PathBuf};

use super::catalogue::Catalogue;
use crate::error::{Error, IoContext};

/// Which kernel is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KernelSpec {
    /// One of [`known_kernels`](super::known_kernels).
    Named(String),
    /// A bzImage or vmlinux, and where its modules are, if it needs any.
    Path {
        /// The file, absolute.
        kernel: PathBuf,
        /// The folder of modules, absolute.
        modules: Option<PathBuf>,
    },
    /// A kernel build tree.
    Tree {
        /// The folder, absolute.
        tree: PathBuf,
        /// Modules to use instead of the tree's own, absolute.
        modules: Option<PathBuf>,
    },
}

impl KernelSpec {
    /// Reads what was typed: a known name, a file, or a folder.
    ///
    /// A known name wins over a file of that name; write `./debian-6.12` for the file. Fails with the nearest known
    /// name if it is nothing of these, and if `modules` is no folder or came with a named kernel.
    pub fn parse(text: &str, modules: Option<&Path>) -> Result<Self, Error> {
        let catalogue = Catalogue::built_in()?;
        if catalogue.find(text).is_some() {
            return match modules {
                None => Ok(Self::Named(text.to_owned())),
                Some(path) => Err(Error::Modules {
                    path: path.to_owned(),
                    why: format!(
                        "{text} brings its own modules; leave --modules out, or give the kernel as a path"
                    ),
                }),
            };
        }
        let path = Path::new(text);
        if text.is_empty() || !path.exists() {
            return Err(catalogue.unknown(text));
        }
        let modules = modules.map(folder_of_modules).transpose()?;
        let path = std::path::absolute(path).during("resolve", path)?;
        Ok(if path.is_dir() {
            Self::Tree { tree: path, modules }
        } else {
            Self::Path {
                kernel: path,
                modules,
            }
        })
    }

    /// The kernel that is taken when none is asked for.
    pub fn default_kernel() -> Result<Self, Error> {
        let known = super::known_kernels()?.into_iter().find(|one| one.default);
        known.map(|one| Self::Named(one.name)).ok_or(Error::Make {
            what: "the list of kernels (kernels.yaml)",
            why: "it has no default".to_owned(),
        })
    }
}

impl std::fmt::Display for KernelSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::Path { kernel: path, .. } | Self::Tree { tree: path, .. } => {
                write!(f, "{}", path.display())
            }
        }
    }
}

fn folder_of_modules(path: &Path) -> Result<PathBuf, Error> {
    if !path.is_dir() {
        let why = if path.exists() {
            "it is no folder"
        } else {
            "there is no such folder"
        };
        return Err(Error::Modules {
            path: path.to_owned(),
            why: why.to_owned(),
        });
    }
    std::path::absolute(path).during("resolve", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_files_and_folders() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("bzImage");
        std::fs::write(&file, "").unwrap();
        let parse = |path: &Path| KernelSpec::parse(path.to_str().unwrap(), None).unwrap();
        assert_eq!(
            KernelSpec::parse("debian-6.12", None).unwrap(),
            KernelSpec::Named("debian-6.12".into())
        );
        assert_eq!(
            parse(&file),
            KernelSpec::Path {
                kernel: file.clone(),
                modules: None
            }
        );
        assert_eq!(
            parse(folder.path()),
            KernelSpec::Tree {
                tree: folder.path().into(),
                modules: None
            }
        );
        assert_eq!(KernelSpec::default_kernel().unwrap().to_string(), "debian-6.12");
    }

    #[test]
    fn nothing_of_these() {
        let text = KernelSpec::parse("debian-6.21", None).unwrap_err().to_string();
        assert!(
            text.contains("`debian-6.21`") && text.contains("did you mean"),
            "{text}"
        );
        assert!(KernelSpec::parse("", None).unwrap_err().is_usage());
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().to_str().unwrap();
        let text = KernelSpec::parse(here, Some(&folder.path().join("none")))
            .unwrap_err()
            .to_string();
        assert!(text.contains("no such folder"), "{text}");
        let text = KernelSpec::parse("debian-6.1", Some(folder.path()))
            .unwrap_err()
            .to_string();
        assert!(text.contains("brings its own modules"), "{text}");
    }
}
