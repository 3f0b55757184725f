// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can go wrong between a kernel's name and a bootable image, said so that a person can act on it.

use std::path::{Path, PathBuf};

/// An error with its causes, in one line. A cause that its error has quoted already is not said twice.
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

/// Why a kernel, an image or a QEMU could not be had.
///
/// `Display` says what failed, on what, and what to do next; `source()` says why, where something underneath
/// reported it. [`Error::is_usage`] tells what the user typed wrong from what the machine lacks.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file operation failed for a reason other than a full disk.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// The operation, as a verb that reads before a path: `read`, `create`.
        doing: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// What the operating system answered.
        #[source]
        source: std::io::Error,
    },
    /// The disk (or the user's quota) is full.
    #[error(
        "no space left on the device that holds {}: free some, or name a roomier folder in TASTER_CACHE",
        path.display()
    )]
    NoSpace {
        /// What was being written.
        path: PathBuf,
    },
    /// There is no place for the cache.
    #[error("no folder for the cache: HOME is not set; set it, or name a folder in TASTER_CACHE")]
    NoCacheFolder,
    /// Neither a kernel's name nor a path.
    #[error("there is no kernel `{name}`, and no such file or folder{}; known kernels: {known}", hint(nearest.as_deref()))]
    UnknownKernel {
        /// What was asked for.
        name: String,
        /// The known name that is nearest to it, if one is near.
        nearest: Option<String>,
        /// All the known names.
        known: String,
    },
    /// A file that was given as a kernel is not one that can be booted here.
    #[error("{} is no kernel that can be booted here: {why}", path.display())]
    NotAKernel {
        /// The file.
        path: PathBuf,
        /// What it is instead, or what it lacks, and the way out.
        why: String,
    },
    /// A folder that was given as a kernel is not a kernel build tree.
    #[error("{} is no built kernel tree: {why}", path.display())]
    NotABuildTree {
        /// The folder.
        path: PathBuf,
        /// What is not there.
        why: String,
    },
    /// A folder that was given as a kernel's source is none, or cannot be built as asked.
    #[error("{} cannot be built as a kernel's source: {why}", path.display())]
    NotASourceTree {
        /// The folder.
        path: PathBuf,
        /// What is wrong and what to do.
        why: String,
    },
    /// A kernel's source is at fault: it does not configure, compile or link.
    #[error(
        "{} does not build: {headline}{}\nall of the output: {}",
        tree.display(), tail_of(complaint), log.display()
    )]
    DoesNotBuild {
        /// The source tree.
        tree: PathBuf,
        /// The first complaint in one line.
        headline: String,
        /// The first complaint with what was printed around it.
        complaint: String,
        /// Where all that the build printed is.
        log: PathBuf,
    },
    /// This machine lacks what kernels are built with, and it is nothing that is fetched.
    #[error("a kernel cannot be built here without {missing}: apt-get install {install}")]
    BuildTools {
        /// Each thing, with what it is for.
        missing: String,
        /// The packages that have them.
        install: String,
    },
    /// A folder of modules does not fit, or something in it does not.
    #[error("cannot use the modules in {}: {why}", path.display())]
    Modules {
        /// The folder or the module.
        path: PathBuf,
        /// What is wrong and what to do.
        why: String,
    },
    /// The kernel lacks what every case needs; building a guest for it would be in vain.
    #[error("the kernel {name} lacks what is needed:{}{}", list(missing), on_its_own_line(way_out.as_deref()))]
    KernelLacks {
        /// The kernel's name.
        name: String,
        /// Each thing that is missing, with what it is for.
        missing: Vec<crate::MissingOption>,
        /// What to do about it, if anything can be.
        way_out: Option<String>,
    },
    /// A program of the host could not be started.
    #[error("cannot start `{program}`{way_out}")]
    ChildStart {
        /// The program.
        program: String,
        /// What to do about it, beginning with its own punctuation; may be empty.
        way_out: String,
        /// What the operating system answered.
        #[source]
        source: std::io::Error,
    },
    /// A program of the host ran and failed.
    #[error("{doing} failed: `{command}` ended with {status}{}", tail_of(tail))]
    Child {
        /// What it was to do.
        doing: String,
        /// The command, shortened.
        command: String,
        /// How it ended.
        status: String,
        /// The last lines it wrote to its standard error.
        tail: String,
    },
    /// Something has to be fetched and cannot be.
    #[error(
        "cannot fetch {what}: it is not in the cache ({}), and the package archive did not give it; \
         try again with a network, name a cache that holds it in TASTER_CACHE, or {instead}{}",
        cache.display(), tail_of(tail)
    )]
    Fetch {
        /// What was wanted.
        what: String,
        /// The cache that was looked at.
        cache: PathBuf,
        /// What else the user can do, after "or".
        instead: String,
        /// What apt said.
        tail: String,
    },
    /// The host's apt knows no Debian mirror.
    #[error(
        "this host's apt is configured for no Debian mirror, and packages come from there: \
         add one to /etc/apt/sources.list (`deb MIRROR/debian bookworm main`){0}"
    )]
    NoMirror(
        /// More about it, beginning with its own punctuation; may be empty.
        String,
    ),
    /// The archive does not have (any more) what is wanted.
    #[error("the package archive has no {wanted} in {suites}: {why}")]
    NoPackage {
        /// The pattern or the package.
        wanted: String,
        /// Where it was looked for.
        suites: String,
        /// What was found instead, and the way out.
        why: String,
    },
    /// A package came out different from what the signed index says, or lacks what it should hold.
    #[error("the package {package} is not usable: {why}")]
    BadPackage {
        /// The package's file name.
        package: String,
        /// What is wrong with it.
        why: String,
    },
    /// A QEMU that was asked for, or fetched, cannot be used.
    #[error("cannot use {} as QEMU: {why}", path.display())]
    Qemu {
        /// The program.
        path: PathBuf,
        /// What is wrong and what to do.
        why: String,
    },
    /// An ELF file is damaged, or needs a library that is nowhere.
    #[error("{}: {why}", path.display())]
    Elf {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A value of our own that went wrong while being made: a key, a description, a record.
    #[error("cannot make {what}: {why}")]
    Make {
        /// What was to be made.
        what: &'static str,
        /// What was wrong.
        why: String,
    },
}

impl Error {
    /// An [`Error::Io`], or [`Error::NoSpace`] if that is what it was.
    pub(crate) fn io(doing: &'static str, path: impl AsRef<Path>, source: std::io::Error) -> Self {
        let path = path.as_ref().to_owned();
        match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => Self::NoSpace { path },
            _ => Self::Io { doing, path, source },
        }
    }

    /// Whether the user named something wrong (exit status 2), as opposed to a machine that lacks something (3).
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::UnknownKernel { .. }
                | Self::NotAKernel { .. }
                | Self::NotABuildTree { .. }
                | Self::NotASourceTree { .. }
                | Self::Modules { .. }
                | Self::NoCacheFolder
        )
    }
}

/// Puts `doing` and the path round an I/O result.
pub(crate) trait IoContext<T> {
    fn during(self, doing: &'static str, path: impl AsRef<Path>) -> Result<T, Error>;
}

impl<T> IoContext<T> for std::io::Result<T> {
    fn during(self, doing: &'static str, path: impl AsRef<Path>) -> Result<T, Error> {
        self.map_err(|source| Error::io(doing, path, source))
    }
}

fn hint(nearest: Option<&str>) -> String {
    nearest
        .map(|name| format!(" (did you mean `{name}`?)"))
        .unwrap_or_default()
}

fn on_its_own_line(text: Option<&str>) -> String {
    text.map(|text| format!("\n{text}")).unwrap_or_default()
}

fn list(missing: &[crate::MissingOption]) -> String {
    missing
        .iter()
        .map(|one| format!("\n  {one}"))
        .collect::<Vec<_>>()
        .concat()
}

fn tail_of(tail: &str) -> String {
    if tail.trim().is_empty() {
        return String::new();
    }
    let indented: Vec<String> = tail
        .trim_end()
        .lines()
        .map(|line| format!("  | {line}"))
        .collect();
    format!("\n{}", indented.join("\n"))
}
