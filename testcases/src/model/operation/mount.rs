// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is done to the filesystem as a whole.

use serde::Serialize;

use super::{DataAccess, Effect, OperationFacts, Verb, Writes};
use crate::model::{Flush, MountSpec};

/// Something that is done to the filesystem as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MountOperation {
    /// Mounts the filesystem, which is not mounted.
    Mount(MountSpec),
    /// Unmounts the filesystem, which is mounted.
    Unmount,
    /// Changes the options of the mount.
    Remount {
        /// The options.
        options: String,
    },
    /// Stops all writing to the filesystem (FIFREEZE).
    Freeze,
    /// Lets it go on (FITHAW).
    Thaw,
    /// Shuts the filesystem down on purpose (XFS_IOC_GOINGDOWN).
    Shutdown {
        /// What becomes of what is not on the medium yet.
        flush: Flush,
    },
    /// Checks the unmounted filesystem with `xfs_repair -n`.
    Repair,
}

impl MountOperation {
    /// What is known of it.
    pub(super) fn facts(&self) -> OperationFacts<'_> {
        let (word, verb, object) = self.words();
        OperationFacts {
            word,
            verb,
            object,
            subject: (None, None),
            needs_mount: self.needs_mount(),
            writes: Writes::Nothing,
            uses: Vec::new(),
            effect: Effect::Nothing,
            data: DataAccess::None,
        }
    }

    /// Whoever needs the filesystem unmounted is told so in words of its own.
    fn needs_mount(&self) -> bool {
        match self {
            Self::Remount { .. } | Self::Freeze | Self::Thaw | Self::Shutdown { .. } => true,
            Self::Mount(_) | Self::Unmount | Self::Repair => false,
        }
    }

    fn words(&self) -> (&'static str, Verb, String) {
        let filesystem = || "the filesystem".to_owned();
        match self {
            Self::Mount(mount) => {
                let options = mount.options.as_ref();
                let with = options.map_or(String::new(), |options| format!("with {options}"));
                ("mount", Verb::new("mount", "mounting"), with)
            }
            Self::Unmount => ("unmount", Verb::new("unmount", "unmounting"), String::new()),
            Self::Remount { options } => {
                let verb = Verb::new("remount", "remounting");
                ("remount", verb, format!("with {options}"))
            }
            Self::Freeze => ("freeze", Verb::new("freeze", "freezing"), filesystem()),
            Self::Thaw => ("thaw", Verb::new("thaw", "thawing"), filesystem()),
            Self::Shutdown { flush } => {
                let verb = Verb::new("shut down", "shutting down");
                let object = format!("the filesystem (flush: {})", flush.as_str());
                ("shutdown", verb, object)
            }
            Self::Repair => {
                let object = "the filesystem with xfs_repair -n".to_owned();
                ("repair", Verb::new("check", "checking"), object)
            }
        }
    }
}
