// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the host asks of `guest-agent serve`, each request with the type of its answer.
//!
//! One JSON object per line in each direction. Requests carry a number and are answered in any order, so that
//! one that hangs in the kernel does not silence the others. What the *kernel* refuses is data
//! ([`Outcome::Refused`] with its errno); what the *agent* could not do is a [`Failure`].

use crate::address::{DeviceOffset, FileOffset, FsOffset, GuestPhysical, Resolution};
use crate::trace::TraceLine;
use crate::victim::{Ended, KillPolicy, Signal};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A request and the type of its answer.
pub trait Call: Serialize + DeserializeOwned {
    /// The name on the wire.
    const NAME: &'static str;
    /// What comes back.
    type Answer: Serialize + DeserializeOwned;
}

/// A request line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Chosen by the host; the answer carries it back.
    pub id: u64,
    /// [`Call::NAME`].
    pub call: String,
    /// The [`Call`] itself.
    pub arguments: serde_json::Value,
}

/// An answer line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Response {
    /// The request's number.
    pub id: u64,
    /// [`Call::Answer`], or why there is none.
    pub result: Result<serde_json::Value, Failure>,
}

/// The agent could not do what it was asked: the harness's trouble, never the kernel's verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("in the guest: {what}")]
pub struct Failure {
    /// What failed, on what, and why.
    pub what: String,
}

/// What the kernel answered to a system call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome<T> {
    /// It was done.
    Done(T),
    /// It was refused.
    Refused(Refusal),
}

/// A system call that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The system call and its object, "open /mnt/a".
    pub what: String,
    /// Linux's number for the error.
    pub errno: i32,
}

macro_rules! calls {
    ($($(#[$doc:meta])* $name:ident($wire:literal) -> $answer:ty { $($(#[$field_doc:meta])* $field:ident: $kind:ty),* $(,)? })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub struct $name { $($(#[$field_doc])* pub $field: $kind),* }

            impl Call for $name {
                const NAME: &'static str = $wire;
                type Answer = $answer;
            }
        )*
    };
}

calls! {
    /// Who are you?
    Hello("hello") -> Welcome {}

    /// You are a clone that has just been restored: this is the time, and this makes your random numbers your own.
    Resumed("resumed") -> Welcome {
        /// Nanoseconds since 1970, UTC.
        unix_nanos: u64,
        /// Bytes that no other clone is given.
        seed: Vec<u8>,
    }

    /// What does the running kernel lack of what every case needs?
    AskLacking("ask-lacking") -> Vec<String> {}

    /// Runs a program to its end. Standard input is empty.
    Run("run") -> RunResult {
        /// Program and arguments; the program is looked up in PATH.
        argv: Vec<String>,
    }

    /// mount(2).
    Mount("mount") -> Outcome<()> {
        /// The device, `/dev/pmem0`.
        device: String,
        /// The directory; made if it is not there.
        at: String,
        /// The filesystem's name.
        kind: String,
        /// The options, comma separated.
        options: String,
    }

    /// umount2(2) without flags.
    Unmount("unmount") -> Outcome<()> {
        /// The directory.
        at: String,
    }

    /// Is this file DAX now? statx(2), `STATX_ATTR_DAX`; refused when statx is.
    IsDax("is-dax") -> Outcome<bool> {
        /// The file.
        path: String,
    }

    /// Is the filesystem mounted there shut down? XFS answers statx(2) of any inode with EIO once it is
    /// (`fs/xfs/xfs_iops.c:xfs_vn_getattr`), without touching memory or disk.
    IsShutDown("is-shut-down") -> Outcome<bool> {
        /// The mount point.
        at: String,
    }

    /// Creates a file of `size` bytes, each `fill`, and writes it back with fsync(2).
    WriteFile("write-file") -> Outcome<()> {
        /// The file; must not exist.
        path: String,
        /// Bytes.
        size: u64,
        /// Every byte of it.
        fill: u8,
    }

    /// Creates an empty file, which must not exist.
    CreateFile("create-file") -> Outcome<()> {
        /// The file.
        path: String,
    }

    /// Writes into an existing file with pwrite(2), and fsync(2).
    WriteAt("write-at") -> Outcome<()> {
        /// The file.
        path: String,
        /// Where.
        offset: FileOffset,
        /// How many bytes.
        length: u64,
        /// Every byte of them.
        fill: u8,
    }

    /// Reads with pread(2) and says what was there.
    ReadAt("read-at") -> Outcome<Contents> {
        /// The file.
        path: String,
        /// Where.
        offset: FileOffset,
        /// How many bytes.
        length: u64,
    }

    /// stat(2).
    Stat("stat") -> Outcome<u64> {
        /// The file; the answer is its size in bytes.
        path: String,
    }

    /// ioctl(FICLONE): `to` is created and shares every block of `from`.
    Reflink("reflink") -> Outcome<()> {
        /// The file that exists.
        from: String,
        /// The one that must not.
        to: String,
    }

    /// Starts a victim; answered when it has mapped the file and touched it.
    StartVictim("start-victim") -> VictimStarted {
        /// Its name, unique among the victims of this guest.
        name: String,
        /// The file that it maps, whole, shared and read-only.
        path: String,
        /// The bytes that it loads at once.
        touches: Vec<FileOffset>,
        /// Its kill policy.
        policy: KillPolicy,
    }

    /// What has this victim been told so far? Answered after everything pending for it was delivered.
    AskVictim("ask-victim") -> VictimState {
        /// Its name.
        name: String,
        /// A byte of its mapping whose page-table entry is looked up.
        page: Option<FileOffset>,
    }

    /// Ends a victim (SIGKILL) and waits for it.
    ReleaseVictim("release-victim") -> VictimState {
        /// Its name.
        name: String,
    }

    /// Follows a byte of a file down to the device.
    Resolve("resolve") -> Outcome<Resolution> {
        /// The file.
        path: String,
        /// The byte.
        offset: FileOffset,
        /// Whether to fault the page in and ask pagemap too. Not while victims are about: a new read fault of a
        /// shared block may take their page-table entries away.
        cross_check: bool,
    }

    /// Who owns which piece of the filesystem: geometry and all of GETFSMAP.
    SpaceMap("space-map") -> Outcome<Space> {
        /// The mount point.
        at: String,
    }

    /// Which NVDIMMs there are, by rising address. The kernel's numbers need not follow that order.
    AskRegions("ask-regions") -> Vec<Region> {}

    /// What the kernel says of a pmem block device.
    AskPmem("ask-pmem") -> PmemState {
        /// `pmem0`.
        device: String,
    }

    /// Writes a page frame number to debugfs `hwpoison/corrupt-pfn`; answered when the handler has returned.
    CorruptPfn("corrupt-pfn") -> Outcome<()> {
        /// The page frame.
        pfn: u64,
    }

    /// Starts observation in a tracefs instance of its own, or goes on with the one that this guest, or the one that it
    /// was cloned from, has already. A probe that cannot be attached is no failure: it is named in the answer.
    StartTrace("start-trace") -> TraceStarted {
        /// Lines for `kprobe_events`.
        kprobes: Vec<String>,
        /// Tracepoints to enable, `ras/memory_failure_event`, with an optional filter.
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
}

/// Answer to [`Hello`] and [`Resumed`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// `uname -r`.
    pub release: String,
    /// `/proc/version`.
    pub banner: String,
    /// `/proc/sys/kernel/random/boot_id`: tells one boot from another.
    pub boot_id: String,
    /// Modules that are needed and did not load at boot, each with the reason.
    pub failed_modules: Vec<String>,
}

/// Answer to [`Run`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunResult {
    /// How it ended.
    pub ended: Ended,
    /// Standard output, lossily decoded.
    pub stdout: String,
    /// Standard error, lossily decoded.
    pub stderr: String,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Bytes read; less than asked for at the end of the file.
    pub length: u64,
    /// The value of every byte, when all are alike.
    pub uniform: Option<u8>,
    /// The first bytes, up to 16.
    pub head: Vec<u8>,
}

/// Answer to [`StartVictim`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VictimStarted {
    /// It runs.
    Running {
        /// Process id.
        pid: i32,
        /// Virtual address of the mapping.
        address: u64,
        /// Length of the mapping in bytes.
        length: u64,
        /// The bytes that it could load, of those that it was told to.
        touched: Vec<FileOffset>,
    },
    /// The kernel refused it the file, the mapping or the policy.
    Refused(Refusal),
}

/// What a victim has been told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VictimState {
    /// Process id.
    pub pid: i32,
    /// How it ended, if it has.
    pub ended: Option<Ended>,
    /// Every signal since it began, in order.
    pub signals: Vec<Signal>,
    /// `SigPnd` and `ShdPnd` of /proc/PID/status: blocked signals that wait. Zero for a dead process.
    pub pending: u64,
    /// Whether the page that was asked about has a present page-table entry, and where it points.
    pub entry: Option<PageEntry>,
}

/// One entry of /proc/PID/pagemap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageEntry {
    /// Bit 63.
    pub present: bool,
    /// Bits 0–54, as an address; `None` when not present.
    pub physical: Option<GuestPhysical>,
}

/// Answer to [`SpaceMap`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    /// Bytes.
    pub block_size: u32,
    /// Blocks of an allocation group (the last one may be shorter).
    pub ag_blocks: u32,
    /// Allocation groups.
    pub ag_count: u32,
    /// All records, in device order.
    pub records: Vec<SpaceRecord>,
}

/// One record of GETFSMAP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpaceRecord {
    /// Its first byte on the data device.
    pub start: FsOffset,
    /// Bytes.
    pub length: u64,
    /// Who owns it.
    pub owner: SpaceOwner,
    /// The attribute fork of an inode.
    pub attribute_fork: bool,
    /// A block of an inode's extent map (bmbt).
    pub extent_map: bool,
    /// Allocated but unwritten.
    pub unwritten: bool,
}

/// An owner as `<linux/fsmap.h>` and `fs/xfs/libxfs/xfs_fs.h` number them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpaceOwner {
    /// `XFS_FMR_OWN_FREE`.
    Free,
    /// `XFS_FMR_OWN_FS`: superblock, AGF, AGI, AGFL.
    AgHeader,
    /// `XFS_FMR_OWN_LOG`.
    Log,
    /// `XFS_FMR_OWN_AG`: free-space btrees, rmapbt, AGFL blocks.
    AgBtree,
    /// `XFS_FMR_OWN_INOBT`.
    InodeBtree,
    /// `XFS_FMR_OWN_INODES`.
    InodeChunk,
    /// `XFS_FMR_OWN_REFC`.
    RefcountBtree,
    /// `XFS_FMR_OWN_COW`: copy-on-write staging.
    CowStaging,
    /// A file or directory.
    Inode {
        /// Its number.
        number: u64,
        /// The byte of the fork at which the record begins.
        offset: FileOffset,
    },
    /// Anything else that the kernel names.
    Other(u64),
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
    /// The block device on it, `pmem0`, if there is one.
    pub device: Option<String>,
}

/// Answer to [`AskPmem`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PmemState {
    /// Bytes.
    pub size: u64,
    /// The guest physical address of the device's first byte: the pfn device's `resource`. `None` when the
    /// namespace is raw: without struct pages there is no memory failure to handle.
    pub data_start: Option<GuestPhysical>,
    /// The namespace's mode device, `pfn0.0` for fsdax.
    pub holder: String,
    /// `/sys/block/pmemN/badblocks`.
    pub badblocks: Vec<BadRange>,
}

/// A range of bad sectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BadRange {
    /// Its first byte.
    pub start: DeviceOffset,
    /// Bytes.
    pub length: u64,
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
    fn an_outcome_keeps_the_errno_apart_from_a_failure() {
        let refused: Outcome<()> = Outcome::Refused(Refusal {
            what: "mount".into(),
            errno: 5,
        });
        let text = serde_json::to_string(&refused).unwrap();
        assert_eq!(text, r#"{"refused":{"what":"mount","errno":5}}"#);
        assert_eq!(serde_json::from_str::<Outcome<()>>(&text).unwrap(), refused);
    }
}
