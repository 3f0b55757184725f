// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a kernel is built with: the host's compiler and make, and small things that are fetched where the host lacks them.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::cache::Cache;
use crate::child;
use crate::error::{Error, IoContext};
use crate::packages::{self, Archive, Installed, Purpose, Suite, Wanted};
use crate::progress::Progress;

/// Changes whenever what an entry holds does.
const LAYOUT: &str = "build tools entry 1";

/// Where Debian's compiler looks for libraries.
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// Something that building a kernel needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tool {
    /// What it is called: `flex`, `libelf.h`.
    pub name: &'static str,
    /// Debian's package that has it.
    pub package: &'static str,
    /// What it is needed for, to be read after "for".
    pub what_for: &'static str,
    /// Whether it is fetched, and kept in the cache, where the host lacks it.
    pub fetched: bool,
    header: bool,
}

const fn program(name: &'static str, package: &'static str, what_for: &'static str, fetched: bool) -> Tool {
    Tool {
        name,
        package,
        what_for,
        fetched,
        header: false,
    }
}

/// The kernel's Documentation/process/changes.rst, as far as our configurations need it.
const TOOLS: [Tool; 8] = [
    program("make", "make", "building", false),
    program("gcc", "gcc", "compiling", false),
    program("ld", "binutils", "linking", false),
    program("perl", "perl", "scripts of the build", false),
    program("flex", "flex", "Kconfig's language", true),
    program("bison", "bison", "Kconfig's language", true),
    program("bc", "bc", "the constants of time.h", true),
    Tool {
        name: "libelf.h",
        package: "libelf-dev",
        what_for: "objtool",
        fetched: true,
        header: true,
    },
];

/// Each tool, and whether this host has it.
pub fn survey_tools() -> Vec<(Tool, bool)> {
    TOOLS.into_iter().map(|tool| (tool, tool.is_here())).collect()
}

impl Tool {
    fn is_here(&self) -> bool {
        if self.header {
            compiles(&format!("#include <{}>\n", self.name))
        } else {
            which::which(self.name).is_ok()
        }
    }
}

/// Whether the host's compiler takes a text that only includes something.
fn compiles(text: &str) -> bool {
    let started = child::command("gcc")
        .args(["-E", "-x", "c", "-o", "/dev/null", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut compiler) = started else { return false };
    let written = compiler
        .stdin
        .take()
        .is_some_and(|mut pipe| pipe.write_all(text.as_bytes()).is_ok());
    compiler.wait().is_ok_and(|status| status.success() && written)
}

/// The tools, ready for use.
#[derive(Debug)]
pub(super) struct Tools {
    /// Where the fetched ones are; none if the host has all.
    fetched: Option<PathBuf>,
}

impl Tools {
    /// Looks at the host, and fetches what it lacks and can be fetched.
    ///
    /// Fails with [`Error::BuildTools`], naming all that is missing, if something is that cannot be fetched.
    pub(super) fn obtain(cache: &Cache, progress: &dyn Progress) -> Result<Self, Error> {
        let missing: Vec<Tool> = TOOLS.into_iter().filter(|tool| !tool.is_here()).collect();
        let (fetchable, lost): (Vec<Tool>, Vec<Tool>) = missing.into_iter().partition(|tool| tool.fetched);
        if !lost.is_empty() {
            return Err(Error::BuildTools {
                missing: named(&lost),
                install: packages_of(&lost),
            });
        }
        if fetchable.is_empty() {
            return Ok(Self { fetched: None });
        }
        fetch(&fetchable, cache, progress).map(|folder| Self {
            fetched: Some(folder),
        })
    }

    /// Those of the host, unseen.
    #[cfg(test)]
    pub(super) fn of_host() -> Self {
        Self { fetched: None }
    }

    /// Lets a command find them, and what it builds for the host use them.
    pub(super) fn equip(&self, command: &mut Command) {
        let Some(folder) = &self.fetched else { return };
        let inside = |part: &str| folder.join(part);
        command
            .env("PATH", in_front(&inside("usr/bin"), "PATH"))
            .env("LD_LIBRARY_PATH", in_front(&inside(LIBRARIES), "LD_LIBRARY_PATH"));
        if inside("usr/bin/m4").is_file() {
            command.env("M4", inside("usr/bin/m4"));
        }
        if inside("usr/share/bison").is_dir() {
            command.env("BISON_PKGDATADIR", inside("usr/share/bison"));
        }
        let assign = |name: &str, flag: &str, part: &str| {
            let mut text = OsString::from(format!("{name}={flag}"));
            text.push(inside(part));
            text
        };
        if inside("usr/include").is_dir() {
            command.args([
                assign("HOSTCFLAGS", "-I", "usr/include"),
                assign("HOSTLDFLAGS", "-L", LIBRARIES),
            ]);
        }
    }
}

fn in_front(folder: &Path, variable: &str) -> OsString {
    let mut text = folder.as_os_str().to_owned();
    if let Some(rest) = std::env::var_os(variable).filter(|rest| !rest.is_empty()) {
        text.push(OsStr::new(":"));
        text.push(rest);
    }
    text
}

fn named(tools: &[Tool]) -> String {
    let names: Vec<String> = tools
        .iter()
        .map(|tool| format!("{} (for {})", tool.name, tool.what_for))
        .collect();
    names.join(", ")
}

fn packages_of(tools: &[Tool]) -> String {
    tools
        .iter()
        .map(|tool| tool.package)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Packages with what is lacking, unpacked in the cache.
fn fetch(lacking: &[Tool], cache: &Cache, progress: &dyn Progress) -> Result<PathBuf, Error> {
    let install = format!("install it: apt-get install {}", packages_of(lacking));
    let codename = packages::host_codename()
        .ok_or_else(|| Error::NoMirror(format!(" (this is no Debian release); or {install}")))?;
    let suites = [
        Suite {
            archive: Archive::Debian,
            suite: codename.clone(),
        },
        Suite {
            archive: Archive::DebianSecurity,
            suite: format!("{codename}-security"),
        },
    ];
    let request: Vec<&str> = lacking.iter().map(|tool| tool.package).collect();
    let wanted = Wanted {
        pin: format!("build-tools-{codename}-{}", request.join("-")),
        purpose: Purpose {
            what: named(lacking),
            instead: install,
        },
        suites: &suites,
        resolve: &|repository| repository.plan(&request, Installed::AsOnHost, None),
    };
    let (folder, _) = packages::entry_from(
        &wanted,
        "build-tools",
        LAYOUT,
        cache,
        progress,
        |files, folder| {
            packages::unpack_all(files.iter().map(PathBuf::as_path), folder, |path| {
                !path.starts_with("usr/share") || path.starts_with("usr/share/bison")
            })?;
            mend_links(&folder.join(LIBRARIES))
        },
    )?;
    Ok(folder)
}

/// A -dev package links `libelf.so` to a library that the host has already, and that was therefore not unpacked.
fn mend_links(libraries: &Path) -> Result<(), Error> {
    let Ok(entries) = fs::read_dir(libraries) else {
        return Ok(());
    };
    for entry in entries {
        let path = entry.during("read", libraries)?.path();
        if path.exists() {
            continue;
        }
        let target = fs::read_link(&path).during("read", &path)?;
        let host = Path::new("/")
            .join(LIBRARIES)
            .join(target.file_name().unwrap_or_default());
        fs::remove_file(&path).during("remove", &path)?;
        std::os::unix::fs::symlink(&host, &path).during("link", &path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_looked_for_by_the_compiler() {
        assert!(compiles("#include <stdio.h>\n"));
        assert!(!compiles("#include <no/such/header.h>\n"));
    }

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        assert_eq!(
            named(&TOOLS[4..6]),
            "flex (for Kconfig's language), bison (for Kconfig's language)"
        );
        assert_eq!(packages_of(&TOOLS[4..8]), "flex bison bc libelf-dev");
    }

    #[test]
    fn fetched_tools_come_first() {
        let folder = tempfile::tempdir().unwrap();
        for part in ["usr/bin", "usr/include"] {
            fs::create_dir_all(folder.path().join(part)).unwrap();
        }
        let tools = Tools {
            fetched: Some(folder.path().to_owned()),
        };
        let mut command = Command::new("make");
        tools.equip(&mut command);
        let path = command
            .get_envs()
            .find(|(name, _)| *name == "PATH")
            .and_then(|(_, value)| value)
            .unwrap();
        assert!(
            path.to_string_lossy()
                .starts_with(&*folder.path().join("usr/bin:").to_string_lossy())
        );
        let arguments: Vec<_> = command
            .get_args()
            .map(|arg| arg.to_string_lossy().into_owned())
            .collect();
        assert!(arguments[0].starts_with("HOSTCFLAGS=-I/") && arguments[1].starts_with("HOSTLDFLAGS=-L/"));
    }

    #[test]
    fn a_link_to_what_the_host_has_is_mended() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("libelf.so");
        std::os::unix::fs::symlink("libc.so.6", &link).unwrap();
        mend_links(folder.path()).unwrap();
        assert_eq!(
            fs::read_link(&link).unwrap(),
            Path::new("/").join(LIBRARIES).join("libc.so.6")
        );
    }
}
