// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reports as kernels print them, and what is made of them.

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
        found[0].matches("dax_fault_iter"),
        "a function of its stack names it"
    );
    assert!(!found[0].report.iter().any(|line| line.contains("all is well")));
}

#[test]
fn a_report_that_is_told_elsewhere_leaves_its_title_and_its_length() {
    let twice = format!("{DAX_WARNING}\n{DAX_WARNING}");
    let one = [
        "[    9.121] ------------[ cut here ]------------",
        "[    9.122] WARNING: CPU: 0 PID: 93 at fs/dax.c:380 dax_insert_entry+0x2ab/0x320",
        "[… 5 lines of its report …]",
        "[    9.128] XFS (pmem0): all is well",
    ];
    assert_eq!(fold(twice.lines()), [one, one].concat());
    // A log that ends in the middle of one.
    let cut = fold(DAX_WARNING.lines().take(4));
    assert_eq!(
        cut.last().map(String::as_str),
        Some("[… 2 lines of its report …]")
    );
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

fn titles(text: &str) -> Vec<(SplatKind, String)> {
    let found = find(text.lines()).into_iter();
    found.map(|splat| (splat.kind, splat.title)).collect()
}

fn kinds(text: &str) -> Vec<SplatKind> {
    titles(text).into_iter().map(|(kind, _)| kind).collect()
}

/// The frames of a stack as xfs_io's swapext leaves it, debian 7.2.
const SWAPEXT: &str = "\
------------[ cut here ]------------
WARNING: mm/truncate.c:76 at truncate_folio_batch_exceptionals+0x262/0x270, CPU#1: xfs_io/214
Modules linked in: xfs nd_pmem
CPU: 1 UID: 0 PID: 214 Comm: xfs_io Not tainted 7.2.0 #1 PREEMPT(full)
RIP: 0010:truncate_folio_batch_exceptionals+0x262/0x270
Code: 0f 0b e9 5f ff ff ff
RAX: 0000000000000001 RBX: ffffc900004f7b50 RCX: 0000000000000000
Call Trace:
 <TASK>
 ? __pfx_dax_lock_entry+0x10/0x10
 truncate_inode_pages_range+0x11e/0x4b0
 ? stray_function+0x5/0x10
 xfs_swap_extents+0x1b7/0x900 [xfs]
 xfs_ioc_swapext+0x12a/0x150 [xfs]
 do_syscall_64+0x82/0x190
RIP: 0033:0x7f0c2dd0
 </TASK>
---[ end trace 0000000000000000 ]---";

#[test]
fn a_function_of_the_stack_names_a_splat() {
    let found = find(SWAPEXT.lines());
    assert_eq!(found.len(), 1);
    let splat = &found[0];
    for named in [
        "xfs_swap_extents",
        "mm/truncate.c",
        "truncate_folio_batch",
        "swapext",
    ] {
        assert!(splat.matches(named), "{named}");
    }
    // Lying on the stack, in every stack, no function, a module, the command that was run.
    for not in [
        "stray_function",
        "do_syscall_64",
        "ffffc900004f7b50",
        "[xfs]",
        "nd_pmem",
        "0x7f0c2dd0",
    ] {
        assert!(!splat.matches(not), "{not}");
    }
}

#[test]
fn the_title_the_place_and_the_calls_are_shown_and_no_register() {
    let found = find(SWAPEXT.lines());
    assert_eq!(
        found[0].shown(),
        [
            "WARNING: mm/truncate.c:76 at truncate_folio_batch_exceptionals+0x262/0x270, CPU#1: xfs_io/214",
            "RIP: 0010:truncate_folio_batch_exceptionals+0x262/0x270",
            "Call Trace:",
            " truncate_inode_pages_range+0x11e/0x4b0",
            " xfs_swap_extents+0x1b7/0x900 [xfs]",
            " xfs_ioc_swapext+0x12a/0x150 [xfs]",
            " do_syscall_64+0x82/0x190",
        ]
    );
    let deep: Vec<String> = (0..40).map(|n| format!(" f{n}+0x1/0x2")).collect();
    let deep = deep.join("\n");
    let found = find(
        format!("BUG: KASAN: use-after-free in f+0x1/0x2\nCall Trace:\n{deep}")
            .lines()
            .collect::<Vec<_>>(),
    );
    let shown = found[0].shown();
    assert_eq!(shown.len(), SHOWN);
    assert_eq!(shown.last().unwrap(), "(23 more lines of it are in kernel.log)");
}

#[test]
fn the_message_of_a_warning_is_a_part_of_it() {
    let found = find(
        "------------[ cut here ]------------\nWARN says this\nWARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2"
            .lines(),
    );
    assert_eq!(found[0].report, ["WARN says this"]);
    assert_eq!(
        titles("------------[ cut here ]------------\nrefcount_t: underflow; use-after-free.\nWARNING: CPU: 0 PID: 1 at lib/refcount.c:28 refcount_warn_saturate+0xba/0x110\n").len(),
        1
    );
    assert_eq!(
        kinds(
            "list_del corruption. prev->next should be x\n------------[ cut here ]------------\nkernel BUG at lib/list_debug.c:56!\nOops: invalid opcode: 0000 [#1] SMP\nCPU: 0\n"
        ),
        [SplatKind::Bug]
    );
    assert_eq!(
        kinds(
            "XFS: Assertion failed: 0, file: fs/xfs/xfs_x.c, line: 1\n------------[ cut here ]------------\nWARNING: CPU: 0 PID: 1 at fs/xfs/xfs_message.c:104 assfail+0x1/0x2\n"
        ),
        [SplatKind::FilesystemAssertion]
    );
    // Something else that was raised just then.
    assert_eq!(
        kinds(
            "list_del corruption. prev->next should be x\n------------[ cut here ]------------\nWARNING: CPU: 1 PID: 1 at fs/dax.c:1 f+0x1/0x2\n"
        ),
        [SplatKind::Bug, SplatKind::Warning]
    );
}

#[test]
fn an_oops_and_what_announced_it_are_one() {
    let head = "\
BUG: kernel NULL pointer dereference, address: 0000000000000008
#PF: supervisor read access in kernel mode
#PF: error_code(0x0000) - not-present page
PGD 0 P4D 0
";
    let body = "\
CPU: 0 UID: 0 PID: 93 Comm: umount Not tainted
RIP: 0010:xfs_dax_notify_failure+0x1/0x2 [xfs]
Call Trace:
 <TASK>
 memory_failure+0x1/0x2
 </TASK>
Modules linked in: xfs
CR2: 0000000000000008
---[ end trace 0000000000000000 ]---
RIP: 0010:xfs_dax_notify_failure+0x1/0x2 [xfs]
";
    let oops = "Oops: Oops: 0000 [#1] PREEMPT SMP NOPTI\n";
    assert_eq!(kinds(&format!("{head}{oops}{body}")), [SplatKind::Bug]);
    assert!(find(format!("{head}{oops}{body}").lines())[0].matches("memory_failure"));
    // Its second one, and one after the registers, are others.
    assert_eq!(
        kinds(&format!("{head}{oops}{oops}{body}")),
        [SplatKind::Bug, SplatKind::Oops]
    );
    assert_eq!(
        kinds(&format!("{head}{oops}CPU: 0\n{oops}{body}")),
        [SplatKind::Bug, SplatKind::Oops]
    );
    assert_eq!(
        kinds(&format!(
            "------------[ cut here ]------------\nkernel BUG at mm/x.c:1!\nOops: invalid opcode: 0000 [#1]\n{body}"
        )),
        [SplatKind::Bug]
    );
    let died = format!(
        "{head}{oops}{body}Kernel panic - not syncing: Fatal exception\nKernel Offset: disabled\n---[ end Kernel panic - not syncing: Fatal exception ]---\n"
    );
    assert_eq!(kinds(&died), [SplatKind::Bug, SplatKind::Panic]);
}

/// While a report is written, another complaint may come: of the same CPU, out of its own report, or of another one.
#[test]
fn a_splat_inside_a_splat_is_seen() {
    let begun = SWAPEXT.split(" <TASK>").next().unwrap();
    for (inside, kind) in [
        (
            "WARNING: CPU: 0 PID: 93 at fs/dax.c:380 dax_insert_entry+0x2ab/0x320",
            SplatKind::Warning,
        ),
        (
            "------------[ cut here ]------------\nWARNING: mm/truncate.c:76 at truncate_folio_batch_exceptionals+0x262/0x270, CPU#0: xfs_io/9",
            SplatKind::Warning,
        ),
        (
            "------------[ cut here ]------------\nkernel BUG at mm/memory-failure.c:1!\nOops: invalid opcode: 0000 [#1] SMP",
            SplatKind::Bug,
        ),
        (
            "BUG: kernel NULL pointer dereference, address: 0\n#PF: x\nOops: 0000 [#1] SMP",
            SplatKind::Bug,
        ),
        (
            "Oops: general protection fault, probably for non-canonical address 0x1: 0000 [#1] SMP",
            SplatKind::Oops,
        ),
        (
            "BUG: KASAN: slab-use-after-free in xfs_x+0x1/0x2",
            SplatKind::Sanitizer,
        ),
        (
            "INFO: task umount:123 blocked for more than 120 seconds.",
            SplatKind::HungTask,
        ),
    ] {
        let text =
            format!("{begun}{inside}\nCPU: 0\n <TASK>\n late+0x1/0x2\n </TASK>\n---[ end trace 0 ]---\n");
        let found = find(text.lines());
        let kinds: Vec<_> = found.iter().map(|splat| splat.kind).collect();
        assert_eq!(kinds, [SplatKind::Warning, kind], "{inside}");
        assert!(found[1].matches("late") && !found[0].matches("late"));
    }
}

#[test]
fn a_report_of_many_parts_is_one_splat() {
    // mm/kasan/report.c
    let kasan = "\
==================================================================
BUG: KASAN: slab-use-after-free in xfs_buf_rele+0x12/0x40 [xfs]
Read of size 8 at addr ffff888101 by task umount/93

CPU: 0 UID: 0 PID: 93 Comm: umount
Call Trace:
 <TASK>
 dump_stack_lvl+0x53/0x70
 xfs_buf_rele+0x12/0x40 [xfs]
 </TASK>

Allocated by task 91:
 kasan_save_stack+0x24/0x50
 xfs_buf_alloc+0x1/0x2 [xfs]

The buggy address belongs to the object at ffff888101
The buggy address belongs to the physical page:
page: refcount:0 mapcount:0 mapping:0 index:0x0 pfn:0x101
page dumped because: kasan: bad access detected

Memory state around the buggy address:
>ffff888101: fa fb fb fb
==================================================================
Disabling lock debugging due to kernel taint
";
    let found = find(kasan.lines());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].matches("xfs_buf_alloc"));
    // kernel/locking/lockdep.c
    let lockdep = "\
======================================================
WARNING: possible circular locking dependency detected
7.2.0 Not tainted
------------------------------------------------------
umount/93 is trying to acquire lock:
ffff888 (&a){+.+.}-{4:4}, at: xfs_a+0x1/0x2
but task is already holding lock:
which lock already depends on the new lock.
-> #1 (&b){+.+.}-{4:4}:
   lock_acquire+0xd1/0x2d0
   xfs_b+0x1/0x2
 Possible unsafe locking scenario:
 *** DEADLOCK ***
2 locks held by umount/93:
stack backtrace:
CPU: 0 UID: 0 PID: 93
Call Trace:
 <TASK>
 xfs_c+0x1/0x2
 </TASK>
XFS (pmem0): Unmounting Filesystem";
    let found = find(lockdep.lines());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].matches("xfs_b") && found[0].matches("xfs_c"));
    assert_eq!(found[0].report.last().unwrap(), " </TASK>");
    let stall = "\
rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
rcu: 	0-...!: (1 GPs behind) idle=1
NMI backtrace for cpu 0
CPU: 0
rcu: rcu_preempt kthread starved for 60000 jiffies! g1 f0x0 RCU_GP_WAIT_FQS(5)";
    assert_eq!(kinds(stall), [SplatKind::Rcu]);
    let hung = "\
INFO: task umount:123 blocked for more than 120 seconds.
Call Trace:
 <TASK>
 rwsem_down_write_slowpath+0x1/0x2
 </TASK>
INFO: task umount:123 <writer> blocked on an rw-semaphore likely owned by task xfs_io:9 <reader>
INFO: task sync:124 blocked for more than 120 seconds.";
    assert_eq!(kinds(hung), [SplatKind::HungTask, SplatKind::HungTask]);
    let internal = "\
XFS (pmem0): Internal error x at line 194 of file fs/xfs/xfs_trans.c.  Caller xfs_free_eofblocks+0x1/0x2 [xfs]
CPU: 0 UID: 0 PID: 93
Call Trace:
 <TASK>
 xfs_trans_cancel+0x1/0x2 [xfs]
 </TASK>
XFS (pmem0): Corruption of in-memory data (0x8) detected";
    let found = find(internal.lines());
    assert_eq!(found.len(), 1);
    assert!(found[0].matches("xfs_trans_cancel"));
    assert_eq!(found[0].report.last().unwrap(), " </TASK>");
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
    assert!(INNOCENT.is_some() && OOPS_HEADS.is_some() && FRAME.is_some() && ANYBODYS.is_some());
}
