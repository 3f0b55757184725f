// SPDX-License-Identifier: MIT OR Apache-2.0
//! The subcommand `serve`: answers requests, each in a thread of its own.

use super::error::{Doing, failure, outcome};
use super::tracefs::Trace;
use super::victims::Victims;
use super::{features, files, init, kmsg, pmem, regions, resolve, space, sys};
use guest_agent::call::{
    AskLacking, AskPmem, AskRegions, AskVictim, AwaitHandled, Call, CorruptPfn, CreateFile, Failure, Hello,
    IsDax, IsShutDown, MarkLog, MarkTrace, Mount, Outcome, ReadAt, ReadLog, ReadTrace, Reflink,
    ReleaseVictim, Request, Resolve, Response, Resumed, Run, RunResult, SpaceMap, StartTrace, StartVictim,
    Stat, Unmount, Welcome, WriteAt, WriteFile,
};
use guest_agent::victim::Ended;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

const CORRUPT_PFN: &str = "/sys/kernel/debug/hwpoison/corrupt-pfn";

#[derive(Default)]
struct Guest {
    victims: Victims,
    trace: Arc<Trace>,
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
        match request.call.as_str() {
            Hello::NAME => served(request, |Hello {}| hello()),
            Resumed::NAME => served(request, |Resumed { unix_nanos, seed }| {
                sys::set_clock(Duration::from_nanos(unix_nanos)).doing("clock_settime")?;
                stir(&seed)?;
                hello()
            }),
            AskLacking::NAME => served(request, |AskLacking {}| features::lacking()),
            Run::NAME => served(request, |call: Run| execute(&call.argv)),
            Mount::NAME => served(request, |call: Mount| mount_at(&call)),
            Unmount::NAME => served(request, |Unmount { at }| {
                outcome(
                    format_args!("umount {at}"),
                    umount2(at.as_str(), MntFlags::empty()).map_err(io::Error::from),
                )
            }),
            IsDax::NAME => served(request, |IsDax { path }| {
                outcome(format_args!("statx {path}"), sys::is_dax(&path))
            }),
            IsShutDown::NAME => served(request, |IsShutDown { at }| is_shut_down(&at)),
            WriteFile::NAME => served(request, |WriteFile { path, size, fill }| {
                outcome(
                    format_args!("write {path}"),
                    files::create_filled(&path, size, fill),
                )
            }),
            CreateFile::NAME => served(request, |CreateFile { path }| {
                outcome(format_args!("create {path}"), files::create(&path))
            }),
            WriteAt::NAME => served(
                request,
                |WriteAt {
                     path,
                     offset,
                     length,
                     fill,
                 }| {
                    outcome(
                        format_args!("write {path}"),
                        files::write_at(&path, offset, length, fill),
                    )
                },
            ),
            ReadAt::NAME => served(request, |ReadAt { path, offset, length }| {
                outcome(format_args!("read {path}"), files::read_at(&path, offset, length))
            }),
            Stat::NAME => served(request, |Stat { path }| {
                outcome(
                    format_args!("stat {path}"),
                    fs::metadata(&path).map(|data| data.len()),
                )
            }),
            Reflink::NAME => served(request, |Reflink { from, to }| {
                outcome(format_args!("FICLONE {from} to {to}"), files::reflink(&from, &to))
            }),
            StartVictim::NAME => served(request, |call: StartVictim| {
                self.victims
                    .start(&call.name, &call.path, &call.touches, call.policy)
            }),
            AskVictim::NAME => served(request, |AskVictim { name, page }| self.victims.ask(&name, page)),
            ReleaseVictim::NAME => served(request, |ReleaseVictim { name }| self.victims.release(&name)),
            Resolve::NAME => served(request, |call: Resolve| {
                resolve::resolve(&call.path, call.offset, call.cross_check)
            }),
            SpaceMap::NAME => served(request, |SpaceMap { at }| space::map(&at)),
            AskRegions::NAME => served(request, |AskRegions {}| regions::ask()),
            AskPmem::NAME => served(request, |AskPmem { device }| pmem::ask(&device)),
            CorruptPfn::NAME => served(request, |CorruptPfn { pfn }| corrupt(pfn)),
            StartTrace::NAME => served(request, |StartTrace { kprobes, events }| {
                self.trace.start(&kprobes, &events)
            }),
            MarkTrace::NAME => served(request, |MarkTrace {}| Ok(self.trace.mark())),
            ReadTrace::NAME => served(request, |ReadTrace { since }| self.trace.read(since)),
            AwaitHandled::NAME => served(request, |call: AwaitHandled| {
                let patience = Duration::from_millis(call.deadline_ms);
                self.trace
                    .await_handled(call.since, &call.enter, &call.leave, call.address, patience)
            }),
            MarkLog::NAME => served(request, |MarkLog {}| kmsg::next_sequence()),
            ReadLog::NAME => served(request, |ReadLog { since }| kmsg::read_from(since)),
            other => Err(failure(format_args!("there is no call {other:?}"))),
        }
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

fn execute(argv: &[String]) -> Result<RunResult, Failure> {
    let (program, arguments) = argv
        .split_first()
        .ok_or_else(|| failure("run: no program was named"))?;
    let output = std::process::Command::new(program)
        .args(arguments)
        .env("PATH", init::PATH)
        .stdin(std::process::Stdio::null())
        .output()
        .doing(program)?;
    Ok(RunResult {
        ended: match (output.status.code(), output.status.signal()) {
            (Some(code), _) => Ended::Exited(code),
            (None, Some(signal)) => Ended::Killed(signal),
            (None, None) => return Err(failure(format_args!("{program} ended in no known way"))),
        },
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

fn mount_at(call: &Mount) -> Result<Outcome<()>, Failure> {
    fs::create_dir_all(&call.at).doing(&call.at)?;
    let options = Some(call.options.as_str()).filter(|options| !options.is_empty());
    outcome(
        format_args!("mount {} at {}", call.device, call.at),
        mount(
            Some(call.device.as_str()),
            call.at.as_str(),
            Some(call.kind.as_str()),
            MsFlags::empty(),
            options,
        )
        .map_err(io::Error::from),
    )
}

fn is_shut_down(at: &str) -> Result<Outcome<bool>, Failure> {
    match fs::metadata(at) {
        Ok(_) => Ok(Outcome::Done(false)),
        Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(Outcome::Done(true)),
        Err(error) => outcome(format_args!("stat {at}"), Err(error)),
    }
}

fn corrupt(pfn: u64) -> Result<Outcome<()>, Failure> {
    let mut file = OpenOptions::new()
        .write(true)
        .open(CORRUPT_PFN)
        .doing(CORRUPT_PFN)?;
    outcome(
        format_args!("write {pfn:#x} to {CORRUPT_PFN}"),
        file.write_all(format!("{pfn:#x}").as_bytes()),
    )
}
