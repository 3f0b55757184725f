// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory errors that are made inside the guest, and the kernel's knobs around them.

use super::{Outcome, calls};
use serde::{Deserialize, Serialize};

calls! {
    /// Writes a line to a file of /proc, /sys or debugfs, with one write(2).
    WriteKernelFile("write-kernel-file") -> Outcome<()> {
        /// The file, `/proc/sys/vm/memory_failure_early_kill`.
        path: String,
        /// The line, without its end.
        text: String,
    }

    /// Reads a file of /proc, /sys or debugfs to its end; lossily decoded, without the last end of line.
    ReadKernelFile("read-kernel-file") -> Outcome<String> {
        /// The file.
        path: String,
    }
}
