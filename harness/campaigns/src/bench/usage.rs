// SPDX-License-Identifier: MIT OR Apache-2.0
//! What processes cost and hold, from the kernel's accounts.

use super::BenchError;
use nix::sys::resource::{Usage, UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde::Serialize;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// CPU time, in user and kernel mode, of this process and of all its children that have ended and been waited for, as
/// every guest of a finished run has been: getrusage(2).
pub(super) fn cpu_time() -> Result<Duration, BenchError> {
    let of = |who| {
        getrusage(who)
            .map(|usage: Usage| (usage.user_time() + usage.system_time()).num_microseconds())
            .map(|micros| Duration::from_micros(u64::try_from(micros).unwrap_or(0)))
            .map_err(|errno| BenchError::io("ask for the CPU time of", "this process", errno.into()))
    };
    Ok(of(UsageWho::RUSAGE_SELF)? + of(UsageWho::RUSAGE_CHILDREN)?)
}

/// Memory of one process, in MiB.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Memory {
    /// What it has written to: nobody else's, neither the template's pages nor those of programs.
    pub(super) own: f64,
    /// Its own, and its share of what it has in common with others.
    pub(super) proportional: f64,
}

impl Memory {
    /// Of the process `pid`.
    pub(super) fn of(pid: u32) -> Result<Self, BenchError> {
        let path = format!("/proc/{pid}/smaps_rollup");
        let text = read(&path)?;
        Self::parse(&text).ok_or_else(|| {
            let text = std::io::Error::other("it has no lines `Anonymous:` and `Pss:`");
            BenchError::io("understand", path, text)
        })
    }

    fn parse(smaps: &str) -> Option<Self> {
        Some(Self {
            own: mebibytes(smaps, "Anonymous:")?,
            proportional: mebibytes(smaps, "Pss:")?,
        })
    }
}

/// The machine that the measuring is done on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostFacts {
    /// The processor, in its own words.
    pub processor: String,
    /// How many threads it runs at once, as far as this process may use them.
    pub cores: usize,
    /// All of its memory, in MiB.
    pub memory_mib: u64,
}

impl HostFacts {
    pub(super) fn look() -> Result<Self, BenchError> {
        let memory = "/proc/meminfo";
        let cores = std::thread::available_parallelism()
            .map_err(|source| BenchError::io("count", "the cores", source))?;
        let memory_kib = value(&read(memory)?, "MemTotal:").ok_or_else(|| {
            BenchError::io("find MemTotal in", memory, std::io::Error::other("no such line"))
        })?;
        Ok(Self {
            processor: processor(&read("/proc/cpuinfo")?),
            cores: cores.get(),
            memory_mib: memory_kib / 1024,
        })
    }
}

fn processor(cpuinfo: &str) -> String {
    cpuinfo
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == "model name")
        .map_or_else(|| "unknown".to_owned(), |(_, name)| name.trim().to_owned())
}

/// What this process has, and would have more of if guests left something behind.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Belongings {
    /// Open files, sockets among them.
    pub files: usize,
    /// Child processes.
    pub children: usize,
    /// Threads; the runtime's come and go with its work.
    pub threads: usize,
    /// Resident memory, in MiB.
    pub resident_mib: f64,
}

impl Belongings {
    pub(super) fn count() -> Result<Self, BenchError> {
        let mut children = 0;
        for task in list("/proc/self/task")? {
            // A thread that ended meanwhile has none.
            let text = fs::read_to_string(Path::new("/proc/self/task").join(task).join("children"));
            children += text.unwrap_or_default().split_whitespace().count();
        }
        let status = "/proc/self/status";
        let resident_mib = mebibytes(&read(status)?, "VmRSS:")
            .ok_or_else(|| BenchError::io("find VmRSS in", status, std::io::Error::other("no such line")))?;
        Ok(Self {
            files: list("/proc/self/fd")?.len(),
            children,
            threads: list("/proc/self/task")?.len(),
            resident_mib,
        })
    }
}

fn read(path: &str) -> Result<String, BenchError> {
    fs::read_to_string(path).map_err(|source| BenchError::io("read", path, source))
}

fn list(path: &str) -> Result<Vec<std::ffi::OsString>, BenchError> {
    fs::read_dir(path)
        .and_then(|entries| {
            entries
                .map(|entry| entry.map(|entry| entry.file_name()))
                .collect()
        })
        .map_err(|source| BenchError::io("read", path, source))
}

/// The number after `key`, as proc(5) writes it: `Pss:   1234 kB`.
fn value(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

fn mebibytes(text: &str, key: &str) -> Option<f64> {
    let kib = u32::try_from(value(text, key)?).ok()?;
    Some(f64::from(kib) / 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMAPS: &str = "\
55d0c0000000-7ffe00000000 ---p 00000000 00:00 0                          [rollup]
Rss:              204800 kB
Pss:               71680 kB
Pss_Dirty:         51200 kB
Private_Clean:      1024 kB
Anonymous:         52224 kB
AnonHugePages:         0 kB
";

    #[test]
    fn memory_is_read_in_mebibytes() {
        let memory = Memory::parse(SMAPS).unwrap();
        assert_eq!((memory.own, memory.proportional), (51.0, 70.0));
    }

    #[test]
    fn memory_without_its_lines_is_no_memory() {
        assert_eq!(Memory::parse(&SMAPS.replace("Anonymous:", "Whatever:")), None);
    }

    #[test]
    fn the_processor_has_a_name() {
        let cpuinfo = "processor\t: 0\nmodel name\t: Some CPU @ 2.00GHz\n\nprocessor\t: 1\n";
        assert_eq!(processor(cpuinfo), "Some CPU @ 2.00GHz");
        assert_eq!(processor("processor : 0\n"), "unknown");
    }

    #[test]
    fn cpu_time_does_not_go_back() {
        let before = cpu_time().unwrap();
        assert!(cpu_time().unwrap() >= before);
    }

    #[test]
    fn this_process_has_something() {
        let belongings = Belongings::count().unwrap();
        assert!(belongings.files > 0 && belongings.threads > 0 && belongings.resident_mib > 0.0);
        let host = HostFacts::look().unwrap();
        assert!(host.cores > 0 && host.memory_mib > 0);
    }
}
