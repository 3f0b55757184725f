// SPDX-License-Identifier: MIT OR Apache-2.0
//! A whole bisection: both ends, the way between them, and the find confirmed.
//!
//! Which commit is next is git's business (`git bisect`, in a clone of our own); what a commit is, is ours.

use super::confidence::Rate;
use super::journal::{Journal, JournalError, Question};
use crate::lab::Trouble;
use crate::lab::git_clone::{Commit, GitClone, GitError, resolve};
use crate::lab::trial::{Signature, Trial, TrialOutcome};
use std::path::{Path, PathBuf};

/// Rounds at the bad end, from which the rate is taken at which the defect shows.
const ROUNDS_AT_BAD_END: u32 = 3;

/// More rounds than a good word needs, for the one that the find hangs on.
const ROUNDS_TO_CONFIRM: u32 = 2;

/// How often a find may be contradicted by its confirmation before that is told instead.
const ATTEMPTS: u32 = 4;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Order {
    /// The user's repository; it is only read.
    pub tree: PathBuf,
    /// A revision of it that is said to be good.
    pub good: String,
    /// A revision of it that is said to be bad.
    pub bad: String,
    /// The cases, by name.
    pub cases: Vec<String>,
    /// Where clone, journal and evidence are kept.
    pub work: PathBuf,
    /// Go on with what an interrupted bisection knows.
    pub resume: bool,
}

/// Says what a commit is.
pub trait Examiner {
    /// Tests the commit that is checked out in `tree`, keeping evidence in `out`.
    fn examine(
        &mut self,
        tree: &Path,
        rounds: u32,
        like: Option<&Signature>,
        out: &Path,
    ) -> Result<Trial, Trouble>;
}

/// The end of a bisection that found something.
#[derive(Debug)]
pub struct Found {
    /// The commit.
    pub commit: Commit,
    /// What it came to.
    pub bad: Trial,
    /// Its parent, which was tested and is good.
    pub last_good: Commit,
    /// What that came to.
    pub good: Trial,
    /// Who, when, why, and which files.
    pub description: String,
    /// The chance that its parent is rightly called good, 0 to 1; that it is bad itself is proved.
    pub confidence: f64,
    /// How many commits were tested, the ends included.
    pub tested: usize,
    /// The log, for `git bisect replay`.
    pub log: PathBuf,
    /// The evidence of the last good one, and of the first bad one.
    pub evidence: (PathBuf, PathBuf),
}

/// Why nothing was found.
#[derive(Debug, thiserror::Error)]
pub enum NotFound {
    /// git could not do its part.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The journal could not be kept or read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A file could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// An end is not what it was said to be.
    #[error("the {said} end {commit} is not {said}, but: {outcome} ({why})")]
    End {
        /// `good` or `bad`.
        said: &'static str,
        /// The end.
        commit: Commit,
        /// What it is.
        outcome: TrialOutcome,
        /// The reason, in words.
        why: String,
    },
    /// Commits of which nothing can be said hide the one.
    #[error(
        "it is one of these, and nothing can be said of some of them:{}",
        listed(candidates)
    )]
    OneOf {
        /// All that it may be, with what was said of them.
        candidates: Vec<(Commit, String)>,
        /// The log, for `git bisect replay`.
        log: PathBuf,
    },
    /// Confirmations contradicted the finds.
    #[error(
        "each find was contradicted when it was tested again, {ATTEMPTS} times: the defect shows too seldom"
    )]
    Contradicted,
    /// Nothing can be tested any more.
    #[error("{trouble}\nwhat is known so far is kept: go on with --resume")]
    Stopped {
        /// What went wrong.
        trouble: Trouble,
    },
}

fn listed(candidates: &[(Commit, String)]) -> String {
    let lines: Vec<String> = candidates
        .iter()
        .map(|(commit, why)| format!("\n  {commit}: {}", reports::text::one_line(&first_line(why))))
        .collect();
    lines.concat()
}

/// Does it all. `tell` gets a line for each thing that is worth one.
pub fn hunt(order: &Order, examiner: &mut dyn Examiner, tell: &dyn Fn(&str)) -> Result<Found, NotFound> {
    let question = Question {
        good: resolve(&order.tree, &order.good)?,
        bad: resolve(&order.tree, &order.bad)?,
        cases: order.cases.clone(),
    };
    std::fs::create_dir_all(&order.work).map_err(|source| NotFound::Write {
        path: order.work.clone(),
        source,
    })?;
    let journal = if order.resume {
        Journal::resume(&question, &order.work)?
    } else {
        Journal::begin(question.clone(), &order.work)?
    };
    let mut hunt = Hunt {
        clone: GitClone::of(&order.tree, &order.work.join("tree"))?,
        journal,
        examiner,
        tell,
        work: &order.work,
    };
    hunt.all(&question)
}

struct Hunt<'a> {
    clone: GitClone,
    journal: Journal,
    examiner: &'a mut dyn Examiner,
    tell: &'a dyn Fn(&str),
    work: &'a Path,
}

/// What git wants next.
enum Next {
    Test(String),
    Found(String),
    OneOf(Vec<String>),
}

impl Hunt<'_> {
    fn all(&mut self, question: &Question) -> Result<Found, NotFound> {
        let bad = self.test(&question.bad, ROUNDS_AT_BAD_END, None)?;
        self.require("bad", &question.bad, &bad, TrialOutcome::Bad)?;
        let rate = Rate::seen(bad.failures, bad.failures + bad.passes);
        let rounds = rate.rounds_needed();
        (self.tell)(&format!(
            "a commit is called good after {rounds} rounds without that failure"
        ));
        let good = self.test(&question.good, rounds, Some(&bad.signature))?;
        self.require("good", &question.good, &good, TrialOutcome::Good)?;
        let mut end = question.bad.clone();
        for _ in 0..ATTEMPTS {
            let first = self.way_between(&question.good, &end, rounds, &bad.signature)?;
            match self.confirm(&first, rounds + ROUNDS_TO_CONFIRM, &bad.signature)? {
                Confirmed::Yes { parent, trial } => return self.found(&first, &parent, trial),
                Confirmed::ParentIsBad(parent) => {
                    (self.tell)(&format!(
                        "{parent:.12} was called good too early; going on from there"
                    ));
                    end = parent;
                }
            }
        }
        Err(NotFound::Contradicted)
    }

    fn require(
        &self,
        said: &'static str,
        id: &str,
        trial: &Trial,
        outcome: TrialOutcome,
    ) -> Result<(), NotFound> {
        if trial.outcome == outcome {
            return Ok(());
        }
        Err(NotFound::End {
            said,
            commit: self.clone.commit(id)?,
            outcome: trial.outcome,
            why: trial.why.clone(),
        })
    }

    /// Tests a commit, unless the journal knows enough of it.
    fn test(&mut self, id: &str, rounds: u32, like: Option<&Signature>) -> Result<Trial, NotFound> {
        let commit = self.clone.commit(id)?;
        if let Some(known) = self.journal.trials.get(&commit.id)
            && (known.outcome != TrialOutcome::Good || known.passes >= rounds)
        {
            return Ok(known.clone());
        }
        (self.tell)(&format!("testing {commit}"));
        self.clone.check_out(&commit.id)?;
        let out = self.evidence_of(&commit.id);
        let trial = self
            .examiner
            .examine(self.clone.folder(), rounds, like, &out)
            .map_err(|trouble| NotFound::Stopped { trouble })?;
        (self.tell)(&format!(
            "{:.12} {}: {}",
            commit.id,
            trial.outcome,
            first_line(&trial.why)
        ));
        self.journal.note(&commit.id, trial.clone())?;
        Ok(trial)
    }

    fn evidence_of(&self, id: &str) -> PathBuf {
        self.work.join("evidence").join(id.get(..12).unwrap_or(id))
    }

    /// Lets git lead from the ends to the first bad commit.
    fn way_between(
        &mut self,
        good: &str,
        bad: &str,
        rounds: u32,
        like: &Signature,
    ) -> Result<String, NotFound> {
        // The journal knows more of an interrupted bisection than git does, and leads there again at once. From where the
        // clone is: the way back to where it began would touch thousands of files, and all of them would be built again.
        self.clone.ask(&["bisect", "reset", "HEAD"])?;
        self.clone.check_out("HEAD")?;
        let mut next = self.mark(&["bisect", "start", bad, good])?;
        loop {
            let id = match next {
                Next::Test(id) => id,
                Next::Found(id) => {
                    self.keep_log()?;
                    return Ok(id);
                }
                Next::OneOf(ids) => return Err(self.one_of(&ids)?),
            };
            let trial = self.test(&id, rounds, Some(like))?;
            let word = match trial.outcome {
                TrialOutcome::Good => "good",
                TrialOutcome::Bad => "bad",
                TrialOutcome::CannotTell => "skip",
            };
            self.clone.check_out(&id)?;
            next = self.mark(&["bisect", word, &id])?;
        }
    }

    /// Tells git, and reads what it wants next.
    fn mark(&self, arguments: &[&str]) -> Result<Next, NotFound> {
        let answer = self.clone.ask(arguments)?;
        let text = format!("{}\n{}", answer.stdout, answer.stderr);
        if let Some(line) = text
            .lines()
            .find(|line| line.ends_with(" is the first bad commit"))
        {
            return Ok(Next::Found(line.split(' ').next().unwrap_or_default().to_owned()));
        }
        // builtin/bisect.c prints the candidates after this, one a line.
        if let Some((_, rest)) = text.split_once("could be any of:") {
            let is_id = |line: &&str| line.len() >= 40 && line.bytes().all(|byte| byte.is_ascii_hexdigit());
            return Ok(Next::OneOf(
                rest.lines().filter(is_id).map(str::to_owned).collect(),
            ));
        }
        if !answer.ok {
            return Err(NotFound::Git(GitError::Failed {
                command: arguments.join(" "),
                folder: self.clone.folder().to_owned(),
                answer: text.trim().to_owned(),
            }));
        }
        Ok(Next::Test(self.clone.git(&["rev-parse", "HEAD"])?))
    }

    fn one_of(&self, ids: &[String]) -> Result<NotFound, NotFound> {
        let log = self.keep_log()?;
        let mut candidates = Vec::new();
        for id in ids {
            let commit = self.clone.commit(id)?;
            let why = self.journal.trials.get(&commit.id).map_or_else(
                || "not tested".to_owned(),
                |trial| format!("{}: {}", trial.outcome, trial.why),
            );
            candidates.push((commit, why));
        }
        Ok(NotFound::OneOf { candidates, log })
    }

    /// Writes git's log beside the journal.
    fn keep_log(&self) -> Result<PathBuf, NotFound> {
        let path = self.work.join("bisect.log");
        let text = self.clone.git(&["bisect", "log"])?;
        std::fs::write(&path, text + "\n").map_err(|source| NotFound::Write {
            path: path.clone(),
            source,
        })?;
        Ok(path)
    }

    /// Tests the parent of the find once more, and longer: everything hangs on its being good.
    fn confirm(&mut self, first: &str, rounds: u32, like: &Signature) -> Result<Confirmed, NotFound> {
        let mut good = None;
        for parent in self.clone.parents(first)? {
            let trial = self.test(&parent, rounds, Some(like))?;
            match trial.outcome {
                TrialOutcome::Bad => return Ok(Confirmed::ParentIsBad(parent)),
                TrialOutcome::CannotTell => {
                    return Err(self.one_of(&[parent, first.to_owned()])?);
                }
                TrialOutcome::Good => good = Some((parent, trial)),
            }
        }
        match good {
            Some((parent, trial)) => Ok(Confirmed::Yes { parent, trial }),
            // A commit without parents cannot lie between two others.
            None => Err(NotFound::Contradicted),
        }
    }

    fn found(&self, first: &str, parent: &str, good: Trial) -> Result<Found, NotFound> {
        let trials = &self.journal.trials;
        let proofs = trials.values().filter(|trial| trial.outcome == TrialOutcome::Bad);
        let (failures, passes) = proofs.fold((0, 0), |(failures, passes), trial| {
            (failures + trial.failures, passes + trial.passes)
        });
        let rate = Rate::seen(failures, failures + passes);
        let commit = self.clone.commit(first)?;
        let bad = trials
            .get(&commit.id)
            .cloned()
            .unwrap_or_else(|| Trial::cannot_tell(""));
        let last_good = self.clone.commit(parent)?;
        Ok(Found {
            evidence: (self.evidence_of(&last_good.id), self.evidence_of(&commit.id)),
            description: self.clone.description(first)?,
            commit,
            bad,
            last_good,
            confidence: 1.0 - rate.missed_in(good.passes),
            good,
            tested: trials.len(),
            log: self.work.join("bisect.log"),
        })
    }
}

enum Confirmed {
    Yes { parent: String, trial: Trial },
    ParentIsBad(String),
}

/// A compiler's complaint has many lines; the first is what it is about.
fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
