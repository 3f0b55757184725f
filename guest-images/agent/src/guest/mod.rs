// SPDX-License-Identifier: MIT OR Apache-2.0
//! What runs in the guest. `sys`, `access` and `signals` hold every unsafe line.

pub(crate) mod access;
pub(crate) mod accounts;
pub(crate) mod change;
pub(crate) mod contents;
pub(crate) mod cpus;
pub(crate) mod error;
pub(crate) mod facts;
pub(crate) mod features;
pub(crate) mod files;
pub(crate) mod init;
pub(crate) mod kernel_files;
pub(crate) mod kmsg;
pub(crate) mod mounts;
pub(crate) mod pages;
pub(crate) mod pmem;
pub(crate) mod regions;
pub(crate) mod resolve;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod signals;
pub(crate) mod space;
pub(crate) mod ssh_port;
pub(crate) mod sys;
pub(crate) mod tracefs;
pub(crate) mod victim;
pub(crate) mod victims;
pub(crate) mod watch;
