// SPDX-License-Identifier: MIT OR Apache-2.0
//! The page table of another process, looked at without touching it.
//!
//! How much an entry maps is told by the page table itself through PAGEMAP_SCAN, from 6.7 on: the walk sees an entry for
//! 2 MiB where it is (`fs/proc/task_mmu.c:pagemap_scan_thp_entry`), of DAX too. Before, nothing does: `smaps` counts only
//! pages that have an ordinary struct page, and DAX had none until 6.15. There the victim's last fault in these 2 MiB
//! tells, as the tracepoints of `fs/dax.c` report it, if /proc/PID/pagemap agrees: 512 pages present, in a row. A DAX
//! character device has no such tracepoints and needs none: its driver fails every fault that is not of the device's own
//! alignment (`drivers/dax/device.c:__dev_dax_pmd_fault`), and says in smaps which that is (`dev_dax_pagesize`).

use super::error::{Doing, failure};
use super::sys::memory::{self, HUGE_PAGE};
use super::tracefs::Trace;
use guest_agent::address::{GuestPhysical, PAGE_SIZE};
use guest_agent::call::{Failure, PageEntry, PageSize, ProvedSize, SizeProof};
use guest_agent::trace::TraceLine;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;

const HUGE: u64 = HUGE_PAGE as u64;
const SMALL: u64 = PAGE_SIZE;

/// The page table of a process.
pub(crate) struct Tables {
    pid: i32,
    pagemap: File,
}

impl Tables {
    /// Of a process that lives.
    pub(crate) fn of(pid: i32) -> Result<Self, Failure> {
        let path = format!("/proc/{pid}/pagemap");
        Ok(Self {
            pid,
            pagemap: File::open(&path).doing(&path)?,
        })
    }

    /// One entry (`Documentation/admin-guide/mm/pagemap.rst`).
    pub(crate) fn entry(&self, address: u64) -> Result<PageEntry, Failure> {
        let mut word = [0; 8];
        self.pagemap
            .read_exact_at(&mut word, address / PAGE_SIZE * 8)
            .doing(format_args!("/proc/{}/pagemap at {address:#x}", self.pid))?;
        Ok(parse(u64::from_ne_bytes(word)))
    }

    /// How much the entry for an address maps.
    pub(crate) fn size(
        &self,
        address: u64,
        entry: PageEntry,
        trace: &Trace,
    ) -> Result<Option<ProvedSize>, Failure> {
        if !entry.present {
            return Ok(None);
        }
        let proved = |huge, proof| ProvedSize {
            size: if huge { PageSize::Huge } else { PageSize::Base },
            proof,
        };
        match memory::is_huge(&self.pagemap, address) {
            Ok(found) => Ok(found.map(|huge| proved(huge, SizeProof::PageTable))),
            Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => {
                if let Some(size) = self.character_device(address)? {
                    return Ok(match size {
                        SMALL => Some(proved(false, SizeProof::Driver)),
                        HUGE if self.in_a_row(address)? => Some(proved(true, SizeProof::Driver)),
                        _ => None,
                    });
                }
                let threads = self.threads()?;
                let fault = trace.with_lines(|lines| last_fault(lines, &threads, address))?;
                let in_a_row = self.in_a_row(address)?;
                Ok(match fault {
                    Some(Fault::Huge) if in_a_row => Some(proved(true, SizeProof::Fault)),
                    Some(Fault::Small) => Some(proved(false, SizeProof::Fault)),
                    // The trace and the table contradict each other, or the trace knows nothing.
                    Some(Fault::Huge) | None => None,
                })
            }
            Err(error) => Err(failure(format_args!("PAGEMAP_SCAN of {}: {error}", self.pid))),
        }
    }

    fn threads(&self) -> Result<Vec<i32>, Failure> {
        let path = format!("/proc/{}/task", self.pid);
        let mut threads = Vec::new();
        for thread in fs::read_dir(&path).doing(&path)? {
            let name = thread.doing(&path)?.file_name();
            threads.extend(name.to_string_lossy().parse::<i32>());
        }
        Ok(threads)
    }

    /// By pages of how many bytes the driver maps here; `None` unless this is a mapping of a DAX character device.
    fn character_device(&self, address: u64) -> Result<Option<u64>, Failure> {
        let path = format!("/proc/{}/smaps", self.pid);
        let table = fs::read_to_string(&path).doing(&path)?;
        Ok(driver_page(&table, address))
    }

    /// All pages of the 2 MiB around an address are present, and lie in a row that begins at a multiple of 2 MiB.
    fn in_a_row(&self, address: u64) -> Result<bool, Failure> {
        let start = address / HUGE * HUGE;
        let mut words = vec![0; HUGE_PAGE / 4096 * 8];
        self.pagemap
            .read_exact_at(&mut words, start / PAGE_SIZE * 8)
            .doing(format_args!("/proc/{}/pagemap at {start:#x}", self.pid))?;
        let entries: Vec<PageEntry> = words
            .chunks_exact(8)
            .filter_map(|word| Some(parse(u64::from_ne_bytes(word.try_into().ok()?))))
            .collect();
        Ok(is_row(&entries))
    }
}

fn parse(word: u64) -> PageEntry {
    const PRESENT: u64 = 1 << 63;
    const SWAPPED: u64 = 1 << 62;
    const PFN: u64 = (1 << 55) - 1;
    let present = word & PRESENT != 0;
    PageEntry {
        present,
        swapped: word & SWAPPED != 0,
        physical: present.then_some(GuestPhysical((word & PFN) * PAGE_SIZE)),
    }
}

/// `KernelPageSize` of the area that holds an address, if that maps a DAX character device (`fs/proc/task_mmu.c:show_smap`).
fn driver_page(smaps: &str, address: u64) -> Option<u64> {
    let mut inside = false;
    for line in smaps.lines() {
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else {
            continue;
        };
        if let Some(kibibytes) = line.strip_prefix("KernelPageSize:").filter(|_| inside) {
            let number = kibibytes.trim().strip_suffix("kB")?.trim();
            return number.parse::<u64>().ok()?.checked_mul(1024);
        }
        // "start-end perms offset major:minor inode path"
        if let Some((start, end)) = first.split_once('-') {
            let number = |word| u64::from_str_radix(word, 16).ok();
            let range = number(start)?..number(end)?;
            let mapped = words.nth(4).unwrap_or_default();
            inside = range.contains(&address) && mapped.starts_with("/dev/dax");
        }
    }
    None
}

fn is_row(entries: &[PageEntry]) -> bool {
    let Some(first) = entries.first().and_then(|entry| entry.physical) else {
        return false;
    };
    first.0.is_multiple_of(HUGE)
        && entries
            .iter()
            .zip(0..)
            .all(|(entry, index)| entry.physical == Some(GuestPhysical(first.0 + index * PAGE_SIZE)))
}

/// What a fault brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Small,
    Huge,
}

/// The last fault that any of these threads had in the 2 MiB around an address and that brought an entry.
///
/// `include/trace/events/fs_dax.h`: "… address 0x… … RESULT", where a result of NOPAGE says that the entry is there, and
/// NEEDDSYNC that it will be when the file is on the medium (`MAP_SYNC`).
fn last_fault(lines: &[TraceLine], threads: &[i32], address: u64) -> Option<Fault> {
    lines
        .iter()
        .rev()
        .filter(|line| threads.contains(&line.pid))
        .find_map(|line| {
            let fault = match line.event.as_str() {
                "dax_pmd_fault_done" => Fault::Huge,
                "dax_pte_fault_done" => Fault::Small,
                _ => return None,
            };
            let mut words = line.text.split_whitespace();
            let result = words.next_back()?;
            let hex = words.skip_while(|word| *word != "address").nth(1)?;
            let at = u64::from_str_radix(hex.strip_prefix("0x")?, 16).ok()?;
            let brought = result
                .split('|')
                .any(|flag| matches!(flag, "NOPAGE" | "NEEDDSYNC"));
            (brought && at / HUGE == address / HUGE).then_some(fault)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(text: &str) -> Vec<TraceLine> {
        text.lines().filter_map(TraceLine::parse).collect()
    }

    #[test]
    fn the_last_fault_counts() {
        let pmd = "alice-91 [000] ..... 1.0: dax_pmd_fault_done: dev 259:0 ino 0x83 shared WRITE|ALLOW_RETRY|USER \
                   address 0x7f0000201000 vm_start 0x7f0000200000 vm_end 0x7f0000600000 pgoff 0x1 max_pgoff 0x3ff NOPAGE\n";
        let fallback = pmd.replace("NOPAGE", "FALLBACK").replace("1.0:", "2.0:");
        let pte = "alice-91 [000] ..... 3.0: dax_pte_fault_done: dev 259:0 ino 0x83 shared ALLOW_RETRY|USER \
                   address 0x7f0000202000 pgoff 0x2 NOPAGE\n";
        let at = 0x7f00_0020_1234;
        assert_eq!(last_fault(&trace(pmd), &[91], at), Some(Fault::Huge));
        assert_eq!(last_fault(&trace(pmd), &[92], at), None);
        assert_eq!(last_fault(&trace(pmd), &[91], at + HUGE), None);
        assert_eq!(last_fault(&trace(&fallback), &[91], at), None);
        assert_eq!(
            last_fault(&trace(&format!("{pmd}{fallback}")), &[91], at),
            Some(Fault::Huge)
        );
        assert_eq!(
            last_fault(&trace(&format!("{pmd}{pte}")), &[91], at),
            Some(Fault::Small)
        );
    }

    #[test]
    fn the_driver_of_a_character_device_says_by_what_it_maps() {
        let smaps = "7f0000000000-7f0000400000 r--s 00000000 103:00 131    /mnt/a\n\
                     Size:               4096 kB\nKernelPageSize:        4 kB\n\
                     7f0000400000-7f0000800000 rw-s 00200000 fc:00 217   /dev/dax0.0\n\
                     Size:               4096 kB\nKernelPageSize:     2048 kB\nMMUPageSize:        2048 kB\n\
                     7fff00000000-7fff00021000 rw-p 00000000 00:00 0     [stack]\n\
                     KernelPageSize:        4 kB\n";
        assert_eq!(driver_page(smaps, 0x7f00_0060_0000), Some(HUGE));
        assert_eq!(driver_page(smaps, 0x7f00_0000_0000), None);
        assert_eq!(driver_page(smaps, 0x7fff_0000_0000), None);
        assert_eq!(
            driver_page(&smaps.replace("2048", "4"), 0x7f00_0040_0000),
            Some(SMALL)
        );
    }

    #[test]
    fn a_row_has_no_gap_and_begins_where_a_huge_page_can() {
        let row = |first: u64| -> Vec<PageEntry> {
            (0..512).map(|index| parse(1 << 63 | (first + index))).collect()
        };
        assert!(is_row(&row(0x10_1200)));
        assert!(!is_row(&row(0x10_1201)));
        let mut gap = row(0x10_1200);
        gap[17] = parse(0x10_1211);
        assert!(!is_row(&gap));
        assert_eq!(gap[17].physical, None);
    }
}
