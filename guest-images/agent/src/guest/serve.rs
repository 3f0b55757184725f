// SPDX-License-Identifier: MIT OR Apache-2.0
//! The subcommand `serve`: answers requests, each in a thread of its own.

use super::change::Held;
use super::error::{Doing, outcome};
use super::tracefs::Trace;
use super::victims::Victims;
use super::watch::Watchers;
use super::{
    accounts, change, cpus, facts, features, files, init, kernel_files, kmsg, mounts, pmem, regions, resolve,
    run, space, sys,
};
use guest_agent::call::{
    AnyCall, AskAccounts, AskBlockDevice, AskExtents, AskFlags, AskLacking, AskMount, AskPageFlags, AskPmem,
    AskQuota, AskRegions, AskVictim, Call, ChangeCall, ChangeFile, ChangeMount, CopyRange, Dedupe, FactsCall,
    Failure, FileCall, ForkVictim, GetXattr, GuestCall, Hello, KernelFileCall, MarkLog, MarkTrace, MountCall,
    ObserveCall, OrderVictim, ReadDirectory, ReadKernelFile, ReadLink, ReadLog, ReadTrace, ReleaseVictim,
    Request, Response, Resumed, Run, SpaceMap, StartTrace, StartVictim, StartWatch, Stat, StopWatch, Unmount,
    VictimCall, VisitCpus, Welcome, WriteKernelFile,
};
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

#[derive(Default)]
struct Guest {
    victims: Victims,
    trace: Arc<Trace>,
    held: Held,
    watchers: Watchers,
}

/// Answers on every connection to the socket that is standard input, for ever. What one connection has begun (the
/// trace, the victims) is there for the next.
pub(crate) fn run() -> Result<(), Failure> {
    let guest = Arc::new(Guest::default());
    let socket = io::stdin().as_fd().try_clone_to_owned().doing("standard input")?;
    for connection in TcpListener::from(socket).incoming() {
        let connection = connection.doing("cannot accept connections")?;
        let guest = Arc::clone(&guest);
        std::thread::spawn(move || {
            if let Err(error) = converse(&guest, connection) {
                init::say(&format!("a connection ended: {error}"));
            }
        });
    }
    Ok(())
}

/// Answers until the host closes its end.
fn converse(guest: &Arc<Guest>, connection: TcpStream) -> Result<(), Failure> {
    // Answers are whole lines; nothing is gained by waiting for more.
    connection.set_nodelay(true).doing("TCP_NODELAY")?;
    let answers = connection.try_clone().doing("duplicate the connection")?;
    let answers = Arc::new(Mutex::new(answers));
    for line in BufReader::new(connection).lines() {
        let line = line.doing("cannot read requests")?;
        let request: Request =
            serde_json::from_str(&line).doing(format_args!("cannot make sense of {line:?}"))?;
        let (guest, answers) = (Arc::clone(guest), Arc::clone(&answers));
        std::thread::spawn(move || {
            let result = guest.answer(&request);
            // When the host is gone nobody is left to tell.
            let _gone = say(
                &answers,
                &Response {
                    id: request.id,
                    result,
                },
            );
        });
    }
    Ok(())
}

fn say(answers: &Mutex<TcpStream>, response: &Response) -> Result<(), Failure> {
    let mut line = serde_json::to_vec(response).doing("cannot write the answer")?;
    line.push(b'\n');
    answers
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .write_all(&line)
        .doing("cannot answer")
}

fn served<C: Call>(
    call: C,
    serve: impl FnOnce(C) -> Result<C::Answer, Failure>,
) -> Result<serde_json::Value, Failure> {
    serde_json::to_value(serve(call)?).doing(format_args!("answer of {}", C::NAME))
}

impl Guest {
    fn answer(&self, request: &Request) -> Result<serde_json::Value, Failure> {
        match AnyCall::read(request)? {
            AnyCall::Guest(call) => about_the_guest(call),
            AnyCall::Change(call) => self.about_changes(call),
            AnyCall::Facts(call) => self.about_facts(call),
            AnyCall::File(call) => about_files(call),
            AnyCall::KernelFile(call) => on_kernel_file(call),
            AnyCall::Mount(call) => self.about_mounts(call),
            AnyCall::Observe(call) => self.about_observation(call),
            AnyCall::Victim(call) => self.about_victims(call),
        }
    }

    fn about_changes(&self, call: ChangeCall) -> Result<serde_json::Value, Failure> {
        match call {
            ChangeCall::ChangeFile(call) => served(call, |ChangeFile { change }| {
                outcome(change::carry_out(&change, &self.held))
            }),
        }
    }

    fn about_facts(&self, call: FactsCall) -> Result<serde_json::Value, Failure> {
        match call {
            FactsCall::AskFacts(call) => served(call, |call| {
                facts::gather(&call, &self.victims, &self.held, &self.trace)
            }),
        }
    }

    fn about_mounts(&self, call: MountCall) -> Result<serde_json::Value, Failure> {
        match call {
            MountCall::Mount(call) => served(call, |call| outcome(mounts::mount(&call)?)),
            MountCall::Unmount(call) => served(call, |Unmount { at }| outcome(mounts::unmount(&at))),
            MountCall::ChangeMount(call) => served(call, |ChangeMount { at, change }| {
                outcome(mounts::change(&at, &change))
            }),
            MountCall::AskBlockDevice(call) => served(call, |AskBlockDevice { path }| {
                outcome(mounts::block_device(&path))
            }),
            MountCall::AskMount(call) => served(call, |AskMount { at, device }| {
                let others = |number| facts::ways_in(&self.victims, &self.held, number);
                mounts::state(&at, device.as_ref(), others).map(|seen| seen.state)
            }),
            MountCall::SpaceMap(call) => served(call, |SpaceMap { at }| outcome(space::map(&at))),
            MountCall::AskQuota(call) => served(call, |AskQuota { device }| outcome(mounts::quota(&device))),
        }
    }

    fn about_observation(&self, call: ObserveCall) -> Result<serde_json::Value, Failure> {
        match call {
            ObserveCall::AskRegions(call) => served(call, |AskRegions {}| regions::ask()),
            ObserveCall::AskPmem(call) => served(call, |AskPmem { device }| pmem::ask(&device)),
            ObserveCall::AskAccounts(call) => served(call, |AskAccounts {}| accounts::ask()),
            ObserveCall::AskPageFlags(call) => served(call, |AskPageFlags { pfns }| accounts::flags(&pfns)),
            ObserveCall::StartTrace(call) => served(call, |StartTrace { kprobes, events }| {
                self.trace.start(&kprobes, &events)
            }),
            ObserveCall::MarkTrace(call) => served(call, |MarkTrace {}| self.trace.mark()),
            ObserveCall::ReadTrace(call) => served(call, |ReadTrace { since }| self.trace.read(since)),
            ObserveCall::AwaitHandled(call) => served(call, |call| {
                let patience = Duration::from_millis(call.deadline_ms);
                self.trace
                    .await_handled(call.since, &call.enter, &call.leave, call.address, patience)
            }),
            ObserveCall::MarkLog(call) => served(call, |MarkLog {}| kmsg::next_sequence()),
            ObserveCall::ReadLog(call) => served(call, |ReadLog { since }| kmsg::read_from(since)),
            ObserveCall::StartWatch(call) => served(call, |StartWatch { watcher, at }| {
                outcome(self.watchers.start(watcher, &at))
            }),
            ObserveCall::ReadWatch(call) => served(call, |call| {
                let patience = Duration::from_millis(call.deadline_ms);
                self.watchers.read(call.watcher, call.at_least, patience)
            }),
            ObserveCall::StopWatch(call) => served(call, |StopWatch { watcher }| {
                self.watchers.stop(watcher);
                Ok(())
            }),
        }
    }

    fn about_victims(&self, call: VictimCall) -> Result<serde_json::Value, Failure> {
        match call {
            VictimCall::StartVictim(call) => served(call, |StartVictim { spec }| self.victims.start(&spec)),
            VictimCall::ForkVictim(call) => served(call, |ForkVictim { name, child }| {
                self.victims.fork(&name, &child)
            }),
            VictimCall::OrderVictim(call) => served(call, |OrderVictim { name, order }| {
                self.victims.order(&name, order)
            }),
            VictimCall::AskVictim(call) => served(call, |AskVictim { name, pages }| {
                self.victims.ask(&name, &pages, &self.trace)
            }),
            VictimCall::ReleaseVictim(call) => served(call, |ReleaseVictim { name }| {
                self.victims.release(&name, &self.trace)
            }),
        }
    }
}

fn about_files(call: FileCall) -> Result<serde_json::Value, Failure> {
    match call {
        FileCall::ReadAt(call) => served(call, |call| {
            outcome(files::read(
                &call.path,
                call.offset,
                call.length,
                call.direct,
                call.checksum,
            ))
        }),
        FileCall::Stat(call) => served(call, |Stat { path, follow }| {
            outcome(files::status(&path, follow))
        }),
        FileCall::AskFlags(call) => served(call, |AskFlags { path }| outcome(files::flags(&path))),
        FileCall::AskExtents(call) => served(call, |AskExtents { path, sync }| {
            outcome(files::extents(&path, sync))
        }),
        FileCall::ReadLink(call) => served(call, |ReadLink { path }| outcome(files::target(&path))),
        FileCall::ReadDirectory(call) => served(call, |ReadDirectory { path }| outcome(files::names(&path))),
        FileCall::GetXattr(call) => served(call, |GetXattr { path, name }| {
            outcome(files::xattr(&path, &name))
        }),
        FileCall::Dedupe(call) => served(call, |Dedupe { ranges }| outcome(files::dedupe(&ranges))),
        FileCall::CopyRange(call) => served(call, |CopyRange { ranges }| outcome(files::copy(&ranges))),
        FileCall::Resolve(call) => served(call, |call| {
            resolve::resolve(&call.path, call.offset, call.cross_check)
        }),
    }
}

fn on_kernel_file(call: KernelFileCall) -> Result<serde_json::Value, Failure> {
    match call {
        KernelFileCall::WriteKernelFile(call) => served(call, |WriteKernelFile { path, text }| {
            outcome(kernel_files::write(&path, &text))
        }),
        KernelFileCall::ReadKernelFile(call) => {
            served(call, |ReadKernelFile { path }| outcome(kernel_files::read(&path)))
        }
    }
}

fn about_the_guest(call: GuestCall) -> Result<serde_json::Value, Failure> {
    match call {
        GuestCall::Hello(call) => served(call, |Hello {}| hello()),
        GuestCall::Resumed(call) => served(call, |Resumed { unix_nanos, seed }| {
            sys::set_clock(Duration::from_nanos(unix_nanos)).doing("clock_settime")?;
            stir(&seed)?;
            hello()
        }),
        GuestCall::AskLacking(call) => served(call, |AskLacking {}| features::lacking()),
        GuestCall::Run(call) => served(call, |Run { argv, deadline_ms }| {
            run::run(&argv, deadline_ms.map(Duration::from_millis))
        }),
        GuestCall::VisitCpus(call) => served(call, |VisitCpus {}| cpus::visit_all()),
    }
}

fn hello() -> Result<Welcome, Failure> {
    let read = |path: &str| {
        fs::read_to_string(path)
            .map(|text| text.trim().to_owned())
            .doing(path)
    };
    Ok(Welcome {
        release: read("/proc/sys/kernel/osrelease")?,
        banner: read("/proc/version")?,
        boot_id: read("/proc/sys/kernel/random/boot_id")?,
        failed_modules: read(init::FAILED_MODULES)?.lines().map(str::to_owned).collect(),
    })
}

/// Makes the kernel's random numbers differ from those of every other clone.
fn stir(seed: &[u8]) -> Result<(), Failure> {
    const POOL: &str = "/dev/urandom";
    let mut pool = OpenOptions::new().write(true).open(POOL).doing(POOL)?;
    // What is written goes into the input pool; without the second step it would count minutes later.
    pool.write_all(seed).doing(POOL)?;
    sys::reseed(pool.as_fd()).doing(POOL)
}
