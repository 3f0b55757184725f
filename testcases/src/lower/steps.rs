// SPDX-License-Identifier: MIT OR Apache-2.0
//! Steps: conditions decided, includes unfolded, each read as what it is.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::slice;

use super::expect::expectation;
use super::injection::{injection, mark};
use super::operation::{Mode, operation};
use super::parameters::{KERNEL, Parameters, unknown};
use super::victim::victim;
use crate::diagnostic::{Diagnostic, ENOUGH};
use crate::document::{IncludeDocument, PartsDocument, StepDocument, Text};
use crate::library::Library;
use crate::model::Action;
use crate::suggest;
use crate::syntax::{Entry, Filling, Kind, Later, Node, Values, open};
use crate::value::{KernelRange, ParameterName};

/// A step that is there, whatever the kernel.
#[derive(Debug)]
pub(crate) struct LoweredStep {
    pub(crate) action: Action,
    /// The kernels on which it is there.
    pub(crate) when: Option<KernelRange>,
    /// Its places.
    pub(crate) node: Node,
    /// The place of the step of the case's own file that includes it.
    pub(crate) from: Option<Range<usize>>,
}

/// Deeper than anybody can follow.
const DEEPEST: usize = 8;

/// The names that are known where a step stands.
pub(super) struct Scope<'a> {
    pub(super) values: &'a Values,
    /// What each of them can be, as far as that is known.
    pub(super) possible: &'a BTreeMap<String, Vec<Node>>,
}

/// What is remembered of a file beyond one of its cases.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The parameters of the case's own file that something asked for.
    pub(super) used: BTreeSet<String>,
    /// Conditions that stand in the case's own file, by the place where they begin; and whether they ever held.
    pub(super) conditions: BTreeMap<usize, (Range<usize>, bool)>,
}

/// Unfolds the steps of one case.
pub(super) struct Unfolding<'a, 'l> {
    pub(super) library: &'a mut Library<'l>,
    pub(super) memory: &'a mut Memory,
    pub(super) found: &'a mut Vec<Diagnostic>,
    pub(super) steps: Vec<LoweredStep>,
    /// The files whose steps are being unfolded, the innermost last.
    stack: Vec<String>,
}

/// What holds for all steps of a file.
#[derive(Clone, Default)]
struct Around {
    when: Option<KernelRange>,
    from: Option<Range<usize>>,
}

impl<'a, 'l> Unfolding<'a, 'l> {
    pub(super) fn new(
        library: &'a mut Library<'l>,
        memory: &'a mut Memory,
        found: &'a mut Vec<Diagnostic>,
    ) -> Self {
        Self {
            library,
            memory,
            found,
            steps: Vec::new(),
            stack: Vec::new(),
        }
    }

    /// Unfolds the steps of the case's own file.
    pub(super) fn case(&mut self, part: Node, scope: &Scope<'_>) {
        let mut filling = Filling::new(scope.values);
        let mut part = part;
        filling.fill(&mut part, self.found);
        let used = filling.used;
        self.memory.used.extend(used);
        let used = self.list(part, scope, &Around::default());
        self.memory.used.extend(used);
    }

    /// Unfolds a list of steps; gives the parameters that their conditions ask for.
    fn list(&mut self, part: Node, scope: &Scope<'_>, around: &Around) -> BTreeSet<String> {
        let mut used = BTreeSet::new();
        let Kind::List(items) = part.kind else {
            // Says what should stand there.
            let _ = part.read::<Vec<Later<StepDocument>>>(self.found);
            return used;
        };
        if items.is_empty() {
            self.found.push(
                Diagnostic::new("`steps` is empty: a case that does nothing shows nothing")
                    .at(part.handle.clone(), "no step")
                    .help("prepare files and victims, inject, and say what is expected"),
            );
        }
        for item in items {
            self.step(item, scope, around, &mut used);
            if self.found.len() > ENOUGH {
                break;
            }
        }
        used
    }

    fn step(&mut self, mut part: Node, scope: &Scope<'_>, around: &Around, used: &mut BTreeSet<String>) {
        let mut around = around.clone();
        let begin = part.span.start;
        if let Some(when) = part.take("when") {
            let condition = self::condition(&when, Some(scope), scope, used, self.found);
            let (Some(condition), true) = (condition, single_key(&part, self.found)) else {
                return;
            };
            // What is included here may hold where it is included elsewhere.
            if self.stack.is_empty() {
                let conditions = &mut self.memory.conditions;
                let begin = when.span.start;
                let seen = conditions
                    .entry(begin)
                    .or_insert_with(|| (when.handle.clone(), false));
                seen.1 |= condition.holds;
            }
            if !condition.holds {
                return;
            }
            around.when = both(around.when, condition.kernel);
        } else if !single_key(&part, self.found) {
            return;
        }
        let Some(document) = part.read_word("step", self.found) else {
            return;
        };
        let document = match document {
            StepDocument::Include(include) => {
                let from = around.from.clone();
                around.from = Some(from.unwrap_or(begin..part.span.end));
                self.include(include, &part, &around);
                return;
            }
            document => document,
        };
        let action = action(document, &part, self.found);
        self.steps.extend(action.map(|action| LoweredStep {
            action,
            when: around.when,
            node: part,
            from: around.from,
        }));
    }

    fn include(&mut self, include: IncludeDocument, step: &Node, around: &Around) {
        let node = step.at("include");
        let Text(name) = include.steps;
        let name = name.trim();
        let span = node.at("steps").handle.clone();
        // The places that include it are drawn with every mistake in an included file.
        if self.stack.iter().any(|open| open == name) {
            self.found.push(
                Diagnostic::new(format!("`{name}` would include itself, round in a circle"))
                    .at(span, "included again")
                    .help("take one of the two away"),
            );
            return;
        }
        if self.stack.len() >= DEEPEST {
            self.found.push(
                Diagnostic::new(format!("includes are nested more than {DEEPEST} levels deep"))
                    .at(span, "one level too many")
                    .help("write the steps out"),
            );
            return;
        }
        let text = match self.library.include(name, span) {
            Ok(text) => text,
            Err(diagnostic) => {
                self.found.push(*diagnostic);
                return;
            }
        };
        let mut root = match open(&text.text, text.base, may_be_empty) {
            Ok(root) => root,
            Err(diagnostics) => {
                self.found.extend(diagnostics);
                return;
            }
        };
        let Some(document) = root.read_past::<PartsDocument>(self.found) else {
            return;
        };
        match document.summary {
            Some(_) => {
                let _ = root.at("summary").read::<Text>(self.found);
            }
            None => self.found.push(
                Diagnostic::new("`summary` is missing")
                    .at(root.handle.clone(), "a file of steps needs `summary`")
                    .help("say in a sentence what the steps do: `summary: …`"),
            ),
        }
        let declared: Vec<ParameterName> = document
            .parameters
            .and_then(|_| root.at("parameters").read(self.found))
            .unwrap_or_default();
        let given = include.with.and_then(|_| node.at("with").entries());
        let Some(values) = self.given(&declared, given.unwrap_or_default(), &root, node) else {
            return;
        };
        if document.steps.is_none() {
            self.found.push(
                Diagnostic::new("`steps` is missing")
                    .at(root.handle.clone(), "a file of steps needs `steps`")
                    .help("say what happens: `steps:` and a list"),
            );
            return;
        }
        let mut steps = root.at("steps").clone();
        let mut filling = Filling::new(&values);
        filling.fill(&mut steps, self.found);
        let mut used = filling.used;
        let possible = BTreeMap::new();
        let scope = Scope {
            values: &values,
            possible: &possible,
        };
        self.stack.push(name.to_owned());
        used.extend(self.list(steps, &scope, around));
        self.stack.pop();
        let names = root.at("parameters");
        for (index, name) in declared.iter().enumerate() {
            if !used.contains(name.as_str()) {
                self.found
                    .push(unused(name.as_str(), names.nth(index).handle.clone()));
            }
        }
    }

    /// Holds what an include gives against what the file asks for.
    fn given(
        &mut self,
        declared: &[ParameterName],
        given: &[Entry],
        file: &Node,
        include: &Node,
    ) -> Option<Values> {
        let before = self.found.len();
        let mut values = Values::new();
        for Entry { key, key_span, value } in given {
            if declared.iter().any(|name| name.as_str() == key) {
                values.insert(key.clone(), value.clone());
            } else {
                let known = declared.iter().map(|name| name.as_str().to_owned());
                self.found.push(unknown(key, key_span.clone(), known));
            }
        }
        let names = file.at("parameters");
        for (index, name) in declared.iter().enumerate() {
            let again = declared.iter().take(index).any(|other| other == name);
            if again {
                self.found.push(
                    Diagnostic::new(format!("`{name}` is declared twice"))
                        .at(names.nth(index).handle.clone(), "again here")
                        .help("keep one of the two"),
                );
            } else if !values.contains_key(name.as_str()) {
                self.found.push(
                    Diagnostic::new(format!("the included steps need a value for `{name}`"))
                        .at(
                            include
                                .entry("with")
                                .map_or(include.handle.clone(), |with| with.value.handle.clone()),
                            format!("no `{name}` here"),
                        )
                        .help(format!("add `with: {{ {name}: … }}`")),
                );
            }
        }
        (self.found.len() == before).then_some(values)
    }
}

/// A parameter that nothing asks for.
pub(super) fn unused(name: &str, span: Range<usize>) -> Diagnostic {
    Diagnostic::new(format!("nothing uses the parameter `{name}`"))
        .at(span, "not used")
        .help(format!(
            "write `${{{name}}}` where its value belongs, or take it away"
        ))
}

/// Both ranges at once.
fn both(one: Option<KernelRange>, other: Option<KernelRange>) -> Option<KernelRange> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.and(&other)),
        (one, other) => one.or(other),
    }
}

/// What a `when` says.
pub(super) struct Condition {
    /// Whether all that it says of parameters is so.
    pub(super) holds: bool,
    /// What it says of the kernel.
    pub(super) kernel: Option<KernelRange>,
}

/// Reads a condition. `kernels` is given where it may speak of kernels.
pub(super) fn condition(
    when: &Node,
    kernels: Option<&Scope<'_>>,
    scope: &Scope<'_>,
    used: &mut BTreeSet<String>,
    found: &mut Vec<Diagnostic>,
) -> Option<Condition> {
    let before = found.len();
    let entries = when.entries().filter(|entries| !entries.is_empty());
    let Some(entries) = entries else {
        found.push(
            Diagnostic::new("`when` says when the step is there")
                .at(when.handle.clone(), "no condition")
                .help("write it like `when: { kernel: \"<6.2\" }` or `when: { policy: early }`"),
        );
        return None;
    };
    let mut condition = Condition {
        holds: true,
        kernel: None,
    };
    for Entry { key, key_span, value } in entries {
        if key == KERNEL && kernels.is_some() {
            condition.kernel = value.read(found);
            continue;
        }
        let Some(is) = scope.values.get(key) else {
            let words = kernels.map(|_| KERNEL.to_owned()).into_iter();
            found.push(unknown(
                key,
                key_span.clone(),
                words.chain(scope.values.keys().cloned()),
            ));
            continue;
        };
        used.insert(key.clone());
        let wanted = value.items().unwrap_or(slice::from_ref(value));
        if let Some(possible) = scope.possible.get(key) {
            let strangers = wanted
                .iter()
                .filter(|wanted| !possible.iter().any(|can| can.means(wanted)));
            for stranger in strangers {
                let text = stranger.text().unwrap_or("this");
                let known: Vec<&str> = possible.iter().filter_map(Node::text).collect();
                let diagnostic = Diagnostic::new(format!("`{key}` is never `{text}`"))
                    .at(stranger.handle.clone(), "no value of the parameter");
                found.push(match suggest::way_out(text, "value", &known) {
                    Some(help) => diagnostic.help(help),
                    None => diagnostic.help("choose one of the parameter's values"),
                });
            }
        }
        condition.holds &= wanted.iter().any(|wanted| wanted.means(is));
    }
    (found.len() == before).then_some(condition)
}

/// Whether a step is right that is this word with an empty mapping behind it.
pub(crate) fn may_be_empty(word: &str) -> bool {
    let mut found = Vec::new();
    let step = open(&format!("{word}: {{}}"), 0, |_| false).ok();
    let action = step.and_then(|step| action(step.read(&mut found)?, &step, &mut found));
    action.is_some() && found.is_empty()
}

/// Whether a step is a mapping with one key; says so if it is not.
fn single_key(node: &Node, found: &mut Vec<Diagnostic>) -> bool {
    match &node.kind {
        Kind::Map(entries) => match entries.as_slice() {
            [_] => return true,
            [] => found.push(
                Diagnostic::new("this step is empty")
                    .at(node.handle.clone(), "no key")
                    .help("a step is a mapping with one key, such as `write: { … }`"),
            ),
            [first, second, ..] => found.push(
                Diagnostic::new(format!("a step has one key, this one has {}", entries.len()))
                    .at(second.key_span.clone(), "one key too many")
                    .see(first.key_span.clone(), "the step's key")
                    .help(format!(
                        "begin a new step with `- {}:`, or indent it below `{}:`",
                        second.key, first.key
                    )),
            ),
        },
        Kind::Scalar(_) | Kind::List(_) => found.push(
            Diagnostic::new("a step is a mapping with one key")
                .at(node.handle.clone(), "not a mapping")
                .help("write it like `- write: { … }`, or `- unmount: {}`"),
        ),
    }
    false
}

fn action(document: StepDocument, node: &Node, found: &mut Vec<Diagnostic>) -> Option<Action> {
    let document = match document.into_operation() {
        Ok(document) => {
            let (_, value) = node.only()?;
            return operation(document, value, Mode::Step, found).map(Action::Operation);
        }
        Err(document) => document,
    };
    Some(match document {
        StepDocument::Victim(document) => Action::Victim(victim(*document, node.at("victim"), found)?),
        StepDocument::Fork(fork) => Action::Fork(fork),
        StepDocument::Release(release) => Action::Release(release),
        StepDocument::Watch(watcher) => Action::Watch(watcher),
        StepDocument::Mark(document) => Action::Mark(mark(*document, node.at("mark"), found)?),
        StepDocument::Inject(document) => Action::Inject(injection(*document, node.at("inject"), found)?),
        StepDocument::Expect(document) => Action::Expect(expectation(*document, node.at("expect"), found)?),
        // Operations and includes have been dealt with.
        _ => return None,
    })
}

impl Parameters {
    /// The names that are known to the steps of a case.
    pub(super) fn scope<'a>(&'a self, values: &'a Values) -> Scope<'a> {
        Scope {
            values,
            possible: &self.possible,
        }
    }
}
