// SPDX-License-Identifier: MIT OR Apache-2.0
//! From the document as it is written to the cases that it means: what the types of the document cannot say by themselves.

mod expect;
mod finding;
mod injection;
mod keys;
mod operation;
mod parameters;
mod steps;
mod victim;

use std::collections::BTreeMap;
use std::ops::Range;

use serde::de::DeserializeOwned;

use crate::diagnostic::{Diagnostic, ENOUGH, merged};
use crate::document::{Document, KnownIssueDocument, OneOrMany, SplatText, Text};
use crate::library::Library;
use crate::model::{Isolation, KnownIssue, Parameter, Template};
use crate::syntax::{Filling, Kind, Later, Node};
use crate::value::{KernelRange, Row};
use finding::findings;
use parameters::{Instance, Parameters};
use steps::{Memory, Scope, Unfolding, condition, unused};

pub(crate) use steps::{LoweredStep, may_be_empty};

/// A case whose parts are each well formed; whether they fit together is still to be checked.
#[derive(Debug)]
pub(crate) struct Parts {
    /// What its name has behind that of the file.
    pub(crate) suffix: Option<String>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) summary: String,
    pub(crate) why: String,
    pub(crate) covers: Vec<Row>,
    pub(crate) template: Template,
    pub(crate) isolation: Isolation,
    pub(crate) kernel: KernelRange,
    pub(crate) steps: Vec<LoweredStep>,
    /// Their `line` is still 0.
    pub(crate) known_issues: Vec<(KnownIssue, Node)>,
    pub(crate) places: Places,
}

/// Where the parts stand that a check of the whole points at.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The key `steps`.
    pub(crate) steps: Range<usize>,
    /// The value of `template`.
    pub(crate) template: Range<usize>,
    /// The kernels of the case, if it says any.
    pub(crate) kernel: Option<Range<usize>>,
}

/// The parts of a document that are read for every case anew.
struct Head {
    summary: Option<Node>,
    why: Option<Node>,
    covers: Option<Node>,
    template: Option<Node>,
    isolation: Option<Node>,
    kernel: Option<Node>,
    steps: Option<Node>,
    known_issues: Option<Node>,
}

/// Reads the cases of a file, adding every mistake to `found`.
pub(crate) fn cases(
    mut root: Node,
    library: &mut Library<'_>,
    found: &mut Vec<Diagnostic>,
) -> Option<Vec<Parts>> {
    let document: Document = root.read_past(found)?;
    let node = &root;
    let parameters = match document.parameters {
        None => Some(Parameters::none()),
        Some(_) => Parameters::read(node.at("parameters"), found),
    };
    let head = Head {
        summary: part(document.summary, node, "summary"),
        why: part(document.why, node, "why"),
        covers: part(document.covers, node, "covers"),
        template: part(document.template, node, "template"),
        isolation: part(document.isolation, node, "isolation"),
        kernel: part(document.kernel, node, "kernel"),
        steps: part(document.steps, node, "steps"),
        known_issues: part(document.known_issues, node, "known_issues"),
    };
    let parameters = parameters?;
    let mut memory = Memory::default();
    let mut all = Vec::new();
    let mut cases = Vec::new();
    for instance in &parameters.instances {
        let mut wrong = Vec::new();
        let mut reading = Reading {
            root: node,
            parameters: &parameters,
            memory: &mut memory,
            found: &mut wrong,
        };
        cases.extend(reading.case(&head, instance, library));
        let many = wrong.len() > ENOUGH;
        let name = instance.suffix.clone().unwrap_or_default();
        all.push((format!("in the case `.{name}`"), wrong));
        if many {
            break;
        }
    }
    found.extend(merged(all));
    if found.is_empty() {
        for (name, span) in &parameters.declared {
            if !memory.used.contains(name) {
                found.push(unused(name, span.clone()));
            }
        }
        for (span, _) in memory.conditions.into_values().filter(|(_, held)| !held) {
            found.push(
                Diagnostic::new("no case of this file has this step")
                    .at(span, "never holds")
                    .help("change the condition, or take the step away"),
            );
        }
    }
    found.is_empty().then_some(cases)
}

fn part<T>(later: Option<Later<T>>, root: &Node, key: &str) -> Option<Node> {
    later.map(|_| root.at(key).clone())
}

/// One case being read.
struct Reading<'a> {
    root: &'a Node,
    parameters: &'a Parameters,
    memory: &'a mut Memory,
    found: &'a mut Vec<Diagnostic>,
}

impl Reading<'_> {
    fn case(&mut self, head: &Head, instance: &Instance, library: &mut Library<'_>) -> Option<Parts> {
        let summary: Option<Text> = self.required(head.summary.as_ref(), "summary", instance);
        let why: Option<Text> = self.required(head.why.as_ref(), "why", instance);
        let template = self.required(head.template.as_ref(), "template", instance);
        let steps = self.steps(head.steps.as_ref(), instance, library);
        let isolation = self.optional(head.isolation.as_ref(), instance);
        let kernel = self.optional(head.kernel.as_ref(), instance);
        let covers = self.covers(head.covers.as_ref(), instance);
        let known_issues = self.known_issues(head.known_issues.as_ref(), instance);
        if !self.found.is_empty() {
            return None;
        }
        Some(Parts {
            suffix: instance.suffix.clone(),
            parameters: instance.parameters.clone(),
            summary: summary?.0,
            why: why?.0,
            covers,
            template: template?,
            isolation: isolation.unwrap_or_default(),
            kernel: kernel.unwrap_or_default(),
            steps,
            known_issues,
            places: Places {
                steps: self.root.key("steps"),
                template: self.root.at("template").handle.clone(),
                kernel: self.root.entry("kernel").map(|entry| entry.value.handle.clone()),
            },
        })
    }

    /// A part with the values of this case in it.
    fn filled(&mut self, part: &Node, instance: &Instance) -> Node {
        let mut part = part.clone();
        let mut filling = Filling::new(&instance.values);
        filling.fill(&mut part, self.found);
        self.memory.used.extend(filling.used);
        part
    }

    fn optional<T: DeserializeOwned>(&mut self, part: Option<&Node>, instance: &Instance) -> Option<T> {
        let part = self.filled(part?, instance);
        part.read(self.found)
    }

    fn required<T: DeserializeOwned>(
        &mut self,
        part: Option<&Node>,
        key: &str,
        instance: &Instance,
    ) -> Option<T> {
        if part.is_none() {
            self.missing(key);
        }
        self.optional(part, instance)
    }

    fn missing(&mut self, key: &str) {
        let help = match key {
            "summary" => "say in one or two sentences what the case shows: `summary: …`",
            "why" => "name the thread, patch or source that promises it: `why: …`",
            "template" => "say what the case starts from: `template: xfs`",
            _ => "say what happens: `steps:` and a list",
        };
        self.found.push(
            Diagnostic::new(format!("`{key}` is missing"))
                .at(self.root.handle.clone(), format!("a case needs `{key}`"))
                .help(help),
        );
    }

    fn steps(
        &mut self,
        part: Option<&Node>,
        instance: &Instance,
        library: &mut Library<'_>,
    ) -> Vec<LoweredStep> {
        let Some(part) = part else {
            self.missing("steps");
            return Vec::new();
        };
        let scope = self.parameters.scope(&instance.values);
        let mut unfolding = Unfolding::new(library, self.memory, self.found);
        unfolding.case(part.clone(), &scope);
        unfolding.steps
    }

    fn covers(&mut self, part: Option<&Node>, instance: &Instance) -> Vec<Row> {
        let Some(part) = part else {
            return Vec::new();
        };
        let mut covers: Vec<Row> = self.optional(Some(part), instance).unwrap_or_default();
        for (index, row) in covers.iter().enumerate() {
            if covers.iter().take(index).any(|other| other == row) {
                self.found.push(
                    Diagnostic::new(format!("row {row} is named twice"))
                        .at(part.nth(index).handle.clone(), "again here")
                        .help("keep one of the two"),
                );
            }
        }
        covers.sort_unstable();
        covers
    }

    fn known_issues(&mut self, part: Option<&Node>, instance: &Instance) -> Vec<(KnownIssue, Node)> {
        let Some(part) = part else {
            return Vec::new();
        };
        let part = self.filled(part, instance);
        let Kind::List(items) = part.kind else {
            // Says what should stand there.
            let _ = part.read::<Vec<Later<KnownIssueDocument>>>(self.found);
            return Vec::new();
        };
        let mut issues = Vec::new();
        for mut item in items {
            if let Some(when) = item.take("when") {
                let scope: Scope<'_> = self.parameters.scope(&instance.values);
                let used = &mut self.memory.used;
                match condition(&when, None, &scope, used, self.found) {
                    Some(condition) if condition.holds => {}
                    _ => continue,
                }
            }
            let issue = item.read::<KnownIssueDocument>(self.found);
            let issue = issue.and_then(|issue| known_issue(issue, &item, self.found));
            issues.extend(issue.map(|issue| (issue, item)));
        }
        issues
    }
}

fn known_issue(issue: KnownIssueDocument, node: &Node, found: &mut Vec<Diagnostic>) -> Option<KnownIssue> {
    let OneOrMany(splats) = issue.splat.unwrap_or_default();
    let splats: Vec<String> = splats.into_iter().map(|SplatText(text)| text).collect();
    let findings = findings(issue.finding.unwrap_or_default(), node.at("finding"), found)?;
    if splats.is_empty() && findings.is_empty() {
        found.push(
            Diagnostic::new(
                "a known issue needs a `splat` or a `finding`, or any failure would be excused by it",
            )
            .at(node.handle.clone(), "neither is here")
            .help("`splat:` is a part of what the kernel prints, `finding:` what the judge finds, such as `{ kind: injector, seen: EUCLEAN }`"),
        );
        return None;
    }
    Some(KnownIssue {
        kernel: issue.kernel,
        splats,
        findings,
        because: issue.because.0,
        line: 0,
    })
}

/// Every place in a file whose `when` is about kernels: what a check has to try.
pub(crate) fn kernel_ranges(parts: &Parts) -> BTreeMap<String, KernelRange> {
    let ranges = parts.steps.iter().filter_map(|step| step.when.clone());
    ranges.map(|range| (range.to_string(), range)).collect()
}
