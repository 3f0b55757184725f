// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mounts: made, changed, ended, described.

use super::error::{Call, Doing, Tried, failure};
use super::files;
use super::sys::{file, xfs};
use guest_agent::call::{Failure, Geometry, GoingDown, Mount, MountChange, MountState, Mounted, QuotaInodes};
use nix::mount::{MntFlags, MsFlags, mount as mount_it, umount2};
use std::fs;
use std::os::fd::AsFd;

const MOUNTS: &str = "/proc/mounts";
const MOUNT_INFO: &str = "/proc/self/mountinfo";

/// The options that are flags of mount(2), as mount(8) spells them; the others are the filesystem's own.
const FLAGS: [(&str, MsFlags); 10] = [
    ("ro", MsFlags::MS_RDONLY),
    ("sync", MsFlags::MS_SYNCHRONOUS),
    ("dirsync", MsFlags::MS_DIRSYNC),
    ("noatime", MsFlags::MS_NOATIME),
    ("nodiratime", MsFlags::MS_NODIRATIME),
    ("relatime", MsFlags::MS_RELATIME),
    ("strictatime", MsFlags::MS_STRICTATIME),
    ("nosuid", MsFlags::MS_NOSUID),
    ("nodev", MsFlags::MS_NODEV),
    ("noexec", MsFlags::MS_NOEXEC),
];

/// Options that say what is so without them.
const DEFAULTS: [&str; 7] = ["", "rw", "defaults", "async", "atime", "suid", "dev"];

/// The flags among some options, and the rest.
fn flags_of(options: &str) -> (MsFlags, String) {
    let mut flags = MsFlags::empty();
    let mut rest = Vec::new();
    for option in options.split(',').map(str::trim) {
        match FLAGS.iter().find(|(name, _)| *name == option) {
            Some((_, flag)) => flags |= *flag,
            None if DEFAULTS.contains(&option) => {}
            None => rest.push(option),
        }
    }
    (flags, rest.join(","))
}

/// mount(2).
pub(crate) fn mount(call: &Mount) -> Result<Tried<()>, Failure> {
    fs::create_dir_all(&call.at).doing(&call.at)?;
    let (flags, data) = flags_of(&call.options);
    let done = mount_it(
        Some(call.device.as_str()),
        call.at.as_str(),
        Some(call.kind.as_str()),
        flags,
        Some(data.as_str()),
    );
    Ok(done.of("mount", format_args!("{} at {}", call.device, call.at)))
}

/// umount2(2).
pub(crate) fn unmount(at: &str) -> Tried<()> {
    umount2(at, MntFlags::empty()).of("umount", at)
}

/// What is done to a mount that stays.
pub(crate) fn change(at: &str, change: &MountChange) -> Tried<()> {
    let root = || files::open(at);
    match change {
        MountChange::Remount { options } => {
            let (flags, data) = flags_of(options);
            mount_it(
                None::<&str>,
                at,
                None::<&str>,
                flags | MsFlags::MS_REMOUNT,
                Some(data.as_str()),
            )
            .of("remount", at)
        }
        MountChange::Freeze => xfs::freeze(root()?.as_fd()).of("FIFREEZE", at),
        MountChange::Thaw => xfs::thaw(root()?.as_fd()).of("FITHAW", at),
        MountChange::ShutDown(how) => {
            let flags = match how {
                GoingDown::Default => 0,
                GoingDown::LogFlush => 1,
                GoingDown::NoLogFlush => 2,
            };
            xfs::shut_down(root()?.as_fd(), flags).of("XFS_IOC_GOINGDOWN", at)
        }
    }
}

/// How it is mounted, and what it is.
pub(crate) fn state(at: &str) -> Result<MountState, Failure> {
    let table = fs::read_to_string(MOUNTS).doing(MOUNTS)?;
    let mounted = find(&table, at);
    let shut_down = match file::status(at, true) {
        _ if mounted.is_none() => false,
        Ok(_) => false,
        Err(error) if error.raw_os_error() == Some(libc::EIO) => true,
        Err(error) => return Err(failure(format_args!("statx {at}: {error}"))),
    };
    let is_xfs = mounted.as_ref().is_some_and(|mounted| mounted.kind == "xfs");
    let geometry = if is_xfs && !shut_down {
        let root = fs::File::open(at).doing(at)?;
        Some(described(
            &xfs::geometry(root.as_fd()).doing(format_args!("XFS_IOC_FSGEOMETRY of {at}"))?,
        ))
    } else {
        None
    };
    Ok(MountState {
        mounted,
        shut_down,
        geometry,
    })
}

/// The number of the device that is mounted there, as GETFSMAP has it. Unlike stat(2), this works after a shutdown.
pub(crate) fn device(at: &str) -> Result<Option<u32>, Failure> {
    let table = fs::read_to_string(MOUNT_INFO).doing(MOUNT_INFO)?;
    Ok(device_in(&table, at))
}

/// "id parent major:minor root mount-point …" (`Documentation/filesystems/proc.rst`, 3.5).
fn device_in(table: &str, at: &str) -> Option<u32> {
    table
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let [_, _, device, _, place, ..] = words[..] else {
                return None;
            };
            let (major, minor) = device.split_once(':')?;
            (unescaped(place) == at).then_some(file::encoded(major.parse().ok()?, minor.parse().ok()?))
        })
        .next_back()
}

fn described(geometry: &xfs::Geometry) -> Geometry {
    Geometry {
        block_size: geometry.block_size,
        sector_size: geometry.sector_size,
        inode_size: geometry.inode_size,
        ag_blocks: geometry.ag_blocks,
        ag_count: geometry.ag_count,
        data_blocks: geometry.data_blocks,
        realtime_blocks: geometry.rt_blocks,
        log_blocks: geometry.log_blocks,
        log_internal: geometry.log_start != 0,
        rmapbt: geometry.flags & xfs::Geometry::RMAPBT != 0,
        reflink: geometry.flags & xfs::Geometry::REFLINK != 0,
        flags: geometry.flags,
    }
}

/// The line of /proc/mounts for a mount point. Of several the last one is on top.
fn find(table: &str, at: &str) -> Option<Mounted> {
    table
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            let (device, place) = (words.next()?, words.next()?);
            let (kind, options) = (words.next()?, words.next()?);
            (unescaped(place) == at).then(|| Mounted {
                device: unescaped(device),
                kind: kind.to_owned(),
                options: options.split(',').map(unescaped).collect(),
            })
        })
        .next_back()
}

/// Blanks and the like are written as `\040` there (`fs/proc_namespace.c:mangle`).
fn unescaped(word: &str) -> String {
    let mut pieces = word.split('\\');
    let mut text = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let code = piece.get(..3).and_then(|code| u8::from_str_radix(code, 8).ok());
        if let Some(code) = code {
            text.push(char::from(code));
            text.push_str(&piece[3..]);
        } else {
            text.push('\\');
            text.push_str(piece);
        }
    }
    text
}

/// The inodes of quota. XFS says of one that is not there that its number is -1.
pub(crate) fn quota(device: &str) -> Tried<QuotaInodes> {
    let state = xfs::quota(device).of("Q_XGETQSTATV", device)?;
    let there = |file: xfs::QuotaFile| Some(file.inode).filter(|inode| !matches!(*inode, 0 | u64::MAX));
    Ok(QuotaInodes {
        user: there(state.user),
        group: there(state.group),
        project: there(state.project),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_parted_as_mount_does() {
        let (flags, rest) = flags_of("ro,dax=always,noatime,logbsize=64k");
        assert_eq!(flags, MsFlags::MS_RDONLY | MsFlags::MS_NOATIME);
        assert_eq!(rest, "dax=always,logbsize=64k");
        assert_eq!(flags_of("rw"), (MsFlags::empty(), String::new()));
        assert_eq!(flags_of(""), (MsFlags::empty(), String::new()));
    }

    #[test]
    fn the_mount_on_top_counts() {
        let table = "/dev/pmem0 /mnt xfs rw,relatime 0 0\n\
                     tmpfs /with\\040blank tmpfs rw 0 0\n\
                     /dev/pmem1 /mnt xfs ro,dax=always 0 0\n";
        let top = find(table, "/mnt").unwrap();
        assert_eq!(
            (top.device.as_str(), top.options),
            ("/dev/pmem1", vec!["ro".to_owned(), "dax=always".to_owned()])
        );
        assert_eq!(find(table, "/with blank").unwrap().kind, "tmpfs");
        assert_eq!(find(table, "/m"), None);
        let table = "21 1 0:19 / / rw - rootfs rootfs rw\n\
                     35 21 259:1 / /mnt rw,relatime shared:1 - xfs /dev/pmem0p1 rw\n";
        assert_eq!(device_in(table, "/mnt"), Some(0x1_0301));
        assert_eq!(device_in(table, "/mn"), None);
    }
}
