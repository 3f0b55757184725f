// SPDX-License-Identifier: MIT OR Apache-2.0
//! Asking a guest, by subject.

pub(crate) mod errors;
pub(crate) mod facts;
pub(crate) mod files;
pub(crate) mod mounts;
pub(crate) mod space;
pub(crate) mod victims;

use guest_agent::MOUNT_POINT;
use guest_agent::address::{FileOffset, FsOffset, MappingOffset, PAGE_SIZE};
use guest_agent::call::{
    AskBlockDevice, AskFacts, AskPmem, AskVictim, BlockDevice, Call, ChangeFile, Contents, Facts, FileChange,
    FileStatus, Fill, Hello, Obeyed, OrderVictim, Outcome, PageAsked, ReadAt, Run, StartVictim, Stat,
    VictimStarted, VictimState,
};
use guest_agent::victim::{Access, Ended, Order, Reply, Spot, Touch, VictimSpec};
use harness::nvdimm::{self, Part, Place, Stack, path_of};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
/// The one NVDIMM's block device.
pub(crate) const DEVICE: &str = "pmem0";

/// A guest that is asked.
pub(crate) struct Guest<'a> {
    pub(crate) clone: &'a machine::guest::Guest,
    pub(crate) stack: Stack,
    /// `uname -r`, as far as it counts.
    pub(crate) version: (u32, u32),
}

impl<'a> Guest<'a> {
    pub(crate) async fn new(guest: &'a machine::guest::Guest, stack: Stack) -> Self {
        let release = guest.agent.call(Hello {}, PATIENCE).await.unwrap().release;
        let mut numbers = release
            .split(['.', '-', '+'])
            .map(|word| word.parse().unwrap_or(0));
        let version = (numbers.next().unwrap(), numbers.next().unwrap());
        Self {
            clone: guest,
            stack,
            version,
        }
    }

    pub(crate) async fn ask<C: Call>(&self, call: C) -> C::Answer {
        match self.clone.agent.call(call, PATIENCE).await {
            Ok(answer) => answer,
            Err(error) => panic!("{error}"),
        }
    }

    /// What comes of a change: 0, or its errno.
    pub(crate) async fn change(&self, change: FileChange) -> i32 {
        let said = format!("{change:?}");
        let errno = errno(&self.ask(ChangeFile { change }).await);
        println!("  {errno:3} {said}");
        errno
    }

    pub(crate) async fn make(&self, name: &str, size: u64, fill: Fill) {
        let path = path_of(name);
        assert_eq!(self.change(FileChange::WriteNew { path, size, fill }).await, 0);
    }

    pub(crate) async fn read(&self, file: &str, offset: u64, length: u64) -> Contents {
        let call = ReadAt {
            path: path_of(file),
            offset: FileOffset(offset),
            length,
            direct: false,
            checksum: true,
        };
        done(self.ask(call).await)
    }

    pub(crate) async fn stat(&self, file: &str) -> FileStatus {
        let path = path_of(file);
        done(self.ask(Stat { path, follow: false }).await)
    }

    /// Where a byte of a file lies.
    pub(crate) async fn place(&self, file: &str, offset: u64) -> Place {
        let (path, offset) = (path_of(file), FileOffset(offset));
        let found = nvdimm::resolve(&self.clone.agent, &self.stack, &path, offset, false).await;
        found.unwrap().place
    }

    /// Why a byte of a file lies nowhere.
    pub(crate) async fn nowhere(&self, file: &str, offset: u64) -> String {
        let (path, offset) = (path_of(file), FileOffset(offset));
        let found = nvdimm::resolve(&self.clone.agent, &self.stack, &path, offset, false).await;
        found.unwrap_err().to_string()
    }

    /// The filesystem's device, as the kernel names it.
    pub(crate) async fn device(&self) -> BlockDevice {
        let path = format!("/dev/{DEVICE}");
        done(self.ask(AskBlockDevice { path }).await)
    }

    pub(crate) async fn start(&self, spec: VictimSpec) -> VictimStarted {
        self.ask(StartVictim { spec }).await
    }

    pub(crate) async fn order(&self, name: &str, order: Order) -> Obeyed {
        let said = format!("{order:?}");
        let name = name.to_owned();
        let obeyed = self.ask(OrderVictim { name, order }).await;
        println!("  {said}\n    {obeyed:?}");
        obeyed
    }

    /// The reply to an order that the victim survives and that brings no signal.
    pub(crate) async fn calmly(&self, name: &str, order: Order) -> Reply {
        let obeyed = self.order(name, order).await;
        assert_eq!((&obeyed.signals, obeyed.ended), (&Vec::new(), None));
        obeyed.reply.unwrap()
    }

    pub(crate) async fn state(&self, name: &str, pages: &[Spot]) -> VictimState {
        let call = AskVictim {
            name: name.to_owned(),
            pages: pages.to_vec(),
        };
        self.ask(call).await
    }

    /// Facts about pages, by their offsets on the filesystem's device.
    pub(crate) async fn facts(&self, pages: &[u64], files: &[&str]) -> Facts {
        let asked = |&offset: &u64| PageAsked {
            offset: FsOffset(offset),
            physical: self.stack.place(Part::Data, FsOffset(offset)).unwrap().physical,
        };
        let call = AskFacts {
            at: MOUNT_POINT.to_owned(),
            device: Some(self.device().await),
            pages: pages.iter().map(asked).collect(),
            paths: files.iter().map(|file| path_of(file)).collect(),
        };
        self.ask(call).await
    }

    pub(crate) async fn badblocks(&self) -> usize {
        let call = AskPmem {
            device: DEVICE.to_owned(),
        };
        self.ask(call).await.unwrap().badblocks.len()
    }
}

/// The errno of a refusal; 0 for what was done.
pub(crate) fn errno<T>(outcome: &Outcome<T>) -> i32 {
    match outcome {
        Outcome::Done(_) => 0,
        Outcome::Refused(refusal) => refusal.errno,
    }
}

pub(crate) fn done<T>(outcome: Outcome<T>) -> T {
    match outcome {
        Outcome::Done(value) => value,
        Outcome::Refused(refusal) => panic!("refused: {refusal:?}"),
    }
}

pub(crate) fn spot(mapping: usize, offset: u64) -> Spot {
    Spot {
        mapping,
        offset: MappingOffset(offset),
    }
}

pub(crate) fn load(at: Spot) -> Touch {
    Touch {
        at,
        access: Access::Load,
    }
}

pub(crate) fn store(at: Spot, value: u8) -> Touch {
    Touch {
        at,
        access: Access::Store(value),
    }
}

/// A program has the time that it is given, and its children with it.
pub(crate) async fn runs_have_deadlines(guest: &Guest<'_>) {
    let run = |line: &str, deadline_ms| Run {
        argv: ["sh", "-c", line].map(str::to_owned).to_vec(),
        deadline_ms,
    };
    let result = guest
        .ask(run("cat; echo out; echo err >&2; exit 3", Some(30_000)))
        .await;
    assert_eq!(result.ended, Some(Ended::Exited(3)));
    assert_eq!(
        (result.stdout.as_str(), result.stderr.as_str()),
        ("out\n", "err\n")
    );
    let begun = Instant::now();
    let result = guest.ask(run("echo begun; sleep 3600 & wait", Some(500))).await;
    assert_eq!((result.ended, result.stdout.as_str()), (None, "begun\n"));
    assert!(begun.elapsed() < Duration::from_secs(30));
    let left = guest
        .ask(run("grep -x sleep /proc/[0-9]*/comm", Some(30_000)))
        .await;
    assert_eq!((left.ended, left.stdout.as_str()), (Some(Ended::Exited(1)), ""));
}

/// What every byte of a page of counting ones is.
pub(crate) fn counted(page: u64) -> u8 {
    Fill::Counting.byte_at(page * PAGE_SIZE)
}
