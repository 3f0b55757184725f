// SPDX-License-Identifier: MIT OR Apache-2.0

use std::ffi::OsString;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::progress::Silent;

fn fresh() -> (tempfile::TempDir, Cache) {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(Some(folder.path().join("cache"))).unwrap();
    (folder, cache)
}

fn entry() -> EntryName {
    EntryName::new("thing", "00ff")
}

/// Keeps the notes, to see what was said.
#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Progress for Notes {
    fn started(&self, _: &str, _: &str) {}
    fn advanced(&self, _: &str, _: u64, _: Option<u64>, _: &str) {}
    fn finished(&self, _: &str, _: Result<&str, &str>) {}
    fn note(&self, text: &str) {
        self.0.lock().unwrap().push(text.to_owned());
    }
}

#[test]
fn built_once_then_found() {
    let (_folder, cache) = fresh();
    let build = |content: &'static str| {
        move |to: &Path| {
            fs::write(to.join("file"), content).unwrap();
            Ok(())
        }
    };
    let first = cache.obtain(&entry(), "a thing", &Silent, build("one")).unwrap();
    let second = cache.obtain(&entry(), "a thing", &Silent, build("two")).unwrap();
    assert_eq!(first, second);
    assert_eq!(fs::read_to_string(second.join("file")).unwrap(), "one");
}

#[test]
fn an_entry_that_is_not_wanted_any_more_goes_alone() {
    let (_folder, cache) = fresh();
    let [gone, stays] = ["00ff", "00fe"].map(|key| EntryName::new("things", key));
    for name in [&gone, &stays] {
        cache.obtain(name, "a thing", &Silent, |_| Ok(())).unwrap();
    }
    cache.forget(&gone, "a thing", &Silent).unwrap();
    assert!(cache.lookup(&gone).is_none() && cache.lookup(&stays).is_some());
    cache.forget(&gone, "a thing", &Silent).unwrap();
}

#[test]
fn a_failed_build_leaves_nothing() {
    let (_folder, cache) = fresh();
    let failed = cache.obtain(&entry(), "a thing", &Silent, |to| {
        fs::write(to.join("half"), "half").unwrap();
        Err(Error::NoCacheFolder)
    });
    assert!(failed.is_err());
    assert!(cache.lookup(&entry()).is_none());
    assert_eq!(fs::read_dir(cache.root().join("tmp")).unwrap().count(), 0);
}

#[test]
fn damage_of_each_kind_is_seen_and_mended_with_a_word() {
    let (_folder, cache) = fresh();
    let build = |to: &Path| {
        fs::create_dir(to.join("sub")).unwrap();
        fs::write(to.join("sub/file"), "content").unwrap();
        std::os::unix::fs::symlink("file", to.join("sub/link")).unwrap();
        Ok(())
    };
    let folder = cache.obtain(&entry(), "a thing", &Silent, build).unwrap();
    let damages: [&dyn Fn(); 5] = [
        &|| fs::write(folder.join("sub/file"), "cont").unwrap(),
        &|| fs::write(folder.join("sub/file"), "CONTENT").unwrap(),
        &|| fs::remove_file(folder.join("sub/file")).unwrap(),
        &|| fs::remove_file(folder.join(".manifest.json")).unwrap(),
        &|| fs::write(folder.join(".manifest.json"), "{").unwrap(),
    ];
    for (nth, damage) in damages.into_iter().enumerate() {
        damage();
        assert!(cache.lookup(&entry()).is_none(), "damage {nth} was not seen");
        let notes = Notes::default();
        cache.obtain(&entry(), "a thing", &notes, build).unwrap();
        assert_eq!(fs::read_to_string(folder.join("sub/file")).unwrap(), "content");
        let said = notes.0.into_inner().unwrap();
        assert!(said.len() == 1 && said[0].contains("damaged"), "{said:?}");
    }
}

#[test]
fn a_copied_cache_with_new_times_is_still_good() {
    let (_folder, cache) = fresh();
    let folder = cache
        .obtain(&entry(), "a thing", &Silent, |to| {
            fs::write(to.join("file"), "same").unwrap();
            Ok(())
        })
        .unwrap();
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(100);
    File::options()
        .write(true)
        .open(folder.join("file"))
        .unwrap()
        .set_modified(later)
        .unwrap();
    assert!(cache.lookup(&entry()).is_some());
}

#[test]
fn many_at_once_build_once() {
    let (folder, _) = fresh();
    let builds = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let cache = Cache::open(Some(folder.path().join("cache"))).unwrap();
                let found = cache.obtain(&entry(), "a thing", &Silent, |to| {
                    builds.fetch_add(1, Ordering::SeqCst);
                    fs::write(to.join("a"), "a").unwrap();
                    std::thread::yield_now();
                    fs::write(to.join("b"), "b").unwrap();
                    Ok(())
                });
                assert_eq!(fs::read_to_string(found.unwrap().join("b")).unwrap(), "b");
            });
        }
    });
    assert_eq!(builds.load(Ordering::SeqCst), 1);
}

#[test]
fn leftovers_of_the_dead_go_and_those_of_the_living_stay() {
    let (_folder, cache) = fresh();
    for name in ["thing-dead", "thing-living"] {
        fs::create_dir(cache.root().join("tmp").join(name)).unwrap();
    }
    let _living = cache.lock("thing-living", "it", &Silent).unwrap();
    Cache::open(Some(cache.root().to_owned())).unwrap();
    assert!(!cache.root().join("tmp/thing-dead").exists());
    assert!(cache.root().join("tmp/thing-living").exists());
}

#[test]
fn a_scratch_folder_goes_when_dropped() {
    let (_folder, cache) = fresh();
    let path = {
        let scratch = cache.scratch(&Silent).unwrap();
        fs::write(scratch.path().join("x"), "x").unwrap();
        scratch.path().to_owned()
    };
    assert!(!path.exists());
}

#[test]
fn a_damaged_pin_is_no_pin() {
    let (_folder, cache) = fresh();
    cache.set_pin("kernel", &vec![1, 2]).unwrap();
    assert_eq!(cache.pin::<Vec<u8>>("kernel"), Some(vec![1, 2]));
    fs::write(cache.pin_path("kernel"), "[1,").unwrap();
    assert_eq!(cache.pin::<Vec<u8>>("kernel"), None);
}

#[test]
fn where_the_cache_is() {
    let with = |set: &'static [(&str, &str)]| {
        default_root(move |name| {
            set.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| OsString::from(value))
        })
    };
    assert_eq!(with(&[("TASTER_CACHE", "/t"), ("HOME", "/h")]), Some("/t".into()));
    assert_eq!(
        with(&[("XDG_CACHE_HOME", "/x"), ("HOME", "/h")]),
        Some("/x/taster".into())
    );
    assert_eq!(
        with(&[("XDG_CACHE_HOME", "x"), ("HOME", "/h")]),
        Some("/h/.cache/taster".into())
    );
    assert_eq!(with(&[("HOME", "")]), None);
    assert!(Error::NoCacheFolder.to_string().contains("TASTER_CACHE"));
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let text = Cache::open(Some(folder.path().join("file/cache")))
        .unwrap_err()
        .to_string();
    assert!(text.contains("file/cache"), "{text}");
}

#[test]
fn a_full_disk_is_named_with_the_path() {
    let error = Error::io("write", "/some/where", std::io::ErrorKind::StorageFull.into());
    let text = error.to_string();
    assert!(
        text.contains("no space left") && text.contains("/some/where") && text.contains("TASTER_CACHE"),
        "{text}"
    );
}

#[test]
fn damage_that_left_size_and_time_is_found_when_it_is_looked_for() {
    let (_folder, cache) = fresh();
    let build = |to: &Path| {
        fs::write(to.join("file"), "good").unwrap();
        Ok(())
    };
    let path = cache
        .obtain(&entry(), "a thing", &Silent, build)
        .unwrap()
        .join("file");
    cache
        .obtain(&EntryName::new("thing", "00fe"), "another", &Silent, build)
        .unwrap();
    let times = fs::FileTimes::new().set_modified(fs::metadata(&path).unwrap().modified().unwrap());
    fs::write(&path, "evil").unwrap();
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_times(times)
        .unwrap();
    assert!(cache.lookup(&entry()).is_some(), "the cheap look does not see it");
    let damaged = cache.remove_damaged(&Silent).unwrap();
    assert_eq!(damaged, ["thing/00ff (file: its content changed)"]);
    assert!(cache.lookup(&entry()).is_none());
    assert!(cache.lookup(&EntryName::new("thing", "00fe")).is_some());
    assert_eq!(cache.remove_damaged(&Silent).unwrap(), [""; 0]);
}
