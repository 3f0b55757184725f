// SPDX-License-Identifier: MIT OR Apache-2.0
//! The files that are a guest's memory.
//!
//! RAM and memory devices are files that QEMU maps. A fresh guest's have no name in any directory: they live exactly as long as
//! somebody has them open, so that not even SIGKILL of everybody leaves one behind. Files *with* a name, opened
//! [`Sharing::Private`], are how clones of a saved guest will get theirs.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use nix::sys::statfs::{TMPFS_MAGIC, statfs};

use super::device::MemoryDevice;
use super::machine::{Machine, Mebibytes};

/// Whether what the guest writes reaches the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Writes go to the file: a guest that may become a template.
    Shared,
    /// Writes stay in QEMU, copy on write, and end with it: a clone. QEMU opens the file for writing all the same.
    Private,
    /// Like [`Sharing::Private`], and QEMU opens the file for reading only. From QEMU 8.2 on; see
    /// [`Cloning::sealed`](super::Cloning::sealed).
    Sealed,
}

/// An open file that is, or will be, a piece of guest memory.
#[derive(Debug)]
pub struct MemoryFile {
    file: File,
    size: Mebibytes,
    sharing: Sharing,
}

impl MemoryFile {
    /// A new sparse file without a name in `directory`, shared.
    pub fn unnamed(directory: &Path, size: Mebibytes) -> Result<Self, MemoryError> {
        let make = || {
            let file = tempfile::tempfile_in(directory)?;
            file.set_len(size.bytes())?;
            Ok(file)
        };
        let file = make().map_err(|source| MemoryError::Create {
            size,
            directory: directory.to_owned(),
            source,
        })?;
        Ok(Self {
            file,
            size,
            sharing: Sharing::Shared,
        })
    }

    /// An existing file, which must hold exactly `size`.
    pub fn open(path: &Path, size: Mebibytes, sharing: Sharing) -> Result<Self, MemoryError> {
        let open = || {
            // A private mapping only needs to read; what QEMU does with its own handle is up to the backend's options.
            let file = OpenOptions::new()
                .read(true)
                .write(sharing == Sharing::Shared)
                .open(path)?;
            let length = file.metadata()?.len();
            Ok((file, length))
        };
        let (file, actual) = open().map_err(|source| MemoryError::Open {
            path: path.to_owned(),
            source,
        })?;
        if actual != size.bytes() {
            return Err(MemoryError::WrongSize {
                path: path.to_owned(),
                expected: size.bytes(),
                actual,
            });
        }
        Ok(Self { file, size, sharing })
    }

    /// The file; reading it shows the guest's memory as long as it is [`Sharing::Shared`].
    pub fn file(&self) -> &File {
        &self.file
    }

    /// What it can hold.
    pub fn size(&self) -> Mebibytes {
        self.size
    }

    /// Whether the guest's writes reach it.
    pub fn sharing(&self) -> Sharing {
        self.sharing
    }
}

impl AsFd for MemoryFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// All memory of one guest.
#[derive(Debug)]
pub struct GuestMemory {
    /// Ordinary memory.
    pub ram: MemoryFile,
    /// As in [`Machine::devices`].
    pub devices: Vec<MemoryFile>,
    /// Where it was put and why there, for people.
    pub place: String,
}

impl GuestMemory {
    /// Fresh, empty memory for `machine`: in /dev/shm if there is room for all of it, else in the directory for
    /// temporary files.
    ///
    /// Files are sparse, so room is looked for but not taken; guests started together must be counted by whoever starts
    /// them. Without any check, a guest that outgrows its file system dies of SIGBUS in mid-run.
    pub fn create(machine: &Machine) -> Result<Self, MemoryError> {
        Self::create_in(machine, &places())
    }

    /// Where a machine of this [footprint](Machine::footprint), in bytes, would have its memory now, and why there.
    /// Makes nothing; fails if there is no room.
    pub fn place_for(footprint: u64) -> Result<String, MemoryError> {
        let rooms: Vec<Room> = places().iter().map(|directory| Room::look(directory)).collect();
        choose(footprint, &rooms).map(|(_, place)| place)
    }

    /// Like [`GuestMemory::create`], in the first of `directories` that has room.
    pub fn create_in(machine: &Machine, directories: &[PathBuf]) -> Result<Self, MemoryError> {
        let rooms: Vec<Room> = directories
            .iter()
            .map(|directory| Room::look(directory))
            .collect();
        let (directory, place) = choose(machine.footprint(), &rooms)?;
        let devices = machine
            .devices
            .iter()
            .map(|device| MemoryFile::unnamed(directory, device.footprint()))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            ram: MemoryFile::unnamed(directory, machine.memory)?,
            devices,
            place,
        })
    }

    /// Whether it has the shape that `machine` asks for.
    pub fn check(&self, machine: &Machine) -> Result<(), MemoryError> {
        let sizes = self.devices.iter().map(MemoryFile::size);
        let wanted = machine.devices.iter().map(MemoryDevice::footprint);
        if self.ram.size() == machine.memory && sizes.eq(wanted) {
            Ok(())
        } else {
            Err(MemoryError::Mismatch)
        }
    }
}

/// Where guest memory may be put, the better place first.
fn places() -> [PathBuf; 2] {
    [PathBuf::from("/dev/shm"), env::temp_dir()]
}

/// A directory that could hold guest memory.
#[derive(Debug)]
struct Room {
    directory: PathBuf,
    free: io::Result<u64>,
}

impl Room {
    fn look(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            free: free_bytes(directory),
        }
    }
}

/// Bytes that can be written below `directory`. What a tmpfs says of itself is a quota, not memory that exists, so there
/// it is at most what the kernel calls available.
pub(crate) fn free_bytes(directory: &Path) -> io::Result<u64> {
    let stat = statfs(directory)?;
    let block = u64::try_from(stat.block_size()).unwrap_or(0);
    let quota = stat.blocks_available().saturating_mul(block);
    if stat.filesystem_type() != TMPFS_MAGIC {
        return Ok(quota);
    }
    Ok(available_memory(&fs::read_to_string("/proc/meminfo")?).map_or(quota, |memory| memory.min(quota)))
}

/// `MemAvailable` of /proc/meminfo in bytes; that file counts in KiB.
fn available_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// The first room with `needed` bytes, and a sentence that names it.
fn choose(needed: u64, rooms: &[Room]) -> Result<(&Path, String), MemoryError> {
    let mut refused = Vec::new();
    for room in rooms {
        let name = room.directory.display();
        match &room.free {
            Ok(free) if *free >= needed => {
                let mut place = format!("guest memory is in {name} ({} MiB free)", free >> 20);
                if !refused.is_empty() {
                    place.push_str("; not used: ");
                    place.push_str(&refused.join(", "));
                }
                return Ok((&room.directory, place));
            }
            Ok(free) => refused.push(format!("{name} has {} MiB", free >> 20)),
            Err(error) => refused.push(format!("{name}: {error}")),
        }
    }
    Err(MemoryError::NoRoom {
        needed: needed.div_ceil(1 << 20),
        rooms: refused.join(", "),
    })
}

/// Guest memory that could not be had.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// Too little room everywhere.
    #[error(
        "the guest's memory needs {needed} MiB, but {rooms}; free some, run fewer guests at once, \
         or point TMPDIR to a directory with room"
    )]
    NoRoom {
        /// MiB needed.
        needed: u64,
        /// What each candidate has.
        rooms: String,
    },
    /// A file could not be made.
    #[error("cannot create a file of {size} for guest memory in {directory}")]
    Create {
        /// How large.
        size: Mebibytes,
        /// Where.
        directory: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file could not be opened.
    #[error("cannot open the guest memory file {path}")]
    Open {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file that is not the one meant, or was cut short.
    #[error("the guest memory file {path} has {actual} bytes instead of {expected}")]
    WrongSize {
        /// Which.
        path: PathBuf,
        /// Bytes it should have.
        expected: u64,
        /// Bytes it has.
        actual: u64,
    },
    /// Files for another machine.
    #[error("the memory files do not fit the machine: another amount of RAM, or other NVDIMMs")]
    Mismatch,
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt, MetadataExt};

    use super::*;

    fn room(directory: &str, free: io::Result<u64>) -> Room {
        Room {
            directory: directory.into(),
            free,
        }
    }

    #[test]
    fn the_first_room_that_is_large_enough_wins_and_says_why() {
        let rooms = [room("/small", Ok(64 << 20)), room("/large", Ok(4 << 30))];
        let (directory, place) = choose(1 << 30, &rooms).unwrap();
        assert_eq!(directory, Path::new("/large"));
        assert_eq!(
            place,
            "guest memory is in /large (4096 MiB free); not used: /small has 64 MiB"
        );
    }

    #[test]
    fn no_room_names_the_need_and_every_candidate() {
        let rooms = [
            room("/small", Ok(64 << 20)),
            room("/gone", Err(io::ErrorKind::NotFound.into())),
        ];
        let message = choose(1282 << 20, &rooms).unwrap_err().to_string();
        assert!(message.starts_with("the guest's memory needs 1282 MiB, but /small has 64 MiB, /gone: "));
    }

    #[test]
    fn meminfo_counts_in_kib() {
        assert_eq!(
            available_memory("MemTotal: 9 kB\nMemAvailable:   2048 kB\n"),
            Some(2 << 20)
        );
        assert_eq!(available_memory("MemTotal: 9 kB\n"), None);
    }

    #[test]
    fn unnamed_files_are_sparse_and_named_nowhere() {
        let directory = tempfile::tempdir().unwrap();
        let memory = MemoryFile::unnamed(directory.path(), Mebibytes(8)).unwrap();
        let metadata = memory.file().metadata().unwrap();
        assert_eq!(
            (metadata.len(), metadata.nlink(), metadata.blocks()),
            (8 << 20, 0, 0)
        );
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_private_file_cannot_be_written_and_its_size_is_checked() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ram");
        File::create(&path).unwrap().set_len(1 << 20).unwrap();
        let clone = MemoryFile::open(&path, Mebibytes(1), Sharing::Private).unwrap();
        assert!(clone.file().write_at(b"x", 0).is_err());
        let error = MemoryFile::open(&path, Mebibytes(2), Sharing::Private).unwrap_err();
        assert!(matches!(
            error,
            MemoryError::WrongSize {
                expected: 2_097_152,
                actual: 1_048_576,
                ..
            }
        ));
    }
}
