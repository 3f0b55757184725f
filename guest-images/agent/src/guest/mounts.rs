// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mounts: made, changed, ended, described.

use super::error::{Call, Doing, Tried, failure};
use super::files;
use super::sys::{file, xfs};
use guest_agent::call::{
    BlockDevice, Failure, Geometry, GoingDown, Mount, MountChange, MountState, Mounted, QuotaInodes,
    Whereabouts,
};
use nix::mount::{MntFlags, MsFlags, mount as mount_it, umount2};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// A folder for every superblock of XFS (`fs/xfs/xfs_super.c:init_xfs_fs`), by the device's name.
const SUPERBLOCKS: &str = "/sys/fs/xfs";
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

/// Which block device a path leads to.
pub(crate) fn block_device(path: &str) -> Tried<BlockDevice> {
    let found = fs::metadata(path).of("stat", path)?;
    if !found.file_type().is_block_device() {
        return Err(io::Error::from_raw_os_error(libc::ENOTBLK)).of("stat", path);
    }
    let (major, minor) = (libc::major(found.rdev()), libc::minor(found.rdev()));
    let link = format!("/sys/dev/block/{major}:{minor}");
    let folder = fs::read_link(&link).of("readlink", &link)?;
    Ok(BlockDevice {
        number: file::encoded(major, minor),
        name: folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
    })
}

/// Where a filesystem is, and what it is.
pub(crate) struct Seen {
    pub(crate) state: MountState,
    /// A path by which a file of it can be opened; `None` where nothing leads into it.
    pub(crate) way_in: Option<String>,
}

/// Where the filesystem of a device is, and what it is. What else could lead into one that no mount leads to, `others` finds.
pub(crate) fn state(
    at: &str,
    device: Option<&BlockDevice>,
    others: impl FnOnce(u32) -> Result<Vec<String>, Failure>,
) -> Result<Seen, Failure> {
    let table = fs::read_to_string(MOUNT_INFO).doing(MOUNT_INFO)?;
    let table = lines_of(&table)?;
    // The mount point may not have been made yet.
    let on_top = mount_id(at).ok();
    let whereabouts = match device {
        Some(device) => {
            let superblock = Path::new(SUPERBLOCKS)
                .join(&device.name)
                .try_exists()
                .doing(SUPERBLOCKS)?;
            whereabouts(&table, at, on_top, device.number, superblock)
        }
        None => Whereabouts::Nowhere,
    };
    let ours: Vec<&Line> = table
        .iter()
        .filter(|line| device.is_some_and(|device| line.is_xfs_of(device.number)))
        .collect();
    let way_in = match (&whereabouts, device) {
        (Whereabouts::Nowhere, _) | (_, None) => None,
        (Whereabouts::Here, _) => Some(at.to_owned()),
        (Whereabouts::Detached | Whereabouts::Elsewhere(_) | Whereabouts::Covered(_), Some(device)) => {
            // What is mounted over one of them, or over a directory above it, hides it.
            let mut seen = ours
                .iter()
                .filter(|line| mount_id(&line.place).is_ok_and(|id| id == line.id));
            match seen.next() {
                Some(line) => Some(line.place.clone()),
                None => others(device.number)?.into_iter().next(),
            }
        }
    };
    let shut_down = way_in.as_deref().map(is_shut_down).transpose()?;
    let geometry = match (&way_in, shut_down) {
        (Some(path), Some(false)) => {
            let file = fs::File::open(path).doing(path)?;
            let shape = xfs::geometry(file.as_fd()).doing(format_args!("XFS_IOC_FSGEOMETRY of {path}"))?;
            Some(described(&shape))
        }
        _ => None,
    };
    let mounted = on_top
        .and_then(|id| table.iter().find(|line| line.id == id && line.place == at))
        .map(|line| line.mounted.clone());
    Ok(Seen {
        state: MountState {
            whereabouts,
            mounted,
            options: ours
                .first()
                .map_or(Vec::new(), |line| line.superblock_options.clone()),
            shut_down,
            geometry,
        },
        way_in,
    })
}

fn is_shut_down(path: &str) -> Result<bool, Failure> {
    match file::status(path, true) {
        Ok(_) => Ok(false),
        Err(error) if error.raw_os_error() == Some(libc::EIO) => Ok(true),
        Err(error) => Err(failure(format_args!("statx {path}: {error}"))),
    }
}

/// The mount that a path leads to, as mountinfo numbers it. Nothing of the filesystem is read: a path ends at the root of
/// what is mounted there, which is in core, also after a shutdown.
fn mount_id(path: &str) -> io::Result<u64> {
    let opened = fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH)
        .open(path)?;
    let about = fs::read_to_string(format!("/proc/self/fdinfo/{}", opened.as_raw_fd()))?;
    // "mnt_id:\t35" (`fs/proc/fd.c:seq_show`).
    let number = about.lines().find_map(|line| line.strip_prefix("mnt_id:"));
    number
        .and_then(|number| number.trim().parse().ok())
        .ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))
}

/// Where an XFS on this device is, if it has a superblock; `on_top` is the mount that the mount point leads to.
fn whereabouts(table: &[Line], at: &str, on_top: Option<u64>, device: u32, superblock: bool) -> Whereabouts {
    let ours = || table.iter().filter(|line| line.is_xfs_of(device));
    let there = |line: &&Line| line.place == at && line.root == "/";
    let top = table
        .iter()
        .find(|line| Some(line.id) == on_top && line.place == at);
    match top {
        Some(top) if top.is_xfs_of(device) && top.root == "/" => Whereabouts::Here,
        Some(top) if ours().any(|line| there(&line)) => Whereabouts::Covered(top.mounted.clone()),
        _ if ours().next().is_some() => {
            Whereabouts::Elsewhere(ours().map(|line| line.place.clone()).collect())
        }
        _ if superblock => Whereabouts::Detached,
        _ => Whereabouts::Nowhere,
    }
}

/// A line of mountinfo: "id parent major:minor root mount-point options [tag…] - type source superblock-options"
/// (`Documentation/filesystems/proc.rst`, 3.5).
struct Line {
    id: u64,
    device: u32,
    /// What of the filesystem is mounted.
    root: String,
    place: String,
    mounted: Mounted,
    superblock_options: Vec<String>,
}

impl Line {
    fn parse(line: &str) -> Option<Self> {
        let (own, rest) = line.split_once(" - ")?;
        let mut own = own.split(' ');
        let (id, _parent, device) = (own.next()?, own.next()?, own.next()?);
        let (root, place, options) = (own.next()?, own.next()?, own.next()?);
        let mut rest = rest.split(' ');
        let (kind, source, superblock_options) = (rest.next()?, rest.next()?, rest.next()?);
        let (major, minor) = device.split_once(':')?;
        let list = |options: &str| options.split(',').map(unescaped).collect::<Vec<String>>();
        let superblock_options = list(superblock_options);
        let mut all = list(options);
        for option in &superblock_options {
            if !all.contains(option) {
                all.push(option.clone());
            }
        }
        Some(Self {
            id: id.parse().ok()?,
            device: file::encoded(major.parse().ok()?, minor.parse().ok()?),
            root: unescaped(root),
            place: unescaped(place),
            mounted: Mounted {
                device: unescaped(source),
                kind: kind.to_owned(),
                options: all,
            },
            superblock_options,
        })
    }

    fn is_xfs_of(&self, device: u32) -> bool {
        self.device == device && self.mounted.kind == "xfs"
    }
}

/// Every mount. A line that makes no sense is no mount that may be passed over.
fn lines_of(table: &str) -> Result<Vec<Line>, Failure> {
    let parse = |line| {
        Line::parse(line).ok_or_else(|| failure(format_args!("{MOUNT_INFO}: cannot make sense of `{line}`")))
    };
    table.lines().map(parse).collect()
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

    const TABLE: &str = "21 1 0:19 / / rw - rootfs rootfs rw\n\
                         35 21 259:1 / /mnt rw,relatime shared:1 - xfs /dev/pmem0p1 rw,dax=always\n\
                         36 21 0:25 / /with\\040blank rw - tmpfs none rw\n";
    const DEVICE: u32 = 0x1_0301;

    fn table(more: &str) -> Vec<Line> {
        let text = format!("{TABLE}{more}");
        lines_of(&text).unwrap()
    }

    #[test]
    fn no_line_is_passed_over() {
        assert!(lines_of(&format!("{TABLE}40 35 259:1 / /mnt rw xfs\n")).is_err());
    }

    #[test]
    fn a_mount_is_read_with_the_options_of_both() {
        let table = table("");
        assert_eq!(table.len(), 3);
        let mounted = &table[1].mounted;
        assert_eq!(mounted.options, ["rw", "relatime", "dax=always"]);
        assert_eq!(
            (mounted.device.as_str(), mounted.kind.as_str()),
            ("/dev/pmem0p1", "xfs")
        );
        assert_eq!(table[1].superblock_options, ["rw", "dax=always"]);
        assert_eq!(table[2].place, "/with blank");
    }

    #[test]
    fn a_filesystem_is_where_the_kernel_says() {
        let find = |more: &str, top| whereabouts(&table(more), "/mnt", Some(top), DEVICE, true);
        assert_eq!(find("", 35), Whereabouts::Here);
        // The very same once more on top of itself.
        let again = "40 35 259:1 / /mnt rw - xfs /dev/pmem0p1 rw\n";
        assert_eq!(find(again, 40), Whereabouts::Here);
        // Which of them is on top the path tells, not the order of the lines.
        let other = "40 35 0:30 / /mnt rw - tmpfs none rw\n";
        let Whereabouts::Covered(by) = find(other, 40) else {
            panic!("a tmpfs lies over it");
        };
        assert_eq!(by.kind, "tmpfs");
        assert_eq!(find(other, 35), Whereabouts::Here);
        // A directory of it is not the whole of it.
        let part = "40 35 259:1 /d /mnt rw - xfs /dev/pmem0p1 rw\n";
        assert!(matches!(find(part, 40), Whereabouts::Covered(_)));
    }

    #[test]
    fn a_filesystem_without_its_mount_point_is_there_as_long_as_its_superblock_is() {
        let without = |more: &str| -> Vec<Line> {
            let lines = TABLE.lines().chain(more.lines());
            lines
                .filter(|line| !line.starts_with("35 "))
                .filter_map(Line::parse)
                .collect()
        };
        let find = |more: &str, superblock| whereabouts(&without(more), "/mnt", Some(21), DEVICE, superblock);
        assert_eq!(find("", true), Whereabouts::Detached);
        assert_eq!(find("", false), Whereabouts::Nowhere);
        let bound = "40 21 259:1 / /tmp/m rw - xfs /dev/pmem0p1 rw\n";
        assert_eq!(
            find(bound, true),
            Whereabouts::Elsewhere(vec!["/tmp/m".to_owned()])
        );
        // Whatever else is there in its place, and whatever else is on that device.
        let replaced = "40 21 0:30 / /mnt rw - tmpfs none rw\n";
        assert_eq!(
            whereabouts(&without(replaced), "/mnt", Some(40), DEVICE, false),
            Whereabouts::Nowhere
        );
        let ext4 = "40 21 259:1 / /mnt rw - ext4 /dev/pmem0p1 rw\n";
        assert_eq!(
            whereabouts(&without(ext4), "/mnt", Some(40), DEVICE, false),
            Whereabouts::Nowhere
        );
    }

    #[test]
    fn a_path_tells_its_mount() {
        let table = fs::read_to_string(MOUNT_INFO).unwrap();
        let table = lines_of(&table).unwrap();
        let proc = mount_id("/proc").unwrap();
        assert_eq!(
            table
                .iter()
                .find(|line| line.id == proc)
                .map(|line| line.place.as_str()),
            Some("/proc")
        );
        assert!(mount_id("/this/is/nowhere").is_err());
    }
}
