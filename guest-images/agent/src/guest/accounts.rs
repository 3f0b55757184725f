// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the kernel has counted of memory failures, and the flags of page frames.

use super::error::{Doing, failure};
use guest_agent::call::{Accounts, Failure, NodeAccounts, PageFlags};
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

const MEMINFO: &str = "/proc/meminfo";
const NODE: &str = "/sys/devices/system/node/node0/memory_failure";
const FLAGS: &str = "/proc/kpageflags";

/// The counters.
pub(crate) fn ask() -> Result<Accounts, Failure> {
    let text = fs::read_to_string(MEMINFO).doing(MEMINFO)?;
    let hardware_corrupted =
        corrupted(&text).ok_or_else(|| failure(format_args!("{MEMINFO} has no HardwareCorrupted")))?;
    let node = Path::new(NODE);
    let node = if node.exists() {
        let count = |name: &str| -> Result<u64, Failure> {
            let path = node.join(name);
            let text = fs::read_to_string(&path).doing(path.display())?;
            text.trim().parse().doing(path.display())
        };
        Some(NodeAccounts {
            total: count("total")?,
            ignored: count("ignored")?,
            failed: count("failed")?,
            delayed: count("delayed")?,
            recovered: count("recovered")?,
        })
    } else {
        None
    };
    Ok(Accounts {
        hardware_corrupted,
        node,
    })
}

/// `HardwareCorrupted:     4 kB`, in bytes.
fn corrupted(meminfo: &str) -> Option<u64> {
    let value = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("HardwareCorrupted:"))?;
    let kib: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The flags of page frames, in their order.
pub(crate) fn flags(pfns: &[u64]) -> Result<Vec<PageFlags>, Failure> {
    let file = File::open(FLAGS).doing(FLAGS)?;
    pfns.iter()
        .map(|pfn| {
            let mut word = [0; 8];
            let place = pfn
                .checked_mul(8)
                .ok_or_else(|| failure(format_args!("there is no page frame {pfn:#x}")))?;
            // Beyond its end the file reads as if it ended there.
            match file.read_at(&mut word, place).doing(FLAGS)? {
                8 => Ok(PageFlags::Known(u64::from_ne_bytes(word))),
                _ => Ok(PageFlags::BeyondReach),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kilobytes_are_1024_bytes() {
        let text = "MemTotal:  767000 kB\nHardwareCorrupted:     8 kB\nAnonHugePages: 0 kB\n";
        assert_eq!(corrupted(text), Some(8192));
        assert_eq!(corrupted("MemTotal: 1 kB\n"), None);
    }
}
