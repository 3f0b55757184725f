// SPDX-License-Identifier: MIT OR Apache-2.0
//! What YAML makes of a scalar, and how texts of several lines, line ends and marks are read.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::path::Path;

use common::{in_file, in_steps};
use testcases::{Case, Template, parse};

fn read(source: &str) -> Case {
    match parse(source, Path::new("case.yaml"), "case".parse().unwrap()) {
        Ok(case) => case,
        Err(diagnostics) => panic!("{diagnostics}\nin\n{source}"),
    }
}

/// How a case begins whose `why` is this.
fn with_why(why: &str) -> String {
    format!(
        "summary: s\nwhy: {why}\ntemplate: xfs\nsteps:\n  - write: {{ file: a, size: 4KiB, fill: 1 }}\n  - expect: {{ filesystem: up }}\n"
    )
}

/// What is said of a scalar where a truth value belongs: the text, or that it is another kind of value.
fn kind_of(scalar: &str) -> String {
    let steps = format!("steps:\n  - set-flags: {{ file: a, dax: {scalar} }}\n");
    let source = format!("summary: s\nwhy: w\ntemplate: xfs\n{steps}");
    match parse(&source, Path::new("case.yaml"), "case".parse().unwrap()) {
        Ok(_) => "accepted".to_owned(),
        Err(diagnostics) => {
            let title = diagnostics.iter().next().unwrap().title().to_owned();
            let found = title.strip_prefix("expected `true` or `false`, found ");
            found.unwrap_or("fits, or is refused elsewhere").to_owned()
        }
    }
}

#[test]
fn numbers_in_any_notation() {
    for (written, number) in [
        ("0", "0"),
        ("512", "512"),
        ("+5", "5"),
        ("-5", "-5"),
        ("0x10", "16"),
        ("+0x10", "16"),
        ("-0x10", "-16"),
        ("0o17", "15"),
        ("0b101", "5"),
        ("-0b101", "-5"),
        ("18446744073709551615", "18446744073709551615"),
        ("-9223372036854775808", "-9223372036854775808"),
        ("1.5", "1.5"),
        ("1e3", "1000.0"),
        (".5", "0.5"),
        ("5.", "5.0"),
        ("-1.25", "-1.25"),
        (".inf", "inf"),
        ("-.INF", "-inf"),
        (".nan", "NaN"),
    ] {
        assert_eq!(kind_of(written), format!("the number `{number}`"), "{written}");
    }
}

#[test]
fn what_looks_like_a_number_and_is_text() {
    for text in [
        "1_000",
        "012",
        "-012",
        "00",
        "0x",
        "0xg",
        "0x-1",
        "0X10",
        "--5",
        "+-5",
        "1e",
        "inf",
        "nan",
        "0x1_0",
        "1:30",
        "0o8",
        "0b2",
        "4KiB",
        "yes",
        "no",
        "on",
        "off",
        "y",
        "tRue",
        "nUll",
        "<<",
        "=",
        "2026-01-01",
        ".",
        "e5",
        "infinity",
        "''",
        "\"\"",
        "'1'",
        "\"0x10\"",
        "'true'",
        "'~'",
        "\"null\"",
    ] {
        let plain = text.trim_matches(['\'', '"']);
        assert_eq!(kind_of(text), format!("the text \"{plain}\""), "{text}");
    }
}

#[test]
fn truth_values_and_nothing() {
    for text in ["true", "True", "TRUE", "false", "False", "FALSE"] {
        assert_eq!(kind_of(text), "fits, or is refused elsewhere", "{text}");
    }
    for nothing in ["", "~", "null", "Null", "NULL"] {
        in_steps(
            &format!("\n  - set-flags: {{ file: a, dax: {nothing} }}\n"),
            &["5:27 `dax` has no value => indent what belongs to `dax` below it, or leave the key out"],
        );
    }
}

#[test]
fn texts_of_several_lines() {
    let read_text = |written: &str| {
        let template = format!("template:\n  xfs:\n    mkfs:\n    - {written}\n");
        match read(&with_why("w").replace("template: xfs\n", &template)).template {
            Template::Xfs(xfs) => xfs.mkfs.concat(),
            Template::Unmounted { .. } | Template::Devdax { .. } => panic!("{written}"),
        }
    };
    for (written, text) in [
        ("one\n  two", "one two"),
        ("one\n\n  two", "one\ntwo"),
        ("'one\n  two'", "one two"),
        ("\"one\\\n  two\"", "onetwo"),
        (r#""a\tb\x41\u00e9\\""#, "a\tbA\u{e9}\\"),
        ("'it''s'", "it's"),
        ("|\n  one\n   two\n", "one\n two\n"),
        ("|-\n  one\n  two\n", "one\ntwo"),
        ("|+\n  one\n", "one\n\n"),
        (">\n  one\n  two\n\n  three\n", "one two\nthree\n"),
        (">-\n  one\n    two\n  three\n", "one\n  two\nthree"),
        ("|2\n   one\n", " one\n"),
        ("one # a comment", "one"),
        ("one#two", "one#two"),
        ("a:b", "a:b"),
        ("'5'", "5"),
    ] {
        assert_eq!(read_text(&written.replace("\n  ", "\n      ")), text, "{written}");
    }
}

#[test]
fn line_ends_and_marks_of_other_systems() {
    let unix = with_why("|\n  one\n  two");
    let case = read(&unix);
    assert_eq!(read(&unix.replace('\n', "\r\n")), case);
    assert_eq!(read(&format!("\u{feff}{unix}")), case);
    assert_eq!(read(unix.trim_end()), case);
    let documents = read(&format!("# first\n---\n{unix}...\n"));
    assert_eq!(
        (documents.why, documents.steps.len()),
        (case.why, case.steps.len())
    );
}

/// `<<` is a key like any other, for without anchors there is nothing to merge.
#[test]
fn a_merge_key() {
    in_steps(
        "
  - write: { file: a, size: 4KiB, fill: 1, <<: { fill: 2 } }
",
        &[
            "5:44 unknown key `<<` => choose one of `file`, `size`, `offset`, `length`, `fill`, `direct`, `sync`, `from`",
        ],
    );
}

#[test]
fn a_number_beyond_64_bits() {
    in_steps(
        "
  - write: { file: a, size: 99999999999999999999, fill: 1 }
",
        &[
            "5:29 this number does not fit into 64 bits => choose a smaller one; text that looks like a number is quoted",
        ],
    );
}

#[test]
fn tabs_between_words() {
    assert_eq!(read(&with_why("w\t# of a comment")).why, "w");
    in_file(
        "summary:\ts\n",
        &[
            "1:10 this is not YAML: ':' must be followed by a valid YAML whitespace => look at the indentation of this line and the one above, and for a missing `: ` or `- `",
        ],
    );
}

/// What looks like the beginning or the indentation of a text, and would be taken for a part of it.
#[test]
fn what_is_no_text() {
    for (written, place, title) in [
        (
            "{ mount: { options: > } }",
            "5:25",
            "a text cannot begin with this sign",
        ),
        ("{ run: |x }", "5:12", "a text cannot begin with this sign"),
        (
            "run: >\n     \tx\n      y\n",
            "6:6",
            "a tab in the indentation of a text",
        ),
    ] {
        let source = format!("summary: s\nwhy: w\ntemplate: xfs\nsteps:\n  - {written}\n");
        let why = parse(&source, Path::new("case.yaml"), "case".parse().unwrap()).unwrap_err();
        let first = why.iter().next().unwrap();
        let position = first.position().unwrap();
        let found = (format!("{}:{}", position.line, position.column), first.title());
        assert_eq!(
            found,
            (place.to_owned(), format!("this is not YAML: {title}").as_str()),
            "{source}"
        );
    }
}

/// Nothing is deeper than 32 levels, neither by brackets nor by indentation.
#[test]
fn deep_nesting() {
    let brackets = |depth: usize| format!("{}x{}\n", "[".repeat(depth), "]".repeat(depth));
    in_file(
        &brackets(32),
        &[
            "1:1 expected a mapping with `summary`, `why`, `template` and `steps`, found a list => write a mapping with `summary`, `why`, `template` and `steps`",
        ],
    );
    let levels: Vec<String> = (0..33).map(|depth| " ".repeat(depth)).collect();
    let blocks = levels.join("a:\n") + "a:\n";
    for (source, place) in [
        (brackets(33), "1:33"),
        (format!("{blocks}{}b: c\n", " ".repeat(33)), "33:33"),
    ] {
        in_file(
            &source,
            &[&format!(
                "{place} the document is nested more than 32 levels deep => nothing in a case needs that: look for brackets that are not closed"
            )],
        );
    }
}
