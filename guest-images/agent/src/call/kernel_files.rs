// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kernel's own files: knobs, and the test files by which memory errors are made.

use super::{Outcome, calls};
use serde::{Deserialize, Serialize};

calls! {
    /// The kernel's own files.
    enum KernelFileCall;

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
