// SPDX-License-Identifier: MIT OR Apache-2.0
//! Locks between processes: flock(2), which ends with its holder however that ends, waited for with a deadline.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::mpsc;
use std::time::Duration;

/// How long somebody else may be busy with what we wait for. The longest that is done under a lock is a kernel's build, or
/// the fetching of packages over a slow line; a process that was stopped holds its locks for ever.
pub const DEADLINE: Duration = Duration::from_secs(3600);

/// How a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// By many at once.
    Shared,
    /// By one.
    Exclusive,
}

/// Locks an open file until it is dropped. Where that takes time, `busy` hears first who is in the way, in words.
///
/// Fails, with who it is, when that is still so after `patience`.
pub fn lock(file: File, kind: Kind, patience: Duration, busy: impl FnOnce(&str)) -> io::Result<File> {
    let tried = match kind {
        Kind::Shared => file.try_lock_shared(),
        Kind::Exclusive => file.try_lock(),
    };
    match tried {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(error)) => return Err(error),
    }
    busy(&holders(&file));
    let (locked, ours) = mpsc::channel();
    let waiting = file.try_clone()?;
    // flock(2) knows no deadline. A thread that waits beyond it drops the lock as soon as it has it, for nobody hears.
    std::thread::Builder::new()
        .name("lock".to_owned())
        .spawn(move || {
            let outcome = match kind {
                Kind::Shared => waiting.lock_shared(),
                Kind::Exclusive => waiting.lock(),
            };
            drop(locked.send(outcome.map(|()| waiting)));
        })?;
    match ours.recv_timeout(patience) {
        Ok(outcome) => outcome,
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            Err(io::Error::other("the thread that waits for it died"))
        }
        Err(mpsc::RecvTimeoutError::Timeout) => Err(io::Error::new(
            io::ErrorKind::TimedOut,
            format!(
                "{} still holds it after {} s; if it hangs, end it",
                holders(&file),
                patience.as_secs()
            ),
        )),
    }
}

/// Who holds a lock on this file, in words: `process 17 (xtask)`.
pub fn holders(file: &File) -> String {
    let inode = file.metadata().map(|meta| meta.ino());
    // Where /proc is not, or holders are of another PID namespace, nobody knows.
    let text = fs::read_to_string("/proc/locks").unwrap_or_default();
    let pids = inode.map(|inode| holders_in(&text, inode)).unwrap_or_default();
    let named: Vec<String> = pids
        .into_iter()
        .map(|pid| match fs::read_to_string(format!("/proc/{pid}/comm")) {
            Ok(name) => format!("process {pid} ({})", name.trim()),
            Err(_) => format!("process {pid}"),
        })
        .collect();
    if named.is_empty() {
        "a process that this one cannot see".to_owned()
    } else {
        named.join(", ")
    }
}

/// The processes that hold an flock on this inode, in what /proc/locks says (fs/locks.c, `lock_get_status`):
/// `1: FLOCK  ADVISORY  WRITE 1709 08:01:131466 0 EOF`; those that wait stand behind an arrow. The device is not compared: it
/// is the superblock's, which stat(2) does not tell on btrfs and overlayfs.
fn holders_in(locks: &str, inode: u64) -> Vec<u32> {
    let one = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        if words.next()? != "FLOCK" {
            return None;
        }
        let pid = words.nth(2)?.parse().ok().filter(|pid| *pid != 0)?;
        let found: u64 = words.next()?.rsplit(':').next()?.parse().ok()?;
        (found == inode).then_some(pid)
    };
    locks.lines().filter_map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_holds_a_lock_is_told_and_not_who_waits() {
        let locks = "1: FLOCK  ADVISORY  WRITE 1709 08:01:131466 0 EOF\n\
            1: -> FLOCK  ADVISORY  WRITE 1710 08:01:131466 0 EOF\n\
            2: POSIX  ADVISORY  WRITE 12 08:01:131466 0 EOF\n\
            3: FLOCK  ADVISORY  READ 18 00:1b:7 0 EOF\n";
        assert_eq!(holders_in(locks, 131_466), [1709]);
        assert_eq!(holders_in(locks, 7), [18]);
    }

    #[test]
    fn a_stuck_lock_is_given_up_with_its_holder_and_a_free_one_is_had() {
        let place = tempfile::NamedTempFile::new().unwrap();
        let open = || File::open(place.path()).unwrap();
        let held = lock(open(), Kind::Exclusive, DEADLINE, |_| {
            panic!("nobody is in the way")
        })
        .unwrap();
        let mut heard = String::new();
        let stuck = lock(open(), Kind::Shared, Duration::from_millis(50), |who| {
            who.clone_into(&mut heard);
        });
        let why = stuck.unwrap_err().to_string();
        let us = format!("process {}", std::process::id());
        assert!(heard.contains(&us) && why.contains(&us), "{heard}; {why}");
        drop(held);
        lock(open(), Kind::Exclusive, Duration::from_secs(60), |_| ()).unwrap();
    }
}
