// SPDX-License-Identifier: MIT OR Apache-2.0
//! One tree, one mutant after the other: each build compiles the file that was mended and the one that is broken next.

use super::apply::apply;
use super::description::Mutant;
use super::fate::Fate;
use crate::lab::{Lab, Trouble};
use reports::{CaseResult, Verdict};
use std::fs;
use std::path::{Path, PathBuf};
use testcases::Case;

/// A tree of our own that mutants are put into.
pub struct Campaign<'a> {
    /// How trees are built and tested.
    pub lab: &'a Lab<'a>,
    /// The source tree; nobody else works in it.
    pub tree: &'a Path,
    /// Where the records of the runs go.
    pub out: &'a Path,
    /// Which of the lab's cases a mutant gets.
    pub cases: Cases,
}

/// Which cases are run on a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cases {
    /// All that there are: who else notices is told too.
    All,
    /// Those that the mutant names: enough to say whether it is noticed by whom it should be. One that names none, because
    /// nobody can notice, gets them all.
    Named,
}

impl Cases {
    /// Those of `cases` that this mutant gets.
    pub fn of(self, mutant: &Mutant, cases: &[Case]) -> Vec<Case> {
        let mut chosen = cases.to_vec();
        if self == Self::Named && !mutant.noticed_by.is_empty() {
            chosen.retain(|case| mutant.names(case.id.as_str()));
        }
        chosen
    }
}

/// In the tree while a file of it is broken: the file's name, and what was in it.
const NOTE: &str = ".taster-mutant";

/// After what was in the file.
const END: &str = "\n<end>\n";

fn write(path: &Path, text: &str) -> Result<(), CampaignError> {
    fs::write(path, text).map_err(|source| CampaignError::File {
        doing: "write",
        path: path.to_owned(),
        source,
    })
}

/// Puts back what a campaign that was killed left broken in a tree. To be called before anything else.
pub fn mend(tree: &Path) -> Result<(), CampaignError> {
    let note = tree.join(NOTE);
    let Ok(text) = fs::read_to_string(&note) else {
        return Ok(());
    };
    // A note that is not whole was written before the file was touched.
    if let Some((file, original)) = text.split_once('\n')
        && let Some(original) = original.strip_suffix(END)
    {
        write(&tree.join(file), original)?;
    }
    fs::remove_file(&note).map_err(|source| CampaignError::File {
        doing: "remove",
        path: note,
        source,
    })
}

fn remember(tree: &Path, file: &Path, original: &str) -> Result<(), CampaignError> {
    write(&tree.join(NOTE), &format!("{}\n{original}{END}", file.display()))
}

/// Why a campaign cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    /// A file of the tree cannot be read or written.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// `read` or `write`.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// Building or running went wrong in a way that is not the mutant's fault.
    #[error(transparent)]
    Trouble(#[from] Trouble),
    /// The unchanged kernel fails, so nothing can be said of changed ones.
    #[error("the unchanged kernel does not hold: {}", cases.join(", "))]
    Unchanged {
        /// The cases that fail or are broken on it.
        cases: Vec<String>,
    },
}

impl Campaign<'_> {
    /// Builds and tests the unchanged tree; what it came to is what mutants are held against.
    pub fn unchanged(&self) -> Result<Vec<CaseResult>, CampaignError> {
        let results = self.test(&self.lab.cases, "unchanged")?;
        let cases: Vec<String> = results
            .iter()
            .filter(|result| matches!(result.verdict, Verdict::Fail | Verdict::Broken))
            .map(|result| result.case.clone())
            .collect();
        if cases.is_empty() {
            Ok(results)
        } else {
            Err(CampaignError::Unchanged { cases })
        }
    }

    /// Puts a mutant in, builds, tests, and mends the file again, whatever came of it.
    pub fn try_one(&self, mutant: &Mutant, unchanged: &[CaseResult]) -> Result<Fate, CampaignError> {
        let version = unchanged
            .first()
            .and_then(|result| result.environment.kernel_version.parse().ok());
        if let (Some(version), Some(range)) = (&version, &mutant.kernel)
            && !mutant.is_for(version)
        {
            return Ok(Fate::DoesNotApply {
                why: format!("it is for kernels {range}; this one is {version}"),
            });
        }
        let path = self.tree.join(&mutant.file);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Fate::DoesNotApply {
                    why: format!("there is no {}", mutant.file.display()),
                });
            }
            text => text.map_err(|source| CampaignError::File {
                doing: "read",
                path: path.clone(),
                source,
            })?,
        };
        let changed = match apply(mutant, &text) {
            Ok(changed) => changed,
            Err(why) => return Ok(why.into()),
        };
        remember(self.tree, &mutant.file, &text)?;
        write(&path, &changed)?;
        let tested = self.test(&self.cases.of(mutant, &self.lab.cases), &mutant.name);
        mend(self.tree)?;
        match tested {
            Ok(results) => Ok(Fate::of(mutant, unchanged, &results)),
            Err(Trouble::ThisKernel(why)) => Ok(Fate::DoesNotBuild { why }),
            Err(other) => Err(other.into()),
        }
    }

    /// The kernels of a campaign differ from each other, and from those of the next one by the time in their banner: what is
    /// kept of them only fills the disk.
    fn test(&self, cases: &[Case], name: &str) -> Result<Vec<CaseResult>, Trouble> {
        let built = self.lab.build(self.tree)?;
        let rounds = self.lab.run(cases, &built.folder, 1, &self.out.join(name));
        self.lab.forget(&built.folder);
        Ok(rounds?.into_iter().flatten().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mutant_gets_the_cases_that_it_names_if_it_names_any() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testcases/cases");
        let (cases, _) = testcases::load_all(&folder);
        let mut mutant = crate::mutants::fate::tests::mutant(&["signals/policy", "data/shared-block"], None);
        let names = |which: Cases, mutant: &Mutant| -> Vec<String> {
            let chosen = which.of(mutant, &cases);
            chosen.iter().map(|case| case.id.to_string()).collect()
        };
        let chosen = names(Cases::Named, &mutant);
        assert!(chosen.len() > 2, "{chosen:?}");
        assert!(
            chosen
                .iter()
                .all(|name| name == "data/shared-block" || name.starts_with("signals/policy.")),
            "{chosen:?}"
        );
        assert_eq!(names(Cases::All, &mutant).len(), cases.len());
        mutant.noticed_by.clear();
        assert_eq!(names(Cases::Named, &mutant).len(), cases.len());
    }

    #[test]
    fn what_a_killed_campaign_left_broken_is_mended_once() {
        let tree = tempfile::tempdir().unwrap();
        let file = tree.path().join("a.c");
        let read = || fs::read_to_string(&file).unwrap();
        fs::write(&file, "broken\n").unwrap();
        mend(tree.path()).unwrap();
        assert_eq!(read(), "broken\n");
        remember(tree.path(), Path::new("a.c"), "whole\n").unwrap();
        mend(tree.path()).unwrap();
        assert_eq!(read(), "whole\n");
        fs::write(&file, "edited\n").unwrap();
        mend(tree.path()).unwrap();
        assert_eq!(read(), "edited\n");
        // Killed while the note was written: the file was not touched yet.
        fs::write(tree.path().join(NOTE), "a.c\nwho").unwrap();
        mend(tree.path()).unwrap();
        assert_eq!(read(), "edited\n");
        assert!(!tree.path().join(NOTE).exists());
    }
}
