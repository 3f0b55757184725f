// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a bisection knows so far, on disk after each step, so that an interrupted one goes on where it was.

use crate::lab::trial::Trial;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is looked for. A journal of another question is of no use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The commit that is said to be good, in full.
    pub good: String,
    /// The commit that is said to be bad, in full.
    pub bad: String,
    /// The cases, by name.
    pub cases: Vec<String>,
}

/// Everything that was tested, by commit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// What is looked for.
    pub question: Question,
    /// What each tested commit came to.
    pub trials: BTreeMap<String, Trial>,
    #[serde(skip)]
    path: PathBuf,
}

/// Why a journal cannot be kept or gone on with.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// There is nothing to go on with.
    #[error("no bisection was begun in {}: leave --resume out", path.display())]
    Nothing {
        /// Where one was looked for.
        path: PathBuf,
    },
    /// There is one, of another question.
    #[error(
        "the bisection in {} is between {good:.12} and {bad:.12}, of {cases}; leave --resume out, or ask for the same",
        path.display()
    )]
    Other {
        /// The file.
        path: PathBuf,
        /// Its good end.
        good: String,
        /// Its bad end.
        bad: String,
        /// Its cases.
        cases: String,
    },
    /// It is no journal.
    #[error("the journal {} is damaged; leave --resume out", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// It could not be written.
    #[error("the journal of the bisection could not be written")]
    Write(#[from] reports::Error),
}

impl Journal {
    /// An empty one, kept in `folder` from now on instead of what was there: a bisection that is interrupted before it has
    /// tested anything can be resumed like any other.
    pub fn begin(question: Question, folder: &Path) -> Result<Self, JournalError> {
        let journal = Self {
            question,
            trials: BTreeMap::new(),
            path: Self::place(folder),
        };
        journal.write()?;
        Ok(journal)
    }

    /// The one in `folder`, if it is of the same question.
    pub fn resume(question: &Question, folder: &Path) -> Result<Self, JournalError> {
        let path = Self::place(folder);
        let Ok(text) = std::fs::read(&path) else {
            return Err(JournalError::Nothing { path });
        };
        let mut journal: Self = match serde_json::from_slice(&text) {
            Ok(journal) => journal,
            Err(source) => return Err(JournalError::Damaged { path, source }),
        };
        if journal.question != *question {
            return Err(JournalError::Other {
                path,
                good: journal.question.good,
                bad: journal.question.bad,
                cases: journal.question.cases.join(", "),
            });
        }
        journal.path = path;
        Ok(journal)
    }

    /// Notes what a commit came to, instead of what was known of it before.
    pub fn note(&mut self, commit: &str, trial: Trial) -> Result<(), JournalError> {
        self.trials.insert(commit.to_owned(), trial);
        self.write()
    }

    fn write(&self) -> Result<(), JournalError> {
        let text = serde_json::to_vec_pretty(self).map_err(|source| JournalError::Damaged {
            path: self.path.clone(),
            source,
        })?;
        Ok(reports::files::write_atomically(&self.path, &text)?)
    }

    fn place(folder: &Path) -> PathBuf {
        folder.join("journal.json")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_there_again_for_the_same_question_only() {
        let folder = tempfile::tempdir().unwrap();
        let question = Question {
            good: "a".repeat(40),
            bad: "b".repeat(40),
            cases: vec!["data/x".to_owned()],
        };
        let resume = |question: &Question| Journal::resume(question, folder.path());
        assert!(matches!(resume(&question), Err(JournalError::Nothing { .. })));
        let mut journal = Journal::begin(question.clone(), folder.path()).unwrap();
        assert_eq!(resume(&question).unwrap(), journal);
        journal.note("c1", Trial::cannot_tell("does not build")).unwrap();
        assert_eq!(resume(&question).unwrap(), journal);
        let other = Question {
            cases: Vec::new(),
            ..question.clone()
        };
        let text = resume(&other).unwrap_err().to_string();
        assert!(
            text.contains("aaaaaaaaaaaa and bbbbbbbbbbbb, of data/x"),
            "{text}"
        );
        std::fs::write(folder.path().join("journal.json"), "{").unwrap();
        assert!(matches!(resume(&question), Err(JournalError::Damaged { .. })));
    }
}
