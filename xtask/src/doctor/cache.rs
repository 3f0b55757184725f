// SPDX-License-Identifier: MIT OR Apache-2.0
//! The cache, and what it saves us from fetching.

use super::finding::Finding;
use guest_images::survey::CacheFolder;
use machine::snapshot::Store;

/// Four kernels with their packages, QEMU, the guest's programs and some images; in bytes.
const ROOM: u64 = 3 << 30;

pub(super) fn examine(folder: &CacheFolder) -> Vec<Finding> {
    vec![place(folder), room(folder), content(folder), templates(folder)]
}

/// What the first run from here would have to fetch, in a few words each. `qemu` says whether there is one.
pub(super) fn to_fetch(folder: &CacheFolder, qemu: bool) -> Result<Vec<String>, guest_images::Error> {
    let cached = folder.kernels();
    let default = guest_images::known_kernels()?
        .into_iter()
        .find(|kernel| kernel.default)
        .map(|kernel| kernel.name);
    let kernel = default.filter(|wanted| cached.iter().all(|(name, _)| name != wanted));
    Ok([
        kernel,
        (!folder.has_userland()).then(|| "the guest's programs".to_owned()),
        (!qemu).then(|| "QEMU".to_owned()),
    ]
    .into_iter()
    .flatten()
    .collect())
}

fn place(folder: &CacheFolder) -> Finding {
    const SUBJECT: &str = "folder";
    let path = folder.path.display();
    match (folder.writable, folder.exists) {
        (true, true) => Finding::ok(SUBJECT, format!("{path}, {} in use", size(folder.used))),
        (true, false) => Finding::ok(SUBJECT, format!("{path} will be made by the first run")),
        (false, _) => Finding::missing(SUBJECT, format!("{path} cannot be written by this user"))
            .way_out("name another folder with --cache or in TASTER_CACHE"),
    }
}

fn room(folder: &CacheFolder) -> Finding {
    const SUBJECT: &str = "room";
    let free = size(folder.free);
    // What is in it already need not be found room for.
    if folder.free.saturating_add(folder.used) >= ROOM {
        Finding::ok(SUBJECT, format!("{free} free"))
    } else {
        Finding::note(SUBJECT, format!("{free} free, {} are recommended", size(ROOM)))
            .way_out("free some, or name a roomier folder with --cache or in TASTER_CACHE")
    }
}

fn content(folder: &CacheFolder) -> Finding {
    const SUBJECT: &str = "content";
    let kernels: Vec<String> = folder
        .kernels()
        .into_iter()
        .map(|(name, release)| format!("{name} ({release})"))
        .collect();
    if kernels.is_empty() {
        return Finding::note(SUBJECT, "no kernel yet");
    }
    let images = match folder.images() {
        1 => "1 image".to_owned(),
        count => format!("{count} images"),
    };
    Finding::ok(SUBJECT, format!("{}; {images}", kernels.join(", ")))
}

/// Where a run would keep the states that guests are cloned from.
fn templates(folder: &CacheFolder) -> Finding {
    const SUBJECT: &str = "templates";
    match Store::outlook(&folder.path) {
        Ok(place) => Finding::ok(SUBJECT, format!("kept {place}")),
        Err(why) => Finding::note(SUBJECT, format!("every case would boot its guest: {why}"))
            .way_out("free some memory or disk, or name a roomier folder with --cache or in TASTER_CACHE"),
    }
}

/// Bytes as people read them.
pub(super) fn size(bytes: u64) -> String {
    let mebibytes = bytes >> 20;
    if mebibytes < 1024 {
        format!("{mebibytes} MiB")
    } else {
        let tenths = mebibytes * 10 / 1024;
        format!("{}.{} GiB", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Level;

    fn folder(path: &str) -> CacheFolder {
        CacheFolder {
            path: path.into(),
            exists: false,
            writable: true,
            used: 0,
            free: 8 << 30,
        }
    }

    #[test]
    fn sizes_are_rounded_down() {
        assert_eq!(size(0), "0 MiB");
        assert_eq!(size((1 << 30) - 1), "1023 MiB");
        assert_eq!(size(3 << 30), "3.0 GiB");
        assert_eq!(size((1 << 30) + (980 << 20)), "1.9 GiB");
    }

    #[test]
    fn an_empty_cache_has_everything_before_it() {
        let empty = folder("/nowhere/at/all");
        assert_eq!(
            place(&empty).text,
            "/nowhere/at/all will be made by the first run"
        );
        assert_eq!(content(&empty).level, Level::Note);
        assert_eq!(to_fetch(&empty, false).unwrap().len(), 3);
        assert!(!to_fetch(&empty, true).unwrap().contains(&"QEMU".to_owned()));
    }

    #[test]
    fn little_room_is_a_note_and_a_locked_folder_stops_a_run() {
        let mut full = folder("/nowhere");
        full.free = 1 << 30;
        assert_eq!(room(&full).level, Level::Note);
        // What it holds is not needed twice.
        full.used = 2 << 30;
        assert_eq!(room(&full).level, Level::Ok);
        full.writable = false;
        assert_eq!(place(&full).level, Level::Missing);
    }
}
