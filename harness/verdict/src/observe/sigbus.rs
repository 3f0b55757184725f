// SPDX-License-Identifier: MIT OR Apache-2.0
//! SIGBUS, as a number and in a set of signals.

use nix::sys::signal::Signal;

/// Its number.
pub const SIGBUS: i32 = Signal::SIGBUS as i32;

/// Is SIGBUS in a set of signals as `/proc/PID/status` shows it? Signal N is bit N - 1 (fs/proc/array.c,
/// render_sigset_t).
pub const fn has_sigbus(set: u64) -> bool {
    set & (1 << (SIGBUS - 1)) != 0
}
