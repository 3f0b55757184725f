// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mounts: made, changed, ended, and what the filesystem below them is.

use super::{Outcome, calls};
use crate::address::{FileOffset, FsOffset};
use serde::{Deserialize, Serialize};

/// Something that is done to a mount that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum MountChange {
    /// mount(2) with `MS_REMOUNT`. Options as in [`Mount`]; flags that are not named are given up, so a remount without
    /// `ro` is one with `rw`.
    Remount {
        /// Comma separated.
        options: String,
    },
    /// ioctl(FIFREEZE).
    Freeze,
    /// ioctl(FITHAW).
    Thaw,
    /// ioctl(XFS_IOC_GOINGDOWN): shuts the filesystem down.
    ShutDown(GoingDown),
}

/// What becomes of the log at a shutdown (`fs/xfs/xfs_fsops.c:xfs_fs_goingdown`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GoingDown {
    /// `XFS_FSOP_GOING_FLAGS_DEFAULT`: the filesystem is frozen before, so everything is written back.
    Default,
    /// `XFS_FSOP_GOING_FLAGS_LOGFLUSH`: the log is.
    LogFlush,
    /// `XFS_FSOP_GOING_FLAGS_NOLOGFLUSH`: nothing is.
    NoLogFlush,
}

/// A block device, as the kernel names it where it tells of superblocks and mounts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockDevice {
    /// Its number, as GETFSMAP has it (`include/linux/kdev_t.h:new_encode_dev`).
    pub number: u32,
    /// Its name, `pmem0p1` or `dm-0`: what a superblock on it is called by (`s_id`, `fs/super.c:setup_bdev_super`).
    pub name: String,
}

/// Where the XFS on a device is, as seen from a mount point. What holds a DAX device, and is told of its errors, is the
/// superblock, wherever it is mounted (`fs/xfs/xfs_buf.c:xfs_alloc_buftarg`, `fs_dax_get_by_bdev`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whereabouts {
    /// No superblock of XFS is on the device.
    Nowhere,
    /// There is a superblock (`/sys/fs/xfs/NAME`, which `fs/xfs/xfs_mount.c:xfs_mountfs` makes and `xfs_unmountfs` takes away),
    /// and no mount of it: it was detached (`umount -l`) and something has it still open or mapped. One that is mounted in another
    /// mount namespace looks the same.
    Detached,
    /// It is mounted at these places; none of them is the mount point.
    Elsewhere(Vec<String>),
    /// It is mounted at the mount point, and this one lies over it there.
    Covered(Mounted),
    /// It is what one finds at the mount point.
    Here,
}

/// Answer to [`AskMount`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountState {
    /// Where the filesystem of the device is.
    pub whereabouts: Whereabouts,
    /// What is mounted at the mount point, whatever that is; of several the one on top.
    pub mounted: Option<Mounted>,
    /// The options of the filesystem of the device, wherever it is mounted; none where it is nowhere, or detached.
    pub options: Vec<String>,
    /// Whether that filesystem is shut down: XFS answers statx(2) of any inode with EIO then
    /// (`fs/xfs/xfs_iops.c:xfs_vn_getattr`), without touching memory or disk. `None` when there is nothing by which it could be
    /// asked: it is nowhere, or detached and neither a victim nor the agent has a file of it.
    pub shut_down: Option<bool>,
    /// XFS_IOC_FSGEOMETRY; `None` when it is nowhere, cannot be reached, or is shut down (nothing can be opened then).
    pub geometry: Option<Geometry>,
}

/// A mount, as /proc/self/mountinfo has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mounted {
    /// The device.
    pub device: String,
    /// The filesystem's name.
    pub kind: String,
    /// All options that are in force, as the kernel spells them: the mount's own, then the filesystem's.
    pub options: Vec<String>,
}

/// The shape of an XFS (`fs/xfs/libxfs/xfs_fs.h:xfs_fsop_geom`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Geometry {
    /// Bytes.
    pub block_size: u32,
    /// Bytes.
    pub sector_size: u32,
    /// Bytes.
    pub inode_size: u32,
    /// Blocks of an allocation group (the last one may be shorter).
    pub ag_blocks: u32,
    /// Allocation groups.
    pub ag_count: u32,
    /// Blocks of the data device.
    pub data_blocks: u64,
    /// Blocks of the realtime device; 0: none.
    pub realtime_blocks: u64,
    /// Blocks of the log.
    pub log_blocks: u32,
    /// Whether the log lies on the data device.
    pub log_internal: bool,
    /// `XFS_FSOP_GEOM_FLAGS_RMAPBT`.
    pub rmapbt: bool,
    /// `XFS_FSOP_GEOM_FLAGS_REFLINK`.
    pub reflink: bool,
    /// All of `flags`.
    pub flags: u32,
}

/// EAGAIN: what refuses GETFSMAP where it would wait for a device that is suspended. The kernel itself never says so.
pub const WOULD_WAIT: i32 = 11;

/// Answer to [`SpaceMap`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    /// Bytes.
    pub block_size: u32,
    /// Blocks of an allocation group (the last one may be shorter).
    pub ag_blocks: u32,
    /// Allocation groups.
    pub ag_count: u32,
    /// All records, in device order. A block that several files share has a record for each. 6.1 leaves the very last
    /// block of the device out when it is free (seen on 6.1.192).
    pub records: Vec<SpaceRecord>,
}

/// One record of GETFSMAP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "flags that the kernel sets independently"
)]
pub struct SpaceRecord {
    /// Its first byte on the data device.
    pub start: FsOffset,
    /// Bytes.
    pub length: u64,
    /// Who owns it.
    pub owner: SpaceOwner,
    /// The attribute fork of an inode.
    pub attribute_fork: bool,
    /// A block of an inode's extent map (bmbt).
    pub extent_map: bool,
    /// Allocated but unwritten.
    pub unwritten: bool,
    /// Shared by several owners (`FMR_OF_SHARED`).
    pub shared: bool,
}

/// An owner as `<linux/fsmap.h>` and `fs/xfs/libxfs/xfs_fs.h` number them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SpaceOwner {
    /// `XFS_FMR_OWN_FREE`.
    Free,
    /// `FMR_OWN_UNKNOWN`: in use, and a filesystem without rmapbt does not know by whom.
    Unknown,
    /// `XFS_FMR_OWN_FS`: superblock, AGF, AGI, AGFL.
    AgHeader,
    /// `XFS_FMR_OWN_LOG`.
    Log,
    /// `XFS_FMR_OWN_AG`: free-space btrees, rmapbt, AGFL blocks.
    AgBtree,
    /// `XFS_FMR_OWN_INOBT`.
    InodeBtree,
    /// `XFS_FMR_OWN_INODES`.
    InodeChunk,
    /// `XFS_FMR_OWN_REFC`.
    RefcountBtree,
    /// `XFS_FMR_OWN_COW`: copy-on-write staging.
    CowStaging,
    /// A file, directory or symlink. Directory blocks and the blocks of a remote symlink are data of that inode.
    Inode {
        /// Its number.
        number: u64,
        /// The byte of the fork at which the record begins. Of an extent map block it means nothing. Directories keep
        /// their leaf blocks from 32 GiB on (`XFS_DIR2_LEAF_OFFSET`), and their free index from 64 GiB on.
        offset: FileOffset,
    },
    /// Anything else that the kernel names.
    Other(u64),
}

/// The hidden inodes of quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuotaInodes {
    /// Of users.
    pub user: Option<u64>,
    /// Of groups.
    pub group: Option<u64>,
    /// Of projects.
    pub project: Option<u64>,
}

calls! {
    /// What is done to mounts, and asked of them.
    enum MountCall;

    /// mount(2).
    Mount("mount") -> Outcome<()> {
        /// The device, `/dev/pmem0`.
        device: String,
        /// The directory; made if it is not there.
        at: String,
        /// The filesystem's name.
        kind: String,
        /// The options, comma separated, as one gives them to mount(8): those that are flags of mount(2) (`ro`, `sync`,
        /// `noatime`, …) become flags, the others go to the filesystem.
        options: String,
    }

    /// umount2(2) without flags.
    Unmount("unmount") -> Outcome<()> {
        /// The directory.
        at: String,
    }

    /// Does something to a mount that stays.
    ChangeMount("change-mount") -> Outcome<()> {
        /// The mount point.
        at: String,
        /// What.
        change: MountChange,
    }

    /// Which block device is this? Refused with ENOTBLK when the path leads to none.
    AskBlockDevice("ask-block-device") -> Outcome<BlockDevice> {
        /// `/dev/pmem0`, `/dev/mapper/…`.
        path: String,
    }

    /// Where is the filesystem of this device, and how is it mounted?
    AskMount("ask-mount") -> MountState {
        /// The mount point.
        at: String,
        /// The device; `None`: there is none that could hold a filesystem.
        device: Option<BlockDevice>,
    }

    /// Who owns which piece of the filesystem: geometry and all of GETFSMAP. Refused with [`WOULD_WAIT`] while the device below is
    /// suspended.
    SpaceMap("space-map") -> Outcome<Space> {
        /// The mount point.
        at: String,
    }

    /// quotactl(Q_XGETQSTATV): which inodes hold the quota. Refused with ENOSYS or ESRCH when quota is off.
    AskQuota("ask-quota") -> Outcome<QuotaInodes> {
        /// The device, `/dev/pmem0`.
        device: String,
    }
}
