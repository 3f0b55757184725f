// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an uncompressed kernel image says of itself.

use std::fs::File;
use std::path::Path;

use object::elf::{EM_386, EM_AARCH64, EM_ARM, EM_PPC64, EM_RISCV, EM_S390, EM_X86_64, NoteType};
use object::read::elf::{ElfFile64, FileHeader as _, ProgramHeader as _};
use object::{Endianness, Object as _, ObjectSection as _, ReadCache};

use super::config::find;

/// The note by which a kernel tells a virtual machine monitor where to enter it without a boot loader
/// (XEN_ELFNOTE_PHYS32_ENTRY, include/xen/interface/elfnote.h; written by arch/x86/platform/pvh/head.S).
const PVH_ENTRY: NoteType = NoteType(18);

/// An uncompressed kernel, looked into without reading all of it (with debug information it can be huge).
pub(super) struct Vmlinux {
    /// Whether QEMU can enter it directly.
    pub(super) pvh: bool,
    /// Its read-only data, where the banner and the embedded configuration are.
    pub(super) rodata: Vec<u8>,
}

impl Vmlinux {
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        Self::parse(&ReadCache::new(file))
    }

    fn parse(data: &ReadCache<File>) -> Result<Self, String> {
        let damaged =
            |error: object::Error| format!("it is an ELF file, but damaged or not 64-bit ({error})");
        let file = ElfFile64::<Endianness, _>::parse(data).map_err(damaged)?;
        let endian = file.endian();
        match file.elf_header().e_machine(endian) {
            EM_X86_64 => {}
            other => {
                return Err(format!(
                    "it is for {}; only x86_64 is tested here",
                    machine(other.0)
                ));
            }
        }
        let mut pvh = false;
        for segment in file.elf_program_headers() {
            let Some(mut notes) = segment.notes(endian, data).map_err(damaged)? else {
                continue;
            };
            while let Some(note) = notes.next().map_err(damaged)? {
                pvh |= note.name() == b"Xen" && note.n_type(endian) == PVH_ENTRY;
            }
        }
        let rodata = match file.section_by_name(".rodata") {
            Some(section) => section.data().map_err(damaged)?.to_vec(),
            None => Vec::new(),
        };
        Ok(Self { pvh, rodata })
    }

    /// What follows `Linux version ` in /proc/version.
    pub(super) fn banner(&self) -> Option<String> {
        const START: &[u8] = b"Linux version ";
        let mut rest = self.rodata.as_slice();
        loop {
            rest = rest.get(find(rest, START)? + START.len()..)?;
            let end = rest
                .iter()
                .take(4096)
                .position(|byte| matches!(byte, 0 | b'\n'))?;
            // There are format strings that begin like it; the banner begins with a number.
            if rest.first().is_some_and(u8::is_ascii_digit) {
                return Some(String::from_utf8_lossy(rest.get(..end)?).into_owned());
            }
        }
    }
}

fn machine(number: u16) -> String {
    let known = [
        (EM_386, "32-bit x86"),
        (EM_AARCH64, "arm64"),
        (EM_ARM, "arm"),
        (EM_PPC64, "ppc64"),
        (EM_RISCV, "riscv"),
        (EM_S390, "s390x"),
    ];
    match known.iter().find(|(machine, _)| machine.0 == number) {
        Some((_, name)) => (*name).to_owned(),
        None => format!("another architecture (ELF machine {number})"),
    }
}

/// Names a file that is neither bzImage nor ELF by its first bytes, if they are known.
pub(super) fn other_format(head: &[u8]) -> &'static str {
    // arm64 and RISC-V: their Documentation/arch/*/boot*.rst; the others: the formats' own magic numbers.
    if head.get(0x38..0x3c) == Some(b"ARM\x64") {
        return "it is an arm64 kernel image; only x86_64 is tested here";
    }
    if head.get(0x38..0x3c) == Some(b"RSC\x05") {
        return "it is a RISC-V kernel image; only x86_64 is tested here";
    }
    match head {
        [] => "it is empty",
        [0x27, 0x05, 0x19, 0x56, ..] => {
            "it is a U-Boot image; give the bzImage or vmlinux of an x86_64 kernel"
        }
        [0x1f, 0x8b, ..] | [0xfd, b'7', b'z', b'X', b'Z', ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            "it is a compressed file; uncompress it, or give the bzImage"
        }
        [b'!', b'<', b'a', b'r', b'c', b'h', b'>', ..] => {
            "it is a package; unpack it and give the kernel in it"
        }
        _ => "it is neither a bzImage nor an ELF vmlinux",
    }
}
