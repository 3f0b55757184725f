// SPDX-License-Identifier: MIT OR Apache-2.0
//! Findings in known issues that nobody can find, or that would excuse more than they name.

mod common;

use common::{in_file, in_steps};

/// The mistakes in a known issue with this finding, which begins in line 8, column 14.
#[track_caller]
fn in_finding(finding: &str, expected: &[&str]) {
    in_steps(
        &format!(
            "\n  - expect: {{ filesystem: up }}\nknown_issues:\n  - kernel: any\n    finding: {finding}\n    because: y\n"
        ),
        expected,
    );
}

#[test]
fn a_sentence() {
    in_finding(
        "\"the injecting call got another answer\"",
        &[
            "8:14 expected a mapping like `{ kind: injector, seen: EUCLEAN }` or `{ kind: victim, of: bob, seen: none }`, found the text \"the injecting call got another answer\" => write a mapping like `{ kind: injector, seen: EUCLEAN }` or `{ kind: victim, of: bob, seen: none }`",
        ],
    );
}

#[test]
fn one_sentence_among_findings() {
    in_file(
        r"
summary: s
why: w
template: xfs
steps:
  - expect: { filesystem: up }
known_issues:
  - kernel: any
    finding:
      - { kind: filesystem, seen: shutdown }
      - the filesystem is in another state
    because: y
"
        .trim_start(),
        &[
            "10:9 expected a mapping like `{ kind: injector, seen: EUCLEAN }` or `{ kind: victim, of: bob, seen: none }`, found the text \"the filesystem is in another state\" => write a mapping like `{ kind: injector, seen: EUCLEAN }` or `{ kind: victim, of: bob, seen: none }`",
        ],
    );
}

#[test]
fn a_kind_alone() {
    in_finding("{ kind: injector }", &["8:14 `seen` is missing => add `seen: …`"]);
    in_finding(
        "{ kind: victim, seen: none }",
        &[
            "8:14 `of` is missing, and any `victim` would be excused => add `of: …`, as the report of the failure has it",
        ],
    );
    in_finding(
        "[{ kind: entry, of: alice, seen: present }, { kind: operation, of: a, seen: EIO }]",
        &[
            "8:15 `at` is missing, and any `entry` would be excused => add `at: …`, as the report of the failure has it",
            "8:58 `operation` is missing, and any `operation` would be excused => add `operation: …`, as the report of the failure has it",
        ],
    );
    in_finding(
        "{ kind: filesystem, seen: [] }",
        &[
            "8:40 this is seen as nothing at all => say what was seen, and where that was nothing, `seen: none`",
        ],
    );
}

#[test]
fn words_that_nobody_knows() {
    in_finding(
        "{ kind: injektor, seen: EUCLEAN }",
        &["8:22 unknown word `injektor` => did you mean `injector`?"],
    );
    in_finding(
        "{ kind: victim, off: bob, seen: none }",
        &["8:30 unknown key `off` => did you mean `of`?"],
    );
    in_finding(
        "{ kind: injector, seen: EUCLAEN }",
        &["8:38 unknown errno `EUCLAEN` => did you mean `EUCLEAN`?"],
    );
    in_finding(
        "{ kind: operation, operation: raed, seen: EIO }",
        &["8:44 unknown operation `raed` => did you mean `read`?"],
    );
    in_finding(
        "{ kind: operation, operation: include, seen: EIO }",
        &["8:44 unknown operation `include` => write the word by which the step begins"],
    );
    in_finding(
        "{ kind: line, of: dmesg, text: Unmounting, seen: absent }",
        &["8:32 nobody hears lines from `dmesg` => choose one of `log`, `health`, `fanotify`, `badblocks`"],
    );
    in_finding(
        "{ kind: victim, of: bob, seen: BUS_MCEERR_AO }",
        &["8:45 `BUS_MCEERR_AO` is not well formed => write it like `BUS_MCEERR_AO at 4KiB lsb 12`"],
    );
}

#[test]
fn what_is_never_so() {
    in_finding(
        "{ kind: filesystem, of: a, at: 4KiB, seen: EIO }",
        &[
            "8:34 `of` means nothing beside `kind` => take `of` away",
            "8:41 `at` means nothing beside `kind` => take `at` away",
            "8:57 no `filesystem` is ever seen as `EIO` => choose one of `up`, `unmounted`, `detached`, `elsewhere`, `covered`, `shutdown corrupt-incore`",
        ],
    );
    in_finding(
        "{ kind: victim, of: bob, seen: [none, up] }",
        &[
            "8:52 no `victim` is ever seen as `up` => choose one of `none`, a signal such as `BUS_MCEERR_AO at 4KiB lsb 12`, `pending`, `died of SIGBUS`, `exited 1`, `unknown`",
        ],
    );
}
