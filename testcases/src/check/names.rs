// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names that stand for nothing.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::diagnostic::Diagnostic;
use crate::suggest;

/// A name that stands for nothing yet: made only later, or never. `make` says how.
pub(super) fn unknown<'n>(
    what: &str,
    name: &str,
    usage: Range<usize>,
    known: impl Iterator<Item = (&'n str, &'n Range<usize>)>,
    later: Option<&Range<usize>>,
    make: &str,
) -> Diagnostic {
    if let Some(later) = later {
        return Diagnostic::new(format!("{what} `{name}` is used before it is there"))
            .at(usage, "not there yet")
            .see(later.clone(), "only made here")
            .help("move one of the two steps");
    }
    let diagnostic = Diagnostic::new(format!("there is no {what} `{name}`")).at(usage, "not declared");
    let known: BTreeMap<_, _> = known.collect();
    match suggest::nearest(name, known.keys().copied()) {
        Some(near) => match known.get(near) {
            Some(span) => diagnostic.see((*span).clone(), format!("`{near}` is declared here")),
            None => diagnostic,
        }
        .help(format!("did you mean `{near}`? Else {make}")),
        None => diagnostic.help(make),
    }
}
