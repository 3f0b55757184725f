// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether the steps of a case fit together: every name is made before it is used, every offset lies in its file, and
//! nothing is done that cannot be done then. One walk over the steps, in the order in which they will run.

mod expectations;
mod names;

use std::ops::Range;

use crate::diagnostic::{Diagnostic, ENOUGH};
use crate::lower::Parts;
use crate::model::{Action, Injection, Mechanism, Outcome, Target, Template, VictimSpec};
use crate::syntax::Node;
use crate::value::{Bytes, FileName};
use names::{Files, Victims};

/// Every mistake in how the parts of a case fit together.
pub(crate) fn check(parts: &Parts, root: &Node) -> Vec<Diagnostic> {
    let mut walk = Walk::new(&parts.actions, root);
    if let Template::Unmounted { .. } = parts.template {
        walk.mounted = Mounted::NotSince(root.at("template").handle.clone());
    }
    for (index, action) in parts.actions.iter().enumerate() {
        walk.step(action, root.at("steps").nth(index));
        if walk.found.len() > ENOUGH {
            return walk.found;
        }
    }
    if !parts
        .actions
        .iter()
        .any(|action| matches!(action, Action::Expect(_)))
    {
        walk.found.push(
            Diagnostic::new("the case expects nothing, so nothing could make it fail")
                .at(root.key("steps"), "no `expect` among these")
                .help("say what holds after the injection: `- expect: { filesystem: up }`"),
        );
    }
    for (index, issue) in parts.known_issues.iter().enumerate() {
        if !issue.kernel.overlaps(&parts.kernel) {
            let node = root.at("known_issues").nth(index);
            let diagnostic = Diagnostic::new("no kernel of the case can have this known issue")
                .at(node.at("kernel").handle.clone(), "these kernels")
                .help("widen one of the two ranges, or take the entry away");
            walk.found.push(match root.entry("kernel") {
                Some(entry) => diagnostic.see(entry.value.handle.clone(), "the case runs only on these"),
                None => diagnostic,
            });
        }
    }
    walk.found
}

/// Whether the filesystem is mounted, and which step made it so.
enum Mounted {
    FromTheStart,
    Since(Range<usize>),
    NotSince(Range<usize>),
}

/// What is known before the next step.
struct Walk<'a> {
    files: Files<'a>,
    victims: Victims<'a>,
    mounted: Mounted,
    /// The latest injection, and where it stands.
    injected: Option<(Mechanism, Range<usize>)>,
    found: Vec<Diagnostic>,
}

impl<'a> Walk<'a> {
    fn new(actions: &'a [Action], root: &Node) -> Self {
        Self {
            files: Files::all(actions, root),
            victims: Victims::all(actions, root),
            mounted: Mounted::FromTheStart,
            injected: None,
            found: Vec::new(),
        }
    }

    fn step(&mut self, action: &'a Action, step: &Node) {
        match action {
            Action::Write(write) => {
                let node = step.at("write");
                self.needs_mount(step.key("write"));
                if write.size.get() == 0 {
                    self.found.push(
                        Diagnostic::new("a file of no bytes has no block that could be hit")
                            .at(node.at("size").handle.clone(), "no bytes")
                            .help("give it at least one byte, or try `- expect: { create: …, error: none }`"),
                    );
                }
                let made = (node.at("file").handle.clone(), node.at("size").handle.clone());
                self.files
                    .make(&write.file, Some(write.size), made, &mut self.found);
            }
            Action::Reflink(reflink) => {
                let node = step.at("reflink");
                self.needs_mount(step.key("reflink"));
                let size = self.files.size(&reflink.from, node.at("from"), &mut self.found);
                let size_span = self
                    .files
                    .size_span(&reflink.from)
                    .unwrap_or_else(|| node.handle.clone());
                let made = (node.at("to").handle.clone(), size_span);
                self.files.make(&reflink.to, size, made, &mut self.found);
            }
            Action::Victim(victim) => self.victim(victim, step),
            Action::Release(release) => {
                for (index, name) in release.victims.iter().enumerate() {
                    self.victims
                        .release(name, step.at("release").nth(index), &mut self.found);
                }
                if release.victims.is_empty() {
                    self.found.push(
                        Diagnostic::new("this releases nobody")
                            .at(step.at("release").handle.clone(), "empty")
                            .help("name the victims that end here: `release: [alice]`"),
                    );
                }
            }
            Action::Inject(injection) => self.inject(injection, step),
            Action::Expect(expect) => self.expect(expect, step.at("expect")),
            Action::Unmount(_) => self.unmount(step.key("unmount"), Outcome::Succeeds { contains: None }),
            Action::Mount(_) => self.mount(step.key("mount"), Outcome::Succeeds { contains: None }),
        }
    }

    fn victim(&mut self, victim: &'a VictimSpec, step: &Node) {
        let node = step.at("victim");
        self.needs_mount(step.key("victim"));
        self.inside(
            &victim.maps,
            node.at("maps"),
            victim.touches,
            None,
            node.at("touches"),
        );
        self.victims
            .make(victim, node.at("name").handle.clone(), &mut self.found);
    }

    fn inject(&mut self, injection: &Injection, step: &Node) {
        self.needs_mount(step.key("inject"));
        if let Target::File { file, offset } = &injection.at {
            let at = step.at("inject").at("at");
            self.inside(file, at.at("file"), *offset, None, at.at("offset"));
        }
        self.injected = Some((injection.by, step.key("inject")));
    }

    /// A file's part must be in the file: the byte at `offset`, or as many bytes from there as `length` says.
    fn inside(
        &mut self,
        file: &FileName,
        file_node: &Node,
        offset: Bytes,
        length: Option<(Bytes, &Node)>,
        offset_node: &Node,
    ) {
        let Some(size) = self.files.size(file, file_node, &mut self.found) else {
            return;
        };
        let size_span = self.files.size_span(file);
        let sized = |diagnostic: Diagnostic| match &size_span {
            Some(span) => diagnostic.see(span.clone(), format!("`{file}` has {size}")),
            None => diagnostic,
        };
        if offset >= size {
            self.found.push(sized(
                Diagnostic::new(format!("offset {offset} is beyond the end of `{file}`"))
                    .at(offset_node.handle.clone(), "not in the file")
                    .help(format!("choose an offset below {size}")),
            ));
            return;
        }
        let Some((length, length_node)) = length else {
            return;
        };
        if length.get() == 0 {
            self.found.push(
                Diagnostic::new("a range of no bytes shows nothing")
                    .at(length_node.handle.clone(), "no bytes")
                    .help("give it at least one byte"),
            );
        } else if offset.checked_add(length).is_none_or(|end| end > size) {
            self.found.push(sized(
                Diagnostic::new(format!(
                    "{length} from offset {offset} reach beyond the end of `{file}`"
                ))
                .at(length_node.handle.clone(), "ends behind the file")
                .help(format!("the file ends at {size}")),
            ));
        }
    }

    fn needs_mount(&mut self, span: Range<usize>) {
        if let Mounted::NotSince(unmounted) = &self.mounted {
            self.found.push(
                Diagnostic::new("the filesystem is not mounted here")
                    .at(span, "needs the filesystem")
                    .see(unmounted.clone(), "unmounted since here")
                    .help("put `- mount: {}` before it"),
            );
        }
    }

    fn mount(&mut self, span: Range<usize>, outcome: Outcome) {
        let diagnostic =
            Diagnostic::new("the filesystem is mounted already").at(span.clone(), "mounted a second time");
        match &self.mounted {
            Mounted::FromTheStart => {
                self.found
                    .push(diagnostic.help("a case starts mounted: put `- unmount: {}` before it"));
            }
            Mounted::Since(mounted) => {
                let diagnostic = diagnostic.see(mounted.clone(), "mounted since here");
                self.found.push(diagnostic.help("put `- unmount: {}` before it"));
            }
            Mounted::NotSince(_) => {
                if matches!(outcome, Outcome::Succeeds { .. }) {
                    self.mounted = Mounted::Since(span);
                }
            }
        }
    }

    fn unmount(&mut self, span: Range<usize>, outcome: Outcome) {
        if let Mounted::NotSince(unmounted) = &self.mounted {
            self.found.push(
                Diagnostic::new("the filesystem is not mounted here")
                    .at(span, "unmounted a second time")
                    .see(unmounted.clone(), "unmounted since here")
                    .help("put `- mount: {}` between the two"),
            );
            return;
        }
        if matches!(outcome, Outcome::Error(_)) {
            return;
        }
        let busy = self.victims.running();
        if let Some(((first, _), rest)) = busy.split_first() {
            let names = rest
                .iter()
                .fold(first.to_string(), |names, (name, _)| format!("{names}, {name}"));
            let mut diagnostic = Diagnostic::new("a filesystem with a mapped file cannot be unmounted")
                .at(span.clone(), "would fail with EBUSY")
                .help(format!("put `- release: [{names}]` before it"));
            for (name, declared) in &busy {
                diagnostic = diagnostic.see(declared.clone(), format!("`{name}` still maps its file"));
            }
            self.found.push(diagnostic);
        }
        self.mounted = Mounted::NotSince(span);
    }
}
