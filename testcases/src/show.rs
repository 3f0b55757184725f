// SPDX-License-Identifier: MIT OR Apache-2.0
//! A case in words, for whoever meets it in a report.

use std::fmt::Write as _;

use crate::coverage::Coverage;
use crate::model::{Action, Case, KnownIssue, Operation, Step, describe};

/// Text wraps here.
const WIDTH: usize = 100;
/// Where the values of the head begin.
const INDENT: usize = 13;

/// Tells a case in words: what it shows and why, where it begins, on which kernels, what it does step by step, and what is
/// known to be wrong. Steps that are only there on some kernels say so.
pub fn show(case: &Case, coverage: &Coverage) -> String {
    let mut text = format!("{}\n\n", case.id);
    wrap(&mut text, 2, &case.summary);
    text.push('\n');
    let mut field = |name: &str, value: &str| {
        let start = text.len();
        wrap(&mut text, INDENT, value);
        // The name stands in the indentation of the first line.
        let end = (start + 2 + name.len()).min(text.len());
        text.replace_range(start + 2..end, name);
    };
    field("why", &case.why);
    field("file", &case.path.display().to_string());
    for parameter in &case.parameters {
        field("with", &format!("{} = {}", parameter.name, parameter.value));
    }
    field("template", &case.template.to_string());
    field("guest", &format!("of its own, by {}", case.isolation));
    field("kernels", &case.kernel.to_string());
    for row in &case.covers {
        let shows = coverage
            .shows(*row)
            .unwrap_or("a row that the table does not have");
        field("shows", &format!("{row}: {shows}"));
    }
    text.push_str("\n  Steps, each with its line\n\n");
    for step in &case.steps {
        self::step(&mut text, step);
    }
    if !case.known_issues.is_empty() {
        text.push_str("\n  Known issues\n\n");
        for issue in &case.known_issues {
            known_issue(&mut text, issue);
        }
    }
    text
}

fn step(text: &mut String, step: &Step) {
    let mut told = sentence(&step.action);
    if let Some(when) = &step.when {
        // Writing to a String cannot fail.
        let _ = write!(told, " (only on {when})");
    }
    if let Some(included) = &step.included {
        let _ = write!(told, " [{}:{}]", included.path.display(), included.line);
    }
    let start = text.len();
    wrap(text, INDENT - 4, &told);
    let line = format!("{:>7}", step.line);
    text.replace_range(start..start + line.len(), &line);
}

/// A step as a sentence.
fn sentence(action: &Action) -> String {
    let told = describe(action);
    let mut letters = told.chars();
    let told: String = match letters.next() {
        // A name keeps its letters.
        Some(first) if !begins_with_a_name(action) => first.to_uppercase().chain(letters).collect(),
        _ => told,
    };
    format!("{told}.")
}

fn begins_with_a_name(action: &Action) -> bool {
    match action {
        Action::Fork(_) | Action::Operation(Operation::Victim(_)) => true,
        Action::Operation(Operation::File(_) | Operation::Mount(_) | Operation::System(_))
        | Action::Victim(_)
        | Action::Release(_)
        | Action::Watch(_)
        | Action::Mark(_)
        | Action::Inject(_)
        | Action::Expect(_) => false,
    }
}

fn known_issue(text: &mut String, issue: &KnownIssue) {
    wrap(
        text,
        4,
        &format!("on {} (line {}): {}", issue.kernel, issue.line, issue.because),
    );
    let quoted = |texts: &[String]| {
        let texts: Vec<_> = texts.iter().map(|text| format!("“{}”", text.trim())).collect();
        texts.join(" and ")
    };
    if !issue.splats.is_empty() {
        wrap(text, 6, &format!("the kernel prints {}", quoted(&issue.splats)));
    }
    if !issue.findings.is_empty() {
        let findings: Vec<_> = issue
            .findings
            .iter()
            .map(|finding| format!("`{finding}`"))
            .collect();
        wrap(text, 6, &format!("the judge finds {}", findings.join(" and ")));
    }
}

/// Adds a text in lines of bearable length, indented.
fn wrap(text: &mut String, indent: usize, words: &str) {
    let mut column = 0;
    for word in words.split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            text.push('\n');
            column = 0;
        }
        if column == 0 {
            text.push_str(&" ".repeat(indent));
            column = indent;
        } else {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += length;
    }
    if column == 0 {
        text.push_str(&" ".repeat(indent));
    }
    text.push('\n');
}
