// SPDX-License-Identifier: MIT OR Apache-2.0
//! Unpacking the files of a package, without installing it.

use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use crate::child;
use crate::error::{Error, IoContext};

/// Unpacks those files of a package whose path (without a leading `./` or `/`) passes `wanted`.
pub(crate) fn unpack(package: &Path, into: &Path, wanted: impl Fn(&Path) -> bool) -> Result<(), Error> {
    let mut command = child::command("dpkg-deb");
    command.env("LC_ALL", "C").arg("--fsys-tarfile").arg(package);
    let mut failure = None;
    let mut unreadable = None;
    let (status, tail) = child::stream(&mut command, |pipe| {
        // Why there is no more of it, dpkg-deb itself knows best.
        unreadable = take_out(pipe, into, &wanted, &mut failure).err();
        Ok(())
    })?;
    // tar wraps the reason in an error of kind Other; a full disk shall be seen as one.
    let is_full = |error: &io::Error| error.to_string().contains("No space left") || has_full_disk(error);
    match (failure, unreadable) {
        (Some((path, error)), _) if is_full(&error) => Err(Error::NoSpace { path }),
        // It says what is wrong with the package; what came of that here says less. Without an exit code it was ended by us.
        _ if status.code().is_some_and(|code| code != 0) => {
            Err(child::failed(&command, "unpacking a package", status, tail))
        }
        (Some((path, error)), _) => Err(Error::io("unpack", path, error)),
        (None, Some(error)) => Err(Error::io("unpack", package, error)),
        (None, None) if status.success() => Ok(()),
        (None, None) => Err(child::failed(&command, "unpacking a package", status, tail)),
    }
}

/// Unpacks the files that are wanted; the first one that could not be written is `failure`. Fails where the archive breaks off.
fn take_out(
    archive: &mut dyn Read,
    into: &Path,
    wanted: impl Fn(&Path) -> bool,
    failure: &mut Option<(PathBuf, io::Error)>,
) -> io::Result<()> {
    let mut archive = tar::Archive::new(archive);
    archive.set_preserve_mtime(false);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let inside: PathBuf = path
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_damaged_package_is_named_with_what_is_wrong_with_it() {
        let place = tempfile::tempdir().unwrap();
        let path = |name: &str| place.path().join(name);
        fs::create_dir_all(path("tree/DEBIAN")).unwrap();
        fs::write(
            path("tree/DEBIAN/control"),
            "Package: a\nVersion: 1\nArchitecture: all\nMaintainer: a <a@example.org>\nDescription: a\n",
        )
        .unwrap();
        // Something that no compression makes small.
        let noise = std::iter::successors(Some(1_u32), |n| {
            Some(n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223))
        });
        let noise: Vec<u8> = noise.map(|n| n.to_be_bytes()[0]).take(1 << 18).collect();
        fs::write(path("tree/noise"), noise).unwrap();
        let package = path("damaged.deb");
        let mut build = child::command("dpkg-deb");
        build.arg("--build").arg(path("tree")).arg(&package);
        child::run_ok(&mut build, "building a package").unwrap();
        let unpacked = |name: &str| unpack_all([package.as_path()], &path(name), |_| true);
        unpacked("whole").unwrap();
        assert_eq!(fs::metadata(path("whole/noise")).unwrap().len(), 1 << 18);

        let mut bytes = fs::read(&package).unwrap();
        let middle = bytes.len() / 2;
        for byte in &mut bytes[middle..middle + 4096] {
            *byte = !*byte;
        }
        fs::write(&package, bytes).unwrap();
        let error = unpacked("half").unwrap_err().to_string();
        assert!(error.contains("damaged.deb"), "{error}");
    }
}
