// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files: written, read, looked at.

use super::contents::{Summary, fill};
use super::error::{Call, Tried};
use super::sys::file::{self, FiemapExtent, FsXattr};
use super::sys::xfs;
use guest_agent::address::{FileOffset, FsOffset, PAGE_SIZE};
use guest_agent::call::{Contents, Deduped, Extent, FileFlags, FileKind, FileRanges, FileStatus, Fill};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

/// Bytes moved by one read or write.
const PIECE: usize = 1 << 20;

/// A piece of memory that begins at a page: what `O_DIRECT` wants.
struct Aligned {
    bytes: Vec<u8>,
    start: usize,
    length: usize,
}

impl Aligned {
    fn of(length: u64) -> Self {
        let page = usize::try_from(PAGE_SIZE).unwrap_or(1);
        let length = usize::try_from(length).unwrap_or(PIECE).min(PIECE);
        let bytes = vec![0; length + page];
        let start = bytes.as_ptr().align_offset(page).min(page);
        Self { bytes, start, length }
    }
}

impl Deref for Aligned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.length]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.length]
    }
}

fn pieces(length: u64) -> impl Iterator<Item = (u64, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let piece = usize::try_from(length - done).unwrap_or(PIECE).min(PIECE);
        let at = done;
        done += piece as u64;
        (piece > 0).then_some((at, piece))
    })
}

fn direct_flag(direct: bool) -> libc::c_int {
    if direct { libc::O_DIRECT } else { 0 }
}

/// Opens for reading. A pipe or a device that would make one wait does not.
pub(crate) fn open(path: &str) -> Tried<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .of("open", path)
}

/// Opens for writing, `O_DIRECT` if wished.
pub(crate) fn open_to_write(path: &str, direct: bool) -> Tried<File> {
    OpenOptions::new()
        .write(true)
        .custom_flags(direct_flag(direct))
        .open(path)
        .of("open", path)
}

/// Opens for reading and writing.
fn open_to_change(path: &str) -> Tried<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).open(path).of("open", path)
}

/// Creates, and opens for writing.
pub(crate) fn create(path: &str) -> Tried<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .of("open", path)
}

/// pwrite(2) of a range.
pub(crate) fn write(file: &File, path: &str, offset: FileOffset, length: u64, what: Fill) -> Tried<()> {
    let mut buffer = Aligned::of(length);
    for (at, piece) in pieces(length) {
        let place = FileOffset(offset.0 + at);
        fill(&mut buffer[..piece], place, what);
        file.write_all_at(&buffer[..piece], place.0)
            .of("pwrite", format_args!("{path} at {place}"))?;
    }
    Ok(())
}

/// fsync(2).
pub(crate) fn sync(file: &File, path: &str) -> Tried<()> {
    file.sync_all().of("fsync", path)
}

/// Reads, and sums up what was there.
pub(crate) fn read(
    path: &str,
    offset: FileOffset,
    length: u64,
    direct: bool,
    checksum: bool,
) -> Tried<Contents> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(direct_flag(direct))
        .open(path)
        .of("open", path)?;
    let mut buffer = Aligned::of(length);
    let mut summary = Summary::from(offset, checksum);
    for (at, piece) in pieces(length) {
        let place = offset.0 + at;
        let got = file
            .read_at(&mut buffer[..piece], place)
            .of("pread", format_args!("{path} at {place:#x}"))?;
        summary.take(&buffer[..got]);
        if got < piece {
            break;
        }
    }
    Ok(summary.finish())
}

/// A file of every other page.
pub(crate) fn fragment(path: &str, extents: u32, what: Fill) -> Tried<()> {
    let file = create(path)?;
    for extent in 0..u64::from(extents) {
        write(&file, path, FileOffset(2 * extent * PAGE_SIZE), PAGE_SIZE, what)?;
    }
    sync(&file, path)
}

/// statx(2).
pub(crate) fn status(path: &str, follow: bool) -> Tried<FileStatus> {
    file::status(path, follow).of("statx", path)
}

/// All extents.
pub(crate) fn extents(path: &str, sync: bool) -> Tried<Vec<Extent>> {
    let file = open(path)?;
    let found = file::fiemap(file.as_fd(), 0, u64::MAX, sync).of("FIEMAP", path)?;
    Ok(found.iter().map(extent).collect())
}

/// An extent of FIEMAP's as data.
pub(crate) fn extent(found: &FiemapExtent) -> Extent {
    let has = |flag: u32| found.flags & flag != 0;
    Extent {
        logical: FileOffset(found.logical),
        physical: (!has(FiemapExtent::PLACELESS)).then_some(FsOffset(found.physical)),
        length: found.length,
        shared: has(FiemapExtent::SHARED),
        unwritten: has(FiemapExtent::UNWRITTEN),
    }
}

/// FS_IOC_FSGETXATTR.
pub(crate) fn flags(path: &str) -> Tried<FileFlags> {
    let flags = file::flags(open(path)?.as_fd()).of("FS_IOC_FSGETXATTR", path)?;
    Ok(FileFlags {
        dax: flags.flags & FsXattr::DAX != 0,
        realtime: flags.flags & (FsXattr::REALTIME | FsXattr::RT_INHERIT) != 0,
        extent_size: flags.extent_size,
        cow_extent_size: flags.cow_extent_size,
        extents: flags.extents,
        raw: flags.flags,
    })
}

/// readlink(2).
pub(crate) fn target(path: &str) -> Tried<String> {
    let target = fs::read_link(path).of("readlink", path)?;
    Ok(target.to_string_lossy().into_owned())
}

/// The names in a directory, sorted.
pub(crate) fn names(path: &str) -> Tried<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).of("open", path)? {
        let name = entry.of("getdents", path)?.file_name();
        names.push(String::from_utf8_lossy(name.as_bytes()).into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

/// An extended attribute's value.
pub(crate) fn xattr(path: &str, name: &str) -> Tried<Contents> {
    let value = file::get_xattr(path, name).of("getxattr", format_args!("{path} {name}"))?;
    let mut summary = Summary::from(FileOffset(0), false);
    summary.take(&value);
    Ok(summary.finish())
}

/// FICLONERANGE.
pub(crate) fn clone_range(ranges: &FileRanges) -> Tried<()> {
    let source = open(&ranges.from)?;
    let target = open_to_write(&ranges.to, false)?;
    file::clone_range(
        source.as_fd(),
        ranges.from_offset.0,
        target.as_fd(),
        ranges.to_offset.0,
        ranges.length,
    )
    .of("FICLONERANGE", format_args!("{} to {}", ranges.from, ranges.to))
}

/// XFS_IOC_EXCHANGE_RANGE.
pub(crate) fn exchange(path: &str, with: &str) -> Tried<()> {
    let (file, other) = (open_to_change(path)?, open_to_change(with)?);
    xfs::exchange(file.as_fd(), other.as_fd())
        .of("XFS_IOC_EXCHANGE_RANGE", format_args!("{path} with {with}"))
}

/// FIDEDUPERANGE.
pub(crate) fn dedupe(ranges: &FileRanges) -> Tried<Deduped> {
    let source = open(&ranges.from)?;
    let target = open_to_change(&ranges.to)?;
    file::dedupe(
        source.as_fd(),
        ranges.from_offset.0,
        target.as_fd(),
        ranges.to_offset.0,
        ranges.length,
    )
    .of("FIDEDUPERANGE", format_args!("{} to {}", ranges.from, ranges.to))
}

/// copy_file_range(2), to the end.
pub(crate) fn copy(ranges: &FileRanges) -> Tried<u64> {
    let source = open(&ranges.from)?;
    let target = open_to_write(&ranges.to, false)?;
    let length = ranges.length;
    let what = format!("{} to {}", ranges.from, ranges.to);
    let place = |offset: FileOffset| {
        i64::try_from(offset.0)
            .map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
            .of("copy_file_range", &what)
    };
    let (mut read_at, mut write_at) = (place(ranges.from_offset)?, place(ranges.to_offset)?);
    let mut copied = 0;
    while copied < length {
        let left = usize::try_from(length - copied).unwrap_or(usize::MAX);
        let now = nix::fcntl::copy_file_range(
            source.as_fd(),
            Some(&mut read_at),
            target.as_fd(),
            Some(&mut write_at),
            left,
        )
        .of("copy_file_range", &what)?;
        if now == 0 {
            break;
        }
        copied += now as u64;
    }
    Ok(copied)
}

/// Changes some flags and leaves the others.
pub(crate) fn set_flags(path: &str, change: guest_agent::call::FlagChange) -> Tried<()> {
    let file = open(path)?;
    let mut flags = file::flags(file.as_fd()).of("FS_IOC_FSGETXATTR", path)?;
    let kind = file::status_of(file.as_fd()).of("statx", path)?.kind;
    let (hint, realtime) = if kind == FileKind::Directory {
        (FsXattr::EXTENT_SIZE_INHERIT, FsXattr::RT_INHERIT)
    } else {
        (FsXattr::EXTENT_SIZE, FsXattr::REALTIME)
    };
    let mut set = |flag: u32, on: bool| {
        flags.flags = if on {
            flags.flags | flag
        } else {
            flags.flags & !flag
        };
    };
    if let Some(on) = change.dax {
        set(FsXattr::DAX, on);
    }
    if let Some(on) = change.realtime {
        set(realtime, on);
    }
    if let Some(bytes) = change.extent_size {
        set(hint, bytes != 0);
    }
    if let Some(bytes) = change.cow_extent_size {
        set(FsXattr::COW_EXTENT_SIZE, bytes != 0);
    }
    flags.extent_size = change.extent_size.unwrap_or(flags.extent_size);
    flags.cow_extent_size = change.cow_extent_size.unwrap_or(flags.cow_extent_size);
    file::set_flags(file.as_fd(), &flags).of("FS_IOC_FSSETXATTR", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a").to_str().unwrap().to_owned();
        let file = create(&path).unwrap();
        write(&file, &path, FileOffset(0), (2 << 20) + 5, Fill::Counting).unwrap();
        write(&file, &path, FileOffset(8192), 4096, Fill::Byte(0x5a)).unwrap();
        drop(file);
        let all = read(&path, FileOffset(0), u64::MAX, false, false).unwrap();
        assert_eq!(
            (all.length, all.counting, all.uniform),
            ((2 << 20) + 5, false, None)
        );
        let page = read(&path, FileOffset(8192), 4096, false, false).unwrap();
        assert_eq!(page.uniform, Some(0x5a));
        assert!(
            read(&path, FileOffset(12288), 1 << 20, false, false)
                .unwrap()
                .counting
        );
        let again = create(&path)
            .map(drop)
            .map_err(|stopped| stopped.refusal().unwrap());
        assert_eq!(again.unwrap_err().errno, libc::EEXIST);
    }

    #[test]
    fn a_buffer_for_direct_io_begins_at_a_page() {
        for length in [1, 4096, 3 << 20] {
            let buffer = Aligned::of(length);
            assert_eq!(buffer.as_ptr() as usize % 4096, 0);
            assert_eq!(buffer.len() as u64, length.min(PIECE as u64));
        }
    }
}
