// SPDX-License-Identifier: MIT OR Apache-2.0
//! The programs of the guest: taken from packages of a fixed release, with just the libraries that they need.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::cache::{Cache, remove};
use crate::child;
use crate::elf;
use crate::error::{Error, IoContext};
use crate::initramfs::Initramfs;
use crate::packages::{self, Archive, Installed, Purpose, Suite, Wanted};
use crate::progress::Progress;

/// The release that the programs come from, whatever the host and the kernel are: one guest for all kernels.
const SUITE: &str = "bookworm";

const PACKAGES: [&str; 5] = ["busybox-static", "xfsprogs", "ndctl", "dropbear-bin", "dmsetup"];

/// Where the packages have the programs that the guest gets, all of them into its /bin.
const PROGRAMS: [&str; 8] = [
    "bin/busybox",
    "sbin/mkfs.xfs",
    "usr/sbin/xfs_io",
    "usr/sbin/xfs_db",
    "sbin/xfs_repair",
    "usr/bin/ndctl",
    "usr/sbin/dropbear",
    "sbin/dmsetup",
];

/// Changes whenever what an entry holds does.
const LAYOUT: &str = "userland entry 1";

/// Whether a package that the wanted ones depend on can hold a library of a program that the guest gets. Some have
/// scripts besides, whose interpreters would be half of the download.
fn is_of_use(package: &str) -> bool {
    !package.contains("python") && !package.contains("perl")
}

/// Where Debian's dynamic linker looks.
const LIBRARY_FOLDER: &str = "lib/x86_64-linux-gnu";

/// The programs and libraries of the guest, in the cache, laid out as they will be in it.
pub(crate) struct Userland {
    folder: PathBuf,
    pub(crate) digest: String,
}

impl Userland {
    /// From the cache, or fetched and picked apart.
    pub(crate) fn obtain(cache: &Cache, progress: &dyn Progress) -> Result<Self, Error> {
        let wanted = Wanted {
            // With their names: a resolution of other packages is none of these.
            pin: format!("userland-{SUITE}-{}", PACKAGES.join("+")),
            purpose: Purpose {
                what: "the guest's programs".to_owned(),
                instead: "copy a cache from a machine that has them".to_owned(),
            },
            suites: &[Suite {
                archive: Archive::Debian,
                suite: SUITE.to_owned(),
            }],
            resolve: &|repository| {
                let mut packages = repository.plan(&PACKAGES, Installed::Nothing, None)?;
                packages.retain(|one| is_of_use(&one.name));
                Ok(packages)
            },
        };
        let recipe = format!("{LAYOUT} {}", PROGRAMS.join(" "));
        let (folder, digest) = packages::entry_from(&wanted, "userland", &recipe, cache, progress, make)?;
        Ok(Self { folder, digest })
    }

    /// Puts everything into a guest.
    pub(crate) fn add_to(&self, guest: &mut Initramfs) -> Result<(), Error> {
        self.add_folder(Path::new(""), guest)?;
        let applets = self.folder.join("applets");
        let applets = fs::read_to_string(&applets).during("read", &applets)?;
        for applet in applets.lines() {
            let path = format!("bin/{applet}");
            if !guest.contains(&path) {
                guest.link(&path, "busybox");
            }
        }
        // One folder of programs under all the names that something may look under.
        for name in ["sbin", "usr/bin", "usr/sbin"] {
            guest.link(name, "/bin");
        }
        Ok(())
    }

    fn add_folder(&self, below: &Path, guest: &mut Initramfs) -> Result<(), Error> {
        let root = self.folder.join("root");
        let folder = root.join(below);
        for found in fs::read_dir(&folder).during("read", &folder)? {
            let found = found.during("read", &folder)?;
            let inside = below.join(found.file_name());
            if found.file_type().during("read", found.path())?.is_dir() {
                self.add_folder(&inside, guest)?;
            } else {
                let content = fs::read(found.path()).during("read", found.path())?;
                guest.file(&inside.to_string_lossy(), 0o755, content);
            }
        }
        Ok(())
    }
}

/// Fills an entry: `root/` with programs and libraries, `applets` with what busybox can be called.
fn make(files: &[PathBuf], folder: &Path) -> Result<(), Error> {
    let unpacked = folder.join("unpacked");
    packages::unpack_all(files.iter().map(PathBuf::as_path), &unpacked, |path| {
        !path.starts_with("usr/share")
    })?;
    let programs = PROGRAMS.map(|program| locate(&unpacked, program));
    let programs = programs.into_iter().collect::<Result<Vec<_>, _>>()?;
    let folders = ["lib", "usr/lib"].map(|lib| unpacked.join(lib).join("x86_64-linux-gnu"));
    let closure = elf::closure(programs.iter().map(PathBuf::as_path), &folders)?;
    let root = folder.join("root");
    let copy = |from: &Path, to: &str| {
        let to = root.join(to.trim_start_matches('/'));
        let parent = to.parent().unwrap_or(&root);
        fs::create_dir_all(parent).during("create", parent)?;
        fs::copy(from, &to).during("write", &to)
    };
    for program in &programs {
        copy(
            program,
            &format!(
                "bin/{}",
                program.file_name().unwrap_or_default().to_string_lossy()
            ),
        )?;
    }
    for (name, library) in &closure.libraries {
        copy(library, &format!("{LIBRARY_FOLDER}/{name}"))?;
    }
    for (path, linker) in &closure.interpreters {
        copy(linker, path)?;
    }
    let busybox = root.join("bin/busybox");
    fs::set_permissions(&busybox, fs::Permissions::from_mode(0o755)).during("make executable", &busybox)?;
    let applets = child::run_ok(
        child::command(&busybox).arg("--list"),
        "asking busybox what it can do",
    )?;
    let path = folder.join("applets");
    fs::write(&path, applets).during("write", &path)?;
    remove(&unpacked)
}

/// A program in unpacked packages; /bin and /usr/bin became one between releases.
fn locate(unpacked: &Path, program: &str) -> Result<PathBuf, Error> {
    let other = program
        .strip_prefix("usr/")
        .map_or_else(|| format!("usr/{program}"), str::to_owned);
    let places = [unpacked.join(program), unpacked.join(other)];
    places
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| Error::BadPackage {
            package: PACKAGES.join(", "),
            why: format!("/{program} is in none of them"),
        })
}
