// SPDX-License-Identifier: MIT OR Apache-2.0
//! The description of a virtual machine, and the QEMU argument list that it means.
//!
//! [`Machine::arguments`] is a pure function, so what QEMU is told is tested without QEMU. The machine stays cloneable
//! by its live state: all memory is `memory-backend-file`, and there is no 9p, virtiofs, vhost or disk in it. It has
//! no network device: commands travel over virtio-serial ports.

use std::ffi::OsString;
use std::fmt;
use std::os::fd::RawFd;
use std::path::PathBuf;

use super::device::{MemoryDevice, MemoryKind, memory_backend};
use super::memory::Sharing;
use crate::accel::Accelerator;

/// A size in units of 2^20 bytes, as QEMU's suffix `M` means it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mebibytes(pub u32);

impl Mebibytes {
    /// The size in bytes.
    pub const fn bytes(self) -> u64 {
        (self.0 as u64) << 20
    }
}

impl fmt::Display for Mebibytes {
    /// As QEMU reads it: `768M`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}M", self.0)
    }
}

/// What the guest boots: there is no disk, so kernel and initramfs are all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// A bzImage, or a vmlinux with a PVH note.
    pub kernel: PathBuf,
    /// A cpio archive.
    pub initramfs: PathBuf,
    /// The kernel's command line.
    pub command_line: String,
}

/// The name of a virtio-serial port; in the guest the port is `/dev/virtio-ports/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortName(String);

impl PortName {
    /// Reads a name.
    ///
    /// Fails unless it is 1 to 31 characters of `a-z`, `0-9`, `.` and `-`: it becomes a file name in the guest and
    /// part of a comma-separated QEMU option.
    pub fn new(name: &str) -> Result<Self, MachineError> {
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-';
        let first = name.chars().next();
        if name.len() <= 31 && first.is_some_and(|c| c.is_ascii_lowercase()) && name.chars().all(fits) {
            Ok(Self(name.to_owned()))
        } else {
            Err(MachineError::PortName(name.to_owned()))
        }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PortName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A virtual machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Who executes the guest's instructions.
    pub accelerator: Accelerator,
    /// QEMU's `-cpu`; see [`Machine::CPU_MODEL`].
    pub cpu_model: String,
    /// Number of virtual CPUs, at least 1.
    pub cpus: u8,
    /// Ordinary memory.
    pub memory: Mebibytes,
    /// In the order of their slots, which is that of their addresses. How the guest numbers them is another matter.
    pub devices: Vec<MemoryDevice>,
    /// What it boots.
    pub boot: Boot,
    /// Its virtio-serial ports.
    pub ports: Vec<PortName>,
}

/// Numbers of the open files that QEMU inherits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptors {
    /// Our end's peer for QMP.
    pub qmp: RawFd,
    /// The first serial line.
    pub console: RawFd,
    /// One for each of [`Machine::ports`], in that order.
    pub ports: Vec<RawFd>,
    /// The file behind [`Machine::memory`].
    pub ram: (RawFd, Sharing),
    /// The files behind [`Machine::devices`], in that order.
    pub devices: Vec<(RawFd, Sharing)>,
}

/// How a machine begins its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// With its firmware's first instruction.
    #[default]
    Boot,
    /// Where another machine of the same description was stopped; it waits to be told where that is written.
    Restore,
}

impl Start {
    /// What is added to [`Machine::arguments`].
    pub fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Boot => &[],
            Self::Restore => &["-incoming", "defer"],
        }
    }
}

/// A machine that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MachineError {
    /// Not a name for a port.
    #[error(
        "`{0}` cannot name a virtio-serial port: use 1 to 31 of a-z, 0-9, `.` and `-`, beginning with a letter"
    )]
    PortName(String),
    /// Two ports of one name.
    #[error("two virtio-serial ports are called `{0}`")]
    DuplicatePort(PortName),
    /// More ports than a virtio-serial device has.
    #[error("{0} virtio-serial ports are more than the {max} of one device", max = MAX_PORTS)]
    TooManyPorts(usize),
    /// Nothing to run on.
    #[error("a machine needs at least one CPU and some memory, this one has {cpus} CPUs and {memory}")]
    Empty {
        /// CPUs asked for.
        cpus: u8,
        /// Memory asked for.
        memory: Mebibytes,
    },
    /// More memory devices than slots.
    #[error("{0} memory devices are more than the {max} slots that QEMU offers", max = MAX_SLOTS)]
    TooManyDevices(usize),
    /// A memory device of which the guest could not make an fsdax namespace.
    #[error(
        "{kind} {index} has {size} for the guest, which can use only multiples of {align}, and at least that"
    )]
    Misaligned {
        /// What it is.
        kind: MemoryKind,
        /// Position in [`Machine::devices`].
        index: usize,
        /// Its payload.
        size: Mebibytes,
        /// What the guest can use.
        align: Mebibytes,
    },
}

/// ACPI_MAX_RAM_SLOTS in QEMU's include/hw/acpi/pc-hotplug.h.
const MAX_SLOTS: usize = 256;
/// virtio-serial's default `max_ports` of 31, less port 0, which QEMU keeps for a console.
const MAX_PORTS: usize = 30;
/// Slots and address space for memory devices that every machine has, used or not, so that machines that differ only
/// in their memory devices stay alike.
const SLOTS: usize = 4;
const MAX_MEMORY: Mebibytes = Mebibytes(4096);

impl Machine {
    /// The CPU model to use unless there is a reason not to.
    ///
    /// An *Intel* one, whatever the host is: Linux grades machine checks of AMD CPUs by other rules (arch/x86/kernel/
    /// cpu/mce/severity.c: mce_severity_amd) and panics on the ones that we inject. The vendor is spelt out because
    /// QEMU under KVM takes the host's otherwise (target/i386/cpu.c: x86_cpu_load_model).
    pub const CPU_MODEL: &str = "Skylake-Server,vendor=GenuineIntel";

    /// Whether QEMU can be this machine, and the guest use it.
    pub fn check(&self) -> Result<(), MachineError> {
        if self.cpus == 0 || self.memory.0 == 0 {
            return Err(MachineError::Empty {
                cpus: self.cpus,
                memory: self.memory,
            });
        }
        if self.ports.len() > MAX_PORTS {
            return Err(MachineError::TooManyPorts(self.ports.len()));
        }
        for (index, port) in self.ports.iter().enumerate() {
            if self.ports[..index].contains(port) {
                return Err(MachineError::DuplicatePort(port.clone()));
            }
        }
        if self.devices.len() > MAX_SLOTS {
            return Err(MachineError::TooManyDevices(self.devices.len()));
        }
        for (index, device) in self.devices.iter().enumerate() {
            let (size, align) = (device.size(), device.alignment());
            if size.0 == 0 || size.0 % align.0 != 0 {
                return Err(MachineError::Misaligned {
                    kind: device.kind(),
                    index,
                    size,
                    align,
                });
            }
        }
        Ok(())
    }

    /// All bytes that its memory and its memory devices can come to hold.
    pub fn footprint(&self) -> u64 {
        footprint(self.memory, &self.devices)
    }

    /// QEMU's arguments for this machine, given the files that it inherits.
    pub fn arguments(&self, fds: &Descriptors) -> Vec<OsString> {
        let mut list = ArgumentList::default();
        list.pair("-machine", "q35,nvdimm=on,memory-backend=ram0");
        list.pair(
            "-accel",
            match self.accelerator {
                Accelerator::Kvm => "kvm",
                Accelerator::Tcg => "tcg,thread=multi",
            },
        );
        list.pair("-cpu", &self.cpu_model);
        list.pair("-smp", self.cpus.to_string());
        let slots = self.devices.len().max(SLOTS);
        list.pair(
            "-m",
            format!("{},slots={slots},maxmem={}", self.memory, self.max_memory()),
        );
        list.flag("-nodefaults")
            .flag("-no-user-config")
            .flag("-no-reboot");
        list.pair("-display", "none");

        list.pair("-object", memory_backend("ram0", fds.ram, self.memory));
        for (index, (device, fd)) in self.devices.iter().zip(&fds.devices).enumerate() {
            for (option, value) in device.arguments(index, *fd) {
                list.pair(option, value);
            }
        }

        list.pair("-chardev", format!("socket,id=qmp,fd={}", fds.qmp));
        list.pair("-mon", "chardev=qmp,mode=control");
        list.pair("-chardev", format!("socket,id=console,fd={}", fds.console));
        list.pair("-serial", "chardev:console");
        if !self.ports.is_empty() {
            list.pair("-device", "virtio-serial-pci,id=vs0");
        }
        for (index, (port, fd)) in self.ports.iter().zip(&fds.ports).enumerate() {
            list.pair("-chardev", format!("socket,id=port{index},fd={fd}"));
            list.pair(
                "-device",
                format!("virtserialport,bus=vs0.0,chardev=port{index},name={port}"),
            );
        }

        list.pair("-kernel", &self.boot.kernel);
        list.pair("-initrd", &self.boot.initramfs);
        list.pair("-append", &self.boot.command_line);
        list.0
    }

    /// The end of the memory that can be plugged: whole GiB, with room for every memory device.
    fn max_memory(&self) -> Mebibytes {
        let needed = self.footprint().div_ceil(1 << 30) * 1024;
        Mebibytes(u32::try_from(needed).unwrap_or(u32::MAX)).max(MAX_MEMORY)
    }
}

/// [`Machine::footprint`] of one with this memory and these devices, in bytes.
pub fn footprint(memory: Mebibytes, devices: &[MemoryDevice]) -> u64 {
    let devices = devices.iter().map(|device| device.footprint().bytes());
    memory.bytes() + devices.sum::<u64>()
}

#[derive(Default)]
struct ArgumentList(Vec<OsString>);

impl ArgumentList {
    fn flag(&mut self, name: &str) -> &mut Self {
        self.0.push(name.into());
        self
    }

    fn pair(&mut self, name: &str, value: impl Into<OsString>) {
        self.0.extend([name.into(), value.into()]);
    }
}

#[cfg(test)]
mod tests;
