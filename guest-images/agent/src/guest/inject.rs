// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory errors by the kernel's own test files, and its knobs.

use super::error::{Call, Tried};
use guest_agent::call::{Injection, SECTOR};
use std::fs::{self, OpenOptions};
use std::io::Write;

const MCE_INJECT: &str = "/sys/kernel/debug/mce-inject";

/// Makes a memory error; what the last write got.
pub(crate) fn inject(by: &Injection) -> Tried<()> {
    let text = match by {
        Injection::CorruptPfn { pfn } | Injection::UnpoisonPfn { pfn } => format!("{pfn:#x}"),
        Injection::HardOffline { address } | Injection::SoftOffline { address } => {
            format!("{:#x}", address.0)
        }
        Injection::MceInject(record) => {
            // The bank's file fires, so it comes last.
            write(&format!("{MCE_INJECT}/flags"), &record.flags)?;
            for (name, value) in [
                ("cpu", u64::from(record.cpu)),
                ("status", record.status),
                ("addr", record.address.0),
                ("misc", record.misc),
            ] {
                write(&format!("{MCE_INJECT}/{name}"), &format!("{value:#x}"))?;
            }
            record.bank.to_string()
        }
        Injection::BadBlocks { start, length, .. } => {
            format!("{} {}", start.0 / SECTOR, length / SECTOR)
        }
    };
    write(&by.file(), &text)
}

/// One write(2) of a line. Nothing is created.
pub(crate) fn write(path: &str, text: &str) -> Tried<()> {
    let mut file = OpenOptions::new().write(true).open(path).of("open", path)?;
    file.write_all(format!("{text}\n").as_bytes())
        .of("write", format_args!("{text} to {path}"))
}

/// All of a file.
pub(crate) fn read(path: &str) -> Tried<String> {
    let bytes = fs::read(path).of("read", path)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
}
