// SPDX-License-Identifier: MIT OR Apache-2.0
//! Mounts.

use super::{DEVICE, Guest, errno};
use guest_agent::call::{
    AskMount, AskQuota, ChangeMount, FileChange, Fill, GoingDown, Mount, MountChange, MountState,
    ReadKernelFile, Unmount, WriteKernelFile,
};
use harness::nvdimm::{MOUNT_POINT, path_of};

async fn state(guest: &Guest<'_>) -> MountState {
    let at = MOUNT_POINT.to_owned();
    guest.ask(AskMount { at }).await
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
        assert!(down.shut_down && down.mounted.is_some() && down.geometry.is_none());
        assert_eq!(guest.change(create("late")).await, libc::EIO);
        assert_eq!(unmount(guest).await, 0);
        let gone = state(guest).await;
        assert!(gone.mounted.is_none() && !gone.shut_down);
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
