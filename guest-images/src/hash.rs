// SPDX-License-Identifier: MIT OR Apache-2.0
//! SHA-256, as the lower-case hexadecimal that names cache entries.

use std::io::Read;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::error::{Error, IoContext};

/// A digest over labelled parts; each part's length goes in too, so that no two lists of parts run together.
#[derive(Clone, Default)]
pub(crate) struct Inputs(Sha256);

impl Inputs {
    pub(crate) fn new(what: &str) -> Self {
        Self::default().part("what", what)
    }

    pub(crate) fn part(mut self, label: &str, value: impl AsRef<[u8]>) -> Self {
        for bytes in [label.as_bytes(), value.as_ref()] {
            self.0.update((bytes.len() as u64).to_le_bytes());
            self.0.update(bytes);
        }
        self
    }

    pub(crate) fn finish(self) -> String {
        hex(&self.0.finalize())
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes
        .iter()
        .flat_map(|&byte| [digit(byte >> 4), digit(byte)])
        .collect()
}

pub(crate) fn of_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(crate) fn of_file(path: &Path) -> Result<String, Error> {
    let mut file = std::fs::File::open(path).during("open", path)?;
    let mut digest = Sha256::new();
    let mut chunk = vec![0_u8; 1 << 18];
    loop {
        let count = file.read(&mut chunk).during("read", path)?;
        if count == 0 {
            return Ok(hex(&digest.finalize()));
        }
        digest.update(chunk.get(..count).unwrap_or_default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_digest() {
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            of_bytes(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn parts_do_not_run_together() {
        let one = Inputs::new("x").part("a", "bc").finish();
        let other = Inputs::new("x").part("ab", "c").finish();
        assert_ne!(one, other);
    }
}
