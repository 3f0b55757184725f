// SPDX-License-Identifier: MIT OR Apache-2.0
//! Case files that are no YAML, or more of YAML than the language takes; and what is said of each:
//! `line:column what => way out`.

mod common;

use common::{in_file, in_steps};

#[test]
fn no_mapping_at_all() {
    in_file(
        "
- a
- b
"
        .trim_start(),
        &[
            "1:1 expected a mapping with `summary`, `why`, `template` and `steps`, found a list => write a mapping with `summary`, `why`, `template` and `steps`",
        ],
    );
}

#[test]
fn nothing_at_all() {
    in_file(
        "
# only a comment
"
        .trim_start(),
        &["1:1 the file has nothing in it => a case has `summary`, `why`, `template` and `steps`"],
    );
}

#[test]
fn keys_without_a_value() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - expect:
      killed:
      alive: [alice]
  - unmount:
  -
",
        &[
            "7:7 `killed` has no value => indent what belongs to `killed` below it, or leave the key out",
            "9:5 `unmount` has no value => write `unmount: {}`",
            "10:4 an item of this list is empty => write the item, or take the `-` away",
        ],
    );
}

#[test]
fn duplicate_keys() {
    in_file(
        "
summary: s
why: w
template: xfs
why: again
steps:
  - victim: { name: alice, maps: a, touches: 0, maps: b }
  - expect:
      killed:
        alice: { code: BUS_MCEERR_AO, at: 0 }
        alice: { code: BUS_MCEERR_AR, at: 0 }
"
        .trim_start(),
        &[
            "4:1 `why` is there twice => keep one of the two",
            "6:49 `maps` is there twice => keep one of the two",
            "10:9 `alice` is there twice => keep one of the two",
        ],
    );
}

#[test]
fn bad_indentation() {
    in_steps(
        "
  - write: { file: a, size: 2MiB, fill: 0x5a }
   - reflink: { from: a, to: b }
",
        &[
            "6:4 this is not YAML: while parsing a block collection, did not find expected '-' indicator => look at the indentation of this line and the one above, and for a missing `: ` or `- `",
        ],
    );
}

#[test]
fn a_tab() {
    in_steps(
        "
  - write:
	  file: a
",
        &[
            "6:1 this is not YAML: tabs disallowed within this context (block indentation) => indent with spaces: YAML takes no tabs there",
        ],
    );
}

#[test]
fn an_unclosed_quote() {
    in_steps(
        r#"
  - write: { file: "a, size: 2MiB, fill: 0x5a }
  - expect: { filesystem: up }
"#,
        &[
            "5:20 this is not YAML: invalid indentation in quoted scalar => close the quote, or leave it out: plain words need none",
        ],
    );
}

#[test]
fn an_unclosed_bracket() {
    in_steps(
        "
  - expect: { alive: [alice }
",
        &[
            "5:29 this is not YAML: while parsing a flow sequence, expected ',' or ']' => look for a bracket that is not closed, or a comma that is missing",
        ],
    );
}

#[test]
fn a_colon_in_text() {
    in_file(
        "
summary: this: that
"
        .trim_start(),
        &[
            "1:14 this is not YAML: mapping values are not allowed in this context => a key ends in `: `, with a space; text that has such a colon itself is quoted",
        ],
    );
}

#[test]
fn an_alias_bomb() {
    in_file(
        "
summary: s
why: w
template: xfs
a: &a [x,x]
b: &b [*a,*a,*a]
"
        .trim_start(),
        &[
            "4:4 anchors and aliases are not part of the case language => write the value out where it is needed",
        ],
    );
}

#[test]
fn an_alias() {
    in_file(
        "
summary: s
why: w
template: xfs
steps:
  - *x
"
        .trim_start(),
        &[
            "5:5 anchors and aliases are not part of the case language => write the value out where it is needed",
        ],
    );
}

#[test]
fn a_tag() {
    in_file(
        "
summary: s
why: w
template: xfs
steps:
  - !write { file: a, size: 4KiB, fill: 1 }
"
        .trim_start(),
        &["5:5 tags are not part of the case language => leave out the word that begins with `!`"],
    );
}

#[test]
fn keys_that_are_no_text() {
    in_file(
        "
summary: s
why: w
template: xfs
0: summary
true: x
"
        .trim_start(),
        &[
            r#"4:1 the key `0` is not text to YAML => a key is one of the language's words; a name is quoted: "0""#,
            r#"5:1 the key `true` is not text to YAML => a key is one of the language's words; a name is quoted: "true""#,
        ],
    );
}

#[test]
fn several_documents() {
    in_file(
        "
summary: s
why: w
template: xfs
steps:
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - expect: { filesystem: up }
---
summary: s
why: w
template: xfs
"
        .trim_start(),
        &[
            "7:1 a file holds one case, this one goes on with a second document => put the second case into a file of its own",
        ],
    );
}

#[test]
fn a_control_character() {
    in_file(
        concat!("summary: s\n", "why: w\n", "template: xfs\u{1b}[31m\n"),
        &[r"3:14 there is a control character in this file, \u{1b} => take it away; a case is plain text"],
    );
}

/// YAML 1.1 ends a line there, YAML 1.2 does not.
#[test]
fn a_line_end_of_another_kind() {
    in_file(
        "summary: s\u{2028}why: w\n",
        &[r"1:11 there is a control character in this file, \u{2028} => take it away; a case is plain text"],
    );
}

#[test]
fn crlf_counts_as_one_line_end() {
    in_file(
        concat!(
            "summary: s\r\n",
            "why: w\r\n",
            "template: xfs\r\n",
            "steps:\r\n",
            "  - expekt: {}\r\n"
        ),
        &["5:5 unknown step `expekt` => did you mean `expect`?"],
    );
}

#[test]
fn a_byte_order_mark_takes_no_column() {
    in_file(
        concat!(
            "\u{feff}sumary: s\n",
            "why: w\n",
            "template: xfs\n",
            "steps:\n",
            "  - write: { file: a, size: 2MiB, fill: 0x5a }\n",
            "  - expect: { filesystem: up }\n"
        ),
        &["1:1 unknown key `sumary` => did you mean `summary`?"],
    );
}

#[test]
fn columns_are_characters() {
    in_steps(
        r#"
  - write: { file: a, size: 2MiB, fill: 0x5a }
  - expect: { "größe 漢字": 1, erorr: EIO }
"#,
        &[
            "6:15 unknown key `größe 漢字` => testcases/README.md lists the keys that can stand here",
            "6:30 unknown key `erorr` => did you mean `error`?",
        ],
    );
}
