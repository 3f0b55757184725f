// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is done to the running system.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{DataAccess, Effect, OperationFacts, Verb, Writes};
use crate::model::words::{list, one_line};
use crate::model::{RunSpec, SetSpec};

/// Something that is done to the running system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SystemOperation {
    /// Has the kernel forget clean page cache, dentries and inodes (/proc/sys/vm/drop_caches, 3).
    DropCaches,
    /// Runs a shell command in the guest.
    Run(RunSpec),
    /// Sets kernel parameters of /proc/sys.
    Sysctl {
        /// Name, with dots, and value.
        values: BTreeMap<String, String>,
    },
    /// Writes a text to a file of /sys, /proc or debugfs.
    Set(SetSpec),
}

impl SystemOperation {
    /// What is known of it.
    pub(super) fn facts(&self) -> OperationFacts<'_> {
        let (word, verb, object, about) = match self {
            Self::DropCaches => {
                let verb = Verb::new("drop", "dropping");
                ("drop-caches", verb, "caches".to_owned(), None)
            }
            Self::Run(run) => {
                let command = one_line(&run.command);
                let verb = Verb::new("run", "running");
                ("run", verb, format!("`{command}`"), Some(command))
            }
            Self::Sysctl { values } => {
                let object = list(values.iter().map(|(name, value)| format!("{name} to {value}")));
                let verb = Verb::new("set", "setting");
                ("sysctl", verb, object, Some(list(values.keys())))
            }
            Self::Set(set) => {
                let object = format!("{} to {}", set.file, one_line(&set.to));
                let verb = Verb::new("set", "setting");
                ("set", verb, object, Some(set.file.clone()))
            }
        };
        OperationFacts {
            word,
            verb,
            object,
            subject: (about, None),
            needs_mount: false,
            writes: Writes::Nothing,
            uses: Vec::new(),
            effect: Effect::Nothing,
            data: DataAccess::None,
        }
    }
}
