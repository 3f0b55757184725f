// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mounts, commands and the kernel's parameters as a case writes them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::shapes::either_document;
use super::text::{GuestFile, Plain, SysctlName};
use super::words::Text;
use crate::model::Flush;
use crate::value::Seconds;

/// Nothing more to say.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "an empty mapping, `{}`")]
#[schemars(rename = "Nothing")]
pub(crate) struct NothingDocument {}

/// Other options for the mount.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping like `{ options: ro }`")]
#[schemars(rename = "Remount")]
pub(crate) struct RemountDocument {
    /// The options.
    pub(crate) options: Text,
}

/// How the filesystem is shut down.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping, `{}` or `{ flush: nolog }`")]
#[schemars(rename = "Shutdown")]
pub(crate) struct ShutdownDocument {
    /// What becomes of what is not on the medium yet.
    #[serde(default)]
    pub(crate) flush: Flush,
}

either_document!(
    /// A shell command.
    RunDocument(Text, TimedRunDocument),
    "Run",
    "a command, or a mapping like `{ command: xfs_io -c fsync a, timeout: 30s }`"
);

/// A shell command, and how long it may take.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(
    deny_unknown_fields,
    expecting = "a mapping like `{ command: xfs_io -c fsync a, timeout: 30s }`"
)]
#[schemars(rename = "TimedRun")]
pub(crate) struct TimedRunDocument {
    /// The command.
    pub(crate) command: Text,
    /// How long it may take; a minute if absent.
    #[schemars(with = "Seconds", default)]
    pub(crate) timeout: Option<Seconds>,
}

/// Kernel parameters by their names.
pub(crate) type SysctlDocument = BTreeMap<SysctlName, Plain>;

/// A file of the kernel's, and what is written to it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, expecting = "a mapping like `{ file: /sys/…, to: 1 }`")]
#[schemars(rename = "Set")]
pub(crate) struct SetDocument {
    /// The file's absolute path in the guest.
    pub(crate) file: GuestFile,
    /// What is written to it.
    pub(crate) to: Plain,
}
