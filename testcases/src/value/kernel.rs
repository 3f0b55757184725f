// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernel versions as `uname -r` and people write them, and ranges of them.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use words::scalar::{self, FromScalar};

/// The version of a kernel: `6.12`, `6.12.117`, `6.13.0-rc3`.
///
/// Read also from a release string (`6.12.117+deb12-amd64`): what follows the version proper is dropped. Mind that
/// a distribution may freeze the number there: Debian 12's `6.1.0-56-amd64` is a 6.1.x, but reads as 6.1.0. A release
/// candidate comes before its release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KernelVersion {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
    /// The number of the stable release; 0 for the release itself and its candidates.
    pub patch: u32,
    /// The number of the release candidate.
    pub candidate: Option<u32>,
}

impl KernelVersion {
    /// The release `major.minor.patch`.
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self {
            major,
            minor,
            patch,
            candidate: None,
        }
    }

    /// What orders versions; the absence of a candidate number is the release, which comes last.
    fn rank(self) -> (u32, u32, u32, u64) {
        (
            self.major,
            self.minor,
            self.patch,
            self.candidate.map_or(u64::MAX, u64::from),
        )
    }
}

impl KernelVersion {
    /// The earliest of all.
    pub(crate) const FIRST: Self = Self {
        major: 0,
        minor: 0,
        patch: 0,
        candidate: Some(0),
    };
}

impl Ord for KernelVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for KernelVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for KernelVersion {
    /// Prints `6.12.117`, `6.12.0` or `6.13.0-rc3`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.major, self.minor, self.patch)?;
        match self.candidate {
            Some(candidate) => write!(formatter, "-rc{candidate}"),
            None => Ok(()),
        }
    }
}

/// The text is no kernel version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no kernel version: write it like `6.12`, `6.12.117` or `6.13.0-rc3`")]
pub struct KernelVersionError(String);

impl FromStr for KernelVersion {
    type Err = KernelVersionError;

    fn from_str(text: &str) -> Result<Self, KernelVersionError> {
        let error = || KernelVersionError(text.to_owned());
        let (written, rest) = Written::split(text).ok_or_else(error)?;
        match (written.minor, rest.chars().next()) {
            (Some(minor), None | Some('-' | '+' | '~' | '_')) => Ok(Self {
                major: written.major,
                minor,
                patch: written.patch.unwrap_or(0),
                candidate: written.candidate,
            }),
            _ => Err(error()),
        }
    }
}

impl Serialize for KernelVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// As much of a version as was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Written {
    major: u32,
    minor: Option<u32>,
    patch: Option<u32>,
    candidate: Option<u32>,
}

impl Written {
    /// Takes a version off the start of a text and gives what is left.
    fn split(text: &str) -> Option<(Self, &str)> {
        let (major, mut rest) = number(text)?;
        let mut next = || {
            let (number, after) = number(rest.strip_prefix('.')?)?;
            rest = after;
            Some(number)
        };
        let minor = next();
        let patch = minor.and_then(|_| next());
        let mut candidate = None;
        if let Some((number, after)) = rest
            .strip_prefix("-rc")
            .or_else(|| rest.strip_prefix("~rc"))
            .and_then(number)
            && minor.is_some()
        {
            candidate = Some(number);
            rest = after;
        }
        Some((
            Self {
                major,
                minor,
                patch,
                candidate,
            },
            rest,
        ))
    }

    /// How a version stands to this one, as far as this one goes: 6.1.5 and `6.1` are equal.
    fn compare(&self, version: &KernelVersion) -> Ordering {
        if self.candidate.is_some() {
            return version.cmp(&self.lowest());
        }
        let pairs = [
            (version.major, Some(self.major)),
            (version.minor, self.minor),
            (version.patch, self.patch),
        ];
        pairs
            .into_iter()
            .map_while(|(theirs, ours)| ours.map(|ours| theirs.cmp(&ours)))
            .find(|ordering| ordering.is_ne())
            .unwrap_or(Ordering::Equal)
    }

    /// The lowest version of those that this names; its earliest candidate, unless it names one itself.
    fn lowest(&self) -> KernelVersion {
        KernelVersion {
            major: self.major,
            minor: self.minor.unwrap_or(0),
            patch: self.patch.unwrap_or(0),
            candidate: Some(self.candidate.unwrap_or(0)),
        }
    }

    /// The lowest version above all of those that this names.
    fn next(&self) -> KernelVersion {
        let mut next = self.lowest();
        match *self {
            Self {
                candidate: Some(candidate),
                ..
            } => next.candidate = candidate.checked_add(1),
            Self {
                patch: Some(patch), ..
            } => next.patch = patch.saturating_add(1),
            Self {
                minor: Some(minor), ..
            } => next.minor = minor.saturating_add(1),
            Self { major, .. } => next.major = major.saturating_add(1),
        }
        next
    }
}

impl fmt::Display for Written {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.major)?;
        for number in [self.minor, self.patch].into_iter().flatten() {
            write!(formatter, ".{number}")?;
        }
        match self.candidate {
            Some(candidate) => write!(formatter, "-rc{candidate}"),
            None => Ok(()),
        }
    }
}

/// A decimal number off the start of a text.
fn number(text: &str) -> Option<(u32, &str)> {
    let end = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Comparison {
    AtLeast,
    Above,
    AtMost,
    Below,
    Is,
}

impl Comparison {
    /// Longest sign first, so that `>=` is not read as `>`.
    const SIGNS: [(&'static str, Self); 5] = [
        (">=", Self::AtLeast),
        ("<=", Self::AtMost),
        (">", Self::Above),
        ("<", Self::Below),
        ("=", Self::Is),
    ];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Bound {
    comparison: Comparison,
    version: Written,
}

impl Bound {
    fn holds(&self, version: &KernelVersion) -> bool {
        let ordering = self.version.compare(version);
        match self.comparison {
            Comparison::AtLeast => ordering.is_ge(),
            Comparison::Above => ordering.is_gt(),
            Comparison::AtMost => ordering.is_le(),
            Comparison::Below => ordering.is_lt(),
            Comparison::Is => ordering.is_eq(),
        }
    }

    /// The lowest version that this admits.
    fn lowest(&self) -> KernelVersion {
        match self.comparison {
            Comparison::AtLeast | Comparison::Is => self.version.lowest(),
            Comparison::Above => self.version.next(),
            Comparison::AtMost | Comparison::Below => KernelVersion::FIRST,
        }
    }
}

/// The kernels that something applies to: `">=6.1"`, `"<6.2"`, `">=6.1, <6.13"`, `"6.12"` (every 6.12.x), or `any`.
///
/// A bound compares as far as it is written: `<=6.1` admits 6.1.192, `>6.1` starts at 6.2. A release candidate belongs
/// to its series unless the bound itself names one: 6.2.0-rc1 is *not* `<6.2`, because what is new in 6.2 came in with
/// the merge window before rc1; it is `<6.2-rc3`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct KernelRange {
    /// All of them hold; none means any kernel.
    bounds: Vec<Bound>,
}

impl KernelRange {
    /// Every kernel.
    pub const fn any() -> Self {
        Self { bounds: Vec::new() }
    }

    /// Whether this is every kernel.
    pub fn is_any(&self) -> bool {
        self.bounds.is_empty()
    }

    /// Whether the kernel is one of these.
    pub fn contains(&self, version: &KernelVersion) -> bool {
        self.bounds.iter().all(|bound| bound.holds(version))
    }

    /// Whether some kernel can be in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let bounds = self.bounds.iter().chain(&other.bounds).copied().collect();
        !Self { bounds }.is_empty()
    }

    /// The kernels that are in both; it may well be none.
    pub(crate) fn and(&self, other: &Self) -> Self {
        Self {
            bounds: self.bounds.iter().chain(&other.bounds).copied().collect(),
        }
    }

    /// The first kernel on the upper side of each border of the range: where something may begin or end to hold.
    pub(crate) fn borders(&self) -> impl Iterator<Item = KernelVersion> {
        self.bounds
            .iter()
            .flat_map(|bound| [bound.version.lowest(), bound.version.next()])
    }

    /// Whether no kernel at all can be in the range. It is enough to try the lowest that each bound admits: the lowest
    /// version of a range that has one is the lowest of one of its bounds.
    fn is_empty(&self) -> bool {
        !self.bounds.is_empty() && !self.bounds.iter().any(|bound| self.contains(&bound.lowest()))
    }
}

impl fmt::Display for KernelRange {
    /// Prints the range as a case writes it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bounds.is_empty() {
            return formatter.write_str("any");
        }
        for (index, Bound { comparison, version }) in self.bounds.iter().enumerate() {
            let sign = Comparison::SIGNS
                .iter()
                .find(|(_, known)| known == comparison && *known != Comparison::Is)
                .map_or("", |(sign, _)| sign);
            write!(formatter, "{}{sign}{version}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// Why a text is no range of kernels.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KernelRangeError {
    /// A part is neither a version nor a sign with a version.
    #[error("`{0}` is no kernel range: write it like \">=6.1\", \"<6.2\", \">=6.1, <6.13\" or \"6.12\"")]
    Bound(String),
    /// The bounds contradict each other.
    #[error("no kernel can be in the range `{0}`: change one of its bounds")]
    Empty(String),
}

impl FromStr for KernelRange {
    type Err = KernelRangeError;

    fn from_str(text: &str) -> Result<Self, KernelRangeError> {
        if text.trim() == "any" {
            return Ok(Self::any());
        }
        let bounds = text
            .split(',')
            .map(|part| {
                let part = part.trim();
                let (comparison, version) = Comparison::SIGNS
                    .iter()
                    .find_map(|(sign, comparison)| Some((*comparison, part.strip_prefix(sign)?)))
                    .unwrap_or((Comparison::Is, part));
                match Written::split(version.trim_start()) {
                    Some((version, "")) => Ok(Bound { comparison, version }),
                    _ => Err(KernelRangeError::Bound(part.to_owned())),
                }
            })
            .collect::<Result<_, _>>()?;
        let range = Self { bounds };
        if range.is_empty() {
            Err(KernelRangeError::Empty(text.to_owned()))
        } else {
            Ok(range)
        }
    }
}

impl FromScalar for KernelRange {
    const EXPECTING: &'static str = "a quoted kernel range such as \">=6.1\"";

    fn from_text<E: de::Error>(text: &str) -> Result<Self, E> {
        text.parse().map_err(E::custom)
    }

    // Unquoted, 6.10 and 6.1 are the same number; so no number is taken for a version.
    fn from_float<E: de::Error>(_: f64) -> Result<Self, E> {
        Err(E::custom(
            "YAML takes 6.10 and 6.1 for the same number: put the kernel version in quotes",
        ))
    }
}

impl<'de> Deserialize<'de> for KernelRange {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        scalar::deserialize(deserializer)
    }
}

impl Serialize for KernelRange {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for KernelRange {
    fn schema_name() -> Cow<'static, str> {
        "KernelRange".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let bound = r"\s*(>=|<=|>|<|=)?\s*[0-9]+(\.[0-9]+){0,2}([-~]rc[0-9]+)?\s*";
        json_schema!({
            "description": "Kernels: \">=6.1\", \"<6.2\", \">=6.1, <6.13\", \"6.12\" (every 6.12.x), or any.",
            "type": "string",
            "pattern": format!("^(any|{bound}(,{bound})*)$"),
        })
    }
}
