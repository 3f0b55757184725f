// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the kernel ought to do about a memory error, told from facts of before the error.
//!
//! [`predict()`] is a pure function of (facts, injection, kernel version); its [`rules`] are tables to be read. [`compare()`]
//! holds a prediction against what was [`Observed`], and [`sentences()`] tells it in prose. None of them asks a guest.

mod afterwards;
mod compare;
mod explain;
pub mod facts;
mod observed;
pub mod parts;
mod predict;
mod prediction;
mod reasons;
pub mod rule;
pub mod rules;
pub mod situation;
#[cfg(test)]
mod tests;
pub(crate) mod values;
mod victims;
mod words;

pub use compare::{Comparison, Difference, compare};
pub use explain::{Sentence, sentences};
pub use observed::{Observed, SeenEntry, SeenSignal, SeenVictim};
pub use predict::predict;
pub use prediction::{
    Afterwards, BadblocksAfter, EntryAfter, EventResult, ExpectedSignal, Fate, FilesystemAfter, Handled,
    InjectorEnd, Justification, NotifyCalls, Part, Prediction, SignalCode, SignalPlace, Told, Use,
};
