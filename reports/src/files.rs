// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files that are there whole, or not at all.

use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::Error;

/// Puts bytes into a file so that nobody, at any moment, sees a part of them: they go to a file of another name
/// beside it, reach the disk, and only then take the name. Folders that are missing on the way are made.
///
/// Fails with [`Error::DiskFull`] or [`Error::Write`]; whatever had the name before has it still.
pub fn write_atomically(path: impl AsRef<Path>, bytes: &[u8]) -> Result<(), Error> {
    let path = path.as_ref();
    write(path, bytes).map_err(|source| Error::writing(path, source))
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // The parent of a bare file name is the empty path, which no system call accepts.
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs::create_dir_all(folder)?;
    // A rename works inside one filesystem only, hence the same folder. A report is for everybody, so the umask
    // decides about it, not tempfile's habit of keeping things private.
    let mut file = tempfile::Builder::new()
        .prefix(".taster-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_folder(folder)
}

/// Makes the rename last. Some filesystems (FUSE, network) do not know how to sync a folder; the file's bytes are safe
/// there, and that is all they offer.
fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder)?.sync_all() {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::ErrorKind;

    use super::{PermissionsExt, write_atomically};
    use crate::Error;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/report.json");
        write_atomically(&path, b"first, and longer").unwrap();
        write_atomically(&path, b"second").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn who_may_read_it_is_up_to_the_umask() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, plain) = (folder.path().join("ours"), folder.path().join("plain"));
        write_atomically(&ours, b"").unwrap();
        fs::write(&plain, b"").unwrap();
        let mode = |path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(ours), mode(plain));
    }

    #[test]
    fn a_failure_names_the_file_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        let error = write_atomically(&taken, b"bytes").unwrap_err();
        assert!(matches!(error, Error::Write { .. }), "{error:?}");
        assert_eq!(error.to_string(), format!("cannot write {}", taken.display()));
        assert!(std::error::Error::source(&error).is_some());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        // A file where a folder is needed.
        fs::write(folder.path().join("file"), b"").unwrap();
        assert!(write_atomically(folder.path().join("file/report.json"), b"").is_err());
    }

    #[test]
    fn a_full_disk_is_called_one() {
        for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
            let error = Error::writing("out/report.json".as_ref(), kind.into());
            assert!(matches!(error, Error::DiskFull { .. }), "{error:?}");
        }
    }
}
