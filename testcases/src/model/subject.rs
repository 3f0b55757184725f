// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a step is about: the word that a case writes, on which file or victim, and where.

use super::words::list;
use super::{Action, Expect, Operation, Place, describe_target};

/// On what, and where.
type Subject = (Option<String>, Option<Place>);

impl Action {
    /// The words of the steps that are no operations.
    pub(crate) const OTHER_WORDS: [&'static str; 7] =
        ["victim", "fork", "release", "watch", "mark", "inject", "expect"];

    /// The word that a case writes; of an expectation, that of the operation that it tries.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Operation(operation) | Self::Expect(Expect::Operation { operation, .. }) => {
                operation.word()
            }
            Self::Victim(_) => "victim",
            Self::Fork(_) => "fork",
            Self::Release(_) => "release",
            Self::Watch(_) => "watch",
            Self::Mark(_) => "mark",
            Self::Inject(_) => "inject",
            Self::Expect(Expect::State(_)) => "expect",
        }
    }

    /// On which file, victim or other thing, and at which place of it.
    pub(super) fn subject(&self) -> Subject {
        match self {
            Self::Operation(operation) | Self::Expect(Expect::Operation { operation, .. }) => {
                operation.facts().subject
            }
            Self::Victim(victim) => (Some(victim.name.to_string()), None),
            Self::Fork(fork) => (Some(fork.victim.to_string()), None),
            Self::Release(release) => (Some(list(&release.victims)), None),
            Self::Watch(watcher) => (Some(watcher.as_str().to_owned()), None),
            Self::Mark(mark) => (Some(mark.name.to_string()), None),
            Self::Inject(injection) => (Some(describe_target(&injection.at)), None),
            Self::Expect(Expect::State(_)) => (None, None),
        }
    }
}

impl Operation {
    /// The word that a case writes.
    pub fn word(&self) -> &'static str {
        self.facts().word
    }
}
