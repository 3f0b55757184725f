// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is to be run, and how.

use crate::template::devices;
use guest_images::{Cache, KernelSpec};
use machine::accel::Accelerator;
use machine::guest;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;
use testcases::{Case, Isolation, Template};

/// What is to be run.
#[derive(Debug)]
pub struct Request {
    /// The cases.
    pub cases: Vec<Case>,
    /// The kernels to run each of them on.
    pub kernels: Vec<KernelSpec>,
    /// A QEMU to use instead of the one that would be found.
    pub qemu: Option<PathBuf>,
    /// An accelerator to use instead of the best that works.
    pub accelerator: Option<Accelerator>,
    /// How each case gets a guest of its own, unless it asks for a boot itself.
    pub isolation: Isolation,
    /// How many guests at once; `None` for as many as cores and free memory allow.
    pub jobs: Option<NonZeroUsize>,
    /// Run the cases of each kernel in the random order that this seed gives; `None` for one that gives the first verdict soon, and the last one too.
    pub shuffle: Option<u64>,
    /// How long one case may take, from its start to its verdict.
    pub case_deadline: Duration,
    /// How long all of it may take; `None` for as long as it takes.
    pub run_deadline: Option<Duration>,
    /// The folder for evidence; it exists.
    pub out: PathBuf,
    /// Where packages, kernels and images are kept.
    pub cache: Cache,
    /// The command line, for the record.
    pub command: Vec<String>,
}

/// How long a case may take unless the user says otherwise: a boot under emulation on a busy machine, and then some.
pub const CASE_DEADLINE: Duration = Duration::from_secs(600);

/// Memory that one more guest must find free: what a clone writes to, or all that a booted guest may touch.
fn memory_of(isolation: Isolation) -> u64 {
    match isolation {
        Isolation::Clone => 256 << 20,
        Isolation::Boot => guest::footprint(&devices(&Template::default())),
    }
}

/// As many guests at once as there are cores and free memory for.
pub(super) fn default_jobs(isolation: Isolation) -> NonZeroUsize {
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    // A host without this line has its reasons; one guest at a time is always allowed.
    let available = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
        line.trim().trim_end_matches(" kB").parse::<u64>().ok()
    });
    let by_memory = available.map_or(1, |kib| (kib << 10) / memory_of(isolation));
    let by_memory = NonZeroUsize::new(usize::try_from(by_memory).unwrap_or(usize::MAX));
    cores.min(by_memory.unwrap_or(NonZeroUsize::MIN))
}
