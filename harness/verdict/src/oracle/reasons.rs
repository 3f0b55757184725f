// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reasons that stand in no table, because nothing is chosen there.

use super::prediction::Justification;

/// What the kernel does, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reason {
    from: &'static str,
    says: &'static str,
}

impl Reason {
    /// The reason as it applies to `subject`.
    pub(super) fn of(self, subject: impl Into<String>) -> Justification {
        Justification {
            subject: subject.into(),
            from: self.from,
            says: self.says,
        }
    }
}

/// A victim that does not map the lost byte.
pub(super) const NOT_MAPPED: Reason = Reason {
    from: "mm/memory-failure.c:collect_procs_fsdax",
    says: "only those are looked at who map the file where the page is lost",
};

/// A victim that maps it, and has not got the page.
pub(super) const NOT_PRESENT: Reason = Reason {
    from: "mm/memory-failure.c:dev_pagemap_mapping_shift",
    says: "who has not this page in its page table is not put on the list",
};

/// A victim that had it until the injector's own fault.
pub(super) const TAKEN_AWAY: Reason = Reason {
    from: "fs/dax.c:dax_insert_entry",
    says: "a fault on a shared block replaces the file's entry and unmaps what others had of it",
};

/// A victim that consumed an error which `memory_failure()` did not handle.
pub(super) const CONSUMED: Reason = Reason {
    from: "arch/x86/kernel/cpu/mce/core.c:kill_me_maybe",
    says: "who consumed an error that was not handled is stopped by a SIGBUS without an address",
};

/// Page-table entries.
pub(super) const UNMAPPED: Reason = Reason {
    from: "mm/memory-failure.c:unmap_and_kill",
    says: "as soon as anybody is on a file's list, all entries for that page of that file go; those of private copies stay",
};

/// A victim that has another page than the private copy that is lost.
pub(super) const NOT_THE_COPY: Reason = Reason {
    from: "mm/memory-failure.c:collect_procs_anon",
    says: "only those are told who have this very copy in their page table",
};

/// Page-table entries for a private copy.
pub(super) const COPY_UNMAPPED: Reason = Reason {
    from: "mm/rmap.c:try_to_unmap_one",
    says: "every entry for a private copy that is lost becomes one of poisoned memory, whoever is told",
};

/// Badblocks that grow.
pub(super) const RECORDED: Reason = Reason {
    from: "drivers/acpi/nfit/mce.c:nfit_handle_mce",
    says: "an uncorrected error in the memory of an NVDIMM is added to its badblocks",
};

/// Badblocks that were written.
pub(super) const WRITTEN: Reason = Reason {
    from: "block/badblocks.c:badblocks_store",
    says: "what is written to the list stands on it",
};

/// Badblocks that stay.
pub(super) const NOT_RECORDED: Reason = Reason {
    from: "drivers/acpi/nfit/mce.c:nfit_handle_mce",
    says: "only uncorrected machine checks are added to the badblocks; memory_failure() adds none",
};

/// All of them, for the tests of how reasons are written.
#[cfg(test)]
pub(super) const ALL: [(&str, &str); 10] = {
    const fn texts(reason: Reason) -> (&'static str, &'static str) {
        (reason.from, reason.says)
    }
    [
        texts(NOT_MAPPED),
        texts(NOT_PRESENT),
        texts(TAKEN_AWAY),
        texts(CONSUMED),
        texts(UNMAPPED),
        texts(NOT_THE_COPY),
        texts(COPY_UNMAPPED),
        texts(RECORDED),
        texts(WRITTEN),
        texts(NOT_RECORDED),
    ]
};
