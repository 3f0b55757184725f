// SPDX-License-Identifier: MIT OR Apache-2.0
//! `selftest`: things go wrong around a run, and it must end as it should and leave nothing.
//!
//! Each fault starts the real `test` of this program with real guests, and makes its fault when a definite event has come: a
//! line in events.jsonl, a process. After each, nothing may be left: no process, file, memory or lock.

mod cases;
mod checks;
mod disk;
mod emulator;
mod inputs;
mod leftovers;
mod outputs;
mod processes;
mod replaced;
mod runner;
mod running;
mod setting;
mod signals;
mod trouble;
mod world;

use crate::flags::SelftestFlags;
use crate::{Stopped, interrupt, print};
use anyhow::{Context, anyhow};
use checks::all_pass;
use reports::ExitStatus;
use setting::Setting;
use std::time::{Duration, Instant};
use tokio_util::sync::CancellationToken;
use trouble::{Outcome, Trouble};
use world::World;

/// What blocking work may still take when the self-test was interrupted.
const LAST_MOMENTS: Duration = Duration::from_secs(3);

/// Something that goes wrong.
struct Fault {
    name: &'static str,
    /// In one sentence, what goes wrong and what must come of it.
    about: &'static str,
    make: fn(&World<'_>) -> Outcome,
}

/// All faults, by what they befall.
fn catalogue() -> impl Iterator<Item = &'static Fault> {
    [
        emulator::FAULTS,
        replaced::FAULTS,
        runner::FAULTS,
        signals::FAULTS,
        outputs::FAULTS,
        disk::FAULTS,
        inputs::FAULTS,
    ]
    .into_iter()
    .flatten()
}

pub(crate) fn run(flags: SelftestFlags) -> Result<ExitStatus, Stopped> {
    let faults = wanted(&flags.names)?;
    if flags.list {
        let lines: Vec<String> = faults
            .iter()
            .map(|fault| format!("{:<32} {}", fault.name, fault.about))
            .collect();
        return print::text(&(lines.join("\n") + "\n"), "cannot print the list");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("cannot start the runtime")
        .map_err(Stopped::broken)?;
    let stop = CancellationToken::new();
    runtime
        .block_on(async { interrupt::watch([stop.clone()], ["interrupted: ending the run"]) })
        .context("cannot watch for signals")
        .map_err(Stopped::broken)?;
    let outcome = Setting::prepare(flags, stop).and_then(|setting| all(&setting, &faults));
    runtime.shutdown_timeout(LAST_MOMENTS);
    outcome
}

/// The faults of these names, or with these words in their names; all if there are none.
fn wanted(names: &[String]) -> Result<Vec<&'static Fault>, Stopped> {
    let known: Vec<&str> = catalogue().map(|fault| fault.name).collect();
    let takes = |name: &str, fault: &str| fault == name || !known.contains(&name) && fault.contains(name);
    for name in names {
        if !known.iter().any(|fault| takes(name, fault)) {
            let way_out = testcases::way_out(name, "fault", &known)
                .unwrap_or_else(|| "`cargo xtask selftest --list` names them all".to_owned());
            return Err(Stopped::usage(anyhow!("there is no fault `{name}`: {way_out}")));
        }
    }
    Ok(catalogue()
        .filter(|fault| names.is_empty() || names.iter().any(|name| takes(name, fault.name)))
        .collect())
}

/// One after the other, with a line for each, and a sum.
fn all(setting: &Setting, faults: &[&Fault]) -> Result<ExitStatus, Stopped> {
    // What cannot be done in an unharmed world says nothing about a harmed one; and it makes the templates.
    match in_a_world(setting, unharmed) {
        Ok(()) => {}
        Err(Trouble::Interrupted) => return Err(interrupted("before the first fault")),
        Err(trouble) => {
            return Err(Stopped::broken(anyhow!(
                "where nothing goes wrong: {}",
                describe_trouble(&trouble)
            )));
        }
    }
    let (began, mut wrong, mut not_made) = (Instant::now(), Vec::new(), Vec::new());
    for fault in faults {
        let began = Instant::now();
        let outcome = in_a_world(setting, fault.make);
        let seconds = began.elapsed().as_secs_f64();
        let line = match &outcome {
            Ok(()) => format!("PASS    {} {seconds:.1} s", fault.name),
            Err(Trouble::Interrupted) => {
                return Err(interrupted(&format!("in {}", fault.name)));
            }
            Err(trouble @ Trouble::NotMade(_)) => {
                not_made.push(fault.name);
                format!("NOT RUN {}: {}", fault.name, describe_trouble(trouble))
            }
            Err(trouble @ (Trouble::Wrong { .. } | Trouble::Stuck(_))) => {
                wrong.push(fault.name);
                format!(
                    "FAIL    {}: {} ({seconds:.1} s)",
                    fault.name,
                    describe_trouble(trouble)
                )
            }
        };
        print::text(&format!("{line}\n"), "cannot say how a fault ended")?;
    }
    let sum = sum(faults.len(), &wrong, &not_made, began.elapsed());
    print::text(&sum, "cannot say how the faults ended")?;
    Ok(if !wrong.is_empty() {
        ExitStatus::Failed
    } else if not_made.len() == faults.len() {
        ExitStatus::NothingJudged
    } else {
        ExitStatus::Ok
    })
}

fn interrupted(when: &str) -> Stopped {
    Stopped {
        status: ExitStatus::Interrupted,
        error: anyhow!("interrupted {when}"),
    }
}

fn sum(all: usize, wrong: &[&str], not_made: &[&str], took: Duration) -> String {
    let list = |words: &str, names: &[&str]| match names {
        [] => String::new(),
        names => format!("; {words}: {} ({})", names.len(), names.join(", ")),
    };
    format!(
        "\nfaults: {all} in {:.0} s; ended as they must: {}{}{}\n",
        took.as_secs_f64(),
        all - wrong.len() - not_made.len(),
        list("did not", wrong),
        list("could not be made here", not_made)
    )
}

/// Makes a fault in a new world, and looks for what is left of it.
fn in_a_world(setting: &Setting, make: fn(&World<'_>) -> Outcome) -> Outcome {
    let world = World::new(setting)?;
    make(&world)?;
    world.left_nothing()
}

fn unharmed(world: &World<'_>) -> Outcome {
    world.add_case("quick", cases::QUICK)?;
    all_pass(world, &world.test().start()?.end()?)?;
    Ok(())
}

fn describe_trouble(trouble: &Trouble) -> String {
    match trouble {
        Trouble::Wrong { expected, saw } => format!("expected {expected}, saw {saw}"),
        Trouble::NotMade(why) => why.clone(),
        Trouble::Stuck(error) => format!("it could not be carried out: {error:#}"),
        Trouble::Interrupted => "interrupted".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_fault_has_a_name_of_its_own_and_a_sentence() {
        let names: BTreeSet<&str> = catalogue().map(|fault| fault.name).collect();
        assert_eq!(names.len(), catalogue().count());
        for fault in catalogue() {
            assert!(fault.name.len() <= 32, "{} breaks the columns", fault.name);
            assert!(
                fault.about.contains(": ") && !fault.about.ends_with('.'),
                "{}",
                fault.about
            );
        }
    }

    #[test]
    fn a_name_that_is_mistyped_is_answered_with_the_one_that_was_meant() {
        let one = catalogue().next().unwrap().name;
        let error = wanted(&[one.replacen('e', "x", 1)]).err().unwrap();
        assert_eq!(error.status, ExitStatus::Usage);
        let text = error.error.to_string();
        assert!(text.contains(&format!("did you mean `{one}`?")), "{text}");
        let names = |name: &str| -> Vec<&str> {
            let found = wanted(&[name.to_owned()]).unwrap();
            found.into_iter().map(|fault| fault.name).collect()
        };
        assert_eq!(
            names("memory-full"),
            ["memory-full"],
            "a whole name is no part of others"
        );
        assert!(names("memory-").contains(&"disk-and-memory-full"));
    }

    #[test]
    fn the_sum_names_what_went_wrong_and_what_was_left_out() {
        let text = sum(4, &["a"], &["b", "c"], Duration::from_secs(7));
        assert_eq!(
            text,
            "\nfaults: 4 in 7 s; ended as they must: 1; did not: 1 (a); could not be made here: 2 (b, c)\n"
        );
    }
}
