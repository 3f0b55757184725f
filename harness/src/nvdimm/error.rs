// SPDX-License-Identifier: MIT OR Apache-2.0
//! What goes wrong with the NVDIMMs before or beside a case's own steps.

use super::stack::Part;
use guest_agent::address::{DeviceOffset, FileOffset, FsOffset, GuestPhysical};
use guest_agent::call::Refusal;
use guest_agent::victim::Ended;
use machine::guest::agent::CallError;
use testcases::{Bytes, PageSize};

/// What goes wrong with the NVDIMMs before or beside a case's own steps.
#[derive(Debug, thiserror::Error)]
pub enum NvdimmError {
    /// The guest could not be asked.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A tool in the guest failed.
    #[error("`{command}` failed in the guest ({ended}): {said}")]
    Tool {
        /// The command line.
        command: String,
        /// How it ended.
        ended: String,
        /// What it said.
        said: String,
    },
    /// The kernel cannot make the devices that the template wants.
    #[error("this kernel lacks what the template needs: {0}")]
    Lacks(String),
    /// The device of a namespace is not there any more.
    #[error("there is no device {0} any more: it was unbound, or taken away")]
    Gone(String),
    /// A list of bad blocks is cut off.
    #[error("the list of bad blocks of {0} is longer than the kernel shows: sysfs gives a page of it")]
    CutOff(String),
    /// Work for an NVDIMM that is not there.
    #[error("there is work for NVDIMM {0}, counted from 0, and no such NVDIMM")]
    NoNvdimm(usize),
    /// The guest has other NVDIMMs than the machine.
    #[error("the guest should see NVDIMMs of {expected} bytes, in this order, and sees {found}")]
    Regions {
        /// Their sizes in the machine.
        expected: String,
        /// Their sizes in the guest, by rising address.
        found: String,
    },
    /// The namespace did not become fsdax.
    #[error(
        "the namespace of region {region} is held by `{holder}`, not by a pfn device: it is raw, so its pages have no \
         struct page and no memory failure is ever handled (is the NVDIMM's size misaligned, or NVDIMM_PFN missing?)"
    )]
    Raw {
        /// The kernel's number of the region.
        region: u32,
        /// The block device's parent.
        holder: String,
    },
    /// The namespace did not become a character device.
    #[error(
        "the namespace of region {region} should be a DAX device that is mapped by pages of {align}, and there is {found} (is \
         the NVDIMM's size misaligned?)"
    )]
    NoCharacterDevice {
        /// The kernel's number of the region.
        region: u32,
        /// The pages that were wanted.
        align: PageSize,
        /// What there is instead.
        found: String,
    },
    /// The process that was to map a fresh character device died of it.
    #[error("who mapped {path} for the first time, to learn where it lies, ended at once: {ended}")]
    Prover {
        /// The device.
        path: String,
        /// How it ended.
        ended: Ended,
    },
    /// A load has brought no page-table entry.
    #[error("{path} at {offset} was read through a mapping, and /proc/PID/pagemap shows nothing there")]
    NotMapped {
        /// The device.
        path: String,
        /// The byte.
        offset: FileOffset,
    },
    /// A size or place that cannot be read.
    #[error("cannot make sense of {what}: `{text}`")]
    Language {
        /// Of what.
        what: String,
        /// What it says.
        text: String,
    },
    /// The first mount was refused.
    #[error("the fresh filesystem could not be mounted with `{options}`: {} (errno {})", .refusal.what, .refusal.errno)]
    Mount {
        /// The options.
        options: String,
        /// What mount(2) said.
        refusal: Refusal,
    },
    /// The proof of DAX could not be had.
    #[error("cannot tell whether the mount is DAX: {} (errno {})", .0.what, .0.errno)]
    Proof(Refusal),
    /// The two ways to an address disagree.
    #[error(
        "{path} at {offset}: computed to be at {computed}, /proc/self/pagemap says {mapped}; the harness has \
         misunderstood this stack of devices"
    )]
    Disagreement {
        /// The file.
        path: String,
        /// The byte.
        offset: FileOffset,
        /// Computed from FIEMAP, the stack and the resource.
        computed: GuestPhysical,
        /// Read from pagemap.
        mapped: GuestPhysical,
    },
    /// A file's offset cannot be followed down.
    #[error("cannot find the memory of {path} at {offset}: {} (errno {})", .refusal.what, .refusal.errno)]
    Unresolved {
        /// The file.
        path: String,
        /// The byte.
        offset: FileOffset,
        /// What the kernel refused.
        refusal: Refusal,
    },
    /// GETFSMAP was refused.
    #[error("cannot ask who owns which block: {} (errno {})", .0.what, .0.errno)]
    NoSpaceMap(Refusal),
    /// A place beyond the end of a device.
    #[error("offset {at} lies beyond the end of the filesystem's {part}")]
    Beyond {
        /// The device.
        part: Part,
        /// The place.
        at: FsOffset,
    },
    /// A byte of a file that has no block.
    #[error("{}", nowhere(.path, *.offset, *.size))]
    Nowhere {
        /// The file.
        path: String,
        /// The byte.
        offset: Bytes,
        /// The file's size.
        size: Bytes,
    },
    /// A device that this template does not have.
    #[error("this template has no {0}")]
    NoPart(Part),
    /// An NVDIMM that the machine does not have, or a place beyond its end.
    #[error("there is no byte {at} on NVDIMM {nvdimm}")]
    NoByte {
        /// Counted from 0.
        nvdimm: usize,
        /// The place.
        at: DeviceOffset,
    },
}

/// Why a byte of a file lies nowhere, and what to do about it.
fn nowhere(path: &str, offset: Bytes, size: Bytes) -> String {
    if offset >= size {
        format!("{path} ends at {size}, so that nothing lies at {offset}; aim at a byte before its end")
    } else {
        format!(
            "{path} has a hole at {offset}: nothing was written there, or what was has been cut out, so there is no block that could \
             be hit; write there before, or have a victim touch the place first, and aim at what she has there then"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_is_told_from_the_end_of_a_file() {
        let at = |offset, size| {
            NvdimmError::Nowhere {
                path: "/mnt/a".to_owned(),
                offset: Bytes(offset),
                size: Bytes(size),
            }
            .to_string()
        };
        let hole = at(8 << 10, 64 << 10);
        assert!(hole.starts_with("/mnt/a has a hole at 8KiB: "), "{hole}");
        assert!(hole.contains("write there before"), "{hole}");
        let end = at(64 << 10, 64 << 10);
        assert!(end.starts_with("/mnt/a ends at 64KiB, "), "{end}");
    }
}
