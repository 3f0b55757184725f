// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lines out of a byte stream.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// QEMU's longest answer, its whole schema, is a quarter of a MiB; beyond this, what talks to us is not QEMU.
const LONGEST: usize = 64 << 20;

/// Reads the next line, without its end, into `line`. Returns whether there was one: `false` at the end of the stream,
/// where an unfinished line counts as nothing, since half a JSON text means nothing.
pub(super) async fn read_line(
    stream: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
) -> io::Result<bool> {
    line.clear();
    loop {
        let chunk = stream.fill_buf().await?;
        if chunk.is_empty() {
            return Ok(false);
        }
        let end = chunk.iter().position(|&byte| byte == b'\n');
        let part = &chunk[..end.unwrap_or(chunk.len())];
        if line.len() + part.len() > LONGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a line without end"));
        }
        line.extend_from_slice(part);
        let used = part.len() + usize::from(end.is_some());
        stream.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_cross_buffers_and_a_torn_last_one_is_dropped() {
        let bytes: &[u8] = b"first\r\n\nsecond\ntor";
        let mut stream = tokio::io::BufReader::with_capacity(3, bytes);
        let mut line = Vec::new();
        let mut lines = Vec::new();
        while read_line(&mut stream, &mut line).await.unwrap() {
            lines.push(String::from_utf8(line.clone()).unwrap());
        }
        assert_eq!(lines, ["first\r", "", "second"]);
    }
}
