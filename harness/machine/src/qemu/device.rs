// SPDX-License-Identifier: MIT OR Apache-2.0
//! The memory devices of a machine: all that QEMU is told of one, and all that it means for the host and the guest.

use super::machine::Mebibytes;
use super::memory::Sharing;
use std::fmt;
use std::os::fd::RawFd;

/// A device that gives the guest persistent memory. Another kind is another variant, and the compiler asks for the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryDevice {
    /// An emulated NVDIMM.
    Nvdimm {
        /// Persistent memory that the guest gets, without the label area.
        size: Mebibytes,
        /// The label area, in which namespaces are recorded; zero for an NVDIMM without labels.
        label: Mebibytes,
    },
}

/// What a memory device is, and thereby how the guest's kernel learns of it and of errors in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryKind {
    /// An NVDIMM. The kernel finds it in ACPI's NFIT, and drivers/acpi/nfit/mce.c:nfit_handle_mce hears of its errors.
    Nvdimm,
}

impl fmt::Display for MemoryKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nvdimm => "NVDIMM",
        })
    }
}

impl MemoryDevice {
    /// What it is.
    pub const fn kind(&self) -> MemoryKind {
        match self {
            Self::Nvdimm { .. } => MemoryKind::Nvdimm,
        }
    }

    /// The memory that the guest gets.
    pub const fn size(&self) -> Mebibytes {
        match self {
            Self::Nvdimm { size, .. } => *size,
        }
    }

    /// What the guest can make a namespace of is a multiple of this. For an NVDIMM `ndctl create-namespace` wants regions
    /// aligned to 16 MiB ("align setting is 0x1000000"; observed).
    pub const fn alignment(&self) -> Mebibytes {
        match self {
            Self::Nvdimm { .. } => Mebibytes(16),
        }
    }

    /// What the file behind it must hold. QEMU takes an NVDIMM's label area from the end of the file; adding it on top keeps
    /// the payload aligned, without which the guest cannot make an fsdax namespace of it.
    pub const fn footprint(&self) -> Mebibytes {
        match self {
            Self::Nvdimm { size, label } => Mebibytes(size.0.saturating_add(label.0)),
        }
    }

    /// QEMU's options for it, each with its value. `index` is its place among the memory devices, `file` the open file behind
    /// it.
    pub fn arguments(&self, index: usize, file: (RawFd, Sharing)) -> Vec<(&'static str, String)> {
        match self {
            Self::Nvdimm { label, .. } => {
                let label = match label {
                    Mebibytes(0) => String::new(),
                    size => format!(",label-size={size}"),
                };
                let backend = memory_backend(&format!("nv{index}"), file, self.footprint());
                let device = format!("nvdimm,id=nvd{index},memdev=nv{index}{label}");
                vec![("-object", backend), ("-device", device)]
            }
        }
    }
}

/// A memory backend over an inherited file. QEMU opens the path itself, and `/proc/self/fd/N` leads it to the very file
/// that we opened even when no directory names it (any more).
pub(super) fn memory_backend(id: &str, (fd, sharing): (RawFd, Sharing), size: Mebibytes) -> String {
    let share = match sharing {
        Sharing::Shared => "share=on",
        Sharing::Private => "share=off",
        // `rom=off` keeps the memory writable for the guest (docs/system/vm-templating.rst).
        Sharing::Sealed => "share=off,readonly=on,rom=off",
    };
    format!("memory-backend-file,id={id},{share},mem-path=/proc/self/fd/{fd},size={size}")
}
