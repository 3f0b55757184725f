// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a victim does when it is told to.

use super::super::access;
use super::super::error::{Call, Doing, Tried};
use super::super::files;
use super::super::signals;
use super::super::sys::memory;
use super::super::sys::process::{self, Forked};
use super::{Disposition, Victim};
use guest_agent::call::Failure;
use guest_agent::victim::{Order, Reply};
use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;

/// Carries on with the value, or ends with the reply that came instead.
macro_rules! or_reply {
    ($result:expr) => {
        match $result {
            Ok(value) => value,
            Err(reply) => return Ok(Some(reply)),
        }
    };
}

impl Victim {
    /// Does as it is told. `None` in the child of a fork.
    pub(super) fn obey(&mut self, order: Order) -> Result<Option<Reply>, Failure> {
        Ok(Some(match order {
            Order::Touch(touch) => self.maps.touch(touch),
            Order::Spin { at, cpu } => {
                if self.crew.spins() {
                    return Ok(Some(Reply::Nonsense("a thread spins already".to_owned())));
                }
                let address = or_reply!(self.maps.address(at));
                match self.crew.spin(address, cpu)? {
                    Ok(tid) => {
                        self.crew.await_first_load()?;
                        let (code_start, code_end) = access::spin_code();
                        Reply::Spinning {
                            tid,
                            code_start,
                            code_end,
                        }
                    }
                    Err(stopped) => Reply::Refused(stopped.refusal()?),
                }
            }
            Order::StopSpinning => match self.crew.stop_spinning()? {
                Some(loads) => Reply::Moved(loads),
                None => Reply::Nonsense("no thread spins".to_owned()),
            },
            Order::Advise { advice, at, length } => {
                let (address, length) = or_reply!(self.maps.range(at, length));
                done(memory::advise(address, length, advice.number()).of("madvise", advice))?
            }
            Order::Unmap { mapping } => done(or_reply!(self.maps.unmap(mapping)))?,
            Order::SetPolicy { thread: None, policy } => {
                done(process::set_kill_policy(policy).of("prctl(PR_MCE_KILL)", &self.name))?
            }
            Order::SetPolicy {
                thread: Some(thread),
                policy,
            } => match self.crew.adopt(&thread, policy) {
                Some(tried) => done(tried)?,
                None => Reply::Nonsense(format!("there is no thread {thread}")),
            },
            Order::SetDisposition(_) if self.crew.spins() => {
                Reply::Nonsense("the spinning thread cannot be told; stop it first".to_owned())
            }
            Order::SetDisposition(disposition) => done(self.dispose(disposition))?,
            Order::Read { at, length, checksum } => or_reply!(self.maps.read(at, length, checksum)),
            Order::ReadInto {
                path,
                offset,
                at,
                length,
                direct,
            } => {
                let (address, length) = or_reply!(self.maps.range(at, length));
                let flag = if direct { libc::O_DIRECT } else { 0 };
                let read = OpenOptions::new()
                    .read(true)
                    .custom_flags(flag)
                    .open(&path)
                    .of("open", &path)
                    .and_then(|file| {
                        memory::read_into(file.as_fd(), offset.0, address, length).of("pread", &path)
                    });
                moved(read)?
            }
            Order::WriteFrom {
                path,
                offset,
                at,
                length,
                direct,
            } => {
                let (address, length) = or_reply!(self.maps.range(at, length));
                let written = files::open_to_write(&path, direct).and_then(|file| {
                    memory::write_from(file.as_fd(), offset.0, address, length).of("pwrite", &path)
                });
                moved(written)?
            }
            Order::Pin { at, length } => {
                let (address, length) = or_reply!(self.maps.range(at, length));
                let (reader, writer) = io::pipe().doing("victim: a pipe")?;
                let pinned = memory::splice(writer.as_fd(), address, length).of("vmsplice", &self.name);
                self.pins.push((reader, writer));
                moved(pinned)?
            }
            Order::Unpin => {
                self.pins.clear();
                Reply::Done
            }
            Order::Fork {
                name,
                commands,
                reports,
            } => return self.fork(name, &commands, &reports),
        }))
    }

    fn dispose(&self, disposition: Disposition) -> Tried<()> {
        signals::dispose(disposition).of("sigaction", &self.name)?;
        let blocked = disposition == Disposition::Blocked;
        self.crew.block_bus(blocked)?;
        signals::block_bus(blocked).of("sigprocmask", &self.name)
    }

    /// The other threads hold no lock of the allocator's meanwhile: they wait for this one, or spin on three words.
    fn fork(&mut self, name: String, commands: &str, reports: &str) -> Result<Option<Reply>, Failure> {
        let commands = File::open(commands).doing(commands)?;
        let reports = OpenOptions::new().write(true).open(reports).doing(reports)?;
        self.say_signals()?;
        // Whatever comes while there are two of one record waits.
        let mut before = SigSet::empty();
        let mask = |mask: &SigSet| pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(mask), None);
        pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut before))
            .doing("victim: sigprocmask")?;
        let forked = process::fork_as_sibling();
        if let Ok(Forked::Child) = forked {
            self.crew.abandon();
            self.pins.clear();
            signals::forget();
            (self.told, self.lost) = (0, 0);
            process::become_standard(commands.as_fd(), libc::STDIN_FILENO).doing("victim: dup2")?;
            process::become_standard(reports.as_fd(), libc::STDOUT_FILENO).doing("victim: dup2")?;
            process::set_name(&name).doing("prctl(PR_SET_NAME)")?;
            self.name = name;
            mask(&before).doing("victim: sigprocmask")?;
            return Ok(None);
        }
        mask(&before).doing("victim: sigprocmask")?;
        Ok(Some(match forked.of("clone", &name) {
            Ok(Forked::Parent(pid)) => Reply::Forked { pid },
            Ok(Forked::Child) => return Ok(None),
            Err(stopped) => Reply::Refused(stopped.refusal()?),
        }))
    }
}

fn done(tried: Tried<()>) -> Result<Reply, Failure> {
    match tried {
        Ok(()) => Ok(Reply::Done),
        Err(stopped) => stopped.refusal().map(Reply::Refused),
    }
}

fn moved(tried: Tried<u64>) -> Result<Reply, Failure> {
    match tried {
        Ok(count) => Ok(Reply::Moved(count)),
        Err(stopped) => stopped.refusal().map(Reply::Refused),
    }
}

#[cfg(test)]
mod tests {
    use guest_agent::victim::Madvise;
    use words::{Advice, MadviseError};

    #[test]
    fn the_words_have_the_numbers_of_the_c_library() {
        let advice = [
            (Advice::Dontneed, libc::MADV_DONTNEED),
            (Advice::Willneed, libc::MADV_WILLNEED),
            (Advice::PopulateRead, libc::MADV_POPULATE_READ),
            (Advice::PopulateWrite, libc::MADV_POPULATE_WRITE),
            (Advice::Dontfork, libc::MADV_DONTFORK),
            (Advice::Hugepage, libc::MADV_HUGEPAGE),
            (Advice::Nohugepage, libc::MADV_NOHUGEPAGE),
            (Advice::Cold, libc::MADV_COLD),
            (Advice::Pageout, libc::MADV_PAGEOUT),
            (Advice::Remove, libc::MADV_REMOVE),
        ];
        let errors = [
            (MadviseError::Hwpoison, libc::MADV_HWPOISON),
            (MadviseError::SoftOffline, libc::MADV_SOFT_OFFLINE),
        ];
        let advice = advice.map(|(advice, number)| (Madvise::Advice(advice), number));
        let errors = errors.map(|(error, number)| (Madvise::Error(error), number));
        for (told, number) in advice.into_iter().chain(errors) {
            assert_eq!(told.number(), number, "{told}");
        }
    }
}
