// SPDX-License-Identifier: MIT OR Apache-2.0
//! The cases that are run while something goes wrong. Each is right, and passes when nothing does.

/// A case with a step that takes a while, so that there is a step to be hit in.
pub(super) const SLOW: &str = "\
summary: A step takes a while.
why: So that there is a step to be hit in.
template: xfs
kernel: \">=6.1\"
covers: [76]
steps:
  - run: sleep 5
  - write: { file: a, size: 4KiB, fill: 0x5a }
  - expect: { read: { file: a }, contains: 0x5a }
";

/// A case that is over at once.
pub(super) const QUICK: &str = "\
summary: A file holds what was written.
why: So that something passes.
template: xfs
kernel: \">=6.1\"
covers: [76]
steps:
  - write: { file: a, size: 4KiB, fill: 0x5a }
  - expect: { read: { file: a }, contains: 0x5a }
";

/// A case in which the kernel complains as a known issue says (the file system's allocator meets a bad block that is free, as in
/// `media/bad-and-free`), before a step that takes a while.
pub(super) const KNOWN_ISSUE: &str = "\
summary: An expected complaint of the kernel, and then a step that takes a while.
why: So that an emulator can be lost behind a known issue.
template: xfs
kernel: \">=6.1\"
covers: [37]
steps:
  - write:   { file: hit, size: 64KiB, fill: 0x5a }
  - inject:  { machine-check: action-optional, at: { file: hit, offset: 4KiB } }
  - unlink:  { file: hit }
  - unmount: {}
  - mount:   {}
  - run:     xfs_io -f -c 'pwrite -q 0 8m' new || true
  - run:     sleep 30
  - expect:  { filesystem: up }
known_issues:
  - kernel: any
    splat: xfs_trans_cancel
    finding: { kind: filesystem, seen: shutdown }
    because: A failed allocation is taken back by shutting the file system down.
";

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use testcases::{CaseId, parse};

    #[test]
    fn they_are_right() {
        for text in [SLOW, QUICK, KNOWN_ISSUE] {
            let id = CaseId::from_path(Path::new("x/y.yaml"), Path::new("")).unwrap();
            if let Err(wrong) = parse(text, Path::new("x/y.yaml"), id) {
                panic!("{wrong}");
            }
        }
    }
}
