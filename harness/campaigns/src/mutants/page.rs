// SPDX-License-Identifier: MIT OR Apache-2.0
//! The table of fates in `testcases/mutants/README.md`, brought up to date by a campaign, be it of some mutants only.

use super::description::Mutant;
use super::fate::Fate;
use std::collections::BTreeMap;

const BEGIN: &str = "<!-- fates: begin -->\n";
const END: &str = "<!-- fates: end -->";

/// How many cases beside those that should notice are named in a row.
const OTHERS: usize = 3;

/// The text has no place for a table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no table in it: a table stands between `{begin}` and `{end}`", begin = BEGIN.trim(), end = END)]
pub struct NoTable;

/// `text` with these fates in its table. What it says of other mutants stays, as long as they are among `all`.
pub fn update(text: &str, all: &[Mutant], fates: &[(&Mutant, Fate)]) -> Result<String, NoTable> {
    let (before, rest) = text.split_once(BEGIN).ok_or(NoTable)?;
    let (old, after) = rest.split_once(END).ok_or(NoTable)?;
    let mut rows = rows(old);
    for (mutant, fate) in fates {
        rows.insert(mutant.name.clone(), cells(mutant, fate));
    }
    rows.retain(|name, _| all.iter().any(|mutant| mutant.name == *name));
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows.values() {
        let fate = row.split(" | ").next().unwrap_or_default();
        *counts.entry(fate).or_default() += 1;
    }
    let counts: Vec<String> = counts
        .iter()
        .map(|(fate, count)| format!("{count} {fate}"))
        .collect();
    let head = format!(
        "\n{} mutants: {}.\n\n| mutant | fate | by, or why |\n| --- | --- | --- |\n",
        rows.len(),
        counts.join(", ")
    );
    let lines: Vec<String> = rows
        .iter()
        .map(|(name, cells)| format!("| [{name}]({name}.yaml) | {cells} |\n"))
        .collect();
    Ok(format!("{before}{BEGIN}{head}{}\n{END}{after}", lines.concat()))
}

/// The mutants that a table has rows of.
pub fn names(text: &str) -> Vec<String> {
    let table = text.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END));
    rows(table.unwrap_or_default().0).into_keys().collect()
}

/// By mutant, what stands behind its name.
fn rows(table: &str) -> BTreeMap<String, String> {
    let row = |line: &str| {
        let (name, rest) = line.strip_prefix("| [")?.split_once("](")?;
        let (_, cells) = rest.split_once(" | ")?;
        Some((name.to_owned(), cells.strip_suffix(" |")?.to_owned()))
    };
    table.lines().filter_map(row).collect()
}

fn cells(mutant: &Mutant, fate: &Fate) -> String {
    let more = match fate {
        Fate::Killed { by, .. } => {
            let (named, others): (Vec<&String>, Vec<&String>) =
                by.iter().partition(|case| mutant.names(case));
            let mut shown: Vec<String> = named.iter().map(ToString::to_string).collect();
            shown.extend(others.iter().take(OTHERS).map(ToString::to_string));
            if others.len() > OTHERS {
                shown.push(format!("{} more", others.len() - OTHERS));
            }
            shown.join(", ")
        }
        Fate::Survived => mutant.breaks.clone(),
        Fate::Unclear { broken } => broken.join(", "),
        Fate::Equivalent => mutant.equivalent.clone().unwrap_or_default(),
        Fate::DoesNotApply { why } | Fate::DoesNotBuild { why } => reports::text::one_line(why),
    };
    format!("{} | {}", fate.word(), more.replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use super::super::fate::tests::mutant;
    use super::*;
    use std::path::Path;

    fn named(name: &str, noticed_by: &[&str], equivalent: Option<&str>) -> Mutant {
        Mutant {
            name: name.to_owned(),
            ..mutant(noticed_by, equivalent)
        }
    }

    fn killed(by: &[&str]) -> Fate {
        Fate::Killed {
            by: by.iter().map(ToString::to_string).collect(),
            as_expected: true,
        }
    }

    #[test]
    fn a_campaign_of_some_changes_their_rows_and_no_others() {
        let all = [
            named("b", &["x/b"], None),
            named("a", &["x/a"], None),
            named("c", &[], Some("a | b is b | a")),
        ];
        let [b, a, c] = &all;
        let empty = format!("# Head\n{BEGIN}{END}\ntail\n");
        let first = update(
            &empty,
            &all,
            &[
                (b, Fate::Survived),
                (a, killed(&["x/a", "y/1", "y/2", "y/3", "y/4", "y/5"])),
            ],
        )
        .unwrap();
        let second = update(&first, &all, &[(c, Fate::Equivalent), (b, killed(&["x/b"]))]).unwrap();
        assert_eq!(
            second,
            "# Head\n<!-- fates: begin -->\n\n3 mutants: 1 equivalent, 2 killed.\n\n| mutant | fate | by, or why |\n\
             | --- | --- | --- |\n| [a](a.yaml) | killed | x/a, y/1, y/2, y/3, 2 more |\n| [b](b.yaml) | killed | x/b |\n\
             | [c](c.yaml) | equivalent | a \\| b is b \\| a |\n\n<!-- fates: end -->\ntail\n"
        );
        assert_eq!(update(&second, &all, &[]).unwrap(), second);
        let fewer = update(&second, &all[..1], &[]).unwrap();
        assert_eq!(names(&fewer), ["b"]);
    }

    #[test]
    fn a_text_without_a_table_is_left_alone() {
        let error = update("# Head\n", &[], &[]).unwrap_err().to_string();
        assert!(error.contains("`<!-- fates: begin -->`"), "{error}");
    }

    #[test]
    fn the_page_has_a_row_of_each_mutant_and_none_is_left_to_do() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testcases/mutants");
        let page = std::fs::read_to_string(folder.join("README.md")).unwrap();
        let mut there: Vec<String> = super::super::load_all(&folder)
            .unwrap()
            .into_iter()
            .map(|mutant| mutant.name)
            .collect();
        there.sort();
        let hint = "cargo xtask mutants --named --table testcases/mutants/README.md NAME";
        assert_eq!(names(&page), there, "{hint}");
        for word in ["SURVIVED", "UNCLEAR", "DOES NOT BUILD"] {
            assert!(!page.contains(&format!("| {word} |")), "{word}: {hint}");
        }
    }
}
