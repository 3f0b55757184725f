// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the kernel says of itself: devices, accounts, traces, its log, and its reports about filesystems.

use super::{Outcome, Watcher, calls};
use crate::address::{DeviceOffset, FsOffset, GuestPhysical};
use crate::trace::TraceLine;
use serde::{Deserialize, Serialize};

/// Answer to [`AskPmem`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PmemState {
    /// Bytes.
    pub size: u64,
    /// The guest physical address of the device's first byte: the pfn device's `resource`, or the character device's.
    /// `None` when the namespace is raw: without struct pages there is no memory failure to handle.
    pub data_start: Option<GuestPhysical>,
    /// By pages of how many bytes a character device is mapped, its `align`; `None` for a block device.
    pub align: Option<u64>,
    /// The namespace's mode device, `pfn0.0` for fsdax, `dax0.1` for devdax: its number need not be the character device's.
    pub holder: String,
    /// A list of bad blocks is longer than the page that sysfs shows of it (`block/badblocks.c:badblocks_show`): what is here
    /// is its beginning.
    pub truncated: bool,
    /// `/sys/block/pmemN/badblocks`. A character device has no such list: then what its region's says of its bytes.
    pub badblocks: Vec<BadRange>,
    /// `badblocks` of the region that the namespace is a part of, by address. The bus keeps them when the namespace is
    /// unbound. Empty when the region shows none.
    pub region_badblocks: Vec<BadMemory>,
}

/// One NVDIMM as the guest knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Region {
    /// The kernel's number of it: `regionN`, `namespaceN.0`.
    pub number: u32,
    /// Its first byte in the guest's memory.
    pub start: GuestPhysical,
    /// Bytes, without the label area.
    pub size: u64,
    /// The device on it, if there is one: a block device, `pmem0`, or a character device, `dax0.0`.
    pub device: Option<String>,
}

/// A range of bad sectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BadRange {
    /// Its first byte.
    pub start: DeviceOffset,
    /// Bytes.
    pub length: u64,
}

/// A range of bad memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BadMemory {
    /// Its first byte.
    pub start: GuestPhysical,
    /// Bytes.
    pub length: u64,
}

/// What the kernel has counted. It is never reset, so only differences mean anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accounts {
    /// `HardwareCorrupted` of /proc/meminfo, in bytes.
    pub hardware_corrupted: u64,
    /// `/sys/devices/system/node/node0/memory_failure`; `None` where it does not exist (before 6.4).
    pub node: Option<NodeAccounts>,
}

/// Memory failures of a NUMA node (`include/linux/mmzone.h:memory_failure_stats`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeAccounts {
    /// All.
    pub total: u64,
    /// Not handled by intent.
    pub ignored: u64,
    /// Handling failed.
    pub failed: u64,
    /// Handled at the next access.
    pub delayed: u64,
    /// Handled.
    pub recovered: u64,
}

/// What /proc/kpageflags says of a page frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PageFlags {
    /// `KPF_*` bits (`<linux/kernel-page-flags.h>`); `KPF_HWPOISON` is bit 19, `KPF_NOPAGE` (there is no struct page that
    /// this file would look at) bit 20.
    Known(u64),
    /// The file ends before this frame: kernels show ordinary memory's frames only
    /// (`fs/proc/page.c:get_max_dump_pfn`), and an NVDIMM lies above.
    BeyondReach,
}

impl PageFlags {
    /// Is `KPF_HWPOISON` set? `None` when one cannot see it.
    #[must_use]
    pub const fn poisoned(self) -> Option<bool> {
        const NOPAGE: u64 = 1 << 20;
        match self {
            Self::Known(flags) if flags & NOPAGE == 0 => Some(flags & (1 << 19) != 0),
            _ => None,
        }
    }
}

/// A tracepoint to enable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceEvent {
    /// `system/event`.
    pub name: String,
    /// For the event's `filter` file.
    pub filter: Option<String>,
}

/// Answer to [`StartTrace`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceStarted {
    /// What could not be attached, each with the reason.
    pub unavailable: Vec<String>,
}

/// Answer to [`AwaitHandled`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Handled {
    /// Entered and left: everything before it in the chain has finished too.
    Finished,
    /// Entered, never left.
    Stuck,
    /// Never entered.
    Silent,
}

/// One message of the kernel, from `/dev/kmsg`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRecord {
    /// Sequence number.
    pub sequence: u64,
    /// 0 (emergency) to 7 (debug).
    pub level: u8,
    /// Microseconds since boot.
    pub micros: u64,
    /// The text.
    pub text: String,
}

/// What a watcher was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WatchEvent {
    /// By the health monitor.
    Health(HealthEvent),
    /// By fanotify.
    Fanotify(FileError),
    /// The list of bad blocks, as it was when its reader was woken.
    Badblocks(Vec<BadRange>),
}

/// An event of the health monitor (`fs/xfs/libxfs/xfs_fs.h:xfs_health_monitor_event`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthEvent {
    /// What happened.
    pub what: HealthNews,
    /// Whom it concerns.
    pub domain: HealthDomain,
}

/// What the health monitor tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealthNews {
    /// The monitor runs. It is the first event.
    Running,
    /// So many events were lost.
    Lost(u64),
    /// The filesystem was unmounted.
    Unmount,
    /// It was shut down, for these reasons (`XFS_HEALTH_SHUTDOWN_*`, the same bits as `SHUTDOWN_*` of
    /// `fs/xfs/xfs_mount.h`).
    ShutDown(u32),
    /// Metadata is sick, as found in use (`XFS_*_SICK_*` of the domain).
    Sick(u32),
    /// Metadata is corrupt, as found by a check.
    Corrupt(u32),
    /// Metadata is healthy again.
    Healthy(u32),
    /// A device of the filesystem's has lost a range.
    MediaError {
        /// The first byte, on that device.
        start: FsOffset,
        /// Bytes.
        length: u64,
    },
    /// A range of a file is concerned.
    File {
        /// In which way.
        trouble: FileTrouble,
        /// Its inode number.
        inode: u64,
        /// The first byte in the file.
        offset: u64,
        /// Bytes.
        length: u64,
        /// The errno.
        error: i32,
    },
    /// A kind of event that the agent does not know, by its number.
    Other(u32),
}

/// What befell a range of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileTrouble {
    /// A buffered read failed.
    BufferedRead,
    /// A buffered write failed.
    BufferedWrite,
    /// A direct read failed.
    DirectRead,
    /// A direct write failed.
    DirectWrite,
    /// Data was lost, as the device told.
    DataLost,
}

/// Whom an event of the health monitor concerns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HealthDomain {
    /// The mount.
    Mount,
    /// Metadata of the whole filesystem.
    Filesystem,
    /// Metadata of this allocation group.
    AllocationGroup(u32),
    /// Metadata of this inode.
    Inode(u64),
    /// Metadata of this realtime group.
    RealtimeGroup(u32),
    /// The data device.
    DataDevice,
    /// The realtime device.
    RealtimeDevice,
    /// The log device.
    LogDevice,
    /// A range of a file.
    FileRange,
    /// One that the agent does not know, by its number.
    Other(u32),
}

/// An event of fanotify's `FAN_FS_ERROR`. Errors that come before the first one is read are merged with it, and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileError {
    /// The errno of the first.
    pub error: i32,
    /// How many.
    pub count: u32,
    /// The inode number in the file handle that came with it; `None` when it concerns the filesystem.
    pub inode: Option<u64>,
}

calls! {
    /// What there is to see.
    enum ObserveCall;

    /// Which NVDIMMs there are, by rising address. The kernel's numbers need not follow that order.
    AskRegions("ask-regions") -> Vec<Region> {}

    /// What the kernel says of a block or character device of persistent memory; `None` of one that is gone, as when it was
    /// unbound from its driver.
    AskPmem("ask-pmem") -> Option<PmemState> {
        /// `pmem0`, `dax0.0`.
        device: String,
    }

    /// What has been counted of memory failures?
    AskAccounts("ask-accounts") -> Accounts {}

    /// What are the flags of these page frames?
    AskPageFlags("ask-page-flags") -> Vec<PageFlags> {
        /// The page frames.
        pfns: Vec<u64>,
    }

    /// Starts observation in a tracefs instance of its own, or goes on with the one that this guest, or the one that it
    /// was cloned from, has already. A probe that cannot be attached is no failure: it is named in the answer.
    StartTrace("start-trace") -> TraceStarted {
        /// Lines for `kprobe_events`.
        kprobes: Vec<String>,
        /// Tracepoints to enable, `ras/memory_failure_event`, with an optional filter. `fs_dax/dax_pmd_fault_done` and
        /// `fs_dax/dax_pte_fault_done` are what [`super::SizeProof::Fault`] needs.
        events: Vec<TraceEvent>,
    }

    /// How many trace lines there are by now: a mark for later questions.
    MarkTrace("mark-trace") -> usize {}

    /// The trace lines from a mark on.
    ReadTrace("read-trace") -> Vec<TraceLine> {
        /// [`MarkTrace`]'s answer.
        since: usize,
    }

    /// Waits until the pair of probes `enter`/`leave` has bracketed the handling of `address` in one task.
    AwaitHandled("await-handled") -> Handled {
        /// [`MarkTrace`]'s answer from before the injection.
        since: usize,
        /// The probe at the entry of the last handler of a machine check; its field `addr` is compared.
        enter: String,
        /// The probe at its return.
        leave: String,
        /// `MCi_ADDR`, compared by page.
        address: GuestPhysical,
        /// Give up after so many milliseconds.
        deadline_ms: u64,
    }

    /// The sequence number that the next kernel message will have.
    MarkLog("mark-log") -> u64 {}

    /// The kernel's messages from a mark on.
    ReadLog("read-log") -> Vec<LogRecord> {
        /// [`MarkLog`]'s answer; 0 for all that the buffer still holds.
        since: u64,
    }

    /// Starts to watch a mounted filesystem, or a device. Refused when the kernel cannot be watched so.
    StartWatch("start-watch") -> Outcome<()> {
        /// By whom. One of each at a time.
        watcher: Watcher,
        /// The mount point; for [`Watcher::Badblocks`] the list's file.
        at: String,
    }

    /// Everything that a watcher has been told since it was started. Fails when it was never started. Kernels report to
    /// watchers from a worker, after the handler has returned: so it can be waited for.
    ReadWatch("read-watch") -> Vec<WatchEvent> {
        /// Which.
        watcher: Watcher,
        /// Wait until so many events have been told; 0: for none.
        at_least: usize,
        /// Wait no longer than so many milliseconds, and answer with what there is.
        deadline_ms: u64,
    }

    /// Stops a watcher; a mark of fanotify's goes with it. Nothing is wrong with one that was never started.
    StopWatch("stop-watch") -> () {
        /// Which.
        watcher: Watcher,
    }
}

/// Bytes per sector of a badblocks list, whatever the device's own sector size is (`block/badblocks.c`).
pub const SECTOR: u64 = 512;

impl BadRange {
    /// Parses `/sys/block/*/badblocks`: one `sector count` pair a line. Lines that are no such pair are
    /// returned as the error.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, String> {
        let number = |word: Option<&str>| word.and_then(|word| word.parse::<u64>().ok());
        text.lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| {
                let mut words = line.split_whitespace();
                match (number(words.next()), number(words.next()), words.next()) {
                    (Some(sector), Some(count), None) => Ok(Self {
                        start: DeviceOffset(sector * SECTOR),
                        length: count * SECTOR,
                    }),
                    _ => Err(line.to_owned()),
                }
            })
            .collect()
    }
}

/// The bytes from which on what sysfs shows of a list may have been cut off (`fs/sysfs/file.c:sysfs_kf_seq_show`).
const WHOLE_PAGE: usize = 4095;

impl BadRange {
    /// Parses as much of `/sys/block/*/badblocks` as sysfs shows of it, and whether that is cut off: a last line without its end
    /// is left out then.
    pub fn parse_shown(text: &str) -> Result<(Vec<Self>, bool), String> {
        let truncated = text.len() >= WHOLE_PAGE;
        let whole = match text.rfind('\n') {
            Some(end) if truncated => &text[..end],
            _ => text,
        };
        Ok((Self::parse_list(whole)?, truncated))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn badblocks_are_sectors_of_512_bytes() {
        let list = BadRange::parse_list("200 8\n0 1\n").unwrap();
        assert_eq!(
            list,
            [
                BadRange {
                    start: DeviceOffset(0x19000),
                    length: 4096
                },
                BadRange {
                    start: DeviceOffset(0),
                    length: 512
                }
            ]
        );
        assert_eq!(BadRange::parse_list("\n").unwrap(), []);
        assert_eq!(BadRange::parse_list("200 eight"), Err("200 eight".to_owned()));
        assert_eq!(BadRange::parse_list("1 2 3"), Err("1 2 3".to_owned()));
    }

    #[test]
    fn a_list_longer_than_a_page_is_known_to_be_cut_off() {
        let lines: Vec<String> = (0..500)
            .map(|index| format!("{} 1\n", 1_800_000 + index * 2))
            .collect();
        let long = lines.concat();
        let (list, truncated) = BadRange::parse_shown(&long[..4095]).unwrap();
        assert_eq!((list.len(), truncated), (409, true));
        let (list, truncated) = BadRange::parse_shown(&long[..400]).unwrap();
        assert_eq!((list.len(), truncated), (40, false));
        assert_eq!(BadRange::parse_shown("8 1\n2"), Err("2".to_owned()));
    }

    #[test]
    fn a_page_that_cannot_be_seen_is_not_called_sound() {
        assert_eq!(PageFlags::Known(1 << 19).poisoned(), Some(true));
        assert_eq!(PageFlags::Known(0).poisoned(), Some(false));
        assert_eq!(PageFlags::Known(1 << 20 | 1 << 19).poisoned(), None);
        assert_eq!(PageFlags::BeyondReach.poisoned(), None);
    }
}
