// SPDX-License-Identifier: MIT OR Apache-2.0
//! What only XFS understands, and what concerns whole filesystems.
#![expect(
    unsafe_code,
    reason = "ioctls and quotactl have no safe wrapper in std or nix"
)]

use super::file::c_path;
use super::{READ, WRITE, check, request};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// `struct fsmap`, `<linux/fsmap.h>`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Fsmap {
    pub(crate) device: u32,
    pub(crate) flags: u32,
    pub(crate) physical: u64,
    pub(crate) owner: u64,
    pub(crate) offset: u64,
    pub(crate) length: u64,
    reserved: [u64; 3],
}

impl Fsmap {
    /// The lower key of all that lies on a device from a byte on.
    pub(crate) fn from(device: u32, physical: u64) -> Self {
        Self {
            device,
            physical,
            ..Self::default()
        }
    }

    /// The upper key of all that lies on a device up to a byte.
    pub(crate) fn up_to(device: u32, physical: u64) -> Self {
        Self {
            device,
            physical,
            flags: u32::MAX,
            owner: u64::MAX,
            offset: u64::MAX,
            ..Self::default()
        }
    }
}

/// Records fetched by one GETFSMAP call.
const FSMAP_BATCH: u32 = 256;

#[repr(C)]
struct FsmapHead {
    iflags: u32,
    oflags: u32,
    count: u32,
    entries: u32,
    reserved: [u64; 6],
    keys: [Fsmap; 2],
    records: [Fsmap; FSMAP_BATCH as usize],
}

/// `struct xfs_fsop_geom_v4`, `fs/xfs/libxfs/xfs_fs.h`: the oldest that has the flags, and enough.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Geometry {
    pub(crate) block_size: u32,
    rt_extent_size: u32,
    pub(crate) ag_blocks: u32,
    pub(crate) ag_count: u32,
    pub(crate) log_blocks: u32,
    pub(crate) sector_size: u32,
    pub(crate) inode_size: u32,
    inode_max_percent: u32,
    pub(crate) data_blocks: u64,
    pub(crate) rt_blocks: u64,
    rt_extents: u64,
    /// 0 when the log lies on a device of its own.
    pub(crate) log_start: u64,
    uuid: [u8; 16],
    stripe_unit: u32,
    stripe_width: u32,
    version: i32,
    pub(crate) flags: u32,
    tail: [u32; 4],
}

impl Geometry {
    pub(crate) const RMAPBT: u32 = 1 << 19;
    pub(crate) const REFLINK: u32 = 1 << 20;
}

/// `struct xfs_health_monitor`, `fs/xfs/libxfs/xfs_fs.h` of 7.x.
#[repr(C)]
#[derive(Default)]
struct HealthMonitor {
    flags: u64,
    format: u8,
    pad: [u8; 23],
}

/// `struct xfs_exchange_range`, `fs/xfs/libxfs/xfs_fs.h` since 6.10. File 2 is the one that is asked.
#[repr(C)]
struct ExchangeRange {
    file1: i32,
    pad: u32,
    file1_offset: u64,
    file2_offset: u64,
    length: u64,
    flags: u64,
}

/// `struct fs_qfilestatv`, `<linux/dqblk_xfs.h>`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct QuotaFile {
    pub(crate) inode: u64,
    blocks: u64,
    extents: u32,
    pad: u32,
}

/// `struct fs_quota_statv`, `<linux/dqblk_xfs.h>`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct QuotaState {
    version: i8,
    pad: u8,
    flags: u16,
    in_core: u32,
    pub(crate) user: QuotaFile,
    pub(crate) group: QuotaFile,
    pub(crate) project: QuotaFile,
    limits: [i32; 3],
    warnings: [u16; 3],
    pad_too: [u16; 3],
    reserved: [u64; 7],
}

// The request numbers count the fixed head only, not what follows it.
const FS_IOC_GETFSMAP: u64 = request(READ | WRITE, b'X', 59, 192);
const XFS_IOC_HEALTH_MONITOR: u64 = request(WRITE, b'X', 68, size_of::<HealthMonitor>());
const FIFREEZE: u64 = request(READ | WRITE, b'X', 119, size_of::<libc::c_int>());
const FITHAW: u64 = request(READ | WRITE, b'X', 120, size_of::<libc::c_int>());
const XFS_IOC_FSGEOMETRY_V4: u64 = request(READ, b'X', 124, size_of::<Geometry>());
const XFS_IOC_GOINGDOWN: u64 = request(READ, b'X', 125, size_of::<u32>());
const XFS_IOC_EXCHANGE_RANGE: u64 = request(WRITE, b'X', 129, size_of::<ExchangeRange>());

/// ioctl(FS_IOC_GETFSMAP): every record between two keys of the filesystem that holds `file`.
pub(crate) fn getfsmap(file: BorrowedFd<'_>, low: Fsmap, high: Fsmap) -> io::Result<Vec<Fsmap>> {
    const FMR_OF_LAST: u32 = 0x20;
    let mut head = Box::new(FsmapHead {
        iflags: 0,
        oflags: 0,
        count: FSMAP_BATCH,
        entries: 0,
        reserved: [0; 6],
        keys: [low, high],
        records: [Fsmap::default(); FSMAP_BATCH as usize],
    });
    let mut found = Vec::new();
    loop {
        // SAFETY: `records` has room for the `count` records announced, and the box outlives the call.
        check(unsafe { libc::ioctl(file.as_raw_fd(), FS_IOC_GETFSMAP, &raw mut *head) })?;
        let batch = head.records.get(..head.entries as usize).unwrap_or(&head.records);
        found.extend_from_slice(batch);
        match batch.last() {
            Some(last) if last.flags & FMR_OF_LAST == 0 => head.keys[0] = *last,
            _ => return Ok(found),
        }
    }
}

/// ioctl(XFS_IOC_FSGEOMETRY_V4).
pub(crate) fn geometry(file: BorrowedFd<'_>) -> io::Result<Geometry> {
    let mut geometry = Geometry::default();
    // SAFETY: the kernel fills exactly the structure whose size the request number carries.
    check(unsafe { libc::ioctl(file.as_raw_fd(), XFS_IOC_FSGEOMETRY_V4, &raw mut geometry) })?;
    Ok(geometry)
}

/// ioctl(FIFREEZE).
pub(crate) fn freeze(root: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the argument is not looked at (`fs/ioctl.c:ioctl_fsfreeze`).
    check(unsafe { libc::ioctl(root.as_raw_fd(), FIFREEZE, 0) })
}

/// ioctl(FITHAW).
pub(crate) fn thaw(root: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the argument is not looked at (`fs/ioctl.c:ioctl_fsthaw`).
    check(unsafe { libc::ioctl(root.as_raw_fd(), FITHAW, 0) })
}

/// ioctl(XFS_IOC_GOINGDOWN) with `XFS_FSOP_GOING_FLAGS_*`.
pub(crate) fn shut_down(root: BorrowedFd<'_>, flags: u32) -> io::Result<()> {
    // SAFETY: the kernel reads one u32, whatever the direction in the request number says.
    check(unsafe { libc::ioctl(root.as_raw_fd(), XFS_IOC_GOINGDOWN, &raw const flags) })
}

/// ioctl(XFS_IOC_EXCHANGE_RANGE) of two whole files, whatever their sizes, written back; both are open for reading and writing.
pub(crate) fn exchange(one: BorrowedFd<'_>, other: BorrowedFd<'_>) -> io::Result<()> {
    const TO_EOF: u64 = 1 << 0;
    const DSYNC: u64 = 1 << 1;
    let range = ExchangeRange {
        file1: one.as_raw_fd(),
        pad: 0,
        file1_offset: 0,
        file2_offset: 0,
        length: 0,
        flags: TO_EOF | DSYNC,
    };
    // SAFETY: the kernel reads exactly the structure whose size the request number carries.
    check(unsafe { libc::ioctl(other.as_raw_fd(), XFS_IOC_EXCHANGE_RANGE, &raw const range) })
}

/// ioctl(XFS_IOC_HEALTH_MONITOR): a descriptor that one reads events from.
pub(crate) fn health_monitor(root: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let wish = HealthMonitor::default();
    // SAFETY: the kernel reads exactly the structure whose size the request number carries.
    let fd = unsafe { libc::ioctl(root.as_raw_fd(), XFS_IOC_HEALTH_MONITOR, &raw const wish) };
    check(fd)?;
    // SAFETY: a descriptor that the kernel has just made, and that nobody else has.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// quotactl(Q_XGETQSTATV).
pub(crate) fn quota(device: &str) -> io::Result<QuotaState> {
    const Q_XGETQSTATV: libc::c_int = (b'X' as libc::c_int) << 8 | 8;
    const USRQUOTA: libc::c_int = 0;
    const FS_QSTATV_VERSION1: i8 = 1;
    let device = c_path(device)?;
    let mut state = QuotaState {
        version: FS_QSTATV_VERSION1,
        ..QuotaState::default()
    };
    let command = Q_XGETQSTATV << 8 | USRQUOTA;
    // SAFETY: a NUL-terminated device, and the structure that belongs to the version that it names.
    check(unsafe { libc::quotactl(command, device.as_ptr(), 0, (&raw mut state).cast()) })?;
    Ok(state)
}
