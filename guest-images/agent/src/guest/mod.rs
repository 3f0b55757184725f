// SPDX-License-Identifier: MIT OR Apache-2.0
//! What runs in the guest. `sys`, `load` and `realtime` hold every unsafe line.

pub(crate) mod error;
pub(crate) mod features;
pub(crate) mod files;
pub(crate) mod init;
pub(crate) mod kmsg;
pub(crate) mod load;
pub(crate) mod pmem;
pub(crate) mod realtime;
pub(crate) mod regions;
pub(crate) mod resolve;
pub(crate) mod serve;
pub(crate) mod space;
pub(crate) mod ssh_port;
pub(crate) mod sys;
pub(crate) mod tracefs;
pub(crate) mod victim;
pub(crate) mod victims;
