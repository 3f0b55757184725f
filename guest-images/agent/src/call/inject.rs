// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory errors that are made inside the guest, and the kernel's knobs around them.

use super::{Outcome, calls};
use crate::address::{DeviceOffset, GuestPhysical};
use serde::{Deserialize, Serialize};

/// One way to make a memory error, or to take one back, by writing to a file of the kernel's. What the write got is the
/// answer: the handler runs within it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Injection {
    /// debugfs `hwpoison/corrupt-pfn` (`mm/hwpoison-inject.c:hwpoison_inject`). It heeds `corrupt-filter-*`, which
    /// [`WriteKernelFile`] sets.
    CorruptPfn {
        /// The page frame.
        pfn: u64,
    },
    /// debugfs `hwpoison/unpoison-pfn`.
    UnpoisonPfn {
        /// The page frame.
        pfn: u64,
    },
    /// `/sys/devices/system/memory/hard_offline_page` (`drivers/base/memory.c:hard_offline_page_store`).
    HardOffline {
        /// Any byte of the page.
        address: GuestPhysical,
    },
    /// `/sys/devices/system/memory/soft_offline_page`.
    SoftOffline {
        /// Any byte of the page.
        address: GuestPhysical,
    },
    /// debugfs `mce-inject`, an error of one bank on one CPU (`arch/x86/kernel/cpu/mce/inject.c`): logged, and seen by
    /// the decode chain, but in mode `sw` with no severity, so that nobody calls `memory_failure()`. The handlers run in
    /// a worker: the write's success does not say that they have finished.
    MceInject(MceRecord),
    /// `/sys/block/DEVICE/badblocks`: the driver takes the range for bad; no handler runs.
    BadBlocks {
        /// `pmem0`.
        device: String,
        /// The first byte; a multiple of 512.
        start: DeviceOffset,
        /// Bytes; a multiple of 512.
        length: u64,
    },
}

impl Injection {
    /// The file that is written; for [`Injection::MceInject`] the one that fires.
    #[must_use]
    pub fn file(&self) -> String {
        const HWPOISON: &str = "/sys/kernel/debug/hwpoison";
        const MEMORY: &str = "/sys/devices/system/memory";
        match self {
            Self::CorruptPfn { .. } => format!("{HWPOISON}/corrupt-pfn"),
            Self::UnpoisonPfn { .. } => format!("{HWPOISON}/unpoison-pfn"),
            Self::HardOffline { .. } => format!("{MEMORY}/hard_offline_page"),
            Self::SoftOffline { .. } => format!("{MEMORY}/soft_offline_page"),
            Self::MceInject(_) => "/sys/kernel/debug/mce-inject/bank".to_owned(),
            Self::BadBlocks { device, .. } => format!("/sys/block/{device}/badblocks"),
        }
    }
}

/// What mce-inject is to report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MceRecord {
    /// `sw`, `hw`, `df` or `th`; only `sw` needs no AMD hardware.
    pub flags: String,
    /// The CPU.
    pub cpu: u32,
    /// `MCi_STATUS`.
    pub status: u64,
    /// `MCi_ADDR`.
    pub address: GuestPhysical,
    /// `MCi_MISC`: bits 5–0 are the least significant valid bit of the address, bits 8–6 its kind (2: physical).
    pub misc: u64,
    /// The bank.
    pub bank: u8,
}

calls! {
    /// Makes a memory error. A mechanism that this kernel has not, because its file is not there, is refused with the
    /// open's ENOENT.
    Inject("inject") -> Outcome<()> {
        /// How, and where.
        by: Injection,
    }

    /// Writes a line to a file of /proc, /sys or debugfs, with one write(2).
    WriteKernelFile("write-kernel-file") -> Outcome<()> {
        /// The file, `/proc/sys/vm/memory_failure_early_kill`.
        path: String,
        /// The line, without its end.
        text: String,
    }

    /// Reads a file of /proc, /sys or debugfs to its end; lossily decoded, without the last end of line.
    ReadKernelFile("read-kernel-file") -> Outcome<String> {
        /// The file.
        path: String,
    }
}
