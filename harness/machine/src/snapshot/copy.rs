// SPDX-License-Identifier: MIT OR Apache-2.0
//! Copying guest memory: mostly holes and zeroes, of which neither is written.

use nix::errno::Errno;
use nix::unistd::{Whence, lseek};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// A page, the unit in which memory is either copied or left out.
pub(super) const PAGE: usize = 4096;
/// What is read at a time.
const CHUNK: usize = 1 << 20;

/// Copies what is not zero into `to`, which must be empty, at least as long, and all zero. Returns the offsets of the
/// pages that were written, in order.
pub(super) fn copy(from: &File, to: &File) -> io::Result<Vec<u64>> {
    let length = from.metadata()?.len();
    let mut written = Vec::new();
    let mut buffer = vec![0; CHUNK];
    let mut at = 0;
    while let Some((start, end)) = next_data(from, at, length)? {
        at = start;
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or(CHUNK).min(CHUNK);
            let chunk = &mut buffer[..wanted];
            from.read_exact_at(chunk, at)?;
            write_nonzero(to, chunk, at, &mut written)?;
            at += wanted as u64;
        }
    }
    Ok(written)
}

/// The next range that holds data, widened to whole pages; `None` when there is none any more.
fn next_data(file: &File, at: u64, length: u64) -> io::Result<Option<(u64, u64)>> {
    let seek = |offset: u64, whence| lseek(file, offset.cast_signed(), whence).map(i64::cast_unsigned);
    if at >= length {
        return Ok(None);
    }
    match seek(at, Whence::SeekData) {
        Ok(start) => {
            let end = seek(start, Whence::SeekHole)?;
            let page = PAGE as u64;
            Ok(Some((
                start / page * page,
                end.next_multiple_of(page).min(length),
            )))
        }
        // Nothing but a hole up to the end.
        Err(Errno::ENXIO) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Writes runs of pages that are not zero.
fn write_nonzero(to: &File, chunk: &[u8], at: u64, written: &mut Vec<u64>) -> io::Result<()> {
    const ZERO: [u8; PAGE] = [0; PAGE];
    let is_zero = |page: &[u8]| page == &ZERO[..page.len()];
    let mut offset = at;
    for run in chunk
        .chunks(PAGE)
        .collect::<Vec<_>>()
        .chunk_by(|one, two| is_zero(one) == is_zero(two))
    {
        let begin = usize::try_from(offset - at).map_err(io::Error::other)?;
        let length: usize = run.iter().map(|page| page.len()).sum();
        if !run.first().is_none_or(|page| is_zero(page)) {
            to.write_all_at(&chunk[begin..begin + length], offset)?;
            written.extend((offset..).step_by(PAGE).take(run.len()));
        }
        offset += length as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn data_is_copied_and_zeroes_become_holes() {
        let (from, to) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let length = 8 << 20;
        from.set_len(length).unwrap();
        to.set_len(length).unwrap();
        from.write_all_at(&[7; 5000], 4096).unwrap();
        from.write_all_at(&vec![0; 1 << 20], 2 << 20).unwrap();
        from.write_all_at(b"end", length - 3).unwrap();
        let written = copy(&from, &to).unwrap();
        assert_eq!(written, [4096, 8192, length - 4096]);
        let mut expected = vec![0; usize::try_from(length).unwrap()];
        let mut found = expected.clone();
        from.read_exact_at(&mut expected, 0).unwrap();
        to.read_exact_at(&mut found, 0).unwrap();
        assert!(expected == found);
        assert!(to.metadata().unwrap().blocks() * 512 < 1 << 20);
    }

    #[test]
    fn an_empty_file_is_nothing() {
        let (from, to) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        from.set_len(1 << 20).unwrap();
        assert_eq!(copy(&from, &to).unwrap(), Vec::<u64>::new());
    }
}
