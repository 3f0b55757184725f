// SPDX-License-Identifier: MIT OR Apache-2.0
//! The second pass over a JUnit document: adds what junit-report cannot write, namely the counts of skipped cases, the
//! totals of the whole, and properties.

use quick_xml::events::{BytesEnd, BytesStart, Event};
use quick_xml::{Reader, Writer};

use crate::Error;

/// What a suite lacks.
#[derive(Debug, Clone, Default)]
pub(super) struct SuiteExtras {
    /// How many of its cases are skipped.
    pub skipped: usize,
    /// Names and values, in the order in which they are to stand.
    pub properties: Vec<(&'static str, String)>,
}

/// The totals of a document.
#[derive(Debug, Clone, Default)]
pub(super) struct DocumentTotals {
    /// Cases in all.
    pub tests: usize,
    /// Cases that failed.
    pub failures: usize,
    /// Cases with errors.
    pub errors: usize,
    /// Cases that were skipped.
    pub skipped: usize,
    /// Seconds, as text.
    pub time: String,
}

/// Copies a document and completes it. `suites` are the extras of its suites, in order.
pub(super) fn complete(xml: &str, totals: &DocumentTotals, suites: &[SuiteExtras]) -> Result<String, Error> {
    let mut suites = suites.iter();
    let mut reader = Reader::from_str(xml);
    let mut writer = Writer::new_with_indent(Vec::with_capacity(xml.len() * 2), b' ', 2);
    loop {
        let event = reader.read_event().map_err(Error::Xml)?;
        match event {
            Event::Eof => break,
            Event::Start(tag) if tag.name().as_ref() == b"testsuites" => {
                emit(&mut writer, Event::Start(with_totals(tag, totals)))?;
            }
            Event::Empty(tag) if tag.name().as_ref() == b"testsuites" => {
                emit(&mut writer, Event::Empty(with_totals(tag, totals)))?;
            }
            Event::Start(tag) if tag.name().as_ref() == b"testsuite" => {
                let extras = suites
                    .next()
                    .ok_or(Error::JunitShape("there are more suites than were put in"))?;
                suite_start(&mut writer, tag, extras)?;
            }
            Event::Empty(tag) if tag.name().as_ref() == b"testsuite" => {
                let extras = suites
                    .next()
                    .ok_or(Error::JunitShape("there are more suites than were put in"))?;
                suite_start(&mut writer, tag, extras)?;
                emit(&mut writer, Event::End(BytesEnd::new("testsuite")))?;
            }
            other => emit(&mut writer, other)?,
        }
    }
    if suites.next().is_some() {
        return Err(Error::JunitShape("there are fewer suites than were put in"));
    }
    let mut xml = String::from_utf8(writer.into_inner())
        .map_err(|_| Error::JunitShape("the completed document is not UTF-8"))?;
    xml.push('\n');
    Ok(xml)
}

fn emit(writer: &mut Writer<Vec<u8>>, event: Event<'_>) -> Result<(), Error> {
    writer
        .write_event(event)
        .map_err(|error| Error::Xml(error.into()))
}

fn with_totals<'a>(mut tag: BytesStart<'a>, totals: &DocumentTotals) -> BytesStart<'a> {
    let DocumentTotals {
        tests,
        failures,
        errors,
        skipped,
        time,
    } = totals;
    for (name, count) in [
        ("tests", tests),
        ("failures", failures),
        ("errors", errors),
        ("skipped", skipped),
    ] {
        tag.push_attribute((name, count.to_string().as_str()));
    }
    tag.push_attribute(("time", time.as_str()));
    tag
}

/// Writes a suite's opening tag and its properties, which come before everything else in it.
fn suite_start(
    writer: &mut Writer<Vec<u8>>,
    mut tag: BytesStart<'_>,
    extras: &SuiteExtras,
) -> Result<(), Error> {
    tag.push_attribute(("skipped", extras.skipped.to_string().as_str()));
    emit(writer, Event::Start(tag))?;
    if extras.properties.is_empty() {
        return Ok(());
    }
    emit(writer, Event::Start(BytesStart::new("properties")))?;
    for (name, value) in &extras.properties {
        let property =
            BytesStart::new("property").with_attributes([("name", *name), ("value", value.as_str())]);
        emit(writer, Event::Empty(property))?;
    }
    emit(writer, Event::End(BytesEnd::new("properties")))
}
