// SPDX-License-Identifier: MIT OR Apache-2.0
//! The trace events that a case can ask for, and what each of them tells.

/// A trace event that is traced while a case runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TracedEvent {
    /// Its name, without its system.
    pub name: &'static str,
    /// The names under which its text gives values: those that all supported kernels print.
    pub fields: &'static [&'static str],
}

impl TracedEvent {
    /// All of them: tracepoints as their `TP_printk` prints them, then probes of the harness's own.
    pub const ALL: &'static [Self] = &[
        // include/ras/ras_event.h, since 7.0 include/trace/events/memory-failure.h
        Self::new("memory_failure_event", &["pfn"]),
        // include/trace/events/mce.h
        Self::new("mce_record", &["CPU", "IPID", "RIP", "TSC", "APIC"]),
        // fs/xfs/xfs_trace.h
        Self::new(
            "xfs_force_shutdown",
            &["dev", "ptag", "flags", "fname", "line_num"],
        ),
        // include/trace/events/fs_dax.h
        Self::new(
            "dax_pmd_fault_done",
            &[
                "dev",
                "ino",
                "address",
                "vm_start",
                "vm_end",
                "pgoff",
                "max_pgoff",
            ],
        ),
        Self::new("dax_pte_fault_done", &["dev", "ino", "address", "pgoff"]),
        // include/trace/events/signal.h
        Self::new(
            "signal_generate",
            &["sig", "errno", "code", "comm", "pid", "grp", "res"],
        ),
        Self::new("taster_notify", &["offset", "len", "flags"]),
        Self::new("taster_notify_ret", &["ret"]),
        Self::new("taster_kill", &["index", "count", "flags"]),
        Self::new("taster_kill_ret", &["ret"]),
        Self::new("taster_generic", &["pfn", "flags"]),
        Self::new("taster_generic_ret", &["ret"]),
        Self::new("taster_mf", &["pfn", "flags"]),
        Self::new("taster_mf_ret", &["ret"]),
        Self::new("taster_nfit", &["addr"]),
        Self::new("taster_nfit_ret", &["ret"]),
    ];

    const fn new(name: &'static str, fields: &'static [&'static str]) -> Self {
        Self { name, fields }
    }

    /// The event of this name, if it is traced.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|event| event.name == name)
    }
}
