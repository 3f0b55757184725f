// SPDX-License-Identifier: MIT OR Apache-2.0
//! The files and victims of a case: what each name stands for, and from which step on.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::diagnostic::Diagnostic;
use crate::model::{Action, Expect, Operation, VictimSpec};
use crate::suggest;
use crate::syntax::Node;
use crate::value::{Bytes, FileName, VictimName};

/// A file that exists from some step on.
struct File {
    made: Range<usize>,
    size: Option<Bytes>,
    /// What says its size.
    size_span: Range<usize>,
}

/// The files of a case.
pub(super) struct Files<'a> {
    so_far: BTreeMap<&'a FileName, File>,
    /// Where every file of the case is first made, so that a use before that can be told from a slip of the pen.
    ever: BTreeMap<&'a FileName, Range<usize>>,
}

impl<'a> Files<'a> {
    /// Knows every file that the case will make; none exists yet.
    pub(super) fn all(actions: &'a [Action], root: &Node) -> Self {
        let mut ever = BTreeMap::new();
        for (index, action) in actions.iter().enumerate() {
            let step = root.at("steps").nth(index);
            let (name, node) = match action {
                Action::Write(write) => (&write.file, step.at("write").at("file")),
                Action::Reflink(reflink) => (&reflink.to, step.at("reflink").at("to")),
                Action::Expect(Expect::Operation {
                    operation: Operation::Create { file },
                    ..
                }) => (file, step.at("expect").at("create").at("file")),
                _ => continue,
            };
            ever.entry(name).or_insert_with(|| node.handle.clone());
        }
        Self {
            so_far: BTreeMap::new(),
            ever,
        }
    }

    /// The file exists from here on; `made` is where its name and its size are said.
    pub(super) fn make(
        &mut self,
        name: &'a FileName,
        size: Option<Bytes>,
        (made, size_span): (Range<usize>, Range<usize>),
        found: &mut Vec<Diagnostic>,
    ) {
        if self.is_new(name, &made, found) {
            self.so_far.insert(
                name,
                File {
                    made,
                    size,
                    size_span,
                },
            );
        }
    }

    /// Refuses a name that is taken.
    pub(super) fn is_new(&self, name: &FileName, span: &Range<usize>, found: &mut Vec<Diagnostic>) -> bool {
        match self.so_far.get(name) {
            Some(file) => {
                found.push(
                    Diagnostic::new(format!("there is a file `{name}` already"))
                        .at(span.clone(), "made a second time")
                        .see(file.made.clone(), "first made here")
                        .help("give one of the two another name"),
                );
                false
            }
            None => true,
        }
    }

    pub(super) fn exists(&self, name: &FileName) -> bool {
        self.so_far.contains_key(name)
    }

    /// The size of a file that is used here; nothing if it does not exist, or if its size cannot be told.
    pub(super) fn size(&self, name: &FileName, usage: &Node, found: &mut Vec<Diagnostic>) -> Option<Bytes> {
        if let Some(file) = self.so_far.get(name) {
            return file.size;
        }
        let known = self.so_far.iter().map(|(name, file)| (name.as_str(), &file.made));
        found.push(unknown_name(
            "file",
            name.as_str(),
            usage,
            known,
            self.ever.get(name),
        ));
        None
    }

    /// Where a file's size is said.
    pub(super) fn size_span(&self, name: &FileName) -> Option<Range<usize>> {
        self.so_far.get(name).map(|file| file.size_span.clone())
    }

    /// A write may make a file longer.
    pub(super) fn grow(&mut self, name: &FileName, end: Option<Bytes>, because: &Range<usize>) {
        if let Some(file) = self.so_far.get_mut(name)
            && let (Some(size), Some(end)) = (file.size, end)
            && end > size
        {
            file.size = Some(end);
            file.size_span = because.clone();
        }
    }
}

/// A victim that was started.
struct Victim<'a> {
    spec: &'a VictimSpec,
    made: Range<usize>,
    released: Option<Range<usize>>,
}

/// The victims of a case.
pub(super) struct Victims<'a> {
    so_far: BTreeMap<&'a VictimName, Victim<'a>>,
    ever: BTreeMap<&'a VictimName, Range<usize>>,
}

impl<'a> Victims<'a> {
    /// Knows every victim that the case will start; none runs yet.
    pub(super) fn all(actions: &'a [Action], root: &Node) -> Self {
        let mut ever = BTreeMap::new();
        for (index, action) in actions.iter().enumerate() {
            if let Action::Victim(victim) = action {
                let node = root.at("steps").nth(index).at("victim").at("name");
                ever.entry(&victim.name).or_insert_with(|| node.handle.clone());
            }
        }
        Self {
            so_far: BTreeMap::new(),
            ever,
        }
    }

    /// The victim runs from here on.
    pub(super) fn make(&mut self, spec: &'a VictimSpec, made: Range<usize>, found: &mut Vec<Diagnostic>) {
        if let Some(first) = self.so_far.get(&spec.name) {
            found.push(
                Diagnostic::new(format!("there is a victim `{}` already", spec.name))
                    .at(made, "started a second time")
                    .see(first.made.clone(), "first started here")
                    .help("give one of the two another name, even if the first has been released"),
            );
            return;
        }
        self.so_far.insert(
            &spec.name,
            Victim {
                spec,
                made,
                released: None,
            },
        );
    }

    /// What a victim that is named here maps, if it was ever started.
    pub(super) fn spec(
        &self,
        name: &VictimName,
        usage: Range<usize>,
        found: &mut Vec<Diagnostic>,
    ) -> Option<&'a VictimSpec> {
        if let Some(victim) = self.so_far.get(name) {
            return Some(victim.spec);
        }
        found.push(self.unknown(name, usage));
        None
    }

    /// The victim ends here.
    pub(super) fn release(&mut self, name: &VictimName, usage: &Node, found: &mut Vec<Diagnostic>) {
        let span = usage.handle.clone();
        match self.so_far.get_mut(name) {
            None => found.push(self.unknown(name, span)),
            Some(Victim {
                released: Some(first),
                ..
            }) => found.push(
                Diagnostic::new(format!("`{name}` was released before"))
                    .at(span, "released a second time")
                    .see(first.clone(), "first released here")
                    .help("take one of the two away"),
            ),
            Some(victim) => victim.released = Some(span),
        }
    }

    /// The victims that run, and where they were started.
    pub(super) fn running(&self) -> Vec<(&'a VictimName, Range<usize>)> {
        self.so_far
            .iter()
            .filter(|(_, victim)| victim.released.is_none())
            .map(|(name, victim)| (*name, victim.made.clone()))
            .collect()
    }

    fn unknown(&self, name: &VictimName, usage: Range<usize>) -> Diagnostic {
        let known = self
            .so_far
            .iter()
            .map(|(name, victim)| (name.as_str(), &victim.made));
        unknown_name("victim", name.as_str(), usage, known, self.ever.get(name))
    }
}

/// A name that stands for nothing yet: made only later, or never.
fn unknown_name<'n>(
    what: &str,
    name: &str,
    usage: impl Into<Usage>,
    known: impl Iterator<Item = (&'n str, &'n Range<usize>)>,
    later: Option<&Range<usize>>,
) -> Diagnostic {
    let Usage(usage) = usage.into();
    if let Some(later) = later {
        return Diagnostic::new(format!("{what} `{name}` is used before it is there"))
            .at(usage, "not there yet")
            .see(later.clone(), "only made here")
            .help("move one of the two steps");
    }
    let diagnostic = Diagnostic::new(format!("there is no {what} `{name}`")).at(usage, "not declared");
    let known: BTreeMap<_, _> = known.collect();
    let make = match what {
        "file" => format!("make it first: `- write: {{ file: {name}, size: 2MiB, fill: 0x5a }}`"),
        _ => format!("start it first: `- victim: {{ name: {name}, maps: FILE, touches: 0 }}`"),
    };
    match suggest::nearest(name, known.keys().copied()) {
        Some(near) => match known.get(near) {
            Some(span) => diagnostic.see((*span).clone(), format!("`{near}` is declared here")),
            None => diagnostic,
        }
        .help(format!("did you mean `{near}`? Else {make}")),
        None => diagnostic.help(make),
    }
}

/// Where a name is used.
struct Usage(Range<usize>);

impl From<&Node> for Usage {
    fn from(node: &Node) -> Self {
        Self(node.handle.clone())
    }
}

impl From<Range<usize>> for Usage {
    fn from(span: Range<usize>) -> Self {
        Self(span)
    }
}
