// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the host asks of `guest-agent serve`, each request with the type of its answer.
//!
//! One JSON object per line in each direction. Requests carry a number and are answered in any order, so that
//! one that hangs in the kernel does not silence the others. What the *kernel* refuses is data
//! ([`Outcome::Refused`] with its errno); what the *agent* could not do is a [`Failure`].

mod changes;
mod facts;
mod files;
mod kernel_files;
mod mounts;
mod observe;
mod victims;

pub use changes::*;
pub use facts::*;
pub use files::*;
pub use kernel_files::*;
pub use mounts::*;
pub use observe::*;
pub use victims::*;
pub use words::{Fill, PageSize, Watcher};

use crate::victim::Ended;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A request and the type of its answer. It is one of [`AnyCall`], so that the guest knows it.
pub trait Call: Serialize + DeserializeOwned + Into<AnyCall> {
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

/// Declares calls, and the enum of them, which the guest matches on: one that it does not answer does not compile.
macro_rules! calls {
    (
        $(#[$enum_doc:meta])* enum $calls:ident;
        $($(#[$doc:meta])* $name:ident($wire:literal) -> $answer:ty { $($(#[$field_doc:meta])* $field:ident: $kind:ty),* $(,)? })*
    ) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub struct $name { $($(#[$field_doc])* pub $field: $kind),* }

            impl $crate::call::Call for $name {
                const NAME: &'static str = $wire;
                type Answer = $answer;
            }

            impl From<$name> for $crate::call::AnyCall {
                fn from(call: $name) -> Self {
                    $calls::$name(call).into()
                }
            }
        )*

        $(#[$enum_doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub enum $calls { $($(#[$doc])* $name($name)),* }

        impl $calls {
            #[cfg(test)]
            pub(super) const NAMES: &'static [&'static str] = &[$($wire),*];

            /// The call of this name, if it is one of these.
            pub(super) fn read(name: &str, arguments: &serde_json::Value) -> Option<serde_json::Result<Self>> {
                match name {
                    $($wire => Some($name::deserialize(arguments).map(Self::$name)),)*
                    _ => None,
                }
            }
        }
    };
}
// The folder's files declare theirs by it.
use calls;

/// Makes the enum of all calls out of those of the folder's files.
macro_rules! all {
    ($($group:ident($calls:ident)),* $(,)?) => {
        /// Everything that the guest can be asked.
        #[derive(Debug, Clone, PartialEq)]
        pub enum AnyCall {
            $(
                #[doc = concat!("One of [`", stringify!($calls), "`].")]
                $group($calls),
            )*
        }

        $(
            impl From<$calls> for AnyCall {
                fn from(call: $calls) -> Self {
                    Self::$group(call)
                }
            }
        )*

        impl AnyCall {
            #[cfg(test)]
            const NAMES: &'static [&'static [&'static str]] = &[$($calls::NAMES),*];

            /// The call of this name, if there is one.
            fn named(name: &str, arguments: &serde_json::Value) -> Option<serde_json::Result<Self>> {
                None
                    $(.or_else(|| Some($calls::read(name, arguments)?.map(Self::from))))*
            }
        }
    };
}

all! {
    Guest(GuestCall),
    Change(ChangeCall),
    Facts(FactsCall),
    File(FileCall),
    KernelFile(KernelFileCall),
    Mount(MountCall),
    Observe(ObserveCall),
    Victim(VictimCall),
}

impl AnyCall {
    /// What a request asks. Fails when there is no such call, or its arguments are others.
    pub fn read(request: &Request) -> Result<Self, Failure> {
        let name = &request.call;
        let failure = |what| Failure { what };
        Self::named(name, &request.arguments)
            .ok_or_else(|| failure(format!("there is no call {name:?}")))?
            .map_err(|error| failure(format!("arguments of {name}: {error}")))
    }
}

calls! {
    /// What concerns the guest as a whole.
    enum GuestCall;

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
    use std::collections::BTreeSet;

    #[test]
    fn every_call_has_a_name_of_its_own() {
        let names = AnyCall::NAMES.concat();
        let different: BTreeSet<_> = names.iter().collect();
        assert_eq!(different.len(), names.len(), "{names:?}");
        assert!(different.contains(&Hello::NAME));
    }

    #[test]
    fn a_request_is_read_as_the_call_that_it_is() {
        let request = |call: &str, arguments: &str| Request {
            id: 1,
            call: call.to_owned(),
            arguments: serde_json::from_str(arguments).unwrap(),
        };
        let path = "/mnt/a".to_owned();
        assert_eq!(
            AnyCall::read(&request("read-link", r#"{"path":"/mnt/a"}"#)),
            Ok(ReadLink { path }.into())
        );
        let failed = |request| AnyCall::read(&request).unwrap_err().what;
        assert_eq!(
            failed(request("exchange", "{}")),
            r#"there is no call "exchange""#
        );
        assert_eq!(
            failed(request("read-link", "{}")),
            "arguments of read-link: missing field `path`"
        );
    }

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
