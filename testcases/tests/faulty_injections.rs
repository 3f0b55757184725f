// SPDX-License-Identifier: MIT OR Apache-2.0
//! Injections and expectations of the second version of the language that cannot be, and what is said of each:
//! `line:column what => way out`.

mod common;

use common::in_steps;

#[test]
fn ways_and_targets_that_do_not_fit() {
    in_steps(
        "
  - inject: { madvise: hwpoison, at: { file: a, offset: 0 } }
  - inject: { machine-check: action-required, at: { space: free } }
  - inject: { machine-check: action-required, at: { victim: alice, offset: 0, length: 8KiB } }
  - inject: { sysfs: badblocks, at: { pfn: 1 } }
  - inject: { debugfs: corrupt-pfn, at: { metadata: extent-map } }
  - inject: { debugfs: corrupt-pfn, at: { metadata: log, ag: 1 } }
  - inject: { debugfs: corrupt-pfn, at: { metadata: ag-header, file: a } }
  - inject: { debugfs: corrupt-pfn, at: { space: unwritten } }
  - inject: { debugfs: corrupt-pfn, at: { last-block: device, ag: 1 } }
  - inject: { debugfs: corrupt-pfn, at: { device: 0, file: a } }
  - inject: { debugfs: corrupt-pfn, at: { pfn: -1 } }
  - inject: { debugfs: corrupt-pfn, at: { victim: alice } }
  - inject: { debugfs: corrupt-pfn, at: { pfn: 1 }, times: 0 }
  - inject: { mce-inject: hardware, at: { pfn: 1 } }
",
        &[
            "5:38 madvise(2) is a process's own call, on its own memory => name whose page it is: `at: { victim: alice, offset: 4KiB }`",
            "6:51 an error that is consumed needs a process that consumes it => name whose page it is: `at: { victim: alice, offset: 4KiB }`",
            "7:79 a processor consumes one error at a time => take `length` away, and inject again for the next page",
            "8:39 bad blocks are places of a device, not of memory => write `at: { device: 4KiB }`, or a part of a file",
            "9:41 `file` is missing => add `file: …`",
            "10:58 `ag` means nothing beside `metadata` => take `ag` away",
            "11:64 `file` means nothing beside `metadata` => take `file` away",
            "12:41 `file` is missing => add `file: …`",
            "13:63 `ag` means nothing beside `last-block` => take `ag` away",
            "14:54 `file` means nothing beside `device` => take `file` away",
            "15:48 expected a whole number, not below zero, found the number `-1` => write a whole number, not below zero",
            "16:41 `offset` is missing => add `offset: …`",
            "17:60 expected a whole number above zero, found the number `0` => write a whole number above zero",
            "18:27 unknown word `hardware` => choose one of `software`, `cache-line`, `corrected`, `unusable-address`, `bus`",
        ],
    );
}

#[test]
fn targets_that_are_not_there() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - mkdir: { directory: d }
  - inject: { debugfs: corrupt-pfn, at: { metadata: directory, file: a } }
  - inject: { debugfs: corrupt-pfn, at: { metadata: extent-map, file: d } }
  - inject: { debugfs: corrupt-pfn, at: { metadata: symlink, file: s } }
  - inject: { debugfs: corrupt-pfn, at: { space: unwritten, file: d } }
  - inject: { debugfs: corrupt-pfn, at: { file: a, offset: 1MiB, length: 2MiB } }
  - inject: { debugfs: corrupt-pfn, at: { device: 0, length: 0 } }
  - expect: { filesystem: up }
",
        &[
            "7:70 `a` is a file => name another, or another kind of target",
            "8:71 `d` is a directory => name another, or another kind of target",
            "9:68 there is no file `s` => make it first: `- write: { file: s, size: 2MiB, fill: 0x5a }`",
            "10:67 `d` is a directory => name another, or another kind of target",
            "11:74 2MiB from offset 1MiB reach beyond the end of `a` => the file ends at 2MiB",
            "12:62 a range of no bytes shows nothing => give it at least one byte",
        ],
    );
}

#[test]
fn fates_that_cannot_be() {
    in_steps("
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - victim: { name: alice, maps: a, touches: 4KiB, sigbus: default }
  - victim: { name: bob, maps: a, touches: 4KiB, threads: { worker: early } }
  - victim: { name: carol, maps: a, touches: 4KiB, sigbus: blocked }
  - inject: { debugfs: corrupt-pfn, at: { file: a, offset: 4KiB } }
  - expect: { killed: { alice: { code: BUS_MCEERR_AO, at: 0 } } }
  - expect: { killed: { bob: [{ code: BUS_MCEERR_AO, at: 0, map: 1 }, { code: BUS_MCEERR_AO, at: 4MiB }, { code: BUS_MCEERR_AO, at: 0, thread: wrker }] } }
  - expect: { pending: [bob], alive: [carol] }
  - expect: { killed: { carol: { code: BUS_MCEERR_AO, at: 0 } }, pending: [carol] }
  - expect: { died: { alice: SIGBUS, bob: SIGKILL }, alive: [alice] }
  - touch: { victim: alice, at: 0 }
  - expect: { present: { bob: 4KiB }, absent: { bob: 4KiB, carol: 4MiB } }
", &[
        "10:25 `alice` has no handler that could tell of a signal => write `died: { alice: SIGBUS }`",
        "11:66 `bob` has no mapping 1 => they are counted from 0: choose one below 1",
        "11:98 offset 4MiB is beyond the end of `a` => choose an offset below 2MiB",
        "11:144 `bob` has no thread `wrker` => did you mean `worker`?",
        "12:25 no signal waits for `bob`, who blocks none => add `sigbus: blocked` where the victim is started",
        "13:25 `carol` has no handler that could tell of a signal => write `pending: [carol]`",
        "13:76 `carol` cannot be both killed and waiting => take one of the two away",
        "14:62 `alice` cannot be both dead and alive => take one of the two away",
        "15:22 `alice` has ended, and does nothing any more => move one of the two steps",
        "16:31 `bob`'s page at 4KiB cannot be both present and absent => take one of the two away",
        "16:67 offset 4MiB is beyond the end of `a` => choose an offset below 2MiB",
    ]);
}

#[test]
fn what_else_cannot_be_seen() {
    in_steps(
        r#"
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - victim: { name: alice, maps: a, touches: 4KiB }
  - expect: { log: { has: ["Sending SIGBUS to {alcie}", "{pfn} {alice.pid}"] } }
  - expect: { trace: [{ event: signal_generate, fields: { pid: "{bob.pid}" } }] }
  - expect: { hardware_corrupted: 100 }
  - expect: { watched: { health: media } }
  - expect: { files: { b: { size: 0 } } }
  - watch: health
  - watch: health
"#,
        &[
            "7:28 there is no victim `alcie` => did you mean `alice`? Else start it first: `- victim: { name: alcie, maps: FILE, touches: 0 }`",
            "8:64 there is no victim `bob` => start it first: `- victim: { name: bob, maps: FILE, touches: 0 }`",
            "9:35 100 is no whole number of pages => the kernel counts pages of 4KiB",
            "10:26 nobody watches `health` => put `- watch: health` before the injection",
            "11:24 there is no file `b` => make it first: `- write: { file: b, size: 2MiB, fill: 0x5a }`",
            "13:12 `health` is being watched already => take one of the two away",
        ],
    );
}

#[test]
fn expectations_that_say_nothing() {
    in_steps(
        r#"
  - expect: { killed: { alice: [] }, died: {}, pending: [], present: {}, absent: { alice: [] }, files: {}, watched: {}, trace: [] }
  - expect: { killed: { alice: { code: BUS_MCEERR_AO, at: 0, times: 0 } } }
  - expect: { killed: { alice: { code: BUS_MCEERR_AO, at: 0, lsb: 64 } } }
  - expect: { killed: { alice: { code: BUS_MCEERR_AO, at: 0, times: 3..1 } } }
  - expect: { log: {}, page_flags: {} }
  - expect: { log: { has: ["*"] } }
  - expect: { log: "{nobody" }
  - expect: { log: { has: x1, lacks: [y1, x1] } }
  - expect: { page_flags: { has: [hwpoison], lacks: [hwpoison] } }
  - expect: { files: { a: {} } }
  - expect: { watched: { health: { lacks: [media] } } }
"#,
        &[
            "5:32 this says nothing => name those that get no signal under `alive`",
            "5:44 `died` names nobody => name the victims that get a signal under `killed`, those that get none under `alive`",
            "5:57 `pending` names nobody => name the victims that get a signal under `killed`, those that get none under `alive`",
            "5:70 `present` names nobody => name the victim and the place: `present: { alice: 4KiB }`",
            "5:91 this says nothing => name a place, such as `4KiB`",
            "5:104 `files` says nothing => name a file: `files: { a: { size: 2MiB } }`",
            "5:117 `watched` says nothing => name a watcher: `watched: { health: { has: [media-error] } }`",
            "5:128 `trace` says nothing => name an event; one that does not come has `times: 0`",
            "6:69 a signal that never comes is none => name those that get no signal under `alive`",
            "7:67 no address has so many bits => 12 stands for 4KiB, 21 for 2MiB",
            "8:69 no number is in `3..1` => write the lower one first",
            "9:20 this says nothing => write `has: [some text]` or `lacks: [some text]`",
            "9:36 this says nothing => write `has: [hwpoison]` or `lacks: [hwpoison]`",
            "10:28 `*` is found in every line => say what the line has",
            "11:20 `{nobody` begins no placeholder => write `{pfn}`, a victim's `{alice}` or `{alice.pid}`, or `{{` for a brace",
            "12:43 the same is expected to be there and not to be there => take one of the two away",
            "13:54 the same is expected to be there and not to be there => take one of the two away",
            "14:27 this says nothing => add one of `size`, `dax`, `shared`, `extents`, `unwritten`",
            "15:43 what is not there may only be late => write under `has` what the watcher is told in any case; then what it was not told by then is looked at",
        ],
    );
}

#[test]
fn words_that_are_not_known() {
    in_steps(
        r#"
  - expect: { trace: [{ event: "ras:memory_failure_event" }] }
  - expect: { trace: [{ event: x, fields: { sig: [1] } }] }
  - expect: { page_flags: { has: [hwpoisn] } }
  - expect: { files: { a: { shared: al } } }
  - expect: { files: { a: { extents: many } } }
  - expect: { died: { alice: SIGSEGV } }
  - expect: { watched: { helth: x } }
  - expect: { badblocks: [{ device: 0 }, { device: 0, length: 512, offset: 0 }] }
  - watch: helth
"#,
        &[
            "5:32 `ras:memory_failure_event` is no name of a trace event => leave its system away: write `memory_failure_event`",
            "6:50 expected a number, or a text to look for, found a list => write a number, or a text to look for",
            "7:35 unknown word `hwpoisn` => did you mean `hwpoison`?",
            "8:37 unknown word `al` => did you mean `all`?",
            r#"9:38 `many` is no number of times => write it like `2`, `1..3` (both ends count) or `">=1"`"#,
            "10:30 unknown word `SIGSEGV` => choose one of `SIGBUS`, `SIGKILL`",
            "11:26 unknown word `helth` => did you mean `health`?",
            "12:27 `length` is missing => add `length: …`",
            "12:68 `offset` means nothing beside `device` => take `offset` away",
            "13:12 unknown word `helth` => did you mean `health`?",
        ],
    );
}

#[test]
fn only_who_does_something_himself_is_signalled_by_it() {
    in_steps(
        r"
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - victim: { name: alice, maps: a, touches: 4KiB }
  - expect: { write: { file: a, offset: 0, from: { victim: alice, at: 0 } }, raises: { code: BUS_MCEERR_AR, at: 4KiB } }
  - expect: { write: { file: a, offset: 0, fill: 1 }, raises: { code: BUS_MCEERR_AR, at: 4KiB } }
  - expect: { write: { file: a, offset: 0, from: { victim: alice, at: 0 } }, raises: { code: BUS_MCEERR_AR, at: 4MiB } }
",
        &[
            "8:55 nobody is signalled by a write that no victim makes => write `error: EIO`, or `from: { victim: alice, at: 4KiB }` in place of `fill`",
            "9:113 offset 4MiB is beyond the end of `a` => choose an offset below 2MiB",
        ],
    );
    in_steps(
        r"
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - expect: { read: { file: a }, raises: { code: BUS_MCEERR_AR, at: 4KiB } }
",
        &[
            "6:34 `raises` is for `touch`, `store`, and a victim's `write`, and this is `read` => write either `error: EIO`, `error: none` or `contains: 0x5a`",
        ],
    );
}

#[test]
fn endings_that_do_not_fit() {
    in_steps(
        r#"
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - victim: { name: alice, maps: a, touches: 4KiB }
  - expect: { run: "true", error: none }
  - expect: { run: "true" }
  - expect: { run: "true", status: 256 }
  - expect: { touch: { victim: alice, at: 0 }, error: EIO }
  - expect: { touch: { victim: alice, at: 0 }, value: 1, raises: { code: BUS_ADRERR, at: 0 } }
  - expect: { store: { victim: alice, at: 0, fill: 1 }, value: 1 }
  - expect: { read: { file: a }, error: differs }
  - expect: { read: { file: a }, contains: { file: a, sha256: abc } }
  - expect: { read: { file: a }, contains: {} }
  - expect: { read: { file: a }, names: [a] }
  - expect: { list: {}, names: [a, a] }
  - expect: { list: {}, contains: 1 }
  - expect: { get-xattr: { file: a, name: user.x }, contains: { file: a } }
  - expect: { raed: { file: a }, contains: 1 }
  - expect: { sync: {}, status: 0 }
  - expect: { victim: { name: bob, maps: a }, error: EIO }
"#,
        &[
            "7:28 `error` is for what returns an errno, and this is `run` => write `status: 0`, `output: some text`, or both",
            "8:13 how `run` ends is missing => write `status: 0`, `output: some text`, or both",
            "9:36 expected a whole number up to 255, found the number `256` => write a whole number up to 255",
            "10:55 a `touch` is an instruction, and gets no errno => write `value: 0x5a`, `raises: { code: BUS_MCEERR_AR, at: 4KiB }`, or `error: none` for any byte",
            "11:58 `value` and `raises` exclude each other => write `value: 0x5a`, `raises: { code: BUS_MCEERR_AR, at: 4KiB }`, or `error: none` for any byte",
            "12:57 `value` is for `touch`, and this is `store` => write `error: none`, or `raises: { code: BUS_MCEERR_AR, at: 4KiB }`",
            "13:41 only `dedupe` finds that parts differ, and this is `read` => write either `error: EIO`, `error: none` or `contains: 0x5a`",
            "14:63 `abc` is no SHA-256 checksum => write its 64 hexadecimal digits, as sha256sum(1) prints them",
            "15:44 what it is compared with is missing => write either `{ file: b, offset: 0 }` or `{ sha256: … }`",
            "16:34 `names` is for `list`, and this is `read` => write either `error: EIO`, `error: none` or `contains: 0x5a`",
            "17:36 `a` is named twice => keep one of the two",
            "18:25 `contains` is for reading, and this is `list` => write either `error: EIO`, `error: none` or `names: [a, b]`",
            "19:63 an attribute is no part of a file => write the byte that fills it, such as `contains: 0x5a`",
            "20:15 unknown key `raed` => did you mean `read`?",
            "21:25 `status` is for `run` and `repair`, and this is `sync` => write `error: EIO`, or `error: none` if it succeeds",
            "22:15 unknown key `victim` => testcases/README.md lists the keys that can stand here",
        ],
    );
}
