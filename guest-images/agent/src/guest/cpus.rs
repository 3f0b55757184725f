// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every CPU of the guest, visited.

use super::error::{Doing, failure};
use guest_agent::call::Failure;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

/// Has a thread run on each CPU in turn: when this returns, each has executed something that can be preempted.
pub(crate) fn visit_all() -> Result<usize, Failure> {
    let count = std::thread::available_parallelism()
        .doing("how many CPUs there are")?
        .get();
    // A thread of its own, which takes its affinity with it when it ends.
    std::thread::spawn(move || {
        for cpu in 0..count {
            let mut only = CpuSet::new();
            only.set(cpu).doing(format_args!("CPU {cpu}"))?;
            // Returns on that CPU (`kernel/sched/core.c:__set_cpus_allowed_ptr`).
            sched_setaffinity(Pid::from_raw(0), &only)
                .doing(format_args!("sched_setaffinity to CPU {cpu}"))?;
        }
        Ok(count)
    })
    .join()
    .map_err(|_panic| failure("the thread that visits CPUs panicked"))?
}
