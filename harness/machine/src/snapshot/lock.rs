// SPDX-License-Identifier: MIT OR Apache-2.0
//! Locks between runs: flock(2), which ends with its holder however that ends.

use super::error::{Doing, StoreError};
use guest_images::lock::{self, DEADLINE, Kind};
use std::fs::{File, TryLockError};
use std::path::Path;

/// A lock file, made if it is not there.
pub(super) fn open_lock(path: &Path) -> Result<File, StoreError> {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .doing("open the lock", path)
}

/// Locks the file at `path` until dropped; says `busy` before it waits.
pub(super) async fn lock(
    path: &Path,
    kind: Kind,
    busy: &str,
    note: &(dyn Fn(&str) + Sync),
) -> Result<File, StoreError> {
    let file = open_lock(path)?;
    let tried = match kind {
        Kind::Shared => file.try_lock_shared(),
        Kind::Exclusive => file.try_lock(),
    };
    match tried {
        Ok(()) => return Ok(file),
        Err(TryLockError::WouldBlock) => {}
        Err(TryLockError::Error(source)) => return Err(source).doing("lock", path),
    }
    note(&format!("{busy} ({})", lock::holders(&file)));
    let path = path.to_owned();
    blocking(move || lock::lock(file, kind, DEADLINE, |_| ()).doing("lock", &path)).await?
}

/// Does file work where it keeps no other task waiting.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(StoreError::Thread)
}
