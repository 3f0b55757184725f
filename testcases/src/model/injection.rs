// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory errors: by which way, and where.

use std::fmt;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use words::MadviseError;

use super::{Place, VictimPlace};
use crate::value::{Bytes, FilePath, MarkName, VictimName};

/// A memory error, or several of the same kind at the same target, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Injection {
    /// How the kernel gets to know of it.
    pub by: Mechanism,
    /// What is hit.
    pub at: Target,
    /// How often; each is acknowledged before the next.
    pub times: NonZeroU32,
}

/// The way by which a memory error reaches the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// The machine raises a machine check. What is action required is always at a victim's page
    /// ([`Target::Victim`]): it is her vCPU that consumes it, in her user mode, while she spins on that byte.
    MachineCheck(Severity),
    /// A victim injects into her own mapping with madvise(2); always at a [`Target::Victim`].
    Madvise(MadviseError),
    /// Someone in the guest writes to a file of /sys/kernel/debug/hwpoison.
    Debugfs(DebugfsFile),
    /// Someone in the guest writes to a file of /sys.
    Sysfs(SysfsFile),
    /// Someone in the guest writes a record to the kernel's mce-inject.
    MceInject(MceInject),
}

impl Mechanism {
    /// Whether some process in the guest makes a call that injects, and so gets an answer.
    pub const fn has_injector(self) -> bool {
        match self {
            Self::MachineCheck(_) => false,
            Self::Madvise(_) | Self::Debugfs(_) | Self::Sysfs(_) | Self::MceInject(_) => true,
        }
    }

    /// Whether it needs a victim's page for its target.
    pub const fn needs_victim(self) -> bool {
        self.why_victim().is_some()
    }

    /// Why it needs a victim's page for its target; `None` where it needs none.
    pub(crate) const fn why_victim(self) -> Option<&'static str> {
        match self {
            Self::Madvise(_) => Some("madvise(2) is a process's own call, on its own memory"),
            Self::MachineCheck(Severity::ActionRequired) => {
                Some("an error that is consumed needs a process that consumes it")
            }
            Self::MachineCheck(Severity::ActionOptional)
            | Self::Debugfs(_)
            | Self::Sysfs(_)
            | Self::MceInject(_) => None,
        }
    }
}

/// How a machine check is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Found by the memory controller, consumed by nobody yet (SRAO).
    ActionOptional,
    /// Consumed by the instruction that a victim is just executing (SRAR).
    ActionRequired,
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ActionOptional => "action optional",
            Self::ActionRequired => "action required",
        })
    }
}

/// A file of /sys/kernel/debug/hwpoison, which takes the number of a page (mm/hwpoison-inject.c).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DebugfsFile {
    /// Treats the page as hit, in the context of the writer.
    CorruptPfn,
    /// Undoes that, as far as software can.
    UnpoisonPfn,
}

impl DebugfsFile {
    /// The file's name, which is also the word that a case writes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CorruptPfn => "corrupt-pfn",
            Self::UnpoisonPfn => "unpoison-pfn",
        }
    }
}

/// A file of /sys by which an error is made known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SysfsFile {
    /// /sys/devices/system/memory/hard_offline_page, which takes a physical address.
    HardOfflinePage,
    /// /sys/devices/system/memory/soft_offline_page, which takes a physical address.
    SoftOfflinePage,
    /// `badblocks` of the block device, which takes sectors: they are only recorded as bad, and no memory error happens.
    Badblocks,
}

impl SysfsFile {
    /// The word that a case writes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::HardOfflinePage => "hard-offline-page",
            Self::SoftOfflinePage => "soft-offline-page",
            Self::Badblocks => "badblocks",
        }
    }
}

/// How the kernel's own injector (arch/x86/kernel/cpu/mce/inject.c) makes a machine check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MceInject {
    /// `sw`: the record is handed to the decode chain as though the machine had raised it.
    Software,
    /// Likewise, of an error of 64 bytes, at the beginning of the page (MCi_MISC, lowest valid bit of the address 6).
    CacheLine,
    /// Likewise, of an error that the hardware corrected (MCi_STATUS without UC).
    Corrected,
    /// Likewise, with an address that is not physical (MCi_MISC, address mode 0), so that it says nothing.
    UnusableAddress,
    /// Likewise, of an error on a bus, which is not the memory's.
    Bus,
}

impl MceInject {
    /// The word that a case writes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Software => "software",
            Self::CacheLine => "cache-line",
            Self::Corrected => "corrected",
            Self::UnusableAddress => "unusable-address",
            Self::Bus => "bus",
        }
    }

    /// Whether the record says that memory was lost: an uncorrected error, of memory, at a usable address.
    pub const fn is_lost_memory(self) -> bool {
        match self {
            Self::Software | Self::CacheLine => true,
            Self::Corrected | Self::UnusableAddress | Self::Bus => false,
        }
    }
}

/// What an injection hits. Where there is a length, every page of the range is hit, one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The page that holds a byte of a file.
    File {
        /// The file.
        file: FilePath,
        /// The byte, counted from the file's start.
        offset: Bytes,
        /// The range from there on, not zero; only the one page if absent.
        length: Option<Bytes>,
        /// What the file must be proved to be: DAX, or with `false` not DAX, so that the page cache lies before the page.
        dax: bool,
    },
    /// The page that a victim has at a place of her mapping.
    Victim {
        /// Whose, and where in her mappings.
        at: VictimPlace,
        /// The range from there on, not zero; only the one page if absent.
        length: Option<Bytes>,
    },
    /// A page of an allocation group's own.
    GroupMetadata {
        /// What it holds.
        kind: GroupMetadata,
        /// The allocation group.
        ag: u32,
    },
    /// A page of the log.
    Log,
    /// A page of what belongs to one file, without being its data.
    FileMetadata {
        /// What it holds.
        kind: FileMetadata,
        /// The file, directory or symbolic link.
        file: FilePath,
    },
    /// A block of the user quota's inode.
    Quota,
    /// The page that was marked, wherever it belongs by now.
    Mark(MarkName),
    /// A page of space that belongs to nobody.
    FreeSpace {
        /// The allocation group.
        ag: u32,
    },
    /// A page that is reserved for a copy on write that has not been finished.
    CowStaging {
        /// The allocation group.
        ag: u32,
    },
    /// A page that is allocated to a file and was never written.
    Unwritten {
        /// The file.
        file: FilePath,
    },
    /// The last page of an allocation group.
    LastBlockOfGroup {
        /// The allocation group.
        ag: u32,
    },
    /// The last page of the filesystem.
    LastBlockOfDevice,
    /// A place on a device, whatever is there.
    Device {
        /// The device.
        of: Device,
        /// The byte, counted from the device's start.
        offset: Bytes,
        /// The range from there on, not zero; only the one page if absent.
        length: Option<Bytes>,
    },
    /// A page frame by its number, whatever is there.
    Pfn(u64),
}

/// A page that is remembered, so that it can be hit when nothing leads to it any more.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct MarkSpec {
    /// How the case calls it.
    pub name: MarkName,
    /// Where it lies now.
    pub at: Target,
}

impl Target {
    /// The victim whose page it is, and where she has it.
    pub const fn victim(&self) -> Option<(&VictimName, Place)> {
        match self {
            Self::Victim { at, .. } => Some((&at.victim, at.place)),
            _ => None,
        }
    }
}

/// What an allocation group keeps in a page of its own (owners of GETFSMAP, include/uapi/linux/fsmap.h and xfs_fs.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupMetadata {
    /// The first block: superblock, AGF, AGI, AGFL.
    AgHeader,
    /// The btrees of free space and of the reverse mapping.
    AgBtree,
    /// The btrees of inodes.
    InodeBtree,
    /// The btree of reference counts.
    RefcountBtree,
    /// Inodes themselves.
    InodeChunk,
}

impl fmt::Display for GroupMetadata {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::AgHeader => "header",
            Self::AgBtree => "free-space and reverse-mapping btrees",
            Self::InodeBtree => "inode btree",
            Self::RefcountBtree => "reference-count btree",
            Self::InodeChunk => "inodes",
        })
    }
}

/// What a file keeps in a page that is not its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileMetadata {
    /// A block of its extent map (bmbt).
    ExtentMap,
    /// A block of its extended attributes.
    Attributes,
    /// A block of a directory's names.
    Directory,
    /// The block of a symbolic link that is too long for its inode.
    Symlink,
}

impl fmt::Display for FileMetadata {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::ExtentMap => "extent map",
            Self::Attributes => "extended attributes",
            Self::Directory => "directory",
            Self::Symlink => "symbolic link",
        })
    }
}

/// A device of the filesystem.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Device {
    /// The one that is mounted.
    #[default]
    Data,
    /// That of an external log.
    Log,
    /// That of the realtime section.
    Realtime,
}

impl Device {
    /// The word that a case writes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Data => "data",
            Self::Log => "log",
            Self::Realtime => "realtime",
        }
    }
}
