// SPDX-License-Identifier: MIT OR Apache-2.0
//! System calls that neither std nor nix wraps.
#![expect(
    unsafe_code,
    reason = "raw ioctls, statx, prctl and module loading have no safe wrapper in std or nix"
)]

pub(crate) mod file;
pub(crate) mod memory;
pub(crate) mod process;
pub(crate) mod watch;
pub(crate) mod xfs;

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// An ioctl's request number (`<asm-generic/ioctl.h>`).
const fn request(direction: u64, kind: u8, number: u8, size: usize) -> u64 {
    direction << 30 | (size as u64) << 16 | (kind as u64) << 8 | number as u64
}
const READ: u64 = 2;
const WRITE: u64 = 1;

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// prctl(PR_SET_PDEATHSIG, SIGKILL): the calling process dies with the thread that forked it.
pub(crate) fn die_with_parent() -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) })
}

/// Brings a network interface up (ioctl(SIOCSIFFLAGS), netdevice(7)).
pub(crate) fn bring_up(interface: &str) -> io::Result<()> {
    // SAFETY: an all-zero `struct ifreq` is a valid one.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // The last byte stays zero and ends the name.
    let room = request.ifr_name.len() - 1;
    for (place, byte) in request.ifr_name[..room].iter_mut().zip(interface.bytes()) {
        *place = byte.cast_signed();
    }
    let flags = libc::IFF_UP | libc::IFF_RUNNING;
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(flags).map_err(io::Error::other)?;
    // Any socket will do to reach the interfaces by.
    let socket = std::net::UdpSocket::bind((std::net::Ipv4Addr::UNSPECIFIED, 0))?;
    // SAFETY: the kernel reads one whole `struct ifreq`.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) })
}

/// How many bytes wait in a pipe (pipe(7), FIONREAD).
pub(crate) fn waiting(pipe: BorrowedFd<'_>) -> io::Result<usize> {
    let mut count: libc::c_int = 0;
    // SAFETY: FIONREAD writes one int.
    check(unsafe { libc::ioctl(pipe.as_raw_fd(), libc::FIONREAD, &raw mut count) })?;
    usize::try_from(count).map_err(io::Error::other)
}

/// finit_module(2) without parameters.
pub(crate) fn load_module(file: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: an open file, an empty NUL-terminated parameter string, no flags.
    let result = unsafe { libc::syscall(libc::SYS_finit_module, file.as_raw_fd(), c"".as_ptr(), 0) };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// Runs `first` in the child between fork and exec. `first` may use system calls only.
pub(crate) fn in_child(
    command: &mut std::process::Command,
    first: impl Fn() -> io::Result<()> + Send + Sync + 'static,
) {
    use std::os::unix::process::CommandExt;
    // SAFETY: the callers' closures only call prctl(2) on memory that was allocated before the fork.
    unsafe { command.pre_exec(first) };
}

/// Lets the kernel reap this process's children (`SA_NOCLDWAIT`). Unlike an ignored SIGCHLD this is not
/// inherited through exec, so programs below can still wait for theirs.
pub(crate) fn reap_by_itself() -> io::Result<()> {
    use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
    let action = SigAction::new(SigHandler::SigDfl, SaFlags::SA_NOCLDWAIT, SigSet::empty());
    // SAFETY: the default disposition runs no code of ours.
    unsafe { sigaction(Signal::SIGCHLD, &action) }
        .map(drop)
        .map_err(io::Error::from)
}

/// clock_settime(2) of the wall clock, given as time since 1970.
pub(crate) fn set_clock(since_1970: std::time::Duration) -> io::Result<()> {
    let time = libc::timespec {
        tv_sec: libc::time_t::try_from(since_1970.as_secs()).map_err(io::Error::other)?,
        tv_nsec: i64::from(since_1970.subsec_nanos()),
    };
    // SAFETY: a valid timespec that outlives the call.
    check(unsafe { libc::clock_settime(libc::CLOCK_REALTIME, &raw const time) })
}

/// ioctl(RNDRESEEDCRNG) on /dev/urandom: what was written to the pool counts from now on (`<linux/random.h>`).
pub(crate) fn reseed(pool: BorrowedFd<'_>) -> io::Result<()> {
    const RNDRESEEDCRNG: u64 = request(0, b'R', 7, 0);
    // SAFETY: the request takes no argument.
    check(unsafe { libc::ioctl(pool.as_raw_fd(), RNDRESEEDCRNG) })
}
