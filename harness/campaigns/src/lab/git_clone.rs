// SPDX-License-Identifier: MIT OR Apache-2.0
//! A clone of the user's repository to work in: its objects are shared, nothing of the user's is written.
//!
//! A `git worktree` would do too, but leaves its name and its refs in the user's repository.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A commit, as far as people want to know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// In full.
    pub id: String,
    /// The first line of its message.
    pub subject: String,
}

impl std::fmt::Display for Commit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.12} (\"{}\")", self.id, self.subject)
    }
}

/// git did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// It could not be started.
    #[error("git cannot be started; install it (apt-get install git)")]
    Start(#[source] std::io::Error),
    /// It answered with an error.
    #[error("`git {command}` in {} failed: {answer}", folder.display())]
    Failed {
        /// What it was asked.
        command: String,
        /// The folder in which it was asked.
        folder: PathBuf,
        /// What it said.
        answer: String,
    },
}

/// How git answered.
pub(crate) struct Answer {
    pub(crate) ok: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Asks git in a folder.
pub(crate) fn ask(folder: &Path, arguments: &[&str]) -> Result<Answer, GitError> {
    let mut command: Command = guest_images::child::command("git");
    let output = command
        .env("LC_ALL", "C")
        // The commit is found by this repository and no other one, whoever called us (git bisect run sets these).
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .arg("--no-optional-locks")
        .arg("-C")
        .arg(folder)
        .args(arguments)
        .output()
        .map_err(GitError::Start)?;
    Ok(Answer {
        ok: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).trim_end().to_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).trim_end().to_owned(),
    })
}

/// Like [`ask`], with an answer that has to be one.
pub(crate) fn git(folder: &Path, arguments: &[&str]) -> Result<String, GitError> {
    let answer = ask(folder, arguments)?;
    if answer.ok {
        Ok(answer.stdout)
    } else {
        Err(GitError::Failed {
            command: arguments.join(" "),
            folder: folder.to_owned(),
            answer: format!("{} {}", answer.stdout, answer.stderr).trim().to_owned(),
        })
    }
}

/// A revision of a repository, in full. Fails if it has none of that name.
pub fn resolve(tree: &Path, revision: &str) -> Result<String, GitError> {
    git(
        tree,
        &[
            "rev-parse",
            "--verify",
            "--quiet",
            "--end-of-options",
            &format!("{revision}^{{commit}}"),
        ],
    )
    .map_err(|error| match error {
        GitError::Failed { folder, .. } => GitError::Failed {
            command: format!("rev-parse {revision}"),
            folder,
            answer: "there is no such commit".to_owned(),
        },
        other @ GitError::Start(_) => other,
    })
}

/// A clone of our own.
#[derive(Debug, Clone)]
pub struct GitClone {
    folder: PathBuf,
}

impl GitClone {
    /// The clone of `tree` at `folder`, made if it is not there.
    pub fn of(tree: &Path, folder: &Path) -> Result<Self, GitError> {
        if !folder.join(".git").is_dir() {
            let (from, to) = (tree.to_string_lossy(), folder.to_string_lossy());
            let arguments = [
                "clone",
                "--quiet",
                "--shared",
                "--no-checkout",
                "--no-tags",
                "--",
                &from,
                &to,
            ];
            git(Path::new("."), &arguments)?;
        }
        Ok(Self {
            folder: folder.to_owned(),
        })
    }

    /// Where its files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Checks a commit out; what builds left stays, what was changed does not.
    pub fn check_out(&self, commit: &str) -> Result<(), GitError> {
        git(
            &self.folder,
            &["checkout", "--quiet", "--force", "--detach", commit],
        )
        .map(|_| ())
    }

    /// What a commit is called.
    pub fn commit(&self, id: &str) -> Result<Commit, GitError> {
        let answer = git(&self.folder, &["log", "-1", "--format=%H %s", id])?;
        let (id, subject) = answer.split_once(' ').unwrap_or((&answer, ""));
        Ok(Commit {
            id: id.to_owned(),
            subject: subject.to_owned(),
        })
    }

    /// Author, date, message, and which files it touches.
    pub fn description(&self, id: &str) -> Result<String, GitError> {
        git(
            &self.folder,
            &["show", "--stat", "--format=medium", "--no-color", id],
        )
    }

    /// The parents of a commit.
    pub fn parents(&self, id: &str) -> Result<Vec<String>, GitError> {
        let answer = git(&self.folder, &["rev-list", "--parents", "-1", id])?;
        Ok(answer.split(' ').skip(1).map(str::to_owned).collect())
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> Result<String, GitError> {
        git(&self.folder, arguments)
    }

    pub(crate) fn ask(&self, arguments: &[&str]) -> Result<Answer, GitError> {
        ask(&self.folder, arguments)
    }
}
