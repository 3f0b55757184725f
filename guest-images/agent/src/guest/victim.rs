// SPDX-License-Identifier: MIT OR Apache-2.0
//! The subcommand `victim`: maps a file, touches it, and reports every signal as one JSON object per line.

use super::error::{Doing, failure};
use super::{load, sys};
use guest_agent::address::FileOffset;
use guest_agent::call::Failure;
use guest_agent::victim::{Command, KillPolicy, Report, Signal};
use nix::errno::Errno;
use nix::unistd::read;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

const BUS_MCEERR_AR: i32 = 4;
const BUS_MCEERR_AO: i32 = 5;

struct Arguments {
    name: Option<String>,
    file: String,
    touches: Vec<FileOffset>,
    policy: KillPolicy,
}

impl Arguments {
    fn parse(words: &[&str]) -> Result<Self, Failure> {
        let mut name = None;
        let mut file = None;
        let mut touches = Vec::new();
        let mut policy = KillPolicy::Default;
        for pair in words.chunks(2) {
            match *pair {
                ["--name", word] => name = Some(word.to_owned()),
                ["--file", path] => file = Some(path.to_owned()),
                ["--touch", byte] => touches
                    .push(FileOffset(byte.parse().map_err(|error| {
                        failure(format_args!("--touch {byte}: {error}"))
                    })?)),
                ["--policy", "early"] => policy = KillPolicy::Early,
                ["--policy", "late"] => policy = KillPolicy::Late,
                ["--policy", "default"] => policy = KillPolicy::Default,
                _ => {
                    return Err(failure(format_args!(
                        "victim: cannot make sense of {}",
                        pair.join(" ")
                    )));
                }
            }
        }
        let file = file.ok_or_else(|| failure("victim: --file is missing"))?;
        Ok(Self {
            name,
            file,
            touches,
            policy,
        })
    }
}

/// Runs until standard input ends.
pub(crate) fn run(words: &[&str]) -> Result<(), Failure> {
    let arguments = Arguments::parse(words)?;
    if let Some(name) = &arguments.name {
        sys::set_name(name).doing("prctl(PR_SET_NAME)")?;
    }
    let mut voice = Voice {
        told: 0,
        lost: 0,
        mapping: None,
    };
    match prepare(&arguments) {
        Ok(mapping) => {
            voice.mapping = Some(mapping);
            Voice::say(&Report::Mapped {
                pid: i32::try_from(std::process::id()).unwrap_or_default(),
                address: mapping.address as u64,
                length: mapping.length as u64,
            })?;
            for &offset in &arguments.touches {
                voice.touch(mapping, offset)?;
            }
            voice.obey(mapping)
        }
        Err((what, error)) => Voice::say(&Report::Failed {
            what,
            errno: error.raw_os_error().unwrap_or_default(),
        }),
    }
}

fn prepare(arguments: &Arguments) -> Result<sys::Mapping, (String, io::Error)> {
    let doing = |what: &str| {
        let what = format!("{what} {}", arguments.file);
        move |error| (what, error)
    };
    sys::set_kill_policy(match arguments.policy {
        KillPolicy::Late => 0,
        KillPolicy::Early => 1,
        KillPolicy::Default => 2,
    })
    .map_err(doing("prctl(PR_MCE_KILL) before mapping"))?;
    load::record_signals()
        .map_err(io::Error::from)
        .map_err(doing("sigaction before mapping"))?;
    let file = File::open(&arguments.file).map_err(doing("open"))?;
    let length = file.metadata().map_err(doing("stat"))?.len();
    sys::Mapping::of(file.as_fd(), usize::try_from(length).unwrap_or(usize::MAX)).map_err(doing("mmap"))
}

/// What this victim has said so far.
struct Voice {
    told: usize,
    lost: usize,
    mapping: Option<sys::Mapping>,
}

impl Voice {
    fn say(report: &Report) -> Result<(), Failure> {
        let mut line =
            serde_json::to_string(report).map_err(|error| failure(format_args!("victim: {error}")))?;
        line.push('\n');
        // One write per line; EINTR (a signal's arrival) is retried by write_all.
        io::stdout()
            .lock()
            .write_all(line.as_bytes())
            .and_then(|()| io::stdout().lock().flush())
            .map_err(|error| failure(format_args!("victim: cannot report: {error}")))
    }

    fn say_signals(&mut self) -> Result<(), Failure> {
        for received in load::received(self.told) {
            self.told += 1;
            let is_memory_error =
                received.number == libc::SIGBUS && matches!(received.code, BUS_MCEERR_AR | BUS_MCEERR_AO);
            let offset = self.mapping.and_then(|mapping| {
                let offset = received.address.checked_sub(mapping.address as u64)?;
                (offset < mapping.length as u64).then_some(FileOffset(offset))
            });
            Self::say(&Report::Signal(Signal {
                number: received.number,
                code: received.code,
                address: received.address,
                offset,
                lsb: if is_memory_error {
                    u8::try_from(received.lsb).ok()
                } else {
                    None
                },
            }))?;
        }
        let lost = load::lost();
        if lost > self.lost {
            self.lost = lost;
            Self::say(&Report::Failed {
                what: format!("{lost} signals found no room in the record"),
                errno: 0,
            })?;
        }
        Ok(())
    }

    fn touch(&mut self, mapping: sys::Mapping, offset: FileOffset) -> Result<(), Failure> {
        let value = usize::try_from(offset.0)
            .ok()
            .filter(|&offset| offset < mapping.length)
            .and_then(|offset| load::load(mapping.address + offset));
        self.say_signals()?;
        Self::say(&Report::Touched { offset, value })
    }

    fn obey(&mut self, mapping: sys::Mapping) -> Result<(), Failure> {
        let mut pending = Vec::new();
        let mut chunk = [0; 512];
        loop {
            // A raw read, because std's retries EINTR and we want to speak as soon as a signal came in.
            match read(io::stdin().as_fd(), &mut chunk) {
                Ok(0) => return Ok(()),
                Ok(length) => pending.extend_from_slice(&chunk[..length]),
                Err(Errno::EINTR) => {
                    self.say_signals()?;
                    continue;
                }
                Err(error) => return Err(failure(format_args!("victim: cannot read commands: {error}"))),
            }
            while let Some(end) = pending.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = pending.drain(..=end).collect();
                let command = serde_json::from_slice(&line)
                    .map_err(|error| failure(format_args!("victim: bad command: {error}")))?;
                match command {
                    Command::Ping(number) => {
                        self.say_signals()?;
                        Self::say(&Report::Pong(number))?;
                    }
                    Command::Touch(offset) => self.touch(mapping, offset)?,
                }
            }
        }
    }
}
