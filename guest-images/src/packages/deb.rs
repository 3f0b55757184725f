// SPDX-License-Identifier: MIT OR Apache-2.0
//! Unpacking the files of a package, without installing it.

use std::path::{Component, Path};

use crate::child;
use crate::error::{Error, IoContext};

/// Unpacks those files of a package whose path (without a leading `./` or `/`) passes `wanted`.
pub(crate) fn unpack(package: &Path, into: &Path, wanted: impl Fn(&Path) -> bool) -> Result<(), Error> {
    let mut command = child::command("dpkg-deb");
    command.env("LC_ALL", "C").arg("--fsys-tarfile").arg(package);
    let mut failure = None;
    let (status, tail) = child::stream(&mut command, |pipe| {
        let mut archive = tar::Archive::new(pipe);
        archive.set_preserve_mtime(false);
        for entry in archive.entries()? {
            let mut entry = entry?;
            let path = entry.path()?.into_owned();
            let inside: std::path::PathBuf = path
                .components()
                .filter(|part| matches!(part, Component::Normal(_)))
                .collect();
            // Parents are made as needed; an entry for each would keep modes that could shut us out.
            if entry.header().entry_type().is_dir() || !wanted(&inside) {
                continue;
            }
            if let Err(error) = entry.unpack_in(into) {
                failure.get_or_insert((into.join(inside), error));
            }
        }
        Ok(())
    })?;
    if let Some((path, error)) = failure {
        // tar wraps the reason in an error of kind Other; a full disk shall be seen as one.
        let full = error.to_string().contains("No space left") || has_full_disk(&error);
        return Err(if full {
            Error::NoSpace { path }
        } else {
            Error::io("unpack", path, error)
        });
    }
    if status.success() {
        Ok(())
    } else {
        Err(child::failed(&command, "unpacking a package", status, tail))
    }
}

fn has_full_disk(error: &std::io::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(io) = current.downcast_ref::<std::io::Error>()
            && io.kind() == std::io::ErrorKind::StorageFull
        {
            return true;
        }
        cause = current.source();
    }
    false
}

/// Unpacks several packages on top of each other.
pub(crate) fn unpack_all<'a>(
    packages: impl IntoIterator<Item = &'a Path>,
    into: &Path,
    wanted: impl Fn(&Path) -> bool + Copy,
) -> Result<(), Error> {
    std::fs::create_dir_all(into).during("create", into)?;
    packages
        .into_iter()
        .try_for_each(|package| unpack(package, into, wanted))
}
