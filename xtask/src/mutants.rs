// SPDX-License-Identifier: MIT OR Apache-2.0
//! `mutants`: kernels broken on purpose, and who noticed.

use crate::flags::{MutantsFlags, workspace};
use crate::kernel::on_stderr;
use crate::lab::{cases, stopped, with_lab};
use crate::{Stopped, out_folder};
use anyhow::{Context, anyhow};
use campaigns::lab::git_clone::{GitClone, resolve};
use campaigns::mutants::campaign::{Campaign, CampaignError, mend};
use campaigns::mutants::fate::line;
use campaigns::mutants::{Cases, Fate, Mutant, load_all, page, table};
use guest_images::build::fetch_source;
use guest_images::{Cache, KernelSpec};
use reports::ExitStatus;
use std::path::{Path, PathBuf};
use testcases::Case;

pub(crate) fn run(flags: MutantsFlags) -> Result<ExitStatus, Stopped> {
    let mutants = wanted(&flags)?;
    if flags.list {
        for mutant in &mutants {
            println!("{}", listed(mutant));
        }
        return Ok(ExitStatus::Ok);
    }
    let cases = cases_for(&flags, &mutants)?;
    if let Some(file) = &flags.table {
        // Looked at before hours go by.
        page_in(file)?;
    }
    let (tree, build) = prepared(&flags)?;
    let out = out_folder(None)?;
    let mut fates = Vec::new();
    let ended = with_lab(flags.lab, cases, Some(build), |lab| {
        let campaign = Campaign {
            lab,
            tree: &tree,
            out: &out,
            cases: if flags.named { Cases::Named } else { Cases::All },
        };
        fates_of(&campaign, &mutants, &mut fates).map_err(campaign_stopped)
    });
    fates.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
    let names: Vec<(&str, &Fate)> = fates
        .iter()
        .map(|(mutant, fate)| (mutant.name.as_str(), fate))
        .collect();
    let record = serde_json::to_vec_pretty(&names)
        .context("cannot write the fates as JSON")
        .map_err(Stopped::broken)?;
    reports::files::write_atomically(out.join("mutants.json"), &record).map_err(Stopped::broken)?;
    eprintln!("records: {}", out.display());
    // Also of a campaign that was ended early: what is known is known.
    println!("{}", table(&fates));
    if let Some(file) = &flags.table {
        let all = load_all(&flags.mutants).map_err(Stopped::usage)?;
        let text = page::update(&page_in(file)?, &all, &fates)
            .with_context(|| format!("cannot put the table into {}", file.display()))
            .map_err(Stopped::usage)?;
        reports::files::write_atomically(file, text.as_bytes()).map_err(Stopped::broken)?;
    }
    ended?;
    Ok(if fates.iter().all(|(_, fate)| fate.is_well()) {
        ExitStatus::Ok
    } else {
        ExitStatus::Failed
    })
}

fn fates_of<'m>(
    campaign: &Campaign<'_>,
    mutants: &'m [Mutant],
    fates: &mut Vec<(&'m Mutant, Fate)>,
) -> Result<(), CampaignError> {
    mend(campaign.tree)?;
    let unchanged = campaign.unchanged()?;
    // Between two mutants of one file there is only that file to compile.
    let mut by_file: Vec<&Mutant> = mutants.iter().collect();
    by_file.sort_by(|one, other| one.file.cmp(&other.file));
    for mutant in by_file {
        let fate = campaign.try_one(mutant, &unchanged)?;
        eprintln!("{}", line(mutant, &fate, 0));
        fates.push((mutant, fate));
    }
    Ok(())
}

fn campaign_stopped(error: CampaignError) -> Stopped {
    let status = match &error {
        CampaignError::Trouble(trouble) => stopped(trouble),
        CampaignError::File { .. } => ExitStatus::Broken,
        CampaignError::Unchanged { .. } => ExitStatus::Failed,
    };
    Stopped {
        status,
        error: error.into(),
    }
}

fn wanted(flags: &MutantsFlags) -> Result<Vec<Mutant>, Stopped> {
    let mut mutants = load_all(&flags.mutants).map_err(Stopped::usage)?;
    if !flags.names.is_empty() {
        mutants.retain(|mutant| flags.names.iter().any(|name| mutant.name.contains(name)));
    }
    if mutants.is_empty() {
        return Err(Stopped::usage(anyhow!(
            "there is no such mutant; `cargo xtask mutants --list` names them all"
        )));
    }
    Ok(mutants)
}

/// What the unchanged kernel is tried with: everything that some mutant gets.
fn cases_for(flags: &MutantsFlags, mutants: &[Mutant]) -> Result<Vec<Case>, Stopped> {
    let mut cases = cases(&flags.lab, flags.filters.clone())?;
    if flags.named {
        cases.retain(|case| mutants.iter().any(|mutant| mutant.names(case.id.as_str())));
        if cases.is_empty() {
            return Err(Stopped::usage(anyhow!(
                "none of these mutants names a case that is there; without --named they get all cases"
            )));
        }
    }
    Ok(cases)
}

/// The text of a file that has a place for the table.
fn page_in(file: &Path) -> Result<String, Stopped> {
    let text = std::fs::read_to_string(file)
        .with_context(|| format!("cannot read {}", file.display()))
        .map_err(Stopped::usage)?;
    page::update(&text, &[], &[])
        .with_context(|| format!("cannot put a table into {}", file.display()))
        .map_err(Stopped::usage)?;
    Ok(text)
}

fn listed(mutant: &Mutant) -> String {
    let who = match (&mutant.equivalent, &mutant.noticed_by[..]) {
        (Some(_), _) => "nobody can notice".to_owned(),
        (None, []) => "no case is named for it".to_owned(),
        (None, some) => some.join(", "),
    };
    format!(
        "{:<36} {:<28} {who}: {}",
        mutant.name,
        mutant.file.display(),
        mutant.breaks
    )
}

/// The tree to break, and where to build it.
fn prepared(flags: &MutantsFlags) -> Result<(PathBuf, PathBuf), Stopped> {
    let place = |name: &str| {
        let default = || workspace().join("target/mutants").join(name);
        flags.work.clone().unwrap_or_else(default)
    };
    let work = if let Some(tree) = &flags.tree {
        let head = resolve(tree, "HEAD").map_err(Stopped::usage)?;
        let work = place(head.get(..12).unwrap_or(&head));
        make_folder(&work)?;
        let clone = GitClone::of(tree, &work.join("tree")).map_err(Stopped::broken)?;
        clone.check_out(&head).map_err(Stopped::broken)?;
        work
    } else {
        let name = match &flags.source {
            Some(name) => name.clone(),
            None => KernelSpec::default_kernel().map_err(Stopped::broken)?.to_string(),
        };
        let work = place(&name);
        make_folder(&work)?;
        let cache = Cache::open(flags.lab.cache.root.clone()).map_err(Stopped::of_images)?;
        fetch_source(&name, &work.join("tree"), &cache, &on_stderr()).map_err(Stopped::of_images)?;
        work
    };
    Ok((work.join("tree"), work.join("build")))
}

fn make_folder(folder: &Path) -> Result<(), Stopped> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))
        .map_err(Stopped::broken)
}
