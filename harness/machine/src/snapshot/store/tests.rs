// SPDX-License-Identifier: MIT OR Apache-2.0
use super::super::home::Medium;
use super::super::lock::open_lock;
use super::*;
use crate::accel::Accelerator;
use crate::qemu::{Boot, Mebibytes, MemoryDevice, Route, Sharing};
use serde_json::json;
use std::convert::Infallible;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::time::Duration;

fn machine() -> Machine {
    Machine {
        accelerator: Accelerator::Tcg,
        cpu_model: "any".to_owned(),
        cpus: 1,
        memory: Mebibytes(2),
        devices: vec![MemoryDevice::Nvdimm {
            size: Mebibytes(16),
            label: Mebibytes(1),
        }],
        boot: Boot {
            kernel: "kernel".into(),
            initramfs: "initramfs".into(),
            command_line: String::new(),
        },
        ports: Vec::new(),
    }
}

fn recipe(name: &str) -> Recipe {
    let root = Recipe::after("root", &serde_json::from_value(json!("0")).unwrap(), &[]);
    Recipe::after(name, &root.key(), &[])
}

/// What a guest would have left.
fn made(scratch: &Path) -> Made {
    fs::write(scratch.join(STATE), "devices").unwrap();
    let memory = GuestMemory::create_in(&machine(), &[std::env::temp_dir()]).unwrap();
    memory.ram.file().write_all_at(b"ram", 0x3000).unwrap();
    memory.devices[0].file().write_all_at(b"pmem", 0x10_0000).unwrap();
    Made {
        cloning: Cloning {
            route: Route::File,
            sealed: true,
        },
        memory,
        boot_id: "b007".to_owned(),
        facts: json!({ "dax": true }),
    }
}

/// A store with a disk, on which this much is free, and 16 GiB of memory.
fn store_in(folder: &Path, free: fn(&Path) -> std::io::Result<u64>) -> Store {
    let disk = Home::with(&folder.join("templates"), Medium::Disk, free);
    let memory = Home::with(&folder.join("private/memory"), Medium::Memory, |_| Ok(16 << 30));
    Store::of(disk, memory).unwrap()
}

struct Place {
    folder: tempfile::TempDir,
    store: Store,
    notes: Mutex<Vec<String>>,
    times_made: Mutex<u32>,
}

impl Place {
    fn new() -> Self {
        Self::with_free(|_| Ok(u64::MAX))
    }

    fn with_free(free: fn(&Path) -> std::io::Result<u64>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            store: store_in(folder.path(), free),
            folder,
            notes: Mutex::default(),
            times_made: Mutex::default(),
        }
    }

    async fn obtain(&self, name: &str) -> Snapshot {
        self.obtain_of(&recipe(name)).await
    }

    async fn obtain_of(&self, recipe: &Recipe) -> Snapshot {
        let note = |text: &str| self.notes.lock().unwrap().push(text.to_owned());
        let make = async |scratch: &Path| {
            *self.times_made.lock().unwrap() += 1;
            Ok::<_, MakeError<Infallible>>(made(scratch))
        };
        self.store.obtain(recipe, &machine(), &note, make).await.unwrap()
    }

    fn disk(&self) -> &Home {
        &self.store.homes[0]
    }

    fn times_made(&self) -> u32 {
        *self.times_made.lock().unwrap()
    }

    fn notes(&self) -> String {
        self.notes.lock().unwrap().join("\n")
    }

    fn in_tmp(&self) -> usize {
        fs::read_dir(self.folder.path().join("templates/tmp"))
            .unwrap()
            .count()
    }

    /// As if it had last been used so long ago.
    fn age(&self, name: &str, age: Duration) {
        let lock = self.disk().lock_path(recipe(name).key().as_str(), "use");
        let then = SystemTime::now() - age;
        open_lock(&lock).unwrap().set_modified(then).unwrap();
    }
}

#[tokio::test]
async fn it_is_made_once_and_holds_what_was_given() {
    let place = Place::new();
    let first = place.obtain("xfs").await;
    let second = place.obtain("xfs").await;
    assert_eq!(place.times_made(), 1);
    assert_eq!(place.notes(), "");
    assert_eq!(place.in_tmp(), 0);
    assert_eq!(first.key(), second.key());
    assert_eq!(
        second.facts::<serde_json::Value>().unwrap(),
        json!({ "dax": true })
    );
    let memory = second.private_memory().unwrap();
    let mut bytes = [0; 4];
    memory.devices[0]
        .file()
        .read_exact_at(&mut bytes, 0x10_0000)
        .unwrap();
    assert_eq!(&bytes, b"pmem");
    assert!(memory.ram.file().write_at(b"x", 0).is_err());
    let mode = memory.ram.file().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o400);
    let copied = second.copied_memory().await.unwrap();
    assert_eq!(copied.ram.sharing(), Sharing::Shared);
    copied.ram.file().read_exact_at(&mut bytes, 0x3000).unwrap();
    assert_eq!(&bytes, b"ram\0");
}

#[tokio::test]
async fn damage_to_any_file_is_noticed_and_mended() {
    type Damage = fn(&Path);
    let truncate: Damage = |path| {
        fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
        let file = File::options().write(true).open(path).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
    };
    // Even when somebody has put the time back.
    let overwrite: Damage = |path| {
        fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
        let file = File::options().write(true).open(path).unwrap();
        let time = file.metadata().unwrap().modified().unwrap();
        for offset in [0, 0x3000, 0x10_0000] {
            if offset < file.metadata().unwrap().len() {
                file.write_at(b"?", offset).unwrap();
            }
        }
        file.set_modified(time).unwrap();
    };
    let touch: Damage = |path| File::open(path).unwrap().set_modified(SystemTime::now()).unwrap();
    let vanish: Damage = |path| fs::remove_file(path).unwrap();
    for name in [RAM, "device0", STATE, "manifest.json"] {
        for (number, damage) in [truncate, overwrite, touch, vanish].into_iter().enumerate() {
            // Its own time is of no interest.
            if name == "manifest.json" && number == 2 {
                continue;
            }
            let place = Place::new();
            let path = place.obtain("xfs").await.folder().join(name);
            damage(&path);
            place.obtain("xfs").await;
            assert_eq!(place.times_made(), 2, "{name} {number}");
            assert!(
                place.notes().contains("`xfs`") && place.notes().contains("damaged"),
                "{name} {number}: {}",
                place.notes()
            );
        }
    }
}

#[tokio::test]
async fn another_template_in_its_place_is_not_it() {
    let place = Place::new();
    let (one, two) = (place.obtain("one").await, place.obtain("two").await);
    fs::remove_dir_all(two.folder()).unwrap();
    fs::rename(one.folder(), two.folder()).unwrap();
    place.obtain("two").await;
    assert_eq!(place.times_made(), 3);
    assert!(place.notes().contains("another template"), "{}", place.notes());
}

#[tokio::test]
async fn a_maker_that_fails_leaves_nothing() {
    let place = Place::new();
    let make = async |scratch: &Path| {
        fs::write(scratch.join("half"), "done").unwrap();
        Err(MakeError::Setup("mkfs failed"))
    };
    let result = place
        .store
        .obtain(&recipe("xfs"), &machine(), &|_| {}, make)
        .await;
    assert!(matches!(result, Err(MakeError::Setup("mkfs failed"))));
    assert_eq!(place.in_tmp(), 0);
    place.obtain("xfs").await;
    assert_eq!(place.times_made(), 1);
}

#[tokio::test]
async fn of_two_at_once_one_makes_and_the_other_waits() {
    let place = Place::new();
    let (begun, has_begun) = tokio::sync::oneshot::channel();
    let (go_on, may_go_on) = tokio::sync::oneshot::channel::<()>();
    let mut signals = Some((begun, may_go_on));
    let slow = async |scratch: &Path| {
        if let Some((begun, may_go_on)) = signals.take() {
            begun.send(()).unwrap();
            may_go_on.await.unwrap();
        }
        Ok::<_, MakeError<Infallible>>(made(scratch))
    };
    let note = |text: &str| place.notes.lock().unwrap().push(text.to_owned());
    let (shape, recipe) = (machine(), recipe("xfs"));
    let first = place.store.obtain(&recipe, &shape, &note, slow);
    let second = async {
        has_begun.await.unwrap();
        let waiting = place.obtain("xfs");
        tokio::pin!(waiting);
        let early = tokio::time::timeout(Duration::from_millis(50), &mut waiting).await;
        assert!(early.is_err(), "it did not wait");
        go_on.send(()).unwrap();
        waiting.await
    };
    let (first, _second) = tokio::join!(first, second);
    first.unwrap();
    assert_eq!(place.times_made(), 0);
    assert!(
        place.notes().contains("another run is making it"),
        "{}",
        place.notes()
    );
}

const DAY: Duration = Duration::from_secs(24 * 3600);

#[tokio::test]
async fn the_old_go_but_not_those_in_use() {
    let place = Place::new();
    let held = place.obtain("held").await;
    drop(place.obtain("old").await);
    drop(place.obtain("young").await);
    for name in ["held", "old"] {
        place.age(name, 30 * DAY);
    }
    let pruned = prune(place.disk(), Limits::DISK).unwrap();
    assert_eq!(pruned.removed, 1);
    assert!(pruned.freed > 0 && pruned.left > 0);
    assert!(held.folder().exists());
    drop(place.obtain("young").await);
    assert_eq!(place.times_made(), 3);
    drop(place.obtain("old").await);
    assert_eq!(place.times_made(), 4);
}

#[tokio::test]
async fn of_too_many_the_longest_unused_go_first() {
    let place = Place::new();
    for (name, days) in [("a", 2), ("b", 3), ("c", 1)] {
        drop(place.obtain(name).await);
        place.age(name, days * DAY);
    }
    let all = prune(place.disk(), Limits::DISK).unwrap().left;
    let limits = Limits {
        size: all - 1,
        ..Limits::DISK
    };
    assert_eq!(prune(place.disk(), limits).unwrap().removed, 1);
    assert!(!place.disk().folder(&recipe("b").key()).exists());
    assert!(place.disk().folder(&recipe("a").key()).exists());
}

#[tokio::test]
async fn what_was_made_from_an_image_goes_with_it_but_not_while_it_is_used() {
    let place = Place::new();
    let of = |name: &str, origin: (&str, &str)| Recipe::made_of(name, origin.0, origin.1);
    let booted = of("booted", ("image", "mutant"));
    let xfs = of("xfs", ("parent", booted.key().as_str()));
    let held = of("held", ("parent", xfs.key().as_str()));
    let other = of("booted", ("image", "other"));
    let mut kept = Vec::new();
    for recipe in [&booted, &xfs, &held, &other] {
        kept.push(place.obtain_of(recipe).await);
    }
    drop(kept.drain(..2));
    kept.pop();
    let there = |recipe: &Recipe| place.store.has(&recipe.key());
    assert_eq!(place.store.forget_image("mutant").unwrap().removed, 2);
    assert!(!there(&booted) && !there(&xfs) && there(&held) && there(&other));
    drop(kept);
    assert_eq!(place.store.forget_image("nobody's").unwrap().removed, 0);
}

#[tokio::test]
async fn what_a_killed_run_left_is_swept() {
    let place = Place::new();
    let left = place.folder.path().join("templates/tmp/dead");
    fs::create_dir(&left).unwrap();
    fs::write(left.join(RAM), "half").unwrap();
    prune(place.disk(), Limits::DISK).unwrap();
    assert_eq!(place.in_tmp(), 0);
}

#[tokio::test]
async fn what_a_full_disk_cannot_keep_is_kept_in_memory_and_found_there() {
    let place = Place::with_free(|_| Ok(0));
    let first = place.obtain("xfs").await;
    assert!(first.folder().starts_with(place.folder.path().join("private")));
    let second = place.obtain("xfs").await;
    assert_eq!((place.times_made(), second.folder()), (1, first.folder()));
    assert!(place.store.has(first.key()));
    assert!(place.store.place().unwrap().contains("in memory"));
    assert_eq!(place.in_tmp(), 0);
}

#[tokio::test]
async fn without_room_anywhere_nothing_is_made_in_vain() {
    let folder = tempfile::tempdir().unwrap();
    let home = |medium| Home::with(&folder.path().join("private/store"), medium, |_| Ok(1 << 20));
    let store = Store::of(home(Medium::Disk), home(Medium::Memory)).unwrap();
    let make = async |_: &Path| -> Result<Made, MakeError<Infallible>> { panic!("made in vain") };
    let result = store.obtain(&recipe("xfs"), &machine(), &|_| {}, make).await;
    let Err(MakeError::Snapshot(error)) = result else {
        panic!("{result:?}");
    };
    let text = error.to_string();
    assert!(
        text.contains("`xfs`") && text.contains("200 MiB are wanted"),
        "{text}"
    );
    assert!(store.place().is_err());
}

#[test]
fn a_disk_that_takes_no_folder_is_done_without() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("templates"), "a file").unwrap();
    let store = store_in(folder.path(), |_| Ok(u64::MAX));
    let place = store.place().unwrap();
    assert!(
        place.contains("in memory") && place.contains("because nothing can be put into"),
        "{place}"
    );
}

#[test]
fn what_was_begun_elsewhere_is_taken_along() {
    let folder = tempfile::tempdir().unwrap();
    let scratch = Scratch::new(folder.path().join("one")).unwrap();
    fs::write(scratch.0.join(STATE), "devices").unwrap();
    let moved = scratch.moved_to(folder.path().join("two")).unwrap();
    assert_eq!(fs::read(moved.0.join(STATE)).unwrap(), b"devices");
    assert!(!folder.path().join("one").exists());
}
