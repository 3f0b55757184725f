// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a rule is, and how one is found.

use std::fmt;
use testcases::KernelVersion;

/// One row.
pub struct Rule<S, T> {
    /// For which kernels it is meant.
    pub kernels: Kernels,
    /// Whether it applies.
    pub when: fn(&S) -> bool,
    /// The answer.
    pub then: T,
    /// The function of the kernel that it comes from, as `file:function`.
    pub from: &'static str,
    /// What happens, and why it is right.
    pub says: &'static str,
}

/// The first row of a table that applies; `None` when the table is not complete.
pub fn first<'t, S, T>(
    table: &'t [Rule<S, T>],
    subject: &S,
    kernel: &KernelVersion,
) -> Option<&'t Rule<S, T>> {
    table
        .iter()
        .find(|rule| rule.kernels.contain(kernel) && (rule.when)(subject))
}

/// Kernels, as far as rules need to tell them apart. A release candidate belongs to its series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernels {
    /// Every kernel.
    Any,
    /// Those before this series.
    Before(u32, u32),
    /// This series and those after it.
    Since(u32, u32),
}

impl Kernels {
    /// Whether the kernel is one of them.
    pub fn contain(self, kernel: &KernelVersion) -> bool {
        let series = (kernel.major, kernel.minor);
        match self {
            Self::Any => true,
            Self::Before(major, minor) => series < (major, minor),
            Self::Since(major, minor) => series >= (major, minor),
        }
    }
}

impl fmt::Display for Kernels {
    /// Prints as a case writes a range.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Before(major, minor) => write!(f, "<{major}.{minor}"),
            Self::Since(major, minor) => write!(f, ">={major}.{minor}"),
        }
    }
}
