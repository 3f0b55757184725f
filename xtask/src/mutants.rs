// SPDX-License-Identifier: MIT OR Apache-2.0
//! `mutants`: kernels broken on purpose, and who noticed.

use crate::flags::{MutantsFlags, workspace};
use crate::kernel::on_stderr;
use crate::lab::{cases, stopped, with_lab};
use crate::{Stopped, out_folder};
use anyhow::{Context, anyhow};
use guest_images::build::fetch_source;
use guest_images::{Cache, KernelSpec};
use harness::bisect::clone::{Clone, resolve};
use harness::mutants::campaign::{Campaign, CampaignError, mend};
use harness::mutants::fate::line;
use harness::mutants::{Fate, Mutant, load_all, table};
use reports::ExitStatus;
use std::path::{Path, PathBuf};

pub(crate) fn run(flags: MutantsFlags) -> Result<ExitStatus, Stopped> {
    let mutants = wanted(&flags)?;
    if flags.list {
        for mutant in &mutants {
            println!("{}", listed(mutant));
        }
        return Ok(ExitStatus::Ok);
    }
    let cases = cases(&flags.lab, flags.filters.clone())?;
    let (tree, build) = prepared(&flags)?;
    let out = out_folder(None)?;
    let mut fates = Vec::new();
    let ended = with_lab(flags.lab, cases, Some(build), |lab| {
        let campaign = Campaign {
            lab,
            tree: &tree,
            out: &out,
        };
        fates_of(&campaign, &mutants, &mut fates).map_err(campaign_stopped)
    });
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
    for mutant in mutants {
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
        let clone = Clone::of(tree, &work.join("tree")).map_err(Stopped::broken)?;
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
