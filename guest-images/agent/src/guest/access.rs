// SPDX-License-Identifier: MIT OR Apache-2.0
//! Accesses to memory that may be gone.
//!
//! A load through a mapping whose page is gone faults for ever if the signal's handler just returns; mapping something
//! else over it would hide the very page under test. So each access is an instruction of our own, and the handler moves
//! the program counter on when the fault came from there ([`way_out`]): the mapping stays as it is.
#![expect(
    unsafe_code,
    reason = "instructions of our own, at addresses where nothing may be"
)]

use std::sync::atomic::{AtomicU32, AtomicU64};

std::arch::global_asm!(
    ".globl taster_load",
    ".globl taster_load_access",
    ".globl taster_store",
    ".globl taster_store_access",
    ".globl taster_faulted",
    ".globl taster_copy",
    ".globl taster_copy_access",
    ".globl taster_copy_end",
    ".globl taster_spin",
    ".globl taster_spin_start",
    ".globl taster_spin_end",
    // rdi: the byte; rsi: where its value goes. eax: 0, or 1 if it faulted.
    "taster_load:",
    "xor eax, eax",
    "taster_load_access:",
    "movzx edx, byte ptr [rdi]",
    "mov byte ptr [rsi], dl",
    "ret",
    // rdi: the byte; sil: what it is to be. eax: 0, or 1 if it faulted.
    "taster_store:",
    "xor eax, eax",
    "taster_store_access:",
    "mov byte ptr [rdi], sil",
    "ret",
    "taster_faulted:",
    "mov eax, 1",
    "ret",
    // rdi: to; rsi: from; rdx: bytes. rax: bytes that were not copied.
    "taster_copy:",
    "mov rcx, rdx",
    "taster_copy_access:",
    "rep movsb",
    "taster_copy_end:",
    "mov rax, rcx",
    "ret",
    // rdi: the byte; rsi: a u32 that becomes other than 0 when it is enough; rdx: a u64 that counts.
    "taster_spin:",
    "taster_spin_start:",
    "mov al, byte ptr [rdi]",
    "inc qword ptr [rdx]",
    "cmp dword ptr [rsi], 0",
    "je taster_spin_start",
    "taster_spin_end:",
    "ret",
);

unsafe extern "C" {
    fn taster_load(address: *const u8, value: *mut u8) -> i32;
    fn taster_load_access();
    fn taster_store(address: *mut u8, value: u8) -> i32;
    fn taster_store_access();
    fn taster_faulted();
    fn taster_copy(to: *mut u8, from: *const u8, length: usize) -> usize;
    fn taster_copy_access();
    fn taster_copy_end();
    fn taster_spin(address: *const u8, enough: *const u32, count: *mut u64);
    fn taster_spin_start();
    fn taster_spin_end();
}

/// The code of the spinning loop: the address of its first byte, and of the first one after it.
pub(crate) fn spin_code() -> (u64, u64) {
    (
        taster_spin_start as *const () as u64,
        taster_spin_end as *const () as u64,
    )
}

/// What a handler is to do about the place where a signal came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WayOut {
    /// The place is none of ours.
    None,
    /// It is one access, which was given up if the signal came of it: go on at this address.
    OfAccess(u64),
    /// It is the spinning loop: go on at this address, to end it.
    OfSpin(u64),
}

/// For use in signal handlers: looks at addresses only.
pub(crate) fn way_out(program_counter: u64) -> WayOut {
    let at = |place: unsafe extern "C" fn()| program_counter == place as *const () as u64;
    let (start, end) = spin_code();
    if at(taster_load_access) || at(taster_store_access) {
        WayOut::OfAccess(taster_faulted as *const () as u64)
    } else if at(taster_copy_access) {
        WayOut::OfAccess(taster_copy_end as *const () as u64)
    } else if (start..end).contains(&program_counter) {
        WayOut::OfSpin(end)
    } else {
        WayOut::None
    }
}

/// Loads one byte; `None` when the load faulted (the signal is on record). The signals must be recorded from before, or
/// a fault kills the process.
pub(crate) fn load(address: usize) -> Option<u8> {
    let mut value = 0;
    // SAFETY: `value` is ours; whatever `address` is, a fault at it is caught by the handler.
    let faulted = unsafe { taster_load(address as *const u8, &raw mut value) };
    (faulted == 0).then_some(value)
}

/// Stores one byte; `false` when the store faulted. As [`load`]. The address must lie in a mapping of a file: nothing of
/// Rust's is kept there.
pub(crate) fn store(address: usize, value: u8) -> bool {
    // SAFETY: the address comes from a victim's mapping of a file, which holds no Rust object; a fault is caught.
    unsafe { taster_store(address as *mut u8, value) == 0 }
}

/// Copies bytes out of a mapping; how many could be before one faulted. As [`load`].
pub(crate) fn copy(to: &mut [u8], from: usize) -> usize {
    // SAFETY: the target is a slice of ours of just this length; a fault at the source is caught, and leaves the rest of
    // the slice as it was.
    let left = unsafe { taster_copy(to.as_mut_ptr(), from as *const u8, to.len()) };
    to.len() - left
}

/// Loads a byte over and over until `enough` is not 0 or a SIGBUS comes, counting in `count`.
pub(crate) fn spin(address: usize, enough: &AtomicU32, count: &AtomicU64) {
    // SAFETY: both atomics outlive the call and are written by aligned instructions of one CPU at a time (`count` by this
    // thread alone); a fault at the byte is caught by the handler.
    unsafe { taster_spin(address as *const u8, enough.as_ptr(), count.as_ptr()) };
}
