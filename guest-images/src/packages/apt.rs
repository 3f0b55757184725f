// SPDX-License-Identifier: MIT OR Apache-2.0
//! A private apt: own lists, cache, sources and configuration, the host's mirror, keys and proxies.
//!
//! The host's apt.conf.d may hold hooks (`APT::Update::Post-Invoke`, `DPkg::…`) that act on the host; a command-line
//! option cannot empty a list there, and the file named in `APT_CONFIG` is read *before* the parts. So that file
//! points `Dir::Etc::parts` at an empty folder, and brings the host's `Acquire::…` settings (proxies, TLS,
//! time-outs) along itself.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::deb822::{Paragraph, paragraphs};
use super::sources::{Mirrors, Suite};
use super::{Package, version};
use crate::cache::{Cache, write_atomically};
use crate::child;
use crate::error::{Error, IoContext};
use crate::progress::{Progress, piece_of_work};

/// Where Debian's packages put the archive keys; the first that is there is used.
const KEYRINGS: [&str; 2] = [
    "/usr/share/keyrings/debian-archive-keyring.gpg",
    "/usr/share/keyrings/debian-archive-keyring.pgp",
];

/// Uncompresses an index whatever apt stored it as; part of every apt.
const APT_HELPER: &str = "/usr/lib/apt/apt-helper";

/// An index of the biggest suite, as it is fetched and as it is kept, in bytes.
const SPACE_FOR_INDEX: u64 = 64 << 20;

/// Settings of the host that stay: how to reach the mirror. Everything else in `Acquire::` is about what to fetch
/// (set here) or would weaken verification (left at apt's strict defaults).
const KEPT_SETTINGS: [&str; 9] = [
    "Acquire::http",
    "Acquire::https",
    "Acquire::ftp",
    "Acquire::socks",
    "Acquire::Retries",
    "Acquire::ForceIPv",
    "Acquire::Queue-Mode",
    "Acquire::Check-",
    "Acquire::Max-ValidTime",
];

/// Which packages apt is to think are installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Installed {
    /// None: everything that is depended on is needed.
    Nothing,
    /// Those of this host: only what it lacks is needed.
    AsOnHost,
}

/// What something is fetched for, for people.
#[derive(Debug, Clone)]
pub(crate) struct Purpose {
    /// A thing: `the kernel debian-6.12`.
    pub(crate) what: String,
    /// What the user can do if it cannot be fetched, to be read after "or".
    pub(crate) instead: String,
}

/// Some suites of the archive, their indexes fresh.
///
/// Holds the lock on our apt folder: two runs do not refresh the same lists at once.
pub(crate) struct Repository<'a> {
    cache: &'a Cache,
    config: PathBuf,
    suites: String,
    purpose: Purpose,
    progress: &'a dyn Progress,
    _lock: File,
}

impl<'a> Repository<'a> {
    /// Writes the private configuration, fetches the indexes of `suites`, and checks their signatures.
    pub(crate) fn open(
        cache: &'a Cache,
        suites: &[Suite],
        purpose: Purpose,
        progress: &'a dyn Progress,
    ) -> Result<Self, Error> {
        let mirrors = Mirrors::of_host()?;
        let keyring = KEYRINGS.into_iter().find(|path| Path::new(path).exists());
        let list = mirrors.list(suites, keyring)?;
        let lock = cache.lock("apt", "the package archive", progress)?;
        let name = crate::hash::of_bytes(list.as_bytes())
            .chars()
            .take(16)
            .collect::<String>();
        let folder = cache.root().join("apt");
        for part in ["lists/partial", "cache/archives/partial", "empty", "sources"] {
            let path = folder.join(part);
            fs::create_dir_all(&path).during("create", &path)?;
        }
        let status = folder.join("empty-status");
        fs::write(&status, "").during("write", &status)?;
        let sources = folder.join("sources").join(format!("{name}.list"));
        write_atomically(&sources, list.as_bytes())?;
        let config = folder.join("sources").join(format!("{name}.conf"));
        let host_settings = child::run_ok(
            child::command("apt-config").env("LC_ALL", "C").arg("dump"),
            "asking the host's apt for its settings",
        )?;
        let text = configuration(&folder, &sources, &String::from_utf8_lossy(&host_settings));
        write_atomically(&config, text.as_bytes())?;
        let suites = suites
            .iter()
            .map(|suite| suite.suite.as_str())
            .collect::<Vec<_>>()
            .join(", ");
        let repository = Self {
            purpose,
            cache,
            config,
            suites,
            progress,
            _lock: lock,
        };
        repository.refresh()?;
        Ok(repository)
    }

    /// The suites, for people.
    pub(crate) fn suites(&self) -> &str {
        &self.suites
    }

    fn apt_get(&self) -> Command {
        let mut command = child::command("apt-get");
        command
            .current_dir(self.cache.root())
            .env("APT_CONFIG", &self.config)
            .env("LC_ALL", "C")
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    fn refresh(&self) -> Result<(), Error> {
        piece_of_work(
            self.progress,
            "package index",
            &format!(
                "fetch the package index of {}, for {}",
                self.suites, self.purpose.what
            ),
            || {
                let mut command = self.apt_get();
                // An index that cannot be fetched is a mere warning otherwise, and the old one would be used.
                command.args(["update", "-qq", "--error-on=any", "-o", "APT::Status-Fd=1"]);
                self.fetch(&mut command, "package index", SPACE_FOR_INDEX)
            },
        )
    }

    /// Runs a command that uses the network and needs `space` bytes, with progress.
    fn fetch(&self, command: &mut Command, work: &str, space: u64) -> Result<(), Error> {
        self.cache.require_space(space)?;
        let ended = child::run_lines(command, |line| {
            // dlstatus:<number>:<percent>:<text>, apt's README.progress-reporting; twice a second, also when stuck.
            let percent = line
                .strip_prefix("dlstatus:")
                .and_then(|rest| rest.split(':').nth(1));
            let whole = percent.and_then(|text| text.split('.').next()?.parse::<u64>().ok());
            if let Some(percent) = whole {
                self.progress.advanced(work, percent, Some(100), "%");
            }
            if self.cache.is_full() {
                Err(std::io::ErrorKind::StorageFull.into())
            } else {
                Ok(())
            }
        });
        let (status, tail) = match ended {
            Err(Error::NoSpace { .. }) => {
                return Err(Error::NoSpace {
                    path: self.cache.root().to_owned(),
                });
            }
            other => other?,
        };
        if status.success() {
            return Ok(());
        }
        match child::failed(command, "", status, tail) {
            // Said by apt when the mirror answers and has no such suite.
            Error::Child { tail, .. } if tail.contains("does not have a Release file") => {
                Err(Error::NoPackage {
                    wanted: self.purpose.what.clone(),
                    suites: self.suites.clone(),
                    why: format!("this host's mirror lacks a suite; {}", self.purpose.instead),
                })
            }
            Error::Child { tail, .. } => Err(Error::Fetch {
                what: self.purpose.what.clone(),
                cache: self.cache.root().to_owned(),
                instead: self.purpose.instead.clone(),
                tail,
            }),
            other => Err(other),
        }
    }

    /// All packages for amd64 whose name passes `wanted`.
    pub(crate) fn packages(&self, wanted: impl Fn(&str) -> bool) -> Result<Vec<Package>, Error> {
        let mut ask = self.apt_get();
        ask.args(["indextargets", "--format", "$(FILENAME)", "Created-By: Packages"]);
        let files = child::run_ok(&mut ask, "listing the package indexes")?;
        let mut found = Vec::new();
        for file in String::from_utf8_lossy(&files).lines() {
            let mut uncompress = child::command(APT_HELPER);
            uncompress.args(["cat-file", file]);
            let (status, tail) = child::stream(&mut uncompress, |pipe| {
                let of_interest = |line: &str| line.strip_prefix("Package: ").is_some_and(&wanted);
                paragraphs(BufReader::with_capacity(1 << 16, pipe), of_interest, |one| {
                    found.extend(package(&one));
                })
            })?;
            if !status.success() {
                return Err(child::failed(
                    &uncompress,
                    "reading a package index",
                    status,
                    tail,
                ));
            }
        }
        Ok(found)
    }

    /// The packages that have to be unpacked so that `request` works, given what is installed.
    ///
    /// `prefer` names a suite to take packages from if there is a choice.
    pub(crate) fn plan(
        &self,
        request: &[&str],
        installed: Installed,
        prefer: Option<&str>,
    ) -> Result<Vec<Package>, Error> {
        let mut command = self.apt_get();
        // What is requested shall be planned even if it is installed: it is wanted as files.
        command.args([
            "install",
            "--simulate",
            "--reinstall",
            "-qq",
            "--no-install-recommends",
        ]);
        if installed == Installed::Nothing {
            let status = self.cache.root().join("apt/empty-status");
            command
                .arg("-o")
                .arg(format!("Dir::State::status={}", status.display()));
        }
        command
            .args(prefer.iter().flat_map(|suite| ["-t", suite]))
            .arg("--")
            .args(request);
        let answer = child::run_ok(
            &mut command,
            &format!("planning the installation of {}", request.join(", ")),
        )?;
        let chosen = simulated(&String::from_utf8_lossy(&answer));
        let known = self.packages(|name| chosen.iter().any(|(chosen, _)| chosen == name))?;
        chosen
            .iter()
            .map(|(name, version)| {
                let same = |one: &&Package| one.name == *name && one.version == *version;
                known.iter().find(same).cloned().ok_or_else(|| Error::NoPackage {
                    wanted: format!("{name} {version}"),
                    suites: self.suites.clone(),
                    why: "apt chose it, but the index does not list it".to_owned(),
                })
            })
            .collect()
    }

    /// Fetches packages into a folder; apt checks them against the signed index.
    pub(crate) fn download(&self, packages: &[&Package], into: &Path) -> Result<(), Error> {
        let bytes: u64 = packages.iter().map(|one| one.size).sum();
        let what = format!(
            "fetch {}: {} packages, {} MB",
            self.purpose.what,
            packages.len(),
            bytes.div_ceil(1_000_000)
        );
        piece_of_work(self.progress, "download", &what, || {
            let mut command = self.apt_get();
            command
                .current_dir(into)
                .args(["download", "-qq", "-o", "APT::Status-Fd=1", "--"]);
            command.args(packages.iter().map(|one| format!("{}={}", one.name, one.version)));
            self.fetch(&mut command, "download", bytes)
        })
    }
}

/// The file that `APT_CONFIG` names.
fn configuration(folder: &Path, sources: &Path, host_settings: &str) -> String {
    let at = |part: &str| folder.join(part).display().to_string();
    let settings = [
        // Nothing of the host's configuration but what is copied below.
        ("Dir::Etc::main", "/dev/null".to_owned()),
        ("Dir::Etc::parts", at("empty")),
        ("Dir::Etc::preferences", "/dev/null".to_owned()),
        ("Dir::Etc::preferencesparts", at("empty")),
        ("Dir::Etc::sourcelist", sources.display().to_string()),
        ("Dir::Etc::sourceparts", at("empty")),
        ("Dir::State", at("state")),
        ("Dir::State::lists", at("lists")),
        ("Dir::State::status", "/var/lib/dpkg/status".to_owned()),
        ("Dir::Cache", at("cache")),
        ("Dir::Log", at("empty")),
        ("APT::Architecture", "amd64".to_owned()),
        ("APT::Architectures", "amd64".to_owned()),
        // Different sources share the lists folder.
        ("APT::Get::List-Cleanup", "false".to_owned()),
        // Locks are ours, and the sandbox user could not read our cache.
        ("Debug::NoLocking", "true".to_owned()),
        ("APT::Sandbox::User", String::new()),
        ("Acquire::Languages", "none".to_owned()),
        ("Acquire::GzipIndexes", "true".to_owned()),
        // Patching an old index takes longer than fetching the new one, and needs more that can fail.
        ("Acquire::PDiffs", "false".to_owned()),
    ];
    let lines = settings
        .iter()
        .map(|(key, value)| format!("{key} \"{value}\";\n"));
    let mut text = lines.collect::<Vec<_>>().concat();
    for line in host_settings.lines() {
        if KEPT_SETTINGS.iter().any(|kept| line.starts_with(kept)) {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

fn package(one: &Paragraph) -> Option<Package> {
    let field = |name| one.get(name).map(str::to_owned);
    Some(Package {
        name: field("Package")?,
        version: field("Version")?,
        sha256: field("SHA256")?,
        size: one.get("Size")?.parse().ok()?,
    })
}

/// The names and versions in what `apt-get --simulate install` prints: `Inst name [old] (version suite [arch])`.
fn simulated(text: &str) -> Vec<(String, String)> {
    let one = |line: &str| {
        let rest = line.strip_prefix("Inst ")?;
        let name = rest.split(' ').next()?;
        let version = rest.split_once('(')?.1.split(' ').next()?;
        Some((name.split(':').next()?.to_owned(), version.to_owned()))
    };
    text.lines().filter_map(one).collect()
}

/// The newest first.
pub(crate) fn newest_first(packages: &mut [Package]) {
    packages.sort_by(|left, right| version::compare(&right.version, &left.version));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_apt_would_install() {
        let text = "NOTE: This is only a simulation!\n\
            Inst libx1 [1.0-1] (1.0-2 Debian:12.14/oldstable [amd64])\n\
            Inst seabios (1.16.3-2~bpo12+1 Debian Backports:oldstable-backports [all])\n\
            Conf libx1 (1.0-2 Debian:12.14/oldstable [amd64])\n";
        let expected = [("libx1", "1.0-2"), ("seabios", "1.16.3-2~bpo12+1")];
        assert_eq!(
            simulated(text),
            expected.map(|(name, version)| (name.to_owned(), version.to_owned()))
        );
    }

    #[test]
    fn of_the_hosts_settings_only_the_way_to_the_mirror_is_kept() {
        let host = "Acquire::http::Proxy \"http://proxy.example:3128\";\n\
            Acquire::AllowInsecureRepositories \"1\";\n\
            Acquire::Languages:: \"de\";\n\
            APT::Update::Post-Invoke:: \"rm -rf /var/cache/apt\";\n\
            DPkg::Post-Invoke:: \"touch /tmp/x\";\n\
            Acquire::Retries \"3\";\n";
        let text = configuration(
            Path::new("/cache/apt"),
            Path::new("/cache/apt/sources/x.list"),
            host,
        );
        assert!(
            text.contains("Acquire::http::Proxy \"http://proxy.example:3128\";") && text.contains("Retries")
        );
        for unwanted in ["Invoke", "AllowInsecure", "\"de\""] {
            assert!(!text.contains(unwanted), "{unwanted} in\n{text}");
        }
        assert!(text.contains("Dir::Etc::parts \"/cache/apt/empty\";"));
    }

    #[test]
    fn newest_by_version_not_by_spelling() {
        let package = |version: &str| Package {
            name: "p".into(),
            version: version.into(),
            sha256: String::new(),
            size: 0,
        };
        let mut all = ["6.12.90-1", "6.12.117-1", "6.12.95-1"].map(package);
        newest_first(&mut all);
        assert_eq!(
            all.each_ref().map(|one| one.version.as_str()),
            ["6.12.117-1", "6.12.95-1", "6.12.90-1"]
        );
    }
}
