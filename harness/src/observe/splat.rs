// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernel splats: complaints of the kernel about itself. None of them may go unnoticed, whatever a case is about.

use regex::Regex;
use serde::{Deserialize, Serialize};
use std::sync::LazyLock;

/// What kind of complaint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplatKind {
    /// `WARN_ON` and friends (`kernel/panic.c:__warn`).
    Warning,
    /// `BUG:` lines: a NULL dereference, a paging request, bad page state, sleeping in atomic context, …
    Bug,
    /// An oops or a general protection fault (`arch/x86/kernel/dumpstack.c`).
    Oops,
    /// `Kernel panic - not syncing`.
    Panic,
    /// KASAN, KCSAN, KFENCE, KMSAN, UBSAN.
    Sanitizer,
    /// Lock dependency and locking rule reports (`kernel/locking/lockdep.c`).
    Lockdep,
    /// RCU stalls and suspicious RCU usage.
    Rcu,
    /// Hung tasks (`kernel/hung_task.c`).
    HungTask,
    /// Soft and hard lockups, stalled workqueues (`kernel/watchdog.c`, `kernel/workqueue.c`).
    Lockup,
    /// Assertions of XFS itself, which do not go through WARN or BUG.
    FilesystemAssertion,
}

/// One complaint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Splat {
    /// Its kind.
    pub kind: SplatKind,
    /// The line that begins it.
    pub title: String,
    /// The lines that follow, up to the end of its report or [`REPORT_LINES`]. A known issue's signature is looked
    /// for in the title and, for kernels that name the place only below it, in the line that holds `RIP:`.
    pub report: Vec<String>,
}

/// Lines kept of one report.
pub const REPORT_LINES: usize = 60;

static FAMILIES: LazyLock<Vec<(SplatKind, Regex)>> = LazyLock::new(|| {
    // The order matters: the first family that matches names the splat.
    [
        (SplatKind::Panic, r"Kernel panic - not syncing"),
        (SplatKind::Sanitizer, r"BUG: (KASAN|KCSAN|KFENCE|KMSAN)|UBSAN: "),
        (SplatKind::Lockup, r"BUG: (soft lockup|workqueue lockup)|hard LOCKUP|watchdog: BUG"),
        (
            SplatKind::Lockdep,
            r"WARNING: (possible (circular|recursive|irq)|bad unlock balance|inconsistent lock state|held lock freed|Nested lock|lock held when returning|.*possible deadlock)|possible recursive locking detected|DEBUG_LOCKS_WARN_ON|INFO: possible|BUG: (MAX_LOCK|Invalid wait context)|\[ BUG: ",
        ),
        (SplatKind::Rcu, r"WARNING: suspicious RCU usage|rcu.*(detected stalls|self-detected stall|stall on CPU|kthread starved)"),
        (SplatKind::Warning, r"WARNING: "),
        (SplatKind::Bug, r"BUG: |kernel BUG at |BUG at "),
        (
            SplatKind::Oops,
            r"Oops: |Oops\[|general protection fault|Unable to handle kernel|stack segment: |invalid opcode: |double fault: |divide error: |stack-protector: |Internal error: ",
        ),
        (SplatKind::HungTask, r"INFO: task .* blocked for more than|INFO: task .* blocked on"),
        (SplatKind::FilesystemAssertion, r"XFS( \(\w+\))?: Assertion failed|XFS \(\w+\): Internal error "),
        (SplatKind::Bug, r"list_(add|del) corruption|refcount_t: |kmem_cache_destroy .*: Slab cache still has objects|sleeping function called from invalid context|scheduling while atomic|Bad page (state|map)|bad page: "),
    ]
    .into_iter()
    .map(|(kind, pattern)| (kind, Regex::new(pattern)))
    .filter_map(|(kind, regex)| Some((kind, regex.ok()?)))
    .collect()
});

/// Lines that look like a splat and are none.
static INNOCENT: LazyLock<Option<Regex>> = LazyLock::new(|| {
    // A message of user space, and the kernel's own remarks that only contain the word.
    Regex::new(r"^\S+\[\d+\]: |EXPERIMENTAL|WARNING: (cpu_ops|Spectre)|Speculative Return Stack Overflow: WARNING|MDS CPU bug|TAA: Vulnerable").ok()
});

/// All splats in the log's lines, in order. Lines inside a report (between its title and its `end trace`) do not
/// count again.
pub fn find<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<Splat> {
    let mut found: Vec<Splat> = Vec::new();
    let mut open = false;
    for line in lines {
        let line = strip_stamp(line);
        match found.last_mut() {
            Some(splat) if open => {
                if splat.report.len() < REPORT_LINES {
                    splat.report.push(line.to_owned());
                }
                open = !ends_report(line) && splat.report.len() < REPORT_LINES;
                // A panic is news even inside another report; everything else there belongs to it.
                if kind_of(line) == Some(SplatKind::Panic) {
                    found.push(Splat {
                        kind: SplatKind::Panic,
                        title: line.to_owned(),
                        report: Vec::new(),
                    });
                    open = true;
                }
            }
            _ => {
                if let Some(kind) = kind_of(line) {
                    found.push(Splat {
                        kind,
                        title: line.to_owned(),
                        report: Vec::new(),
                    });
                    open = has_report(kind);
                }
            }
        }
    }
    found
}

fn kind_of(line: &str) -> Option<SplatKind> {
    if INNOCENT.as_ref().is_some_and(|innocent| innocent.is_match(line)) {
        return None;
    }
    FAMILIES
        .iter()
        .find(|(_, family)| family.is_match(line))
        .map(|&(kind, _)| kind)
}

fn has_report(kind: SplatKind) -> bool {
    matches!(
        kind,
        SplatKind::Warning | SplatKind::Bug | SplatKind::Oops | SplatKind::Sanitizer | SplatKind::Lockdep
    )
}

fn ends_report(line: &str) -> bool {
    line.contains("---[ end trace") || line.starts_with("==================")
}

/// A console's time stamp, `[    1.234567] `, is no part of a message.
fn strip_stamp(line: &str) -> &str {
    line.strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
        .filter(|(stamp, _)| stamp.trim().chars().all(|c| c.is_ascii_digit() || c == '.'))
        .map_or(line, |(_, text)| text)
}

impl Splat {
    /// Does the signature of a known issue name this splat?
    pub fn matches(&self, signature: &str) -> bool {
        self.title.contains(signature)
            || self
                .report
                .iter()
                .any(|line| line.contains("RIP: ") && line.contains(signature))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAX_WARNING: &str = "\
[    9.121] ------------[ cut here ]------------
[    9.122] WARNING: CPU: 0 PID: 93 at fs/dax.c:380 dax_insert_entry+0x2ab/0x320
[    9.123] Modules linked in: xfs nd_pmem
[    9.124] RIP: 0010:dax_insert_entry+0x2ab/0x320
[    9.125] Call Trace:
[    9.126]  dax_fault_iter+0x2b2/0x6b0
[    9.127] ---[ end trace 0000000000000000 ]---
[    9.128] XFS (pmem0): all is well";

    #[test]
    fn a_warning_is_one_splat_with_its_place() {
        let found = find(DAX_WARNING.lines());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].kind, SplatKind::Warning);
        assert_eq!(
            found[0].title,
            "WARNING: CPU: 0 PID: 93 at fs/dax.c:380 dax_insert_entry+0x2ab/0x320"
        );
        assert!(found[0].matches("dax_insert_entry"));
        assert!(
            !found[0].matches("dax_fault_iter"),
            "the call trace is no signature"
        );
        assert!(!found[0].report.iter().any(|line| line.contains("all is well")));
    }

    #[test]
    fn a_warning_whose_title_names_no_function() {
        let text = "WARNING: fs/dax.c:452 at 0x0, CPU#1: xfs_io/77\nRIP: 0010:dax_disassociate_entry+0x1/0x2\n---[ end trace 0 ]---";
        assert!(find(text.lines())[0].matches("dax_disassociate_entry"));
    }

    #[test]
    fn every_family_is_noticed() {
        for (line, kind) in [
            (
                "BUG: kernel NULL pointer dereference, address: 0000000000000001",
                SplatKind::Bug,
            ),
            ("Oops: 0000 [#1] PREEMPT SMP NOPTI", SplatKind::Oops),
            (
                "general protection fault, probably for non-canonical address 0x1: 0000 [#1]",
                SplatKind::Oops,
            ),
            (
                "Kernel panic - not syncing: Fatal local machine check",
                SplatKind::Panic,
            ),
            (
                "BUG: KASAN: slab-use-after-free in xfs_x+0x1/0x2",
                SplatKind::Sanitizer,
            ),
            (
                "UBSAN: array-index-out-of-bounds in fs/dax.c:1:2",
                SplatKind::Sanitizer,
            ),
            (
                "WARNING: possible circular locking dependency detected",
                SplatKind::Lockdep,
            ),
            ("WARNING: suspicious RCU usage", SplatKind::Rcu),
            (
                "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
                SplatKind::Rcu,
            ),
            ("rcu: INFO: rcu_sched self-detected stall on CPU", SplatKind::Rcu),
            (
                "INFO: task umount:123 blocked for more than 120 seconds.",
                SplatKind::HungTask,
            ),
            (
                "watchdog: BUG: soft lockup - CPU#0 stuck for 26s! [umount:9]",
                SplatKind::Lockup,
            ),
            ("BUG: workqueue lockup - pool cpus=0", SplatKind::Lockup),
            (
                "BUG: sleeping function called from invalid context at mm/x.c:1",
                SplatKind::Bug,
            ),
            ("kernel BUG at mm/memory-failure.c:1!", SplatKind::Bug),
            (
                "XFS: Assertion failed: 0, file: fs/xfs/xfs_x.c, line: 1",
                SplatKind::FilesystemAssertion,
            ),
            (
                "XFS (pmem0): Internal error atomic_read(&pag->pag_ref) != 0 at line 194 of file fs/xfs/libxfs/xfs_ag.c.",
                SplatKind::FilesystemAssertion,
            ),
            ("list_del corruption. prev->next should be x", SplatKind::Bug),
            ("refcount_t: underflow; use-after-free.", SplatKind::Bug),
        ] {
            let found = find([line]);
            assert_eq!(found.first().map(|splat| splat.kind), Some(kind), "{line}");
        }
    }

    #[test]
    fn what_belongs_to_a_memory_error_is_no_splat() {
        let lines = [
            "Memory failure: 0x101202: Sending SIGBUS to alice:91 due to hardware memory corruption",
            "Memory failure: 0x101202: recovery action for dax page: Recovered",
            "mce: [Hardware Error]: Machine check events logged",
            "Disabling lock debugging due to kernel taint",
            "XFS (pmem0): Corruption of on-disk metadata (0x10) detected at xfs_dax_notify_failure+0x3d7/0x430 [xfs] (fs/xfs/xfs_notify_failure.c:169).  Shutting down filesystem.",
            "XFS (pmem0): DAX enabled. Warning: EXPERIMENTAL, use at your own risk",
            "nd_pmem namespace0.0: unable to guarantee persistence of writes",
        ];
        assert_eq!(find(lines), []);
    }

    #[test]
    fn a_panic_inside_an_oops_is_told_too() {
        let text = "BUG: kernel NULL pointer dereference, address: 0\nOops: 0000 [#1]\nKernel panic - not syncing: Fatal exception";
        let kinds: Vec<_> = find(text.lines()).into_iter().map(|splat| splat.kind).collect();
        assert_eq!(kinds, [SplatKind::Bug, SplatKind::Panic]);
    }

    #[test]
    fn all_patterns_compile() {
        assert_eq!(FAMILIES.len(), 11);
        assert!(INNOCENT.is_some());
    }
}
