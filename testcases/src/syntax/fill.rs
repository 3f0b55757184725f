// SPDX-License-Identifier: MIT OR Apache-2.0
//! `${name}`: values put into a document before it is read.

use std::collections::{BTreeMap, BTreeSet};

use super::node::{Kind, Node};
use super::scalar::{Meaning, Scalar};
use crate::diagnostic::Diagnostic;
use crate::suggest;

/// What stands for each name.
pub(crate) type Values = BTreeMap<String, Node>;

/// Puts values into a document, and remembers which were asked for.
#[derive(Debug)]
pub(crate) struct Filling<'a> {
    values: &'a Values,
    /// The names that came up.
    pub(crate) used: BTreeSet<String>,
}

/// A piece of a scalar.
enum Piece<'t> {
    Text(&'t str),
    Name(&'t str),
}

impl<'a> Filling<'a> {
    pub(crate) fn new(values: &'a Values) -> Self {
        Self {
            values,
            used: BTreeSet::new(),
        }
    }

    /// Fills every scalar of a value. One that is nothing but `${name}` becomes the value of that name, with its type and
    /// its place; elsewhere the value's text is put in.
    pub(crate) fn fill(&mut self, node: &mut Node, found: &mut Vec<Diagnostic>) {
        match &mut node.kind {
            Kind::Map(entries) => entries
                .iter_mut()
                .for_each(|entry| self.fill(&mut entry.value, found)),
            Kind::List(items) => items.iter_mut().for_each(|item| self.fill(item, found)),
            Kind::Scalar(scalar) => {
                if let Meaning::Text(text) = scalar.meaning() {
                    let text = text.to_owned();
                    self.scalar(&text, node, found);
                }
            }
        }
    }

    fn scalar(&mut self, text: &str, node: &mut Node, found: &mut Vec<Diagnostic>) {
        let pieces = pieces(text);
        if let [Piece::Name(name)] = pieces.as_slice() {
            if let Some(given) = self.value(name, node, found) {
                node.clone_from(given);
            }
            return;
        }
        let mut filled = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Name(name) => {
                    let Some(given) = self.value(name, node, found) else {
                        continue;
                    };
                    match given.text() {
                        Some(text) => filled.push_str(text),
                        None => found.push(
                            Diagnostic::new(format!(
                                "`${{{name}}}` is a list or mapping, which is no part of a text"
                            ))
                            .at(node.handle.clone(), "among other text")
                            .see(given.handle.clone(), "this is its value")
                            .help("let `${…}` stand alone, or give the parameter a plain value"),
                        ),
                    }
                }
            }
        }
        node.kind = Kind::Scalar(Scalar::text(filled));
    }

    fn value(&mut self, name: &str, node: &Node, found: &mut Vec<Diagnostic>) -> Option<&'a Node> {
        self.used.insert(name.to_owned());
        let given = self.values.get(name);
        if given.is_none() {
            let diagnostic = Diagnostic::new(format!("there is no parameter `{name}`"))
                .at(node.handle.clone(), format!("has `${{{name}}}`"));
            let known = self.values.keys().map(String::as_str);
            found.push(diagnostic.help(match suggest::nearest(name, known) {
                Some(near) => suggest::did_you_mean(near),
                // The one key of a row that is no parameter.
                None if name == "name" => {
                    "`name` only names a row and is no parameter: give each row another key for it".to_owned()
                }
                None => format!("add it to `parameters`; where a shell is to see it, write `$${{{name}}}`"),
            }));
        }
        given
    }
}

/// Takes a scalar apart. `$${` is a plain `${`; so is what has other letters than a parameter's name, such as `${MOUNT}`.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    let mut from = 0;
    while let Some(at) = rest
        .get(from..)
        .and_then(|rest| rest.find("${"))
        .map(|at| at + from)
    {
        let inner = &rest[at + 2..];
        let name = inner
            .split_once('}')
            .map(|(name, _)| name)
            .filter(|name| is_name(name));
        let escaped = rest[..at].ends_with('$');
        match name {
            Some(_) if escaped => {
                pieces.push(Piece::Text(&rest[..at - 1]));
                pieces.push(Piece::Text("${"));
                rest = inner;
                from = 0;
            }
            Some(name) => {
                if at > 0 {
                    pieces.push(Piece::Text(&rest[..at]));
                }
                pieces.push(Piece::Name(name));
                rest = &inner[name.len() + 1..];
                from = 0;
            }
            None => from = at + 2,
        }
    }
    if !rest.is_empty() || pieces.is_empty() {
        pieces.push(Piece::Text(rest));
    }
    pieces
}

fn is_name(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut bytes = text.bytes();
    bytes.next().is_some_and(plain) && bytes.all(|byte| plain(byte) || byte == b'_' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::{Piece, pieces};

    #[test]
    fn a_scalar_is_taken_apart_at_its_parameters_only() {
        let told = |text| {
            pieces(text)
                .into_iter()
                .map(|piece| match piece {
                    Piece::Text(text) => format!("'{text}'"),
                    Piece::Name(name) => format!("<{name}>"),
                })
                .collect::<String>()
        };
        assert_eq!(told("${a}"), "<a>");
        assert_eq!(told("x ${a}-${b2}y"), "'x '<a>'-'<b2>'y'");
        assert_eq!(told("$${a} ${b}"), "'''${''a} '<b>");
        assert_eq!(told("${MOUNT}/${} ${a"), "'${MOUNT}/${} ${a'");
        assert_eq!(told("${A}${a}"), "'${A}'<a>");
        assert_eq!(told(""), "''");
    }
}
