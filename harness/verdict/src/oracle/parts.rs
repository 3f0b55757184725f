// SPDX-License-Identifier: MIT OR Apache-2.0
//! How the parts of a prediction are called, wherever one is named.

/// What the injector's call returns.
pub const INJECTOR: &str = "injector";
/// The calls of `xfs_dax_notify_failure`.
pub const NOTIFY_FAILURE: &str = "notify_failure";
/// The state of the filesystem.
pub const FILESYSTEM: &str = "filesystem";
/// The badblocks of the device.
pub const BADBLOCKS: &str = "badblocks";
/// HardwareCorrupted of /proc/meminfo.
pub const HARDWARE_CORRUPTED: &str = "HardwareCorrupted";
/// The trace event.
pub const EVENT: &str = "memory_failure_event";
/// A load or store that faults afterwards.
pub const LATER_LOAD: &str = "later loads";
/// read(2) and write(2) afterwards.
pub const LATER_READ: &str = "later reads";
/// Whether the kernel goes on at all.
pub const KERNEL: &str = "kernel";

/// What a victim is told.
pub fn victim(name: &str) -> String {
    format!("victim {name}")
}

/// A victim's page-table entry for the page, in this of its mappings.
pub fn entry(name: &str, map: usize) -> String {
    match map {
        0 => format!("{name}'s page-table entry"),
        map => format!("{name}'s page-table entry in mapping {map}"),
    }
}
