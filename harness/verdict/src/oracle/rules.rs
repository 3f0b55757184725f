// SPDX-License-Identifier: MIT OR Apache-2.0
//! The oracle's rules, as tables: the first row that applies is the answer.
//!
//! A memory error goes from table to table. [`ENTRANCE`]: does the mechanism reach `memory_failure()` at all?
//! [`ANSWER`]: what does the filesystem say when it is asked? [`OWNER`]: what is lost with a block of this owner?
//! [`FALLBACK`]: what does mm do alone, when no filesystem takes the error on? [`CHOSEN`]: is this thread one that wants to
//! hear of it? [`DELIVERY`]: and what does the signal do to it? Later [`ACCESS`] tells what becomes of those who use the page.
//!
//! Each row has the kernels for which it is meant, a condition, an answer, the function that it comes from, and its reason.
//! A row says what is *right*. Where a kernel does something else, that is a known issue of the case that shows it,
//! and the reason says so. Rows with a range of kernels are differences that are nobody's mistake.

use super::facts::{Disposition, Entry, Filesystem, InodeKind, MountState, OwnerFacts, Region, Stack};
use super::rule::Kernels::{Any, Before, Since};
use super::rule::Rule;
use super::situation::{
    Access, AccessEnd, Alone, Answer, Asked, Delivery, Entrance, Fallback, Loss, Sent, Urgency, Way, Wish,
};
use guest_agent::call::SpaceOwner;
use guest_agent::victim::KillPolicy;
use nix::errno::Errno;
use testcases::BusCode;
use testcases::DebugfsFile::{CorruptPfn, UnpoisonPfn};
use testcases::MadviseError::{Hwpoison, SoftOffline};
use testcases::Mechanism::{Debugfs, MachineCheck, Madvise, MceInject, Sysfs};
use testcases::Severity::ActionRequired;
use testcases::SysfsFile::{Badblocks, SoftOfflinePage};

/// `[kernels] condition => answer; "function"; "reason";`
macro_rules! table {
    ($($(#[$doc:meta])* $name:ident: $subject:ty => $answer:ty {
        $([$kernels:expr] $when:expr => $then:expr; $from:literal; $says:literal;)*
    })*) => {
        $($(#[$doc])*
        pub const $name: &[Rule<$subject, $answer>] = &[
            $(Rule { kernels: $kernels, when: $when, then: $then, from: $from, says: $says }),*
        ];)*
    };
}

table! {
/// Does the mechanism reach `memory_failure()`?
ENTRANCE: Way => Entrance {
    [Any] |way| way.by == Sysfs(Badblocks) => Entrance::OnlyBadblocks;
        "block/badblocks.c:badblocks_store";
        "a sector written to sysfs is recorded as bad; nobody is told";
    [Any] |way| matches!(way.by, MceInject(_)) && way.is_of_nfit() => Entrance::OnlyBadblocks;
        "arch/x86/kernel/cpu/mce/inject.c:do_inject";
        "the record has no severity, so uc_decode_notifier lets it pass; nfit_handle_mce does not";
    [Any] |way| matches!(way.by, MceInject(_)) => Entrance::Ends(Ok(()));
        "drivers/acpi/nfit/mce.c:nfit_handle_mce";
        "what was corrected, is not the memory's, or names no usable address is nothing to record, and has no severity either";
    [Any] |way| way.is_madvise() && way.entry == Some(Entry::Poisoned) => Entrance::Ends(Err(Errno::EFAULT));
        "mm/memory.c:do_swap_page";
        "what was there was ordinary memory and is poisoned: a fault raises VM_FAULT_HWPOISON, so madvise finds no page";
    [Any] |way| way.fault_may_fail() && way.unwritten && !way.is_shut_down() => Entrance::OrdinaryMemory;
        "fs/dax.c:dax_iomap_pte_fault";
        "where nothing is written yet a read fault maps the zero page (dax_load_hole), and that is what madvise hits";
    [Any] |way| way.fault_may_fail() && (way.bad == Some(true) || way.is_shut_down()) => Entrance::Ends(Err(Errno::EFAULT));
        "mm/madvise.c:madvise_inject_error";
        "madvise faults the page in first, and that fault fails";
    [Any] |way| way.fault_may_fail() && way.bad.is_none() => Entrance::Unknown;
        "mm/madvise.c:madvise_inject_error";
        "madvise faults the page in first, and whether that works depends on badblocks that could not be read";
    [Any] |way| way.is_madvise() && way.on_pmem() && !matches!(way.entry, Some(Entry::Absent | Entry::Here(_)))
        => Entrance::Unknown;
        "mm/madvise.c:madvise_inject_error";
        "the injecting victim has another page there than the one that is said to be hit";
    [Any] |way| way.by == MachineCheck(ActionRequired) && way.on_pmem() && !matches!(way.entry, Some(Entry::Here(_)))
        => Entrance::Unknown;
        "arch/x86/kernel/cpu/mce/core.c:kill_me_maybe";
        "the victim is said to consume a page that it has not got";
    [Any] |way| way.is_gone() && matches!(way.by, Debugfs(_) | Sysfs(SoftOfflinePage))
        => Entrance::Ends(Err(Errno::ENXIO));
        "mm/hwpoison-inject.c:hwpoison_inject";
        "the device was taken away, and its struct pages with it: pfn_valid() says no";
    [Any] |way| way.on_pmem() && matches!(way.by, Madvise(SoftOffline) | Sysfs(SoftOfflinePage))
        => Entrance::Ends(Err(Errno::EIO));
        "mm/memory-failure.c:soft_offline_page";
        "only online pages can be migrated away, and those of a ZONE_DEVICE never are online";
    [Any] |way| way.on_pmem() && way.by == Debugfs(UnpoisonPfn) => Entrance::Ends(Err(Errno::EIO));
        "mm/memory-failure.c:unpoison_memory";
        "only online pages can be unpoisoned";
    [Any] |way| way.on_pmem() && way.by == Debugfs(CorruptPfn) && way.filter => Entrance::Ends(Ok(()));
        "mm/hwpoison-inject.c:hwpoison_inject";
        "with the filter on, a page on no LRU list is passed over in silence, and no DAX page is on one";
    [Any] |way| !way.on_pmem() && (way.filter || matches!(way.by,
            Debugfs(UnpoisonPfn) | Sysfs(SoftOfflinePage) | Madvise(SoftOffline))) => Entrance::OrdinaryMemory;
        "mm/memory-failure.c:soft_offline_page";
        "ordinary memory: XFS is not asked";
    [Any] |way| !way.recovery => Entrance::Panic;
        "mm/memory-failure.c:memory_failure";
        "vm.memory_failure_recovery=0 asks for a panic at the first error";
    [Any] |way| way.is_gone() => Entrance::Ends(Err(Errno::ENXIO));
        "mm/memory-failure.c:memory_failure";
        "the device was taken away, and its struct pages with it: the memory is outside the kernel's control";
    [Before(6, 11)] |way| way.on_copy() && way.by == Madvise(Hwpoison) => Entrance::PrivateCopy(Urgency::Optional);
        "mm/madvise.c:madvise_inject_error";
        "a private copy has nothing behind it, so those who have it are told; madvise does not say that an action is required, so \
         the injector is told like all others, if it wants to be told early";
    [Any] |way| way.on_copy() && matches!(way.by, Madvise(Hwpoison) | MachineCheck(ActionRequired))
        => Entrance::PrivateCopy(Urgency::Required);
        "mm/memory-failure.c:hwpoison_user_mappings";
        "a private copy has nothing behind it, so those who have it are told, and who runs into the error by force";
    [Any] Way::on_copy => Entrance::PrivateCopy(Urgency::Optional);
        "mm/memory-failure.c:collect_procs_anon";
        "a private copy has nothing behind it, so those who have it and want to be told early are told";
    [Any] |way| !way.on_pmem() => Entrance::OrdinaryMemory;
        "mm/memory-failure.c:memory_failure";
        "ordinary memory: XFS is not asked";
    [Any] |_| true => Entrance::MemoryFailure;
        "mm/memory-failure.c:memory_failure_dev_pagemap";
        "the error goes to the driver of the page, pmem, and from there to the holder of the DAX device";
}
}

table! {
/// What does the filesystem say?
ANSWER: Asked => Answer {
    [Any] |asked| asked.region == Region::Reserved => Answer::Refused(Errno::ENXIO);
        "mm/memory-failure.c:memory_failure_dev_pagemap";
        "the namespace's own pages are in nobody's care (pgmap_pfn_valid)";
    [Any] Asked::on_character_device => Answer::Nobody;
        "drivers/dax/device.c:dev_dax_probe";
        "device-dax has no memory_failure operation of its own, and no filesystem to ask";
    [Any] |asked| asked.filesystem == Filesystem::Unmounted => Answer::Nobody;
        "drivers/dax/super.c:dax_holder_notify_failure";
        "without a mount the DAX device has no holder";
    [Any] |asked| asked.mounted(|mounted| mounted.stack == Stack::DeviceMapper) => Answer::Nobody;
        "drivers/md/dm.c:open_table_device";
        "device mapper takes the DAX device without holder operations";
    [Any] |asked| asked.region == Region::Log => Answer::ShutsDown;
        "fs/xfs/xfs_notify_failure.c:xfs_dax_notify_logdev_failure";
        "every page of the log is metadata";
    [Any] |asked| asked.region == Region::BeyondLog => Answer::Refuses(Errno::ENXIO);
        "fs/xfs/xfs_notify_failure.c:xfs_dax_notify_logdev_failure";
        "what lies beyond the log is not the filesystem's (6.1 shuts down: a known issue, mended with fa422b353d21)";
    [Before(6, 14)] Asked::on_realtime => Answer::Unsupported;
        "fs/xfs/xfs_notify_failure.c:xfs_dax_notify_failure";
        "there are no reverse mappings of a realtime device before realtime groups";
    [Before(7, 0)] |asked| asked.is_outside() && !asked.has_rmap() => Answer::Unsupported;
        "fs/xfs/xfs_notify_failure.c:xfs_dax_notify_failure";
        "the rmapbt is looked for before the range";
    [Any] Asked::is_outside => Answer::Refuses(Errno::ENXIO);
        "fs/xfs/xfs_notify_failure.c:xfs_dax_translate_range";
        "what lies outside the partition or beyond the last block is not the filesystem's (6.1 and 6.12 know the device's size, not \
         the filesystem's, and follow a NULL pointer in xfs_alloc_read_agf: a known issue; 6.18 says ENXIO)";
    [Any] |asked| !asked.has_rmap() => Answer::Unsupported;
        "fs/xfs/xfs_notify_failure.c:xfs_dax_notify_failure";
        "without reverse mappings the filesystem cannot tell who owns a block";
    [Any] |asked| asked.mounted(|mounted| mounted.state == MountState::ShutDown) => Answer::Refuses(Errno::EIO);
        "fs/xfs/xfs_trans_buf.c:xfs_trans_read_buf_map";
        "a filesystem that is shut down reads no AGF, so it finds no owners; and EIO stops the fallback too";
    [Any] |asked| !asked.owners_known => Answer::Unknown;
        "fs/xfs/xfs_notify_failure.c:xfs_dax_failure_fn";
        "the filesystem goes by the owners of the block, and nobody could be asked for them";
    [Any] |_| true => Answer::Search;
        "fs/xfs/xfs_notify_failure.c:xfs_dax_notify_dev_failure";
        "the filesystem asks its reverse mappings for every owner of the block; frozen and read-only ones too";
}
}

fn inode_is(owner: &OwnerFacts, kind: InodeKind) -> bool {
    owner.inode.as_ref().and_then(|inode| inode.kind) == Some(kind)
}

table! {
/// What is lost with a block of this owner?
OWNER: OwnerFacts => Loss {
    [Any] |owner| owner.record.extent_map => Loss::Metadata;
        "fs/xfs/xfs_notify_failure.c:xfs_dax_failure_fn";
        "a block of a file's extent map (XFS_RMAP_BMBT_BLOCK)";
    [Any] |owner| owner.record.attribute_fork => Loss::Metadata;
        "fs/xfs/xfs_notify_failure.c:xfs_dax_failure_fn";
        "a block of a file's attributes (XFS_RMAP_ATTR_FORK)";
    [Any] |owner| owner.record.owner == SpaceOwner::Free => Loss::Nothing;
        "fs/xfs/libxfs/xfs_rmap.c:xfs_rmap_query_range";
        "free space has no reverse mapping";
    [Any] |owner| owner.record.owner == SpaceOwner::CowStaging => Loss::Nothing;
        "fs/xfs/xfs_notify_failure.c:xfs_dax_failure_fn";
        "a staging block holds nothing that can be read: no metadata, and no data until it is remapped. The thread of December \
         2020 wants a shutdown for lost metadata, and these are none; kernels shut down";
    [Any] |owner| matches!(owner.record.owner, SpaceOwner::AgHeader | SpaceOwner::Log | SpaceOwner::AgBtree
            | SpaceOwner::InodeBtree | SpaceOwner::InodeChunk | SpaceOwner::RefcountBtree) => Loss::Metadata;
        "fs/xfs/xfs_notify_failure.c:xfs_dax_failure_fn";
        "an owner that is no inode (XFS_RMAP_NON_INODE_OWNER)";
    [Any] |owner| matches!(owner.record.owner, SpaceOwner::Other(_)) => Loss::Unknown;
        "fs/xfs/xfs_fsmap.c:xfs_getfsmap";
        "GETFSMAP gives the block an owner that this oracle does not know";
    [Any] |owner| inode_is(owner, InodeKind::Directory) => Loss::Metadata;
        "fs/xfs/xfs_notify_failure.c:xfs_dax_failure_fn";
        "a directory block has a header, a checksum and a verifier: metadata, though it lies in a data fork (kernels miss it)";
    [Any] |owner| inode_is(owner, InodeKind::Symlink) => Loss::Metadata;
        "fs/xfs/xfs_notify_failure.c:xfs_dax_failure_fn";
        "a remote symlink block has a header, a checksum and a verifier: metadata, though it lies in a data fork (kernels miss it)";
    [Any] |owner| inode_is(owner, InodeKind::Internal) => Loss::Metadata;
        "fs/xfs/xfs_notify_failure.c:xfs_dax_failure_fn";
        "quota and realtime bitmaps are metadata, though they lie in data forks (kernels miss them)";
    [Any] |owner| inode_is(owner, InodeKind::Character) => Loss::Data;
        "mm/memory-failure.c:collect_procs_file";
        "whoever has the page of a character device has it as its data";
    [Any] |owner| !inode_is(owner, InodeKind::Regular) => Loss::Unknown;
        "fs/xfs/xfs_notify_failure.c:xfs_dax_failure_fn";
        "it is not known whether the inode is a file or a directory";
    [Any] |owner| owner.inode.as_ref().is_some_and(|inode| inode.dax == Some(false)) => Loss::Nothing;
        "fs/xfs/xfs_notify_failure.c:xfs_dax_failure_fn";
        "whoever maps a file that is not DAX maps the page cache (6.1 shuts down)";
    [Any] |owner| owner.inode.as_ref().is_some_and(|inode| inode.in_core == Some(false)) => Loss::Nothing;
        "fs/xfs/xfs_icache.c:xfs_iget";
        "an inode that is not in core is mapped by nobody; its data are lost, and whoever reads them is told then";
    [Any] |_| true => Loss::Data;
        "mm/memory-failure.c:mf_dax_kill_procs";
        "file data: for each owner on its own, those who have the page in their page table are collected";
}
}

table! {
/// What does mm do alone?
FALLBACK: Alone => Fallback {
    [Any] |alone| alone.faulted == 0 && alone.doubtful == 0 => Fallback::Busy;
        "fs/dax.c:dax_lock_folio";
        "the page belongs to no file that was faulted in, so nobody can be found";
    [Any] |alone| alone.faulted == 0 => Fallback::Unknown;
        "fs/dax.c:dax_lock_folio";
        "whether an earlier fault has left the page associated with its file cannot be seen";
    [Since(6, 2)] |alone| alone.faulted > 1 => Fallback::Busy;
        "fs/dax.c:dax_associate_entry";
        "a page that was faulted in at several places is counted, not associated with one of its files: nobody can be found, as \
         6.18 and later say (6.12 takes the mark of a shared page for a pointer)";
    [Any] |alone| alone.filter => Fallback::Unknown;
        "mm/memory-failure.c:hwpoison_filter";
        "whether the filter lets the page pass depends on its other files";
    [Before(6, 2)] |alone| alone.faulted > 1 || alone.doubtful > 0 => Fallback::SomeFile;
        "fs/dax.c:dax_associate_entry";
        "a shared page is associated with the file through which it was faulted in last, and that cannot be seen";
    [Before(6, 2)] |_| true => Fallback::OneFile;
        "fs/dax.c:dax_associate_entry";
        "the page knows the one file through which it was faulted in, and those who have it in their page table are collected";
    [Before(6, 15)] |alone| alone.places > 1 && alone.by_injector => Fallback::Busy;
        "fs/dax.c:dax_page_share_get";
        "a fault on a block that the filesystem shares marks its page as shared, though nobody else has faulted it in";
    [Before(6, 15)] |alone| alone.places > 1 => Fallback::Unknown;
        "fs/dax.c:dax_page_share_get";
        "whether the one fault came before the block was shared, or marked its page as shared, cannot be seen";
    [Any] |alone| alone.doubtful > 0 => Fallback::Unknown;
        "fs/dax.c:dax_folio_make_shared";
        "whether an earlier fault through another of its files has made the page a shared one cannot be seen";
    [Any] |_| true => Fallback::OneFile;
        "mm/memory-failure.c:mf_generic_kill_procs";
        "the page knows the one file through which it was faulted in (dax_associate_entry), whoever else owns the block: those who \
         have it in their page table are collected";
}
}

table! {
/// Does this thread want to hear of errors in pages that it has not touched yet? Of a process, the first that does is told.
CHOSEN: Wish => bool {
    [Any] |wish| wish.policy == KillPolicy::Early => true;
        "mm/memory-failure.c:find_early_kill_thread";
        "PF_MCE_PROCESS and PF_MCE_EARLY: PR_MCE_KILL_EARLY";
    [Any] |wish| wish.policy == KillPolicy::Late => false;
        "mm/memory-failure.c:find_early_kill_thread";
        "PF_MCE_PROCESS without PF_MCE_EARLY: PR_MCE_KILL_LATE";
    [Any] |wish| wish.early_kill => true;
        "mm/memory-failure.c:find_early_kill_thread";
        "no policy of its own, and vm.memory_failure_early_kill is on";
    [Any] |_| true => false;
        "mm/memory-failure.c:find_early_kill_thread";
        "no policy of its own, and vm.memory_failure_early_kill is off";
}
}

table! {
/// What does the signal do?
DELIVERY: Sent => Delivery {
    [Any] |sent| sent.forced && (sent.blocked || sent.disposition != Disposition::Handler) => Delivery::Dies;
        "kernel/signal.c:force_sig_info_to_task";
        "a forced signal that is blocked or ignored gets its default action";
    [Any] |sent| sent.forced => Delivery::Once;
        "kernel/signal.c:force_sig_info_to_task";
        "a forced signal is taken up on the way out of the kernel; of several sent before that the first stays";
    [Any] |sent| sent.blocked => Delivery::Pends;
        "kernel/signal.c:sig_ignored";
        "a blocked signal waits, an ignored one too, and what is sent after it is lost";
    [Any] |sent| sent.pending => Delivery::Nothing;
        "kernel/signal.c:legacy_queue";
        "one is pending already";
    [Any] |sent| sent.disposition == Disposition::Ignored => Delivery::Nothing;
        "kernel/signal.c:sig_ignored";
        "SIGBUS is ignored, and this one is not forced";
    [Any] |sent| sent.disposition == Disposition::Default => Delivery::Dies;
        "kernel/signal.c:get_signal";
        "nobody handles SIGBUS";
    [Any] |_| true => Delivery::AtLeastOnce;
        "mm/memory-failure.c:kill_proc";
        "the handler runs; of several sent while one is pending the first stays";
}
}

table! {
/// How does an access to a page end that went bad before?
ACCESS: Access => AccessEnd {
    [Any] |access| access.faults == Some(false) => AccessEnd::Works;
        "arch/x86/mm/fault.c:exc_page_fault";
        "an entry that is there is used, and emulated memory is never really bad";
    [Any] |access| access.shut_down && access.faults == Some(true) => AccessEnd::Raises(BusCode::Adrerr, None);
        "fs/xfs/xfs_iomap.c:xfs_read_iomap_begin";
        "a filesystem that is shut down maps nothing any more";
    [Any] |access| access.shut_down => AccessEnd::Fails(Errno::EIO);
        "fs/xfs/xfs_file.c:xfs_file_read_iter";
        "a filesystem that is shut down does no I/O";
    [Any] |access| !access.bad => AccessEnd::Works;
        "drivers/nvdimm/pmem.c:__pmem_direct_access";
        "only badblocks stand in the way";
    [Before(6, 5)] |access| access.faults == Some(true) => AccessEnd::Raises(BusCode::Adrerr, None);
        "fs/dax.c:dax_iomap_pte_fault";
        "the fault fails like any other (EIO)";
    [Any] |access| access.faults == Some(true) => AccessEnd::Raises(BusCode::MceerrAr, Some(12));
        "arch/x86/mm/fault.c:do_sigbus";
        "the fault fails with EHWPOISON, which becomes VM_FAULT_HWPOISON: the thread is told that it ran into an error in one page, inside \
         a larger extent too";
    [Any] |_| true => AccessEnd::Fails(Errno::EIO);
        "fs/dax.c:dax_mem2blk_err";
        "an error of the medium is EIO to read(2) and to write(2) (kernels say EFAULT to write)";
}
}
