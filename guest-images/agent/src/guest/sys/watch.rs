// SPDX-License-Identifier: MIT OR Apache-2.0
//! fanotify(7)'s reports of errors of a filesystem.
#![expect(unsafe_code, reason = "nix's fanotify does not know the reports of errors")]

use super::check;
use super::file::c_path;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// fanotify_init(2) and fanotify_mark(2): a descriptor that tells the errors (`FAN_FS_ERROR`) of the filesystem that
/// holds `path`.
pub(crate) fn watch_errors(path: &str) -> io::Result<OwnedFd> {
    const FAN_FS_ERROR: u64 = 0x8000;
    let path = c_path(path)?;
    // SAFETY: takes numbers only.
    let group = unsafe {
        libc::fanotify_init(
            libc::FAN_CLASS_NOTIF | libc::FAN_REPORT_FID | libc::FAN_NONBLOCK | libc::FAN_CLOEXEC,
            0,
        )
    };
    check(group)?;
    // SAFETY: a descriptor that the kernel has just made, and that nobody else has.
    let group = unsafe { OwnedFd::from_raw_fd(group) };
    // SAFETY: a NUL-terminated path.
    check(unsafe {
        libc::fanotify_mark(
            group.as_raw_fd(),
            libc::FAN_MARK_ADD | libc::FAN_MARK_FILESYSTEM,
            FAN_FS_ERROR,
            libc::AT_FDCWD,
            path.as_ptr(),
        )
    })?;
    Ok(group)
}
