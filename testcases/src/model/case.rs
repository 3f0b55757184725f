// SPDX-License-Identifier: MIT OR Apache-2.0
//! A case as a whole.

use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use serde::Serialize;

use super::{FindingSignature, Isolation, Step, Template};
use crate::value::{KernelRange, KernelVersion, ParameterName, Row};

/// A testcase: what is prepared, done and expected, in order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Case {
    /// The name by which reports know it.
    pub id: CaseId,
    /// The file that it was read from, as it was given.
    pub path: PathBuf,
    /// What the case shows, in one or two sentences.
    pub summary: String,
    /// Where the behaviour comes from: the thread, patch or source that promises it.
    pub why: String,
    /// The rows of the coverage table that it shows, in order; none twice.
    pub covers: Vec<Row>,
    /// What this instance of the file has for each of the file's parameters, in their order; empty if it has none.
    pub parameters: Vec<Parameter>,
    /// The guest that the case starts from.
    pub template: Template,
    /// How the case gets its guest, unless the run boots one for every case.
    pub isolation: Isolation,
    /// The kernels that the case applies to.
    pub kernel: KernelRange,
    /// What happens, in order. On every kernel of the case at least one step expects something.
    pub steps: Vec<Step>,
    /// The kernels that are known to get it wrong, and how that shows.
    pub known_issues: Vec<KnownIssue>,
}

impl Case {
    /// The case as it is on a kernel: without the steps that are only there on others.
    #[must_use]
    pub fn for_kernel(&self, kernel: &KernelVersion) -> Self {
        let mut case = self.clone();
        case.steps
            .retain(|step| step.when.as_ref().is_none_or(|when| when.contains(kernel)));
        case
    }
}

/// What one of a file's parameters is in one of its cases.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Parameter {
    /// Its name.
    pub name: ParameterName,
    /// Its value, as the file writes it.
    pub value: String,
}

/// The name of a case: its path below the folder of cases, without `.yaml`, such as `data/shared-block`; and where one
/// file gives several cases, a value for each of its parameters behind it, such as `signals/policy.early.4kib`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct CaseId(String);

/// Why a path names no case.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CaseIdError {
    /// The file does not lie in the folder of cases.
    #[error("the file is not below the folder of cases, {}", root.display())]
    Outside {
        /// The folder of cases.
        root: PathBuf,
    },
    /// The file is called something else than `NAME.yaml`.
    #[error("a case file's name ends in `.yaml`")]
    Extension,
    /// A part of the name has letters that would have to be quoted somewhere.
    #[error("`{0}` cannot be part of a case's name: use a-z, 0-9, `_` and `-`")]
    Letters(String),
}

impl CaseId {
    /// The name of the case in `path`, a file below `root`.
    pub fn from_path(path: &Path, root: &Path) -> Result<Self, CaseIdError> {
        let below = path.strip_prefix(root).map_err(|_| CaseIdError::Outside {
            root: root.to_owned(),
        })?;
        if below.extension().is_none_or(|extension| extension != "yaml") {
            return Err(CaseIdError::Extension);
        }
        let parts: Vec<_> = below
            .with_extension("")
            .components()
            .map(|part| match part {
                Component::Normal(part) => Ok(part.to_string_lossy().into_owned()),
                _ => Err(CaseIdError::Outside {
                    root: root.to_owned(),
                }),
            })
            .collect::<Result<_, _>>()?;
        let path = parts.join("/");
        if path.contains('.') {
            return Err(CaseIdError::Letters(path));
        }
        path.parse()
    }

    /// The name of one of the cases that this file gives.
    pub(crate) fn instance(&self, values: &str) -> Result<Self, CaseIdError> {
        format!("{}.{values}", self.0).parse()
    }

    /// The name itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without the values of parameters: that of the file.
    pub fn file(&self) -> &str {
        self.0.split_once('.').map_or(self.0.as_str(), |(file, _)| file)
    }
}

impl FromStr for CaseId {
    type Err = CaseIdError;

    fn from_str(text: &str) -> Result<Self, CaseIdError> {
        let plain =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_-".contains(letter);
        let (path, values) = match text.split_once('.') {
            Some((path, values)) => (path, Some(values)),
            None => (text, None),
        };
        let names = path.split('/').map(|part| (part, part.starts_with('-')));
        // A value may well begin with `-`: a number below zero does.
        let values = values
            .into_iter()
            .flat_map(|values| values.split('.'))
            .map(|part| (part, false));
        let wrong = names
            .chain(values)
            .find(|(part, bad_start)| part.is_empty() || *bad_start || !part.chars().all(plain));
        match wrong.map(|(part, _)| part) {
            Some(part) => Err(CaseIdError::Letters(part.to_owned())),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for CaseId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl AsRef<str> for CaseId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

/// A defect that some kernels are known to have, and how it shows in this case: by at least one splat or finding.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KnownIssue {
    /// The kernels that have it.
    pub kernel: KernelRange,
    /// Parts of warnings or oopses that the kernel prints. Every one must show.
    pub splats: Vec<String>,
    /// What the judge then finds. Every one must show.
    pub findings: Vec<FindingSignature>,
    /// What is wrong, for someone who meets it in a report.
    pub because: String,
    /// The line of the case file where it stands, counted from 1.
    pub line: usize,
}
