// SPDX-License-Identifier: MIT OR Apache-2.0
//! Watchers of filesystems and devices: XFS's health monitor, fanotify, and a device's list of bad blocks, read as they tell.
//!
//! Sources: `fs/xfs/libxfs/xfs_fs.h` of 7.2 (`struct xfs_health_monitor_event`, 64 bytes), `<linux/fanotify.h>`, and
//! `fs/kernfs/file.c:kernfs_fop_poll`, by which a file of sysfs is read to its end, waited for, and read again.

use super::error::{Call, Doing, Tried, failure};
use super::files;
use super::sys::{watch, xfs};
use guest_agent::address::FsOffset;
use guest_agent::call::{
    BadRange, Failure, FileError, FileTrouble, HealthDomain, HealthEvent, HealthNews, SECTOR, WatchEvent,
    Watcher,
};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::read;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Bytes of one event of the health monitor.
const HEALTH_EVENT: usize = 64;

/// All watchers of this guest.
#[derive(Default)]
pub(crate) struct Watchers {
    running: Mutex<BTreeMap<Watcher, Arc<Running>>>,
}

struct Running {
    channel: OwnedFd,
    told: Mutex<Vec<WatchEvent>>,
}

impl Watchers {
    /// Starts one, in place of the one before.
    pub(crate) fn start(&self, watcher: Watcher, at: &str) -> Tried<()> {
        let channel = match watcher {
            Watcher::Health => {
                let root = files::open(at)?;
                xfs::health_monitor(root.as_fd()).of("XFS_IOC_HEALTH_MONITOR", at)?
            }
            Watcher::Fanotify => watch::watch_errors(at).of("fanotify_mark", at)?,
            Watcher::Badblocks => {
                let list = files::open(at)?;
                // What is there by now is no news.
                whole(&list).of("read", at)?;
                list.into()
            }
        };
        let running = Running {
            channel,
            told: Mutex::default(),
        };
        self.all().insert(watcher, Arc::new(running));
        Ok(())
    }

    /// Everything that it was told, after waiting for so many events at most so long.
    pub(crate) fn read(
        &self,
        watcher: Watcher,
        at_least: usize,
        patience: Duration,
    ) -> Result<Vec<WatchEvent>, Failure> {
        let running = self.all().get(&watcher).cloned();
        let running =
            running.ok_or_else(|| failure(format_args!("the watcher {watcher:?} was not started")))?;
        let end = Instant::now() + patience;
        let mut told = running.told.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let left = if told.len() < at_least {
                end.saturating_duration_since(Instant::now())
            } else {
                Duration::ZERO
            };
            let wanted = match watcher {
                Watcher::Health | Watcher::Fanotify => PollFlags::POLLIN,
                Watcher::Badblocks => PollFlags::POLLPRI,
            };
            let mut ready = [PollFd::new(running.channel.as_fd(), wanted)];
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let count = poll(&mut ready, timeout).doing("poll a watcher")?;
            if count == 0 || !ready[0].revents().unwrap_or(PollFlags::empty()).contains(wanted) {
                return Ok(told.clone());
            }
            if watcher == Watcher::Badblocks {
                told.push(WatchEvent::Badblocks(bad_ranges(&running.channel)?));
                continue;
            }
            let mut buffer = [0; 4096];
            match read(running.channel.as_fd(), &mut buffer) {
                Ok(0) | Err(Errno::EAGAIN) => return Ok(told.clone()),
                Ok(length) => told.extend(events(watcher, &buffer[..length])),
                Err(Errno::EINTR) => {}
                Err(error) => return Err(failure(format_args!("read the watcher {watcher:?}: {error}"))),
            }
        }
    }

    /// Stops one.
    pub(crate) fn stop(&self, watcher: Watcher) {
        self.all().remove(&watcher);
    }

    fn all(&self) -> std::sync::MutexGuard<'_, BTreeMap<Watcher, Arc<Running>>> {
        // Every critical section leaves the map whole, so a panic in one of them is no reason to stop.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn events(watcher: Watcher, bytes: &[u8]) -> Vec<WatchEvent> {
    match watcher {
        Watcher::Health => bytes
            .chunks_exact(HEALTH_EVENT)
            .filter_map(health_event)
            .map(WatchEvent::Health)
            .collect(),
        Watcher::Fanotify => fanotify_events(bytes)
            .into_iter()
            .map(WatchEvent::Fanotify)
            .collect(),
        // Its file is no stream.
        Watcher::Badblocks => Vec::new(),
    }
}

/// The content of a file from its beginning on, whatever was read of it before.
fn whole(file: &File) -> io::Result<String> {
    let mut text = String::new();
    let mut file = file;
    file.rewind()?;
    file.read_to_string(&mut text)?;
    Ok(text)
}

fn bad_ranges(list: &OwnedFd) -> Result<Vec<BadRange>, Failure> {
    const WHAT: &str = "read the list of bad blocks";
    let list = File::from(list.try_clone().doing(WHAT)?);
    let text = whole(&list).doing(WHAT)?;
    BadRange::parse_list(&text)
        .map_err(|line| failure(format_args!("{WHAT}: `{line}` is no range of sectors")))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let word = bytes.get(at..at + 4)?;
    Some(u32::from_ne_bytes(word.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    let word = bytes.get(at..at + 8)?;
    Some(u64::from_ne_bytes(word.try_into().ok()?))
}

/// `domain`, `type`, `time_ns`, and from byte 16 on what belongs to the type.
fn health_event(bytes: &[u8]) -> Option<HealthEvent> {
    const DETAILS: usize = 16;
    let (domain, kind) = (u32_at(bytes, 0)?, u32_at(bytes, 4)?);
    let first = u32_at(bytes, DETAILS)?;
    let long = |index: usize| u64_at(bytes, DETAILS + 8 * index);
    let of_file = |trouble| {
        Some(HealthNews::File {
            trouble,
            offset: long(0)?,
            length: long(1)?,
            inode: long(2)?,
            error: u32_at(bytes, DETAILS + 28)?.cast_signed(),
        })
    };
    let what = match kind {
        0 => HealthNews::Running,
        1 => HealthNews::Lost(long(0)?),
        2 => HealthNews::Unmount,
        3 => HealthNews::Sick(first),
        4 => HealthNews::Corrupt(first),
        5 => HealthNews::Healthy(first),
        6 => HealthNews::ShutDown(first),
        7 => HealthNews::MediaError {
            start: FsOffset(long(0)?.checked_mul(SECTOR)?),
            length: long(1)?.checked_mul(SECTOR)?,
        },
        8 => of_file(FileTrouble::BufferedRead)?,
        9 => of_file(FileTrouble::BufferedWrite)?,
        10 => of_file(FileTrouble::DirectRead)?,
        11 => of_file(FileTrouble::DirectWrite)?,
        12 => of_file(FileTrouble::DataLost)?,
        other => HealthNews::Other(other),
    };
    let group = u32_at(bytes, DETAILS + 4)?;
    let domain = match domain {
        0 => HealthDomain::Mount,
        1 => HealthDomain::Filesystem,
        2 => HealthDomain::AllocationGroup(group),
        3 => HealthDomain::Inode(long(1)?),
        4 => HealthDomain::RealtimeGroup(group),
        5 => HealthDomain::DataDevice,
        6 => HealthDomain::RealtimeDevice,
        7 => HealthDomain::LogDevice,
        8 => HealthDomain::FileRange,
        other => HealthDomain::Other(other),
    };
    Some(HealthEvent { what, domain })
}

/// Each event is a `struct fanotify_event_metadata` (24 bytes, its length first) and information records, each a type, a
/// pad, and its length.
fn fanotify_events(bytes: &[u8]) -> Vec<FileError> {
    let mut found = Vec::new();
    let mut rest = bytes;
    while let Some(length) = u32_at(rest, 0).map(|length| length as usize) {
        let Some((event, after)) = rest.split_at_checked(length.max(1)) else {
            break;
        };
        found.extend(file_error(event));
        rest = after;
    }
    found
}

fn file_error(event: &[u8]) -> Option<FileError> {
    const METADATA: usize = 24;
    const INFO_FID: u8 = 1;
    const INFO_ERROR: u8 = 5;
    let mut error = None;
    let mut inode = None;
    let mut rest = event.get(METADATA..)?;
    while let [kind, _, low, high, ..] = *rest {
        let length = usize::from(u16::from_ne_bytes([low, high]));
        let Some((record, after)) = rest.split_at_checked(length.max(4)) else {
            break;
        };
        match kind {
            INFO_ERROR => error = Some((u32_at(record, 4)?.cast_signed(), u32_at(record, 8)?)),
            INFO_FID => inode = inode_of(record),
            _ => {}
        }
        rest = after;
    }
    let (error, count) = error?;
    Some(FileError { error, count, inode })
}

/// The inode number in a file handle, after the filesystem's id: XFS's handles (`fs/xfs/xfs_export.c`) begin with all 64
/// bits of it, the generic ones with 32. A handle of the type 0 says that no inode is meant.
fn inode_of(record: &[u8]) -> Option<u64> {
    const HANDLE: usize = 12;
    const FILEID_INVALID: u32 = 0xff;
    const FILEID_INO32_GEN: u32 = 1;
    const XFS_FILEID_TYPE_64FLAG: u32 = 0x80;
    let bytes = u32_at(record, HANDLE)?;
    let kind = u32_at(record, HANDLE + 4)?;
    if bytes == 0 || kind == 0 || kind == FILEID_INVALID {
        return None;
    }
    if kind & !XFS_FILEID_TYPE_64FLAG == FILEID_INO32_GEN && kind & XFS_FILEID_TYPE_64FLAG == 0 {
        return u32_at(record, HANDLE + 8).map(u64::from);
    }
    u64_at(record, HANDLE + 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(domain: u32, kind: u32, details: [u64; 4]) -> HealthEvent {
        let mut bytes = Vec::new();
        bytes.extend(domain.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(7_u64.to_ne_bytes());
        for word in details {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend([0; 16]);
        assert_eq!(bytes.len(), HEALTH_EVENT);
        health_event(&bytes).unwrap()
    }

    #[test]
    fn health_events() {
        let lost = health(8, 12, [4096, 8192, 131, 5 << 32 | 9]);
        assert_eq!(
            lost.what,
            HealthNews::File {
                trouble: FileTrouble::DataLost,
                inode: 131,
                offset: 4096,
                length: 8192,
                error: 5
            }
        );
        assert_eq!(lost.domain, HealthDomain::FileRange);
        let media = health(5, 7, [200, 8, 0, 0]);
        assert_eq!(
            media.what,
            HealthNews::MediaError {
                start: FsOffset(0x19000),
                length: 4096
            }
        );
        assert_eq!(health(0, 6, [16, 0, 0, 0]).what, HealthNews::ShutDown(16));
        assert_eq!(
            health(2, 3, [3 << 32 | 1, 0, 0, 0]).domain,
            HealthDomain::AllocationGroup(3)
        );
        assert_eq!(health(0, 99, [0; 4]).what, HealthNews::Other(99));
    }

    #[test]
    fn a_filesystems_error_as_fanotify_tells_it() {
        let mut event = Vec::new();
        let mut fid = vec![1, 0, 32, 0];
        fid.extend([0; 8]);
        fid.extend(12_u32.to_ne_bytes());
        fid.extend(0x81_u32.to_ne_bytes());
        fid.extend(131_u64.to_ne_bytes());
        fid.extend(9_u32.to_ne_bytes());
        let mut error = vec![5, 0, 12, 0];
        error.extend(117_u32.to_ne_bytes());
        error.extend(2_u32.to_ne_bytes());
        let length = 24 + fid.len() + error.len();
        event.extend(u32::try_from(length).unwrap().to_ne_bytes());
        event.extend([0; 20]);
        event.extend(error);
        event.extend(fid);
        let once = FileError {
            error: 117,
            count: 2,
            inode: Some(131),
        };
        // The record's length says 32, and it has 32 bytes: two events after one another are both found.
        let twice = [event.clone(), event].concat();
        assert_eq!(fanotify_events(&twice), [once, once]);
    }
}
