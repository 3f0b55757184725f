// SPDX-License-Identifier: MIT OR Apache-2.0
//! What it costs: guests, verdicts and waiting, measured side by side in one run.
//!
//! Nothing is asserted here. What is compared is measured in turns, so that the machine's other work hits both; each
//! number comes with its range, and ratios are of medians.

mod beginnings;
mod endurance;
mod error;
mod fresh;
mod report;
mod spread;
mod suite;
mod usage;
mod workplace;

pub use beginnings::{Beginnings, CloneTimes};
pub use endurance::{AtOnce, Soak};
pub use error::BenchError;
pub use report::{FirstVerdict, Report, Suite, Suites};
pub use spread::Spread;
pub use usage::{Belongings, HostFacts};

use crate::snapshot::{Template, Workshop};
use fresh::FreshCache;
use guest_images::{Cache, KernelSpec};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use suite::{Pass, pass};
use testcases::{Case, Isolation};
use tokio_util::sync::CancellationToken;
use workplace::Workplace;

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
    let passes = suites(plan, cancel, say).await?;
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
        first_verdict_s: FirstVerdict::of(&passes.cold, &passes.warm).ok_or(BenchError::NoRounds)?,
        soak,
        at_once,
    })
}

async fn beginnings(
    plan: &Plan,
    workplace: &Workplace,
    workshop: &Workshop<'_>,
    template: &Template,
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

/// Passes over the suite, by what they found when they began.
#[derive(Default)]
struct Passes {
    /// Templates.
    warm: Vec<Pass>,
    /// Nothing that it wanted: every case boots.
    boot: Vec<Pass>,
    /// No templates, and made them.
    cold: Vec<Pass>,
}

async fn suites(
    plan: &Plan,
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
        let fresh = FreshCache::over(&plan.cache)?;
        passes
            .cold
            .push(pass(plan, &fresh.cache, Isolation::Clone, cancel).await?);
    }
    Ok(passes)
}
