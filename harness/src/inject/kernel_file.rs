// SPDX-License-Identifier: MIT OR Apache-2.0
//! The files of the kernel by which an error is made, and what is written to them.

use crate::nvdimm::Stack;
use crate::places::Page;
use guest_agent::address::{GuestPhysical, PAGE_SIZE};
use guest_agent::call::{SECTOR, WriteKernelFile};
use machine::qemu::mce_bits as bits;
use testcases::{DebugfsFile, MceInject, SysfsFile};

/// One write to a file of /sys/kernel/debug/hwpoison, which takes the number of a page frame (mm/hwpoison-inject.c).
pub(super) fn of_debugfs(file: DebugfsFile, physical: GuestPhysical) -> WriteKernelFile {
    WriteKernelFile {
        path: format!("/sys/kernel/debug/hwpoison/{}", file.as_str()),
        text: format!("{:#x}", physical.pfn()),
    }
}

/// One write to a file of /sys. `None`: the page lies on no block device, which has the list of bad blocks.
pub(super) fn of_sysfs(file: SysfsFile, page: Page, stack: &Stack) -> Option<WriteKernelFile> {
    let memory = |name| WriteKernelFile {
        path: format!("/sys/devices/system/memory/{name}"),
        text: format!("{:#x}", page.physical.0),
    };
    Some(match file {
        // drivers/base/memory.c: hard_offline_page_store, soft_offline_page_store. Any byte of the page will do.
        SysfsFile::HardOfflinePage => memory("hard_offline_page"),
        SysfsFile::SoftOfflinePage => memory("soft_offline_page"),
        // block/badblocks.c, badblocks_store: the first sector, and how many.
        SysfsFile::Badblocks => {
            let (nvdimm, start) = page.nvdimm?;
            let device = &stack.pmems().get(nvdimm)?.device;
            WriteKernelFile {
                path: format!("/sys/block/{device}/badblocks"),
                text: format!("{} {}", start.0 / SECTOR, PAGE_SIZE / SECTOR),
            }
        }
    })
}

/// The writes that have mce-inject hand a record to the decode chain (arch/x86/kernel/cpu/mce/inject.c): of an error as the
/// action-optional machine check has it, or with what makes it another.
///
/// The last one fires. In mode `sw` no exception is raised and there is no severity, so that nobody calls
/// `memory_failure()`; the handlers run in a worker, and the write's success does not say that they have finished.
pub(super) fn of_mce_inject(kind: MceInject, physical: GuestPhysical) -> Vec<WriteKernelFile> {
    let check = machine::qemu::MachineCheck::action_optional(physical.0);
    let (status, misc) = match kind {
        MceInject::Software => (check.status, check.misc),
        MceInject::CacheLine => (
            check.status,
            check.misc & !bits::MISC_LSB | bits::MISC_LSB_CACHE_LINE,
        ),
        MceInject::Corrected => (check.status & !bits::STATUS_UC, check.misc),
        MceInject::UnusableAddress => (check.status, check.misc & !bits::MISC_ADDRESS_MODE),
        MceInject::Bus => (check.status & !bits::MCACOD | bits::MCACOD_BUS, check.misc),
    };
    let files = [
        ("flags", "sw".to_owned()),
        ("cpu", "0".to_owned()),
        ("status", format!("{status:#x}")),
        ("addr", format!("{:#x}", physical.0)),
        ("misc", format!("{misc:#x}")),
        ("bank", check.bank.to_string()),
    ];
    let write = |(name, text)| WriteKernelFile {
        path: format!("/sys/kernel/debug/mce-inject/{name}"),
        text,
    };
    files.map(write).into()
}
