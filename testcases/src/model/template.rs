// SPDX-License-Identifier: MIT OR Apache-2.0
//! In which guest a case begins: how it is had, and the state that it is in.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PageSize;

/// How a case gets a guest of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Isolation {
    /// By cloning a template: a private, copy-on-write copy of a guest that was brought into the case's state once.
    #[default]
    Clone,
    /// By booting one.
    Boot,
}

impl fmt::Display for Isolation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Clone => "clone",
            Self::Boot => "boot",
        })
    }
}

/// Not the name of an isolation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no isolation `{0}`: it is `clone` or `boot`")]
pub struct UnknownIsolation(String);

impl FromStr for Isolation {
    type Err = UnknownIsolation;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "clone" => Ok(Self::Clone),
            "boot" => Ok(Self::Boot),
            other => Err(UnknownIsolation(other.to_owned())),
        }
    }
}

/// The state of the guest in which a case begins.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Template {
    /// A fresh XFS, mounted.
    Xfs(Xfs),
    /// Namespaces in fsdax mode, and no filesystem.
    Unmounted {
        /// How many NVDIMMs the machine has, each with one namespace: 1 or 2.
        nvdimms: u8,
    },
    /// A namespace in devdax mode: a character device (device-dax), and no filesystem.
    Devdax {
        /// Its alignment, which is the size of the pages by which it is mapped.
        align: PageSize,
    },
}

impl Default for Template {
    /// What `template: xfs` means.
    fn default() -> Self {
        Self::Xfs(Xfs::default())
    }
}

/// A fresh XFS, and the devices that it is on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Xfs {
    /// More arguments for mkfs.xfs. What they say of `-m` takes the place of `reflink=1,rmapbt=1`.
    pub mkfs: Vec<String>,
    /// The options of the mount, without those that name devices.
    pub mount: String,
    /// Where the log is.
    pub log: Log,
    /// Whether there is a realtime device, an NVDIMM of its own.
    pub realtime: bool,
    /// What lies between the filesystem's data device and the NVDIMM.
    pub on: Ground,
}

impl Default for Xfs {
    fn default() -> Self {
        Self {
            mkfs: Vec::new(),
            mount: "dax=always".to_owned(),
            log: Log::Internal,
            realtime: false,
            on: Ground::Namespace,
        }
    }
}

/// Where an XFS has its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Log {
    /// On the data device.
    #[default]
    Internal,
    /// On an NVDIMM of its own.
    External,
}

/// What the filesystem's data device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ground {
    /// The namespace itself.
    #[default]
    Namespace,
    /// A dm-linear device over one, which leaves out the namespace's first MiB.
    Linear,
    /// A dm-stripe device over two.
    Stripe,
    /// The only partition of one, page aligned.
    Partition,
}

impl fmt::Display for Template {
    /// In a few words, such as `xfs (external log, on a dm-linear device)`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let xfs = match self {
            Self::Unmounted { nvdimms: 1 } => return formatter.write_str("unmounted"),
            Self::Unmounted { nvdimms } => return write!(formatter, "unmounted ({nvdimms} NVDIMMs)"),
            Self::Devdax { align } => return write!(formatter, "devdax (pages of {align})"),
            Self::Xfs(xfs) => xfs,
        };
        let mut more = Vec::new();
        match xfs.on {
            Ground::Namespace => {}
            Ground::Linear => more.push("on dm-linear".to_owned()),
            Ground::Stripe => more.push("on dm-stripe".to_owned()),
            Ground::Partition => more.push("on a partition".to_owned()),
        }
        if xfs.log == Log::External {
            more.push("external log".to_owned());
        }
        if xfs.realtime {
            more.push("realtime device".to_owned());
        }
        if !xfs.mkfs.is_empty() {
            more.push(format!("mkfs {}", xfs.mkfs.join(" ")));
        }
        if xfs.mount != Xfs::default().mount {
            more.push(format!("mount {}", xfs.mount));
        }
        if more.is_empty() {
            formatter.write_str("xfs")
        } else {
            write!(formatter, "xfs ({})", more.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_told_by_what_is_special_about_it() {
        assert_eq!(Template::default().to_string(), "xfs");
        let special = Template::Xfs(Xfs {
            mkfs: vec!["-m".to_owned(), "rmapbt=0".to_owned()],
            log: Log::External,
            on: Ground::Linear,
            ..Xfs::default()
        });
        assert_eq!(
            special.to_string(),
            "xfs (on dm-linear, external log, mkfs -m rmapbt=0)"
        );
        assert_eq!(Template::Unmounted { nvdimms: 1 }.to_string(), "unmounted");
        assert_eq!(
            Template::Unmounted { nvdimms: 2 }.to_string(),
            "unmounted (2 NVDIMMs)"
        );
        let align = PageSize::Huge;
        assert_eq!(Template::Devdax { align }.to_string(), "devdax (pages of 2MiB)");
    }
}
