// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a process is that maps something and waits for a memory error.

use serde::{Deserialize, Serialize};

/// A process's memory-failure policy (prctl(2), PR_MCE_KILL).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum KillPolicy {
    /// As soon as the kernel knows (PR_MCE_KILL_EARLY).
    Early,
    /// Only when it touches the page (PR_MCE_KILL_LATE).
    Late,
    /// Whatever vm.memory_failure_early_kill says (PR_MCE_KILL_DEFAULT).
    #[default]
    Default,
}

impl KillPolicy {
    /// The word that a case writes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Early => "early",
            Self::Late => "late",
            Self::Default => "default",
        }
    }
}

/// What a process does about a SIGBUS.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Disposition {
    /// A handler writes it down; the process goes on.
    #[default]
    Handler,
    /// SIG_DFL: it dies.
    Default,
    /// SIG_IGN: it is thrown away.
    Ignored,
    /// It has a handler, and is blocked: it waits.
    Blocked,
}

impl Disposition {
    /// The word that a case writes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Handler => "handler",
            Self::Default => "default",
            Self::Ignored => "ignored",
            Self::Blocked => "blocked",
        }
    }
}

/// How a mapping takes stores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum MappingKind {
    /// MAP_SHARED: they go to the file.
    #[default]
    Shared,
    /// MAP_PRIVATE: they go to a copy of the page.
    Private,
    /// MAP_SHARED_VALIDATE and MAP_SYNC: they go to the file, whose metadata is on the medium before the store succeeds.
    Sync,
}

impl MappingKind {
    /// The word that a case writes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Private => "private",
            Self::Sync => "sync",
        }
    }
}
