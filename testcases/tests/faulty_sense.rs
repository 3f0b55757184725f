// SPDX-License-Identifier: MIT OR Apache-2.0
//! Case files whose parts are well formed and do not fit together, and what is said of each: `line:column what => way out`.

mod common;

use common::{in_file, in_steps};

#[test]
fn undeclared_names() {
    in_steps(
        "
  - write: { file: data, size: 2MiB, fill: 0x5a }
  - victim: { name: alice, maps: dta, touches: 0 }
  - reflink: { from: x, to: y }
  - inject: { machine-check: action-optional, at: { file: daat, offset: 0 } }
  - expect:
      killed:
        alcie: { code: BUS_MCEERR_AO, at: 4KiB }
      alive: [bob]
      badblocks: [{ file: datas, offset: 0, length: 512 }]
  - release: [alic]
  - expect: { read: { file: dada, offset: 0 }, error: EIO }
  - expect: { write: { file: dada, fill: 1 }, error: EIO }
  - expect: { stat: { file: zz }, error: none }
",
        &[
            "6:34 there is no file `dta` => did you mean `data`? Else make it first: `- write: { file: dta, size: 2MiB, fill: 0x5a }`",
            "7:22 there is no file `x` => make it first: `- write: { file: x, size: 2MiB, fill: 0x5a }`",
            "8:59 there is no file `daat` => did you mean `data`? Else make it first: `- write: { file: daat, size: 2MiB, fill: 0x5a }`",
            "11:9 there is no victim `alcie` => did you mean `alice`? Else start it first: `- victim: { name: alcie, maps: FILE, touches: 0 }`",
            "12:15 there is no victim `bob` => start it first: `- victim: { name: bob, maps: FILE, touches: 0 }`",
            "13:27 there is no file `datas` => did you mean `data`? Else make it first: `- write: { file: datas, size: 2MiB, fill: 0x5a }`",
            "14:15 there is no victim `alic` => did you mean `alice`? Else start it first: `- victim: { name: alic, maps: FILE, touches: 0 }`",
            "15:29 there is no file `dada` => did you mean `data`? Else make it first: `- write: { file: dada, size: 2MiB, fill: 0x5a }`",
            "16:30 there is no file `dada` => did you mean `data`? Else make it first: `- write: { file: dada, size: 2MiB, fill: 0x5a }`",
            "17:29 there is no file `zz` => make it first: `- write: { file: zz, size: 2MiB, fill: 0x5a }`",
        ],
    );
}

#[test]
fn processes_that_nobody_has_started() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - victim: { name: alice, maps: a, touches: 4KiB, kill: early }
  - expect: { signalled: { xfs_io: SIGBUS } }
  - run: \"xfs_io -c 'mmap -r 0 64k' a & a-program-of-a-long-name &\"
  - inject: { debugfs: corrupt-pfn, at: { file: a, offset: 4KiB } }
  - expect: { signalled: { xfs-io: SIGBUS, alice: SIGBUS } }
  - expect: { signalled: { xfs_io: BUS_MCEERR_AO, a-program-of-a-: SIGBUS, child-of-script: SIGKILL } }
",
        &[
            "7:28 nothing has started `xfs_io` => start it first: `- run: xfs_io … &`",
            "10:28 no `run` before this names `xfs-io` => did you mean `xfs_io`?",
            "10:44 `alice` is a victim => say what she is told under `killed`, `died`, `alive` or `pending`: `alive: [alice]`",
        ],
    );
}

#[test]
fn a_name_that_is_expected_to_be_absent() {
    in_steps(
        "
  - expect: { stat: { file: zz }, error: ENOENT }
  - expect: { read: { file: zz, offset: 0 }, error: ENOENT }
",
        &[],
    );
}

#[test]
fn names_declared_twice() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - victim: { name: alice, maps: a, touches: 4KiB, kill: early }
  - victim: { name: alice, maps: a, touches: 4KiB, kill: early }
  - reflink: { from: a, to: a }
  - expect: { create: { file: a }, error: none }
  - expect: { create: { file: a }, error: EIO }
",
        &[
            "6:20 there is a file `a` already => give one of the two another name",
            "8:21 there is a victim `alice` already => give one of the two another name, even if the first has been released",
            "9:29 there is a file `a` already => give one of the two another name",
            "10:31 there is a file `a` already => give one of the two another name",
            "11:31 there is a file `a` already => give one of the two another name",
        ],
    );
}

#[test]
fn use_before_declaration() {
    in_steps(
        "
  - victim: { name: alice, maps: a, touches: 0 }
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - release: [bob]
  - victim: { name: bob, maps: a, touches: 0 }
  - expect: { filesystem: up }
",
        &[
            "5:34 file `a` is used before it is there => move one of the two steps",
            "7:15 victim `bob` is used before it is there => move one of the two steps",
        ],
    );
}

#[test]
fn a_second_release() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - victim: { name: alice, maps: a, touches: 4KiB, kill: early }
  - release: [alice]
  - release: [alice]
  - release: []
  - expect: { filesystem: up }
",
        &[
            "8:15 `alice` was released before => take one of the two away",
            "9:14 this releases nobody => name the victims that end here: `release: [alice]`",
        ],
    );
}

#[test]
fn a_released_victim_can_still_be_asked_about() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - victim: { name: alice, maps: a, touches: 4KiB, kill: early }
  - inject: { machine-check: action-optional, at: { file: a, offset: 4KiB } }
  - release: [alice]
  - expect: { alive: [alice] }
",
        &[],
    );
}

#[test]
fn impossible_offsets() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - reflink: { from: a, to: b }
  - victim: { name: alice, maps: b, touches: 2MiB }
  - inject: { machine-check: action-optional, at: { file: a, offset: 4MiB } }
  - expect: { killed: { alice: { code: BUS_MCEERR_AO, at: 3MiB, lsb: 12 } } }
  - expect: { read: { file: a, offset: 2044KiB, length: 8KiB }, error: EIO }
  - expect: { read: { file: a, offset: 2097151 }, error: EIO }
  - expect: { read: { file: a, offset: 0xffffffffffffffff }, error: EIO }
  - expect: { badblocks: [{ file: a, offset: 2MiB, length: 4KiB }] }
",
        &[
            "7:46 offset 2MiB is beyond the end of `b` => choose an offset below 2MiB",
            "8:70 offset 4MiB is beyond the end of `a` => choose an offset below 2MiB",
            "9:59 offset 3MiB is beyond the end of `b` => choose an offset below 2MiB",
            "10:57 8KiB from offset 2044KiB reach beyond the end of `a` => the file ends at 2MiB",
            "11:40 4KiB from offset 2097151 reach beyond the end of `a` => the file ends at 2MiB",
            "12:40 offset 18446744073709551615 is beyond the end of `a` => choose an offset below 2MiB",
            "13:46 offset 2MiB is beyond the end of `a` => choose an offset below 2MiB",
        ],
    );
}

#[test]
fn ranges_of_nothing() {
    in_steps(
        "
  - write: { file: e, size: 0, fill: 1 }
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - inject: { machine-check: action-optional, at: { file: a, offset: 4KiB } }
  - expect: { read: { file: a, offset: 0, length: 0 }, error: EIO }
  - expect: { write: { file: a, length: 0, fill: 1 }, error: EIO }
  - expect: { badblocks: [{ injected: 0 }] }
",
        &[
            "5:29 a file of no bytes has no block that could be hit => give it at least one byte, or make it with `create`",
            "8:51 a range of no bytes shows nothing => give it at least one byte",
            "9:41 a range of no bytes shows nothing => give it at least one byte",
            "10:39 a range of no bytes shows nothing => write `badblocks: []` if nothing is recorded",
        ],
    );
}

#[test]
fn a_write_makes_a_file_longer() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - expect: { write: { file: a, offset: 2MiB, fill: 1 }, error: none }
  - expect: { read: { file: a, offset: 2MiB }, contains: 1 }
  - expect: { read: { file: a, offset: 2052KiB }, contains: 1 }
",
        &["8:40 offset 2052KiB is beyond the end of `a` => choose an offset below 2052KiB"],
    );
}

#[test]
fn a_failed_write_does_not() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - expect: { write: { file: a, offset: 2MiB, fill: 1 }, error: EIO }
  - expect: { read: { file: a, offset: 2MiB }, contains: 1 }
",
        &["7:40 offset 2MiB is beyond the end of `a` => choose an offset below 2MiB"],
    );
}

#[test]
fn bad_ranges_are_whole_sectors() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - inject: { machine-check: action-optional, at: { file: a, offset: 4KiB } }
  - expect: { badblocks: [{ file: a, offset: 100, length: 513 }, { injected: 4095 }] }
",
        &[
            "7:46 100 is no whole number of sectors => the kernel records bad blocks in sectors of 512 bytes",
            "7:59 513 is no whole number of sectors => the kernel records bad blocks in sectors of 512 bytes",
            "7:78 4095 is no whole number of sectors => the kernel records bad blocks in sectors of 512 bytes",
        ],
    );
}

#[test]
fn killed_and_alive_at_once() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - victim: { name: alice, maps: a, touches: 4KiB, kill: early }
  - inject: { machine-check: action-optional, at: { file: a, offset: 4KiB } }
  - expect: { killed: { alice: { code: BUS_MCEERR_AO, at: 4KiB } }, alive: [alice] }
  - expect: { alive: [alice, alice] }
",
        &[
            "8:77 `alice` cannot be both killed and alive => take one of the two away",
            "9:30 `alice` is named twice => keep one of the two",
        ],
    );
}

/// A case from which the injection was taken away is the commonest negative control: it must run, and fail.
#[test]
fn consequences_without_an_injection_are_for_the_judge() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - victim: { name: alice, maps: a, touches: 4KiB, kill: early }
  - expect: { killed: { alice: { code: BUS_MCEERR_AO, at: 4KiB } }, injector: ok, badblocks: [{ injected: 512 }] }
",
        &[],
    );
}

#[test]
fn an_injector_of_a_machine_check() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - inject: { debugfs: corrupt-pfn, at: { metadata: ag-header } }
  - expect: { injector: EUCLEAN }
  - inject: { machine-check: action-optional, at: { file: a, offset: 4KiB } }
  - expect: { injector: ok }
",
        &[
            "9:15 a machine check has no writer that could get an error => take `injector` away, or inject through `debugfs: corrupt-pfn`",
        ],
    );
}

#[test]
fn no_expectation() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - victim: { name: alice, maps: a, touches: 4KiB, kill: early }
  - inject: { machine-check: action-optional, at: { file: a, offset: 4KiB } }
",
        &[
            "4:1 the case expects nothing, so nothing could make it fail => say what holds after the injection: `- expect: { filesystem: up }`",
        ],
    );
}

#[test]
fn a_known_issue_of_no_kernel_here() {
    in_file(
        r#"
summary: s
why: w
template: xfs
kernel: ">=6.2"
steps:
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - expect: { filesystem: up }
known_issues:
  - { kernel: "<6.2", splat: dax_x, because: y }
"#
        .trim_start(),
        &[
            "9:15 no kernel of the case can have this known issue => widen one of the two ranges, or take the entry away",
        ],
    );
}

#[test]
fn mounting_what_is_mounted() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - mount: {}
  - expect: { mount: {}, error: none }
  - unmount: {}
  - mount: {}
  - mount: {}
  - expect: { filesystem: up }
",
        &[
            "6:5 the filesystem is mounted already => a case starts mounted: put `- unmount: {}` before it",
            "7:15 the filesystem is mounted already => a case starts mounted: put `- unmount: {}` before it",
            "10:5 the filesystem is mounted already => put `- unmount: {}` before it",
        ],
    );
}

#[test]
fn using_what_is_not_mounted() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - unmount: {}
  - unmount: {}
  - reflink: { from: a, to: b }
  - victim: { name: alice, maps: a, touches: 4KiB, kill: early }
  - inject: { machine-check: action-optional, at: { file: a, offset: 4KiB } }
  - expect: { filesystem: up }
  - expect: { mount: {}, error: EIO }
  - expect: { stat: { file: a }, error: EIO }
  - expect: { unmount: {}, error: none }
  - expect: { mount: {}, error: none }
  - expect: { filesystem: up }
",
        &[
            "7:5 the filesystem is not mounted here => put `- mount: {}` between the two",
            "8:5 the filesystem is not mounted here => put `- mount: {}` before it",
            "9:5 the filesystem is not mounted here => put `- mount: {}` before it",
            "10:5 the filesystem is not mounted here => put `- mount: {}` before it",
            "11:15 the filesystem is not mounted here => put `- mount: {}` before it",
            "13:15 the filesystem is not mounted here => put `- mount: {}` before it",
            "14:15 the filesystem is not mounted here => put `- mount: {}` between the two",
        ],
    );
}

#[test]
fn unmounting_what_is_mapped() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - victim: { name: alice, maps: a, touches: 4KiB, kill: early }
  - victim: { name: bob, maps: a, touches: 0 }
  - release: [bob]
  - expect: { unmount: {}, error: EBUSY }
  - unmount: {}
  - expect: { filesystem: up }
",
        &[
            "10:5 a filesystem with a mapped file cannot be unmounted => put `- release: [alice]` before it",
            "11:15 the filesystem is not mounted here => put `- mount: {}` before it",
        ],
    );
}

#[test]
fn marks() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - mark: { name: spot, at: { file: a, offset: 4KiB } }
  - mark: { name: spot, at: { file: a, offset: 8KiB } }
  - mark: { name: row, at: { file: a, offset: 8KiB, length: 8KiB } }
  - inject: { debugfs: corrupt-pfn, at: { mark: sopt } }
  - inject: { debugfs: corrupt-pfn, at: { mark: spot, dax: false } }
  - expect: { filesystem: up }
",
        &[
            "8:53 a mark is one page => take `length` away, and mark every page under a name of its own",
            "10:55 `dax` means nothing beside `mark` => take `dax` away",
        ],
    );
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - mark: { name: spot, at: { file: a, offset: 4KiB } }
  - mark: { name: spot, at: { file: a, offset: 8KiB } }
  - inject: { debugfs: corrupt-pfn, at: { mark: sopt } }
  - expect: { filesystem: up }
",
        &[
            "7:19 there is a mark `spot` already => give one of the two another name",
            "8:49 there is no mark `sopt` => did you mean `spot`? Else mark it first: `- mark: { name: sopt, at: { file: FILE, offset: 0 } }`",
        ],
    );
}
