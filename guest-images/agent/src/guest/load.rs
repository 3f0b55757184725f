// SPDX-License-Identifier: MIT OR Apache-2.0
//! Signals recorded as data, and loads that may fault.
//!
//! A handler may not allocate, so records go into a fixed table of atomics. A load through a mapping whose
//! page is gone faults for ever if the handler just returns; mapping something else over it would hide the
//! very page under test. So the load is three instructions of our own, and the handler moves the program
//! counter to their exit when the fault came from there: the mapping stays as it is.
#![expect(
    unsafe_code,
    reason = "a signal handler, its registration, and a load that may fault"
)]

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};

std::arch::global_asm!(
    ".globl taster_load",
    ".globl taster_load_access",
    ".globl taster_load_faulted",
    "taster_load:",
    "xor eax, eax",
    "taster_load_access:",
    "movzx edx, byte ptr [rdi]",
    "mov byte ptr [rsi], dl",
    "ret",
    "taster_load_faulted:",
    "mov eax, 1",
    "ret",
);

unsafe extern "C" {
    fn taster_load(address: *const u8, value: *mut u8) -> i32;
    fn taster_load_access();
    fn taster_load_faulted();
}

/// `si_code` as the handler found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) number: i32,
    pub(crate) code: i32,
    pub(crate) address: u64,
    pub(crate) lsb: i32,
}

struct Slot {
    number: AtomicI32,
    code: AtomicI32,
    address: AtomicU64,
    lsb: AtomicI32,
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
        filled: AtomicBool::new(false),
    }
}; SLOTS];
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// A fault at an instruction that is not ours, sent by the kernel itself, repeats for ever: die of it.
const BUS_MCEERR_AR: i32 = 4;
const BUS_MCEERR_AO: i32 = 5;

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
        slot.filled.store(true, Ordering::Release);
    }
    let faulted_at = &mut context.uc_mcontext.gregs[libc::REG_RIP as usize];
    if *faulted_at == taster_load_access as *const () as i64 {
        *faulted_at = taster_load_faulted as *const () as i64;
        return;
    }
    let synchronous = matches!(number, libc::SIGSEGV | libc::SIGILL | libc::SIGFPE)
        || (number == libc::SIGBUS && code != BUS_MCEERR_AO && code != BUS_MCEERR_AR);
    if synchronous && code > 0 {
        // SAFETY: resetting a disposition is async-signal-safe; the instruction then faults again and kills us.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
}

/// Records every signal that can be caught from now on.
pub(crate) fn record_signals() -> nix::Result<()> {
    let action = SigAction::new(
        SigHandler::SigAction(record),
        SaFlags::SA_SIGINFO,
        SigSet::empty(),
    );
    for signal in Signal::iterator() {
        if matches!(signal, Signal::SIGKILL | Signal::SIGSTOP) {
            continue;
        }
        // SAFETY: the handler touches atomics and its own arguments only.
        unsafe { sigaction(signal, &action) }?;
    }
    Ok(())
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
        })
        .collect()
}

/// Signals that found no room in the table.
pub(crate) fn lost() -> usize {
    COUNT.load(Ordering::Relaxed).saturating_sub(SLOTS)
}

/// Loads one byte; `None` when the load faulted (the signal is among [`received`]). [`record_signals`] must
/// have been called, or a fault kills the process.
pub(crate) fn load(address: usize) -> Option<u8> {
    let mut value = 0;
    // SAFETY: `value` is ours; whatever `address` is, a fault at it is caught by the handler.
    let faulted = unsafe { taster_load(address as *const u8, &raw mut value) };
    (faulted == 0).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_survived_and_recorded() {
        record_signals().unwrap();
        let byte = 0x5a_u8;
        assert_eq!(load(&raw const byte as usize), Some(0x5a));
        let before = received(0).len();
        assert_eq!(load(8), None);
        let after = received(before);
        assert_eq!((after[0].number, after[0].address), (libc::SIGSEGV, 8));
    }
}
