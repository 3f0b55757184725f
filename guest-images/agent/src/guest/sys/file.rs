// SPDX-License-Identifier: MIT OR Apache-2.0
//! System calls on files that neither std nor nix wraps.
#![expect(
    unsafe_code,
    reason = "raw ioctls, statx, openat2 and extended attributes have no safe wrapper in std or nix"
)]

use super::{READ, WRITE, check, request};
use guest_agent::call::{Deduped, FileKind, FileStatus};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// One extent as FIEMAP tells it (`struct fiemap_extent`, `<linux/fiemap.h>`).
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FiemapExtent {
    pub(crate) logical: u64,
    pub(crate) physical: u64,
    pub(crate) length: u64,
    reserved64: [u64; 2],
    pub(crate) flags: u32,
    reserved: [u32; 3],
}

impl FiemapExtent {
    const LAST: u32 = 0x1;
    /// `FIEMAP_EXTENT_UNKNOWN` and `FIEMAP_EXTENT_DATA_INLINE`: `physical` means nothing.
    pub(crate) const PLACELESS: u32 = 0x2 | 0x200;
    pub(crate) const UNWRITTEN: u32 = 0x800;
    pub(crate) const SHARED: u32 = 0x2000;
}

/// Extents fetched by one FIEMAP call.
const FIEMAP_BATCH: usize = 128;

#[repr(C)]
struct Fiemap {
    start: u64,
    length: u64,
    flags: u32,
    mapped: u32,
    count: u32,
    reserved: u32,
    extents: [FiemapExtent; FIEMAP_BATCH],
}

/// `struct fsxattr`, `<linux/fs.h>`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct FsXattr {
    pub(crate) flags: u32,
    pub(crate) extent_size: u32,
    pub(crate) extents: u32,
    project: u32,
    pub(crate) cow_extent_size: u32,
    pad: [u8; 8],
}

impl FsXattr {
    pub(crate) const REALTIME: u32 = 0x1;
    pub(crate) const RT_INHERIT: u32 = 0x100;
    pub(crate) const EXTENT_SIZE: u32 = 0x800;
    pub(crate) const EXTENT_SIZE_INHERIT: u32 = 0x1000;
    pub(crate) const DAX: u32 = 0x8000;
    pub(crate) const COW_EXTENT_SIZE: u32 = 0x1_0000;
}

/// `struct file_clone_range`, `<linux/fs.h>`.
#[repr(C)]
struct CloneRange {
    source: i64,
    source_offset: u64,
    length: u64,
    offset: u64,
}

/// `struct file_dedupe_range` with one destination, `<linux/fs.h>`.
#[repr(C)]
struct DedupeRange {
    source_offset: u64,
    length: u64,
    count: u16,
    reserved: [u16; 3],
    target: i64,
    target_offset: u64,
    deduped: u64,
    status: i32,
    reserved_too: u32,
}

/// `struct open_how`, `<linux/openat2.h>`.
#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

// The request numbers count the fixed head only, not what follows it.
const FS_IOC_FIEMAP: u64 = request(READ | WRITE, b'f', 11, 32);
const FICLONE: u64 = request(WRITE, 0x94, 9, size_of::<libc::c_int>());
const FICLONERANGE: u64 = request(WRITE, 0x94, 13, size_of::<CloneRange>());
const FIDEDUPERANGE: u64 = request(READ | WRITE, 0x94, 54, 24);
const FS_IOC_FSGETXATTR: u64 = request(READ, b'X', 31, size_of::<FsXattr>());
const FS_IOC_FSSETXATTR: u64 = request(WRITE, b'X', 32, size_of::<FsXattr>());

/// Makes a C string of a path; a path with a NUL in it is refused as the kernel would refuse it if it could see it.
pub(super) fn c_path(path: &str) -> io::Result<CString> {
    CString::new(path).map_err(|_nul| io::Error::from_raw_os_error(libc::EINVAL))
}

/// ioctl(FS_IOC_FIEMAP): the extents that overlap a range, in order. With `sync` the file is written back first
/// (`FIEMAP_FLAG_SYNC`).
pub(crate) fn fiemap(
    file: BorrowedFd<'_>,
    start: u64,
    length: u64,
    sync: bool,
) -> io::Result<Vec<FiemapExtent>> {
    const FIEMAP_FLAG_SYNC: u32 = 1;
    let end = start.saturating_add(length);
    let mut found: Vec<FiemapExtent> = Vec::new();
    let mut map = Box::new(Fiemap {
        start,
        length,
        flags: if sync { FIEMAP_FLAG_SYNC } else { 0 },
        mapped: 0,
        count: u32::try_from(FIEMAP_BATCH).unwrap_or(u32::MAX),
        reserved: 0,
        extents: [FiemapExtent::default(); FIEMAP_BATCH],
    });
    loop {
        // SAFETY: the structure has room for the extents that `count` announces, and outlives the call.
        check(unsafe { libc::ioctl(file.as_raw_fd(), FS_IOC_FIEMAP, &raw mut *map) })?;
        let batch = map.extents.get(..map.mapped as usize).unwrap_or(&map.extents);
        found.extend_from_slice(batch);
        match batch.last() {
            Some(last) if last.flags & FiemapExtent::LAST == 0 && last.logical + last.length < end => {
                map.start = last.logical + last.length;
                map.length = end - map.start;
            }
            _ => return Ok(found),
        }
    }
}

/// ioctl(FICLONE).
pub(crate) fn clone_file(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: FICLONE takes a file descriptor by value.
    check(unsafe { libc::ioctl(to.as_raw_fd(), FICLONE, from.as_raw_fd()) })
}

/// ioctl(FICLONERANGE).
pub(crate) fn clone_range(
    from: BorrowedFd<'_>,
    from_offset: u64,
    to: BorrowedFd<'_>,
    to_offset: u64,
    length: u64,
) -> io::Result<()> {
    let range = CloneRange {
        source: i64::from(from.as_raw_fd()),
        source_offset: from_offset,
        length,
        offset: to_offset,
    };
    // SAFETY: the kernel reads the one structure whose size the request number carries.
    check(unsafe { libc::ioctl(to.as_raw_fd(), FICLONERANGE, &raw const range) })
}

/// ioctl(FIDEDUPERANGE) with one destination.
pub(crate) fn dedupe(
    from: BorrowedFd<'_>,
    from_offset: u64,
    to: BorrowedFd<'_>,
    to_offset: u64,
    length: u64,
) -> io::Result<Deduped> {
    const FILE_DEDUPE_RANGE_DIFFERS: i32 = 1;
    let mut range = DedupeRange {
        source_offset: from_offset,
        length,
        count: 1,
        reserved: [0; 3],
        target: i64::from(to.as_raw_fd()),
        target_offset: to_offset,
        deduped: 0,
        status: 0,
        reserved_too: 0,
    };
    // SAFETY: the structure holds the one destination that `count` announces, and outlives the call.
    check(unsafe { libc::ioctl(from.as_raw_fd(), FIDEDUPERANGE, &raw mut range) })?;
    match range.status {
        FILE_DEDUPE_RANGE_DIFFERS => Ok(Deduped::Differs),
        error if error < 0 => Err(io::Error::from_raw_os_error(-error)),
        _ => Ok(Deduped::Shared(range.deduped)),
    }
}

/// ioctl(FS_IOC_FSGETXATTR).
pub(crate) fn flags(file: BorrowedFd<'_>) -> io::Result<FsXattr> {
    let mut flags = FsXattr::default();
    // SAFETY: the kernel fills exactly the structure whose size the request number carries.
    check(unsafe { libc::ioctl(file.as_raw_fd(), FS_IOC_FSGETXATTR, &raw mut flags) })?;
    Ok(flags)
}

/// ioctl(FS_IOC_FSSETXATTR).
pub(crate) fn set_flags(file: BorrowedFd<'_>, flags: &FsXattr) -> io::Result<()> {
    // SAFETY: the kernel reads exactly the structure whose size the request number carries.
    check(unsafe { libc::ioctl(file.as_raw_fd(), FS_IOC_FSSETXATTR, &raw const *flags) })
}

/// fallocate(2).
pub(crate) fn allocate(file: BorrowedFd<'_>, mode: libc::c_int, offset: u64, length: u64) -> io::Result<()> {
    let number = |value: u64| i64::try_from(value).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG));
    // SAFETY: takes numbers only.
    check(unsafe { libc::fallocate(file.as_raw_fd(), mode, number(offset)?, number(length)?) })
}

/// syncfs(2).
pub(crate) fn sync_filesystem(file: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: takes a file descriptor only.
    check(unsafe { libc::syncfs(file.as_raw_fd()) })
}

/// setxattr(2).
pub(crate) fn set_xattr(path: &str, name: &str, value: &[u8]) -> io::Result<()> {
    let (path, name) = (c_path(path)?, c_path(name)?);
    // SAFETY: two NUL-terminated strings, and a buffer of the length that is told.
    check(unsafe {
        libc::setxattr(
            path.as_ptr(),
            name.as_ptr(),
            value.as_ptr().cast(),
            value.len(),
            0,
        )
    })
}

/// getxattr(2).
pub(crate) fn get_xattr(path: &str, name: &str) -> io::Result<Vec<u8>> {
    /// `XATTR_SIZE_MAX`: no value is longer.
    const LONGEST: usize = 64 << 10;
    let (path, name) = (c_path(path)?, c_path(name)?);
    let mut value = vec![0_u8; LONGEST];
    // SAFETY: two NUL-terminated strings, and a buffer of the length that is told.
    let length = unsafe {
        libc::getxattr(
            path.as_ptr(),
            name.as_ptr(),
            value.as_mut_ptr().cast(),
            value.len(),
        )
    };
    let length = usize::try_from(length).map_err(|_negative| io::Error::last_os_error())?;
    value.truncate(length);
    Ok(value)
}

/// removexattr(2).
pub(crate) fn remove_xattr(path: &str, name: &str) -> io::Result<()> {
    let (path, name) = (c_path(path)?, c_path(name)?);
    // SAFETY: two NUL-terminated strings.
    check(unsafe { libc::removexattr(path.as_ptr(), name.as_ptr()) })
}

/// statx(2) of a path.
pub(crate) fn status(path: &str, follow: bool) -> io::Result<FileStatus> {
    let flags = if follow { 0 } else { libc::AT_SYMLINK_NOFOLLOW };
    statx(libc::AT_FDCWD, path, flags)
}

/// statx(2) of an open file, which may be open with `O_PATH`.
pub(crate) fn status_of(file: BorrowedFd<'_>) -> io::Result<FileStatus> {
    statx(file.as_raw_fd(), "", libc::AT_EMPTY_PATH)
}

fn statx(at: RawFd, path: &str, flags: libc::c_int) -> io::Result<FileStatus> {
    const STATX_ATTR_DAX: u64 = 0x20_0000;
    let path = c_path(path)?;
    let mut answer = std::mem::MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the path is NUL-terminated and the buffer is a whole `struct statx`; zeroes are a valid one.
    let answer = unsafe {
        check(libc::statx(
            at,
            path.as_ptr(),
            flags,
            libc::STATX_BASIC_STATS,
            answer.as_mut_ptr(),
        ))?;
        answer.assume_init()
    };
    let kind = match u32::from(answer.stx_mode) & libc::S_IFMT {
        libc::S_IFREG => FileKind::File,
        libc::S_IFDIR => FileKind::Directory,
        libc::S_IFLNK => FileKind::Symlink,
        _ => FileKind::Other,
    };
    Ok(FileStatus {
        kind,
        size: answer.stx_size,
        inode: answer.stx_ino,
        links: answer.stx_nlink,
        blocks: answer.stx_blocks,
        dax: answer.stx_attributes & answer.stx_attributes_mask & STATX_ATTR_DAX != 0,
        device: encoded(answer.stx_dev_major, answer.stx_dev_minor),
    })
}

/// A device number as GETFSMAP has it.
pub(crate) const fn encoded(major: u32, minor: u32) -> u32 {
    (minor & 0xff) | (major << 8) | ((minor & !0xff) << 12)
}

/// Major and minor of a device number as GETFSMAP has it.
pub(crate) const fn decoded(device: u32) -> (u32, u32) {
    ((device >> 8) & 0xfff, (device & 0xff) | ((device >> 12) & !0xff))
}

/// Opens a path with `O_PATH` if every name of it is in the dentry cache; EAGAIN otherwise. Nothing is looked up, and no
/// inode is read (openat2(2), `RESOLVE_CACHED`, from 5.12 on).
pub(crate) fn open_if_cached(path: &str) -> io::Result<OwnedFd> {
    const RESOLVE_CACHED: u64 = 0x20;
    let path = c_path(path)?;
    let how = OpenHow {
        flags: (libc::O_PATH | libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .cast_unsigned()
            .into(),
        mode: 0,
        resolve: RESOLVE_CACHED,
    };
    // SAFETY: a NUL-terminated path, and a structure of the size that is told.
    let opened = unsafe {
        libc::syscall(
            libc::SYS_openat2,
            libc::AT_FDCWD,
            path.as_ptr(),
            &raw const how,
            size_of::<OpenHow>(),
        )
    };
    match RawFd::try_from(opened) {
        // SAFETY: a descriptor that the kernel has just made, and that nobody else has.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_device_number_is_packed_as_the_kernel_does() {
        assert_eq!(encoded(259, 0), 0x1_0300);
        assert_eq!(encoded(8, 0x123), 0x10_0823);
        assert_eq!(decoded(0x1_0300), (259, 0));
        assert_eq!(decoded(0x10_0823), (8, 0x123));
    }

    #[test]
    fn what_was_just_used_is_cached() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        let status_by_path = status(path, true).unwrap();
        let opened = open_if_cached(path).unwrap();
        assert_eq!(status_of(opened.as_fd()).unwrap().inode, status_by_path.inode);
        assert_eq!(status_by_path.kind, FileKind::File);
        assert!(open_if_cached("/this/is/nowhere").is_err());
    }
}
