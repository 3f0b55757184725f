// SPDX-License-Identifier: MIT OR Apache-2.0
//! Case files whose expectations nothing could disappoint, and what is said of each: `line:column what => way out`.

mod common;

use common::{in_file, in_steps};

#[test]
fn a_number_of_times_that_always_holds() {
    in_steps(
        r#"
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - inject: { machine-check: action-optional, at: { file: a, offset: 4KiB } }
  - expect: { trace: [{ event: signal_generate, times: ">=0" }] }
  - expect: { trace: [{ event: signal_generate, times: ">= 00" }] }
  - expect: { trace: [{ event: signal_generate, times: 0..4294967295 }] }
  - expect: { files: { a: { extents: ">=0" } } }
  - expect: { trace: [{ event: signal_generate, times: 0..1 }] }
"#,
        &[
            "7:56 `>=0` holds however often it happens, and so says nothing => write how often it must, such as `\">=1\"`, or how often at most, such as `0..1`",
            "8:56 `>= 00` holds however often it happens, and so says nothing => write how often it must, such as `\">=1\"`, or how often at most, such as `0..1`",
            "9:56 `0..4294967295` holds however often it happens, and so says nothing => write how often it must, such as `\">=1\"`, or how often at most, such as `0..1`",
            "10:38 `>=0` holds however often it happens, and so says nothing => write how often it must, such as `\">=1\"`, or how often at most, such as `0..1`",
        ],
    );
}

#[test]
fn texts_of_blanks() {
    in_steps(
        r#"
  - expect: { log: " " }
  - expect: { log: { has: ["*  *"] } }
  - expect: { log: { lacks: "^ " } }
  - expect: { run: "true", output: " " }
"#,
        &[
            "5:20 ` ` is found in every line => say what the line has",
            "6:28 `*  *` is found in every line => say what the line has",
            "7:29 `^ ` is found in every line => say what the line has",
            "8:36 ` ` is found in every line => say what the line has",
        ],
    );
}

#[test]
fn texts_of_one_letter() {
    in_steps(
        r#"
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - inject: { machine-check: action-optional, at: { file: a, offset: 4KiB } }
  - expect: { log: e }
  - expect: { log: { has: [Memory failure, "*:*"], lacks: "^e" } }
  - expect: { run: "true", output: 1 }
  - expect: { run: "true", output: "^1$" }
  - expect: { trace: { event: signal_generate, has: " = " } }
  - expect: { trace: { event: signal_generate, fields: { comm: "a" } } }
"#,
        &[
            "7:20 `e` is found in nearly any line => write more of the line; if that is all of it, tie it to both ends: `\"^e$\"`",
            "8:44 `*:*` is found in nearly any line => write more of the line; if that is all of it, tie it to both ends: `\"^:$\"`",
            "8:59 `^e` is found in nearly any line => write more of the line; if that is all of it, tie it to both ends: `\"^e$\"`",
            "9:36 `1` is found in nearly any line => write more of the line; if that is all of it, tie it to both ends: `\"^1$\"`",
            "11:53 ` = ` is found in nearly any line => write more of the line; if that is all of it, tie it to both ends: `\"^=$\"`",
            "12:64 `a` is found in nearly any line => write more of the line; if that is all of it, tie it to both ends: `\"^a$\"`",
        ],
    );
}

#[test]
fn splats_of_any_kind() {
    let issue = |splat: &str| format!("{{ kernel: \"<6.2\", splat: {splat}, because: y }}");
    let issues = [
        "a",
        "' '",
        "\"WARNING: \"",
        "[dax_insert_entry, Kernel panic - not syncing]",
        "dax_*",
        "^WARNING.*dax_insert",
    ]
    .map(issue)
    .join("\n  - ");
    in_file(
        &format!(
            "summary: s\nwhy: w\ntemplate: xfs\nsteps:\n  - expect: {{ filesystem: up }}\nknown_issues:\n  - {issues}\n"
        ),
        &[
            "7:30 `a` is in any splat, and would excuse them all => name the function that complains, such as `dax_insert_entry`",
            "8:30 this text is empty => name the function that complains, such as `dax_insert_entry`",
            "9:30 `WARNING: ` is in any splat, and would excuse them all => name the function that complains, such as `dax_insert_entry`",
            "10:49 `Kernel panic - not syncing` is in any splat, and would excuse them all => name the function that complains, such as `dax_insert_entry`",
            "11:30 `*` has no meaning here, for a splat is looked for as it is printed => write a plain part of it, such as `dax_insert_entry`",
            "12:30 `^` has no meaning here, for a splat is looked for as it is printed => write a plain part of it, such as `dax_insert_entry`",
        ],
    );
}

#[test]
fn stores_while_frozen() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - victim: { name: alice, maps: [a, { file: a, mapping: private }], touches: 4KiB, access: write }
  - freeze: {}
  - store: { victim: alice, at: 4KiB, fill: 1 }
  - store: { victim: alice, map: 1, at: 4KiB, fill: 1 }
  - victim: { name: bob, maps: a, stores: 4KiB, access: write }
  - advise: { victim: alice, advice: populate-write }
  - expect: { read: { file: a, into: { victim: alice } }, error: none }
  - expect: { filesystem: up }
",
        &[
            "8:22 the filesystem is frozen here, and this would wait until it is not => put `- thaw: {}` before it",
            "10:43 the filesystem is frozen here, and this would wait until it is not => put `- thaw: {}` before it",
            "11:23 the filesystem is frozen here, and this would wait until it is not => put `- thaw: {}` before it",
            "12:48 the filesystem is frozen here, and this would wait until it is not => put `- thaw: {}` before it",
        ],
    );
}

#[test]
fn events_and_fields_that_nobody_traces() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - inject: { machine-check: action-optional, at: { file: a, offset: 4KiB } }
  - expect: { trace: [{ event: signal_generate, fields: { sgi: 7 }, times: 0 }] }
  - expect: { trace: { event: signal_generte, times: 0 } }
  - expect: { trace: [{ event: taster_kill_ret, fields: { returned: 0 }, times: 0 }] }
",
        &[
            "7:59 no `signal_generate` has a field `sgi` => did you mean `sig`?",
            "8:31 nobody traces `signal_generte` => did you mean `signal_generate`?",
            "9:59 no `taster_kill_ret` has a field `returned` => its fields are ret",
        ],
    );
}

#[test]
fn expectations_of_an_injection_that_some_kernels_do_not_get() {
    in_steps(
        r#"
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - victim: { name: alice, maps: a, touches: 4KiB, kill: early }
  - when: { kernel: ">=6.5" }
    inject: { machine-check: action-optional, at: { file: a, offset: 4KiB } }
  - expect: { alive: [alice], filesystem: up, notify_failure: never }
"#,
        &[
            "9:15 `alive` is about an injection, and some kernels of this step do not get it => give this step the same `when`, or take the injection's away",
        ],
    );
}

#[test]
fn one_injection_in_place_of_another() {
    in_steps(
        r#"
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - victim: { name: alice, maps: a, touches: 4KiB, kill: early }
  - when: { kernel: ">=6.5" }
    inject: { machine-check: action-optional, at: { file: a, offset: 4KiB } }
  - when: { kernel: "<6.5" }
    inject: { debugfs: corrupt-pfn, at: { file: a, offset: 4KiB } }
  - expect: { killed: { alice: { code: BUS_MCEERR_AO, at: 4KiB } } }
  - when: { kernel: ">=6.5" }
    inject: { debugfs: corrupt-pfn, at: { file: a, offset: 8KiB } }
  - when: { kernel: ">=6.5" }
    expect: { injector: ok }
  - expect: { filesystem: up }
"#,
        &[],
    );
}

#[test]
fn who_has_no_page_is_told_nothing() {
    in_steps(
        "
  - write: { file: a, size: 8MiB, fill: 0x5a }
  - victim: { name: alice, maps: a, kill: early }
  - victim: { name: bob, maps: [a, { file: a, offset: 4MiB }], touches: 4KiB, kill: early }
  - inject: { machine-check: action-optional, at: { file: a, offset: 4MiB } }
  - expect:
      killed:
        alice: { code: BUS_MCEERR_AO, at: 4MiB }
        bob: [{ code: BUS_MCEERR_AO, at: 4MiB }, { code: BUS_MCEERR_AO, at: 0, map: 1, times: 0..1 }]
",
        &[
            "11:43 `alice` has no page at 4MiB, and cannot be told of an error there: nothing there is read or written => add it to `touches` where the victim is started, or write `alive: [alice]`",
            "12:42 `bob` has no page at 4MiB, and cannot be told of an error there: nothing there is read or written => add it to `touches` where the victim is started, or write `alive: [bob]`",
        ],
    );
}

#[test]
fn who_gets_a_page_later() {
    in_steps(
        "
  - write: { file: a, size: 16MiB, fill: 0x5a }
  - victim: { name: alice, maps: a, kill: early, access: write }
  - fork: { victim: alice, child: amy }
  - touch: { victim: amy, at: 4KiB }
  - store: { victim: alice, at: 2MiB, fill: 1 }
  - advise: { victim: alice, advice: populate-read, at: 4MiB }
  - read: { file: a, into: { victim: alice, at: 6MiB } }
  - inject: { madvise: hwpoison, at: { victim: alice, offset: 8MiB } }
  - expect:
      killed:
        amy: { code: BUS_MCEERR_AO, at: 8KiB }
        alice:
          - { code: BUS_MCEERR_AO, at: 2MiB }
          - { code: BUS_MCEERR_AO, at: 4MiB }
          - { code: BUS_MCEERR_AO, at: 6MiB }
          - { code: BUS_MCEERR_AR, at: 8MiB }
          - { code: BUS_ADRERR, at: 10MiB }
",
        &[],
    );
}

#[test]
fn a_signal_without_the_size_of_the_error() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - victim: { name: alice, maps: a, touches: 4KiB, kill: early }
  - inject: { machine-check: action-optional, at: { file: a, offset: 4KiB } }
  - expect: { killed: { alice: { code: BUS_ADRERR, at: 4KiB, lsb: none } } }
  - expect: { killed: { alice: { code: BUS_ADRERR, at: 4KiB, lsb: some } } }
  - expect: { killed: { alice: { code: BUS_ADRERR, at: 4KiB, lsb: 64 } } }
",
        &[
            "9:67 expected a number of bits, such as `12` or `21`, or `none`, found the text \"some\" => write a number of bits, such as `12` or `21`, or `none`",
            "10:67 no address has so many bits => 12 stands for 4KiB, 21 for 2MiB",
        ],
    );
}

#[test]
fn who_has_no_page_at_all_gets_no_signal() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - victim: { name: boris, maps: a, kill: early, sigbus: blocked }
  - victim: { name: dora, maps: a, kill: early, sigbus: default }
  - inject: { machine-check: action-optional, at: { file: a, offset: 4KiB } }
  - expect: { pending: [boris], died: { dora: SIGBUS } }
",
        &[
            "9:25 `boris` has no page at all, and cannot be told of an error: nothing is read or written => add `touches` where the victim is started",
            "9:41 `dora` has no page at all, and cannot be told of an error: nothing is read or written => add `touches` where the victim is started",
        ],
    );
}

#[test]
fn an_empty_list_beside_another() {
    in_steps(
        "
  - expect: { log: { has: [], lacks: [some text] } }
  - expect: { run: dmesg, output: { has: some text, lacks: [] } }
  - expect: { page_flags: { has: [hwpoison], lacks: [] } }
",
        &[
            "5:27 this says nothing => take it away, or write `has: [some text]`",
            "6:60 this says nothing => take it away, or write `lacks: [some text]`",
            "7:53 this says nothing => take it away, or write `lacks: [hwpoison]`",
        ],
    );
}
