// SPDX-License-Identifier: MIT OR Apache-2.0
//! The JUnit document of a run, for dashboards.
//!
//! There is no standard, only readers; what each of them wants is honoured where they do not contradict each other:
//! the reason stands both in the `message` attribute and as text (GitLab shows only the text), every case has a time
//! (dorny/test-reporter), names are unique within their class (GitLab counts the first of equals only), classes are
//! dotted, attachments are `[[ATTACHMENT|path]]` lines of the case's output.

mod case;
mod complete;
#[cfg(test)]
mod tests;
mod totals;

use std::collections::HashSet;

use junit_report::{OffsetDateTime, Report, TestCase, TestResult, TestSuite};

use self::case::{duration, test_case};
use self::complete::{DocumentTotals, SuiteExtras, complete};
pub use self::totals::{Totals, junit_totals};
use crate::oracle::CoverageCounts;
use crate::text::one_line;
use crate::{CaseResult, Environment, Error, ExitStatus, RunRecord};

/// The name of the suite that speaks for the run as a whole.
const RUN_SUITE: &str = "taster";

/// The JUnit document of a run: a suite for each kernel, a case for each result.
///
/// The document agrees with [`RunRecord::exit_status`]: there is no failure and no error in it exactly when that is
/// [`ExitStatus::Ok`]. What is wrong with the run as a whole (it was interrupted, it judged nothing, verdicts are
/// missing) is an error in a suite of its own, called `taster`.
///
/// Fails only when the two XML libraries disagree, which is a defect.
pub fn junit(record: &RunRecord) -> Result<String, Error> {
    let mut suites = Vec::new();
    let mut extras = Vec::new();
    let mut names = UniqueNames::default();
    for (kernel, results) in by_kernel(&record.results) {
        let mut suite = suite(
            &one_line(kernel),
            record,
            results.iter().map(|r| r.started_at).min(),
        );
        suite.add_testcases(results.iter().map(|result| names.make_unique(test_case(result))));
        extras.push(SuiteExtras {
            skipped: suite.skipped(),
            properties: properties(record, &results),
        });
        suites.push(suite);
    }
    if let Some(case) = run_case(record) {
        let mut suite = suite(RUN_SUITE, record, None);
        suite.add_testcase(case);
        extras.push(SuiteExtras {
            skipped: 0,
            properties: properties(record, &[]),
        });
        suites.push(suite);
    }

    let totals = DocumentTotals {
        tests: suites.iter().map(TestSuite::tests).sum(),
        failures: suites.iter().map(TestSuite::failures).sum(),
        errors: suites.iter().map(TestSuite::errors).sum(),
        skipped: suites.iter().map(TestSuite::skipped).sum(),
        time: suites
            .iter()
            .map(TestSuite::time)
            .sum::<junit_report::Duration>()
            .as_seconds_f64()
            .to_string(),
    };
    let mut report = Report::new();
    report.add_testsuites(suites);
    let mut xml = Vec::new();
    report.write_xml(&mut xml).map_err(Error::JunitReport)?;
    let xml = String::from_utf8(xml).map_err(|_| Error::JunitShape("junit-report wrote no UTF-8"))?;
    complete(&xml, &totals, &extras)
}

/// The results of each kernel, kernels in the order in which they first finished a case.
fn by_kernel(results: &[CaseResult]) -> Vec<(&str, Vec<&CaseResult>)> {
    let mut kernels: Vec<(&str, Vec<&CaseResult>)> = Vec::new();
    for result in results {
        let kernel = result.environment.kernel.as_str();
        match kernels.iter_mut().find(|(name, _)| *name == kernel) {
            Some((_, results)) => results.push(result),
            None => kernels.push((kernel, vec![result])),
        }
    }
    kernels
}

/// An empty suite. Its time stamp is that of its first case, else the run's, in whole seconds, for some schemas allow
/// no fraction.
fn suite(name: &str, record: &RunRecord, first: Option<jiff::Timestamp>) -> TestSuite {
    let seconds = first.unwrap_or(record.started_at).as_second();
    let mut suite = TestSuite::new(name);
    name.clone_into(&mut suite.package);
    suite.hostname = one_line(&record.host);
    // junit-report panics over a year that RFC 3339 cannot write; clocks of machines without a battery begin at 1970.
    suite.timestamp =
        OffsetDateTime::from_unix_timestamp(seconds.max(0)).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    suite
}

/// The case that says what is wrong with the run as a whole, if anything is.
fn run_case(record: &RunRecord) -> Option<TestCase> {
    let troubles = record.troubles();
    let message = one_line(troubles.first()?);
    let text = case::cdata(&troubles.join("\n"));
    let type_ = match record.exit_status() {
        ExitStatus::Interrupted => "interrupted",
        ExitStatus::NothingJudged => "nothing-judged",
        _ => "broken",
    };
    let mut case = TestCase::success("run", duration(0.0));
    case.set_classname(RUN_SUITE);
    case.result = TestResult::Error {
        type_: type_.to_owned(),
        message,
        cause: Some(text),
    };
    Some(case)
}

/// What the results of a suite have in common, as properties. A broken case may know less of its surroundings than the
/// others, so what any of them knows is said; where they differ, all of it.
fn properties(record: &RunRecord, results: &[&CaseResult]) -> Vec<(&'static str, String)> {
    type Field = fn(&Environment) -> &str;
    let fields: [(&'static str, Field); 9] = [
        ("kernel.release", |e| &e.kernel_release),
        ("kernel.version", |e| &e.kernel_version),
        ("kernel.commit", |e| {
            e.kernel_commit.as_deref().unwrap_or_default()
        }),
        ("qemu.version", |e| &e.qemu_version),
        ("accelerator", |e| &e.accelerator),
        ("accelerator.reason", |e| &e.accelerator_reason),
        ("cpu.model", |e| &e.cpu_model),
        ("image", |e| &e.image),
        ("isolation", |e| &e.isolation),
    ];
    let mut properties = vec![("taster.version", one_line(&record.taster))];
    for (name, field) in fields {
        let mut values: Vec<String> = Vec::new();
        for value in results.iter().map(|result| one_line(field(&result.environment))) {
            if !value.is_empty() && !values.contains(&value) {
                values.push(value);
            }
        }
        if !values.is_empty() {
            properties.push((name, values.join("; ")));
        }
    }
    let covered = CoverageCounts::of(results.iter().copied());
    if covered.has_gaps() {
        properties.push(("oracle", covered.to_string()));
    }
    properties
}

/// Tells cases with the same class and name apart, which happens when a case runs more than once on a kernel.
#[derive(Default)]
struct UniqueNames(HashSet<(Option<String>, String)>);

impl UniqueNames {
    fn make_unique(&mut self, mut case: TestCase) -> TestCase {
        let wanted = case.name.clone();
        let mut times = 1;
        while !self.0.insert((case.classname.clone(), case.name.clone())) {
            times += 1;
            case.name = format!("{wanted}#{times}");
        }
        case
    }
}
