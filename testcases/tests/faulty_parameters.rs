// SPDX-License-Identifier: MIT OR Apache-2.0
//! Parameters and conditions that make no sense, and what is said of each:
//! `line:column what => way out`.

mod common;

use common::{in_file, in_steps};

/// The mistakes in these parameters of a case, on line 1, whose summary ends with `named`.
#[track_caller]
fn in_parameters(parameters: &str, named: &str, expected: &[&str]) {
    let rest = "why: w\ntemplate: xfs\nsteps:\n  - expect: { filesystem: up }\n";
    in_file(
        &format!("parameters: {parameters}\nsummary: s {named}\n{rest}"),
        expected,
    );
}

#[test]
fn parameters_of_no_form() {
    in_parameters(
        "7",
        "",
        &[
            "1:13 parameters are values for each name, or rows of values => write `{ policy: [early, late] }`, or `[{ name: x, policy: early }]`",
        ],
    );
}

#[test]
fn names_and_values_of_a_product() {
    in_parameters(
        "{ policy: [early, late], kernel: [a], Size: [1], none: [], word: x, deep: [[1]] }",
        "",
        &[
            "1:38 no parameter can be called `kernel`: `when` has that word for the kernel under test => give it another name",
            "1:51 `Size` is no plain name => begin with a letter or digit, and use only a-z, 0-9, `_` and `-`",
            "1:68 `none` needs a list of values => write `none: [one, another]`",
            "1:78 `word` needs a list of values => write `word: [one, another]`",
            "1:88 a value that cases are named by is a word or a number => write rows instead, each with a `name`: `[{ name: x, … }]`",
        ],
    );
}

#[test]
fn rows_that_differ() {
    in_parameters(
        "[{ name: x, a: 1 }, { name: y, b: 1 }, { a: 2, b: 1 }, 7, { name: [], a: 1, b: 1 }]",
        "${a} ${b}",
        &[
            "1:14 this row has no `b` => add `b: …`: all rows have the same keys",
            "1:33 this row has no `a` => add `a: …`: all rows have the same keys",
            "1:52 `name` is missing => add `name: …`: it becomes a part of the case's name",
            "1:68 a row is a mapping with a `name` => write it like `{ name: x, policy: early }`",
            "1:79 the name of a row is a word => write it like `name: x`",
        ],
    );
}

#[test]
fn a_value_twice() {
    in_parameters(
        "{ policy: [early, late, early] }",
        "${policy}",
        &[
            "1:37 two cases of this file would be called `.early` => take one away, or choose values that differ in letters and digits",
        ],
    );
}

#[test]
fn values_that_read_the_same_in_a_name() {
    in_parameters(
        "{ size: [4KiB, 4kib] }",
        "${size}",
        &[
            "1:28 two cases of this file would be called `.4kib` => take one away, or choose values that differ in letters and digits",
        ],
    );
}

#[test]
fn rows_of_one_name() {
    in_parameters(
        "[{ name: x-y, a: 1 }, { name: x y, a: 1 }]",
        "${a}",
        &[
            "1:51 two cases of this file would be called `.x-y` => take one away, or choose values that differ in letters and digits",
        ],
    );
}

#[test]
fn too_many_cases() {
    in_parameters(
        "{ a: [1,2,3,4,5,6,7,8], b: [1,2,3,4,5,6,7,8], c: [1,2,3,4,5,6,7,8] }",
        "",
        &[
            "1:13 these parameters would make more than 256 cases => write those that matter as rows: `[{ name: x, … }]`",
        ],
    );
}

#[test]
fn the_name_of_a_row_is_no_parameter() {
    in_parameters(
        "[{ name: told, policy: early }]",
        "${name} ${policy}",
        &[
            "2:10 there is no parameter `name` => `name` only names a row and is no parameter: give each row another key for it",
        ],
    );
}

#[test]
fn parameters_that_are_not_there() {
    in_file(
        r#"
parameters: { policy: [early, late] }
summary: s ${polcy} ${nothing} $${this} ${THAT} ${policy}
why: w
template: xfs
steps:
  - victim: { name: alice, maps: a, touches: "${at}" }
  - expect: { filesystem: up }
"#
        .trim_start(),
        &[
            "2:10 there is no parameter `polcy` => did you mean `policy`?",
            "2:10 there is no parameter `nothing` => add it to `parameters`; where a shell is to see it, write `$${nothing}`",
            "6:46 there is no parameter `at` => add it to `parameters`; where a shell is to see it, write `$${at}`",
            "6:46 `${at}` is no size => write a whole number and a unit, such as `4KiB`, or plain bytes",
        ],
    );
}

#[test]
fn parameters_that_nothing_uses() {
    in_file(
        "
parameters: { policy: [early, late], unused: [1, 2] }
summary: s 
why: w
template: xfs
steps:
  - when: { policy: early }
    expect: { filesystem: up }
  - expect: { badblocks: [] }
"
        .trim_start(),
        &[
            "1:38 nothing uses the parameter `unused` => write `${unused}` where its value belongs, or take it away",
        ],
    );
}

#[test]
fn a_value_that_is_no_text() {
    in_parameters(
        "[{ name: x, a: [1] }, { name: z, a: [2] }]",
        "${a}",
        &[
            "2:10 `${a}` is a list or mapping, which is no part of a text => let `${…}` stand alone, or give the parameter a plain value",
        ],
    );
}

#[test]
fn a_parameter_without_quotes() {
    in_file(
        "
parameters: { policy: [early] }
summary: s 
why: w
template: xfs
steps:
  - victim: { name: alice, maps: a, kill: ${policy} }
"
        .trim_start(),
        &[
            r#"6:44 this is not YAML: while parsing a flow mapping, did not find expected ',' or '}' => inside brackets a parameter is quoted: `"${name}"`"#,
        ],
    );
}

#[test]
fn values_that_are_wrong_where_they_are_put() {
    in_file(
        r#"
parameters: { policy: [early, lat], fill: [0x10, 0x100], size: [4KiB, 8KiB] }
summary: s 
why: w
template: xfs
steps:
  - write: { file: a, size: "${size}", fill: "${fill}" }
  - victim: { name: alice, maps: a, kill: "${policy}", touches: 4KiB }
  - expect: { filesystem: up }
"#
        .trim_start(),
        &[
            "1:31 unknown word `lat` => did you mean `late`?",
            "1:50 expected a byte, from `0x00` to `0xff`, or `counting`, found the number `256` => write a byte, from `0x00` to `0xff`, or `counting`",
        ],
    );
}

#[test]
fn values_that_do_not_fit_in_one_case() {
    in_file(
        r#"
parameters: { size: [4KiB, 8KiB] }
summary: s 
why: w
template: xfs
steps:
  - write: { file: a, size: "${size}", fill: 1 }
  - victim: { name: alice, maps: a, touches: 4KiB }
  - expect: { filesystem: up }
"#
        .trim_start(),
        &["7:46 offset 4KiB is beyond the end of `a` => choose an offset below 4KiB"],
    );
}

#[test]
fn conditions_that_cannot_be() {
    in_file(
        r#"
parameters: { policy: [early, late] }
summary: s 
why: w
template: xfs
steps:
  - when: { policy: erly }
    expect: { filesystem: up }
  - when: { plicy: early }
    expect: { filesystem: up }
  - when: {}
    expect: { filesystem: up }
  - when: early
    expect: { filesystem: up }
  - when: { kernel: 6.1 }
    expect: { filesystem: up }
  - when: { kernel: ">=6.1" }
  - when: { policy: early }
    expect: { filesystem: up }
    read: { file: a }
"#
        .trim_start(),
        &[
            "6:21 `policy` is never `erly` => did you mean `early`?",
            "8:13 there is no parameter `plicy` => did you mean `policy`?",
            r#"10:11 `when` says when the step is there => write it like `when: { kernel: "<6.2" }` or `when: { policy: early }`"#,
            r#"12:11 `when` says when the step is there => write it like `when: { kernel: "<6.2" }` or `when: { policy: early }`"#,
            "14:21 YAML takes 6.10 and 6.1 for the same number => put the kernel version in quotes",
            "16:5 this step is empty => a step is a mapping with one key, such as `write: { … }`",
            "19:5 a step has one key, this one has 2 => begin a new step with `- read:`, or indent it below `expect:`",
        ],
    );
}

#[test]
fn a_step_of_no_case() {
    in_file(
        "
parameters: [{ name: x, a: 1, b: 1 }, { name: z, a: 2, b: 2 }]
summary: s 
why: w
template: xfs
steps:
  - when: { a: 1, b: 2 }
    write: { file: a, size: 1, fill: 1 }
  - expect: { filesystem: up }
"
        .trim_start(),
        &["6:11 no case of this file has this step => change the condition, or take the step away"],
    );
}

#[test]
fn conditions_on_kernels() {
    in_file(
        r#"
summary: s
why: w
template: xfs
kernel: ">=6.1"
steps:
  - when: { kernel: "<6.2" }
    write: { file: a, size: 4KiB, fill: 1 }
  - when: { kernel: ">=6.5, <6.8" }
    write: { file: a, size: 4KiB, fill: 1 }
  - read: { file: a }
  - when: { kernel: "<6.0" }
    read: { file: a }
  - when: { kernel: ">=6.5" }
    expect: { filesystem: up }
"#
        .trim_start(),
        &[
            "5:1 the case expects nothing, so nothing could make it fail => say what holds after the injection: `- expect: { filesystem: up }`",
            "10:19 there is no file `a` => make it first: `- write: { file: a, size: 2MiB, fill: 0x5a }`",
            "11:5 no kernel of the case has this step, which is for <6.0 => widen one of the two ranges, or take the step away",
        ],
    );
}

#[test]
fn rows_of_the_table() {
    in_file(
        "
summary: s
why: w
covers: [1, 2, 1]
template: xfs
steps:
  - expect: { filesystem: up }
"
        .trim_start(),
        &["3:16 row 1 is named twice => keep one of the two"],
    );
}

#[test]
fn a_row_that_the_table_does_not_have() {
    in_file(
        "
summary: s
why: w
covers: [1, 109]
template: xfs
steps:
  - expect: { filesystem: up }
"
        .trim_start(),
        &[
            "3:13 expected a row of the coverage table, from 1 to 108, found the number `109` => write a row of the coverage table, from 1 to 108",
        ],
    );
}

#[test]
fn conditions_in_a_file_without_parameters() {
    in_steps(
        r#"
  - when: { policy: early }
    expect: { filesystem: up }
  - when: { kernle: "<6.2" }
    expect: { filesystem: up }
"#,
        &[
            "5:13 there is no parameter `policy` => the only word is `kernel`",
            "7:13 there is no parameter `kernle` => did you mean `kernel`?",
        ],
    );
}

#[test]
fn known_issues_of_some_cases() {
    in_file(
        r#"
summary: s
why: w
template: xfs
steps:
  - expect: { filesystem: up }
known_issues:
  - { kernel: "<6.2", splat: [], because: y }
  - { kernel: "<6.2", splat: [dax_a, 1], because: y }
  - { kernel: "<6.2", splat: dax_a, because: y, when: { policy: x } }
  - { kernel: "<6.2", splat: dax_a, because: y, when: { kernel: "<6.1" } }
"#
        .trim_start(),
        &[
            "7:5 a known issue needs a `splat` or a `finding`, or any failure would be excused by it => `splat:` is a part of what the kernel prints, `finding:` what the judge finds, such as `{ kind: injector, seen: EUCLEAN }`",
            "8:38 expected a part of what the kernel prints, such as `dax_insert_entry`, found the number `1` => write a part of what the kernel prints, such as `dax_insert_entry`",
            "9:57 there is no parameter `policy` => name one of the parameters",
            "10:57 there is no parameter `kernel` => name one of the parameters",
        ],
    );
}
