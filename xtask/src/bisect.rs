// SPDX-License-Identifier: MIT OR Apache-2.0
//! `bisect`: from a good and a bad revision to the guilty commit.

use crate::Stopped;
use crate::flags::{BisectFlags, workspace};
use crate::lab::{cases, stopped, with_lab};
use anyhow::Context;
use campaigns::bisect::compare::side_by_side;
use campaigns::bisect::hunt::{Examiner, Found, NotFound, Order, hunt};
use campaigns::lab::git_clone::resolve;
use campaigns::lab::trial::{Signature, Trial};
use campaigns::lab::{Lab, Trouble};
use harness::run::OutFolder;
use reports::{CaseResult, ExitStatus, RunRecord};
use std::path::{Path, PathBuf};

pub(crate) fn run(flags: BisectFlags) -> Result<ExitStatus, Stopped> {
    let cases = cases(&flags.lab, flags.filters)?;
    let bad = resolve(&flags.tree, &flags.bad).map_err(Stopped::usage)?;
    let work = match flags.work {
        Some(work) => work,
        None => workspace()
            .join("target/bisect")
            .join(bad.get(..12).unwrap_or(&bad)),
    };
    let order = Order {
        tree: flags.tree,
        good: flags.good,
        bad: flags.bad,
        cases: cases.iter().map(|case| case.id.to_string()).collect(),
        work: work.clone(),
        resume: flags.resume,
    };
    eprintln!("clone, build, journal and evidence: {}", work.display());
    let found = with_lab(flags.lab, cases, Some(work.join("build")), |lab| {
        hunt(&order, &mut InLab(lab), &|text| eprintln!("{text}")).map_err(not_found)
    })?;
    print!(
        "{}",
        describe_find(&found, &order.cases).map_err(Stopped::broken)?
    );
    Ok(ExitStatus::Ok)
}

struct InLab<'a>(&'a Lab<'a>);

impl Examiner for InLab<'_> {
    fn examine(
        &mut self,
        tree: &Path,
        rounds: u32,
        like: Option<&Signature>,
        out: &Path,
    ) -> Result<Trial, Trouble> {
        self.0.examine(tree, rounds, like, out)
    }
}

fn not_found(error: NotFound) -> Stopped {
    let status = match &error {
        NotFound::Stopped { trouble } => stopped(trouble),
        NotFound::Git(_) | NotFound::Journal(_) => ExitStatus::Usage,
        NotFound::Write { .. } => ExitStatus::Broken,
        NotFound::End { .. } | NotFound::OneOf { .. } | NotFound::Contradicted => ExitStatus::Failed,
    };
    Stopped {
        status,
        error: error.into(),
    }
}

fn describe_find(found: &Found, cases: &[String]) -> anyhow::Result<String> {
    let (good, bad) = (first_round(&found.evidence.0)?, first_round(&found.evidence.1)?);
    let titles = (
        format!("last good: {}", found.last_good),
        format!("first bad: {}", found.commit),
    );
    Ok(format!(
        "\n{}\n{}\nevidence: {}\n          {}\nlog, for git bisect replay: {}\n\
         cases: {}\nlast good: {} ({})\nfirst bad: {} ({})\n{} commits tested; right with a confidence of {:.1} %\n",
        found.description,
        side_by_side((&titles.0, &good), (&titles.1, &bad)),
        found.evidence.0.display(),
        found.evidence.1.display(),
        found.log.display(),
        cases.join(", "),
        found.last_good,
        found.good.why,
        found.commit,
        found.bad.why,
        found.tested,
        found.confidence * 100.0
    ))
}

/// The results of the round that failed first, or else of the first.
fn first_round(folder: &Path) -> anyhow::Result<Vec<CaseResult>> {
    let mut first = None;
    for round in 1.. {
        let path: PathBuf = folder.join(format!("round-{round}")).join(OutFolder::RECORD);
        if !path.exists() {
            break;
        }
        let record = RunRecord::read(&path).context("the evidence cannot be read")?;
        let failed = record
            .results
            .iter()
            .any(|result| result.verdict == reports::Verdict::Fail);
        if failed {
            return Ok(record.results);
        }
        first.get_or_insert(record.results);
    }
    Ok(first.unwrap_or_default())
}
