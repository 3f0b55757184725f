// SPDX-License-Identifier: MIT OR Apache-2.0
//! Changes of files, carried out.

use super::error::{Call, Tried};
use super::files;
use super::sys::file;
use guest_agent::call::{Allocation, Caches, FileChange, SyncHow};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

const DROP_CACHES: &str = "/proc/sys/vm/drop_caches";

/// Files that are held open, by the paths under which they were opened.
#[derive(Default)]
pub(crate) struct Held {
    files: Mutex<BTreeMap<String, File>>,
}

impl Held {
    /// All of them.
    pub(crate) fn files(&self) -> MutexGuard<'_, BTreeMap<String, File>> {
        // Every critical section leaves the map whole, so a panic in one of them is no reason to stop.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hold(&self, path: &str) -> Tried<()> {
        let file = files::open(path)?;
        self.files().insert(path.to_owned(), file);
        Ok(())
    }

    fn let_go(&self, path: &str) -> Tried<()> {
        match self.files().remove(path) {
            Some(_closed) => Ok(()),
            None => Err(io::Error::from_raw_os_error(libc::EBADF)).of("close", path),
        }
    }
}

/// Does one thing.
pub(crate) fn carry_out(change: &FileChange, held: &Held) -> Tried<()> {
    match change {
        FileChange::Create { path } => files::create(path).map(drop),
        FileChange::WriteNew { path, size, fill } => {
            let file = files::create(path)?;
            files::write(&file, path, guest_agent::address::FileOffset(0), *size, *fill)?;
            files::sync(&file, path)
        }
        FileChange::Write {
            path,
            offset,
            length,
            fill,
            direct,
            sync,
        } => {
            let file = files::open_to_write(path, *direct)?;
            files::write(&file, path, *offset, *length, *fill)?;
            if *sync { files::sync(&file, path) } else { Ok(()) }
        }
        FileChange::Fragment { path, extents, fill } => files::fragment(path, *extents, *fill),
        FileChange::Truncate { path, size } => {
            let length = i64::try_from(*size)
                .map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))
                .of("truncate", path)?;
            nix::unistd::truncate(path.as_str(), length).of("truncate", path)
        }
        FileChange::Allocate {
            path,
            mode,
            offset,
            length,
        } => {
            let file = files::open_to_write(path, false)?;
            file::allocate(file.as_fd(), mode_of(*mode), offset.0, *length).of("fallocate", path)
        }
        FileChange::Sync { path, how } => sync(path, *how, held),
        FileChange::Rename { from, to } => fs::rename(from, to).of("rename", format_args!("{from} to {to}")),
        FileChange::Link { from, to } => fs::hard_link(from, to).of("link", format_args!("{from} to {to}")),
        FileChange::Unlink { path } => fs::remove_file(path).of("unlink", path),
        FileChange::MakeDirectory { path } => fs::create_dir(path).of("mkdir", path),
        FileChange::RemoveDirectory { path } => fs::remove_dir(path).of("rmdir", path),
        FileChange::Symlink { path, target } => std::os::unix::fs::symlink(target, path).of("symlink", path),
        FileChange::SetXattr {
            path,
            name,
            size,
            fill,
        } => file::set_xattr(path, name, &vec![*fill; *size as usize])
            .of("setxattr", format_args!("{path} {name}")),
        FileChange::RemoveXattr { path, name } => {
            file::remove_xattr(path, name).of("removexattr", format_args!("{path} {name}"))
        }
        FileChange::Reflink { from, to } => {
            let source = files::open(from)?;
            let target = files::create(to)?;
            file::clone_file(source.as_fd(), target.as_fd()).of("FICLONE", format_args!("{from} to {to}"))?;
            files::sync(&target, to)
        }
        FileChange::ReflinkRange(ranges) => files::clone_range(ranges),
        FileChange::Exchange { file, with } => files::exchange(file, with),
        FileChange::SetFlags { path, flags } => files::set_flags(path, *flags),
        FileChange::DropCaches { what } => {
            let word = match what {
                Caches::Pages => "1",
                Caches::Inodes => "2",
                Caches::Both => "3",
            };
            fs::write(DROP_CACHES, word).of("write", DROP_CACHES)
        }
        FileChange::Hold { path } => held.hold(path),
        FileChange::LetGo { path } => held.let_go(path),
    }
}

const fn mode_of(mode: Allocation) -> libc::c_int {
    match mode {
        Allocation::Extend => 0,
        Allocation::KeepSize => libc::FALLOC_FL_KEEP_SIZE,
        Allocation::Punch => libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE,
        Allocation::Zero => libc::FALLOC_FL_ZERO_RANGE,
        Allocation::Collapse => libc::FALLOC_FL_COLLAPSE_RANGE,
        Allocation::Insert => libc::FALLOC_FL_INSERT_RANGE,
        Allocation::Unshare => libc::FALLOC_FL_UNSHARE_RANGE,
    }
}

/// A file that is held is written back through the descriptor that holds it: after a shutdown none can be opened.
fn sync(path: &str, how: SyncHow, held: &Held) -> Tried<()> {
    if how == SyncHow::Everything {
        nix::unistd::sync();
        return Ok(());
    }
    let already = held
        .files()
        .get(path)
        .map(File::try_clone)
        .transpose()
        .of("dup", path)?;
    let file = match already {
        Some(file) => file,
        None => files::open(path)?,
    };
    match how {
        SyncHow::Data => file.sync_data().of("fdatasync", path),
        SyncHow::Filesystem => file::sync_filesystem(file.as_fd()).of("syncfs", path),
        SyncHow::File | SyncHow::Everything => files::sync(&file, path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_let_go_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap().to_owned();
        let held = Held::default();
        let opening = FileChange::Hold { path: path.clone() };
        let let_go = FileChange::LetGo { path: path.clone() };
        carry_out(&opening, &held).unwrap();
        assert!(held.files().contains_key(&path));
        carry_out(&let_go, &held).unwrap();
        let refusal = carry_out(&let_go, &held).unwrap_err().refusal().unwrap();
        assert_eq!(
            (refusal.errno, refusal.what),
            (libc::EBADF, format!("close {path}"))
        );
    }
}
