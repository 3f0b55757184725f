// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who hears what the kernel reports.

use serde::{Deserialize, Serialize};

/// Something that hears what the kernel reports of the filesystem or its device, and writes it down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Watcher {
    /// XFS's health monitor (XFS_IOC_HEALTH_MONITOR, from 7.0 on): a line for each of its events, in JSON.
    Health,
    /// fanotify with FAN_FS_ERROR: a line for each event.
    Fanotify,
    /// poll(2) of the first NVDIMM's list of bad blocks: the list, in a line, for each time that it wakes.
    Badblocks,
}

impl Watcher {
    /// The watcher that a case writes so.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Health, Self::Fanotify, Self::Badblocks]
            .into_iter()
            .find(|watcher| watcher.as_str() == word)
    }

    /// The word that a case writes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Health => "health",
            Self::Fanotify => "fanotify",
            Self::Badblocks => "badblocks",
        }
    }
}
