// SPDX-License-Identifier: MIT OR Apache-2.0
//! The files of `testcases/mutants/`.

use guest_images::{PlainDataError, parse_plain_data};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use testcases::KernelVersion;

/// A small defect, and who should notice it.
#[derive(Debug, Clone)]
pub struct Mutant {
    /// The name of its file, without the ending.
    pub name: String,
    /// The kernel's file that it is in, relative to the tree.
    pub file: PathBuf,
    /// The function that it is in, by the names that versions have for it; the first that is there counts. Without any, the
    /// whole file is searched.
    pub within: Vec<String>,
    /// The kernels that have the code; others are passed over.
    pub kernel: Option<testcases::KernelRange>,
    /// The behaviour that it breaks.
    pub breaks: String,
    /// Which release had this defect.
    pub shipped: Option<String>,
    /// The cases that should notice, by name, or files of cases, any of which should; empty if there is none yet.
    pub noticed_by: Vec<String>,
    /// Why nobody can notice it, if nobody can.
    pub equivalent: Option<String>,
    /// What is replaced by what.
    pub changes: Vec<Change>,
}

/// Some lines of C, and what stands there instead.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// Lines that must be there exactly once; their indentation and spacing do not matter.
    pub replace: String,
    /// The lines in their place.
    pub with: String,
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    file: PathBuf,
    #[serde(default)]
    within: Names,
    kernel: Option<String>,
    breaks: String,
    shipped: Option<String>,
    #[serde(default)]
    noticed_by: Vec<String>,
    equivalent: Option<String>,
    changes: Vec<Change>,
}

/// One name, or several.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Names {
    One(String),
    Several(Vec<String>),
}

impl Default for Names {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

/// Why a mutant cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DescriptionError {
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// It is no YAML of this form.
    #[error("{} is no mutant: {source}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// Where and how.
        source: PlainDataError,
    },
    /// It makes no sense.
    #[error("{} is no mutant: {why}", path.display())]
    Sense {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// All mutants of a folder, in the order of their names.
pub fn load_all(folder: &Path) -> Result<Vec<Mutant>, DescriptionError> {
    let read = |source| DescriptionError::Read {
        path: folder.to_owned(),
        source,
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read)? {
        let path = entry.map_err(read)?.path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            files.push(path);
        }
    }
    files.sort();
    files.iter().map(|path| load(path)).collect()
}

fn load(path: &Path) -> Result<Mutant, DescriptionError> {
    let text = std::fs::read_to_string(path).map_err(|source| DescriptionError::Read {
        path: path.to_owned(),
        source,
    })?;
    let name = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    parse(&text, name).map_err(|error| match error {
        Wrong::Form(source) => DescriptionError::Form {
            path: path.to_owned(),
            source,
        },
        Wrong::Sense(why) => DescriptionError::Sense {
            path: path.to_owned(),
            why,
        },
    })
}

enum Wrong {
    Form(PlainDataError),
    Sense(String),
}

fn parse(text: &str, name: String) -> Result<Mutant, Wrong> {
    let written: Written = parse_plain_data(text).map_err(Wrong::Form)?;
    let sense = |why: &str| Err(Wrong::Sense(why.to_owned()));
    if written.changes.is_empty()
        || written
            .changes
            .iter()
            .any(|change| change.replace.trim().is_empty())
    {
        return sense("it must say what it replaces");
    }
    if written
        .changes
        .iter()
        .any(|change| change.replace.trim() == change.with.trim())
    {
        return sense("it replaces something by itself");
    }
    if written.equivalent.is_some() && !written.noticed_by.is_empty() {
        return sense("what nobody can notice has no case that notices it");
    }
    if written.file.is_absolute() || written.file.components().any(|part| part.as_os_str() == "..") {
        return sense("its file must lie in the kernel's tree");
    }
    let kernel = written.kernel.as_deref().map(str::parse).transpose();
    let kernel = kernel.map_err(|error| Wrong::Sense(format!("kernel: {error}")))?;
    let told = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
    Ok(Mutant {
        name,
        file: written.file,
        within: match written.within {
            Names::One(name) => vec![name],
            Names::Several(names) => names,
        },
        kernel,
        breaks: told(written.breaks),
        shipped: written.shipped.map(told),
        noticed_by: written.noticed_by,
        equivalent: written.equivalent.map(told),
        changes: written.changes,
    })
}

impl Mutant {
    /// Whether it names this case, by the case's own name or by that of its file.
    pub fn names(&self, case: &str) -> bool {
        let of_file = |name: &str| {
            case.strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.noticed_by.iter().any(|name| of_file(name))
    }

    /// Whether a kernel has the code that this breaks, as far as the mutant knows.
    pub fn is_for(&self, version: &KernelVersion) -> bool {
        self.kernel.as_ref().is_none_or(|range| range.contains(version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn testcases() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testcases")
    }

    #[test]
    fn there_are_enough_and_each_is_sound() {
        let mutants = load_all(&testcases().join("mutants")).unwrap();
        assert!(mutants.len() >= 30, "{}", mutants.len());
        for mutant in &mutants {
            assert!(mutant.breaks.ends_with('.'), "{}: {}", mutant.name, mutant.breaks);
        }
        let files: BTreeSet<_> = mutants
            .iter()
            .map(|mutant| mutant.file.to_string_lossy().into_owned())
            .collect();
        for file in [
            "mm/memory-failure.c",
            "fs/xfs/xfs_notify_failure.c",
            "fs/dax.c",
            "drivers/dax/super.c",
            "drivers/nvdimm/pmem.c",
            "drivers/acpi/nfit/mce.c",
        ] {
            assert!(files.contains(file), "no mutant of {file}");
        }
    }

    #[test]
    fn who_should_notice_is_there() {
        let (cases, _) = testcases::load_all(&testcases().join("cases"));
        for mutant in load_all(&testcases().join("mutants")).unwrap() {
            assert_ne!(
                mutant.noticed_by.is_empty(),
                mutant.equivalent.is_none(),
                "{}: either somebody notices, or nobody can",
                mutant.name
            );
            for name in &mutant.noticed_by {
                let alone = Mutant {
                    noticed_by: vec![name.clone()],
                    ..mutant.clone()
                };
                assert!(
                    cases.iter().any(|case| alone.names(case.id.as_str())),
                    "{}: there is no case {name}",
                    mutant.name
                );
            }
        }
    }

    #[test]
    fn a_file_stands_for_all_its_cases() {
        let text =
            "file: a.c\nbreaks: x\nnoticed_by: [d/policy, d/x.one]\nchanges: [{replace: a, with: b}]\n";
        let Ok(mutant) = parse(text, "m".to_owned()) else {
            panic!("it is not read")
        };
        for (case, named) in [
            ("d/policy", true),
            ("d/policy.early", true),
            ("d/policy-machine-check.early", false),
            ("d/x.one", true),
            ("d/x", false),
            ("d/x.one-more", false),
        ] {
            assert_eq!(mutant.names(case), named, "{case}");
        }
    }

    fn refusal(text: &str) -> String {
        match parse(text, "m".to_owned()) {
            Ok(_) => String::new(),
            Err(Wrong::Form(error)) => error.to_string(),
            Err(Wrong::Sense(why)) => why,
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let good = "file: a.c\nbreaks: x\nchanges: [{replace: a, with: b}]\n";
        assert_eq!(refusal(good), "");
        for (text, expected) in [
            (good.replace("breaks", "brakes"), "unknown field `brakes`"),
            (good.replace("with: b", "with: a"), "by itself"),
            (good.replace("[{replace: a, with: b}]", "[]"), "what it replaces"),
            (good.replace("a.c", "../a.c"), "in the kernel's tree"),
            (format!("{good}kernel: six\n"), "kernel:"),
            (format!("{good}noticed_by: [x]\nequivalent: y\n"), "has no case"),
        ] {
            assert!(refusal(&text).contains(expected), "{}", refusal(&text));
        }
    }
}
