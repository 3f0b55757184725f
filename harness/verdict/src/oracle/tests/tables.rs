// SPDX-License-Identifier: MIT OR Apache-2.0
//! The tables themselves: complete, without dead rows, and each row with its source.

use super::world::{A, HERE, early, file, madvise, page, world};
use super::{reasons, rows};
use crate::oracle::facts::Facts;
use crate::oracle::predict;
use crate::oracle::prediction::Prediction;
use crate::oracle::rule::{Kernels, Rule, first};
use crate::oracle::rules::{ACCESS, ANSWER, CHOSEN, DELIVERY, ENTRANCE, FALLBACK, OWNER};
use std::collections::BTreeSet;
use testcases::KernelVersion;

fn texts<S, T>(table: &[Rule<S, T>]) -> Vec<(&'static str, &'static str)> {
    table.iter().map(|rule| (rule.from, rule.says)).collect()
}

fn all() -> Vec<(&'static str, &'static str)> {
    [
        texts(ENTRANCE),
        texts(ANSWER),
        texts(OWNER),
        texts(FALLBACK),
        texts(CHOSEN),
        texts(DELIVERY),
        texts(ACCESS),
    ]
    .concat()
}

#[test]
fn every_rule_decides_a_row_of_these_tests() {
    let mut applied = BTreeSet::new();
    for row in rows() {
        for kernel in row.kernels {
            match predict(&row.facts, &row.injection, kernel) {
                Prediction::Panic(justification) => {
                    applied.insert((justification.from, justification.says));
                }
                Prediction::Handled(handled) => {
                    applied.extend(
                        handled
                            .justifications
                            .iter()
                            .map(|justification| (justification.from, justification.says)),
                    );
                }
            }
        }
    }
    for access in super::accesses::ROWS {
        let rules = access
            .kernels
            .iter()
            .filter_map(|kernel| first(ACCESS, &access.access, kernel));
        applied.extend(rules.map(|rule| (rule.from, rule.says)));
    }
    let dead: Vec<_> = all().into_iter().filter(|rule| !applied.contains(rule)).collect();
    assert!(dead.is_empty(), "no row of these tests needs {dead:#?}");
}

#[test]
fn every_rule_names_its_function_and_its_reason() {
    for (from, says) in all().into_iter().chain(reasons::ALL) {
        let (file, function) = from.split_once(':').unwrap();
        let extension = std::path::Path::new(file).extension();
        assert!(
            file.contains('/') && extension.is_some_and(|extension| extension == "c"),
            "{from}"
        );
        assert!(
            function
                .chars()
                .all(|letter| letter.is_ascii_lowercase() || "_0123456789".contains(letter)),
            "{from}"
        );
        assert!(
            says.split_whitespace().count() >= 3 && !says.contains("  "),
            "{from}: {says}"
        );
    }
}

#[test]
fn every_table_has_an_answer_for_all_others() {
    fn last<S, T>(table: &[Rule<S, T>]) -> Kernels {
        table.last().unwrap().kernels
    }
    let ends = [
        last(ENTRANCE),
        last(ANSWER),
        last(OWNER),
        last(FALLBACK),
        last(CHOSEN),
        last(DELIVERY),
        last(ACCESS),
    ];
    assert_eq!(ends, [Kernels::Any; 7]);
}

#[test]
fn ranges_of_kernels_go_by_series() {
    let version = |text: &str| text.parse::<KernelVersion>().unwrap();
    let before = Kernels::Before(6, 2);
    assert!(before.contain(&version("6.1.192")) && before.contain(&version("5.19")));
    assert!(!before.contain(&version("6.2.0-rc1")) && !before.contain(&version("6.12")));
    let since = Kernels::Since(6, 14);
    assert!(since.contain(&version("6.14.0-rc1")) && since.contain(&version("7.0")));
    assert!(!since.contain(&version("6.12.117")) && !since.contain(&version("6.2")));
    let shown = [Kernels::Any, before, since].map(|kernels| kernels.to_string());
    assert_eq!(shown, ["any", "<6.2", ">=6.14"]);
}

#[test]
fn facts_come_back_from_the_evidence_as_they_went_in() {
    let (facts, injection) = world([file(A)])
        .by(madvise("alice"))
        .victims([early("alice", [page(A, HERE)])])
        .finish();
    let text = serde_json::to_string(&facts).unwrap();
    assert_eq!(serde_json::from_str::<Facts>(&text).unwrap(), facts);
    let text = serde_json::to_string(&injection).unwrap();
    assert_eq!(
        serde_json::from_str::<crate::oracle::facts::Injection>(&text).unwrap(),
        injection
    );
}
