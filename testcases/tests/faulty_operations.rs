// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations and victims whose parts are not well formed or do not fit together, and what is said of each:
//! `line:column what => way out`.

mod common;

use common::in_steps;

#[test]
fn directories_and_kinds() {
    in_steps(
        "
  - mkdir: { directory: d }
  - write: { file: d/a, size: 4KiB, fill: 1 }
  - write: { file: e/a, size: 4KiB, fill: 1 }
  - write: { file: d/a/b, size: 4KiB, fill: 1 }
  - rmdir: { directory: d }
  - read: { file: d }
  - victim: { name: alice, maps: d }
  - rename: { from: d, to: d/e }
  - list: { directory: d/a }
  - readlink: { file: d/a }
  - expect: { read: { file: d }, error: EISDIR }
",
        &[
            "7:20 there is no directory `e` => make it first: `- mkdir: { directory: e }`",
            "8:20 `d/a` is a file, and holds no others => make a directory instead: `- mkdir: { directory: d/a }`",
            "9:25 `d` is not empty: it has `d/a` => take it away first: `- unlink: { file: d/a }`",
            "10:19 `d` is a directory => name another, or say the error that comes of it",
            "11:34 `d` is a directory, and cannot be mapped => name a file",
            "12:28 `d` cannot be moved into itself => name another directory",
            "13:24 `d/a` is a file => name another, or say the error that comes of it",
            "14:23 `d/a` is a file => name another, or say the error that comes of it",
        ],
    );
}

#[test]
fn names_come_and_go() {
    in_steps(
        "
  - mkdir: { directory: d }
  - write: { file: d/a, size: 4KiB, fill: 1 }
  - rename: { from: d, to: e }
  - read: { file: d/a }
  - read: { file: e/a }
  - unlink: { file: e/a }
  - read: { file: e/a }
  - expect: { read: { file: e/a }, error: ENOENT }
  - run: echo > e/a
  - read: { file: e/a }
  - rmdir: { directory: e }
",
        &[
            "8:19 `d/a` is gone => move one of the two steps; that it is not there is said by `error: ENOENT`",
            "11:19 `e/a` is gone => move one of the two steps; that it is not there is said by `error: ENOENT`",
        ],
    );
}

#[test]
fn a_command_may_make_what_it_mentions() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - run: echo x > out.txt; truncate -s 4M a
  - read: { file: a, offset: 3MiB }
  - read: { file: out }
  - read: { file: oot }
  - expect: { filesystem: up }
",
        &["9:19 there is no file `oot` => make it first: `- write: { file: oot, size: 2MiB, fill: 0x5a }`"],
    );
}

#[test]
fn sizes_are_followed() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - truncate: { file: a, size: 8KiB }
  - expect: { read: { file: a, offset: 8KiB }, error: none }
  - link: { from: a, to: l }
  - write: { file: l, offset: 8KiB, fill: 1 }
  - expect: { read: { file: a, offset: 8KiB }, error: none }
  - collapse: { file: l, offset: 0, length: 4KiB }
  - read: { file: a, offset: 8KiB }
  - insert: { file: l, offset: 0, length: 8KiB }
  - read: { file: a, offset: 12KiB }
  - allocate: { file: a, offset: 0, length: 1MiB, keep_size: true }
  - read: { file: a, offset: 512KiB }
  - allocate: { file: a, offset: 0, length: 1MiB }
  - read: { file: a, offset: 512KiB }
  - fragment: { file: f, extents: 3, fill: 1 }
  - read: { file: f, offset: 16KiB }
  - read: { file: f, offset: 20KiB }
",
        &[
            "7:40 offset 8KiB is beyond the end of `a` => choose an offset below 8KiB",
            "12:30 offset 8KiB is beyond the end of `a` => choose an offset below 8KiB",
            "16:30 offset 512KiB is beyond the end of `a` => choose an offset below 16KiB",
            "21:30 offset 20KiB is beyond the end of `f` => choose an offset below 20KiB",
        ],
    );
}

#[test]
fn files_that_exchange_what_they_hold_exchange_their_sizes() {
    in_steps(
        "
  - mkdir: { directory: d }
  - write: { file: a, size: 4KiB, fill: 1 }
  - write: { file: c, size: 2MiB, fill: 2 }
  - expect: { exchange: { file: a, with: c }, error: EOPNOTSUPP }
  - read: { file: c, offset: 1MiB }
  - exchange: { file: a, with: c }
  - read: { file: a, offset: 1MiB }
  - read: { file: c, offset: 1MiB }
  - exchange: { file: a, with: d }
  - exchange: { file: b, with: a }
  - freeze: {}
  - exchange: { file: a, with: c }
",
        &[
            "12:30 offset 1MiB is beyond the end of `c` => choose an offset below 4KiB",
            "13:32 `d` is a directory => name another, or say the error that comes of it",
            "14:23 there is no file `b` => make it first: `- write: { file: b, size: 2MiB, fill: 0x5a }`",
            "16:5 the filesystem is frozen here, and this would wait until it is not => put `- thaw: {}` before it",
        ],
    );
}

#[test]
fn keys_that_do_not_go_together() {
    in_steps(
        "
  - write: { file: a, size: 4KiB, offset: 0, fill: 1 }
  - write: { file: a, size: 4KiB }
  - write: { file: a, offset: 0 }
  - write: { file: a, offset: 0, fill: 1, from: { victim: x } }
  - write: { file: a, size: 4KiB, fill: countin }
  - symlink: { at: s }
  - symlink: { at: s, to: a, length: 3 }
  - symlink: { at: s, length: 4KiB }
  - reflink: { from: a, to: b, at: 0 }
  - fragment: { file: f, extents: 0, fill: 1 }
  - sync: { data: true }
  - set-flags: { file: a }
  - set-flags: { file: a, dax: yes }
  - set-xattr: { file: a, name: note, size: 1, fill: 1 }
",
        &[
            "5:35 `offset` means nothing beside `size` => take `offset` away",
            "6:12 `fill` is missing => add `fill: …`",
            "7:12 what is written is missing => write `fill: 0x5a`, or `from: { victim: alice, at: 0 }` to write from a mapping",
            "8:43 `fill` and `from` exclude each other => write `fill: 0x5a`, or `from: { victim: alice, at: 0 }` to write from a mapping",
            "9:41 unknown word `countin` => did you mean `counting`?",
            "10:14 what the link holds is missing => write `to: a`, or `length: 1000` for some text so long",
            "11:30 `to` and `length` exclude each other => write `to: a`, or `length: 1000` for some text so long",
            "12:31 no symbolic link of XFS holds 4096 bytes => choose 1 to 1023",
            "13:14 `offset` is missing => add `offset: …`",
            "13:14 `length` is missing => add `length: …`",
            "14:35 a file of 0 extents cannot be made here => choose 1 to 16384",
            "15:11 `file` is missing => add `file: …`",
            "16:16 this sets no flag => add one of `dax`, `extsize`, `cowextsize`, `realtime`",
            r#"17:32 expected `true` or `false`, found the text "yes" => write `true` or `false`"#,
            "18:33 `note` is in no namespace of attributes => begin with `user.`, `trusted.` or `security.`",
        ],
    );
}

#[test]
fn commands_and_parameters_of_the_kernel() {
    in_steps(
        r#"
  - sysctl: {}
  - sysctl: { early_kill: 1 }
  - set: { file: /etc/passwd, to: 1 }
  - run: { command: ls, timeout: 30 }
  - run: ""
  - run: [ls]
"#,
        &[
            "5:13 this sets nothing => name a kernel parameter: `sysctl: { vm.memory_failure_early_kill: 1 }`",
            "6:15 `early_kill` is no kernel parameter => write its path below /proc/sys with dots, such as `vm.memory_failure_early_kill`",
            "7:18 `/etc/passwd` is no file of the kernel's => name one below /sys or /proc; for others there is `run`",
            "8:34 expected a length of time such as `30s` or `2min`, found the number `30` => write a length of time such as `30s` or `2min`",
            "9:10 this text is empty => say something, it is what people read",
            "10:10 expected a command, or a mapping like `{ command: xfs_io -c fsync a, timeout: 30s }`, found a list => write a command, or a mapping like `{ command: xfs_io -c fsync a, timeout: 30s }`",
        ],
    );
}

#[test]
fn victims_of_no_kind() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - victim: { name: alice, maps: [], touches: 0 }
  - victim: { name: bob, maps: { file: a, ofset: 0 }, touches: 0 }
  - victim: { name: carol, maps: a, page: 1GiB }
  - victim: { name: dave, maps: a, sigbus: handled }
  - victim: { name: erin, maps: a, touches: { map: 1 } }
  - victim: { name: fay, maps: a, touches: [x] }
  - victim: { name: gus, maps: a, threads: { Worker: early } }
  - advise: { victim: alice, advice: hwpoison }
",
        &[
            "6:34 a victim that maps nothing cannot be hit => name the file that it maps: `maps: a`",
            "7:43 unknown key `ofset` => did you mean `offset`?",
            "8:43 unknown word `1GiB` => choose one of `4KiB`, `2MiB`",
            "9:44 unknown word `handled` => did you mean `handler`?",
            "10:45 `at` is missing => add `at: …`",
            "11:45 `x` is no size => write a whole number and a unit, such as `4KiB`, or plain bytes",
            "12:46 `Worker` is no plain name => begin with a letter or digit, and use only a-z, 0-9, `_` and `-`",
            "13:38 unknown word `hwpoison` => choose one of `dontneed`, `willneed`, `populate-read`, `populate-write`, `dontfork`, `hugepage`, `nohugepage`, `cold`, `pageout`, `remove`",
        ],
    );
}

#[test]
fn victims_that_do_not_fit() {
    in_steps("
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - victim: { name: alice, maps: a, touches: 4KiB, stores: 0 }
  - victim: { name: bob, maps: [a, { file: a, offset: 1MiB, length: 4KiB }], touches: [{ map: 2, at: 0 }, { map: 1, at: 4KiB }] }
  - victim: { name: carol, maps: { file: a, offset: 100 }, page: 2MiB }
  - victim: { name: dave, maps: a, touches: 0, threads: { worker: early } }
  - store: { victim: dave, at: 0, fill: 1 }
  - touch: { victim: dave, at: 3MiB }
  - touch: { victim: dav, at: 0 }
  - policy: { victim: dave, kill: early, thread: wroker }
  - fork: { victim: dave, child: dave }
  - fork: { victim: dave, child: dan }
  - policy: { victim: dan, kill: early, thread: worker }
  - release: [dave]
  - touch: { victim: dave, at: 0 }
  - unmap: { victim: dan }
  - touch: { victim: dan, at: 0 }
  - unmap: { victim: dan }
  - inject: { madvise: hwpoison, at: { victim: dan, offset: 3MiB, map: 1 } }
  - expect: { filesystem: up }
", &[
        "6:60 `alice` may not write to this mapping => add `access: write`",
        "7:95 `bob` has no mapping 2 => they are counted from 0: choose one below 2",
        "7:121 offset 4KiB is beyond the end of `bob`'s mapping of `a` => choose an offset below 4KiB",
        "8:53 a mapping cannot begin at 100 => choose a multiple of 4KiB; what is touched is counted from there",
        "8:66 nothing is touched, so nothing shows by which pages it is mapped => add `touches: 0`",
        "10:22 `dave` may not write to this mapping => add `access: write` where the victim is started",
        "11:32 offset 3MiB is beyond the end of `a` => choose an offset below 2MiB",
        "12:22 there is no victim `dav` => did you mean `dave`? Else start it first: `- victim: { name: dav, maps: FILE, touches: 0 }`",
        "13:50 `dave` has no thread `wroker` => did you mean `worker`?",
        "14:34 there is a victim `dave` already => give one of the two another name, even if the first has been released",
        "16:49 `dan` has no thread `worker` => add `threads: { worker: early }` where the victim is started",
        "18:22 `dave` has ended, and does nothing any more => move one of the two steps",
        "20:12 `dan` has given up mapping 0 => move this step before the `unmap`",
        "21:12 `dan` has given up mapping 0 before => take one of the two away",
        "22:72 `dan` has no mapping 1 => they are counted from 0: choose one below 1",
    ]);
}

#[test]
fn frozen_open_and_unmounted() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - open: { file: a }
  - open: { file: a }
  - close: { file: b }
  - freeze: {}
  - freeze: {}
  - write: { file: b, size: 4KiB, fill: 1 }
  - thaw: {}
  - thaw: {}
  - repair: {}
  - unmount: {}
  - expect: { filesystem: unmounted }
  - inject: { debugfs: corrupt-pfn, at: { device: 4KiB } }
  - inject: { debugfs: corrupt-pfn, at: { space: free } }
  - repair: {}
  - freeze: {}
  - mount: {}
",
        &[
            "7:19 `a` is open already => take one of the two away",
            "8:20 `b` is not open => open it first: `- open: { file: b }`",
            "10:5 the filesystem is frozen already => put `- thaw: {}` before it",
            "11:5 the filesystem is frozen here, and this would wait until it is not => put `- thaw: {}` before it",
            "13:5 the filesystem is not frozen here => put `- freeze: {}` before it",
            "14:5 xfs_repair needs the filesystem unmounted => put `- unmount: {}` before it",
            "15:5 a filesystem with an open file cannot be unmounted => put `- close: { file: a }` before it",
            "18:5 the filesystem is not mounted here => put `- mount: {}` before it",
            "20:5 the filesystem is not mounted here => put `- mount: {}` before it",
        ],
    );
}
