// SPDX-License-Identifier: MIT OR Apache-2.0
//! What cases do to files.

use super::sys;
use guest_agent::address::FileOffset;
use guest_agent::call::Contents;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

/// Bytes moved by one read or write.
const PIECE: usize = 1 << 20;

fn pieces(length: u64) -> impl Iterator<Item = (u64, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let piece = usize::try_from(length - done).unwrap_or(PIECE).min(PIECE);
        let at = done;
        done += piece as u64;
        (piece > 0).then_some((at, piece))
    })
}

fn fill(file: &File, offset: u64, length: u64, value: u8) -> io::Result<()> {
    let buffer = vec![value; PIECE.min(usize::try_from(length).unwrap_or(PIECE))];
    for (at, piece) in pieces(length) {
        file.write_all_at(&buffer[..piece], offset + at)?;
    }
    file.sync_all()
}

/// Creates, fills, syncs.
pub(crate) fn create_filled(path: &str, size: u64, value: u8) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).open(path)?;
    fill(&file, 0, size, value)
}

/// Creates an empty file.
pub(crate) fn create(path: &str) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map(drop)
}

/// Overwrites, syncs.
pub(crate) fn write_at(path: &str, offset: FileOffset, length: u64, value: u8) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    fill(&file, offset.0, length, value)
}

/// Reads, and sums up what was there.
pub(crate) fn read_at(path: &str, offset: FileOffset, length: u64) -> io::Result<Contents> {
    const HEAD: usize = 16;
    let file = File::open(path)?;
    let mut buffer = vec![0; PIECE.min(usize::try_from(length).unwrap_or(PIECE))];
    let mut contents = Contents {
        length: 0,
        uniform: None,
        head: Vec::new(),
    };
    let mut mixed = false;
    for (at, piece) in pieces(length) {
        let got = file.read_at(&mut buffer[..piece], offset.0 + at)?;
        for &byte in &buffer[..got] {
            mixed |= *contents.uniform.get_or_insert(byte) != byte;
        }
        let room = HEAD.saturating_sub(contents.head.len());
        contents.head.extend(buffer[..got].iter().take(room));
        contents.length += got as u64;
        if got < piece {
            break;
        }
    }
    if mixed {
        contents.uniform = None;
    }
    Ok(contents)
}

/// FICLONE into a new file.
pub(crate) fn reflink(from: &str, to: &str) -> io::Result<()> {
    let from = File::open(from)?;
    let to = OpenOptions::new().write(true).create_new(true).open(to)?;
    sys::clone_file(from.as_fd(), to.as_fd())?;
    to.sync_all()
}
