// SPDX-License-Identifier: MIT OR Apache-2.0
//! A prediction in prose.

use super::prediction::{Handled, InjectorEnd, NotifyCalls, Part, Prediction, Told};
use super::words;
use std::collections::BTreeSet;

/// The prediction as sentences, one a line: who is told what and why, what the injector gets, what becomes of the filesystem,
/// for what there is no prediction; then the rules, each with its function.
pub fn explain(prediction: &Prediction) -> String {
    let lines = match prediction {
        Prediction::Panic(ground) => vec![format!("The kernel panics: {} ({}).", ground.says, ground.from)],
        Prediction::Handled(handled) => sentences(handled),
    };
    lines.join("\n")
}

fn sentences(handled: &Handled) -> Vec<String> {
    let mut lines = Vec::new();
    let mut doubts = Vec::new();
    for (name, fate) in &handled.victims {
        match fate {
            Part::Unknown(why) => doubts.push((name.as_str(), why.as_str())),
            Part::Known(fate) => {
                lines.push(format!("{name} {}: {name} {}.", verb(&fate.told), fate.because));
                for entry in &fate.entries {
                    match &entry.gone {
                        Part::Known(true) => {
                            lines.push(format!("{name}'s page-table entry is gone afterwards."));
                        }
                        Part::Known(false) => lines.push(format!("{name}'s page-table entry stays.")),
                        Part::Unknown(why) => doubts.push((name.as_str(), why.as_str())),
                    }
                }
            }
        }
    }
    let parts = [
        (
            "the injector",
            told(&handled.injector, |&end| match end {
                InjectorEnd::NoCall => "Nobody waits for an answer: it is a machine check.".to_owned(),
                returns @ InjectorEnd::Returns(_) => {
                    format!("The injector gets {}.", words::injector(returns))
                }
            }),
        ),
        (
            "notify_failure",
            told(&handled.notify, |&calls| match calls {
                NotifyCalls::Never => "xfs_dax_notify_failure is not called.".to_owned(),
                NotifyCalls::Once(result) => {
                    format!(
                        "xfs_dax_notify_failure is called once and returns {}.",
                        words::returned(result)
                    )
                }
            }),
        ),
        (
            "the filesystem",
            told(&handled.filesystem, |&state| {
                format!("Afterwards the filesystem is {}.", words::filesystem(state))
            }),
        ),
        (
            "badblocks",
            told(&handled.badblocks, |after| match after.added {
                Some(_) => "The page is in the badblocks.".to_owned(),
                None => "The badblocks stay as they are.".to_owned(),
            }),
        ),
        (
            "memory_failure_event",
            told(&handled.event, |event| match event {
                Some(result) => format!("memory_failure_event says {}.", result.word()),
                None => "There is no memory_failure_event.".to_owned(),
            }),
        ),
        (
            "HardwareCorrupted",
            told(&handled.corrupted, |bytes| {
                format!("HardwareCorrupted grows by {bytes} bytes.")
            }),
        ),
    ];
    for (name, part) in parts {
        match part {
            Ok(sentence) => lines.push(sentence),
            Err(why) => doubts.push((name, why)),
        }
    }
    if let Part::Known(Some(after)) = &handled.afterwards {
        lines.push(format!(
            "From then on a load that faults {}, and read(2) or write(2) {}.",
            after.load.end, after.read.end
        ));
    }
    lines.extend(
        doubts
            .iter()
            .map(|(what, why)| format!("No prediction for {what}: {why}.")),
    );
    lines.push("Rules:".to_owned());
    let mut said = BTreeSet::new();
    lines.extend(
        handled
            .grounds
            .iter()
            .map(|ground| format!("- {}: {} ({})", ground.subject, ground.says, ground.from))
            .filter(|line| said.insert(line.clone())),
    );
    lines
}

fn told<T>(part: &Part<T>, sentence: impl Fn(&T) -> String) -> Result<String, &str> {
    match part {
        Part::Known(value) => Ok(sentence(value)),
        Part::Unknown(why) => Err(why),
    }
}

fn verb(told: &Told) -> String {
    match told {
        Told::Nothing => "gets nothing".to_owned(),
        Told::Dies => "dies of SIGBUS".to_owned(),
        Told::Pending => "keeps SIGBUS pending".to_owned(),
        signals @ Told::Signals { .. } => words::told(signals).replacen("get", "gets", 1),
    }
}
