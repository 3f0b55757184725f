// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which mirror to fetch from: the one that the host's own apt is configured for.

use serde::Deserialize;

use super::deb822::{Paragraph, paragraphs};
use crate::child;
use crate::error::Error;

/// One of the two archives that Debian publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Archive {
    /// The main archive: releases, backports, sid.
    Debian,
    /// Security updates of releases.
    DebianSecurity,
}

/// A suite of an archive: `bookworm-backports` of `debian`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Suite {
    pub(crate) archive: Archive,
    pub(crate) suite: String,
}

/// Where the host gets Debian's packages from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mirrors {
    debian: String,
    security: Option<String>,
}

/// What the host's apt says of one of its sources.
#[derive(Debug)]
struct Source {
    uri: String,
    release: String,
    origin: Option<String>,
}

impl Mirrors {
    /// Asks the host's apt.
    pub(crate) fn of_host() -> Result<Self, Error> {
        let ask = |release_info: &[&str]| {
            child::run_ok(
                child::command("apt-get")
                    .env("LC_ALL", "C")
                    .arg("indextargets")
                    .args(release_info)
                    .arg("Created-By: Packages"),
                "asking the host's apt for its mirrors",
            )
        };
        // The first answer names the origins, but leaves out what the host never fetched an index of; the second
        // has all that is configured, without origins.
        let mut sources = parse(&ask(&[])?);
        sources.extend(parse(&ask(&["--no-release-info"])?));
        let codename = super::host_codename();
        Self::choose(&sources, codename.as_deref())
    }

    fn choose(sources: &[Source], codename: Option<&str>) -> Result<Self, Error> {
        let best = |wanted: &dyn Fn(&Source) -> bool, folder: &str| {
            sources
                .iter()
                .filter(|source| !source.uri.starts_with("cdrom:") && wanted(source))
                .min_by_key(|source| source.doubt(folder))
                .map(|source| source.uri.clone())
        };
        let is_security =
            |source: &Source| source.release.ends_with("-security") || source.release.ends_with("/updates");
        let debian = best(
            &|source| !is_security(source) && source.is_debian_suite(codename),
            "debian",
        );
        let security = best(&|source| is_security(source), "debian-security");
        match debian {
            Some(debian) => Ok(Self { debian, security }),
            None => Err(Error::NoMirror(String::new())),
        }
    }

    /// The lines of a sources.list for these suites; those of an archive that the host does not have are left out.
    ///
    /// `keyring` restricts which keys may sign; without it apt's own trust applies.
    pub(super) fn list(&self, suites: &[Suite], keyring: Option<&str>) -> Result<String, Error> {
        let signed_by = keyring
            .map(|path| format!(" signed-by={path}"))
            .unwrap_or_default();
        let line = |suite: &Suite| {
            let uri = match suite.archive {
                Archive::Debian => Some(&self.debian),
                Archive::DebianSecurity => self.security.as_ref(),
            };
            uri.map(|uri| format!("deb [arch=amd64{signed_by}] {uri} {} main\n", suite.suite))
        };
        let text: String = suites.iter().filter_map(line).collect();
        if text.is_empty() {
            return Err(Error::NoMirror(" and one of its security archive".to_owned()));
        }
        Ok(text)
    }
}

impl Source {
    /// How unlikely it is to be Debian's own archive: others call their suites `bookworm` too.
    fn doubt(&self, folder: &str) -> u8 {
        match self.origin.as_deref() {
            Some("Debian") => 0,
            Some(_) => 3,
            None if self.uri.trim_end_matches('/').ends_with(&format!("/{folder}")) => 1,
            None => 2,
        }
    }

    fn is_debian_suite(&self, codename: Option<&str>) -> bool {
        let base = self.release.split('-').next().unwrap_or_default();
        let known = [
            "bullseye",
            "bookworm",
            "trixie",
            "forky",
            "sid",
            "oldstable",
            "stable",
            "testing",
            "unstable",
        ];
        self.origin.as_deref().is_none_or(|origin| origin == "Debian")
            && (known.contains(&base) || Some(base) == codename)
    }
}

fn parse(text: &[u8]) -> Vec<Source> {
    let mut sources = Vec::new();
    let each = |one: Paragraph| {
        // `main` is what every package that is wanted here belongs to; third parties often call theirs otherwise.
        if one.get("Component") != Some("main") || one.get("Architecture") == Some("all") {
            return;
        }
        if let (Some(uri), Some(release)) = (one.get("Repo-URI"), one.get("Release")) {
            let origin = one.get("Origin").map(str::to_owned);
            sources.push(Source {
                uri: uri.to_owned(),
                release: release.to_owned(),
                origin,
            });
        }
    };
    // Reading from memory does not fail.
    drop(paragraphs(text, |_| true, each));
    sources
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stanza(uri: &str, release: &str, component: &str, origin: Option<&str>) -> String {
        let origin = origin
            .map(|origin| format!("Origin: {origin}\n"))
            .unwrap_or_default();
        format!(
            "MetaKey: {component}/binary-amd64/Packages\nShortDesc: Packages\n{origin}Architecture: amd64\n\
             Component: {component}\nCreated-By: Packages\nRelease: {release}\nRepo-URI: {uri}\n\n"
        )
    }

    fn choose(stanzas: &[String]) -> Result<Mirrors, Error> {
        Mirrors::choose(&parse(stanzas.concat().as_bytes()), Some("bookworm"))
    }

    fn suites() -> Vec<Suite> {
        vec![
            Suite {
                archive: Archive::DebianSecurity,
                suite: "bookworm-security".into(),
            },
            Suite {
                archive: Archive::Debian,
                suite: "bookworm-backports".into(),
            },
        ]
    }

    #[test]
    fn a_plain_host() {
        let mirrors = choose(&[
            stanza("http://mirror.example/debian/", "bookworm", "main", None),
            stanza("http://mirror.example/debian/", "bookworm-updates", "main", None),
            stanza(
                "http://mirror.example/debian-security/",
                "bookworm-security",
                "main",
                None,
            ),
        ])
        .unwrap();
        assert_eq!(
            mirrors.list(&suites(), Some("/keys.gpg")).unwrap(),
            "deb [arch=amd64 signed-by=/keys.gpg] http://mirror.example/debian-security/ bookworm-security main\n\
             deb [arch=amd64 signed-by=/keys.gpg] http://mirror.example/debian/ bookworm-backports main\n"
        );
    }

    #[test]
    fn third_parties_do_not_win() {
        let mirrors = choose(&[
            stanza("http://tool.example/apt/", "bookworm", "main", None),
            stanza(
                "http://tool.example/debian/",
                "bookworm",
                "main",
                Some("Tool Makers"),
            ),
            stanza("http://tool.example/x/", "nodistro", "main", None),
            stanza(
                "http://local.example/archive/",
                "bookworm",
                "main",
                Some("Debian"),
            ),
            stanza("http://other.example/debian/", "bookworm", "main", None),
        ])
        .unwrap();
        assert_eq!(mirrors.debian, "http://local.example/archive/");
        let without_origins = choose(&[
            stanza("http://tool.example/apt/", "bookworm", "main", None),
            stanza("http://other.example/debian", "bookworm", "main", None),
        ])
        .unwrap();
        assert_eq!(without_origins.debian, "http://other.example/debian");
    }

    #[test]
    fn no_security_mirror_falls_back_to_the_main_archive() {
        let mirrors = choose(&[stanza("http://m.example/debian", "bookworm", "main", None)]).unwrap();
        let list = mirrors.list(&suites(), None).unwrap();
        assert_eq!(
            list,
            "deb [arch=amd64] http://m.example/debian bookworm-backports main\n"
        );
        assert!(mirrors.list(&suites()[..1], None).is_err());
    }

    #[test]
    fn no_debian_mirror_says_what_to_do() {
        for stanzas in [
            vec![],
            vec![stanza("http://m.example/ubuntu", "jammy", "main", Some("Ubuntu"))],
        ] {
            let text = choose(&stanzas).unwrap_err().to_string();
            assert!(text.contains("sources.list"), "{text}");
        }
    }
}
