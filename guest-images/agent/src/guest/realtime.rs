// SPDX-License-Identifier: MIT OR Apache-2.0
//! On which of a filesystem's devices a file has its data.
#![expect(
    unsafe_code,
    reason = "ioctl(FS_IOC_FSGETXATTR) has no safe wrapper in std or nix"
)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `struct fsxattr`, `<linux/fs.h>`.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    flags: u32,
    extent_size: u32,
    extents: u32,
    project: u32,
    cow_extent_size: u32,
    padding: [u8; 8],
}

nix::ioctl_read!(get_attributes, b'X', 31, Attributes);

/// Whether the file's data is on the realtime device (`FS_XFLAG_REALTIME`).
pub(crate) fn is_realtime(file: BorrowedFd<'_>) -> io::Result<bool> {
    const FS_XFLAG_REALTIME: u32 = 1;
    let mut attributes = Attributes::default();
    // SAFETY: the kernel fills exactly the structure whose size the request number carries.
    unsafe { get_attributes(file.as_raw_fd(), &raw mut attributes) }?;
    Ok(attributes.flags & FS_XFLAG_REALTIME != 0)
}
