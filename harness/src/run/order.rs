// SPDX-License-Identifier: MIT OR Apache-2.0
//! In which order the cases of one kernel begin.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use testcases::{Case, Isolation, Template};

/// The order in which cases begin when nobody asks for another.
///
/// One short case of the commonest template comes first, so that the first verdict is soon there. Then a case of each other
/// template, so that these are made, one after the other, while between them the commonest one's cases keep the other guests
/// busy. Then all that is left, the longest first, so that none of them is what all wait for at the end.
pub(super) fn order(mut cases: Vec<Case>) -> Vec<Case> {
    cases.sort_by_key(|case| Reverse(length(case)));
    let Some(commonest) = commonest(&cases) else {
        return cases;
    };
    let (common, others): (Vec<Case>, Vec<Case>) = cases
        .into_iter()
        .partition(|case| template(case) == Some(&commonest));
    let mut common = VecDeque::from(common);
    let mut ordered: Vec<Case> = common.pop_back().into_iter().collect();
    let mut rest = Vec::new();
    for case in others {
        let known =
            template(&case).is_none_or(|wanted| ordered.iter().any(|one| template(one) == Some(wanted)));
        if known {
            rest.push(case);
        } else {
            ordered.push(case);
            ordered.extend(common.pop_front());
        }
    }
    rest.extend(common);
    rest.sort_by_key(|case| Reverse(length(case)));
    ordered.extend(rest);
    ordered
}

/// Longer cases compare greater. A boot takes as long as many steps.
fn length(case: &Case) -> (bool, usize) {
    (case.isolation == Isolation::Boot, case.steps.len())
}

/// The template that has to be there before the case begins.
fn template(case: &Case) -> Option<&Template> {
    (case.isolation == Isolation::Clone).then_some(&case.template)
}

/// What most cases begin with; of two, the one that comes first.
fn commonest(cases: &[Case]) -> Option<Template> {
    let mut counts: HashMap<&Template, usize> = HashMap::new();
    for wanted in cases.iter().filter_map(template) {
        *counts.entry(wanted).or_default() += 1;
    }
    let wanted = cases.iter().rev().filter_map(template);
    wanted.max_by_key(|wanted| counts.get(wanted)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use testcases::CaseId;

    fn case(name: &str, more: &str, steps: usize) -> Case {
        let reads = "  - expect: { read: { file: a, offset: 0, length: 4KiB }, contains: 1 }\n".repeat(steps);
        let text = format!(
            "summary: s\nwhy: w\n{more}\nsteps:\n  - write: {{ file: a, size: 2MiB, fill: 1 }}\n{reads}"
        );
        let path = format!("cases/{name}.yaml");
        let path = Path::new(&path);
        let id = CaseId::from_path(path, Path::new("cases")).unwrap();
        testcases::parse(&text, path, id).unwrap()
    }

    fn names(cases: &[Case]) -> Vec<&str> {
        cases.iter().map(|case| case.id.as_str()).collect()
    }

    const XFS: &str = "template: xfs";
    const TWO: &str = "template:\n  xfs: { log: external }";
    const QUOTA: &str = "template:\n  xfs: { mkfs: [\"-d\", \"agcount=2\"] }";
    const BOOT: &str = "template: xfs\nisolation: boot";

    #[test]
    fn the_first_verdict_is_soon_there_and_no_guest_waits_for_a_template() {
        let cases = vec![
            case("quota", QUOTA, 9),
            case("boot", BOOT, 1),
            case("two-long", TWO, 6),
            case("one", XFS, 1),
            case("five", XFS, 5),
            case("two", TWO, 2),
            case("three", XFS, 3),
            case("seven", XFS, 7),
        ];
        assert_eq!(
            names(&order(cases)),
            [
                "one", "quota", "seven", "two-long", "five", "boot", "three", "two"
            ]
        );
    }

    #[test]
    fn cases_without_a_template_begin_too() {
        assert_eq!(
            names(&order(vec![case("a", BOOT, 1), case("b", BOOT, 2)])),
            ["b", "a"]
        );
        assert!(order(Vec::new()).is_empty());
    }
}
