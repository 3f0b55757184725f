// SPDX-License-Identifier: MIT OR Apache-2.0
//! Small things that lines are made of: colours, columns, sizes, times.

use crate::Verdict;

/// How wide the head of a line is: the longest verdict. Heads stand at its right end.
const HEAD: usize = 10;

/// Colours text, or leaves it alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Paint {
    pub colour: bool,
}

impl Paint {
    /// A verdict's word in its colour, as the head of a line.
    pub(super) fn verdict(self, verdict: Verdict) -> String {
        self.colour(code(verdict), &format!("{:>HEAD$}", verdict.word()))
    }

    /// A verdict's word in its colour, at the left end of a column this wide.
    pub(super) fn cell(self, verdict: Verdict, width: usize) -> String {
        self.colour(code(verdict), &format!("{:<width$}", verdict.word()))
    }

    fn colour(self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// The SGR parameters (ECMA-48 §8.3.117) of a verdict's colour: bold red for what somebody must look at.
fn code(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "32",
        Verdict::KnownIssue => "33",
        Verdict::Untestable => "36",
        Verdict::Fail => "1;31",
        Verdict::Broken => "1;35",
    }
}

/// A line with something other than a verdict at its head.
pub(super) fn headed(head: &str, text: &str) -> String {
    format!("{head:>HEAD$}  {text}\n")
}

/// A line below another one, level with its text.
pub(super) fn below(text: &str) -> String {
    headed("", text)
}

/// Text of several lines, each below another line.
pub(super) fn block_below(text: &str) -> String {
    text.lines().map(below).collect()
}

/// How many there are of something.
pub(super) fn count(n: usize, one: &str) -> String {
    format!("{n} {one}{}", if n == 1 { "" } else { "s" })
}

/// Seconds, for people.
pub(super) fn seconds(seconds: f64) -> String {
    if seconds < 120.0 {
        return format!("{seconds:.1}s");
    }
    let minutes = (seconds / 60.0).floor();
    format!("{minutes:.0}m {:02.0}s", (seconds - minutes * 60.0).floor())
}

/// An amount with its unit; bytes in the binary units that QEMU and the kernel count in.
pub(super) fn amount(n: u64, unit: &str) -> String {
    if unit != "B" {
        return format!("{n} {unit}");
    }
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.into_iter().find(|(_, size)| n >= *size) {
        Some((name, size)) => {
            // Tenths, cut off rather than rounded: what is not there yet is not shown as there.
            let tenths = u128::from(n) * 10 / u128::from(size);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
        None => format!("{n} B"),
    }
}

/// How far something is, in whole per cent; none when there is no end to measure by.
pub(super) fn percent(done: u64, total: Option<u64>) -> Option<u64> {
    let total = total.filter(|total| *total > 0)?;
    u64::try_from(u128::from(done.min(total)) * 100 / u128::from(total)).ok()
}

#[cfg(test)]
mod tests {
    use super::{amount, percent, seconds};

    #[test]
    fn amounts_and_times_read_well() {
        assert_eq!(amount(1023, "B"), "1023 B");
        assert_eq!(amount(1536, "B"), "1.5 KiB");
        assert_eq!(amount((1 << 30) - 1, "B"), "1023.9 MiB");
        assert_eq!(amount(7, "files"), "7 files");
        assert_eq!(seconds(8.06), "8.1s");
        assert_eq!(seconds(119.9), "119.9s");
        assert_eq!(seconds(125.9), "2m 05s");
        assert_eq!(percent(1, Some(3)), Some(33));
        assert_eq!(percent(9, Some(3)), Some(100));
        assert_eq!(percent(1, Some(0)), None);
        assert_eq!(percent(1, None), None);
    }
}
