// SPDX-License-Identifier: MIT OR Apache-2.0
//! One result as a JUnit case.

use junit_report::{Duration, TestCase, TestResult};

use crate::explain::{finding_lines, step_ending};
use crate::text::{clean, head_and_tail, one_line};
use crate::{CaseResult, Verdict};

/// How many bytes of a case's output go into the document; dashboards refuse or cut big ones (GitLab: 30 MB a file).
pub(super) const OUTPUT_LIMIT: usize = 64 * 1024;

/// A result as a case. Its name is the last part of the case's path and the kernel, `shared-block[debian-6.12]`; its
/// class is the path, dotted.
pub(super) fn test_case(result: &CaseResult) -> TestCase {
    let case = one_line(&result.case);
    let name = case.rsplit('/').next().unwrap_or_default();
    let kernel = one_line(&result.environment.kernel);
    let mut test = TestCase::success(&format!("{name}[{kernel}]"), duration(result.seconds));
    test.set_classname(&case.replace('/', "."));
    test.set_filepath(&one_line(&result.file));
    test.result = test_result(result);
    let output = output(result);
    if !output.is_empty() {
        test.set_system_out(&cdata(&output));
    }
    test
}

/// Seconds as a duration, to the millisecond. What is no length of time (NaN, a negative number) is none, and no case
/// takes longer than thirty years, so that sums of durations cannot overflow.
pub(super) fn duration(seconds: f64) -> Duration {
    let milliseconds = Duration::checked_seconds_f64(seconds)
        .unwrap_or_default()
        .whole_milliseconds();
    Duration::milliseconds(i64::try_from(milliseconds.clamp(0, 1_000_000_000_000)).unwrap_or_default())
}

/// Text for a CDATA section, which ends at the first `]]>`; so that becomes the end of one section and the start of
/// another.
pub(super) fn cdata(text: &str) -> String {
    clean(text).replace("]]>", "]]]]><![CDATA[>")
}

fn test_result(result: &CaseResult) -> TestResult {
    let type_ = result.verdict.to_string();
    let message = message(result);
    let cause = Some(cdata(&explanation(result, &message)));
    match result.verdict {
        Verdict::Pass => TestResult::Success,
        Verdict::Fail => TestResult::Failure {
            type_,
            message,
            cause,
        },
        Verdict::Broken => TestResult::Error {
            type_,
            message,
            cause,
        },
        // Two kinds of skipped: the message has to say which.
        Verdict::KnownIssue | Verdict::Untestable => TestResult::SkippedWithCause {
            message: format!("{type_}: {message}"),
            type_,
            cause,
        },
    }
}

/// The verdict's reason in one line, from wherever there is one.
fn message(result: &CaseResult) -> String {
    let candidates = [
        (result.verdict == Verdict::KnownIssue).then(|| result.known_issues.join("; ")),
        Some(result.reason.clone()),
        result.findings.first().map(|finding| finding.what.clone()),
    ];
    candidates
        .into_iter()
        .flatten()
        .map(|text| one_line(&text))
        .find(|text| !text.is_empty())
        .unwrap_or_else(|| format!("{}, and no reason was given", result.verdict))
}

/// The reason at length.
fn explanation(result: &CaseResult, message: &str) -> String {
    let mut text = format!("{}: {message}\n", result.verdict);
    let reason = one_line(&result.reason);
    if !reason.is_empty() && reason != message {
        push_line(&mut text, &reason);
    }
    for finding in &result.findings {
        push_line(&mut text, "");
        text.push_str(&finding_lines(result, finding));
    }
    for because in result.known_issues.iter().map(|because| one_line(because)) {
        if because != message {
            push_line(&mut text, &format!("because {because}"));
        }
    }
    text
}

/// What the case did and what the kernel said, as its output.
fn output(result: &CaseResult) -> String {
    let mut body = String::new();
    if !result.summary.trim().is_empty() {
        push_line(&mut body, result.summary.trim());
    }
    if !result.steps.is_empty() {
        push_line(&mut body, "\nsteps:");
    }
    for step in &result.steps {
        let outcome = step_ending(result, step);
        push_line(
            &mut body,
            &format!(
                "  {:>3}. {} ({:.3}s): {outcome}",
                step.index + 1,
                step.what,
                step.seconds
            ),
        );
    }
    if let Some(gaps) = result.uncovered() {
        push_line(&mut body, &format!("\n{}", one_line(&gaps)));
    }
    if !result.log.trim().is_empty() {
        let shown = result.log.trim_end().lines().count();
        let own = result.log_lines.own.max(shown);
        push_line(
            &mut body,
            &format!("\nkernel log, the last {shown} of {own} lines:"),
        );
        push_line(&mut body, result.log.trim_end());
    }
    let mut output = head_and_tail(clean(&body).trim_start_matches('\n'), OUTPUT_LIMIT);
    // After the cut, lest it take one of them.
    for attachment in &result.attachments {
        push_line(
            &mut output,
            &format!("[[ATTACHMENT|{}]]", one_line(&attachment.path.to_string_lossy())),
        );
    }
    output
}

fn push_line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
