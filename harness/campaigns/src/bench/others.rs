// SPDX-License-Identifier: MIT OR Apache-2.0
//! One case both ways: in a clone, and as other harnesses do it, in a guest booted for it from the distribution's kernel as
//! it is packaged.

use super::workplace::{Workplace, thrown_away};
use super::{BenchError, Spread};
use harness::nvdimm::Stack;
use harness::steps::carry_out;
use harness::template;
use machine::guest::{BOOT_DEADLINE, Guest};
use machine::snapshot::{Snapshot, Workshop};
use serde::Serialize;
use std::path::Path;
use std::time::{Duration, Instant};
use testcases::{Case, KernelVersion};
use verdict::judge::judge;

/// One case, from the start of its guest's process to its verdict.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BothWays {
    /// Which case.
    pub case: String,
    /// In a clone of a template that is there, in seconds.
    pub clone_s: Spread,
    /// In a guest that boots the packaged bzImage, makes namespace and filesystem, and mounts it, in seconds.
    pub packaged_boot_s: Spread,
    /// The latter over the former.
    pub ratio: f64,
}

impl BothWays {
    /// Of these times, clone and boot; none if there are none.
    pub(super) fn of(case: &Case, times: &[(Duration, Duration)]) -> Option<Self> {
        let clone_s = Spread::of(times.iter().map(|(clone, _)| clone.as_secs_f64()))?;
        let packaged_boot_s = Spread::of(times.iter().map(|(_, boot)| boot.as_secs_f64()))?;
        Some(Self {
            case: case.id.to_string(),
            clone_s,
            packaged_boot_s,
            ratio: packaged_boot_s.ratio_to(&clone_s),
        })
    }
}

/// The case that is measured: the first that begins in `template` and is for this kernel.
pub(super) fn chosen<'a>(
    cases: &'a [Case],
    template: &testcases::Template,
    version: &KernelVersion,
) -> Option<&'a Case> {
    cases
        .iter()
        .find(|case| case.template == *template && case.kernel.contains(version))
}

/// Once in a clone, once in a guest that boots `bzimage`.
pub(super) async fn round(
    workplace: &Workplace,
    workshop: &Workshop<'_>,
    template: &Snapshot,
    (case, version): (&Case, &KernelVersion),
    bzimage: &Path,
) -> Result<(Duration, Duration), BenchError> {
    let evidence = thrown_away(workplace.folder());
    let started = Instant::now();
    let guest = workshop.clone_guest(template, evidence.clone()).await?;
    let stack = template::stack(template)?;
    let in_clone = verdict_in(guest, &stack, (case, version), started).await?;

    let mut machine = template.machine().clone();
    machine.boot.kernel = bzimage.to_owned();
    let started = Instant::now();
    let guest = Guest::boot(
        &workplace.hardware,
        &machine,
        &workplace.image,
        evidence,
        BOOT_DEADLINE,
    )
    .await?;
    let stack = template::bring(&guest, &machine, &case.template).await?;
    let booted = verdict_in(guest, &stack, (case, version), started).await?;
    Ok((in_clone, booted))
}

/// How long it has taken, by the time of the verdict; no judgement is no time.
async fn verdict_in(
    guest: Guest,
    stack: &Stack,
    (case, version): (&Case, &KernelVersion),
    started: Instant,
) -> Result<Duration, BenchError> {
    let (evidence, _) = carry_out(&guest, stack, case, &mut |_| {}).await;
    let judgement = judge(case, version, &evidence);
    let took = started.elapsed();
    guest.stop().await;
    if judgement.verdict.is_judgement() {
        Ok(took)
    } else {
        Err(BenchError::NotJudged {
            case: case.id.to_string(),
            why: judgement.reason,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_of_medians() {
        let text = "summary: s\nwhy: w\ntemplate: xfs\nsteps:\n  - expect: { filesystem: up }\n";
        let case = testcases::parse(text, Path::new("a.yaml"), "a".parse().unwrap()).unwrap();
        let seconds = Duration::from_secs;
        let times = [
            (seconds(1), seconds(20)),
            (seconds(2), seconds(30)),
            (seconds(9), seconds(90)),
        ];
        let both = BothWays::of(&case, &times).unwrap();
        assert_eq!((both.ratio, both.clone_s.max), (15.0, 9.0));
        assert_eq!(BothWays::of(&case, &[]), None);
        let version = "6.12".parse().unwrap();
        let cases = [case];
        assert!(chosen(&cases, &testcases::Template::default(), &version).is_some());
        assert!(chosen(&cases, &testcases::Template::Unmounted { nvdimms: 1 }, &version).is_none());
    }
}
