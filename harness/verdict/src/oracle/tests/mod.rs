// SPDX-License-Identifier: MIT OR Apache-2.0
//! The oracle's rows: each a small world, what is done to it, and what must come of it, in one line.

mod accesses;
mod comparing;
mod copies;
mod device;
mod errors;
mod explaining;
mod filesystem;
mod owners;
mod signals;
mod tables;
mod world;

use super::facts::{Facts, Injection};
use super::prediction::{Handled, InjectorEnd, Part, Prediction, Told};
use super::{predict, reasons, words};
use std::collections::BTreeSet;
use testcases::KernelVersion;
use world::World;

/// One row of a table.
struct Row {
    /// What it is about.
    name: &'static str,
    facts: Facts,
    injection: Injection,
    kernels: &'static [KernelVersion],
    /// [`summary`] of the prediction on each of these kernels.
    want: String,
}

const V6_1: KernelVersion = KernelVersion::new(6, 1, 0);
const V6_12: KernelVersion = KernelVersion::new(6, 12, 117);
const V6_18: KernelVersion = KernelVersion::new(6, 18, 15);
const V7_2: KernelVersion = KernelVersion::new(7, 2, 13);
const ALL: &[KernelVersion] = &[V6_1, V6_12, V6_18, V7_2];
const OLD: &[KernelVersion] = &[V6_1];
const NEW: &[KernelVersion] = &[V6_12, V6_18, V7_2];

fn row(
    name: &'static str,
    world: World,
    kernels: &'static [KernelVersion],
    victims: &str,
    rest: impl Into<String>,
) -> Row {
    let (facts, injection) = world.finish();
    Row {
        name,
        facts,
        injection,
        kernels,
        want: format!("{victims} | {}", rest.into()),
    }
}

/// What comes after the victims when the filesystem has handled the error and nothing is shut down.
const RECOVERED: &str = "injector ok, notify 0, up, badblocks same, event Recovered, corrupted 4096";
/// The same for a machine check.
const RECOVERED_MCE: &str = "injector -, notify 0, up, badblocks more, event Recovered, corrupted 4096";
/// When the filesystem has shut down.
const SHUT_DOWN: &str = "injector EUCLEAN, notify -EUCLEAN, shut down (corrupt-ondisk), badblocks same, event Failed, corrupted 4096";

fn rows() -> Vec<Row> {
    [
        signals::rows(),
        owners::rows(),
        filesystem::rows(),
        errors::rows(),
        device::rows(),
        copies::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[test]
fn every_row_is_as_predicted() {
    let mut wrong = Vec::new();
    let rows = rows();
    let names: BTreeSet<_> = rows.iter().map(|row| row.name).collect();
    assert_eq!(names.len(), rows.len(), "two rows of one name");
    for row in &rows {
        for kernel in row.kernels {
            let said = summary(&predict(&row.facts, &row.injection, kernel));
            if said != row.want {
                wrong.push(format!(
                    "{} on {kernel}\n  want {}\n  said {said}",
                    row.name, row.want
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// A prediction in one line: victims, whose entries are gone, then everything else.
fn summary(prediction: &Prediction) -> String {
    match prediction {
        Prediction::Panic(_) => "panic".to_owned(),
        Prediction::Handled(handled) => format!("{} | {}", victims(handled), rest(handled)),
    }
}

fn victims(handled: &Handled) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut gone = Vec::new();
    let mut maybe = Vec::new();
    for (name, fate) in &handled.victims {
        let Part::Known(fate) = fate else {
            words.push(format!("{name}: ?"));
            continue;
        };
        let told = match &fate.told {
            Told::Nothing => "-".to_owned(),
            other => words::describe_told(other)
                .replace("BUS_MCEERR_", "")
                .replace("get ", "")
                .replace(" at 4KiB, lsb 12", ""),
        };
        words.push(format!("{name}: {told}"));
        for entry in &fate.entries {
            match entry.gone {
                Part::Known(true) => gone.push(name.as_str()),
                Part::Known(false) => {}
                Part::Unknown(_) => maybe.push(name.as_str()),
            }
        }
    }
    if !gone.is_empty() {
        words.push(format!("gone: {}", gone.join(" ")));
    }
    if !maybe.is_empty() {
        words.push(format!("gone? {}", maybe.join(" ")));
    }
    words.join(", ")
}

fn rest(handled: &Handled) -> String {
    fn part<T>(part: &Part<T>, with: impl Fn(&T) -> String) -> String {
        part.known().map_or("?".to_owned(), with)
    }
    [
        format!(
            "injector {}",
            part(&handled.injector, |&end| match end {
                InjectorEnd::NoCall => "-".to_owned(),
                returns @ InjectorEnd::Returns(_) => words::injector(returns),
            })
        ),
        format!(
            "notify {}",
            part(&handled.notify, |&calls| words::notify(calls)
                .replace("one call returning ", "")
                .replace("no call", "never"))
        ),
        part(&handled.filesystem, |&state| words::filesystem(state)),
        format!(
            "badblocks {}",
            part(&handled.badblocks, |after| match after.added {
                Some(_) => "more".to_owned(),
                None => "same".to_owned(),
            })
        ),
        format!(
            "event {}",
            part(&handled.event, |event| event
                .map_or("none", |event| event.word())
                .to_owned())
        ),
        format!("corrupted {}", part(&handled.corrupted, u64::to_string)),
    ]
    .join(", ")
}
