// SPDX-License-Identifier: MIT OR Apache-2.0
//! Case files whose parts are not well formed, and what is said of each: `line:column what => way out`.

mod common;

use common::{in_file, in_steps};

#[test]
fn unknown_keys_at_any_depth() {
    in_steps(
        "
  - write: { flie: a, size: 2MiB, fil: 0x5a }
  - victim: { name: alice, maps: a, touch: 4KiB, colour: red }
  - inject: { machine_check: action-optional, at: { fille: a, offset: 0 } }
  - expect:
      killed:
        alice: { code: BUS_MCEERR_AO, att: 4KiB }
      notify_failure: { returnd: 0 }
      filesystm: up
      badblocks: [{ injectd: 512 }]
  - unmount: { force: true }
",
        &[
            "5:14 unknown key `flie` => did you mean `file`?",
            "5:35 unknown key `fil` => did you mean `fill`?",
            "6:37 unknown key `touch` => did you mean `touches`?",
            "6:50 unknown key `colour` => choose one of `name`, `maps`, `touches`, `stores`, `kill`, `sigbus`, `mapping`, `access`, `page`, `threads`",
            "7:15 unknown key `machine_check` => did you mean `machine-check`?",
            "7:53 unknown key `fille` => did you mean `file`?",
            "10:39 unknown key `att` => did you mean `at`?",
            "11:25 unknown key `returnd` => did you mean `returned`?",
            "12:7 unknown key `filesystm` => did you mean `filesystem`?",
            "13:21 unknown key `injectd` => did you mean `injected`?",
            "14:16 unknown key `force` => leave it out: nothing can be said here",
        ],
    );
}

#[test]
fn unknown_keys_at_the_top() {
    in_file(
        r#"
sumary: s
why: w
template: { xfs: { munt: dax=always } }
kernle: ">=6.1"
colour: red
steps:
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - expect: { filesystem: up }
known_issues:
  - { kernel: "<6.2", splatt: dax_x, because: y }
"#
        .trim_start(),
        &[
            "1:1 unknown key `sumary` => did you mean `summary`?",
            "3:20 unknown key `munt` => did you mean `mount`?",
            "4:1 unknown key `kernle` => did you mean `kernel`?",
            "5:1 unknown key `colour` => choose one of `summary`, `why`, `covers`, `parameters`, `template`, `isolation`, `kernel`, `steps`, `known_issues`",
            "10:23 unknown key `splatt` => did you mean `splat`?",
        ],
    );
}

#[test]
fn an_unknown_step() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - injekt: { machine-check: action-optional, at: { file: a, offset: 0 } }
  - frobnicate: {}
",
        &[
            "6:5 unknown step `injekt` => did you mean `inject`?",
            "7:5 unknown step `frobnicate` => testcases/README.md lists every step",
        ],
    );
}

#[test]
fn a_step_with_two_keys_or_none() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
    reflink: { from: a, to: b }
  - {}
  - unmount
  - [a]
",
        &[
            "6:5 a step has one key, this one has 2 => begin a new step with `- reflink:`, or indent it below `write:`",
            "7:5 this step is empty => a step is a mapping with one key, such as `write: { … }`",
            "8:5 a step is a mapping with one key => write it like `- write: { … }`, or `- unmount: {}`",
            "9:5 a step is a mapping with one key => write it like `- write: { … }`, or `- unmount: {}`",
        ],
    );
}

#[test]
fn wrong_types() {
    in_steps(
        "
  - write: { file: [a], size: 2MiB, fill: 0x5a }
  - victim: 7
  - release: alice
  - reflink: { from: 1, to: b }
  - write: { file: b, size: 4KiB, fill: 0x1ff }
  - inject: { debugfs: corrupt-pfn, at: { metadata: ag-header, ag: -1 } }
  - expect: { notify_failure: 0 }
  - expect: { filesystem: { shutdown: [] } }
",
        &[
            "5:20 expected the name of a file, found a list => write the name of a file",
            "6:13 expected a mapping like `{ name: alice, maps: a, touches: 4KiB }`, found the number `7` => write a mapping like `{ name: alice, maps: a, touches: 4KiB }`",
            r#"7:14 expected a list like `[a, b]`, found the text "alice" => write a list like `[a, b]`"#,
            r#"8:22 a name is text, but YAML reads a number here => write `"1"`"#,
            "9:41 expected a byte, from `0x00` to `0xff`, or `counting`, found the number `511` => write a byte, from `0x00` to `0xff`, or `counting`",
            "10:68 expected a whole number, not below zero, found the number `-1` => write a whole number, not below zero",
            "11:31 expected `never`, or a mapping like `{ returned: 0 }`, found the number `0` => write `never`, or a mapping like `{ returned: 0 }`",
            "12:39 expected a reason such as `corrupt-ondisk`, found a list => write a reason such as `corrupt-ondisk`",
        ],
    );
}

#[test]
fn wrong_types_at_the_top() {
    in_file(
        "
summary: [a]
why: 5
template: ext4
kernel: 6.10
steps: {}
known_issues: x
"
        .trim_start(),
        &[
            "1:10 expected text, found a list => write text",
            "2:6 expected text, found the number `5` => write text",
            r#"3:11 expected `xfs`, `unmounted`, `devdax`, or a mapping like `{ xfs: { mount: "dax=always" } }`, found the text "ext4" => write `xfs`, `unmounted`, `devdax`, or a mapping like `{ xfs: { mount: "dax=always" } }`"#,
            "4:9 YAML takes 6.10 and 6.1 for the same number => put the kernel version in quotes",
            "5:8 expected a list like `[a, b]`, found a mapping => write a list like `[a, b]`",
            r#"6:15 expected a list like `[a, b]`, found the text "x" => write a list like `[a, b]`"#,
        ],
    );
}

#[test]
fn missing_fields() {
    in_steps(
        "
  - write: { file: a, fill: 0x5a }
  - victim:
      name: alice
      maps: a
  - inject: { machine-check: action-optional }
  - expect: { killed: { alice: { at: 0 } } }
",
        &[
            "5:12 `size` is missing => add `size: …` for a new file, or `offset: …` to write into one that exists",
            "9:13 `at` is missing => add `at: …`",
            "10:32 `code` is missing => add `code: …`",
        ],
    );
}

#[test]
fn missing_parts_of_the_case() {
    in_file(
        r#"
kernel: ">=6.1"
"#
        .trim_start(),
        &[
            "1:1 `summary` is missing => say in one or two sentences what the case shows: `summary: …`",
            "1:1 `why` is missing => name the thread, patch or source that promises it: `why: …`",
            "1:1 `template` is missing => say what the case starts from: `template: xfs`",
            "1:1 `steps` is missing => say what happens: `steps:` and a list",
        ],
    );
}

#[test]
fn text_that_says_nothing() {
    in_file(
        r#"
summary: "  "
why: ""
template: xfs
steps:
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - expect: { filesystem: up }
"#
        .trim_start(),
        &[
            "1:10 this text is empty => say something, it is what people read",
            "2:6 this text is empty => say something, it is what people read",
        ],
    );
}

#[test]
fn unknown_words() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - victim: { name: alice, maps: a, touches: 0, kill: erly }
  - inject: { machine-check: action-requird, at: { file: a, offset: 0 } }
  - inject: { debugfs: corrupt_pfn, at: { file: a, offset: 0 } }
  - inject: { debugfs: corrupt-pfn, at: { metadata: ag-haeder } }
  - inject: { debugfs: corrupt-pfn, at: { space: used } }
  - expect: { killed: { alice: { code: BUS_MCERR_AO, at: 0 } } }
  - expect: { filesystem: down }
  - expect: { filesystem: { shutdown: corrupt-on-disk } }
  - expect: { filesystem: { shutdwon: corrupt-ondisk } }
  - expect: { notify_failure: nevr }
",
        &[
            "6:55 unknown word `erly` => did you mean `early`?",
            "7:30 unknown word `action-requird` => did you mean `action-required`?",
            "8:24 unknown word `corrupt_pfn` => did you mean `corrupt-pfn`?",
            "9:53 unknown word `ag-haeder` => did you mean `ag-header`?",
            "10:50 unknown word `used` => choose one of `free`, `cow-staging`, `unwritten`",
            "11:40 unknown word `BUS_MCERR_AO` => did you mean `BUS_MCEERR_AO`?",
            "12:27 unknown word `down` => choose one of `up`, `unmounted`, `shutdown`",
            "13:39 unknown word `corrupt-on-disk` => did you mean `corrupt-ondisk`?",
            "14:29 unknown word `shutdwon` => did you mean `shutdown`?",
            r#"15:31 expected `never`, or a mapping like `{ returned: 0 }`, found the text "nevr" => write `never`, or a mapping like `{ returned: 0 }`"#,
        ],
    );
}

#[test]
fn unknown_errnos() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - expect: { read: { file: a, offset: 0 }, error: EOI }
  - expect: { injector: EUCLAEN }
  - expect: { stat: { file: a }, error: NOSUCH }
  - expect: { stat: { file: a }, error: 134 }
  - expect: { notify_failure: { returned: EUCLEEN } }
  - expect: { notify_failure: { returned: 117 } }
  - expect: { notify_failure: { returned: -999 } }
",
        &[
            "6:52 unknown errno `EOI` => did you mean `EIO`?",
            "7:25 unknown errno `EUCLAEN` => did you mean `EUCLEAN`?",
            "8:41 unknown errno `NOSUCH` => errno(3) lists the names; a number is taken as well",
            "9:41 expected `none`, or the name of an errno such as `EIO`, found the number `134` => write `none`, or the name of an errno such as `EIO`",
            "10:43 unknown errno `EUCLEEN` => did you mean `EUCLEAN`?",
            "11:43 a kernel function returns an error as a negative number => write `EUCLEAN` or `-117`",
            "12:43 expected `0`, the name of an errno such as `EUCLEAN`, or its negative number, found the number `-999` => write `0`, the name of an errno such as `EUCLEAN`, or its negative number",
        ],
    );
}

#[test]
fn a_number_that_is_no_errno() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - expect: { injector: 0 }
  - expect: { stat: { file: a }, error: 0 }
",
        &[
            "6:25 expected `ok`, or the name of an errno such as `EUCLEAN`, found the number `0` => write `ok`, or the name of an errno such as `EUCLEAN`",
            "7:41 expected `none`, or the name of an errno such as `EIO`, found the number `0` => write `none`, or the name of an errno such as `EIO`",
        ],
    );
}

#[test]
fn a_shutdown_without_a_reason() {
    in_steps(
        "
  - expect: { filesystem: shutdown }
",
        &[
            "5:27 `shutdown` alone says too little => write `{ shutdown: … }`, with a reason such as `corrupt-ondisk`",
        ],
    );
}

#[test]
fn words_of_other_tools() {
    in_steps(
        "
  - punch_hole: { file: a, offset: 0, length: 4KiB }
  - fpunch: { file: a, offset: 0, length: 4KiB }
  - fallocate: { file: a, offset: 0, length: 4KiB }
  - cat: { file: a }
  - ls: {}
  - expect: { pread: { file: a, offset: 0 }, error: EIO }
",
        &[
            "5:5 unknown step `punch_hole` => did you mean `punch`?",
            "6:5 unknown step `fpunch` => did you mean `punch`?",
            "7:5 unknown step `fallocate` => did you mean `allocate`?",
            "8:5 unknown step `cat` => did you mean `read`?",
            "9:5 unknown step `ls` => did you mean `list`?",
            "10:15 unknown key `pread` => did you mean `read`?",
        ],
    );
}

#[test]
fn sizes_in_doubtful_units() {
    in_steps(
        "
  - write: { file: a, size: 4K, fill: 1 }
  - write: { file: a, size: 2MB, fill: 1 }
  - write: { file: a, size: 1.5MiB, fill: 1 }
  - write: { file: a, size: 3XB, fill: 1 }
  - write: { file: a, size: 99999999999TiB, fill: 1 }
",
        &[
            "5:29 `4K` is ambiguous => write `4KiB`",
            "6:29 `2MB` is ambiguous => write `2MiB`",
            "7:29 `1.5MiB` is no size => write a whole number and a unit, such as `4KiB`, or plain bytes",
            "8:29 `3XB` has no known unit => write bytes, or one of KiB, MiB, GiB, TiB directly after the number",
            "9:29 `99999999999TiB` does not fit into 64 bits => choose a smaller one",
        ],
    );
}

#[test]
fn names_that_are_paths() {
    in_steps(
        r#"
  - write: { file: A/b, size: 4KiB, fill: 1 }
  - write: { file: "", size: 4KiB, fill: 1 }
  - write: { file: -rf, size: 4KiB, fill: 1 }
"#,
        &[
            "5:20 `A` is no plain name => begin with a letter or digit, and use only a-z, 0-9, `_` and `-`",
            "6:20 a name must not be empty => use a-z, 0-9, `_` and `-`",
            "7:20 `-rf` is no plain name => begin with a letter or digit, and use only a-z, 0-9, `_` and `-`",
        ],
    );
}

#[test]
fn bad_kernel_ranges() {
    in_file(
        r#"
summary: s
why: w
template: xfs
kernel: ">>6.1"
steps:
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - expect: { filesystem: up }
known_issues:
  - { kernel: ">6.5, <6.1", splat: dax_x, because: y }
"#
        .trim_start(),
        &[
            r#"4:9 `>>6.1` is no kernel range => write it like ">=6.1", "<6.2", ">=6.1, <6.13" or "6.12""#,
            "9:15 no kernel can be in the range `>6.5, <6.1` => change one of its bounds",
        ],
    );
}

#[test]
fn a_known_issue_that_excuses_anything() {
    in_file(
        r#"
summary: s
why: w
template: xfs
steps:
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - expect: { filesystem: up }
known_issues:
  - kernel: "<6.2"
    because: b
  - { kernel: "<6.2", splat: "", because: y }
"#
        .trim_start(),
        &[
            "8:5 a known issue needs a `splat` or a `finding`, or any failure would be excused by it => `splat:` is a part of what the kernel prints, `finding:` what the judge finds, such as `{ kind: injector, seen: EUCLEAN }`",
            "10:30 this text is empty => name the function that complains, such as `dax_insert_entry`",
        ],
    );
}

#[test]
fn an_injection_of_no_kind_or_two() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - inject: { at: { space: free } }
  - inject: { machine-check: action-optional, debugfs: corrupt-pfn, at: { space: free } }
  - inject: { debugfs: corrupt-pfn, at: {} }
  - inject: { debugfs: corrupt-pfn, at: { file: a } }
  - inject: { debugfs: corrupt-pfn, at: { file: a, offset: 0, ag: 1 } }
  - inject: { debugfs: corrupt-pfn, at: { metadata: ag-header, space: free } }
",
        &[
            "6:13 the way of the injection is missing => write either `machine-check: action-optional` or `debugfs: corrupt-pfn`",
            "7:47 `machine-check` and `debugfs` exclude each other => write either `machine-check: action-optional` or `debugfs: corrupt-pfn`",
            "8:41 the target is missing => write one of `{ file: a, offset: 4KiB }`, `{ metadata: ag-header, ag: 1 }`, `{ space: free, ag: 0 }`",
            "9:41 `offset` is missing => add `offset: …`",
            "10:63 `ag` means nothing beside `file` => take `ag` away",
            "11:64 `metadata` and `space` exclude each other => write one of `{ file: a, offset: 4KiB }`, `{ metadata: ag-header, ag: 1 }`, `{ space: free, ag: 0 }`",
        ],
    );
}

#[test]
fn expectations_of_nothing() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - expect: {}
  - expect: { error: EIO }
  - expect: { killed: {}, alive: [] }
  - expect: { notify_failure: { returned: 0, calls: 0 } }
",
        &[
            "6:13 this expects nothing of anything => say what holds (`killed`, `alive`, `filesystem`, …) or how an operation ends",
            "7:15 this expects nothing of anything => say of which operation, such as `read: { file: a, offset: 0 }`; of the injection, `injector:`",
            "8:23 `killed` names nobody => name the victims that get a signal under `killed`, those that get none under `alive`",
            "8:34 `alive` names nobody => name the victims that get a signal under `killed`, those that get none under `alive`",
            "9:53 no call returns anything => write `notify_failure: never`",
        ],
    );
}

#[test]
fn operations_without_an_end() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - expect: { read: { file: a, offset: 0 } }
  - expect: { read: { file: a, offset: 0 }, error: EIO, contains: 1 }
  - expect: { stat: { file: a }, contains: 1 }
  - expect: { stat: { file: a }, read: { file: a, offset: 0 }, error: EIO }
  - expect: { stat: { file: a }, error: EIO, filesystem: up }
  - expect: { filesystem: up, error: EIO }
",
        &[
            "6:13 how `read` ends is missing => write either `error: EIO`, `error: none` or `contains: 0x5a`",
            "7:57 `error` and `contains` exclude each other => write either `error: EIO`, `error: none` or `contains: 0x5a`",
            "8:34 `contains` is for reading, and this is `stat` => write `error: EIO`, or `error: none` if it succeeds",
            "9:15 `read` and `stat` exclude each other => try each in a step of its own",
            "10:46 an operation is tried in a step of its own => move `filesystem` into another `- expect:`",
            "11:31 `error` says how an operation ends, but none is tried here => for the writer of an injection, write `injector: EUCLEAN`",
        ],
    );
}

#[test]
fn bad_ranges_of_no_kind_or_two() {
    in_steps("
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - expect: { badblocks: [{ file: a, injected: 512 }, { file: a, offset: 0 }, { injected: 512, length: 512 }, {}] }
", &[
        "6:38 `file` and `injected` exclude each other => write either `{ file: a, offset: 4KiB, length: 4KiB }` or `{ injected: 4KiB }`",
        "6:55 `length` is missing => add `length: …`",
        "6:96 `length` means nothing beside `injected` => take `length` away",
        "6:111 the place of the bad range is missing => write either `{ file: a, offset: 4KiB, length: 4KiB }` or `{ injected: 4KiB }`",
    ]);
}

#[test]
fn no_steps() {
    in_file(
        "
summary: s
why: w
template: xfs
steps: []
"
        .trim_start(),
        &[
            "4:8 `steps` is empty: a case that does nothing shows nothing => prepare files and victims, inject, and say what is expected",
        ],
    );
}

#[test]
fn templates_that_are_none() {
    let wrong = |head: &str, expected: &str| {
        in_file(
            &format!("summary: s\nwhy: w\n{head}\nsteps:\n  - expect: {{ badblocks: [] }}\n"),
            &[expected],
        );
    };
    wrong(
        "template: { xfs: { on: stripes } }",
        "3:24 unknown word `stripes` => did you mean `stripe`?",
    );
    wrong(
        "template: { xfs: { log: outside } }",
        "3:25 unknown word `outside` => choose one of `internal`, `external`",
    );
    wrong(
        "template: { unmounted: { nvdimms: 3 } }",
        "3:11 a machine has 1 or 2 NVDIMMs, not 3 =>",
    );
    wrong(
        "template: { xfs: {}, unmounted: {} }",
        "3:11 a case has one template, either `xfs`, `unmounted` or `devdax` =>",
    );
    wrong(
        "template: xfs\nisolation: container",
        "4:12 unknown word `container` => choose one of `clone`, `boot`",
    );
}

#[test]
fn processes_of_the_cases_own() {
    in_steps(
        "
  - expect: { signalled: { a-program-of-a-long-name: SIGBUS } }
  - expect: { signalled: { /sbin/xfs_io: SIGBUS } }
  - expect: { signalled: { xfs_io: SIGSEGV } }
  - expect: { signalled: { xfs_io: BUS_MCERR_AO } }
",
        &[
            "5:28 the kernel keeps 15 bytes of a process's name => write `a-program-of-a-`",
            "6:28 `/sbin/xfs_io` is no name of a program without its folder => leave out blanks and slashes",
            "7:36 unknown word `SIGSEGV` => choose one of `SIGBUS`, `SIGKILL`, `BUS_MCEERR_AO`, `BUS_MCEERR_AR`, `BUS_ADRERR`",
            "8:36 unknown word `BUS_MCERR_AO` => did you mean `BUS_MCEERR_AO`?",
        ],
    );
    in_steps(
        "
  - expect: { filesystem: up, signaled: { xfs_io: SIGBUS } }
",
        &["5:31 unknown key `signaled` => did you mean `signalled`?"],
    );
    in_steps(
        "
  - expect: { signalled: {} }
",
        &[
            "5:26 `signalled` names nobody => name the process and its signal: `signalled: { xfs_io: BUS_MCEERR_AO }`",
        ],
    );
}
