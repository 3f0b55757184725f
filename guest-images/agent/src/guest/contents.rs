// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a range of bytes holds, summed up piece by piece.

use guest_agent::address::{FileOffset, PAGE_SIZE};
use guest_agent::call::{Contents, Fill, Turn};
use sha2::{Digest, Sha256};

/// How many of the first bytes are told.
const HEAD: usize = 16;

/// Takes in the pieces of a range, in order.
pub(crate) struct Summary {
    next: FileOffset,
    length: u64,
    first: Option<u8>,
    turn: Option<Turn>,
    counting: bool,
    head: Vec<u8>,
    hash: Option<Sha256>,
}

impl Summary {
    /// Of a range that begins there in its file.
    pub(crate) fn from(start: FileOffset, checksum: bool) -> Self {
        Self {
            next: start,
            length: 0,
            first: None,
            turn: None,
            counting: true,
            head: Vec::new(),
            hash: checksum.then(Sha256::new),
        }
    }

    /// The next bytes.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        if let Some(&byte) = bytes.first() {
            let first = *self.first.get_or_insert(byte);
            if self.turn.is_none() {
                let turn = bytes.iter().zip(self.next.0..).find(|&(&byte, _)| byte != first);
                self.turn = turn.map(|(&byte, at)| Turn {
                    at: FileOffset(at),
                    byte,
                });
            }
        }
        self.head
            .extend(bytes.iter().take(HEAD.saturating_sub(self.head.len())));
        if let Some(hash) = &mut self.hash {
            hash.update(bytes);
        }
        self.length += bytes.len() as u64;
        let mut rest = bytes;
        while !rest.is_empty() {
            let to_page_end = PAGE_SIZE - self.next.0 % PAGE_SIZE;
            let (page, after) =
                rest.split_at(usize::try_from(to_page_end).unwrap_or(usize::MAX).min(rest.len()));
            let due = Fill::Counting.byte_at(self.next.0);
            self.counting &= page.iter().all(|&byte| byte == due);
            self.next.0 += page.len() as u64;
            rest = after;
        }
    }

    /// What they were.
    pub(crate) fn finish(self) -> Contents {
        Contents {
            length: self.length,
            uniform: self.first.filter(|_| self.turn.is_none()),
            counting: self.counting && self.length > 0,
            head: self.head,
            turn: self.turn,
            sha256: self.hash.map(|hash| {
                let digits = hash.finalize();
                let digits = digits.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
                digits
                    .filter_map(|digit| char::from_digit(digit.into(), 16))
                    .collect()
            }),
        }
    }
}

/// Fills a buffer with what belongs at a place of a file.
pub(crate) fn fill(buffer: &mut [u8], mut at: FileOffset, what: Fill) {
    let mut rest = buffer;
    while !rest.is_empty() {
        let to_page_end = usize::try_from(PAGE_SIZE - at.0 % PAGE_SIZE).unwrap_or(usize::MAX);
        let (page, after) = rest.split_at_mut(to_page_end.min(rest.len()));
        page.fill(what.byte_at(at.0));
        at.0 += page.len() as u64;
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summed(start: u64, pieces: &[&[u8]]) -> Contents {
        let mut summary = Summary::from(FileOffset(start), true);
        for piece in pieces {
            summary.take(piece);
        }
        summary.finish()
    }

    #[test]
    fn counting_pages_are_known_by_their_place_in_the_file() {
        let mut bytes = vec![0; 9000];
        fill(&mut bytes, FileOffset(4000), Fill::Counting);
        assert_eq!((bytes[95], bytes[96], bytes[96 + 4096]), (11, 48, 85));
        let whole = summed(4000, &[&bytes[..5000], &bytes[5000..]]);
        assert!(whole.counting && whole.uniform.is_none());
        assert_eq!((whole.length, whole.head.as_slice()), (9000, [11; 16].as_slice()));
        assert!(!summed(0, &[&bytes]).counting);
        let inside = summed(4096, &[&bytes[96..96 + 4096]]);
        assert!(inside.counting && inside.uniform == Some(48));
        bytes[7000] ^= 1;
        assert!(!summed(4000, &[&bytes]).counting);
    }

    #[test]
    fn the_first_byte_that_is_not_like_the_others_is_told_with_its_place() {
        let turn = |pieces: &[&[u8]]| summed(100, pieces).turn;
        assert_eq!(turn(&[&[7; 5], &[7; 5]]), None);
        let at = |at| {
            Some(Turn {
                at: FileOffset(at),
                byte: 8,
            })
        };
        assert_eq!(turn(&[&[7; 5], &[7, 8, 9]]), at(106));
        assert_eq!(turn(&[&[7; 5], &[8; 5], &[9; 5]]), at(105));
    }

    #[test]
    fn nothing_is_neither_uniform_nor_counting() {
        let nothing = summed(0, &[]);
        assert_eq!(
            (nothing.uniform, nothing.counting, nothing.turn),
            (None, false, None)
        );
        assert_eq!(
            summed(0, &[b"abc"]).sha256.unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
