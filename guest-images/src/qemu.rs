// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which QEMU to use: the one that was chosen, the host's, or one that is fetched and unpacked privately.

use crate::error::with_causes;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::cache::{Cache, remove};
use crate::child;
use crate::error::{Error, IoContext};
use crate::packages::{self, Archive, Installed, Purpose, Suite, Wanted};
use crate::progress::Progress;

/// The oldest QEMU that everything was seen to work with.
pub const OLDEST: (u32, u32, u32) = (7, 2, 0);

pub(crate) const NAME: &str = "qemu-system-x86_64";

/// The packages with QEMU and its firmware. All are named, so that they come from one suite even where the host has
/// some of them installed; libraries are only fetched where the host lacks them.
const REQUEST: [&str; 4] = [
    "qemu-system-x86",
    "qemu-system-common",
    "qemu-system-data",
    "seabios",
];

/// The environment variable that chooses a QEMU, where no option does.
pub const VARIABLE: &str = "TASTER_QEMU";

/// Changes whenever what an entry holds does.
const LAYOUT: &str = "qemu entry 1";

/// A QEMU that runs here, and how to run it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qemu {
    /// The program, absolute.
    pub binary: PathBuf,
    /// Its version: major, minor, micro.
    pub version: (u32, u32, u32),
    /// The first line that it prints for `--version`.
    pub version_text: String,
    /// Arguments that have to come before all others: where its firmware is, and what it may not do.
    pub arguments: Vec<OsString>,
    /// Variables that have to be set: where its libraries are.
    pub environment: Vec<(OsString, OsString)>,
    /// One sentence: where it comes from.
    pub origin: String,
    /// Changes when the program does; for keys of what depends on it.
    pub digest: String,
}

impl Qemu {
    /// A command that runs it, with [`Qemu::arguments`] and [`Qemu::environment`], and dies with the calling thread.
    pub fn command(&self) -> Command {
        let mut command = child::command(&self.binary);
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Asks it for its version, which shows that it runs at all.
    pub(crate) fn verify(mut self) -> Result<Self, String> {
        let finished = child::run_within(self.command().arg("--version"), PATIENCE)
            .map_err(|error| with_causes(&error))?;
        let text = String::from_utf8_lossy(&finished.stdout).into_owned();
        if !finished.status.success() {
            return Err(format!(
                "`--version` ended with {}: {}",
                finished.status,
                finished.tail.trim()
            ));
        }
        text.lines()
            .next()
            .unwrap_or_default()
            .clone_into(&mut self.version_text);
        self.version = version(&self.version_text)
            .ok_or_else(|| format!("it does not say that it is QEMU, but `{}`", self.version_text))?;
        if self.version < OLDEST {
            let (major, minor, _) = self.version;
            return Err(format!(
                "it is QEMU {major}.{minor}, and {}.{} is the oldest that works",
                OLDEST.0, OLDEST.1
            ));
        }
        // The x86_64 system emulator knows this machine; other QEMU programs do not.
        let machines = child::run_within(self.command().args(["-machine", "help"]), PATIENCE)
            .map_err(|error| with_causes(&error))?;
        let known = String::from_utf8_lossy(&machines.stdout)
            .lines()
            .any(|line| line.starts_with("q35 "));
        if !known {
            return Err(format!("it is no {NAME}: it knows no machine q35"));
        }
        self.confine().map_err(|error| with_causes(&error))?;
        Ok(self)
    }

    /// Has it run in its own sandbox, if it was built with one: without seccomp, QEMU knows no option `-sandbox`.
    fn confine(&mut self) -> Result<(), Error> {
        let asked = child::run_within(self.command().args(SANDBOX).arg("--version"), PATIENCE)?;
        let text = String::from_utf8_lossy(&asked.stdout);
        if asked.status.success() && version(text.lines().next().unwrap_or_default()).is_some() {
            self.arguments.extend(SANDBOX.map(OsString::from));
        }
        Ok(())
    }
}

/// A guest needs no obsolete system call, no other user's rights, no child process and no other priority
/// (QEMU's `system/qemu-seccomp.c`).
const SANDBOX: [&str; 2] = [
    "-sandbox",
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
];

/// A QEMU answers such questions within a moment, unless it is none.
const PATIENCE: Duration = Duration::from_secs(20);

/// Finds a QEMU: `chosen` (from an option, or else from `$TASTER_QEMU`: see [`from_environment`]), the one on PATH if
/// it is new enough, or one that is fetched and unpacked into the cache.
///
/// Fails if `chosen` cannot be used (another one is never taken silently), or if nothing can be fetched.
pub fn locate(chosen: Option<&Path>, cache: &Cache, progress: &dyn Progress) -> Result<Qemu, Error> {
    if let Some(path) = chosen {
        return chosen_one(path, cache);
    }
    if let Ok(path) = which::which(NAME) {
        match on_host(&path, "the host's, found on PATH", cache)?.verify() {
            Ok(qemu) => return Ok(qemu),
            Err(why) => progress.note(&format!("not using {}: {why}", path.display())),
        }
    }
    fetched(cache, progress)
}

/// The QEMU that the environment chooses, if it does.
pub fn from_environment() -> Option<PathBuf> {
    std::env::var_os(VARIABLE)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

fn chosen_one(path: &Path, cache: &Cache) -> Result<Qemu, Error> {
    let way_out = format!(
        "name a {NAME} of at least {}.{}, or leave the choice out",
        OLDEST.0, OLDEST.1
    );
    let refused = |why: &str| Error::Qemu {
        path: path.to_owned(),
        why: format!("{why}; {way_out}"),
    };
    let found = which::which(path).map_err(|_| refused("it is not there, or not executable"))?;
    on_host(&found, "chosen by the user", cache)?
        .verify()
        .map_err(|why| refused(&why))
}

fn on_host(path: &Path, origin: &str, cache: &Cache) -> Result<Qemu, Error> {
    let binary = fs::canonicalize(path).during("resolve", path)?;
    Ok(Qemu {
        version: (0, 0, 0),
        version_text: String::new(),
        arguments: Vec::new(),
        environment: Vec::new(),
        origin: origin.to_owned(),
        digest: cache.remembered_hash(&binary)?,
        binary,
    })
}

/// `QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)`.
fn version(line: &str) -> Option<(u32, u32, u32)> {
    let text = line.strip_prefix("QEMU emulator version ")?;
    let text = text.split(|c: char| c != '.' && !c.is_ascii_digit()).next()?;
    let mut numbers = text.split('.').map(str::parse::<u32>);
    let mut next = || numbers.next()?.ok();
    Some((next()?, next()?, next().unwrap_or(0)))
}

/// A QEMU out of packages: the backports' of the host's release if there are any, else the release's own.
fn fetched(cache: &Cache, progress: &dyn Progress) -> Result<Qemu, Error> {
    let codename = packages::host_codename().ok_or_else(|| {
        Error::NoMirror(format!(
            " (this is no Debian release); or install {NAME}, or name one in {VARIABLE}"
        ))
    })?;
    let debian = |suite: String| Suite {
        archive: Archive::Debian,
        suite,
    };
    let plain = [
        debian(codename.clone()),
        debian(format!("{codename}-updates")),
        Suite {
            archive: Archive::DebianSecurity,
            suite: format!("{codename}-security"),
        },
    ];
    let backports = format!("{codename}-backports");
    let mut with_backports = plain.to_vec();
    with_backports.push(debian(backports.clone()));
    let choose = |repository: &packages::Repository<'_>, prefer| {
        repository.plan(&REQUEST, Installed::AsOnHost, prefer)
    };
    let newer = unpacked(cache, progress, &codename, &with_backports, &|repository| {
        choose(repository, Some(backports.as_str()))
    });
    let (folder, digest) = match newer {
        Ok(found) => found,
        // No backports for this release, or not of QEMU.
        Err(error @ (Error::NoPackage { .. } | Error::Child { .. })) => {
            progress.note(&format!("no QEMU from {backports} ({error}); trying {codename}"));
            unpacked(cache, progress, &codename, &plain, &|repository| {
                choose(repository, None)
            })?
        }
        Err(error) => return Err(error),
    };
    let inside = |part: &str| folder.join(part);
    let firmware = ["usr/share/qemu", "usr/share/seabios", "usr/lib/ipxe/qemu"].map(inside);
    let libraries = LIBRARY_FOLDERS.map(inside);
    let search: Vec<OsString> = libraries
        .iter()
        .filter(|path| path.is_dir())
        .map(OsString::from)
        .collect();
    let qemu = Qemu {
        binary: inside("usr/bin").join(NAME),
        version: (0, 0, 0),
        version_text: String::new(),
        arguments: firmware
            .iter()
            .filter(|path| path.is_dir())
            .flat_map(|path| ["-L".into(), path.into()])
            .collect(),
        environment: vec![
            ("LD_LIBRARY_PATH".into(), search.join(OsStr::new(":"))),
            (
                "QEMU_MODULE_DIR".into(),
                inside("usr/lib/x86_64-linux-gnu/qemu").into(),
            ),
        ],
        origin: format!("fetched from the package archive for {codename}, unpacked in the cache"),
        digest,
    };
    let binary = qemu.binary.clone();
    qemu.verify().map_err(|why| Error::Qemu {
        path: binary,
        why: format!("{why}; install {NAME} on this host, or name one in {VARIABLE}"),
    })
}

const LIBRARY_FOLDERS: [&str; 2] = ["usr/lib/x86_64-linux-gnu", "lib/x86_64-linux-gnu"];

fn unpacked(
    cache: &Cache,
    progress: &dyn Progress,
    codename: &str,
    suites: &[Suite],
    resolve: &dyn Fn(&packages::Repository<'_>) -> Result<Vec<packages::Package>, Error>,
) -> Result<(PathBuf, String), Error> {
    let wanted = Wanted {
        pin: format!("qemu-{codename}"),
        purpose: Purpose {
            what: "QEMU".to_owned(),
            instead: format!("install {NAME} on this host, or name one in {VARIABLE}"),
        },
        suites,
        resolve,
    };
    packages::entry_from(&wanted, "qemu", LAYOUT, cache, progress, |files, folder| {
        let needed = |path: &Path| {
            [
                "usr/bin/qemu-system-x86_64",
                "usr/share/qemu",
                "usr/share/seabios",
                "usr/lib",
                "lib",
            ]
            .iter()
            .any(|part| path.starts_with(part))
        };
        packages::unpack_all(files.iter().map(PathBuf::as_path), folder, needed)?;
        for other in UNNEEDED {
            remove(&folder.join(other))?;
        }
        Ok(())
    })
}

/// Firmware of other machines: a third of all that is unpacked.
const UNNEEDED: [&str; 7] = [
    "usr/share/qemu/hppa-firmware.img",
    "usr/share/qemu/hppa-firmware64.img",
    "usr/share/qemu/openbios-ppc",
    "usr/share/qemu/openbios-sparc32",
    "usr/share/qemu/openbios-sparc64",
    "usr/share/qemu/skiboot.lid",
    "usr/share/qemu/slof.bin",
];

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::progress::Silent;

    #[test]
    fn versions() {
        assert_eq!(
            version("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)"),
            Some((7, 2, 22))
        );
        assert_eq!(version("QEMU emulator version 10.0.2"), Some((10, 0, 2)));
        assert_eq!(version("QEMU emulator version 11.1"), Some((11, 1, 0)));
        assert_eq!(version("bash 5.2"), None);
    }

    /// What comes of choosing a program that prints `version` and knows `machine`.
    fn choose(version: &str, machine: &str) -> Result<Qemu, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fake-qemu");
        let script = format!(
            "#!/bin/sh\ncase $1 in --version) echo '{version}';; *) echo '{machine} a machine';; esac\n"
        );
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        let cache = Cache::open(Some(folder.path().join("cache"))).unwrap();
        locate(Some(&path), &cache, &Silent)
    }

    #[test]
    fn a_chosen_one_is_taken_if_it_will_do() {
        let qemu = choose("QEMU emulator version 8.2.1", "q35").unwrap();
        assert_eq!(qemu.version, (8, 2, 1));
        assert!(qemu.origin.contains("chosen"));
    }

    #[test]
    fn a_chosen_one_that_will_not_do_is_an_error_with_the_way_out() {
        for (version, machine, expected) in [
            (
                "QEMU emulator version 6.2.0",
                "q35",
                "QEMU 6.2, and 7.2 is the oldest",
            ),
            ("busybox", "q35", "does not say that it is QEMU"),
            ("QEMU emulator version 8.2.1", "virt", "no machine q35"),
        ] {
            let text = choose(version, machine).unwrap_err().to_string();
            assert!(
                text.contains(expected)
                    && text.contains("fake-qemu")
                    && text.contains("leave the choice out"),
                "{text}"
            );
        }
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(folder.path().to_owned())).unwrap();
        let text = locate(Some(Path::new("/nowhere/qemu")), &cache, &Silent)
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("/nowhere/qemu") && text.contains("not there"),
            "{text}"
        );
    }
}
