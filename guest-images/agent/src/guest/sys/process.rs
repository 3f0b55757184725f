// SPDX-License-Identifier: MIT OR Apache-2.0
//! Processes and threads: their policies, names, CPUs, signals, children.
#![expect(
    unsafe_code,
    reason = "prctl, tgkill and clone have no safe wrapper in std or nix that does this"
)]

use super::check;
use guest_agent::victim::KillPolicy;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// prctl(PR_MCE_KILL) for the calling thread; `None` clears the policy.
pub(crate) fn set_kill_policy(policy: Option<KillPolicy>) -> io::Result<()> {
    const PR_MCE_KILL_CLEAR: libc::c_ulong = 0;
    const PR_MCE_KILL_SET: libc::c_ulong = 1;
    let (action, value): (_, libc::c_ulong) = match policy {
        None => (PR_MCE_KILL_CLEAR, 0),
        Some(KillPolicy::Late) => (PR_MCE_KILL_SET, 0),
        Some(KillPolicy::Early) => (PR_MCE_KILL_SET, 1),
        Some(KillPolicy::Default) => (PR_MCE_KILL_SET, 2),
    };
    // SAFETY: takes numbers only; the unused arguments must be zero.
    check(unsafe { libc::prctl(libc::PR_MCE_KILL, action, value, 0, 0) })
}

/// prctl(PR_MCE_KILL_GET) for the calling thread.
pub(crate) fn kill_policy() -> io::Result<KillPolicy> {
    // SAFETY: takes numbers only; the unused arguments must be zero.
    let policy = unsafe { libc::prctl(libc::PR_MCE_KILL_GET, 0, 0, 0, 0) };
    check(policy)?;
    Ok(match policy {
        0 => KillPolicy::Late,
        1 => KillPolicy::Early,
        _ => KillPolicy::Default,
    })
}

/// prctl(PR_SET_NAME): how the kernel's messages call the calling thread; up to 15 bytes are kept.
pub(crate) fn set_name(name: &str) -> io::Result<()> {
    let name = CString::new(name)?;
    // SAFETY: a NUL-terminated string, which the kernel copies.
    check(unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0) })
}

/// The calling thread's id.
pub(crate) fn thread_id() -> i32 {
    // SAFETY: takes nothing, and always succeeds.
    unsafe { libc::gettid() }
}

/// sched_setaffinity(2): the calling thread runs on this CPU only.
pub(crate) fn pin_to(cpu: u32) -> io::Result<()> {
    // SAFETY: an all-zero set is an empty one; CPU_SET ignores a number that has no room in it; the kernel reads the set.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        if (cpu as usize) < size_of::<libc::cpu_set_t>() * 8 {
            libc::CPU_SET(cpu as usize, &mut set);
        }
        check(libc::sched_setaffinity(
            0,
            size_of::<libc::cpu_set_t>(),
            &raw const set,
        ))
    }
}

/// tgkill(2): a signal for one thread of this process.
pub(crate) fn signal_thread(tid: i32, signal: libc::c_int) -> io::Result<()> {
    // SAFETY: takes numbers only.
    let result = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, signal) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Two processes where there was one.
pub(crate) enum Forked {
    /// This is the old one; the child's id.
    Parent(i32),
    /// This is the new one. It has one thread.
    Child,
}

/// clone(2) with `CLONE_PARENT`: a fork whose child is not ours but our parent's, which waits for it as it does for us.
///
/// The caller must know that no other thread of this process holds a lock which the child will want: those threads are not
/// there in the child to let go of it.
pub(crate) fn fork_as_sibling() -> io::Result<Forked> {
    let flags = libc::CLONE_PARENT | libc::SIGCHLD;
    // SAFETY: without CLONE_VM and with no new stack this is fork(2): the child goes on with a copy of everything.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    match i32::try_from(pid) {
        Ok(0) => Ok(Forked::Child),
        Ok(pid) if pid > 0 => Ok(Forked::Parent(pid)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// dup2(2) over standard input or output.
pub(crate) fn become_standard(file: BorrowedFd<'_>, standard: i32) -> io::Result<()> {
    // SAFETY: both are numbers of open files; nobody in this process owns the standard ones.
    check(unsafe { libc::dup2(file.as_raw_fd(), standard) })
}
