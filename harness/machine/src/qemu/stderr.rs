// SPDX-License-Identifier: MIT OR Apache-2.0
//! What QEMU complains about: the end of its standard error, in bounded memory.

use std::collections::VecDeque;
use std::fmt;
use std::io::Read;
use std::sync::{Arc, Mutex, PoisonError};

/// Bytes kept. A QEMU that dies says why in its last lines.
const KEPT: usize = 64 << 10;

/// The last bytes of a stream that another thread reads.
#[derive(Clone, Default)]
pub(super) struct Tail {
    bytes: Arc<Mutex<VecDeque<u8>>>,
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tail").field(&telling(&self.text())).finish()
    }
}

impl Tail {
    /// Reads `stream` to its end. Blocks: for a thread of its own.
    pub(super) fn fill(&self, mut stream: impl Read) {
        let mut chunk = [0; 4096];
        loop {
            match stream.read(&mut chunk) {
                Ok(0) => return,
                Ok(length) => self.push(&chunk[..length]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return self.push(format!("\n(reading this failed: {error})").as_bytes()),
            }
        }
    }

    fn push(&self, chunk: &[u8]) {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.extend(chunk);
        let excess = bytes.len().saturating_sub(KEPT);
        bytes.drain(..excess);
    }

    /// What there is so far, all of it.
    pub(super) fn text(&self) -> String {
        let mut bytes = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(bytes.make_contiguous()).into_owned()
    }
}

/// The lines that can explain a death: without the CPU features that emulation lacks, which QEMU lists at every start.
pub(super) fn telling(text: &str) -> String {
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains("doesn't support requested feature") && !line.trim().is_empty())
        .collect();
    lines[lines.len().saturating_sub(TELLING_LINES)..].join("\n")
}

const TELLING_LINES: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_is_kept() {
        let tail = Tail::default();
        tail.fill(std::io::Cursor::new(vec![b'x'; KEPT]));
        tail.fill(std::io::Cursor::new(b"the end"));
        let text = tail.text();
        assert_eq!(text.len(), KEPT);
        assert!(text.ends_with("xthe end"));
    }

    #[test]
    fn cpu_features_are_not_a_cause_of_death() {
        let text = "q: warning: TCG doesn't support requested feature: CPUID.01H:ECX.pcid [bit 17]\n\nq: no kernel\n";
        assert_eq!(telling(text), "q: no kernel");
    }
}
