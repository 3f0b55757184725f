// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading a JUnit document back: is it well-formed, and what does it add up to?

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, escape};

use crate::Error;

/// What a JUnit document says of itself, and holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Cases in all.
    pub tests: usize,
    /// Cases that failed.
    pub failures: usize,
    /// Cases with errors.
    pub errors: usize,
    /// Cases that were skipped.
    pub skipped: usize,
}

/// Walks a JUnit document to its end, and counts its cases.
///
/// Fails with [`Error::NotXml`] or [`Error::NotJunit`] if it is not well-formed, if its root is not `testsuites`, or if
/// the root's own numbers are not what its cases add up to.
pub fn junit_totals(xml: &str) -> Result<Totals, Error> {
    if let Some(forbidden) = xml.chars().find(|c| is_forbidden(*c)) {
        return Err(not_junit(format!(
            "it holds the character U+{:04X}, which XML 1.0 forbids",
            u32::from(forbidden)
        )));
    }
    let mut reader = Reader::from_str(xml);
    let mut depth = 0_usize;
    let mut declared = None;
    let mut counted = Totals::default();
    loop {
        match reader.read_event().map_err(Error::NotXml)? {
            Event::Eof => break,
            Event::Start(tag) => {
                element(&tag, depth, &mut declared, &mut counted)?;
                depth += 1;
            }
            Event::Empty(tag) => element(&tag, depth, &mut declared, &mut counted)?,
            // That it closes what was opened last is seen to by the reader.
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::GeneralRef(reference) => {
                let reference = String::from_utf8_lossy(&reference);
                escape::unescape(&format!("&{reference};")).map_err(|error| not_junit(error.to_string()))?;
            }
            Event::Text(text) if depth == 0 && !text.trim_ascii().is_empty() => {
                return Err(not_junit("there is text outside of its root".to_owned()));
            }
            Event::Text(text) if text.windows(3).any(|three| three == b"]]>") => {
                return Err(not_junit(
                    "there is a `]]>` that ends no CDATA section".to_owned(),
                ));
            }
            Event::CData(_) if depth == 0 => {
                return Err(not_junit("there is text outside of its root".to_owned()));
            }
            _ => {}
        }
    }
    match declared {
        _ if depth > 0 => Err(not_junit("it breaks off: an element is never closed".to_owned())),
        None => Err(not_junit("there is nothing in it".to_owned())),
        Some(declared) if declared != counted => Err(not_junit(format!(
            "it says that it has {}, but its cases are {}",
            words(&declared),
            words(&counted)
        ))),
        Some(_) => Ok(counted),
    }
}

/// Production `Char` of XML 1.0, which quick-xml does not enforce.
fn is_forbidden(c: char) -> bool {
    !matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..)
}

/// Looks at an opening tag, and takes its part in the counts.
fn element(
    tag: &BytesStart<'_>,
    depth: usize,
    declared: &mut Option<Totals>,
    counted: &mut Totals,
) -> Result<(), Error> {
    let name = tag.name();
    let own = numbers(tag)?;
    match (depth, name.as_ref()) {
        (0, _) if declared.is_some() => return Err(not_junit("it has two roots".to_owned())),
        (0, b"testsuites") => *declared = Some(own),
        (0, other) => {
            let other = String::from_utf8_lossy(other);
            return Err(not_junit(format!("its root is <{other}>, not <testsuites>")));
        }
        (2, b"testcase") => counted.tests += 1,
        (3, b"failure") => counted.failures += 1,
        (3, b"error") => counted.errors += 1,
        (3, b"skipped") => counted.skipped += 1,
        _ => {}
    }
    Ok(())
}

/// The numbers among the attributes of a tag, all of which are read to their ends; what is not there is 0.
fn numbers(tag: &BytesStart<'_>) -> Result<Totals, Error> {
    let mut totals = Totals::default();
    let is_root = tag.name().as_ref() == b"testsuites";
    for attribute in tag.attributes() {
        let attribute = attribute.map_err(|error| Error::NotXml(error.into()))?;
        let text = String::from_utf8_lossy(&attribute.value);
        let value = escape::unescape(&text).map_err(|error| not_junit(error.to_string()))?;
        if text.contains('<') {
            return Err(not_junit("an attribute holds a bare `<`".to_owned()));
        }
        let number = match attribute.key.as_ref() {
            _ if !is_root => continue,
            b"tests" => &mut totals.tests,
            b"failures" => &mut totals.failures,
            b"errors" => &mut totals.errors,
            b"skipped" => &mut totals.skipped,
            _ => continue,
        };
        *number = value
            .parse()
            .map_err(|_| not_junit(format!("`{value}` is no number of cases")))?;
    }
    Ok(totals)
}

fn words(totals: &Totals) -> String {
    let Totals {
        tests,
        failures,
        errors,
        skipped,
    } = totals;
    format!("{tests} cases with {failures} failures, {errors} errors and {skipped} skipped")
}

fn not_junit(why: String) -> Error {
    Error::NotJunit(why)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Totals, junit_totals};
    use crate::samples::{any_record, one_of_each, record};
    use crate::{ExitStatus, junit};

    #[test]
    fn a_report_adds_up() {
        let xml = junit(&record(one_of_each(), false)).unwrap();
        let totals = junit_totals(&xml).unwrap();
        assert_eq!(
            totals,
            Totals {
                tests: 5,
                failures: 1,
                errors: 1,
                skipped: 2
            }
        );
    }

    #[test]
    fn what_is_no_report_says_why() {
        let suites = |inside: &str| format!("<testsuites tests=\"1\">{inside}</testsuites>");
        let case = "<testsuite><testcase name=\"a\"/></testsuite>";
        assert_eq!(junit_totals(&suites(case)).unwrap().tests, 1);
        for (xml, why) in [
            (String::new(), "nothing in it"),
            ("no XML at all".to_owned(), "text outside of its root"),
            ("<html/>".to_owned(), "its root is <html>"),
            ("<testsuites tests=\"1\">".to_owned(), "never closed"),
            ("<testsuites></testsuite>".to_owned(), "not well-formed"),
            ("<testsuites><a".to_owned(), "not well-formed"),
            (format!("{}<a/>", suites(case)), "two roots"),
            (suites(""), "says that it has 1 cases"),
            (suites(&format!("{case}{case}")), "but its cases are 2 cases"),
            (
                suites("<testsuite><testcase><failure/></testcase></testsuite>"),
                "1 failures",
            ),
            (suites("&nonsense;"), "nonsense"),
            (suites("<a b=\"&nonsense;\"/>"), "nonsense"),
            (suites("a & b"), "not well-formed"),
            (suites("a ]]> b"), "ends no CDATA"),
            (suites("<a b='1' b='2'/>"), "not well-formed"),
            (suites("<a b='<'/>"), "bare `<`"),
            (suites("\u{1b}"), "U+001B"),
            ("<testsuites tests=\"many\"/>".to_owned(), "`many` is no number"),
        ] {
            let error = junit_totals(&xml).unwrap_err().to_string();
            assert!(error.contains(why), "{xml}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_report_agrees_with_the_exit_status(record in any_record()) {
            let totals = junit_totals(&junit(&record).unwrap()).unwrap();
            let good = totals.failures + totals.errors == 0;
            prop_assert_eq!(good, record.exit_status() == ExitStatus::Ok);
        }
    }
}
