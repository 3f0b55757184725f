// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mappings: made, advised on, used as buffers, looked at, ended.
#![expect(
    unsafe_code,
    reason = "mmap and what works on mapped memory by address cannot be safe: the memory may be gone"
)]

use super::{READ, WRITE, check, request};
use guest_agent::address::PAGE_SIZE;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// The size of the larger pages, in bytes.
pub(crate) const HUGE_PAGE: usize = 2 << 20;

/// The size of the others.
const SMALL_PAGE: usize = 4096;

/// A part of a file that is mapped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mapping {
    /// Virtual address of the first byte.
    pub(crate) address: usize,
    /// Bytes.
    pub(crate) length: usize,
}

/// How a file is mapped.
#[derive(Debug, Clone, Copy)]
pub(crate) struct How {
    /// `MAP_SHARED`, `MAP_PRIVATE`, …
    pub(crate) flags: libc::c_int,
    /// `PROT_WRITE` besides `PROT_READ`.
    pub(crate) writable: bool,
    /// At an address that leaves the same remainder as the offset when divided by 2 MiB.
    pub(crate) huge: bool,
}

impl Mapping {
    /// mmap(2) of a range of a file. No page of it is faulted in.
    pub(crate) fn of(file: BorrowedFd<'_>, offset: u64, length: usize, how: How) -> io::Result<Self> {
        let invalid = |_| io::Error::from_raw_os_error(libc::EINVAL);
        let position = libc::off_t::try_from(offset).map_err(invalid)?;
        let protection = libc::PROT_READ | if how.writable { libc::PROT_WRITE } else { 0 };
        let (place, fixed) = if how.huge {
            let inside = usize::try_from(offset).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
            (reserve(length, inside % HUGE_PAGE)?, libc::MAP_FIXED)
        } else {
            (0, 0)
        };
        // SAFETY: at an address of the kernel's choice, or over a piece of address space that was reserved for it.
        let address = unsafe {
            libc::mmap(
                place as *mut libc::c_void,
                length,
                protection,
                how.flags | fixed,
                file.as_raw_fd(),
                position,
            )
        };
        if address == libc::MAP_FAILED {
            let error = io::Error::last_os_error();
            if how.huge {
                // MAP_FIXED that fails late has unmapped what was there; otherwise the reservation is given back.
                Self {
                    address: place,
                    length,
                }
                .unmap()?;
            }
            return Err(error);
        }
        Ok(Self {
            address: address as usize,
            length,
        })
    }

    /// The address of a byte; `None` outside.
    pub(crate) fn at(self, offset: u64) -> Option<usize> {
        let offset = usize::try_from(offset)
            .ok()
            .filter(|&offset| offset < self.length)?;
        Some(self.address + offset)
    }

    /// The address of a range that lies inside; `None` if it does not.
    pub(crate) fn range(self, offset: u64, length: u64) -> Option<(usize, usize)> {
        let start = self.at(offset)?;
        let length = usize::try_from(length).ok()?;
        (start.checked_add(length)? <= self.address + self.length).then_some((start, length))
    }

    /// munmap(2) of the whole.
    pub(crate) fn unmap(self) -> io::Result<()> {
        // SAFETY: the mapping came from `Mapping::of` or `reserve`, and its one user gives it up here. A later access by
        // address faults, which is caught.
        check(unsafe { libc::munmap(self.address as *mut libc::c_void, self.length) })
    }
}

/// Reserves address space for `length` bytes at an address that leaves this remainder when divided by the size of a
/// huge page.
fn reserve(length: usize, remainder: usize) -> io::Result<usize> {
    let too_long = || io::Error::from_raw_os_error(libc::ENOMEM);
    let room = length.checked_add(HUGE_PAGE).ok_or_else(too_long)?;
    // SAFETY: a fresh mapping at an address of the kernel's choice, without access.
    let start = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            room,
            libc::PROT_NONE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    let start = start as usize;
    let skipped = (HUGE_PAGE + remainder - start % HUGE_PAGE) % HUGE_PAGE;
    let place = start + skipped;
    // Whole pages of what was not needed go back; a mapping's last page may reach beyond `length`.
    let end = (place + length).next_multiple_of(SMALL_PAGE);
    for (from, to) in [(start, place), (end, start + room)] {
        if from < to {
            Mapping {
                address: from,
                length: to - from,
            }
            .unmap()?;
        }
    }
    Ok(place)
}

/// madvise(2).
pub(crate) fn advise(address: usize, length: usize, advice: libc::c_int) -> io::Result<()> {
    // SAFETY: the range lies in a mapping of a file that no reference of Rust's points into.
    check(unsafe { libc::madvise(address as *mut libc::c_void, length, advice) })
}

/// pread(2) into memory by its address.
pub(crate) fn read_into(file: BorrowedFd<'_>, offset: u64, address: usize, length: usize) -> io::Result<u64> {
    let offset = libc::off_t::try_from(offset).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    // SAFETY: as for `advise`; the kernel answers EFAULT where nothing can be written.
    let moved = unsafe { libc::pread(file.as_raw_fd(), address as *mut libc::c_void, length, offset) };
    u64::try_from(moved).map_err(|_negative| io::Error::last_os_error())
}

/// pwrite(2) out of memory by its address.
pub(crate) fn write_from(
    file: BorrowedFd<'_>,
    offset: u64,
    address: usize,
    length: usize,
) -> io::Result<u64> {
    let offset = libc::off_t::try_from(offset).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    // SAFETY: as for `advise`; the kernel answers EFAULT where nothing can be read.
    let moved = unsafe { libc::pwrite(file.as_raw_fd(), address as *const libc::c_void, length, offset) };
    u64::try_from(moved).map_err(|_negative| io::Error::last_os_error())
}

/// vmsplice(2): the pipe gets references to the pages, as many as have room in it.
pub(crate) fn splice(pipe: BorrowedFd<'_>, address: usize, length: usize) -> io::Result<u64> {
    let range = libc::iovec {
        iov_base: address as *mut libc::c_void,
        iov_len: length,
    };
    // SAFETY: as for `advise`; one range, which outlives the call.
    let moved = unsafe { libc::vmsplice(pipe.as_raw_fd(), &raw const range, 1, libc::SPLICE_F_NONBLOCK) };
    u64::try_from(moved).map_err(|_negative| io::Error::last_os_error())
}

/// `struct pm_scan_arg`, `<linux/fs.h>` from 6.7 on.
#[repr(C)]
struct ScanRequest {
    size: u64,
    flags: u64,
    start: u64,
    end: u64,
    walk_end: u64,
    regions: u64,
    region_count: u64,
    max_pages: u64,
    category_inverted: u64,
    category_mask: u64,
    category_any_of: u64,
    return_mask: u64,
}

/// `struct page_region`, `<linux/fs.h>`.
#[repr(C)]
#[derive(Default)]
struct ScannedRegion {
    start: u64,
    end: u64,
    categories: u64,
}

const PAGEMAP_SCAN: u64 = request(READ | WRITE, b'f', 16, size_of::<ScanRequest>());

/// What PAGEMAP_SCAN says of one page: `Some(true)` if it is present in an entry for 2 MiB, `Some(false)` if in one for
/// 4 KiB, `None` if it is not present. Kernels before 6.7 answer ENOTTY.
pub(crate) fn is_huge(pagemap: &File, address: u64) -> io::Result<Option<bool>> {
    const PAGE_IS_PRESENT: u64 = 1 << 3;
    const PAGE_IS_HUGE: u64 = 1 << 6;
    let start = address & !(PAGE_SIZE - 1);
    let mut region = ScannedRegion::default();
    let scan = ScanRequest {
        size: size_of::<ScanRequest>() as u64,
        flags: 0,
        start,
        end: start + PAGE_SIZE,
        walk_end: 0,
        regions: (&raw mut region) as u64,
        region_count: 1,
        max_pages: 0,
        category_inverted: 0,
        category_mask: PAGE_IS_PRESENT,
        category_any_of: 0,
        return_mask: PAGE_IS_PRESENT | PAGE_IS_HUGE,
    };
    // SAFETY: the one region that is announced has its room, and both structures outlive the call.
    let found = unsafe { libc::ioctl(pagemap.as_raw_fd(), PAGEMAP_SCAN, &raw const scan) };
    check(found)?;
    Ok((found > 0).then_some(region.categories & PAGE_IS_HUGE != 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn a_mapping_for_huge_pages_leaves_the_file_offsets_remainder() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(8 << 20).unwrap();
        let how = How {
            flags: libc::MAP_SHARED,
            writable: false,
            huge: true,
        };
        let offset = 0x1000_u64;
        let mapping = Mapping::of(file.as_fd(), offset, (4 << 20) + 5, how).unwrap();
        assert_eq!(mapping.address % HUGE_PAGE, 0x1000);
        assert_eq!(mapping.at(4 << 20), Some(mapping.address + (4 << 20)));
        assert_eq!(
            (mapping.at((4 << 20) + 5), mapping.range(4 << 20, 6)),
            (None, None)
        );
        mapping.unmap().unwrap();
    }
}
