// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a run reads is damaged, or is not what it looks like.

use super::Fault;
use super::cases::QUICK;
use super::checks::{all_pass, finished, judged, noted};
use super::trouble::{Outcome, Trouble, must, wrong};
use super::world::World;
use anyhow::Context;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use reports::{ExitStatus, Verdict};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::{Path, PathBuf};

pub(super) const FAULTS: &[Fault] = &[
    Fault {
        name: "template-state-damaged",
        about: "the state of a template has other bytes: it is made again, with a note, and the case passes",
        make: |world| template(world, |folder| spoil(&folder.join("state"))),
    },
    Fault {
        name: "template-cut-short",
        about: "the memory of a template is cut short: it is made again, with a note, and the case passes",
        make: |world| {
            template(world, |folder| {
                write_to(&folder.join("ram"), |file| file.set_len(4096))
            })
        },
    },
    Fault {
        name: "template-list-damaged",
        about: "the list of a template's files is no JSON: it is made again, with a note, and the case passes",
        make: |world| {
            template(world, |folder| {
                write_to(&folder.join("manifest.json"), |file| file.set_len(1))
            })
        },
    },
    Fault {
        name: "image-cut-short",
        about: "an image is cut short: it is made again, with a note, and the case passes",
        make: image_cut_short,
    },
    Fault {
        name: "image-damaged-unseen",
        about: "an image has other bytes, its size and time stayed: the case is broken, the image is removed, the next run passes",
        make: image_damaged_unseen,
    },
    Fault {
        name: "package-damaged-unseen",
        about: "a package has other bytes, its size and time stayed: the case is broken, and the package is removed, with a note",
        make: package_damaged_unseen,
    },
    Fault {
        name: "accelerator-memory-damaged",
        about: "what is remembered of accelerators is no JSON: a canary is booted, with a note, and the case passes",
        make: accelerator_memory_damaged,
    },
    Fault {
        name: "kernel-is-a-pipe",
        about: "the kernel is a pipe that nobody writes to: the run is refused at once, with 2",
        make: kernel_is_a_pipe,
    },
];

/// Damages the template that the case begins with.
fn template(world: &World<'_>, damage: impl Fn(&Path) -> anyhow::Result<()>) -> Outcome {
    world.add_case("quick", QUICK)?;
    let cache = world.own_cache_without(&[])?;
    let is_the_cases = |folder: &PathBuf| {
        fs::read_to_string(folder.join("manifest.json")).is_ok_and(|text| text.contains("\"name\": \"xfs\""))
    };
    let folder = one_in(&cache.join("templates"), is_the_cases)?;
    damage(&folder)?;
    let record = all_pass(world, &world.test().start()?.end()?)?;
    noted(
        &record,
        &["the template `xfs` in the cache is damaged", "making it again"],
    )
}

fn image_cut_short(world: &World<'_>) -> Outcome {
    world.add_case("quick", QUICK)?;
    let cache = world.own_cache_without(&["templates"])?;
    let image = one_in(&cache.join("images"), |_| true)?;
    write_to(&image.join(INITRAMFS), |file| file.set_len(4096))?;
    let record = all_pass(world, &world.test().start()?.end()?)?;
    noted(&record, &["is damaged", INITRAMFS, "making it again"])
}

const INITRAMFS: &str = "initramfs.cpio";

fn image_damaged_unseen(world: &World<'_>) -> Outcome {
    world.add_case("quick", QUICK)?;
    let cache = world.own_cache_without(&["templates"])?;
    let image = one_in(&cache.join("images"), |_| true)?;
    spoil(&image.join(INITRAMFS))?;
    let record = finished(world, &world.test().start()?.end()?, ExitStatus::Broken)?;
    judged(&record, "x/quick", Verdict::Broken, "")?;
    noted(&record, &["the cache was damaged", INITRAMFS, "run again"])?;
    gone(&image)?;
    all_pass(world, &world.test().start()?.end()?)?;
    Ok(())
}

fn package_damaged_unseen(world: &World<'_>) -> Outcome {
    world.add_case("quick", QUICK)?;
    let cache = world.own_cache_without(&["templates", "images", "userland"])?;
    let package = one_in(&cache.join("packages"), |folder| folder.join(PACKAGE).exists())?;
    let others = fs::read_dir(cache.join("packages")).map_or(0, Iterator::count) - 1;
    spoil(&package.join(PACKAGE))?;
    let record = finished(world, &world.test().start()?.end()?, ExitStatus::Broken)?;
    judged(&record, "x/quick", Verdict::Broken, PACKAGE)?;
    noted(&record, &["the cache was damaged", PACKAGE, "run again"])?;
    gone(&package)?;
    let left = fs::read_dir(cache.join("packages")).map_or(0, Iterator::count);
    must(
        left == others,
        format!("{others} packages that stay"),
        left.to_string(),
    )
}

/// One of the packages with what a guest runs.
const PACKAGE: &str = "busybox-static.deb";

fn accelerator_memory_damaged(world: &World<'_>) -> Outcome {
    world.add_case("quick", QUICK)?;
    let cache = world.own_cache_without(&[])?;
    for path in all_in(&cache) {
        if path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("accelerator-"))
        {
            write_to(&path, |file| file.set_len(1))?;
        }
    }
    let record = all_pass(world, &world.test().start()?.end()?)?;
    noted(&record, &["ignored the accelerator cache"])?;
    let canaries = record.work.iter().filter(|work| work.work == "canary").count();
    must(canaries > 0, "a canary", "none")
}

fn kernel_is_a_pipe(world: &World<'_>) -> Outcome {
    world.add_case("quick", QUICK)?;
    let path = world.path("pipe");
    mkfifo(&path, Mode::S_IRWXU).context("cannot make a pipe with a name")?;
    let kernel = ["--kernel".as_ref(), path.as_os_str()];
    let ended = world.test().args(kernel).start()?.end()?;
    ended.is(ExitStatus::Usage)?;
    ended.says(&path.display().to_string())
}

fn all_in(folder: &Path) -> impl Iterator<Item = PathBuf> {
    // One that is not there has nothing in it, and whoever wanted something says so.
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
}

/// The one folder in `folder` that is meant.
fn one_in(folder: &Path, is_meant: impl Fn(&PathBuf) -> bool) -> Result<PathBuf, Trouble> {
    all_in(folder).find(is_meant).ok_or_else(|| {
        wrong(
            format!("what is to be damaged, in {}", folder.display()),
            "nothing of the kind",
        )
    })
}

fn gone(path: &Path) -> Outcome {
    must(
        !path.exists(),
        "that what is damaged is removed",
        format!("{} is still there", path.display()),
    )
}

/// Turns bytes in the middle of a file over; its size and its time stay.
fn spoil(path: &Path) -> anyhow::Result<()> {
    write_to(path, |file| {
        let meta = file.metadata()?;
        let mut bytes = vec![0; 4096];
        let at = meta.len() / 2;
        let read = file.read_at(&mut bytes, at)?;
        for byte in &mut bytes[..read] {
            *byte = !*byte;
        }
        file.write_all_at(&bytes[..read], at)?;
        file.set_modified(meta.modified()?)
    })
}

/// Does something to a file, also to one that is not to be written to.
fn write_to(path: &Path, work: impl FnOnce(&File) -> std::io::Result<()>) -> anyhow::Result<()> {
    let doing = || {
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        work(&File::options().read(true).write(true).open(path)?)
    };
    doing().with_context(|| format!("cannot damage {}", path.display()))
}
