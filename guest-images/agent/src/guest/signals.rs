// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signals recorded as data.
//!
//! A handler may not allocate, so records go into a fixed table of atomics. While it runs every other signal waits, so
//! that of several that are pending for a thread the one with the lowest number (SIGBUS is 7) is recorded first: that is
//! what makes the answer to [`Barrier`] a proof.
#![expect(unsafe_code, reason = "signal handlers, and their registration")]

use super::access::{WayOut, way_out};
use super::sys::process;
use guest_agent::victim::Disposition;
use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, pthread_sigmask, sigaction,
};
use std::io::{self, PipeReader, Read};
use std::os::fd::{IntoRawFd, RawFd};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};

/// `BUS_MCEERR_AR`: an access met the error.
pub(crate) const BUS_MCEERR_AR: i32 = 4;
/// `BUS_MCEERR_AO`: nobody has accessed it yet.
pub(crate) const BUS_MCEERR_AO: i32 = 5;

/// Asks a thread whether it has taken what was pending; nobody else sends it, and it is ignored by default.
const BARRIER: Signal = Signal::SIGURG;

/// A signal as the handler found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) number: i32,
    pub(crate) code: i32,
    pub(crate) address: u64,
    pub(crate) lsb: i32,
    pub(crate) tid: i32,
}

struct Slot {
    number: AtomicI32,
    code: AtomicI32,
    address: AtomicU64,
    lsb: AtomicI32,
    tid: AtomicI32,
    filled: AtomicBool,
}

/// More signals than any case sends to one process; further ones are counted, and reported as lost.
const SLOTS: usize = 256;
static RECEIVED: [Slot; SLOTS] = [const {
    Slot {
        number: AtomicI32::new(0),
        code: AtomicI32::new(0),
        address: AtomicU64::new(0),
        lsb: AtomicI32::new(0),
        tid: AtomicI32::new(0),
        filled: AtomicBool::new(false),
    }
}; SLOTS];
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Where a thread says that it has passed the barrier; -1: nowhere.
static PASSED: AtomicI32 = AtomicI32::new(-1);

extern "C" fn record(number: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid siginfo_t and ucontext_t to an SA_SIGINFO handler.
    let (info, context) = unsafe { (&*info, &mut *context.cast::<libc::ucontext_t>()) };
    let code = info.si_code;
    // SAFETY: the kernel zeroes the siginfo_t that it hands out, so both fields are initialised whatever the
    // signal is; their meaning is judged by its readers.
    let (address, lsb) = unsafe { (info.si_addr() as u64, info.si_addr_lsb()) };
    let index = COUNT.fetch_add(1, Ordering::Relaxed);
    if let Some(slot) = RECEIVED.get(index) {
        slot.number.store(number, Ordering::Relaxed);
        slot.code.store(code, Ordering::Relaxed);
        slot.address.store(address, Ordering::Relaxed);
        slot.lsb.store(i32::from(lsb), Ordering::Relaxed);
        slot.tid.store(process::thread_id(), Ordering::Relaxed);
        slot.filled.store(true, Ordering::Release);
    }
    let by_bus = number == libc::SIGBUS;
    let program_counter = &mut context.uc_mcontext.gregs[libc::REG_RIP as usize];
    match way_out(program_counter.cast_unsigned()) {
        // One that nobody's access has caused may come at any instruction, at this one too: the access then goes on.
        WayOut::OfAccess(end) if matches!(number, libc::SIGBUS | libc::SIGSEGV) && code != BUS_MCEERR_AO => {
            *program_counter = end.cast_signed();
            return;
        }
        WayOut::OfSpin(end) if by_bus || number == libc::SIGSEGV => {
            *program_counter = end.cast_signed();
            return;
        }
        WayOut::OfAccess(_) | WayOut::OfSpin(_) | WayOut::None => {}
    }
    let synchronous = matches!(number, libc::SIGSEGV | libc::SIGILL | libc::SIGFPE)
        || (by_bus && code != BUS_MCEERR_AO && code != BUS_MCEERR_AR);
    if synchronous && code > 0 {
        // A fault at an instruction that is not ours, sent by the kernel itself, repeats for ever: die of it.
        // SAFETY: resetting a disposition is async-signal-safe; the instruction then faults again and kills us.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
}

extern "C" fn passed(_number: i32) {
    let pipe = PASSED.load(Ordering::Acquire);
    if pipe >= 0 {
        // SAFETY: write(2) is async-signal-safe; one byte of a constant. If it fails nobody is told, and whoever waits
        // does so until its deadline, as for a thread that never passes.
        unsafe { libc::write(pipe, [0_u8].as_ptr().cast(), 1) };
    }
}

fn recording() -> SigAction {
    SigAction::new(SigHandler::SigAction(record), SaFlags::SA_SIGINFO, SigSet::all())
}

/// Records every signal that can be caught from now on. The one that is the [`Barrier`]'s is left to it: whoever waits there
/// would wait for ever if its handler were replaced.
pub(crate) fn record_signals() -> nix::Result<()> {
    for signal in Signal::iterator() {
        if matches!(signal, Signal::SIGKILL | Signal::SIGSTOP | BARRIER) {
            continue;
        }
        // SAFETY: the handler touches atomics and its own arguments only.
        unsafe { sigaction(signal, &recording()) }?;
    }
    Ok(())
}

/// What becomes of a SIGBUS from now on, as far as all threads share it: whether it is blocked is each thread's own
/// ([`block_bus`]).
pub(crate) fn dispose(disposition: Disposition) -> nix::Result<()> {
    let plain = |handler| SigAction::new(handler, SaFlags::empty(), SigSet::empty());
    let action = match disposition {
        Disposition::Handler | Disposition::Blocked => recording(),
        Disposition::Default => plain(SigHandler::SigDfl),
        Disposition::Ignored => plain(SigHandler::SigIgn),
    };
    // SAFETY: either no code of ours is run, or the handler touches atomics and its own arguments only.
    unsafe { sigaction(Signal::SIGBUS, &action) }.map(drop)
}

/// Blocks SIGBUS in the calling thread, or lets it through.
pub(crate) fn block_bus(blocked: bool) -> nix::Result<()> {
    let how = if blocked {
        SigmaskHow::SIG_BLOCK
    } else {
        SigmaskHow::SIG_UNBLOCK
    };
    pthread_sigmask(how, Some(&SigSet::from(Signal::SIGBUS)), None)
}

/// The records from index `from` on, as far as they are complete.
pub(crate) fn received(from: usize) -> Vec<Received> {
    RECEIVED
        .iter()
        .skip(from)
        .take_while(|slot| slot.filled.load(Ordering::Acquire))
        .map(|slot| Received {
            number: slot.number.load(Ordering::Relaxed),
            code: slot.code.load(Ordering::Relaxed),
            address: slot.address.load(Ordering::Relaxed),
            lsb: slot.lsb.load(Ordering::Relaxed),
            tid: slot.tid.load(Ordering::Relaxed),
        })
        .collect()
}

/// Signals that found no room in the table.
pub(crate) fn lost() -> usize {
    COUNT.load(Ordering::Relaxed).saturating_sub(SLOTS)
}

/// Forgets everything: for a child that has just been forked, whose signals are all blocked.
pub(crate) fn forget() {
    for slot in &RECEIVED {
        slot.filled.store(false, Ordering::Relaxed);
    }
    COUNT.store(0, Ordering::Release);
}

/// Proves that another thread, which need not cooperate, has taken every signal that was pending for it.
pub(crate) struct Barrier {
    passed: PipeReader,
}

impl Barrier {
    /// To be made once in a process.
    pub(crate) fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let writer: RawFd = writer.into_raw_fd();
        PASSED.store(writer, Ordering::Release);
        let action = SigAction::new(SigHandler::Handler(passed), SaFlags::SA_RESTART, SigSet::all());
        // SAFETY: the handler writes one byte to a pipe that is never closed.
        unsafe { sigaction(BARRIER, &action) }?;
        Ok(Self { passed: reader })
    }

    /// Returns when that thread has come by. A handler runs only when those for signals with lower numbers have, for a
    /// thread takes the lowest first and every handler keeps the others out.
    pub(crate) fn wait_for(&mut self, tid: i32) -> io::Result<()> {
        process::signal_thread(tid, BARRIER as i32)?;
        let mut byte = [0];
        self.passed.read_exact(&mut byte)
    }
}

#[cfg(test)]
mod tests {
    use super::super::access;
    use super::*;

    #[test]
    fn faults_are_survived_and_recorded() {
        record_signals().unwrap();
        let bytes = *b"poison";
        assert_eq!(access::load(&raw const bytes as usize), Some(b'p'));
        let before = received(0).len();
        assert_eq!(access::load(8), None);
        assert!(!access::store(16, 1));
        // Other tests of this process have theirs recorded in the same table.
        let me = process::thread_id();
        let after: Vec<Received> = received(before).into_iter().filter(|one| one.tid == me).collect();
        let told: Vec<_> = after.iter().map(|one| (one.number, one.address)).collect();
        assert_eq!(told, [(libc::SIGSEGV, 8), (libc::SIGSEGV, 16)]);
        let mut copied = [0; 6];
        assert_eq!(access::copy(&mut copied, &raw const bytes as usize), 6);
        assert_eq!(copied, bytes);
        assert_eq!(access::copy(&mut copied, 8), 0);
        // A loop that meets a fault ends.
        let (enough, count) = (0.into(), 0.into());
        access::spin(8, &enough, &count);
        assert_eq!(count.into_inner(), 0);
    }
}
