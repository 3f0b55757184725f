// SPDX-License-Identifier: MIT OR Apache-2.0
//! The source of a kernel that is known by name, as its distribution builds it.

use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::cache::{Cache, remove};
use crate::child;
use crate::error::{Error, IoContext};
use crate::kernel::catalogue::Catalogue;
use crate::packages::{self, Purpose, Wanted, newest_first};
use crate::progress::{Progress, piece_of_work};

/// What an unpacked source takes, in bytes.
const SPACE: u64 = 2 << 30;

/// The kernels whose source can be asked for by name.
pub fn sources_known() -> Result<Vec<String>, Error> {
    Ok(Catalogue::built_in()?
        .sources()
        .map(|(name, _)| name.to_owned())
        .collect())
}

/// Unpacks the source of the kernel `name` as `folder`, fetching it first if need be.
///
/// A folder that is there already is left as it is: somebody may be working in it.
pub fn fetch_source(name: &str, folder: &Path, cache: &Cache, progress: &dyn Progress) -> Result<(), Error> {
    let catalogue = Catalogue::built_in()?;
    let recipe = catalogue.find(name).ok_or_else(|| catalogue.unknown(name))?;
    let package = recipe.source.as_deref().ok_or_else(|| Error::NoPackage {
        wanted: format!("source of {name}"),
        suites: "the suites it comes from".to_owned(),
        why: format!(
            "there is source for {}; take one of these, or name a tree (--tree DIR)",
            catalogue
                .sources()
                .map(|(name, _)| name)
                .collect::<Vec<_>>()
                .join(", ")
        ),
    })?;
    if folder.exists() {
        return Ok(());
    }
    let wanted = Wanted {
        pin: format!("source-{name}"),
        purpose: Purpose {
            what: format!("the source of {name}"),
            instead: "name a source tree (--tree DIR)".to_owned(),
        },
        suites: &recipe.suites,
        resolve: &|repository| {
            let mut found = repository.packages(|candidate| candidate == package)?;
            newest_first(&mut found);
            found.truncate(1);
            if found.is_empty() {
                return Err(Error::NoPackage {
                    wanted: package.to_owned(),
                    suites: repository.suites().to_owned(),
                    why: "nothing like it is in the index; name a source tree (--tree DIR)".to_owned(),
                });
            }
            Ok(found)
        },
    };
    let files = packages::files(&wanted, cache, progress)?;
    piece_of_work(
        progress,
        "unpack",
        &format!("unpack the source of {name}"),
        || {
            cache.require_space(SPACE)?;
            let parent = folder.parent().unwrap_or(Path::new("."));
            fs::create_dir_all(parent).during("create", parent)?;
            // Whole or not there at all: half a source would be taken for one that somebody works in.
            let partial = folder.with_extension("partial");
            remove(&partial)?;
            files.iter().try_for_each(|file| unpack(file, &partial))?;
            fs::rename(&partial, folder).during("rename into place", folder)
        },
    )
}

/// The package holds one archive, which holds one folder, which holds the source.
fn unpack(package: &Path, into: &Path) -> Result<(), Error> {
    let mut command = child::command("dpkg-deb");
    command.env("LC_ALL", "C").arg("--fsys-tarfile").arg(package);
    let mut found = false;
    let (status, tail) = child::stream(&mut command, |pipe| {
        for entry in tar::Archive::new(pipe).entries()? {
            let entry = entry?;
            if entry.path()?.to_string_lossy().ends_with(".tar.xz") {
                found = true;
                // Reads ahead of what the outer archive gives it are harmless: an entry ends where it says.
                without_first_folder(liblzma::read::XzDecoder::new(entry), into)?;
            }
        }
        Ok(())
    })?;
    if !status.success() {
        return Err(child::failed(
            &command,
            "unpacking a source package",
            status,
            tail,
        ));
    }
    if found {
        Ok(())
    } else {
        Err(Error::BadPackage {
            package: package.display().to_string(),
            why: "it holds no .tar.xz".to_owned(),
        })
    }
}

fn without_first_folder(archive: impl std::io::Read, into: &Path) -> std::io::Result<()> {
    let mut archive = tar::Archive::new(archive);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let parts: Vec<_> = path
            .components()
            .filter(|part| !matches!(part, Component::CurDir))
            .collect();
        // A name that leads out of the folder is none of a source.
        if parts.iter().any(|part| !matches!(part, Component::Normal(_))) {
            continue;
        }
        let inside: PathBuf = parts.iter().skip(1).collect();
        if inside.as_os_str().is_empty() {
            continue;
        }
        let target = into.join(inside);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        entry.unpack(&target)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_folder_is_left_out() {
        let mut builder = tar::Builder::new(Vec::new());
        for (path, content) in [
            ("linux-source-6.12/mm/x.c", "int x;"),
            ("linux-source-6.12/Makefile", "all:"),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            header.set_mode(0o644);
            builder
                .append_data(&mut header, path, content.as_bytes())
                .unwrap();
        }
        let archive = builder.into_inner().unwrap();
        let folder = tempfile::tempdir().unwrap();
        without_first_folder(archive.as_slice(), folder.path()).unwrap();
        assert_eq!(
            fs::read_to_string(folder.path().join("mm/x.c")).unwrap(),
            "int x;"
        );
        assert!(folder.path().join("Makefile").is_file());
    }

    #[test]
    fn a_source_that_is_there_is_left_alone_and_an_unknown_one_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(folder.path().join("cache"))).unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir(&tree).unwrap();
        fetch_source("debian-6.12", &tree, &cache, &crate::progress::Silent).unwrap();
        assert_eq!(fs::read_dir(&tree).unwrap().count(), 0);
        let refused = |name| {
            fetch_source(name, &tree, &cache, &crate::progress::Silent)
                .unwrap_err()
                .to_string()
        };
        assert!(
            refused("debian-6.13").contains("did you mean"),
            "{}",
            refused("debian-6.13")
        );
        assert!(
            refused("debian-6.18").contains("debian-6.12"),
            "{}",
            refused("debian-6.18")
        );
        assert!(sources_known().unwrap().contains(&"debian-6.12".to_owned()));
    }
}
