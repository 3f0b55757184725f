// SPDX-License-Identifier: MIT OR Apache-2.0
//! Nothing that one guest does reaches another, and no template is trusted that is not what was made.
//!
//! These clone guests of the default kernel; the first time on a machine that fetches packages and boots one.
#![allow(
    clippy::unwrap_used,
    reason = "a test's helper functions fail like the test itself"
)]

mod common;

use common::workbench::{Workbench, ask};
use guest_agent::address::FileOffset;
use guest_agent::call::{ChangeFile, FileChange, Fill, Outcome, ReadAt, Run, Unmount};
use guest_agent::victim::Ended;
use harness::nvdimm::{self, Dax};
use harness::template::stack;
use machine::guest::{Death, Guest};
use machine::snapshot::{Snapshot, Store};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes, Permissions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const PATIENCE: Duration = Duration::from_secs(60);

/// The filesystem is mounted with DAX and holds its proof; it can be unmounted and mounted again and still does.
async fn assert_sound(guest: &Guest, template: &Snapshot) {
    let stack = stack(template).unwrap();
    for round in 0..2 {
        let call = ReadAt {
            path: nvdimm::path_of(".taster-proof"),
            offset: FileOffset(0),
            length: 8192,
            direct: false,
            checksum: false,
        };
        let Outcome::Done(proof) = guest.agent.call(call, PATIENCE).await.unwrap() else {
            panic!("the proof of DAX cannot be read");
        };
        assert_eq!((proof.length, proof.uniform), (4096, Some(0)));
        assert_eq!(nvdimm::still_dax(&guest.agent).await.unwrap(), Dax::Proved);
        if round == 0 {
            // What is cached goes with the mount; what is read after it is what the NVDIMM holds.
            let at = guest_agent::MOUNT_POINT.to_owned();
            let unmounted = guest.agent.call(Unmount { at }, PATIENCE).await.unwrap();
            assert!(matches!(unmounted, Outcome::Done(())), "{unmounted:?}");
            let mounted = nvdimm::mount(&guest.agent, &stack, "dax=always", PATIENCE)
                .await
                .unwrap();
            assert!(matches!(mounted, Outcome::Done(())), "{mounted:?}");
        }
    }
}

/// The SHA-256 of each file of a template: of its size, and of every MiB that is not zero with its offset.
fn hashes(template: &Snapshot) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(template.folder()).unwrap() {
        let entry = entry.unwrap();
        let file = File::open(entry.path()).unwrap();
        let length = file.metadata().unwrap().len();
        let mut hash = Sha256::new();
        hash.update(length.to_le_bytes());
        let (mut chunk, zeros) = (vec![0; 1 << 20], vec![0; 1 << 20]);
        let mut at = 0;
        loop {
            let count = file.read_at(&mut chunk, at).unwrap();
            if count == 0 {
                break;
            }
            if chunk[..count] != zeros[..count] {
                hash.update(at.to_le_bytes());
                hash.update(&chunk[..count]);
            }
            at += count as u64;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        all.insert(name, format!("{:?}", hash.finalize()));
    }
    all
}

/// Writes to the NVDIMM until it is full, and prints what is there afterwards at five places. (At its very beginning it may
/// be the superblock again: the filesystem is still mounted.)
const FILL: &str = "
    yes vandal | head -c 1048576 > /tmp/mib
    while cat /tmp/mib; do :; done > /dev/pmem0
    sync
    for mib in 1 30 300 600 900; do dd if=/dev/pmem0 bs=1048576 skip=$mib count=1 2>/dev/null | grep -m 1 -x vandal; done";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_clone_destroys_is_whole_in_the_next() {
    let bench = Workbench::new();
    let store = Store::open(bench.cache.root()).unwrap();
    let chain = bench.chain(&store).await;
    let before = hashes(&chain.xfs);
    assert!(before.contains_key("ram") && before.contains_key("device0"));
    let folder = tempfile::tempdir().unwrap();

    let vandal = bench.clone_of(&store, &chain.xfs, folder.path()).await;
    let wrote = ask(&vandal, "echo scribble > /mnt/.taster-proof && sync").await;
    assert_eq!(wrote.ended, Some(Ended::Exited(0)), "{wrote:?}");
    let filled = ask(&vandal, FILL).await;
    // The device's end is what stops it.
    assert!(filled.stderr.contains("No space left on device"), "{filled:?}");
    assert_eq!(filled.stdout, "vandal\n".repeat(5), "{filled:?}");
    let call = Run {
        argv: ["sh", "-c", "echo c > /proc/sysrq-trigger"]
            .map(str::to_owned)
            .to_vec(),
        deadline_ms: None,
    };
    let (answer, death) = tokio::join!(vandal.agent.call(call, PATIENCE), vandal.wait_for_end());
    assert!(answer.is_err(), "the guest survived its panic: {answer:?}");
    let Death::Kernel(how) = death else {
        panic!("not the kernel died: {death:?}");
    };
    assert!(how.contains("sysrq triggered crash"), "{how}");
    drop(vandal);

    let next = bench.clone_of(&store, &chain.xfs, folder.path()).await;
    assert_sound(&next, &chain.xfs).await;
    next.stop().await;
    assert_eq!(hashes(&chain.xfs), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clones_at_once_are_alone() {
    let bench = Workbench::new();
    let store = Store::open(bench.cache.root()).unwrap();
    let chain = bench.chain(&store).await;
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let (one, two) = tokio::join!(
        bench.clone_of(&store, &chain.xfs, folders[0].path()),
        bench.clone_of(&store, &chain.xfs, folders[1].path()),
    );
    assert_ne!(one.pid(), two.pid());
    for (guest, own, fill) in [(&one, "one", 1), (&two, "two", 2)] {
        for (file, fill) in [(own, fill), ("both", fill)] {
            let change = FileChange::WriteNew {
                path: nvdimm::path_of(file),
                size: 1 << 20,
                fill: Fill::Byte(fill),
            };
            let written = guest.agent.call(ChangeFile { change }, PATIENCE).await.unwrap();
            assert!(matches!(written, Outcome::Done(())), "{file}: {written:?}");
        }
        // Ordinary memory, too.
        ask(guest, &format!("echo {own} > /tmp/own")).await;
    }
    for (guest, own, fill) in [(&one, "one", 1), (&two, "two", 2)] {
        let seen = ask(guest, "ls /mnt; cat /tmp/own").await;
        let words: Vec<&str> = seen.stdout.split_whitespace().collect();
        let mut expected = vec!["both", own];
        expected.sort_unstable();
        expected.push(own);
        assert_eq!(words, expected);
        let call = ReadAt {
            path: nvdimm::path_of("both"),
            offset: FileOffset(0),
            length: 2 << 20,
            direct: false,
            checksum: false,
        };
        let Outcome::Done(both) = guest.agent.call(call, PATIENCE).await.unwrap() else {
            panic!("`both` cannot be read in {own}");
        };
        assert_eq!((both.length, both.uniform), (1 << 20, Some(fill)), "{own}");
    }
    tokio::join!(one.stop(), two.stop());
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_is_the_template_gone_on_at_another_time() {
    let bench = Workbench::new();
    let store = Store::open(bench.cache.root()).unwrap();
    let chain = bench.chain(&store).await;
    let folder = tempfile::tempdir().unwrap();
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(chain.xfs.folder().join("manifest.json")).unwrap()).unwrap();
    let mut random = Vec::new();
    for _ in 0..2 {
        let clone = bench.clone_of(&store, &chain.xfs, folder.path()).await;
        let asked = now();
        let seen = ask(
            &clone,
            "cat /proc/sys/kernel/random/boot_id; date +%s; head -c 16 /dev/urandom | od -An -tx1 | tr -d ' '",
        )
        .await;
        let answered = now();
        let words: Vec<&str> = seen.stdout.split_whitespace().collect();
        let [boot_id, clock, drawn] = words[..] else {
            panic!("{seen:?}");
        };
        // A reboot would have made another one.
        assert_eq!(boot_id, manifest["boot_id"]);
        let clock = Duration::from_secs(clock.parse().unwrap());
        let slack = Duration::from_secs(2);
        assert!(
            asked <= clock + slack && clock <= answered + slack,
            "the guest thinks it is {clock:?} after 1970, it is {answered:?}"
        );
        random.push(drawn.to_owned());
        clone.stop().await;
    }
    assert_eq!(random[0].len(), 32, "{random:?}");
    assert_ne!(random[0], random[1], "two clones drew the same random numbers");
}

/// Makes the copy of a template's file such that it can be damaged, and looks as before when `damage` is done.
fn damage(file: &Path, damage: impl FnOnce(&File)) {
    fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
    let modified = fs::metadata(file).unwrap().modified().unwrap();
    let open = File::options().read(true).write(true).open(file).unwrap();
    damage(&open);
    open.set_times(FileTimes::new().set_modified(modified)).unwrap();
    assert_eq!(fs::metadata(file).unwrap().modified().unwrap(), modified);
}

/// What is done to which file, and what is then said of it.
type Damage<'a> = (&'a str, &'a dyn Fn(&File), &'a str);

fn flip(file: &File, at: u64) {
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 1], at).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_template_is_made_again_and_never_trusted() {
    let bench = Workbench::new();
    let place = tempfile::tempdir().unwrap();
    let store = Store::open(place.path()).unwrap();
    {
        let users = bench.chain(&Store::open(bench.cache.root()).unwrap()).await;
        for template in [&users.booted, &users.fsdax, &users.xfs] {
            let copied = Command::new("cp")
                .args(["-a", "--sparse=always", "--reflink=auto"])
                .arg(template.folder())
                .arg(place.path().join("templates"))
                .status()
                .unwrap();
            assert!(copied.success());
        }
    }
    bench.take_notes();
    let xfs = bench.chain(&store).await.xfs;
    assert!(xfs.folder().starts_with(place.path()));
    assert_eq!(bench.take_notes(), "", "the copy is as good as the original");
    let boot_id = |template: &Snapshot| {
        let text = fs::read(template.folder().join("manifest.json")).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&text).unwrap();
        manifest["boot_id"].clone()
    };
    let first_boot = boot_id(&xfs);
    let of = xfs.folder().to_owned();
    drop(xfs);

    let first_page = |file: &File| {
        let start = nix::unistd::lseek(file, 0, nix::unistd::Whence::SeekData).unwrap();
        start.cast_unsigned()
    };
    let damages: [Damage; 3] = [
        (
            "state",
            &|file| flip(file, file.metadata().unwrap().len() / 2),
            "state has another content",
        ),
        (
            "device0",
            &|file| flip(file, first_page(file) + 8),
            "device0 has another content",
        ),
        (
            "ram",
            &|file| file.set_len(file.metadata().unwrap().len() - 4096).unwrap(),
            "ram has",
        ),
    ];
    for (file, how, words) in damages {
        let path = of.join(file);
        let length = fs::metadata(&path).unwrap().len();
        damage(&path, how);
        let chain = bench.chain(&store).await;
        let notes = bench.take_notes();
        assert!(
            notes.contains("`xfs` in the cache is damaged") && notes.contains(words),
            "{file}: {notes}"
        );
        assert!(notes.contains("making it again"), "{file}: {notes}");
        assert_eq!(notes.lines().count(), 1, "its parents are sound: {notes}");
        assert_eq!(fs::metadata(&path).unwrap().len(), length);
        // It went on from its parents, which were not booted again.
        assert_eq!(boot_id(&chain.xfs), first_boot);
        bench.chain(&store).await;
        assert_eq!(bench.take_notes(), "", "{file}: what was made again is sound");
    }
    let xfs = bench.chain(&store).await.xfs;
    let clone = bench.clone_of(&store, &xfs, place.path()).await;
    assert_sound(&clone, &xfs).await;
    clone.stop().await;
}
