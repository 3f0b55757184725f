// SPDX-License-Identifier: MIT OR Apache-2.0
//! What it costs: guests, verdicts and waiting, measured side by side in one run.
//!
//! Nothing is asserted here. What is compared is measured in turns, so that the machine's other work hits both; each
//! number comes with its range, and ratios are of medians.

mod beginnings;
mod endurance;
mod error;
mod fresh;
mod others;
mod report;
mod spread;
mod suite;
mod usage;
mod workplace;

pub use beginnings::{Beginnings, CloneTimes};
pub use endurance::{AtOnce, Soak};
pub use error::BenchError;
pub use others::BothWays;
pub use report::{FirstVerdict, Report, Suite, Suites};
pub use spread::Spread;
pub use usage::{Belongings, HostFacts};

use fresh::{FreshCache, Without};
use guest_images::progress::Silent;
use guest_images::{Cache, KernelSpec, Packaged};
use machine::snapshot::{Snapshot, Workshop};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use suite::{Pass, pass, pass_on};
use testcases::{Case, Isolation};
use tokio_util::sync::CancellationToken;
use workplace::Workplace;

/// One of how many cases stands for the suite.
const SAMPLE: usize = 10;

/// Every tenth case, in the order of their names: a suite that can be booted for, case by case, while one waits.
pub fn sample(cases: Vec<Case>) -> Vec<Case> {
    cases.into_iter().step_by(SAMPLE).collect()
}

/// What is to be measured.
#[derive(Debug)]
pub struct Plan {
    /// The suite.
    pub cases: Vec<Case>,
    /// The kernel.
    pub kernel: KernelSpec,
    /// A QEMU to use instead of the one that would be found.
    pub qemu: Option<PathBuf>,
    /// Where packages, kernels, images and templates are kept.
    pub cache: Cache,
    /// How often each beginning is measured.
    pub rounds: NonZeroUsize,
    /// How often the whole suite is run: each time from templates, by booting, and with no template there yet.
    pub suite_rounds: NonZeroUsize,
    /// Clones in a row, if any.
    pub soak: Option<NonZeroUsize>,
    /// Clones at once, if any.
    pub at_once: Option<NonZeroUsize>,
}

/// Measures it all; `say` hears how far it is. Ends early when `cancel` is cancelled.
pub async fn measure(
    plan: &Plan,
    cancel: &CancellationToken,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Report, BenchError> {
    tokio::select! {
        report = all(plan, cancel, say) => report,
        () = cancel.cancelled() => Err(BenchError::Interrupted),
    }
}

async fn all(
    plan: &Plan,
    cancel: &CancellationToken,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Report, BenchError> {
    say("one pass over the suite that is not measured, so that everything is cached");
    let prepared = pass(plan, &plan.cache, Isolation::Clone, cancel).await?;
    let accelerator = prepared.accelerator.parse()?;
    let workplace = Workplace::of(plan, accelerator)?;
    let workshop = workplace.workshop(say);
    // A suite without cases has judged nothing, so there is one.
    let wanted = plan
        .cases
        .first()
        .map(|case| case.template.clone())
        .unwrap_or_default();
    let template = workplace::template(&workshop, &wanted).await?;

    let rounds = beginnings(plan, &workplace, &workshop, &template, say).await?;
    let packaged = match &plan.kernel {
        KernelSpec::Named(name) => {
            let found = guest_images::packaged(name, &plan.cache, &Silent);
            Some(found.map_err(|source| BenchError::Images {
                what: "packaged kernel",
                source,
            })?)
        }
        KernelSpec::Path { .. } | KernelSpec::Tree { .. } => None,
    };
    let case = match &packaged {
        Some(packaged) => both_ways(plan, &workplace, &workshop, &template, packaged, say).await?,
        None => None,
    };
    let passes = suites(plan, &workplace, packaged.as_ref(), cancel, say).await?;
    let soak = match plan.soak {
        Some(clones) => {
            say(&format!("soak: a vandal, then {clones} clones in a row"));
            Some(endurance::soak(&workplace, &workshop, &template, clones, say).await?)
        }
        None => None,
    };
    let at_once = match plan.at_once {
        Some(clones) => {
            say(&format!("at once: {clones} clones"));
            Some(endurance::at_once(&workplace, &workshop, &template, clones).await?)
        }
        None => None,
    };
    let kernel = &workplace.image.kernel;
    Ok(Report {
        kernel: kernel.name.clone(),
        kernel_release: kernel.release.clone(),
        qemu: workplace.qemu.version_text.clone(),
        accelerator: prepared.accelerator,
        host: HostFacts::look()?,
        rounds: plan.rounds.get(),
        beginnings: rounds,
        suite: Suites {
            cases: plan.cases.len(),
            rounds: plan.suite_rounds.get(),
            clone: Suite::of(&passes.warm).ok_or(BenchError::NoRounds)?,
            boot: Suite::of(&passes.boot).ok_or(BenchError::NoRounds)?,
        },
        case,
        first_verdict_s: FirstVerdict::of(&passes).ok_or(BenchError::NoRounds)?,
        soak,
        at_once,
    })
}

async fn beginnings(
    plan: &Plan,
    workplace: &Workplace,
    workshop: &Workshop<'_>,
    template: &Snapshot,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Beginnings, BenchError> {
    let mut rounds = Vec::new();
    for number in 1..=plan.rounds.get() {
        say(&format!(
            "round {number} of {}: bare QEMU, cold boot, clone",
            plan.rounds
        ));
        rounds.push(beginnings::round(workplace, workshop, template).await?);
    }
    Beginnings::of(&rounds).ok_or(BenchError::NoRounds)
}

/// One case in a clone and in a guest that boots what is packaged; none if there is no case for this kernel.
async fn both_ways(
    plan: &Plan,
    workplace: &Workplace,
    workshop: &Workshop<'_>,
    template: &Snapshot,
    packaged: &Packaged,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Option<BothWays>, BenchError> {
    let wanted = plan.cases.first().map(|case| case.template.clone());
    let version = workplace.image.kernel.version.parse()?;
    let Some(case) = others::chosen(&plan.cases, &wanted.unwrap_or_default(), &version) else {
        return Ok(None);
    };
    let mut times = Vec::new();
    for number in 1..=plan.rounds.get() {
        say(&format!(
            "{}, {number} of {}: in a clone, and in a guest that boots the packaged bzImage",
            case.id, plan.rounds
        ));
        let subject = (case, &version);
        times.push(others::round(workplace, workshop, template, subject, &packaged.bzimage).await?);
    }
    Ok(BothWays::of(case, &times))
}

/// Passes over the suite, by what they found when they began.
#[derive(Default)]
struct Passes {
    /// Templates.
    warm: Vec<Pass>,
    /// Nothing that it wanted: every case boots.
    boot: Vec<Pass>,
    /// No templates, and made them.
    cold: Vec<Pass>,
    /// A build tree with a new vmlinux, and so neither image nor templates.
    rebuilt: Vec<Pass>,
}

/// A pass over the suite with a kernel that differs from the plan's by what nobody looks at; none if there is no vmlinux.
async fn rebuilt(
    plan: &Plan,
    workplace: &Workplace,
    packaged: &Packaged,
    cancel: &CancellationToken,
) -> Result<Option<Pass>, BenchError> {
    let images = |source| BenchError::Images {
        what: "build tree",
        source,
    };
    let tree = tempfile::Builder::new()
        .prefix("taster-bench-")
        .tempdir()
        .map_err(|source| BenchError::io("make", "a temporary folder for a build tree", source))?;
    let mark = jiff::Timestamp::now().to_string();
    let kernel = &workplace.image.kernel;
    if !guest_images::lay_out_tree(kernel, packaged, tree.path(), mark.as_bytes()).map_err(images)? {
        return Ok(None);
    }
    let kernel = KernelSpec::Tree {
        tree: tree.path().to_owned(),
        modules: None,
    };
    let fresh = FreshCache::over(&plan.cache, Without::Images)?;
    pass_on(plan, &kernel, &fresh.cache, Isolation::Clone, cancel)
        .await
        .map(Some)
}

async fn suites(
    plan: &Plan,
    workplace: &Workplace,
    packaged: Option<&Packaged>,
    cancel: &CancellationToken,
    say: &(dyn Fn(&str) + Sync),
) -> Result<Passes, BenchError> {
    let mut passes = Passes::default();
    for number in 1..=plan.suite_rounds.get() {
        let of = |what: &str| say(&format!("the suite, {number} of {}: {what}", plan.suite_rounds));
        of("clones");
        passes
            .warm
            .push(pass(plan, &plan.cache, Isolation::Clone, cancel).await?);
        of("boots");
        passes
            .boot
            .push(pass(plan, &plan.cache, Isolation::Boot, cancel).await?);
        of("clones, with no template there yet");
        let fresh = FreshCache::over(&plan.cache, Without::Templates)?;
        passes
            .cold
            .push(pass(plan, &fresh.cache, Isolation::Clone, cancel).await?);
        drop(fresh);
        if let Some(packaged) = packaged {
            of("clones, of a vmlinux that nobody has seen");
            passes
                .rebuilt
                .extend(rebuilt(plan, workplace, packaged, cancel).await?);
        }
    }
    Ok(passes)
}
