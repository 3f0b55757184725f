// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernels that have names, as described in `kernels.yaml`.

use serde::Deserialize;

use crate::error::Error;
use crate::packages::{Package, Suite, newest_first};
use crate::plain_data::parse_plain_data;

const TEXT: &str = include_str!("../../kernels.yaml");

/// A kernel that can be asked for by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownKernel {
    /// What to type: `debian-6.12`.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// Whether it is taken when none is asked for.
    pub default: bool,
}

/// The kernels that can be asked for by name, in the order of `kernels.yaml`.
///
/// Fails only if that file, which is built in, is not what it should be.
pub fn known_kernels() -> Result<Vec<KnownKernel>, Error> {
    let catalogue = Catalogue::built_in()?;
    let known = |one: Recipe| KnownKernel {
        default: one.name == catalogue.default,
        name: one.name,
        description: one.description,
    };
    Ok(catalogue.kernels.into_iter().map(known).collect())
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Catalogue {
    default: String,
    kernels: Vec<Recipe>,
}

/// How to find a named kernel in the archive.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Recipe {
    pub(super) name: String,
    pub(super) description: String,
    pub(super) suites: Vec<Suite>,
    release: Pattern,
    packages: Vec<String>,
    /// The package with its source, where the archive has one.
    #[serde(default)]
    pub(super) source: Option<String>,
}

/// A release with one `*` in it.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
struct Pattern {
    before: String,
    after: String,
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.split('*').collect::<Vec<_>>()[..] {
            [before, after] => Ok(Self {
                before: before.to_owned(),
                after: after.to_owned(),
            }),
            _ => Err(format!("the release `{text}` must hold exactly one `*`")),
        }
    }
}

impl Pattern {
    fn matches(&self, release: &str) -> bool {
        let middle = release
            .strip_prefix(&self.before)
            .and_then(|rest| rest.strip_suffix(&self.after));
        middle.is_some_and(|middle| !middle.is_empty() && !middle.contains('-'))
    }
}

impl Catalogue {
    pub(super) fn built_in() -> Result<Self, Error> {
        Self::parse(TEXT)
    }

    fn parse(text: &str) -> Result<Self, Error> {
        let bad = |why: String| Error::Make {
            what: "the list of kernels (kernels.yaml)",
            why,
        };
        let catalogue: Self = parse_plain_data(text).map_err(|error| bad(error.to_string()))?;
        if !catalogue.kernels.iter().any(|one| one.name == catalogue.default) {
            return Err(bad(format!(
                "the default `{}` is not in the list",
                catalogue.default
            )));
        }
        for one in &catalogue.kernels {
            if one.packages.is_empty() || one.packages.iter().any(|name| !name.contains("{release}")) {
                return Err(bad(format!(
                    "{}: each of its packages must contain {{release}}",
                    one.name
                )));
            }
        }
        Ok(catalogue)
    }

    pub(super) fn find(&self, name: &str) -> Option<&Recipe> {
        self.kernels.iter().find(|one| one.name == name)
    }

    /// The kernels whose source the archive has, with the package that has it.
    pub(super) fn sources(&self) -> impl Iterator<Item = (&str, &str)> {
        self.kernels
            .iter()
            .filter_map(|one| Some((one.name.as_str(), one.source.as_deref()?)))
    }

    /// The error for a name that is not in the list.
    pub(super) fn unknown(&self, name: &str) -> Error {
        let names = || self.kernels.iter().map(|one| one.name.as_str());
        // Names differ in few letters; beyond a third of them it is no slip of the finger.
        let nearest = names()
            .map(|known| (strsim::osa_distance(name, known), known))
            .min()
            .filter(|(distance, known)| *distance <= known.len().div_ceil(3))
            .map(|(_, known)| known.to_owned());
        Error::UnknownKernel {
            name: name.to_owned(),
            nearest,
            known: names().collect::<Vec<_>>().join(", "),
        }
    }
}

impl Recipe {
    /// Whether a package is one of this kernel's, at some release.
    pub(super) fn concerns(&self, package: &str) -> bool {
        self.packages
            .iter()
            .any(|pattern| self.release_of(pattern, package).is_some())
    }

    fn release_of<'a>(&self, pattern: &str, package: &'a str) -> Option<&'a str> {
        let (before, after) = pattern.split_once("{release}")?;
        let release = package.strip_prefix(before)?.strip_suffix(after)?;
        self.release.matches(release).then_some(release)
    }

    /// The packages of the newest release of which all are there, at one version.
    pub(super) fn choose(&self, mut found: Vec<Package>, suites: &str) -> Result<Vec<Package>, Error> {
        newest_first(&mut found);
        let mut incomplete = Vec::new();
        let Some((first, others)) = self.packages.split_first() else {
            return Err(self.none(suites, &[]));
        };
        for image in &found {
            let Some(release) = self.release_of(first, &image.name) else {
                continue;
            };
            let companion = |pattern: &String| {
                let name = pattern.replace("{release}", release);
                found
                    .iter()
                    .find(|one| one.name == name && one.version == image.version)
                    .cloned()
                    .ok_or(name)
            };
            match others.iter().map(companion).collect::<Result<Vec<_>, _>>() {
                Ok(companions) => {
                    let mut all = vec![image.clone()];
                    all.extend(companions);
                    return Ok(all);
                }
                Err(absent) => incomplete.push(format!("{} without {absent}", image.name)),
            }
        }
        Err(self.none(suites, &incomplete))
    }

    fn none(&self, suites: &str, incomplete: &[String]) -> Error {
        let found = match incomplete {
            [] => "nothing like it is in the index".to_owned(),
            some => format!("it has only parts ({})", some.join("; ")),
        };
        Error::NoPackage {
            wanted: format!(
                "complete kernel for {} (release {}*{})",
                self.name, self.release.before, self.release.after
            ),
            suites: suites.to_owned(),
            why: format!("{found}; ask for another kernel, or give one as a path"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str) -> Package {
        Package {
            name: name.into(),
            version: version.into(),
            sha256: name.into(),
            size: 1,
        }
    }

    fn choose(kernel: &str, index: &[(&str, &str)]) -> Result<Vec<String>, Error> {
        let catalogue = Catalogue::built_in().unwrap();
        let recipe = catalogue.find(kernel).unwrap();
        let found = index.iter().map(|(name, version)| package(name, version));
        let found = found.filter(|one| recipe.concerns(&one.name)).collect();
        Ok(recipe
            .choose(found, "the suites")?
            .into_iter()
            .map(|one| one.name)
            .collect())
    }

    #[test]
    fn the_built_in_list_is_sound() {
        let known = known_kernels().unwrap();
        let names: Vec<_> = known.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(names, ["debian-6.1", "debian-6.12", "debian-6.18", "debian-7.2"]);
        let default: Vec<_> = known
            .iter()
            .filter(|one| one.default)
            .map(|one| one.name.as_str())
            .collect();
        assert_eq!(default, ["debian-6.12"]);
    }

    #[test]
    fn the_newest_and_no_other_flavour() {
        let index = [
            ("linux-image-6.1.0-9-amd64", "6.1.27-1"),
            ("linux-image-6.1.0-56-amd64", "6.1.192-2"),
            ("linux-image-6.1.0-55-amd64", "6.1.192-1"),
            ("linux-image-6.1.0-57-cloud-amd64", "6.1.193-1"),
            ("linux-image-6.1.0-57-rt-amd64", "6.1.193-1"),
            ("linux-image-6.1.0-57-amd64-dbg", "6.1.193-1"),
            ("linux-image-6.1.0-57-amd64-unsigned", "6.1.193-1"),
            ("linux-image-amd64", "6.1.193-1"),
        ];
        assert_eq!(
            choose("debian-6.1", &index).unwrap(),
            ["linux-image-6.1.0-56-amd64"]
        );
    }

    #[test]
    fn a_split_kernel_needs_all_its_parts_at_one_version() {
        let index = [
            ("linux-binary-7.2.14+deb14-amd64", "7.2.14-1"),
            ("linux-modules-7.2.14+deb14-amd64", "7.2.14-2"),
            ("linux-base-7.2.14+deb14-amd64", "7.2.14-1"),
            ("linux-binary-7.2.13+deb14-amd64", "7.2.13-1"),
            ("linux-modules-7.2.13+deb14-amd64", "7.2.13-1"),
            ("linux-base-7.2.13+deb14-amd64", "7.2.13-1"),
        ];
        let whole = [
            "linux-binary-7.2.13+deb14-amd64",
            "linux-modules-7.2.13+deb14-amd64",
            "linux-base-7.2.13+deb14-amd64",
        ];
        assert_eq!(choose("debian-7.2", &index).unwrap(), whole);
        let text = choose("debian-7.2", &index[..3]).unwrap_err().to_string();
        assert!(
            text.contains("linux-binary-7.2.14+deb14-amd64 without linux-modules-7.2.14+deb14-amd64"),
            "{text}"
        );
        assert!(
            choose("debian-7.2", &[])
                .unwrap_err()
                .to_string()
                .contains("nothing like it")
        );
    }

    #[test]
    fn a_slip_gets_the_nearest_name() {
        let catalogue = Catalogue::built_in().unwrap();
        let text = catalogue.unknown("debain-6.12").to_string();
        assert!(
            text.contains("did you mean `debian-6.12`?") && text.contains("debian-7.2"),
            "{text}"
        );
        assert!(
            !catalogue
                .unknown("./linux/arch")
                .to_string()
                .contains("did you mean")
        );
    }

    #[test]
    fn a_bad_list_is_refused() {
        let one = |release: &str, package: &str, default: &str| {
            format!(
                "default: {default}\nkernels:\n- {{name: a, description: d, suites: [], release: \"{release}\", \
                 packages: [\"{package}\"]}}"
            )
        };
        assert!(Catalogue::parse(&one("1.*-x", "i-{release}", "a")).is_ok());
        for bad in [
            one("1.2", "i-{release}", "a"),
            one("1.*", "i", "a"),
            one("1.*", "i-{release}", "b"),
        ] {
            assert!(Catalogue::parse(&bad).is_err(), "{bad}");
        }
    }
}
