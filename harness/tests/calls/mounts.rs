// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mounts.

use super::victims::spec;
use super::{DEVICE, Guest, errno, load, spot};
use guest_agent::MOUNT_POINT;
use guest_agent::call::{
    AskMount, AskQuota, ChangeMount, FileChange, Fill, GoingDown, Mount, MountChange, MountState, Outcome,
    ReadKernelFile, ReleaseVictim, Run, Unmount, VictimStarted, Whereabouts, WriteKernelFile,
};
use guest_agent::victim::Ended;
use harness::nvdimm::path_of;

async fn state(guest: &Guest<'_>) -> MountState {
    let at = MOUNT_POINT.to_owned();
    let device = Some(guest.device().await);
    guest.ask(AskMount { at, device }).await
}

async fn change(guest: &Guest<'_>, change: MountChange) -> i32 {
    let at = MOUNT_POINT.to_owned();
    errno(&guest.ask(ChangeMount { at, change }).await)
}

async fn mount(guest: &Guest<'_>, options: &str) -> i32 {
    let call = Mount {
        device: format!("/dev/{DEVICE}"),
        at: MOUNT_POINT.to_owned(),
        kind: "xfs".to_owned(),
        options: options.to_owned(),
    };
    errno(&guest.ask(call).await)
}

async fn unmount(guest: &Guest<'_>) -> i32 {
    let at = MOUNT_POINT.to_owned();
    errno(&guest.ask(Unmount { at }).await)
}

pub(crate) async fn are_changed_and_described(guest: &Guest<'_>) {
    let first = state(guest).await;
    let geometry = first.geometry.unwrap();
    println!("  {first:?}");
    assert!(geometry.rmapbt && geometry.reflink && geometry.log_internal);
    assert_eq!((geometry.block_size, geometry.realtime_blocks), (4096, 0));
    assert!(first.mounted.unwrap().options.contains(&"dax=always".to_owned()));

    let remount = |options: &str| MountChange::Remount {
        options: options.to_owned(),
    };
    assert_eq!(change(guest, remount("ro,dax=always")).await, 0);
    let create = |file: &str| FileChange::Create { path: path_of(file) };
    assert_eq!(guest.change(create("ro")).await, libc::EROFS);
    assert!(
        state(guest)
            .await
            .mounted
            .unwrap()
            .options
            .contains(&"ro".to_owned())
    );
    assert_eq!(change(guest, remount("rw,dax=always")).await, 0);
    assert_eq!(guest.change(create("rw")).await, 0);

    assert_eq!(change(guest, MountChange::Freeze).await, 0);
    assert_eq!(change(guest, MountChange::Freeze).await, libc::EBUSY);
    assert!(state(guest).await.geometry.is_some());
    assert_eq!(change(guest, MountChange::Thaw).await, 0);
    assert_eq!(change(guest, MountChange::Thaw).await, libc::EINVAL);

    for how in [GoingDown::Default, GoingDown::LogFlush, GoingDown::NoLogFlush] {
        assert_eq!(change(guest, MountChange::ShutDown(how)).await, 0, "{how:?}");
        let down = state(guest).await;
        assert!(down.shut_down == Some(true) && down.mounted.is_some() && down.geometry.is_none());
        assert_eq!(guest.change(create("late")).await, libc::EIO);
        assert_eq!(unmount(guest).await, 0);
        let gone = state(guest).await;
        assert!(gone.mounted.is_none() && gone.whereabouts == Whereabouts::Nowhere);
        assert_eq!(mount(guest, "dax=always").await, 0);
    }
    assert_eq!(unmount(guest).await, 0);
    assert_eq!(mount(guest, "dax=never,nonsense").await, libc::EINVAL);
    assert_eq!(mount(guest, "noatime,dax=inode,uquota").await, 0);
    let options = state(guest).await.mounted.unwrap().options;
    assert!(
        options.contains(&"noatime".to_owned()) && options.contains(&"usrquota".to_owned()),
        "{options:?}"
    );
    guest.make("plain", 4096, Fill::Byte(1)).await;
    assert!(!guest.stat("plain").await.dax);
    let quota = guest
        .ask(AskQuota {
            device: format!("/dev/{DEVICE}"),
        })
        .await;
    println!("  {quota:?}");
    let quota = super::done(quota);
    assert!(quota.user.is_some() && quota.project.is_none(), "{quota:?}");

    let path = "/proc/sys/vm/memory_failure_early_kill".to_owned();
    let read = ReadKernelFile { path: path.clone() };
    assert_eq!(super::done(guest.ask(read.clone()).await), "0");
    let write = |text: &str| WriteKernelFile {
        path: path.clone(),
        text: text.to_owned(),
    };
    assert_eq!(errno(&guest.ask(write("1")).await), 0);
    assert_eq!(super::done(guest.ask(read).await), "1");
    assert_eq!(errno(&guest.ask(write("2")).await), libc::EINVAL);
}

async fn shell(guest: &Guest<'_>, command: &str) {
    let argv = ["sh", "-c", command].map(str::to_owned).to_vec();
    let deadline_ms = Some(30_000);
    let result = guest.ask(Run { argv, deadline_ms }).await;
    assert_eq!(
        result.ended,
        Some(Ended::Exited(0)),
        "{command}: {}",
        result.stderr
    );
}

/// The superblock is what is there or not, whatever has become of the mount point.
pub(crate) async fn are_where_the_kernel_says(guest: &Guest<'_>) {
    let now = async || {
        let state = state(guest).await;
        println!(
            "  {:?} {:?} {:?}",
            state.whereabouts, state.mounted, state.shut_down
        );
        state
    };
    assert_eq!(now().await.whereabouts, Whereabouts::Here);

    shell(guest, "mount -t tmpfs none /mnt").await;
    let covered = now().await;
    assert!(matches!(covered.whereabouts, Whereabouts::Covered(ref by) if by.kind == "tmpfs"));
    assert_eq!(
        (covered.shut_down, covered.geometry),
        (None, None),
        "nothing leads there"
    );
    shell(
        guest,
        "umount /mnt && mkdir -p /tmp/m && mount --bind /mnt /tmp/m",
    )
    .await;
    assert_eq!(now().await.whereabouts, Whereabouts::Here);

    assert_eq!(unmount(guest).await, 0);
    let elsewhere = now().await;
    assert_eq!(
        elsewhere.whereabouts,
        Whereabouts::Elsewhere(vec!["/tmp/m".to_owned()])
    );
    assert!(elsewhere.mounted.is_none() && elsewhere.geometry.is_some());
    assert_eq!(elsewhere.shut_down, Some(false));
    let header = guest.facts(&[0], &[]).await.pages.remove(0);
    assert!(
        matches!(header.owners, Outcome::Done(ref owners) if !owners.is_empty()),
        "{header:?}"
    );

    shell(guest, "mount --bind /tmp/m /mnt && umount /tmp/m").await;
    assert_eq!(now().await.whereabouts, Whereabouts::Here);
    guest.make("a", 4096, Fill::Byte(1)).await;
    let started = guest.start(spec("alice", "a", &[load(spot(0, 0))])).await;
    let number = guest.device().await.number;
    let VictimStarted::Running { mappings, .. } = started else {
        panic!("{started:?}");
    };
    assert_eq!((mappings[0].device, mappings[0].dax), (number, true));
    shell(guest, "umount -l /mnt").await;
    let detached = now().await;
    assert_eq!(detached.whereabouts, Whereabouts::Detached);
    // Her file leads into it.
    assert!(detached.shut_down == Some(false) && detached.geometry.is_some());
    let facts = guest.facts(&[0], &[]).await;
    assert!(matches!(facts.pages[0].owners, Outcome::Done(ref owners) if !owners.is_empty()));
    assert_eq!(facts.in_core.len(), 1);
    shell(guest, "mount -t tmpfs none /mnt").await;
    assert_eq!(now().await.whereabouts, Whereabouts::Detached);
    shell(guest, "umount /mnt").await;

    let name = "alice".to_owned();
    guest.ask(ReleaseVictim { name }).await;
    let gone = now().await;
    assert_eq!((gone.whereabouts, gone.shut_down), (Whereabouts::Nowhere, None));
    assert_eq!(mount(guest, "dax=always").await, 0);
    assert_eq!(now().await.whereabouts, Whereabouts::Here);
}
