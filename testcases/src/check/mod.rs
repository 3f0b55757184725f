// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether the steps of a case fit together: every name is made before it is used, every offset lies in its file, and
//! nothing is done that cannot be done then. One walk over the steps, in the order in which they will run, for each set of
//! steps that some kernel gets.

mod conditions;
mod device;
mod effects;
mod expectations;
mod files;
mod injections;
mod mounts;
mod names;
mod operations;
mod ranges;
mod victims;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::diagnostic::{Diagnostic, ENOUGH, merged};
use crate::lower::{LoweredStep, Parts, kernel_ranges};
use crate::model::{Action, Expect, Mechanism, Outcome, Watcher};
use crate::syntax::Node;
use crate::value::{KernelVersion, MarkName};
use device::Device;
use files::Files;
use mounts::Mounts;
use victims::Victims;

/// Every mistake in how the parts of a case fit together.
pub(crate) fn check(parts: &Parts) -> Vec<Diagnostic> {
    let mut all = Vec::new();
    for (kernel, steps) in sets(parts) {
        let mut found = Walk::new(&steps, parts).all(&steps, &parts.places.steps);
        found.extend(conditions::without_injection(parts, &kernel));
        all.push((format!("on {}", named(kernel)), found));
    }
    let mut found = merged(all);
    found.extend(impossible_ranges(parts));
    found
}

/// The sets of steps that kernels of the case get, each with the earliest kernel that gets it.
fn sets(parts: &Parts) -> Vec<(KernelVersion, Vec<&LoweredStep>)> {
    let ranges = kernel_ranges(parts);
    let mut kernels: Vec<KernelVersion> = std::iter::once(KernelVersion::FIRST)
        .chain(parts.kernel.borders())
        .chain(
            ranges
                .values()
                .flat_map(|range| range.borders().collect::<Vec<_>>()),
        )
        .filter(|kernel| parts.kernel.contains(kernel))
        .collect();
    kernels.sort_unstable();
    let mut seen = BTreeSet::new();
    let mut sets = Vec::new();
    for kernel in kernels {
        let there = |step: &LoweredStep| step.when.as_ref().is_none_or(|when| when.contains(&kernel));
        if seen.insert(parts.steps.iter().map(there).collect::<Vec<_>>()) {
            sets.push((kernel, parts.steps.iter().filter(|step| there(step)).collect()));
        }
    }
    sets
}

/// A kernel at a border, for people.
fn named(kernel: KernelVersion) -> String {
    match kernel {
        KernelVersion::FIRST => "the earliest kernels".to_owned(),
        KernelVersion {
            major,
            minor,
            patch: 0,
            candidate: Some(0),
        } => format!("kernels such as {major}.{minor}"),
        kernel => {
            let candidate = kernel.candidate.filter(|candidate| *candidate > 0);
            format!("kernels such as {}", KernelVersion { candidate, ..kernel })
        }
    }
}

/// Ranges that no kernel of the case is in.
fn impossible_ranges(parts: &Parts) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let also = |diagnostic: Diagnostic| match &parts.places.kernel {
        Some(span) => diagnostic.see(span.clone(), "the case runs only on these"),
        None => diagnostic,
    };
    for (issue, node) in &parts.known_issues {
        if !issue.kernel.overlaps(&parts.kernel) {
            let diagnostic = Diagnostic::new("no kernel of the case can have this known issue")
                .at(node.at("kernel").handle.clone(), "these kernels")
                .help("widen one of the two ranges, or take the entry away");
            found.push(also(diagnostic));
        }
    }
    for step in &parts.steps {
        let never = step.when.as_ref().filter(|when| !when.overlaps(&parts.kernel));
        if let Some(when) = never {
            let diagnostic = Diagnostic::new(format!(
                "no kernel of the case has this step, which is for {when}"
            ))
            .at(step.node.handle.clone(), "never there")
            .help("widen one of the two ranges, or take the step away");
            found.push(also(diagnostic));
        }
    }
    found
}

/// What is known before the next step.
struct Walk<'a> {
    files: Files,
    victims: Victims,
    mounts: Mounts,
    /// What there is in place of a filesystem, if there is.
    device: Option<Device>,
    /// Where the template is named.
    template: Range<usize>,
    /// The latest injection, and where it stands.
    injected: Option<(Mechanism, Range<usize>)>,
    watchers: BTreeSet<Watcher>,
    /// The pages that were marked, and where.
    marks: BTreeMap<MarkName, Range<usize>>,
    found: Vec<Diagnostic>,
    /// The words of the steps outlive the walk.
    steps: std::marker::PhantomData<&'a LoweredStep>,
}

impl<'a> Walk<'a> {
    fn new(steps: &[&'a LoweredStep], parts: &Parts) -> Self {
        Self {
            files: Files::all(steps),
            victims: Victims::all(steps),
            mounts: Mounts::new(&parts.template, &parts.places.template),
            device: Device::of(&parts.template),
            template: parts.places.template.clone(),
            injected: None,
            watchers: BTreeSet::new(),
            marks: BTreeMap::new(),
            found: Vec::new(),
            steps: std::marker::PhantomData,
        }
    }

    fn all(mut self, steps: &[&'a LoweredStep], list: &Range<usize>) -> Vec<Diagnostic> {
        for step in steps {
            self.step(&step.action, &step.node);
            if self.found.len() > ENOUGH {
                return self.found;
            }
        }
        if !steps.iter().any(|step| matches!(step.action, Action::Expect(_))) {
            self.found.push(
                Diagnostic::new("the case expects nothing, so nothing could make it fail")
                    .at(list.clone(), "no `expect` among these")
                    .help("say what holds after the injection: `- expect: { filesystem: up }`"),
            );
        }
        self.found
    }

    fn step(&mut self, action: &Action, step: &Node) {
        match action {
            Action::Operation(operation) => {
                if let Some((word, _)) = step.only() {
                    self.operation(operation, word, step, &Outcome::Succeeds);
                }
            }
            Action::Victim(victim) => self.victim(victim, step),
            Action::Fork(fork) => {
                let node = step.at("fork");
                let child = node.at("child").handle.clone();
                let parent = node.at("victim").handle.clone();
                self.victims.fork(fork, parent, child, &mut self.found);
            }
            Action::Release(release) => {
                for (index, name) in release.victims.iter().enumerate() {
                    let span = step.at("release").nth(index).handle.clone();
                    self.victims.release(name, span, &mut self.found);
                }
                if release.victims.is_empty() {
                    self.found.push(
                        Diagnostic::new("this releases nobody")
                            .at(step.at("release").handle.clone(), "empty")
                            .help("name the victims that end here: `release: [alice]`"),
                    );
                }
            }
            Action::Mark(mark) => self.mark(mark, step),
            Action::Watch(watcher) => {
                if *watcher != Watcher::Badblocks {
                    self.needs_mount(step.key("watch"));
                }
                if !self.watchers.insert(*watcher) {
                    self.found.push(
                        Diagnostic::new(format!("`{}` is being watched already", watcher.as_str()))
                            .at(step.at("watch").handle.clone(), "started a second time")
                            .help("take one of the two away"),
                    );
                }
            }
            Action::Inject(injection) => self.inject(injection, step),
            Action::Expect(Expect::State(state)) => self.state(state, step.at("expect")),
            Action::Expect(Expect::Operation { operation, outcome }) => {
                let node = step.at("expect");
                let tried = crate::document::OPERATIONS
                    .iter()
                    .find(|word| node.entry(word).is_some());
                if let Some(word) = tried {
                    self.operation(operation, word, node, outcome);
                    self.outcome(operation, word, node, outcome);
                }
            }
        }
    }
}
