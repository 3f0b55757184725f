// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel's log, record by record (`Documentation/ABI/testing/dev-kmsg`).

use super::error::{Doing, failure};
use guest_agent::call::{Failure, LogRecord};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::read;
use std::os::fd::AsFd;

/// The longest record that the kernel hands out (`PRINTK_MESSAGE_MAX`), with room to spare.
const LONGEST: usize = 16 << 10;

/// Every record from sequence number `since` on that the buffer still holds.
pub(crate) fn read_from(since: u64) -> Result<Vec<LogRecord>, Failure> {
    let log =
        open("/dev/kmsg", OFlag::O_RDONLY | OFlag::O_NONBLOCK, Mode::empty()).doing("open /dev/kmsg")?;
    let mut buffer = vec![0; LONGEST];
    let mut records = Vec::new();
    loop {
        match read(log.as_fd(), &mut buffer) {
            Ok(0) | Err(Errno::EAGAIN) => return Ok(records),
            // EPIPE: records were overwritten under the reader, which goes on with the oldest that is left.
            Err(Errno::EPIPE | Errno::EINTR) => {}
            Err(error) => return Err(failure(format_args!("read /dev/kmsg: {error}"))),
            Ok(length) => {
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let record =
                    parse(&text).ok_or_else(|| failure(format_args!("/dev/kmsg answered {text:?}")))?;
                if record.sequence >= since {
                    records.push(record);
                }
            }
        }
    }
}

/// The number that the next record will have.
pub(crate) fn next_sequence() -> Result<u64, Failure> {
    Ok(read_from(0)?.last().map_or(0, |last| last.sequence + 1))
}

fn parse(record: &str) -> Option<LogRecord> {
    let (head, text) = record.split_once(';')?;
    let mut fields = head.split(',');
    let priority: u64 = fields.next()?.parse().ok()?;
    let sequence = fields.next()?.parse().ok()?;
    let micros = fields.next()?.parse().ok()?;
    // The message is the first line, and a frame of a stack begins with a blank; the lines after it that do are key=value
    // dictionaries (kernel/printk/printk.c:msg_add_dict_text).
    let mut lines = text.lines();
    let first = lines.next()?;
    let text = std::iter::once(first)
        .chain(lines.take_while(|line| !line.starts_with(' ')))
        .collect::<Vec<_>>()
        .join("\n");
    Some(LogRecord {
        sequence,
        level: u8::try_from(priority & 7).ok()?,
        micros,
        text,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_with_a_dictionary() {
        let record = parse("4,702,1234567,-;XFS (pmem0): Shutting down.\n SUBSYSTEM=block\n").unwrap();
        assert_eq!(
            (record.sequence, record.level, record.micros),
            (702, 4, 1_234_567)
        );
        assert_eq!(record.text, "XFS (pmem0): Shutting down.");
        assert_eq!(parse("nonsense"), None);
    }

    #[test]
    fn a_frame_of_a_stack_is_a_message() {
        let record =
            parse("4,703,1234568,-; xfs_swap_extents+0x1b7/0x900 [xfs]\n SUBSYSTEM=block\n").unwrap();
        assert_eq!(record.text, " xfs_swap_extents+0x1b7/0x900 [xfs]");
        // An empty message is one, too.
        assert_eq!(parse("4,704,1234569,-;\n").unwrap().text, "");
    }
}
