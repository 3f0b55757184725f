// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whatever a file holds, it is read or refused, and what is said of it can be drawn.

use std::path::Path;

use proptest::prelude::*;
use testcases::{CaseId, parse};

const CASES: [&str; 2] = [
    include_str!("../cases/data/shared-block.yaml"),
    include_str!("../cases/metadata/ag-header.yaml"),
];

fn read(id: &CaseId, source: &str) {
    if let Err(wrong) = parse(source, Path::new("case.yaml"), id.clone()) {
        assert!(wrong.iter().next().is_some(), "refused without a reason");
        assert!(!wrong.to_string().is_empty());
        assert!(!wrong.colored().is_empty());
    }
}

/// Pieces that mean something to YAML or to us, and some that are awkward to count.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "", " ", "\n", "\t", "\r\n", "- ", ": ", ":", "{", "}", "[", "]", ",", "\"", "'", "|", ">",
            "&a ", "*a", "!t ", "? ", "# ", "---\n", "...\n", "%", "@", "0x", "-1", "1.5", "~", "null",
            "true", "<<", "a", "alice", "4K", "EIO", "größe", "漢", "\u{feff}", "\u{85}", "\u{2028}",
            "\u{1b}", "\u{0}", "steps:", "expect: ", "at", "file: a",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,8}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_case(
        which in 0..CASES.len(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, piece()), 1..5),
    ) {
        let mut letters: Vec<char> = CASES[which].chars().collect();
        for (place, length, piece) in damage {
            let start = place.index(letters.len() + 1);
            let end = (start + length).min(letters.len());
            letters.splice(start..end, piece.chars());
        }
        let id: CaseId = "case".parse().map_err(|error| TestCaseError::fail(format!("{error}")))?;
        read(&id, &letters.into_iter().collect::<String>());
    }

    #[test]
    fn a_heap_of_pieces(pieces in prop::collection::vec(piece(), 0..40)) {
        let id: CaseId = "case".parse().map_err(|error| TestCaseError::fail(format!("{error}")))?;
        read(&id, &pieces.concat());
    }
}
