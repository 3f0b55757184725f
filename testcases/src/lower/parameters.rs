// SPDX-License-Identifier: MIT OR Apache-2.0
//! Parameters: one file, several cases.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::diagnostic::Diagnostic;
use crate::model::Parameter;
use crate::suggest;
use crate::syntax::{Entry, Node, Values};
use crate::value::ParameterName;

/// More cases than anybody wants of one file.
const MOST: usize = 256;

/// The word that `when` has for kernels, so that no parameter can be called so.
pub(super) const KERNEL: &str = "kernel";

/// What the parameters of a file say.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    /// Where each name is declared.
    pub(super) declared: BTreeMap<String, Range<usize>>,
    /// The values that each name can have.
    pub(super) possible: BTreeMap<String, Vec<Node>>,
    /// The cases. Without parameters, just one.
    pub(super) instances: Vec<Instance>,
}

/// One of the cases of a file.
#[derive(Debug, Default, Clone)]
pub(super) struct Instance {
    /// What its name has behind that of the file: nothing if the file gives only this one.
    pub(super) suffix: Option<String>,
    /// What stands for each parameter.
    pub(super) values: Values,
    /// The same for reports.
    pub(super) parameters: Vec<Parameter>,
}

impl Parameters {
    /// Those of a file that has none.
    pub(super) fn none() -> Self {
        Self {
            instances: vec![Instance::default()],
            ..Self::default()
        }
    }

    /// Reads the parameters of a file, be they a product or rows.
    pub(super) fn read(part: &Node, found: &mut Vec<Diagnostic>) -> Option<Self> {
        let before = found.len();
        let parameters = if let Some(entries) = part.entries() {
            product(part, entries, found)
        } else if let Some(rows) = part.items() {
            self::rows(part, rows, found)
        } else {
            found.push(wrong_form(part));
            None
        };
        let parameters = parameters.filter(|_| found.len() == before)?;
        distinct(&parameters, found);
        (found.len() == before).then_some(parameters)
    }
}

fn wrong_form(part: &Node) -> Diagnostic {
    Diagnostic::new("parameters are values for each name, or rows of values")
        .at(part.handle.clone(), "neither of the two")
        .help("write `{ policy: [early, late] }`, or `[{ name: x, policy: early }]`")
}

/// A name that can stand between `${` and `}`.
fn name(text: &str, span: &Range<usize>, found: &mut Vec<Diagnostic>) -> Option<ParameterName> {
    if text == KERNEL {
        found.push(
            Diagnostic::new(
                "no parameter can be called `kernel`: `when` has that word for the kernel under test",
            )
            .at(span.clone(), "this name")
            .help("give it another name"),
        );
        return None;
    }
    match text.parse() {
        Ok(name) => Some(name),
        Err(error) => {
            let error: crate::value::NameError = error;
            let error = error.to_string();
            let (wrong, help) = error.split_once(": ").unwrap_or((&error, "choose another name"));
            found.push(Diagnostic::new(wrong).at(span.clone(), "here").help(help));
            None
        }
    }
}

fn product(part: &Node, entries: &[Entry], found: &mut Vec<Diagnostic>) -> Option<Parameters> {
    let mut axes = Vec::new();
    for Entry { key, key_span, value } in entries {
        let name = name(key, key_span, found);
        let items = match value.items() {
            Some(items) if !items.is_empty() => items,
            _ => {
                found.push(
                    Diagnostic::new(format!("`{key}` needs a list of values"))
                        .at(value.handle.clone(), "no list, or an empty one")
                        .help(format!("write `{key}: [one, another]`")),
                );
                continue;
            }
        };
        for item in items.iter().filter(|item| item.text().is_none()) {
            found.push(
                Diagnostic::new("a value that cases are named by is a word or a number")
                    .at(item.handle.clone(), "a list or mapping")
                    .help("write rows instead, each with a `name`: `[{ name: x, … }]`"),
            );
        }
        axes.extend(name.map(|name| (name, key_span, items)));
    }
    if axes.is_empty() {
        if found.is_empty() {
            found.push(wrong_form(part));
        }
        return None;
    }
    let count = axes
        .iter()
        .try_fold(1_usize, |count, (_, _, items)| count.checked_mul(items.len()));
    if count.is_none_or(|count| count > MOST) {
        found.push(
            Diagnostic::new(format!("these parameters would make more than {MOST} cases"))
                .at(part.handle.clone(), "every combination is a case")
                .help("write those that matter as rows: `[{ name: x, … }]`"),
        );
        return None;
    }
    let mut instances = vec![Instance::default()];
    for (name, _, items) in &axes {
        instances = instances
            .iter()
            .flat_map(|instance| items.iter().map(move |item| with(instance, name, item)))
            .collect();
    }
    Some(Parameters {
        declared: axes
            .iter()
            .map(|(name, span, _)| (name.as_str().to_owned(), (*span).clone()))
            .collect(),
        possible: axes
            .into_iter()
            .map(|(name, _, items)| (name.as_str().to_owned(), items.to_vec()))
            .collect(),
        instances,
    })
}

/// The case with one parameter more, which also adds to its name.
fn with(instance: &Instance, name: &ParameterName, value: &Node) -> Instance {
    let mut instance = instance.clone();
    let text = value.text().unwrap_or_default();
    let more = slug(text);
    instance.suffix = Some(match instance.suffix {
        Some(suffix) => format!("{suffix}.{more}"),
        None => more,
    });
    instance.add(name, value);
    instance
}

impl Instance {
    fn add(&mut self, name: &ParameterName, value: &Node) {
        self.values.insert(name.as_str().to_owned(), value.clone());
        self.parameters.push(Parameter {
            name: name.clone(),
            value: value.text().unwrap_or("…").to_owned(),
        });
    }
}

/// A value as a part of a name.
fn slug(text: &str) -> String {
    let plain = |letter: char| match letter.to_ascii_lowercase() {
        letter if letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_-".contains(letter) => letter,
        _ => '-',
    };
    match text {
        "" => "-".to_owned(),
        text => text.chars().map(plain).collect(),
    }
}

fn rows(part: &Node, rows: &[Node], found: &mut Vec<Diagnostic>) -> Option<Parameters> {
    let mut parameters = Parameters::default();
    if rows.is_empty() {
        found.push(wrong_form(part));
        return None;
    }
    for row in rows {
        let Some(entries) = row.entries() else {
            found.push(
                Diagnostic::new("a row is a mapping with a `name`")
                    .at(row.handle.clone(), "not a mapping")
                    .help("write it like `{ name: x, policy: early }`"),
            );
            continue;
        };
        let mut instance = Instance::default();
        for Entry {
            key,
            key_span: span,
            value,
        } in entries
        {
            if key == "name" {
                match value.text() {
                    Some(text) if !text.trim().is_empty() => instance.suffix = Some(slug(text)),
                    _ => found.push(
                        Diagnostic::new("the name of a row is a word")
                            .at(value.handle.clone(), "no word")
                            .help("write it like `name: x`"),
                    ),
                }
                continue;
            }
            if let Some(name) = name(key, span, found) {
                parameters
                    .declared
                    .entry(key.clone())
                    .or_insert_with(|| span.clone());
                parameters
                    .possible
                    .entry(key.clone())
                    .or_default()
                    .push(value.clone());
                instance.add(&name, value);
            }
        }
        if row.entry("name").is_none() {
            found.push(
                Diagnostic::new("`name` is missing")
                    .at(row.handle.clone(), "a row needs a name")
                    .help("add `name: …`: it becomes a part of the case's name"),
            );
        }
        parameters.instances.push(instance);
    }
    for (row, instance) in rows.iter().zip(&parameters.instances) {
        let missing = parameters
            .declared
            .iter()
            .filter(|(name, _)| !instance.values.contains_key(*name));
        for (name, span) in missing {
            found.push(
                Diagnostic::new(format!("this row has no `{name}`"))
                    .at(row.handle.clone(), format!("`{name}` is missing"))
                    .see(span.clone(), "another row has it")
                    .help(format!("add `{name}: …`: all rows have the same keys")),
            );
        }
    }
    Some(parameters)
}

/// Refuses two cases of one name.
fn distinct(parameters: &Parameters, found: &mut Vec<Diagnostic>) {
    let mut seen: BTreeMap<&str, &Instance> = BTreeMap::new();
    for instance in &parameters.instances {
        let Some(suffix) = &instance.suffix else {
            continue;
        };
        if let Some(first) = seen.insert(suffix, instance) {
            // A value that is there twice, or two that read the same in a name.
            let pair = instance.values.iter().find_map(|(name, value)| {
                let other = first.values.get(name)?;
                (other.span != value.span).then_some((value, other))
            });
            let diagnostic = Diagnostic::new(format!("two cases of this file would be called `.{suffix}`"));
            found.push(
                match pair {
                    Some((value, other)) => diagnostic
                        .at(value.handle.clone(), "this one")
                        .see(other.handle.clone(), "and this one"),
                    None => diagnostic,
                }
                .help("take one away, or choose values that differ in letters and digits"),
            );
            return;
        }
    }
}

/// A parameter that is named where there is none.
pub(super) fn unknown(name: &str, span: Range<usize>, known: impl IntoIterator<Item = String>) -> Diagnostic {
    let known: Vec<String> = known.into_iter().collect();
    let words: Vec<&str> = known.iter().map(String::as_str).collect();
    let diagnostic = Diagnostic::new(format!("there is no parameter `{name}`")).at(span, "not declared");
    match suggest::way_out(name, "word", &words) {
        Some(help) => diagnostic.help(help),
        None => diagnostic.help("name one of the parameters"),
    }
}
