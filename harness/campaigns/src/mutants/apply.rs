// SPDX-License-Identifier: MIT OR Apache-2.0
//! Putting a defect into a source file, found by its words and not by line numbers: those move from version to version.

use super::description::{Change, Mutant};
use std::ops::Range;

/// Why a mutant cannot be put into a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotApplied {
    /// The function is not there.
    #[error("there is no function {0} in the file")]
    NoFunction(String),
    /// The lines are not there.
    #[error("these lines are not there: {0}")]
    NotThere(String),
    /// The lines are there more than once.
    #[error("these lines are there {count} times: {lines}")]
    Ambiguous {
        /// How often.
        count: usize,
        /// What was looked for.
        lines: String,
    },
}

/// The text of the file with the defect in it.
pub fn apply(mutant: &Mutant, text: &str) -> Result<String, NotApplied> {
    mutant.changes.iter().try_fold(text.to_owned(), |text, change| {
        change_once(&text, &mutant.within, change)
    })
}

fn change_once(text: &str, within: &[String], change: &Change) -> Result<String, NotApplied> {
    let lines: Vec<&str> = text.lines().collect();
    let range = if within.is_empty() {
        0..lines.len()
    } else {
        within
            .iter()
            .find_map(|function| body(&lines, function))
            .ok_or_else(|| NotApplied::NoFunction(within.join(" or ")))?
    };
    let wanted: Vec<Vec<&str>> = words_of(change.replace.lines());
    let shown = || reports::text::one_line(&change.replace);
    // What has no words (an empty line) is nothing to find lines by.
    let candidates: Vec<usize> = range.filter(|line| !words(lines[*line]).is_empty()).collect();
    let found: Vec<&[usize]> = candidates
        .windows(wanted.len())
        .filter(|window| {
            window
                .iter()
                .zip(&wanted)
                .all(|(line, wanted)| words(lines[*line]) == *wanted)
        })
        .collect();
    let [window] = found[..] else {
        return Err(match found.len() {
            0 => NotApplied::NotThere(shown()),
            count => NotApplied::Ambiguous {
                count,
                lines: shown(),
            },
        });
    };
    let (Some(first), Some(last)) = (window.first(), window.last()) else {
        return Err(NotApplied::NotThere(shown()));
    };
    let indent: String = lines[*first]
        .chars()
        .take_while(|letter| letter.is_whitespace())
        .collect();
    let mut changed: Vec<String> = lines[..*first].iter().map(ToString::to_string).collect();
    let instead = change.with.lines().filter(|line| !line.trim().is_empty());
    changed.extend(instead.map(|line| format!("{indent}{}", line.trim())));
    changed.extend(lines[last + 1..].iter().map(ToString::to_string));
    Ok(changed.join("\n") + "\n")
}

/// The lines of a function: from the one with its name and an opening parenthesis, which begins no statement or call
/// but a definition, to the brace in the first column that ends it.
fn body(lines: &[&str], function: &str) -> Option<Range<usize>> {
    let begins = |line: &str| {
        let Some((before, after)) = line.split_once(function) else {
            return false;
        };
        let indented = line.starts_with([' ', '\t']);
        let own_name = !before.ends_with(|letter: char| letter.is_alphanumeric() || letter == '_');
        !indented && own_name && after.trim_start().starts_with('(')
    };
    let mut from = 0;
    loop {
        let start = from + lines.get(from..)?.iter().position(|line| begins(line))?;
        let length = lines
            .get(start..)?
            .iter()
            .position(|line| line.starts_with('}'))?;
        // A declaration ends before any brace.
        let declared = lines
            .get(start..start + length)?
            .iter()
            .take_while(|line| !line.contains('{'))
            .any(|line| line.ends_with(';'));
        if !declared {
            return Some(start..start + length + 1);
        }
        from = start + 1;
    }
}

fn words_of<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<Vec<&'a str>> {
    lines.map(words).filter(|words| !words.is_empty()).collect()
}

/// The words of a line, in whatever way they are spaced.
fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "int g(int);\nstatic int f(int x);\n\nstatic int\nf(\n\tint\t x)\n{\n\tif (x)\n\t\treturn 1;\n\n\treturn g(x);\n}\n\n\
        int g(int x)\n{\n\tif (x)\n\t\treturn 2;\n\treturn f(x);\n}\n";

    fn mutant(within: Option<&str>, changes: &[(&str, &str)]) -> Mutant {
        let changes = changes.iter().map(|(replace, with)| Change {
            replace: (*replace).to_owned(),
            with: (*with).to_owned(),
        });
        Mutant {
            name: "m".to_owned(),
            file: "a.c".into(),
            within: within.iter().map(ToString::to_string).collect(),
            kernel: None,
            breaks: String::new(),
            shipped: None,
            noticed_by: Vec::new(),
            equivalent: None,
            changes: changes.collect(),
        }
    }

    #[test]
    fn lines_are_found_by_their_words_in_the_function_that_is_meant() {
        let changed = apply(
            &mutant(Some("f"), &[("return 1;\nreturn   g(x);", "return 3;")]),
            FILE,
        )
        .unwrap();
        assert_eq!(
            changed,
            FILE.replace("\t\treturn 1;\n\n\treturn g(x);\n", "\t\treturn 3;\n")
        );
        let changed = apply(&mutant(Some("g"), &[("if (x)", "if (!x)")]), FILE).unwrap();
        assert!(
            changed.starts_with(&FILE[..80])
                && changed.ends_with("\tif (!x)\n\t\treturn 2;\n\treturn f(x);\n}\n")
        );
        let removed = apply(&mutant(None, &[("return 2;", ""), ("return 1;", ";")]), FILE).unwrap();
        assert_eq!(
            removed,
            FILE.replace("\t\treturn 2;\n", "").replace("return 1;", ";")
        );
    }

    #[test]
    fn a_function_may_have_had_other_names() {
        let mut mutant = mutant(Some("older"), &[("return 1;", ";")]);
        mutant.within.push("f".to_owned());
        assert_eq!(apply(&mutant, FILE).unwrap(), FILE.replace("return 1;", ";"));
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let error = |within, replace| apply(&mutant(within, &[(replace, "x")]), FILE).unwrap_err();
        assert_eq!(
            error(Some("h"), "return 1;"),
            NotApplied::NoFunction("h".to_owned())
        );
        assert_eq!(
            error(Some("g"), "return 1;"),
            NotApplied::NotThere("return 1;".to_owned())
        );
    }

    #[test]
    fn what_is_there_twice_is_ambiguous() {
        let error = apply(&mutant(None, &[("if (x)", "x")]), FILE).unwrap_err();
        assert!(matches!(error, NotApplied::Ambiguous { count: 2, .. }));
    }
}
