// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is traced in the guest, and what the trace says.
//!
//! The arguments are read from the registers of the x86-64 calling convention at function entry; the prototypes are
//! those of `fs/xfs/xfs_notify_failure.c`, `mm/memory-failure.c` and `drivers/acpi/nfit/mce.c`, unchanged from 6.1
//! to 7.2 as far as the arguments used here go.

use guest_agent::address::DeviceOffset;
use guest_agent::call::{StartTrace, TraceEvent};
use guest_agent::trace::TraceLine;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The last notifier that handles a machine check on an NVDIMM: `nfit_handle_mce` has a lower priority in the decode
/// chain than `uc_decode_notifier`, which calls `memory_failure()`; so its return proves that both have finished.
pub const HANDLED_ENTER: &str = "taster_nfit";
/// Its return.
pub const HANDLED_LEAVE: &str = "taster_nfit_ret";

const NOTIFY: &str = "taster_notify";
const NOTIFY_RETURN: &str = "taster_notify_ret";
const SHUTDOWN: &str = "xfs_force_shutdown";
const SIGNAL: &str = "signal_generate";
const MEMORY_FAILURE: &str = "memory_failure_event";

/// Everything that every case traces.
pub fn request() -> StartTrace {
    let kprobes = [
        // int xfs_dax_notify_failure(struct dax_device *, u64 offset, u64 len, int mf_flags)
        format!("p:{NOTIFY} xfs_dax_notify_failure offset=%si:u64 len=%dx:u64 flags=%cx:x32"),
        format!("r:{NOTIFY_RETURN} xfs_dax_notify_failure ret=$retval:s32"),
        // int mf_dax_kill_procs(struct address_space *, pgoff_t index, unsigned long count, int mf_flags)
        "p:taster_kill mf_dax_kill_procs index=%si:u64 count=%dx:u64 flags=%cx:x32".to_owned(),
        "r:taster_kill_ret mf_dax_kill_procs ret=$retval:s32".to_owned(),
        // int mf_generic_kill_procs(unsigned long long pfn, int flags, struct dev_pagemap *): inlined in some kernels
        "p:taster_generic mf_generic_kill_procs pfn=%di:x64 flags=%si:x32".to_owned(),
        "r:taster_generic_ret mf_generic_kill_procs ret=$retval:s32".to_owned(),
        // int memory_failure(unsigned long pfn, int flags)
        "p:taster_mf memory_failure pfn=%di:x64 flags=%si:x32".to_owned(),
        "r:taster_mf_ret memory_failure ret=$retval:s32".to_owned(),
        // int nfit_handle_mce(struct notifier_block *, unsigned long, void *data): data is a struct mce, whose third
        // member is addr (arch/x86/include/uapi/asm/mce.h)
        format!("p:{HANDLED_ENTER} nfit_handle_mce addr=+16(%dx):x64"),
        format!("r:{HANDLED_LEAVE} nfit_handle_mce ret=$retval:x32"),
    ];
    let event = |name: &str, filter: Option<&str>| TraceEvent {
        name: name.to_owned(),
        filter: filter.map(str::to_owned),
    };
    StartTrace {
        kprobes: kprobes.into(),
        events: vec![
            event("ras/memory_failure_event", None),
            event("mce/mce_record", None),
            event("xfs/xfs_force_shutdown", None),
            // How much each fault of a DAX mapping brought: where PAGEMAP_SCAN is not there, nothing else tells.
            event("fs_dax/dax_pmd_fault_done", None),
            event("fs_dax/dax_pte_fault_done", None),
            // SIGBUS to anybody, and SIGKILL by the kernel itself (SI_KERNEL): who died besides our victims.
            event(
                "signal/signal_generate",
                Some("sig == 7 || (sig == 9 && code == 128)"),
            ),
        ],
    }
}

/// The names of all events that [`request`] asks for.
pub fn traced_events() -> Vec<String> {
    let request = request();
    let probes = request.kprobes.iter().filter_map(|probe| {
        // "p:NAME FUNCTION …", "r:NAME FUNCTION …"
        let (_, rest) = probe.split_once(':')?;
        rest.split_whitespace().next().map(str::to_owned)
    });
    let events = request
        .events
        .iter()
        .filter_map(|event| event.name.split_once('/').map(|(_, name)| name.to_owned()));
    probes.chain(events).collect()
}

/// Which of the answers that cases ask for cannot be had in this guest: the reasons, from the probes that could not
/// be attached.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Blind {
    /// No way to see what `xfs_dax_notify_failure` did.
    pub notify_failure: Option<String>,
    /// No proof that a machine check has been handled.
    pub handled: Option<String>,
    /// No record of who is signalled.
    pub signals: Option<String>,
    /// Everything that could not be attached, each with the reason.
    pub unavailable: Vec<String>,
}

impl Blind {
    /// Reads the list of what could not be attached.
    pub fn from_unavailable(unavailable: &[String]) -> Self {
        let about = |what: &str| unavailable.iter().find(|line| line.contains(what)).cloned();
        Self {
            notify_failure: about("xfs_dax_notify_failure"),
            handled: about("nfit_handle_mce"),
            signals: about("signal_generate"),
            unavailable: unavailable.to_vec(),
        }
    }

    /// Why an event of this name cannot be traced, if it cannot.
    pub fn of_event(&self, name: &str) -> Option<&str> {
        let names = |line: &&String| line.split([':', '/', ' ']).any(|word| word == name);
        self.unavailable.iter().find(names).map(String::as_str)
    }
}

/// One call of `xfs_dax_notify_failure`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifyCall {
    /// The first byte that went bad, on the dax device.
    pub offset: DeviceOffset,
    /// Bytes.
    pub length: u64,
    /// `MF_*` flags, `include/linux/mm.h`.
    pub flags: u32,
    /// What it returned; `None` if it has not.
    pub returned: Option<i32>,
}

/// All calls in a piece of trace. A return belongs to the latest open call of the same task.
pub fn notify_calls(trace: &[TraceLine]) -> Vec<NotifyCall> {
    let mut calls: Vec<(i32, NotifyCall)> = Vec::new();
    for line in trace {
        if line.event == NOTIFY {
            let field = |key| line.unsigned(key).unwrap_or_default();
            let call = NotifyCall {
                offset: DeviceOffset(field("offset")),
                length: field("len"),
                flags: u32::try_from(field("flags")).unwrap_or(u32::MAX),
                returned: None,
            };
            calls.push((line.pid, call));
        } else if line.event == NOTIFY_RETURN {
            let open = calls
                .iter_mut()
                .rev()
                .find(|(pid, call)| *pid == line.pid && call.returned.is_none());
            if let (Some((_, call)), Some(value)) = (open, line.signed("ret")) {
                call.returned = i32::try_from(value).ok();
            }
        }
    }
    calls.into_iter().map(|(_, call)| call).collect()
}

/// A signal that the kernel generated for some task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// 7 for SIGBUS, 9 for SIGKILL.
    pub number: i32,
    /// `si_code`.
    pub code: i32,
    /// The task's name.
    pub task: String,
    /// The task's pid.
    pub pid: i32,
}

/// Every signal in a piece of trace.
pub fn signals_sent(trace: &[TraceLine]) -> Vec<Sent> {
    let lines = signals_in_lines(trace, 0).into_iter();
    lines.map(|(_, sent)| sent).collect()
}

/// Every signal in a piece of trace, with the number of its line; `first` is that of the piece's first.
pub fn signals_in_lines(trace: &[TraceLine], first: usize) -> Vec<(usize, Sent)> {
    // include/trace/events/signal.h: "sig=%d errno=%d code=%d comm=%s pid=%d grp=%d res=%d"
    let number = |line: &TraceLine, key| line.signed(key).and_then(|value| i32::try_from(value).ok());
    trace
        .iter()
        .zip(first..)
        .filter(|(line, _)| line.event == SIGNAL)
        .filter_map(|(line, index)| {
            let sent = Sent {
                number: number(line, "sig")?,
                code: number(line, "code")?,
                task: line.fields().get("comm").copied().unwrap_or_default().to_owned(),
                pid: number(line, "pid")?,
            };
            Some((index, sent))
        })
        .collect()
}

/// The text of every `memory_failure_event` in a piece of trace.
pub fn memory_failure_events(trace: &[TraceLine]) -> Vec<String> {
    // include/ras/ras_event.h, from 7.0 on include/trace/events/memory-failure.h: "pfn %#lx: recovery action for %s: %s"
    let events = trace.iter().filter(|line| line.event == MEMORY_FAILURE);
    events.map(|line| line.text.clone()).collect()
}

/// The `SHUTDOWN_*` flags of the first shutdown in a piece of trace.
pub fn first_shutdown(trace: &[TraceLine]) -> Option<ShutdownFlags> {
    // fs/xfs/xfs_trace.h: "dev %d:%d ptag 0x%x flags %s fname %s line_num %d"
    let line = trace.iter().find(|line| line.event == SHUTDOWN)?;
    let words = line
        .text
        .split_whitespace()
        .skip_while(|word| *word != "flags")
        .nth(1)?;
    words
        .split('|')
        .map(shutdown_flag)
        .try_fold(0, |all, flag| Some(all | flag?))
        .map(ShutdownFlags)
}

/// Kernels name the flags that their table knows and print the others as a number.
fn shutdown_flag(word: &str) -> Option<u32> {
    if let Some(hex) = word.strip_prefix("0x") {
        return u32::from_str_radix(hex, 16).ok();
    }
    ShutdownFlags::NAMES
        .iter()
        .find(|(_, name)| *name == word)
        .map(|&(flag, _)| flag)
}

/// Why a filesystem shut down: the bits of `fs/xfs/xfs_mount.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ShutdownFlags(pub u32);

impl ShutdownFlags {
    /// `SHUTDOWN_*` and `XFS_SHUTDOWN_STRINGS`.
    const NAMES: [(u32, &str); 6] = [
        (1, "metadata_io"),
        (2, "log_io"),
        (4, "force_umount"),
        (8, "corrupt_incore"),
        (16, "corrupt_ondisk"),
        (32, "device_removed"),
    ];
}

impl fmt::Display for ShutdownFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = Self::NAMES
            .iter()
            .filter(|(flag, _)| self.0 & flag != 0)
            .map(|&(_, name)| name)
            .collect();
        write!(f, "{} ({:#x})", names.join("|"), self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(text: &str) -> Vec<TraceLine> {
        text.lines().filter_map(TraceLine::parse).collect()
    }

    #[test]
    fn calls_are_paired_by_task() {
        let calls = notify_calls(&trace(
            "  kworker/0:1-25 [000] ..... 1.0: taster_notify: (xfs_dax_notify_failure+0x4/0x430 [xfs]) offset=4096 len=4096 flags=0x0\n\
             cat-77 [001] ..... 1.1: taster_notify: (xfs_dax_notify_failure+0x4/0x430 [xfs]) offset=0 len=4096 flags=0x8\n\
             kworker/0:1-25 [000] ..... 1.2: taster_notify_ret: (a+0x1/0x2 <- xfs_dax_notify_failure) ret=0\n\
             other-99 [000] ..... 1.3: taster_notify_ret: (a+0x1/0x2 <- xfs_dax_notify_failure) ret=-5\n\
             cat-77 [001] ..... 1.4: taster_notify_ret: (a+0x1/0x2 <- xfs_dax_notify_failure) ret=-117",
        ));
        let seen: Vec<_> = calls.iter().map(|call| (call.offset.0, call.returned)).collect();
        assert_eq!(seen, [(4096, Some(0)), (0, Some(-117))]);
    }

    #[test]
    fn signals_and_shutdowns() {
        let trace = trace(
            "kworker/0:1-25 [000] d..1. 1.0: signal_generate: sig=7 errno=0 code=5 comm=alice pid=91 grp=0 res=0\n\
             agent-88 [000] ..... 1.1: xfs_force_shutdown: dev 259:0 ptag 0x0 flags corrupt_ondisk fname fs/xfs/x.c line_num 1",
        );
        assert_eq!(
            signals_sent(&trace),
            [Sent {
                number: 7,
                code: 5,
                task: "alice".into(),
                pid: 91
            }]
        );
        assert_eq!(first_shutdown(&trace), Some(ShutdownFlags(16)));
        let old = TraceLine::parse(
            "a-1 [0] d 1.0: xfs_force_shutdown: dev 259:0 ptag 0x0 flags log_io|0x10 fname x line_num 1",
        );
        let flags = first_shutdown(&[old.unwrap()]).unwrap();
        assert_eq!(
            (flags.0, flags.to_string().as_str()),
            (18, "log_io|corrupt_ondisk (0x12)")
        );
    }

    /// What cases may ask for is what is traced: the checker of cases has the list, and refuses all else.
    #[test]
    fn cases_know_what_is_traced() {
        let known: Vec<&str> = testcases::TracedEvent::ALL
            .iter()
            .map(|event| event.name)
            .collect();
        let mut traced = traced_events();
        traced.sort_unstable();
        let mut sorted = known.clone();
        sorted.sort_unstable();
        assert_eq!(traced, sorted);
        for probe in request().kprobes {
            let mut words = probe.split([' ', ':']);
            let name = words.nth(1).unwrap();
            let fields: Vec<&str> = words
                .filter_map(|word| word.split_once('=').map(|(field, _)| field))
                .collect();
            let event = testcases::TracedEvent::of_name(name).unwrap();
            assert_eq!(event.fields, fields, "{name}");
        }
    }

    #[test]
    fn what_cannot_be_seen_is_known() {
        let blind = Blind::from_unavailable(&["r:taster_nfit_ret nfit_handle_mce ret: No such file".into()]);
        assert!(blind.handled.is_some() && blind.notify_failure.is_none());
    }
}
