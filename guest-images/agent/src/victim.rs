// SPDX-License-Identifier: MIT OR Apache-2.0
//! A victim: a process that maps files and reports, as data, every signal that it gets.
//!
//! SSH cannot carry SIGBUS (it is not in the protocol's list of signals), so a victim says it itself. It faults in no
//! page but those that it is told to touch.

use crate::address::{FileOffset, MappingOffset};
use crate::call::{Contents, Refusal};
use serde::{Deserialize, Serialize};
use std::fmt;
use words::{Advice, MadviseError};

pub use words::{Disposition, KillPolicy, MappingKind};

/// A victim to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VictimSpec {
    /// Its name, unique among the victims of this guest; the kernel's messages show its first 15 bytes.
    pub name: String,
    /// What it maps, in this order. A file may be there more than once.
    pub mappings: Vec<MappingSpec>,
    /// What it touches at once, in this order, after all is mapped.
    pub touches: Vec<Touch>,
    /// Its kill policy: that of its first thread, inherited by the others unless they have their own.
    pub policy: KillPolicy,
    /// What it does about SIGBUS.
    pub disposition: Disposition,
    /// Further threads, which exist before anything is mapped.
    pub threads: Vec<ThreadSpec>,
}

impl VictimSpec {
    /// The commonest victim: it maps one whole file, shared and read-only, reports its signals, and loads these bytes.
    #[must_use]
    pub fn reader(name: &str, path: &str, policy: KillPolicy, loads: &[MappingOffset]) -> Self {
        Self {
            name: name.to_owned(),
            mappings: vec![MappingSpec::whole(path)],
            touches: loads
                .iter()
                .map(|&offset| Touch {
                    at: Spot { mapping: 0, offset },
                    access: Access::Load,
                })
                .collect(),
            policy,
            disposition: Disposition::Handler,
            threads: Vec::new(),
        }
    }
}

/// A mapping to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MappingSpec {
    /// The file, or a character device.
    pub path: String,
    /// Where in the file it begins; a multiple of the page size.
    pub offset: FileOffset,
    /// Bytes; `None`: to the end of the file. Of a device, which does not tell how long it is, it must be said.
    pub length: Option<u64>,
    /// How it takes stores.
    pub kind: MappingKind,
    /// Whether it can be stored through: `PROT_WRITE`, and the file opened for writing unless the mapping is private.
    pub writable: bool,
    /// Whether it is put at an address where the kernel can map 2 MiB at once: one that leaves the same remainder as the
    /// file offset. Whether it does, also the file's blocks decide.
    pub huge: bool,
}

impl MappingSpec {
    /// A whole file, shared and read-only.
    #[must_use]
    pub fn whole(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            offset: FileOffset(0),
            length: None,
            kind: MappingKind::Shared,
            writable: false,
            huge: false,
        }
    }
}

/// A further thread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ThreadSpec {
    /// Its name, as the kernel's messages show it.
    pub name: String,
    /// Its own kill policy; `None`: that of the first thread.
    pub policy: Option<KillPolicy>,
}

/// A byte of one of a victim's mappings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Spot {
    /// Which mapping, in the order of [`VictimSpec::mappings`].
    pub mapping: usize,
    /// Where in it.
    pub offset: MappingOffset,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of its mapping {}", self.offset, self.mapping)
    }
}

/// One access to memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Touch {
    /// Which byte.
    pub at: Spot,
    /// How.
    pub access: Access,
}

/// What is done to a byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// It is loaded.
    Load,
    /// This is stored there.
    Store(u8),
}

/// One signal, as `siginfo_t` told it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signal {
    /// Signal number; SIGBUS is 7.
    pub number: i32,
    /// `si_code`: 4 is BUS_MCEERR_AR, 5 is BUS_MCEERR_AO, 2 is BUS_ADRERR.
    pub code: i32,
    /// `si_addr`, a virtual address of the victim.
    pub address: u64,
    /// The same as a byte of a mapping; `None` when the address is in none of them.
    pub at: Option<Spot>,
    /// `si_addr_lsb`: the least significant bit of the address that is valid. Meaningful for the two
    /// BUS_MCEERR codes only, `None` for all others.
    pub lsb: Option<u8>,
    /// The thread whose handler ran; the process's pid for its first.
    pub tid: i32,
}

/// Something that a victim is told to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Order {
    /// Accesses a byte: [`Reply::Loaded`], [`Reply::Done`] for a store, or [`Reply::Faulted`].
    Touch(Touch),
    /// Starts a thread that loads a byte over and over, in user mode on one CPU, until it gets a SIGBUS or is told to
    /// stop: [`Reply::Spinning`]. The host can then stop the machine while that CPU is in this very loop. One at a time.
    Spin {
        /// Which byte.
        at: Spot,
        /// On which CPU.
        cpu: u32,
    },
    /// Ends the spinning thread, if it has not ended by itself: [`Reply::Moved`], the number of loads that it had done.
    StopSpinning,
    /// madvise(2): [`Reply::Done`] or [`Reply::Refused`]. Of `MADV_HWPOISON` the victim itself is the injector: its
    /// signal comes before the reply.
    Advise {
        /// What.
        advice: Madvise,
        /// From where.
        at: Spot,
        /// Bytes.
        length: u64,
    },
    /// munmap(2) of a whole mapping: [`Reply::Done`] or [`Reply::Refused`]. Its place in the order of mappings stays.
    Unmap {
        /// Which.
        mapping: usize,
    },
    /// prctl(PR_MCE_KILL) by one thread: [`Reply::Done`] or [`Reply::Refused`].
    SetPolicy {
        /// A thread of [`VictimSpec::threads`]; `None`: the first one.
        thread: Option<String>,
        /// The new policy; `None`: `PR_MCE_KILL_CLEAR`, which is not quite `Default` (`kernel/sys.c`: it takes away
        /// `PF_MCE_PROCESS` only).
        policy: Option<KillPolicy>,
    },
    /// Another disposition of SIGBUS: [`Reply::Done`]. Unblocking delivers what waits.
    SetDisposition(Disposition),
    /// Loads a range through the mapping: [`Reply::Contents`] of all that could be loaded before the first fault. The
    /// pages of the range are faulted in by it. Counting pages are compared by their place in the file.
    Read {
        /// From where.
        at: Spot,
        /// Bytes.
        length: u64,
        /// Whether to compute SHA-256.
        checksum: bool,
    },
    /// pread(2) of another file into the mapping: [`Reply::Moved`] or [`Reply::Refused`].
    ReadInto {
        /// The file to read.
        path: String,
        /// Where in the file.
        offset: FileOffset,
        /// Where it goes.
        at: Spot,
        /// Bytes.
        length: u64,
        /// `O_DIRECT`.
        direct: bool,
    },
    /// pwrite(2) of another file out of the mapping: [`Reply::Moved`] or [`Reply::Refused`].
    WriteFrom {
        /// The file to write; must exist.
        path: String,
        /// Where in the file.
        offset: FileOffset,
        /// Where it comes from.
        at: Spot,
        /// Bytes.
        length: u64,
        /// `O_DIRECT`.
        direct: bool,
    },
    /// Takes references to the pages of a range and keeps them, by vmsplice(2) into a pipe that nobody reads:
    /// [`Reply::Moved`] or [`Reply::Refused`]. At most 16 pages; they are faulted in.
    Pin {
        /// From where.
        at: Spot,
        /// Bytes.
        length: u64,
    },
    /// Gives all references of [`Order::Pin`] back: [`Reply::Done`].
    Unpin,
    /// fork(2). The child inherits mappings, policy and disposition, has one thread, and has got no signal yet. Given by
    /// the call that starts it, never by hand.
    Fork {
        /// The child's name.
        name: String,
        /// The file that is to be its standard input.
        commands: String,
        /// The file that is to be its standard output.
        reports: String,
    },
}

/// What an order changes of which victims and mappings there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing.
    Nothing,
    /// This mapping is gone once it is done.
    Unmaps(usize),
    /// There is a victim more.
    Forks,
}

impl Order {
    /// What it changes of which victims and mappings there are.
    pub const fn change(&self) -> Change {
        match self {
            Self::Unmap { mapping } => Change::Unmaps(*mapping),
            Self::Fork { .. } => Change::Forks,
            Self::Touch(_)
            | Self::Spin { .. }
            | Self::StopSpinning
            | Self::Advise { .. }
            | Self::SetPolicy { .. }
            | Self::SetDisposition(_)
            | Self::Read { .. }
            | Self::ReadInto { .. }
            | Self::WriteFrom { .. }
            | Self::Pin { .. }
            | Self::Unpin => Change::Nothing,
        }
    }
}

/// What madvise(2) is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Madvise {
    /// What harms nobody.
    Advice(Advice),
    /// What injects a memory error.
    Error(MadviseError),
}

impl Madvise {
    /// The number that it takes.
    pub const fn number(self) -> i32 {
        match self {
            Self::Advice(advice) => advice.number(),
            Self::Error(error) => error.number(),
        }
    }
}

impl fmt::Display for Madvise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Advice(advice) => advice.kernel_name(),
            Self::Error(error) => error.kernel_name(),
        })
    }
}

/// What came of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// It was done.
    Done,
    /// A load brought this byte.
    Loaded(u8),
    /// The access raised a signal and was given up; the signal is reported too.
    Faulted,
    /// The kernel refused it.
    Refused(Refusal),
    /// So many bytes, or loads, were moved.
    Moved(u64),
    /// What a range holds.
    Contents {
        /// What could be loaded.
        contents: Contents,
        /// The byte whose load raised a signal.
        faulted: Option<Spot>,
    },
    /// A thread spins.
    Spinning {
        /// Its id.
        tid: i32,
        /// The virtual address of the first byte of the loop's code.
        code_start: u64,
        /// That of the first byte after it. While the thread's instruction pointer is in here, it is in user mode, and
        /// all that it does is to load that byte, to count, and to look whether it is to stop. The loop of
        /// another victim may have the same address: it is the CPU that tells them apart.
        code_end: u64,
    },
    /// The child runs.
    Forked {
        /// Its process id.
        pid: i32,
    },
    /// The order makes no sense to this victim: there is no such mapping, thread or byte.
    Nonsense(String),
}

/// A thread, as it sees itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadState {
    /// Its id; the process's pid for the first.
    pub tid: i32,
    /// The name that it was given; the victim's for the first and the spinning one.
    pub name: String,
    /// `prctl(PR_MCE_KILL_GET)`. Of a thread that spins, and so cannot be asked: what it was when it began to.
    pub policy: KillPolicy,
}

/// A mapping as it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mapped {
    /// Virtual address of the first byte.
    pub address: u64,
    /// Bytes.
    pub length: u64,
    /// Where in the file it begins.
    pub offset: FileOffset,
    /// The file's inode number.
    pub inode: u64,
    /// The number of the device that the file's filesystem is on, as [`crate::call::BlockDevice::number`].
    pub device: u32,
    /// `STATX_ATTR_DAX` of the file when it was mapped.
    pub dax: bool,
}

/// A line that a victim prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Report {
    /// Everything is mapped.
    Mapped {
        /// Process id in the guest.
        pid: i32,
        /// The mappings, in the order of the spec.
        mappings: Vec<Mapped>,
    },
    /// A touch of the spec was done.
    Touched {
        /// What it was.
        touch: Touch,
        /// [`Reply::Loaded`], [`Reply::Done`] or [`Reply::Faulted`].
        reply: Reply,
    },
    /// A signal arrived.
    Signal(Signal),
    /// Answer to [`Command::Ping`]. Whatever was pending for any of its threads when the ping was read has been
    /// reported before.
    Pong {
        /// The ping's number.
        number: u64,
        /// Its threads, the first one first.
        threads: Vec<ThreadState>,
    },
    /// Answer to [`Command::Obey`]. The signals that came with it have been reported before.
    Replied {
        /// The order's number.
        number: u64,
        /// What came of it.
        reply: Reply,
    },
    /// It could not become a victim, and ends.
    Failed {
        /// What it was doing.
        what: String,
        /// The errno it got.
        errno: i32,
    },
}

/// A line that a victim reads. The very first one is its [`VictimSpec`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Answer with [`Report::Pong`] after everything pending has been reported.
    Ping(u64),
    /// Carry an order out.
    Obey {
        /// Comes back with the reply.
        number: u64,
        /// What to do.
        order: Order,
    },
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// It returned this status.
    Exited(i32),
    /// This signal killed it.
    Killed(i32),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "it exited with status {status}"),
            Self::Killed(signal) => write!(f, "signal {signal} killed it"),
        }
    }
}
