// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a kernel should do, what it did, and what that means.
//!
//! [`oracle`] predicts from facts of before an injection what the kernel's source says; [`observe`] is what was seen, as
//! plain values; [`judge`](judge::judge) holds what was seen against the case's words and the oracle's, and makes a verdict.
//! Nothing here asks a guest, reads a file or waits: who has a run's evidence on paper can judge it again.

pub mod judge;
pub mod observe;
pub mod oracle;
