// SPDX-License-Identifier: MIT OR Apache-2.0
//! A line of ftrace's text format (`trace_pipe`), parsed.
//!
//! Source: `kernel/trace/trace.c:print_trace_line` with the default options: task name and pid, `[cpu]`, the
//! irq/preempt flags, a time stamp in seconds, the event's name, then the event's own text. Our kprobes print
//! `(function+offset) key=value …`; tracepoints print what their `TP_printk` says.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TraceLine {
    /// The task's name, up to 15 bytes.
    pub task: String,
    /// The task's pid.
    pub pid: i32,
    /// The CPU that recorded it.
    pub cpu: u32,
    /// Seconds on the trace clock.
    pub time: f64,
    /// The event's name, `xfs_dax_notify_failure` or one of our probes'.
    pub event: String,
    /// Everything after the event's name.
    pub text: String,
}

impl TraceLine {
    /// Parses one line; `None` for what is no event (a comment, `CPU:0 [LOST 5 EVENTS]`).
    pub fn parse(line: &str) -> Option<Self> {
        // The task's name may hold anything, a "[0]" too: take the first place from which the rest of the line makes sense.
        line.match_indices(" [")
            .find_map(|(at, _)| Self::split_at_cpu(&line[..at], &line[at + 2..]))
    }

    fn split_at_cpu(head: &str, rest: &str) -> Option<Self> {
        let (cpu, rest) = rest.split_once(']')?;
        let (task, pid) = head.trim().rsplit_once('-')?;
        let (_flags, rest) = rest.trim_start().split_once(' ')?;
        let (time, rest) = rest.trim_start().split_once(':')?;
        let (event, text) = rest.trim_start().split_once(':')?;
        Some(Self {
            task: task.to_owned(),
            pid: pid.trim().parse().ok()?,
            cpu: cpu.parse().ok()?,
            time: time.parse().ok()?,
            event: event.to_owned(),
            text: text.trim().to_owned(),
        })
    }

    /// The `key=value` pairs of the text. A value ends at the next blank.
    pub fn fields(&self) -> BTreeMap<&str, &str> {
        self.text
            .split_whitespace()
            .filter_map(|word| word.split_once('='))
            .collect()
    }

    /// A field as an unsigned number, decimal or `0x…`. `None` when it is absent or no number.
    pub fn unsigned(&self, key: &str) -> Option<u64> {
        let value = self.fields().get(key).copied()?;
        match value.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok(),
            None => value.parse().ok(),
        }
    }

    /// A field as a signed decimal number. `None` when it is absent or no number.
    pub fn signed(&self, key: &str) -> Option<i64> {
        self.fields().get(key).copied()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kprobe_line() {
        let line = "    kworker/0:1-25      [000] .....    12.345678: taster_notify: (xfs_dax_notify_failure+0x4/0x430 [xfs]) offset=4096 len=4096 flags=0x0";
        let parsed = TraceLine::parse(line).unwrap();
        assert_eq!(
            (parsed.task.as_str(), parsed.pid, parsed.cpu),
            ("kworker/0:1", 25, 0)
        );
        assert_eq!(parsed.event, "taster_notify");
        assert_eq!(parsed.unsigned("offset"), Some(4096));
        assert_eq!(parsed.unsigned("flags"), Some(0));
        assert!((parsed.time - 12.345_678).abs() < 1e-9);
    }

    #[test]
    fn a_negative_return_value() {
        let line = " guest-agent-103 [001] d..1. 9.000001: taster_notify_ret: (memory_failure+0x1/0x2 <- xfs_dax_notify_failure) ret=-117";
        assert_eq!(TraceLine::parse(line).unwrap().signed("ret"), Some(-117));
    }

    #[test]
    fn a_task_whose_name_looks_like_a_cpu() {
        let line = " odd [7] name-x-42 [001] ..... 1.5: signal_generate: sig=7 errno=0 code=5 comm=alice pid=9 grp=0 res=0";
        let parsed = TraceLine::parse(line);
        // "[7]" parses as a CPU number first, but what precedes it has no pid: the line is still understood.
        assert_eq!(parsed.map(|line| line.pid), Some(42));
    }

    #[test]
    fn what_is_no_event() {
        assert_eq!(TraceLine::parse("CPU:1 [LOST 12 EVENTS]"), None);
        assert_eq!(TraceLine::parse("# tracer: nop"), None);
        assert_eq!(TraceLine::parse(""), None);
    }
}
