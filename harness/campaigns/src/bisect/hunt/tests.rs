// SPDX-License-Identifier: MIT OR Apache-2.0
//! Bisections of small repositories, with an examiner that reads the answer from a file instead of booting anything.

use super::*;
use crate::lab::git_clone::git;
use crate::lab::trial::{tests::result, weigh};
use reports::Verdict;
use std::cell::Cell;

/// Commits `0..count`, one file each, with `state` of the commits that the list names.
fn repository(folder: &Path, count: usize, states: &[(usize, &str)]) -> Vec<String> {
    let ask = |arguments: &[&str]| git(folder, arguments).unwrap();
    ask(&["init", "--quiet"]);
    for (name, value) in [
        ("user.name", "a"),
        ("user.email", "a@example.org"),
        ("gc.auto", "0"),
    ] {
        ask(&["config", name, value]);
    }
    let mut state = "pass".to_owned();
    (0..count)
        .map(|number| {
            if let Some((_, new)) = states.iter().find(|(at, _)| *at == number) {
                state = (*new).to_owned();
            }
            std::fs::write(folder.join("state"), &state).unwrap();
            std::fs::write(folder.join("number"), number.to_string()).unwrap();
            ask(&["add", "-A"]);
            ask(&["commit", "--quiet", "-m", &format!("commit {number}")]);
            ask(&["rev-parse", "HEAD"])
        })
        .collect()
}

/// Reads `state`: pass, fail, other (fails elsewhere), skip, rare (fails every third round).
#[derive(Default)]
struct Reader {
    examined: Vec<String>,
    rounds: u32,
    /// Gives up at this one.
    stop_at: Option<usize>,
}

impl Examiner for Reader {
    fn examine(
        &mut self,
        tree: &Path,
        rounds: u32,
        like: Option<&Signature>,
        _out: &Path,
    ) -> Result<Trial, Trouble> {
        if self.stop_at == Some(self.examined.len()) {
            return Err(Trouble::Interrupted);
        }
        let read = |name: &str| std::fs::read_to_string(tree.join(name)).unwrap();
        self.examined.push(read("number"));
        let state = read("state");
        let mut round = || {
            self.rounds += 1;
            let (verdict, step) = match state.as_str() {
                "fail" => (Verdict::Fail, 3),
                "rare" if self.rounds.is_multiple_of(3) => (Verdict::Fail, 3),
                "other" => (Verdict::Fail, 1),
                "skip" => (Verdict::Broken, 0),
                _ => (Verdict::Pass, 0),
            };
            vec![result("a/b", verdict, step)]
        };
        let results: Vec<_> = (0..rounds).map(|_| round()).collect();
        // What a build leaves behind, and changes.
        std::fs::write(tree.join("number"), "changed by the build").unwrap();
        Ok(weigh(&results, like))
    }
}

fn order(folder: &Path, commits: &[String]) -> Order {
    Order {
        tree: folder.join("repository"),
        good: commits[0].clone(),
        bad: commits[commits.len() - 1].clone(),
        cases: vec!["a/b".to_owned()],
        work: folder.join("work"),
        resume: false,
    }
}

fn made(count: usize, states: &[(usize, &str)]) -> (tempfile::TempDir, Vec<String>, Order) {
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("repository");
    std::fs::create_dir(&tree).unwrap();
    let commits = repository(&tree, count, states);
    let order = order(folder.path(), &commits);
    (folder, commits, order)
}

#[test]
fn the_guilty_commit_is_found_and_the_users_tree_untouched() {
    let (folder, commits, order) = made(30, &[(7, "skip"), (8, "pass"), (17, "fail")]);
    let before = git(&order.tree, &["for-each-ref"]).unwrap();
    let mut reader = Reader::default();
    let found = hunt(&order, &mut reader, &|_| ()).unwrap();
    assert_eq!(
        (&found.commit.id, &found.last_good.id),
        (&commits[17], &commits[16])
    );
    assert_eq!(
        (found.bad.outcome, found.good.outcome),
        (TrialOutcome::Bad, TrialOutcome::Good)
    );
    assert!(
        found.description.contains("commit 17") && found.confidence > 0.99,
        "{}",
        found.confidence
    );
    assert!(reader.examined.len() < 10, "{:?}", reader.examined);
    assert_eq!(git(&order.tree, &["for-each-ref"]).unwrap(), before);
    assert_eq!(git(&order.tree, &["status", "--porcelain"]).unwrap(), "");
    assert_eq!(
        git(&order.tree, &["worktree", "list"]).unwrap().lines().count(),
        1
    );
    // The log leads a bisection of somebody else to the same commit.
    let other = folder.path().join("other");
    git(
        folder.path(),
        &[
            "clone",
            "--quiet",
            order.tree.to_str().unwrap(),
            other.to_str().unwrap(),
        ],
    )
    .unwrap();
    let answer = git(&other, &["bisect", "replay", found.log.to_str().unwrap()]).unwrap();
    assert!(
        answer.contains(&format!("{} is the first bad commit", commits[17])),
        "{answer}"
    );
}

#[test]
fn a_defect_that_shows_every_third_time_is_found_with_more_rounds() {
    let (_folder, commits, order) = made(12, &[(5, "rare")]);
    let mut reader = Reader::default();
    let found = hunt(&order, &mut reader, &|_| ()).unwrap();
    assert_eq!(found.commit.id, commits[5]);
    assert!(found.good.passes > 4, "{:?}", found.good);
}

#[test]
fn another_defect_in_between_is_skipped() {
    let (_folder, commits, order) = made(16, &[(4, "other"), (6, "pass"), (11, "fail")]);
    let found = hunt(&order, &mut Reader::default(), &|_| ()).unwrap();
    assert_eq!(found.commit.id, commits[11]);
}

#[test]
fn an_interrupted_one_goes_on_where_it_was() {
    let (_folder, commits, mut order) = made(30, &[(17, "fail")]);
    let mut first = Reader {
        stop_at: Some(4),
        ..Reader::default()
    };
    let stopped = hunt(&order, &mut first, &|_| ()).unwrap_err();
    assert!(stopped.to_string().contains("--resume"), "{stopped}");
    order.resume = true;
    let mut second = Reader::default();
    let found = hunt(&order, &mut second, &|_| ()).unwrap();
    assert_eq!(found.commit.id, commits[17]);
    let confirmed = "16".to_owned();
    let again: Vec<_> = second
        .examined
        .iter()
        .filter(|number| first.examined.contains(number) && **number != confirmed)
        .collect();
    assert!(again.is_empty(), "{again:?}");
}

#[test]
fn wrong_ends_are_told_before_anything_else() {
    let (_folder, _commits, order) = made(8, &[(0, "fail"), (4, "fail")]);
    let text = hunt(&order, &mut Reader::default(), &|_| ())
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("the good end") && text.contains("is not good"),
        "{text}"
    );
    let (_folder, _commits, order) = made(8, &[]);
    let mut reader = Reader::default();
    let text = hunt(&order, &mut reader, &|_| ()).unwrap_err().to_string();
    assert!(text.contains("the bad end") && reader.examined == ["7"], "{text}");
    let unknown = Order {
        good: "v0.0".to_owned(),
        ..order
    };
    let text = hunt(&unknown, &mut Reader::default(), &|_| ())
        .unwrap_err()
        .to_string();
    assert!(text.contains("v0.0") && text.contains("no such commit"), "{text}");
}

#[test]
fn what_hides_among_skipped_commits_is_told_as_candidates() {
    let (_folder, commits, order) = made(10, &[(4, "skip"), (7, "fail")]);
    let lines = Cell::new(0);
    let error = hunt(&order, &mut Reader::default(), &|_| lines.set(lines.get() + 1)).unwrap_err();
    let NotFound::OneOf { candidates, .. } = &error else {
        panic!("{error}");
    };
    let mut ids: Vec<&str> = candidates.iter().map(|(commit, _)| commit.id.as_str()).collect();
    ids.sort_unstable();
    let mut expected: Vec<&str> = commits[4..=7].iter().map(String::as_str).collect();
    expected.sort_unstable();
    assert_eq!(ids, expected);
    assert!(error.to_string().contains("broken") && lines.get() > 5, "{error}");
}
