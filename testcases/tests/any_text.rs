// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whatever a file holds, it is read or refused, and what is said of it can be drawn.

use std::path::Path;

use proptest::prelude::*;
use testcases::{CaseId, parse_all};

const CASES: [&str; 3] = [
    include_str!("../cases/data/shared-block.yaml"),
    include_str!("../cases/metadata/ag-header.yaml"),
    MATRIX,
];

/// Something of everything.
const MATRIX: &str = r#"
parameters:
  - { name: one, policy: early, at: [0, { map: 1, at: 4KiB }], fate: { alive: [alice] } }
  - { name: two, policy: late, at: 0, fate: { died: { alice: SIGBUS } } }
summary: ${policy} and $${more}
why: w
covers: [1, 2]
template: { xfs: { mkfs: ["-d", "agcount=8"], log: external } }
steps:
  - write:    { file: a, size: 2MiB, fill: counting }
  - fragment: { file: b, extents: 3, fill: 1 }
  - mkdir:    { directory: d }
  - rename:   { from: b, to: d/b }
  - victim:   { name: alice, maps: [a, { file: d/b, mapping: sync }], touches: "${at}", threads: { w: early } }
  - when:     { policy: [early], kernel: "<6.2" }
    include:  { steps: _parts/x, with: { a: 1 } }
  - inject:   { madvise: hwpoison, at: { victim: alice, offset: 0, length: 8KiB }, times: 2 }
  - expect:   ${fate}
  - when:     { kernel: ">=6.5, <6.8" }
    expect:
      log: { has: ["^x*{alice} {{ {pfn}$"], lacks: [y] }
      trace: [{ event: e, fields: { sig: 7, x: -1 }, times: 1..3 }]
      badblocks: [{ device: 0, length: 512 }]
  - expect:   { run: "echo ${MOUNT}", status: 1, output: { has: z } }
  - expect:   { read: { file: a }, contains: { sha256: 00 } }
known_issues:
  - { kernel: "<6.2", splat: [dax_a, dax_b], because: c, when: { policy: late } }
  - { kernel: any, finding: [{ kind: victim, of: alice, seen: [BUS_MCEERR_AO at 4KiB lsb 12, died of SIGBUS] }], because: d }
"#;

fn read(id: &CaseId, source: &str) {
    if let Err(wrong) = parse_all(source, Path::new("case.yaml"), id.clone()) {
        assert!(wrong.iter().next().is_some(), "refused without a reason");
        assert!(!wrong.to_string().is_empty());
        assert!(!wrong.colored().is_empty());
    }
}

/// Pieces that mean something to YAML or to us, and some that are awkward to count.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "",
            " ",
            "\n",
            "\t",
            "\r\n",
            "- ",
            ": ",
            ":",
            "{",
            "}",
            "[",
            "]",
            ",",
            "\"",
            "'",
            "|",
            ">",
            "&a ",
            "*a",
            "!t ",
            "? ",
            "# ",
            "---\n",
            "...\n",
            "%",
            "@",
            "0x",
            "-1",
            "1.5",
            "~",
            "null",
            "true",
            "<<",
            "a",
            "alice",
            "4K",
            "EIO",
            "größe",
            "漢",
            "\u{feff}",
            "\u{85}",
            "\u{2028}",
            "\u{1b}",
            "\u{0}",
            "steps:",
            "expect: ",
            "at",
            "file: a",
            "${policy}",
            "${",
            "when: ",
            "include: ",
            "*",
            "{pfn}",
            "parameters: ",
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
