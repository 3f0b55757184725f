// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a JUnit document must be, checked by reading it back.

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::case::{OUTPUT_LIMIT, cdata, duration};
use super::junit;
use crate::samples::{any_record, any_text, one_of_each, record, result};
use crate::text::{clean, one_line};
use crate::{CaseResult, ExitStatus, Verdict};

/// An element, read back.
#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
    text: String,
    children: Vec<Element>,
}

impl Element {
    fn attribute(&self, name: &str) -> &str {
        self.attributes
            .get(name)
            .map_or_else(|| panic!("<{}> has no {name}", self.name), String::as_str)
    }

    fn number(&self, name: &str) -> usize {
        self.attribute(name).parse().unwrap()
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// How many cases in this suite have such a result.
    fn cases_with(&self, result: &str) -> usize {
        self.all("testcase")
            .filter(|case| case.all(result).next().is_some())
            .count()
    }
}

/// Reads a document back, and fails for what XML 1.0 forbids and quick-xml lets through.
fn parse(xml: &str) -> Element {
    let forbidden = |c: &char| !matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    assert_eq!(xml.chars().find(forbidden), None);
    let mut reader = Reader::from_str(xml);
    let mut open = vec![Element::default()];
    loop {
        match reader.read_event().unwrap() {
            Event::Eof => break,
            Event::Start(tag) => open.push(element(&tag)),
            Event::Empty(tag) => {
                let element = element(&tag);
                open.last_mut().unwrap().children.push(element);
            }
            Event::End(_) => {
                let element = open.pop().unwrap();
                open.last_mut().unwrap().children.push(element);
            }
            Event::CData(text) => open.last_mut().unwrap().text += &text.decode().unwrap(),
            Event::Text(text) => {
                let text = text.decode().unwrap();
                assert_eq!(text.trim(), "", "all text of ours is in CDATA sections");
            }
            Event::Decl(_) => {}
            other => panic!("unexpected {other:?}"),
        }
    }
    assert_eq!(open.len(), 1, "every element is closed");
    let mut document = open.pop().unwrap();
    assert_eq!(document.children.len(), 1, "there is one root");
    document.children.pop().unwrap()
}

fn element(tag: &BytesStart<'_>) -> Element {
    let mut element = Element {
        name: text_of(tag.name().as_ref()),
        ..Element::default()
    };
    for attribute in tag.attributes() {
        let attribute = attribute.unwrap();
        let value = quick_xml::escape::unescape(&text_of(&attribute.value))
            .unwrap()
            .into_owned();
        element.attributes.insert(text_of(attribute.key.as_ref()), value);
    }
    element
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn one_of_each_verdict() {
    let xml = junit(&record(one_of_each(), false)).unwrap();
    parse(&xml);
    insta::assert_snapshot!(xml);
}

#[test]
fn a_run_that_was_stopped_says_so() {
    let mut record = record(vec![result("a/b", "k", Verdict::Pass)], true);
    record.planned = 3;
    insta::assert_snapshot!(junit(&record).unwrap());
}

#[test]
fn a_run_without_judgement_is_an_error() {
    for (results, words) in [
        (vec![], "Nothing was judged: no case ran."),
        (
            vec![result("a/b", "k", Verdict::Untestable)],
            "Nothing was judged: every case is untestable.",
        ),
    ] {
        let root = parse(&junit(&record(results, false)).unwrap());
        assert_eq!(root.number("errors"), 1);
        let suite = root
            .all("testsuite")
            .find(|suite| suite.attribute("name") == "taster")
            .unwrap();
        let case = suite.all("testcase").next().unwrap();
        let error = case.all("error").next().unwrap();
        assert_eq!(error.attribute("message"), words);
        assert_eq!(error.text, words);
    }
}

#[test]
fn a_case_that_ran_twice_is_two_cases() {
    let twice = [
        result("a/b", "k", Verdict::Pass),
        result("a/b", "k", Verdict::Fail),
    ];
    let mut third = result("a/b", "k", Verdict::Pass);
    third.case = "a/b".into();
    let root = parse(&junit(&record([&twice[..], &[third]].concat(), false)).unwrap());
    let names: Vec<_> = root.children[0]
        .all("testcase")
        .map(|case| case.attribute("name"))
        .collect();
    assert_eq!(names, ["b[k]", "b[k]#2", "b[k]#3"]);
}

#[test]
fn output_is_capped_and_keeps_its_attachments() {
    let mut big = one_of_each().swap_remove(1);
    big.log = "]]>\n".repeat(OUTPUT_LIMIT);
    let root = parse(&junit(&record(vec![big], false)).unwrap());
    let output = &root.children[0]
        .all("testcase")
        .next()
        .unwrap()
        .all("system-out")
        .next()
        .unwrap()
        .text;
    assert!(output.len() < OUTPUT_LIMIT + 200, "{}", output.len());
    assert!(output.contains("bytes left out"));
    assert!(
        output.ends_with("\n[[ATTACHMENT|shared-block/console.log]]\n"),
        "{output}"
    );
}

#[test]
fn odd_times_do_no_harm() {
    for (seconds, is) in [
        (f64::NAN, 0.0),
        (-1.0, 0.0),
        (f64::INFINITY, 0.0),
        (1e15, 1e9),
        (1.25, 1.25),
        (0.0001, 0.0),
    ] {
        assert!(
            (duration(seconds).as_seconds_f64() - is).abs() < 1e-9,
            "{seconds}"
        );
    }
    let slow = CaseResult {
        seconds: 1e300,
        ..result("a/b", "k", Verdict::Pass)
    };
    let early = CaseResult {
        started_at: jiff::Timestamp::MIN,
        ..result("a/c", "k", Verdict::Pass)
    };
    let late = CaseResult {
        started_at: jiff::Timestamp::MAX,
        ..result("a/d", "k2", Verdict::Pass)
    };
    parse(&junit(&record(vec![slow, early, late], false)).unwrap());
}

/// A second opinion on well-formedness, where libxml2's tool is there to give it.
#[test]
fn xmllint_agrees() {
    let started = Command::new("xmllint")
        .args(["--noout", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut xmllint) = started else { return };
    let mut results = one_of_each();
    results[1].log = (0..=0x2_ffff).filter_map(char::from_u32).collect();
    let xml = junit(&record(results, false)).unwrap();
    xmllint.stdin.take().unwrap().write_all(xml.as_bytes()).unwrap();
    let output = xmllint.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

proptest! {
    #[test]
    fn any_text_survives_as_its_clean_self(text in any_text()) {
        let mut hostile = result("a/b", "k", Verdict::Fail);
        hostile.reason.clone_from(&text);
        hostile.environment.kernel_release.clone_from(&text);
        hostile.log.clone_from(&text);
        let root = parse(&junit(&record(vec![hostile], false)).unwrap());
        let suite = &root.children[0];
        let case = suite.all("testcase").next().unwrap();
        let failure = case.all("failure").next().unwrap();
        let line = one_line(&text);
        if line.is_empty() {
            prop_assert_eq!(failure.attribute("message"), "fail, and no reason was given");
        } else {
            prop_assert_eq!(failure.attribute("message"), &line);
            prop_assert!(failure.text.contains(&line));
            let property = |p: &&Element| p.attribute("name") == "kernel.release";
            let properties = suite.all("properties").next().unwrap();
            prop_assert_eq!(properties.all("property").find(property).unwrap().attribute("value"), &line);
        }
        if !text.trim().is_empty() {
            let output = &case.all("system-out").next().unwrap().text;
            prop_assert!(output.contains(&clean(text.trim_end())), "{:?} has no {:?}", output, clean(&text));
        }
    }

    #[test]
    fn split_sections_read_as_one(text in any_text()) {
        let root = parse(&format!("<r><![CDATA[{}]]></r>", cdata(&text)));
        prop_assert_eq!(root.text, clean(&text));
    }

    #[test]
    fn the_document_agrees_with_the_exit_status(record in any_record()) {
        let root = parse(&junit(&record).unwrap());
        let bad = root.number("failures") + root.number("errors");
        prop_assert_eq!(bad == 0, record.exit_status() == ExitStatus::Ok);

        let mut names = HashSet::new();
        for (total, tag) in [("failures", "failure"), ("errors", "error"), ("skipped", "skipped")] {
            let mut sum = 0;
            for suite in root.all("testsuite") {
                prop_assert_eq!(suite.number(total), suite.cases_with(tag));
                sum += suite.number(total);
            }
            prop_assert_eq!(root.number(total), sum);
        }
        for suite in root.all("testsuite") {
            prop_assert_eq!(suite.number("tests"), suite.all("testcase").count());
            for case in suite.all("testcase") {
                prop_assert!(case.attribute("time").parse::<f64>().is_ok());
                prop_assert!(names.insert((case.attribute("classname").to_owned(), case.attribute("name").to_owned())));
            }
        }
    }
}
