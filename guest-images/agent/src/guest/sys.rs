// SPDX-License-Identifier: MIT OR Apache-2.0
//! System calls that neither std nor nix wraps.
#![expect(
    unsafe_code,
    reason = "raw ioctls, statx, prctl and module loading have no safe wrapper in std or nix"
)]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

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

#[repr(C)]
#[derive(Default)]
struct Fiemap {
    start: u64,
    length: u64,
    flags: u32,
    mapped: u32,
    count: u32,
    reserved: u32,
    extent: FiemapExtent,
}

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

/// `struct xfs_fsop_geom_v4`, `fs/xfs/libxfs/xfs_fs.h`.
#[repr(C)]
#[derive(Debug, Default)]
pub(crate) struct Geometry {
    pub(crate) block_size: u32,
    rt_extent_size: u32,
    pub(crate) ag_blocks: u32,
    pub(crate) ag_count: u32,
    log_blocks: u32,
    sector_size: u32,
    inode_size: u32,
    inode_max_percent: u32,
    data_blocks: u64,
    rt_blocks: u64,
    rt_extents: u64,
    log_start: u64,
    uuid: [u8; 16],
    tail: [u32; 8],
}

const fn request(direction: u64, kind: u8, number: u8, size: usize) -> u64 {
    direction << 30 | (size as u64) << 16 | (kind as u64) << 8 | number as u64
}
const READ: u64 = 2;
const WRITE: u64 = 1;
// The request numbers count the fixed head only, not what follows it.
const FS_IOC_FIEMAP: u64 = request(READ | WRITE, b'f', 11, 32);
const FS_IOC_GETFSMAP: u64 = request(READ | WRITE, b'X', 59, 192);
const XFS_IOC_FSGEOMETRY_V4: u64 = request(READ, b'X', 124, size_of::<Geometry>());
const FICLONE: u64 = request(WRITE, 0x94, 9, size_of::<libc::c_int>());

fn check(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}

/// ioctl(FS_IOC_FIEMAP) for one byte; `None` in a hole. The file is synced first (`FIEMAP_FLAG_SYNC`).
pub(crate) fn fiemap(file: BorrowedFd<'_>, offset: u64) -> io::Result<Option<FiemapExtent>> {
    const FIEMAP_FLAG_SYNC: u32 = 1;
    let mut map = Fiemap {
        start: offset,
        length: 1,
        flags: FIEMAP_FLAG_SYNC,
        count: 1,
        ..Fiemap::default()
    };
    // SAFETY: the structure has room for the one extent that `count` announces, and outlives the call.
    check(unsafe { libc::ioctl(file.as_raw_fd(), FS_IOC_FIEMAP, &raw mut map) })?;
    Ok((map.mapped == 1).then_some(map.extent))
}

/// ioctl(FS_IOC_GETFSMAP): every record of the filesystem that holds `file`.
pub(crate) fn getfsmap(file: BorrowedFd<'_>) -> io::Result<Vec<Fsmap>> {
    const FMR_OF_LAST: u32 = 0x20;
    let all = Fsmap {
        device: u32::MAX,
        flags: u32::MAX,
        physical: u64::MAX,
        owner: u64::MAX,
        offset: u64::MAX,
        ..Fsmap::default()
    };
    let mut head = Box::new(FsmapHead {
        iflags: 0,
        oflags: 0,
        count: FSMAP_BATCH,
        entries: 0,
        reserved: [0; 6],
        keys: [Fsmap::default(), all],
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

/// ioctl(FICLONE).
pub(crate) fn clone_file(from: BorrowedFd<'_>, to: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: FICLONE takes a file descriptor by value.
    check(unsafe { libc::ioctl(to.as_raw_fd(), FICLONE, from.as_raw_fd()) })
}

/// statx(2): does the file have `STATX_ATTR_DAX`? A kernel that does not know the attribute says no.
pub(crate) fn is_dax(path: &str) -> io::Result<bool> {
    const STATX_ATTR_DAX: u64 = 0x20_0000;
    let path = CString::new(path)?;
    let mut answer = std::mem::MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the path is NUL-terminated and the buffer is a whole `struct statx`; zeroes are a valid one.
    let answer = unsafe {
        check(libc::statx(
            libc::AT_FDCWD,
            path.as_ptr(),
            0,
            libc::STATX_BASIC_STATS,
            answer.as_mut_ptr(),
        ))?;
        answer.assume_init()
    };
    Ok(answer.stx_attributes & answer.stx_attributes_mask & STATX_ATTR_DAX != 0)
}

/// prctl(PR_MCE_KILL, PR_MCE_KILL_SET, …) for the calling thread.
pub(crate) fn set_kill_policy(policy: libc::c_ulong) -> io::Result<()> {
    const PR_MCE_KILL_SET: libc::c_ulong = 1;
    // SAFETY: takes numbers only; the unused arguments must be zero.
    check(unsafe { libc::prctl(libc::PR_MCE_KILL, PR_MCE_KILL_SET, policy, 0, 0) })
}

/// prctl(PR_SET_PDEATHSIG, SIGKILL): the calling process dies with the thread that forked it.
pub(crate) fn die_with_parent() -> io::Result<()> {
    // SAFETY: takes numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) })
}

/// prctl(PR_SET_NAME): how the kernel's messages call this process; up to 15 bytes are kept.
pub(crate) fn set_name(name: &str) -> io::Result<()> {
    let name = CString::new(name)?;
    // SAFETY: a NUL-terminated string, which the kernel copies.
    check(unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0) })
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

/// A whole file mapped shared and read-only. Never unmapped: a victim keeps it to its end.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mapping {
    /// Virtual address of the first byte.
    pub(crate) address: usize,
    /// Bytes.
    pub(crate) length: usize,
}

impl Mapping {
    /// mmap(2), `MAP_SHARED`, `PROT_READ`, of the first `length` bytes.
    pub(crate) fn of(file: BorrowedFd<'_>, length: usize) -> io::Result<Self> {
        // SAFETY: a fresh mapping at an address of the kernel's choice disturbs nothing.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self {
            address: address as usize,
            length,
        })
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

/// munmap(2) of a mapping that nobody looks at any more.
pub(crate) fn unmap(mapping: Mapping) -> io::Result<()> {
    // SAFETY: the mapping came from `Mapping::of`, and its one user gives it up here.
    check(unsafe { libc::munmap(mapping.address as *mut libc::c_void, mapping.length) })
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
