// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the running kernel must have, looked for where it shows: for kernels whose configuration nobody knows.

use super::error::Doing;
use guest_agent::call::Failure;
use std::fs;
use std::path::Path;

/// A path that is there when the feature is, and the feature.
const SIGNS: [(&str, &str); 7] = [
    ("/sys/bus/nd", "NVDIMMs (LIBNVDIMM)"),
    (
        "/sys/bus/nd/drivers/nd_pmem",
        "block devices on NVDIMMs (BLK_DEV_PMEM)",
    ),
    (
        "/sys/bus/nd/devices/namespace0.0",
        "finding the emulated NVDIMM (ACPI_NFIT)",
    ),
    (
        "/proc/sys/vm/memory_failure_early_kill",
        "memory failure handling (MEMORY_FAILURE)",
    ),
    (
        "/sys/devices/system/machinecheck/machinecheck0",
        "machine checks (X86_MCE)",
    ),
    (
        "/sys/kernel/debug/hwpoison/corrupt-pfn",
        "injection by page number (DEBUG_FS, HWPOISON_INJECT)",
    ),
    (
        "/sys/kernel/tracing/kprobe_events",
        "kprobes to observe with (FTRACE, KPROBE_EVENTS)",
    ),
];

/// What is not there.
pub(crate) fn lacking() -> Result<Vec<String>, Failure> {
    const FILESYSTEMS: &str = "/proc/filesystems";
    let mut lacking: Vec<String> = SIGNS
        .iter()
        .filter(|(sign, _)| !Path::new(sign).exists())
        .map(|(_, feature)| (*feature).to_owned())
        .collect();
    let filesystems = fs::read_to_string(FILESYSTEMS).doing(FILESYSTEMS)?;
    if !filesystems.split_whitespace().any(|word| word == "xfs") {
        lacking.push("the filesystem under test (XFS_FS)".to_owned());
    }
    Ok(lacking)
}
