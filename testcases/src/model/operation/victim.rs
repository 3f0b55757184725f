// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a victim does.

use serde::Serialize;

use super::{DataAccess, Effect, InMapping, OperationFacts, Verb, Writes};
use crate::model::{Advice, AdviseSpec, Place, PolicySpec, StoreSpec, VictimPlace};
use crate::value::{Bytes, VictimName};

/// Something that a victim does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum VictimOperation {
    /// Has a victim read one byte through its mapping.
    Touch(VictimPlace),
    /// Has a victim write one byte through its mapping.
    Store(StoreSpec),
    /// Has a victim unmap one of its mappings.
    Unmap {
        /// The victim.
        victim: VictimName,
        /// Which of its mappings, counted from 0.
        map: u32,
    },
    /// Changes the memory-failure policy of a victim, or of one of its threads.
    Policy(PolicySpec),
    /// Has a victim give advice on a part of its mapping (madvise(2)) that injects nothing.
    Advise(AdviseSpec),
}

/// What differs from one to another.
struct Row<'a> {
    word: &'static str,
    verb: Verb,
    object: String,
    victim: &'a VictimName,
    place: Option<Place>,
    writes: Writes<'a>,
    data: DataAccess<'a>,
}

impl VictimOperation {
    /// What is known of it.
    pub(super) fn facts(&self) -> OperationFacts<'_> {
        let row = self.row();
        OperationFacts {
            word: row.word,
            verb: row.verb,
            object: row.object,
            subject: (Some(row.victim.to_string()), row.place),
            needs_mount: false,
            writes: row.writes,
            uses: Vec::new(),
            effect: Effect::Nothing,
            data: row.data,
        }
    }

    fn row(&self) -> Row<'_> {
        match self {
            Self::Touch(VictimPlace { victim, place }) => Row {
                word: "touch",
                verb: Verb::of(victim.as_str(), "reads", "reading"),
                object: format!("at {place}"),
                victim,
                place: Some(*place),
                writes: Writes::Nothing,
                data: DataAccess::Byte(beside(victim, *place)),
            },
            Self::Store(StoreSpec { victim, place, fill }) => Row {
                word: "store",
                verb: Verb::of(victim.as_str(), "writes", "writing"),
                object: format!("{fill:#04x} at {place}"),
                victim,
                place: Some(*place),
                writes: Writes::Mapping(beside(victim, *place)),
                data: DataAccess::Byte(beside(victim, *place)),
            },
            Self::Unmap { victim, map } => Row {
                word: "unmap",
                verb: Verb::of(victim.as_str(), "unmaps", "unmapping"),
                object: format!("mapping {map}"),
                victim,
                place: Some(Place {
                    map: *map,
                    at: Bytes(0),
                }),
                writes: Writes::Nothing,
                data: DataAccess::None,
            },
            Self::Policy(PolicySpec { victim, kill, thread }) => {
                let who = match thread {
                    Some(thread) => format!("{victim}'s thread {thread}"),
                    None => victim.to_string(),
                };
                Row {
                    word: "policy",
                    verb: Verb::of(&who, "sets", "setting"),
                    object: format!("its policy to {}", kill.as_str()),
                    victim,
                    place: None,
                    writes: Writes::Nothing,
                    data: DataAccess::None,
                }
            }
            Self::Advise(AdviseSpec {
                victim,
                advice,
                place,
                length,
            }) => Row {
                word: "advise",
                verb: Verb::of(victim.as_str(), "advises", "advising"),
                object: format!("{} at {place} ({length})", advice.as_str()),
                victim,
                place: Some(*place),
                writes: match advice {
                    // MADV_REMOVE punches a hole, which waits like any other.
                    Advice::PopulateWrite | Advice::Remove => Writes::Mapping(beside(victim, *place)),
                    Advice::PopulateRead
                    | Advice::Willneed
                    | Advice::Dontneed
                    | Advice::Dontfork
                    | Advice::Hugepage
                    | Advice::Nohugepage
                    | Advice::Cold
                    | Advice::Pageout => Writes::Nothing,
                },
                data: DataAccess::None,
            },
        }
    }
}

/// A place that stands beside the operation's other keys.
const fn beside(victim: &VictimName, place: Place) -> InMapping<'_> {
    InMapping {
        victim,
        place,
        key: None,
    }
}
