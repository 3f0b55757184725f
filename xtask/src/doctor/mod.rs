// SPDX-License-Identifier: MIT OR Apache-2.0
//! `doctor`: what this machine has, what it lacks, and what to do about it.
//!
//! Programs are asked for their versions; nothing is fetched, booted or written.

mod archive;
mod ask;
mod build;
mod cache;
mod finding;
mod guests;
mod kernels;

use crate::Stopped;
use crate::flags::DoctorFlags;
use finding::{Group, is_well, render};
use guest_images::survey::CacheFolder;
use reports::ExitStatus;

pub(crate) fn run(flags: &DoctorFlags) -> Result<ExitStatus, Stopped> {
    let groups = examine(flags)?;
    print!("{}", render(&groups));
    Ok(if is_well(&groups) {
        ExitStatus::Ok
    } else {
        ExitStatus::Broken
    })
}

fn examine(flags: &DoctorFlags) -> Result<Vec<Group>, Stopped> {
    // Without a place for it there is none to look into; that alone is worth telling.
    let folder = CacheFolder::look(flags.cache.root.clone()).map_err(Stopped::of_images)?;
    let qemu = guests::find_qemu(flags.qemu.as_deref(), &folder);
    let to_fetch = cache::to_fetch(&folder, qemu.is_settled()).map_err(Stopped::broken)?;
    let archive = archive::examine(&to_fetch);
    let reachable = is_well(std::slice::from_ref(&archive));
    Ok(vec![
        Group {
            title: "building",
            findings: build::examine(),
        },
        Group {
            title: "cache",
            findings: cache::examine(&folder),
        },
        archive,
        Group {
            title: "building kernels",
            findings: kernels::examine(),
        },
        Group {
            title: "guests",
            findings: guests::examine(&qemu, &folder, reachable),
        },
    ])
}
