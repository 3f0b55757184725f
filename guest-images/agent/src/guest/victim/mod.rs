// SPDX-License-Identifier: MIT OR Apache-2.0
//! The subcommand `victim`: maps files, touches them, does as it is told, and reports every signal as one JSON object per
//! line. The first line of its standard input says what it is to be.

mod crew;
mod maps;
mod obey;

use super::error::{Call, Doing, Tried, failure};
use super::signals::{self, BUS_MCEERR_AO, BUS_MCEERR_AR};
use super::sys::process;
use crew::Crew;
use guest_agent::call::Failure;
use guest_agent::victim::{Access, Command, Disposition, Report, Signal, ThreadState, Touch, VictimSpec};
use maps::Maps;
use nix::errno::Errno;
use nix::unistd::read;
use std::io::{self, PipeReader, PipeWriter, Write};
use std::os::fd::AsFd;

/// Runs until standard input ends.
pub(crate) fn run() -> Result<(), Failure> {
    let mut orders = Orders::default();
    let Some(line) = orders.next(&mut || Ok(()))? else {
        return Ok(());
    };
    let spec: VictimSpec = serde_json::from_slice(&line).doing("victim: bad specification")?;
    match Victim::make(&spec) {
        Ok(mut victim) => {
            victim.introduce()?;
            for &touch in &spec.touches {
                let reply = victim.maps.touch(touch);
                victim.say_signals()?;
                say(&Report::Touched { touch, reply })?;
            }
            victim.obey_all(orders)
        }
        Err(stopped) => {
            let refusal = stopped.refusal()?;
            say(&Report::Failed {
                what: refusal.what,
                errno: refusal.errno,
            })
        }
    }
}

/// The process, as it is now.
struct Victim {
    name: String,
    maps: Maps,
    crew: Crew,
    /// Signals that have been reported.
    told: usize,
    /// Lost signals that have been reported.
    lost: usize,
    /// References to pages that are to be kept: pipes that nobody reads.
    pins: Vec<(PipeReader, PipeWriter)>,
}

impl Victim {
    fn make(spec: &VictimSpec) -> Tried<Self> {
        process::set_name(&spec.name).of("prctl(PR_SET_NAME)", &spec.name)?;
        process::set_kill_policy(Some(spec.policy)).of("prctl(PR_MCE_KILL)", &spec.name)?;
        signals::record_signals().of("sigaction", &spec.name)?;
        signals::dispose(spec.disposition).of("sigaction", &spec.name)?;
        signals::block_bus(spec.disposition == Disposition::Blocked).of("sigprocmask", &spec.name)?;
        let crew = Crew::hire(&spec.threads)?;
        let maps = Maps::make(&spec.mappings)?;
        Ok(Self {
            name: spec.name.clone(),
            maps,
            crew,
            told: 0,
            lost: 0,
            pins: Vec::new(),
        })
    }

    fn introduce(&self) -> Result<(), Failure> {
        say(&Report::Mapped {
            pid: i32::try_from(std::process::id()).doing("pid")?,
            mappings: self.maps.told(),
        })
    }

    fn say_signals(&mut self) -> Result<(), Failure> {
        for received in signals::received(self.told) {
            self.told += 1;
            let is_memory_error =
                received.number == libc::SIGBUS && matches!(received.code, BUS_MCEERR_AR | BUS_MCEERR_AO);
            say(&Report::Signal(Signal {
                number: received.number,
                code: received.code,
                address: received.address,
                at: self.maps.spot_of(received.address),
                // Other codes have none, and what stands there is zero; what is not, is told.
                lsb: if is_memory_error || (received.number == libc::SIGBUS && received.lsb != 0) {
                    u8::try_from(received.lsb).ok()
                } else {
                    None
                },
                tid: received.tid,
            }))?;
        }
        let lost = signals::lost();
        if lost > self.lost {
            self.lost = lost;
            say(&Report::Failed {
                what: format!("{lost} signals found no room in the record"),
                errno: 0,
            })?;
        }
        Ok(())
    }

    fn obey_all(&mut self, mut orders: Orders) -> Result<(), Failure> {
        while let Some(line) = orders.next(&mut || self.say_signals())? {
            let command = serde_json::from_slice(&line).doing("victim: bad command")?;
            match command {
                Command::Ping(number) => {
                    let threads = self.settle()?;
                    self.say_signals()?;
                    say(&Report::Pong { number, threads })?;
                }
                Command::Obey { number, order } => {
                    let Some(reply) = self.obey(order)? else {
                        // This is the child, which has nothing to reply and no order read by its parent to heed.
                        orders = Orders::default();
                        self.introduce()?;
                        continue;
                    };
                    self.say_signals()?;
                    say(&Report::Replied { number, reply })?;
                }
            }
        }
        Ok(())
    }

    /// Returns when every thread has taken what was pending for it. This one has: it comes from a system call.
    fn settle(&mut self) -> Result<Vec<ThreadState>, Failure> {
        let mut threads = vec![ThreadState {
            tid: process::thread_id(),
            name: self.name.clone(),
            policy: process::kill_policy().doing("prctl(PR_MCE_KILL_GET)")?,
        }];
        threads.extend(self.crew.settle(&self.name)?);
        Ok(threads)
    }
}

/// Reports. One write per line; EINTR (a signal's arrival) is retried by std.
fn say(report: &Report) -> Result<(), Failure> {
    let mut line = serde_json::to_vec(report).doing("victim")?;
    line.push(b'\n');
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(&line)
        .and_then(|()| stdout.flush())
        .doing("victim: cannot report")
}

/// What comes in on standard input, line by line.
#[derive(Default)]
struct Orders {
    pending: Vec<u8>,
}

impl Orders {
    /// The next line; `None` at the end. Whenever a signal comes in meanwhile, `interrupted` is called.
    fn next(
        &mut self,
        interrupted: &mut dyn FnMut() -> Result<(), Failure>,
    ) -> Result<Option<Vec<u8>>, Failure> {
        loop {
            if let Some(end) = self.pending.iter().position(|&byte| byte == b'\n') {
                return Ok(Some(self.pending.drain(..=end).collect()));
            }
            let mut chunk = [0; 512];
            // A raw read, because std's retries EINTR and we want to speak as soon as a signal came in.
            match read(io::stdin().as_fd(), &mut chunk) {
                Ok(0) => return Ok(None),
                Ok(length) => self.pending.extend_from_slice(&chunk[..length]),
                Err(Errno::EINTR) => interrupted()?,
                Err(error) => return Err(failure(format_args!("victim: cannot read commands: {error}"))),
            }
        }
    }
}
