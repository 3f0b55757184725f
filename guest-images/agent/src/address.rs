// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kinds of address are types: they are never added to each other by accident.
//!
//! ```text
//! FileOffset ──FIEMAP──> FsOffset ──partition, device-mapper──> DeviceOffset ──pfn device's resource──> GuestPhysical
//!                           │
//!                           └── divided by the block size: FsBlock
//! MappingOffset ── plus the mapping's beginning in the file ──> FileOffset
//! ```

use serde::{Deserialize, Serialize};
use std::fmt;

/// The page size of every guest that Taster knows (x86-64), in bytes.
pub const PAGE_SIZE: u64 = 4096;

macro_rules! address {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:#x}", self.0)
            }
        }
    };
}

address! {
    /// A byte of a file, counted from its beginning.
    FileOffset
}
address! {
    /// A byte of one mapping of one process, counted from the mapping's beginning.
    MappingOffset
}
address! {
    /// A byte of the device that a filesystem is on, counted as the filesystem does: where FIEMAP and GETFSMAP say that
    /// something lies. The device may be a partition, or made by device-mapper.
    FsOffset
}
address! {
    /// A byte of a pmem block device (`/dev/pmem0`), counted from its beginning: what its badblocks and
    /// `->notify_failure()` count in.
    DeviceOffset
}
address! {
    /// A filesystem block, counted in filesystem blocks from the beginning of the data device.
    ///
    /// This is the linear count (device offset / block size), not XFS's `xfs_fsblock_t`, which packs the
    /// allocation group into its upper bits.
    FsBlock
}
address! {
    /// A byte of the guest's physical address space: what a machine check carries in `MCi_ADDR`.
    GuestPhysical
}

impl FileOffset {
    /// The first byte of the page that holds this byte.
    #[must_use]
    pub const fn page(self) -> Self {
        Self(self.0 & !(PAGE_SIZE - 1))
    }
}

impl MappingOffset {
    /// The first byte of the page that holds this byte.
    #[must_use]
    pub const fn page(self) -> Self {
        Self(self.0 & !(PAGE_SIZE - 1))
    }
}

impl FsOffset {
    /// The first byte of the page that holds this byte.
    #[must_use]
    pub const fn page(self) -> Self {
        Self(self.0 & !(PAGE_SIZE - 1))
    }

    /// The filesystem block that holds this byte, for a filesystem with blocks of `block_size` bytes that
    /// begins at the device's first byte. `None` when the block size is zero.
    #[must_use]
    pub const fn block(self, block_size: u32) -> Option<FsBlock> {
        match self.0.checked_div(block_size as u64) {
            Some(block) => Some(FsBlock(block)),
            None => None,
        }
    }
}

impl DeviceOffset {
    /// The first byte of the page that holds this byte.
    #[must_use]
    pub const fn page(self) -> Self {
        Self(self.0 & !(PAGE_SIZE - 1))
    }

    /// The guest physical address of this byte, for a device whose first byte is at `data_start` (the pfn
    /// device's `resource`, `drivers/nvdimm/pfn_devs.c:resource_show`). `None` on overflow.
    #[must_use]
    pub const fn physical(self, data_start: GuestPhysical) -> Option<GuestPhysical> {
        match data_start.0.checked_add(self.0) {
            Some(sum) => Some(GuestPhysical(sum)),
            None => None,
        }
    }
}

impl GuestPhysical {
    /// The page frame number: what `/sys/kernel/debug/hwpoison/corrupt-pfn` takes.
    #[must_use]
    pub const fn pfn(self) -> u64 {
        self.0 / PAGE_SIZE
    }

    /// The first byte of the page that holds this byte.
    #[must_use]
    pub const fn page(self) -> Self {
        Self(self.0 & !(PAGE_SIZE - 1))
    }
}

/// Where a byte of a file lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resolved {
    /// There.
    At(Resolution),
    /// Nowhere: FIEMAP has no extent for it. It lies in a hole, or beyond the end of the file.
    Nowhere {
        /// The file's size, in bytes.
        size: u64,
    },
}

/// One byte of a file, followed down as far as its filesystem knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolution {
    /// The byte that was asked for.
    pub file_offset: FileOffset,
    /// Where FIEMAP says that it lies on the filesystem's device.
    pub fs_offset: FsOffset,
    /// Whether that is the realtime device, and not the data device.
    pub realtime: bool,
    /// The filesystem block of that byte.
    pub block: FsBlock,
    /// What `/proc/self/pagemap` says of a fresh shared mapping of the same byte; `None` when that was not
    /// asked for, or the page could not be faulted in.
    pub by_pagemap: Option<GuestPhysical>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_offset_becomes_the_address_of_the_lab() {
        // region base 0x100000000, fsdax data offset 0x1200000: a byte in the third page of the device.
        let start = GuestPhysical(0x1_0120_0000);
        let byte = DeviceOffset(0x2010);
        assert_eq!(byte.physical(start), Some(GuestPhysical(0x1_0120_2010)));
        assert_eq!(byte.physical(start).map(GuestPhysical::pfn), Some(0x10_1202));
        assert_eq!(byte.page(), DeviceOffset(0x2000));
    }

    #[test]
    fn a_filesystem_counts_in_blocks() {
        let byte = FsOffset(0x2010);
        assert_eq!(byte.page(), FsOffset(0x2000));
        assert_eq!(byte.block(4096), Some(FsBlock(2)));
        assert_eq!(byte.block(1024), Some(FsBlock(8)));
    }

    #[test]
    fn arithmetic_that_cannot_be_right_is_refused() {
        assert_eq!(DeviceOffset(1).physical(GuestPhysical(u64::MAX)), None);
        assert_eq!(FsOffset(1).block(0), None);
    }
}
