// SPDX-License-Identifier: MIT OR Apache-2.0
//! The subcommand `serve`: answers requests, each in a thread of its own.

use super::change::Held;
use super::error::{Doing, failure, outcome};
use super::tracefs::Trace;
use super::victims::Victims;
use super::watch::Watchers;
use super::{
    accounts, change, cpus, facts, features, files, init, inject, kmsg, mounts, pmem, regions, resolve, run,
    space, sys,
};
use guest_agent::call::{
    AskAccounts, AskBlockDevice, AskExtents, AskFacts, AskFlags, AskLacking, AskMount, AskPageFlags, AskPmem,
    AskQuota, AskRegions, AskVictim, AwaitHandled, Call, ChangeFile, ChangeMount, CopyRange, Dedupe, Failure,
    ForkVictim, GetXattr, Hello, MarkLog, MarkTrace, Mount, OrderVictim, ReadAt, ReadDirectory,
    ReadKernelFile, ReadLink, ReadLog, ReadTrace, ReadWatch, ReleaseVictim, Request, Resolve, Response,
    Resumed, Run, SpaceMap, StartTrace, StartVictim, StartWatch, Stat, StopWatch, Unmount, VisitCpus,
    Welcome, WriteKernelFile,
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
    request: &Request,
    serve: impl FnOnce(C) -> Result<C::Answer, Failure>,
) -> Result<serde_json::Value, Failure> {
    let call = C::deserialize(&request.arguments).doing(format_args!("arguments of {}", C::NAME))?;
    serde_json::to_value(serve(call)?).doing(format_args!("answer of {}", C::NAME))
}

impl Guest {
    fn answer(&self, request: &Request) -> Result<serde_json::Value, Failure> {
        self.about_files(request)
            .or_else(|| self.about_victims(request))
            .or_else(|| self.about_observation(request))
            .or_else(|| Self::about_the_guest(request))
            .unwrap_or_else(|| Err(failure(format_args!("there is no call {:?}", request.call))))
    }

    /// `None` when it is another kind of request; so for all of these.
    fn about_files(&self, request: &Request) -> Option<Result<serde_json::Value, Failure>> {
        Some(match request.call.as_str() {
            ChangeFile::NAME => served(request, |ChangeFile { change }| {
                outcome(change::carry_out(&change, &self.held))
            }),
            ReadAt::NAME => served(request, |call: ReadAt| {
                outcome(files::read(
                    &call.path,
                    call.offset,
                    call.length,
                    call.direct,
                    call.checksum,
                ))
            }),
            Stat::NAME => served(request, |Stat { path, follow }| {
                outcome(files::status(&path, follow))
            }),
            AskFlags::NAME => served(request, |AskFlags { path }| outcome(files::flags(&path))),
            AskExtents::NAME => served(request, |AskExtents { path, sync }| {
                outcome(files::extents(&path, sync))
            }),
            ReadLink::NAME => served(request, |ReadLink { path }| outcome(files::target(&path))),
            ReadDirectory::NAME => served(request, |ReadDirectory { path }| outcome(files::names(&path))),
            GetXattr::NAME => served(request, |GetXattr { path, name }| {
                outcome(files::xattr(&path, &name))
            }),
            Dedupe::NAME => served(request, |Dedupe { ranges }| outcome(files::dedupe(&ranges))),
            CopyRange::NAME => served(request, |CopyRange { ranges }| outcome(files::copy(&ranges))),
            Resolve::NAME => served(request, |call: Resolve| {
                resolve::resolve(&call.path, call.offset, call.cross_check)
            }),
            Mount::NAME => served(request, |call: Mount| outcome(mounts::mount(&call)?)),
            Unmount::NAME => served(request, |Unmount { at }| outcome(mounts::unmount(&at))),
            ChangeMount::NAME => served(request, |ChangeMount { at, change }| {
                outcome(mounts::change(&at, &change))
            }),
            AskBlockDevice::NAME => served(request, |AskBlockDevice { path }| {
                outcome(mounts::block_device(&path))
            }),
            AskMount::NAME => served(request, |AskMount { at, device }| {
                let others = |number| facts::ways_in(&self.victims, &self.held, number);
                mounts::state(&at, device.as_ref(), others).map(|seen| seen.state)
            }),
            SpaceMap::NAME => served(request, |SpaceMap { at }| outcome(space::map(&at))),
            AskQuota::NAME => served(request, |AskQuota { device }| outcome(mounts::quota(&device))),
            WriteKernelFile::NAME => served(request, |WriteKernelFile { path, text }| {
                outcome(inject::write(&path, &text))
            }),
            ReadKernelFile::NAME => served(request, |ReadKernelFile { path }| outcome(inject::read(&path))),
            _ => return None,
        })
    }

    fn about_victims(&self, request: &Request) -> Option<Result<serde_json::Value, Failure>> {
        Some(match request.call.as_str() {
            StartVictim::NAME => served(request, |StartVictim { spec }| self.victims.start(&spec)),
            ForkVictim::NAME => served(request, |ForkVictim { name, child }| {
                self.victims.fork(&name, &child)
            }),
            OrderVictim::NAME => served(request, |OrderVictim { name, order }| {
                self.victims.order(&name, order)
            }),
            AskVictim::NAME => served(request, |AskVictim { name, pages }| {
                self.victims.ask(&name, &pages, &self.trace)
            }),
            ReleaseVictim::NAME => served(request, |ReleaseVictim { name }| {
                self.victims.release(&name, &self.trace)
            }),
            AskFacts::NAME => served(request, |call: AskFacts| {
                facts::gather(&call, &self.victims, &self.held, &self.trace)
            }),
            _ => return None,
        })
    }

    fn about_observation(&self, request: &Request) -> Option<Result<serde_json::Value, Failure>> {
        Some(match request.call.as_str() {
            AskRegions::NAME => served(request, |AskRegions {}| regions::ask()),
            AskPmem::NAME => served(request, |AskPmem { device }| pmem::ask(&device)),
            AskAccounts::NAME => served(request, |AskAccounts {}| accounts::ask()),
            AskPageFlags::NAME => served(request, |AskPageFlags { pfns }| accounts::flags(&pfns)),
            StartTrace::NAME => served(request, |StartTrace { kprobes, events }| {
                self.trace.start(&kprobes, &events)
            }),
            MarkTrace::NAME => served(request, |MarkTrace {}| self.trace.mark()),
            ReadTrace::NAME => served(request, |ReadTrace { since }| self.trace.read(since)),
            AwaitHandled::NAME => served(request, |call: AwaitHandled| {
                let patience = Duration::from_millis(call.deadline_ms);
                self.trace
                    .await_handled(call.since, &call.enter, &call.leave, call.address, patience)
            }),
            MarkLog::NAME => served(request, |MarkLog {}| kmsg::next_sequence()),
            ReadLog::NAME => served(request, |ReadLog { since }| kmsg::read_from(since)),
            StartWatch::NAME => served(request, |StartWatch { watcher, at }| {
                outcome(self.watchers.start(watcher, &at))
            }),
            ReadWatch::NAME => served(request, |call: ReadWatch| {
                let patience = Duration::from_millis(call.deadline_ms);
                self.watchers.read(call.watcher, call.at_least, patience)
            }),
            StopWatch::NAME => served(request, |StopWatch { watcher }| {
                self.watchers.stop(watcher);
                Ok(())
            }),
            _ => return None,
        })
    }

    fn about_the_guest(request: &Request) -> Option<Result<serde_json::Value, Failure>> {
        Some(match request.call.as_str() {
            Hello::NAME => served(request, |Hello {}| hello()),
            Resumed::NAME => served(request, |Resumed { unix_nanos, seed }| {
                sys::set_clock(Duration::from_nanos(unix_nanos)).doing("clock_settime")?;
                stir(&seed)?;
                hello()
            }),
            AskLacking::NAME => served(request, |AskLacking {}| features::lacking()),
            VisitCpus::NAME => served(request, |VisitCpus {}| cpus::visit_all()),
            Run::NAME => served(request, |Run { argv, deadline_ms }| {
                run::run(&argv, deadline_ms.map(Duration::from_millis))
            }),
            _ => return None,
        })
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
