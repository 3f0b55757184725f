// SPDX-License-Identifier: MIT OR Apache-2.0
//! Room on the cache's disk, asked for before and during a fetch.
//!
//! apt does not end when its disk is full: it waits for ever for a method that will not answer any more.

use super::Cache;
use crate::error::Error;

/// Less than this is as good as nothing, in bytes.
const NOTHING: u64 = 1 << 20;

impl Cache {
    /// Fails if less than `bytes` can be written to the cache.
    pub(crate) fn require_space(&self, bytes: u64) -> Result<(), Error> {
        let enough = self
            .available()?
            .is_none_or(|available| available >= bytes.max(NOTHING));
        if enough {
            Ok(())
        } else {
            Err(Error::NoSpace {
                path: self.root().to_owned(),
            })
        }
    }

    /// Whether the disk is full.
    pub(crate) fn is_full(&self) -> bool {
        self.require_space(NOTHING).is_err()
    }

    /// The bytes that an ordinary user can still write; `None` where the filesystem does not keep count.
    fn available(&self) -> Result<Option<u64>, Error> {
        let state = nix::sys::statvfs::statvfs(self.root())
            .map_err(|error| Error::io("ask for the free space of", self.root(), error.into()))?;
        Ok((state.blocks() > 0).then(|| state.blocks_available().saturating_mul(state.fragment_size())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_disk_has_that_much() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(Some(folder.path().to_owned())).unwrap();
        assert!(cache.require_space(0).is_ok());
        let text = cache.require_space(u64::MAX).unwrap_err().to_string();
        assert!(
            text.contains("no space left") && text.contains(folder.path().to_str().unwrap()),
            "{text}"
        );
    }
}
