// SPDX-License-Identifier: MIT OR Apache-2.0
//! A prediction in prose.

use super::parts;
use super::prediction::{Fate, Handled, InjectorEnd, Justification, NotifyCalls, Part, Prediction, Told};
use super::words;

/// One thing that is predicted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// Of which part of the prediction it speaks, as [`parts`] call it.
    pub part: String,
    /// What must come, as a sentence.
    pub says: String,
    /// The rule that it follows from.
    pub rule: Justification,
}

/// What is predicted: who is told what, what the injector gets, what becomes of the filesystem, how the page can be used
/// afterwards. What there is no prediction for is left out; [`compare()`](super::compare()) names it.
pub fn sentences(prediction: &Prediction) -> Vec<Sentence> {
    match prediction {
        Prediction::Panic(justification) => vec![Sentence {
            part: parts::KERNEL.to_owned(),
            says: "The kernel panics.".to_owned(),
            rule: justification.clone(),
        }],
        Prediction::Handled(handled) => of_victims(handled).chain(of_the_rest(handled)).collect(),
    }
}

fn of_victims(handled: &Handled) -> impl Iterator<Item = Sentence> {
    handled.victims.iter().flat_map(|(name, fate)| {
        let fate = fate.known();
        let told = fate.map(|fate| Sentence {
            part: parts::victim(name),
            says: format!("{name} {}, for it {}.", verb(&fate.told), fate.because),
            rule: fate.rule.clone(),
        });
        told.into_iter()
            .chain(fate.into_iter().flat_map(|fate| of_entries(name, fate)))
    })
}

fn of_entries(name: &str, fate: &Fate) -> impl Iterator<Item = Sentence> {
    fate.entries.iter().filter_map(move |entry| {
        let end = if *entry.gone.known()? {
            "is gone afterwards"
        } else {
            "stays"
        };
        let part = parts::entry(name, entry.map);
        Some(Sentence {
            says: format!("{part} {end}."),
            part,
            rule: entry.rule.clone(),
        })
    })
}

fn of_the_rest(handled: &Handled) -> impl Iterator<Item = Sentence> {
    let decided = &handled.decided;
    let afterwards = handled.afterwards.known().and_then(Option::as_ref);
    let parts = [
        sentence(
            parts::INJECTOR,
            &handled.injector,
            decided.end.as_ref(),
            |&end| match end {
                InjectorEnd::NoCall => "Nobody waits for an answer: it is a machine check.".to_owned(),
                returns @ InjectorEnd::Returns(_) => {
                    format!("The injector gets {}.", words::injector(returns))
                }
            },
        ),
        sentence(
            parts::NOTIFY_FAILURE,
            &handled.notify,
            decided.filesystem.as_ref(),
            |&calls| match calls {
                NotifyCalls::Never => "xfs_dax_notify_failure is not called.".to_owned(),
                NotifyCalls::Once(result) => {
                    format!(
                        "xfs_dax_notify_failure is called once and returns {}.",
                        words::returned(result)
                    )
                }
            },
        ),
        sentence(
            parts::FILESYSTEM,
            &handled.filesystem,
            decided.filesystem.as_ref(),
            |&state| format!("Afterwards the filesystem is {}.", words::filesystem(state)),
        ),
        sentence(
            parts::BADBLOCKS,
            &handled.badblocks,
            decided.badblocks.as_ref(),
            |after| match after.added {
                Some(_) => "The page is in the badblocks.".to_owned(),
                None => "The badblocks stay as they are.".to_owned(),
            },
        ),
        sentence(
            parts::EVENT,
            &handled.event,
            decided.end.as_ref(),
            |event| match event {
                Some(result) => format!("memory_failure_event says {}.", result.word()),
                None => "There is no memory_failure_event.".to_owned(),
            },
        ),
        sentence(
            parts::HARDWARE_CORRUPTED,
            &handled.corrupted,
            decided.end.as_ref(),
            |bytes| format!("HardwareCorrupted grows by {bytes} bytes."),
        ),
        afterwards.map(|after| Sentence {
            part: parts::LATER_LOAD.to_owned(),
            says: format!("From then on a load that faults {}.", after.load.end),
            rule: after.load.rule.clone(),
        }),
        afterwards.map(|after| Sentence {
            part: parts::LATER_READ.to_owned(),
            says: format!("From then on read(2) or write(2) {}.", after.read.end),
            rule: after.read.rule.clone(),
        }),
    ];
    parts.into_iter().flatten()
}

fn sentence<T>(
    part: &str,
    prediction: &Part<T>,
    rule: Option<&Justification>,
    says: impl Fn(&T) -> String,
) -> Option<Sentence> {
    Some(Sentence {
        part: part.to_owned(),
        says: says(prediction.known()?),
        rule: rule?.clone(),
    })
}

fn verb(told: &Told) -> String {
    match told {
        Told::Nothing => "gets nothing".to_owned(),
        Told::Dies => "dies of SIGBUS".to_owned(),
        Told::Pending => "keeps SIGBUS pending".to_owned(),
        signals @ Told::Signals { .. } => words::describe_told(signals).replacen("get", "gets", 1),
    }
}
