// SPDX-License-Identifier: MIT OR Apache-2.0
//! The filesystem under test: made, mounted, proved to be DAX.

use super::command::{Command, Known, Text, take};
use super::ground::{self, Data};
use super::locate::resolve;
use super::stack::{Pmem, Stack};
use super::{MOUNT_POINT, NvdimmError, PREPARATION, QUESTION, path_of};
use guest_agent::address::{FileOffset, PAGE_SIZE};
use guest_agent::call::{ChangeFile, FileChange, Fill, MarkLog, Mount, Outcome, ReadLog, Refusal, Stat};
use machine::guest::agent::{Agent, CallError};
use nix::errno::Errno;
use serde::Serialize;
use std::time::Duration;
use testcases::{Log, Xfs};

/// Is the mount really DAX?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dax {
    /// A file of the mount has STATX_ATTR_DAX.
    Proved,
    /// It has not: `mount -o dax=always` falls back to the page cache without failing.
    Absent,
}

/// What is done to a guest with namespaces in fsdax mode until it has a template's filesystem. As JSON it is part of the
/// template's key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Filesystem {
    data: Data,
    log: Option<usize>,
    realtime: Option<usize>,
    mkfs: Command,
    mount: Mounting,
    proof: FileChange,
}

impl Filesystem {
    /// The one that a case wants. Its NVDIMMs were made for it: data first, then the log, then realtime.
    pub fn of(wanted: &Xfs) -> Self {
        let data = Data::of(wanted.on);
        let mut rest = data.nvdimms..;
        let log = (wanted.log == Log::External).then(|| rest.next()).flatten();
        let realtime = wanted.realtime.then(|| rest.next()).flatten();
        Self {
            log,
            realtime,
            mkfs: mkfs(&wanted.mkfs, &data.device, log, realtime),
            mount: Mounting::of(data.device.clone(), [log, realtime], &wanted.mount),
            proof: proof_change(),
            data,
        }
    }

    /// Makes and mounts it on `pmems`, and where it is DAX, has the harness's arithmetic checked against it. Whether it is, is
    /// for the case to ask: one that is not may be what it wants.
    ///
    /// Fails with [`NvdimmError::Lacks`] if it is the kernel that cannot have it.
    pub async fn make(&self, agent: &Agent, pmems: &[Pmem]) -> Result<Stack, NvdimmError> {
        let known = Known { regions: &[], pmems };
        take(&self.data.make, agent, known).await?;
        let map = self.data.layout.learn(agent, known).await?;
        let device = self.data.device.close(known)?;
        let stack = Stack::new(pmems.to_vec(), device, map).with(self.log, self.realtime);
        self.mkfs.run(agent, known).await?;
        let since = agent.call(MarkLog {}, PREPARATION).await?;
        match self.mount.mount(agent, known, PREPARATION).await? {
            Outcome::Done(()) => {
                prove(agent, &stack, self.proof.clone()).await?;
                Ok(stack)
            }
            // The stub of a kernel without CONFIG_XFS_RT (fs/xfs/xfs_rtalloc.h: xfs_rtmount_init).
            Outcome::Refused(refusal) if self.realtime.is_some() && refusal.errno == nix::libc::ENOSYS => {
                Err(NvdimmError::Lacks("realtime devices (XFS_RT)".to_owned()))
            }
            Outcome::Refused(refusal) => Err(match lacking_for_mount(agent, &refusal, since).await? {
                Some(lack) => NvdimmError::Lacks(lack),
                None => NvdimmError::Mount {
                    options: self.mount.options.close(known)?,
                    refusal,
                },
            }),
        }
    }
}

/// Makes an XFS; `more` are further arguments of mkfs.xfs, which override ours.
fn mkfs(more: &[String], device: &Text, log: Option<usize>, realtime: Option<usize>) -> Command {
    let ours = metadata_arguments(more, realtime.is_some());
    let given: Vec<&str> = ours.iter().chain(more).map(String::as_str).collect();
    let mut command = Command::new(&["mkfs.xfs", "-q", "-f"]).words(&given);
    for (option, key, nvdimm) in [("-l", "logdev=", log), ("-r", "rtdev=", realtime)] {
        if let Some(nvdimm) = nvdimm {
            let named = Text::from(key).then(ground::pmem(nvdimm));
            command = command.words(&[option]).word(named);
        }
    }
    command.word(device.clone())
}

/// Our `-m`, without what `more` decides: mkfs.xfs takes no option twice. It takes neither reflink nor rmapbt beside a
/// realtime device (xfsprogs 6.1, `mkfs/xfs_mkfs.c:validate_sb_features`), nor on a filesystem without CRCs.
fn metadata_arguments(more: &[String], realtime: bool) -> Vec<String> {
    let value = u8::from(!realtime);
    let decided = decided(more);
    let is_decided = |key: &str| decided.iter().any(|one| one == key);
    if is_decided("crc") {
        return Vec::new();
    }
    let ours: Vec<String> = ["reflink", "rmapbt"]
        .into_iter()
        .filter(|key| !is_decided(key))
        .map(|key| format!("{key}={value}"))
        .collect();
    if ours.is_empty() {
        Vec::new()
    } else {
        vec!["-m".to_owned(), ours.join(",")]
    }
}

/// The suboptions of `-m` that these arguments name.
fn decided(arguments: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        let options = match argument.strip_prefix("-m") {
            Some("") => arguments.next().map_or("", String::as_str),
            Some(glued) => glued,
            None => continue,
        };
        let keys = options.split(',').map(|one| one.split('=').next().unwrap_or(one));
        found.extend(keys.map(|key| key.trim().to_owned()));
    }
    found
}

/// mount(2) of the filesystem under test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Mounting {
    device: Text,
    at: &'static str,
    kind: &'static str,
    options: Text,
}

impl Mounting {
    /// With the options that are wanted, and those that name the log's and the realtime device.
    fn of(device: Text, [log, realtime]: [Option<usize>; 2], wanted: &str) -> Self {
        let mut options = Text::from(wanted);
        let mut comma = if wanted.is_empty() { "" } else { "," };
        for (option, nvdimm) in [("logdev=", log), ("rtdev=", realtime)] {
            if let Some(nvdimm) = nvdimm {
                options = options.then(comma).then(option).then(ground::pmem(nvdimm));
                comma = ",";
            }
        }
        Self {
            device,
            at: MOUNT_POINT,
            kind: "xfs",
            options,
        }
    }

    async fn mount(
        &self,
        agent: &Agent,
        known: Known<'_>,
        deadline: Duration,
    ) -> Result<Outcome<()>, NvdimmError> {
        let call = Mount {
            device: self.device.close(known)?,
            at: self.at.to_owned(),
            kind: self.kind.to_owned(),
            options: self.options.close(known)?,
        };
        Ok(agent.call(call, deadline).await?)
    }
}

/// mount(2) of the filesystem under test. Options that name devices are added.
pub async fn mount(
    agent: &Agent,
    stack: &Stack,
    options: &str,
    deadline: Duration,
) -> Result<Outcome<()>, NvdimmError> {
    let known = Known {
        regions: &[],
        pmems: stack.pmems(),
    };
    let mounting = Mounting::of(stack.device().into(), stack.others(), options);
    mounting.mount(agent, known, deadline).await
}

/// What the kernel lacks that has just refused a mount; `None` when it refused for another reason. `since` is a mark in its log
/// from before.
pub async fn lacking_for_mount(
    agent: &Agent,
    refusal: &Refusal,
    since: u64,
) -> Result<Option<String>, CallError> {
    let log = agent.call(ReadLog { since }, QUESTION).await?;
    let lines: Vec<&str> = log.iter().map(|record| record.text.as_str()).collect();
    Ok(lacking(refusal.errno, &lines))
}

/// ENOSYS is said of what mkfs.xfs can make and this XFS cannot mount, as blocks larger than a page before 6.12
/// (fs/xfs/xfs_super.c: `xfs_fs_fill_super`). EINVAL is said of much, and the log tells of what (fs/fs_context.c:
/// `vfs_parse_fs_param`; fs/xfs/libxfs/xfs_sb.c: `xfs_validate_sb_read`; `xfs_fs_fill_super` of the format of version 4).
fn lacking(errno: i32, log: &[&str]) -> Option<String> {
    const FEATURES: [&str; 3] = [
        "Superblock has unknown incompatible features",
        "Superblock has unknown read-only compatible features",
        "not supported by kernel",
    ];
    match Errno::from_raw(errno) {
        Errno::ENOSYS => {
            let xfs = log.iter().rev().find(|line| line.starts_with("XFS ("));
            let said = xfs.map_or(String::new(), |line| format!(": {line}"));
            Some(format!("what the filesystem needs (mount: ENOSYS{said})"))
        }
        Errno::EINVAL => log.iter().rev().find_map(|line| {
            let (_, parameter) = line.split_once("Unknown parameter '").unwrap_or_default();
            if let Some((name, _)) = parameter.split_once('\'') {
                return Some(format!("the mount option `{name}`"));
            }
            FEATURES
                .iter()
                .any(|words| line.contains(words))
                .then(|| format!("a feature of the filesystem ({line})"))
        }),
        _ => None,
    }
}

/// The file that proves DAX; it stays in the filesystem, hidden.
fn proof() -> String {
    path_of(".taster-proof")
}

/// What makes it.
fn proof_change() -> FileChange {
    FileChange::WriteNew {
        path: proof(),
        size: PAGE_SIZE,
        fill: Fill::Byte(0),
    }
}

/// Makes the proof file in a fresh filesystem. When it is DAX, the two ways to its address are checked against each
/// other, once for this guest and before there is any victim.
pub async fn prove_dax(agent: &Agent, stack: &Stack) -> Result<Dax, NvdimmError> {
    prove(agent, stack, proof_change()).await
}

async fn prove(agent: &Agent, stack: &Stack, change: FileChange) -> Result<Dax, NvdimmError> {
    let call = ChangeFile { change };
    if let Outcome::Refused(refusal) = agent.call(call, QUESTION).await? {
        return Err(NvdimmError::Proof(refusal));
    }
    let dax = still_dax(agent).await?;
    if dax == Dax::Proved {
        resolve(agent, stack, &proof(), FileOffset(0), true).await?;
    }
    Ok(dax)
}

/// Is the proof file DAX, in this mount?
pub async fn still_dax(agent: &Agent) -> Result<Dax, NvdimmError> {
    match is_dax(agent, proof()).await? {
        Outcome::Done(dax) => Ok(dax),
        Outcome::Refused(refusal) => Err(NvdimmError::Proof(refusal)),
    }
}

async fn is_dax(agent: &Agent, path: String) -> Result<Outcome<Dax>, CallError> {
    let call = Stat { path, follow: true };
    Ok(match agent.call(call, QUESTION).await? {
        Outcome::Done(status) if status.dax => Outcome::Done(Dax::Proved),
        Outcome::Done(_) => Outcome::Done(Dax::Absent),
        Outcome::Refused(refusal) => Outcome::Refused(refusal),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use guest_agent::address::GuestPhysical;

    fn ours(more: &[&str], realtime: bool) -> String {
        let more: Vec<String> = more.iter().map(|&word| word.to_owned()).collect();
        metadata_arguments(&more, realtime).join(" ")
    }

    #[test]
    fn what_a_case_decides_is_not_said_twice() {
        assert_eq!(ours(&[], false), "-m reflink=1,rmapbt=1");
        assert_eq!(
            ours(&["-d", "agcount=8,rmapbt=0"], false),
            "-m reflink=1,rmapbt=1"
        );
        assert_eq!(ours(&["-m", "rmapbt=0"], false), "-m reflink=1");
        assert_eq!(ours(&["-mbigtime=1,reflink=0"], false), "-m rmapbt=1");
        assert_eq!(ours(&["-m", "rmapbt=0", "-m", "reflink=1"], false), "");
        assert_eq!(ours(&["-m", "crc=0"], false), "");
    }

    #[test]
    fn a_kernel_that_lacks_what_a_mount_needs_says_so() {
        let einval = |line| lacking(Errno::EINVAL as i32, &["XFS (pmem0): before", line, "after"]);
        assert_eq!(
            einval("xfs: Unknown parameter 'lifetime'").as_deref(),
            Some("the mount option `lifetime`")
        );
        for line in [
            "XFS (pmem0): Superblock has unknown incompatible features (0x80) enabled.",
            "XFS (pmem0): Deprecated V4 format (crc=0) not supported by kernel.",
        ] {
            assert!(einval(line).is_some_and(|lack| lack.contains(line)), "{line}");
        }
        assert_eq!(einval("XFS (pmem0): Internal error"), None);
        let blocks = "XFS (pmem0): File system with blocksize 16384 bytes. Only pagesize (4096) or less will currently work.";
        let lack = lacking(Errno::ENOSYS as i32, &[blocks]).unwrap();
        assert!(lack.contains(blocks), "{lack}");
        assert!(lacking(Errno::ENOSYS as i32, &[]).is_some());
        assert_eq!(lacking(Errno::EIO as i32, &["xfs: Unknown parameter 'x'"]), None);
    }

    #[test]
    fn a_realtime_device_excludes_both() {
        assert_eq!(ours(&[], true), "-m reflink=0,rmapbt=0");
        assert_eq!(ours(&["-m", "rmapbt=1"], true), "-m reflink=0");
    }

    #[test]
    fn a_log_and_a_realtime_device_are_named_to_mkfs_and_to_mount() {
        let wanted = Xfs {
            log: Log::External,
            realtime: true,
            mkfs: vec!["-d".to_owned(), "agcount=8".to_owned()],
            ..Xfs::default()
        };
        let filesystem = Filesystem::of(&wanted);
        let pmems = ["pmem2", "pmem0", "pmem1"].map(|device| Pmem {
            device: device.to_owned(),
            data_start: GuestPhysical(1 << 32),
            size: 1 << 30,
        });
        let known = Known {
            regions: &[],
            pmems: &pmems,
        };
        assert_eq!(
            filesystem.mkfs.close(known).unwrap().join(" "),
            "mkfs.xfs -q -f -m reflink=0,rmapbt=0 -d agcount=8 -l logdev=/dev/pmem0 -r rtdev=/dev/pmem1 /dev/pmem2"
        );
        let options = |wanted, others| {
            let mounting = Mounting::of("/dev/pmem2".into(), others, wanted);
            mounting.options.close(known).unwrap()
        };
        let both = [Some(1), Some(2)];
        assert_eq!(
            options("dax=always", both),
            "dax=always,logdev=/dev/pmem0,rtdev=/dev/pmem1"
        );
        assert_eq!(options("", both), "logdev=/dev/pmem0,rtdev=/dev/pmem1");
        assert_eq!(options("", [None, Some(1)]), "rtdev=/dev/pmem0");
        assert_eq!(options("dax=always", [None; 2]), "dax=always");
    }
}
