// SPDX-License-Identifier: MIT OR Apache-2.0
//! `bisect-step`: one answer for `git bisect run`, which takes every status from 1 to 127 but 125 for bad.

use crate::flags::BisectStepFlags;
use crate::lab::{cases, stopped, with_lab};
use crate::{Stopped, out_folder};
use campaigns::lab::trial::Trial;
use reports::ExitStatus;
use std::process::ExitCode;

/// Stops a bisection: neither good nor bad, and no other commit will do better.
pub(crate) const STOP: u8 = 129;

/// Whether the command line is one for this, however wrong the rest of it is.
pub(crate) fn is_meant() -> bool {
    std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == "bisect-step")
}

/// A panic ends with 101, which would be bad.
pub(crate) fn stop_at_panic() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        usual(panic);
        std::process::exit(i32::from(STOP));
    }));
}

pub(crate) fn run(flags: BisectStepFlags) -> ExitCode {
    match step(flags) {
        Ok(trial) => {
            // All of it was printed before.
            let why = trial.why.lines().next().unwrap_or_default();
            println!("bisect-step: {}: {}", trial.outcome, reports::text::one_line(why));
            ExitCode::from(trial.outcome.status())
        }
        Err(Stopped { status, error }) => {
            println!(
                "bisect-step: stop: {}",
                reports::text::one_line(&format!("{error:#}"))
            );
            ExitCode::from(if status == ExitStatus::Interrupted {
                status.code()
            } else {
                STOP
            })
        }
    }
}

fn step(flags: BisectStepFlags) -> Result<Trial, Stopped> {
    let cases = cases(&flags.lab, flags.filters)?;
    let out = out_folder(None)?;
    let (tree, repeat) = (flags.tree, flags.repeat);
    with_lab(flags.lab, cases, flags.out, |lab| {
        let trial = lab
            .examine(&tree, repeat, None, &out)
            .map_err(|trouble| Stopped {
                status: stopped(&trouble),
                error: trouble.into(),
            })?;
        eprintln!("evidence: {}", out.display());
        if trial.why.contains('\n') {
            eprintln!("{}", trial.why);
        }
        Ok(trial)
    })
}
