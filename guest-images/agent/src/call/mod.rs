// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the host asks of `guest-agent serve`, each request with the type of its answer.
//!
//! One JSON object per line in each direction. Requests carry a number and are answered in any order, so that
//! one that hangs in the kernel does not silence the others. What the *kernel* refuses is data
//! ([`Outcome::Refused`] with its errno); what the *agent* could not do is a [`Failure`].

mod changes;
mod facts;
mod files;
mod inject;
mod mounts;
mod observe;
mod victims;

pub use changes::*;
pub use facts::*;
pub use files::*;
pub use inject::*;
pub use mounts::*;
pub use observe::*;
pub use victims::*;

use crate::victim::Ended;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A request and the type of its answer.
pub trait Call: Serialize + DeserializeOwned {
    /// The name on the wire.
    const NAME: &'static str;
    /// What comes back.
    type Answer: Serialize + DeserializeOwned;
}

/// A request line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by the host; the answer carries it back.
    pub id: u64,
    /// [`Call::NAME`].
    pub call: String,
    /// The [`Call`] itself.
    pub arguments: serde_json::Value,
}

/// An answer line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// The request's number.
    pub id: u64,
    /// [`Call::Answer`], or why there is none.
    pub result: Result<serde_json::Value, Failure>,
}

/// The agent could not do what it was asked: the harness's trouble, never the kernel's verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("in the guest: {what}")]
pub struct Failure {
    /// What failed, on what, and why.
    pub what: String,
}

/// What the kernel answered to a system call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome<T> {
    /// It was done.
    Done(T),
    /// It was refused.
    Refused(Refusal),
}

/// A system call that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The system call and its object, "open /mnt/a".
    pub what: String,
    /// Linux's number for the error.
    pub errno: i32,
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($wire:literal) -> $answer:ty { $($(#[$field_doc:meta])* $field:ident: $kind:ty),* $(,)? })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub struct $name { $($(#[$field_doc])* pub $field: $kind),* }

            impl $crate::call::Call for $name {
                const NAME: &'static str = $wire;
                type Answer = $answer;
            }
        )*
    };
}
// The folder's files declare theirs by it.
use calls;

calls! {
    /// Who are you?
    Hello("hello") -> Welcome {}

    /// You are a clone that has just been restored: this is the time, and this makes your random numbers your own.
    Resumed("resumed") -> Welcome {
        /// Nanoseconds since 1970, UTC.
        unix_nanos: u64,
        /// Bytes that no other clone is given.
        seed: Vec<u8>,
    }

    /// What does the running kernel lack of what every case needs?
    AskLacking("ask-lacking") -> Vec<String> {}

    /// Runs a program to its end or its deadline. Standard input is empty.
    Run("run") -> RunResult {
        /// Program and arguments; the program is looked up in PATH.
        argv: Vec<String>,
        /// It and its children are killed after so many milliseconds; `None`: never.
        deadline_ms: Option<u64>,
    }

    /// Has a thread run on every CPU in turn, and answers how many there are. A CPU that was in an exception's handler, which
    /// nothing preempts, has left it by then.
    VisitCpus("visit-cpus") -> usize {}
}

/// Answer to [`Hello`] and [`Resumed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// `uname -r`.
    pub release: String,
    /// `/proc/version`.
    pub banner: String,
    /// `/proc/sys/kernel/random/boot_id`: tells one boot from another.
    pub boot_id: String,
    /// Modules that are needed and did not load at boot, each with the reason.
    pub failed_modules: Vec<String>,
}

/// Answer to [`Run`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunResult {
    /// How it ended. `None`: it had not by its deadline, and was killed; if the kernel does not let go of it, it is still
    /// there.
    pub ended: Option<Ended>,
    /// Standard output, lossily decoded; up to the program's end or the deadline. Of a long one, the beginning and the end.
    pub stdout: String,
    /// Standard error, likewise.
    pub stderr: String,
    /// How many bytes of both are left out: none may be missed by whoever looks for something in them.
    pub left_out: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_keeps_the_errno_apart_from_a_failure() {
        let refused: Outcome<()> = Outcome::Refused(Refusal {
            what: "mount".into(),
            errno: 5,
        });
        let text = serde_json::to_string(&refused).unwrap();
        assert_eq!(text, r#"{"refused":{"what":"mount","errno":5}}"#);
        assert_eq!(serde_json::from_str::<Outcome<()>>(&text).unwrap(), refused);
    }
}
