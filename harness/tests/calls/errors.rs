// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory errors made in the guest, and what watches them.

use super::victims::spec;
use super::{DEVICE, Guest, errno, load, spot};
use guest_agent::MOUNT_POINT;
use guest_agent::address::{DeviceOffset, FsOffset};
use guest_agent::call::{
    AskAccounts, AskPageFlags, AskPmem, BadRange, FileChange, FileTrouble, Fill, HealthNews, PageFlags,
    ReadWatch, SECTOR, StartWatch, StopWatch, SyncHow, VictimStarted, WatchEvent, Watcher, WriteKernelFile,
};
use guest_agent::victim::KillPolicy;
use guest_agent::victim::VictimSpec;
use harness::nvdimm::path_of;

const PAGE: u64 = 4096;

const HWPOISON: &str = "/sys/kernel/debug/hwpoison";
const MEMORY: &str = "/sys/devices/system/memory";
const MCE_INJECT: &str = "/sys/kernel/debug/mce-inject";

/// What one write to a file of the kernel's got: 0 or an errno.
async fn write(guest: &Guest<'_>, folder: &str, name: &str, text: &str) -> i32 {
    let write = WriteKernelFile {
        path: format!("{folder}/{name}"),
        text: text.to_owned(),
    };
    let errno = errno(&guest.ask(write).await);
    println!("  {errno:3} {text} to {folder}/{name}");
    errno
}

pub(crate) async fn are_made_in_the_guest(guest: &Guest<'_>) {
    guest.make("a", 16 * PAGE, Fill::Counting).await;
    let alice = VictimSpec {
        policy: KillPolicy::Early,
        ..spec(
            "alice",
            "a",
            &(0..4).map(|page| load(spot(0, page * PAGE))).collect::<Vec<_>>(),
        )
    };
    assert!(matches!(guest.start(alice).await, VictimStarted::Running { .. }));
    let place = guest.place("a", 0).await;
    let address = |page: u64| guest_agent::address::GuestPhysical(place.physical.0 + page * PAGE);
    let pfn = |page| format!("{:#x}", address(page).pfn());
    let bytes = |page| format!("{:#x}", address(page).0);
    let before = guest.ask(AskAccounts {}).await;
    assert_eq!(before.node.is_some(), guest.version >= (6, 4), "{before:?}");

    let signals = async || guest.state("alice", &[]).await.signals.len();
    assert_eq!(write(guest, HWPOISON, "corrupt-pfn", &pfn(0)).await, 0);
    assert_eq!(signals().await, 1);
    assert_eq!(write(guest, MEMORY, "hard_offline_page", &bytes(1)).await, 0);
    assert_eq!(signals().await, 2);
    assert_eq!(
        write(guest, MEMORY, "soft_offline_page", &bytes(2)).await,
        libc::EIO
    );
    assert_eq!(write(guest, HWPOISON, "unpoison-pfn", &pfn(0)).await, libc::EIO);
    // A filter lets through only pages of ordinary kinds, and says nothing.
    let filter = "corrupt-filter-enable";
    assert_eq!(write(guest, HWPOISON, filter, "1").await, 0);
    assert_eq!(write(guest, HWPOISON, "corrupt-pfn", &pfn(2)).await, 0);
    assert_eq!(signals().await, 2);
    assert_eq!(write(guest, HWPOISON, filter, "0").await, 0);
    let after = guest.ask(AskAccounts {}).await;
    println!("  {before:?} {after:?}");
    assert_eq!(after.hardware_corrupted - before.hardware_corrupted, 2 * PAGE);

    let flags = guest
        .ask(AskPageFlags {
            pfns: vec![1, address(0).pfn()],
        })
        .await;
    println!("  {flags:x?}");
    assert!(matches!(flags[0], PageFlags::Known(_)));
    // An NVDIMM's frames are out of its reach.
    assert_eq!(flags[1].poisoned(), None);

    assert_eq!(guest.badblocks().await, 0);
    let watch = StartWatch {
        watcher: Watcher::Badblocks,
        at: format!("/sys/block/{DEVICE}/badblocks"),
    };
    assert_eq!(errno(&guest.ask(watch).await), 0);
    // The last one fires.
    for (name, text) in [
        ("flags", "sw"),
        ("cpu", "0"),
        ("status", "0xbd000000000000c0"),
        ("addr", bytes(8).as_str()),
        ("misc", "0x8c"),
        ("bank", "9"),
    ] {
        assert_eq!(write(guest, MCE_INJECT, name, text).await, 0);
    }
    let woken = ReadWatch {
        watcher: Watcher::Badblocks,
        at_least: 1,
        deadline_ms: 20_000,
    };
    let events = guest.ask(woken).await;
    let bad = BadRange {
        start: DeviceOffset(place.device.0 + 8 * PAGE),
        length: PAGE,
    };
    assert_eq!(events, [WatchEvent::Badblocks(vec![bad])]);
    let start = DeviceOffset(place.device.0 + 9 * PAGE);
    let sectors = format!("{} {}", start.0 / SECTOR, PAGE / SECTOR);
    let device = format!("/sys/block/{DEVICE}");
    assert_eq!(write(guest, &device, "badblocks", &sectors).await, 0);
    let pmem = guest
        .ask(AskPmem {
            device: DEVICE.to_owned(),
        })
        .await
        .unwrap();
    println!("  {:?} {:?}", pmem.badblocks, pmem.region_badblocks);
    assert!(
        pmem.badblocks
            .iter()
            .any(|bad| bad.start.0 <= start.0 && start.0 < bad.start.0 + bad.length)
    );
    let path = path_of("a");
    let spoiled = guest_agent::call::ReadAt {
        path,
        offset: guest_agent::address::FileOffset(9 * PAGE),
        length: PAGE,
        direct: false,
        checksum: false,
    };
    assert_eq!(errno(&guest.ask(spoiled).await), libc::EIO);
    // A victim that loads it is told, and lives.
    let read = guest_agent::victim::Order::Read {
        at: spot(0, 6 * PAGE),
        length: 8 * PAGE,
        checksum: false,
    };
    let obeyed = guest.order("alice", read).await;
    assert_eq!(obeyed.signals.len(), 1);
    let code = if guest.version < (6, 5) { 2 } else { 4 };
    assert_eq!(
        (
            obeyed.signals[0].code,
            obeyed.signals[0].at.map(|spot| spot.offset.page())
        ),
        (
            code,
            match &obeyed.reply {
                Some(guest_agent::victim::Reply::Contents {
                    faulted: Some(spot), ..
                }) => Some(spot.offset),
                other => panic!("{other:?}"),
            }
        )
    );
}

pub(crate) async fn shut_down_and_are_watched(guest: &Guest<'_>) {
    guest.make("a", 16 * PAGE, Fill::Counting).await;
    let hold = FileChange::Hold { path: path_of("a") };
    assert_eq!(guest.change(hold).await, 0);
    let watch = |watcher| StartWatch {
        watcher,
        at: MOUNT_POINT.to_owned(),
    };
    let told = |watcher, at_least| ReadWatch {
        watcher,
        at_least,
        deadline_ms: 5000,
    };
    let in_file = guest.stat("a").await.inode;
    let health = errno(&guest.ask(watch(Watcher::Health)).await);
    let has_health = guest.version >= (7, 0);
    assert_eq!(health, if has_health { 0 } else { libc::ENOTTY });
    assert_eq!(errno(&guest.ask(watch(Watcher::Fanotify)).await), 0);
    let place = guest.place("a", 3 * PAGE).await;
    let pfn = format!("{:#x}", place.physical.pfn());
    assert_eq!(write(guest, HWPOISON, "corrupt-pfn", &pfn).await, 0);
    let header = place.physical.0 - place.device.0;
    assert_eq!(
        write(guest, MEMORY, "hard_offline_page", &format!("{header:#x}")).await,
        libc::EUCLEAN
    );
    if has_health {
        let events = guest.ask(told(Watcher::Health, 5)).await;
        println!("  {events:#?}");
        let news: Vec<HealthNews> = events
            .iter()
            .map(|event| match event {
                WatchEvent::Health(event) => event.what,
                WatchEvent::Fanotify(_) | WatchEvent::Badblocks(_) => panic!("{event:?}"),
            })
            .collect();
        let media = |start: u64| HealthNews::MediaError {
            start: FsOffset(start),
            length: PAGE,
        };
        assert!(
            news.contains(&media(place.device.0)) && news.contains(&media(0)),
            "{news:?}"
        );
        assert!(news.contains(&HealthNews::ShutDown(16)), "{news:?}");
        let inode = Some(in_file);
        assert!(
            events.iter().any(|event| matches!(event, WatchEvent::Health(event)
                if matches!(event.what, HealthNews::File { trouble: FileTrouble::DataLost, inode: of, offset, .. }
                    if Some(of) == inode && offset == 3 * PAGE))),
            "{events:?}"
        );
        let events = guest.ask(told(Watcher::Fanotify, 1)).await;
        // What comes later is merged with the first as long as that was not read.
        assert!(
            matches!(events[0], WatchEvent::Fanotify(error) if error.error == libc::EIO && error.inode == inode),
            "{events:?}"
        );
    } else {
        let quiet = ReadWatch {
            watcher: Watcher::Fanotify,
            at_least: 0,
            deadline_ms: 0,
        };
        assert_eq!(guest.ask(quiet).await, []);
    }
    let call = StopWatch {
        watcher: Watcher::Fanotify,
    };
    guest.ask(call).await;
    // What is held can still be written back, or not; what is not cannot be opened.
    for how in [SyncHow::File, SyncHow::Data, SyncHow::Filesystem] {
        let path = path_of("a");
        assert_eq!(
            guest.change(FileChange::Sync { path, how }).await,
            libc::EIO,
            "{how:?}"
        );
    }
}
