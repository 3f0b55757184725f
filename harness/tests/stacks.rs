// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whatever lies between a filesystem and the NVDIMMs, an error hits the page that was meant.
//!
//! These boot and clone guests of the default kernel, one template for each stack.
#![allow(
    clippy::unwrap_used,
    reason = "a test's helper functions fail like the test itself"
)]

mod common;

use common::{listened, parsed, request};
use reports::Verdict;
use std::collections::HashMap;
use testcases::Isolation;

/// A page of a file, in the third chunk of a stripe: who maps it is killed, and the kernel records it as bad. Both are
/// wrong if the harness counts wrongly: nobody maps another page.
const HIT: &str = "
  - write:  { file: a, size: 2MiB, fill: 0x5a }
  - victim: { name: alice, maps: a, touches: 516KiB, kill: early }
  - inject: { machine-check: action-optional, at: { file: a, offset: 516KiB } }
  - expect:
      killed: { alice: { code: BUS_MCEERR_AO, at: 516KiB } }
      filesystem: up
      badblocks: [{ file: a, offset: 516KiB, length: 4KiB }]
";

/// The same on a character device, which tells where its page begins.
const HIT_DEVICE: &str = "
  - victim: { name: alice, maps: { device: dax, offset: 4MiB, length: 2MiB }, touches: 0, kill: early }
  - inject: { machine-check: action-optional, at: { device: 4612KiB } }
  - expect:
      killed: { alice: { code: BUS_MCEERR_AO, at: 0, lsb: 21 } }
      badblocks: [{ device: 4612KiB, length: 4KiB }]
";

fn case(name: &str, head: &str, steps: &str) -> testcases::Case {
    parsed(
        &format!("stacks/{name}"),
        &format!("summary: s\nwhy: w\n{head}\nsteps:{steps}"),
    )
}

#[test]
fn the_page_that_is_meant_is_hit_through_every_stack() {
    let on = |name: &str, template: &str| case(name, &format!("template: {{ xfs: {template} }}"), HIT);
    let cases = vec![
        on("rmapbt", r#"{ mkfs: ["-m", "rmapbt=0"] }"#),
        on("log", "{ log: external }"),
        on("realtime", r#"{ realtime: true, mkfs: ["-d", "rtinherit=1"] }"#),
        on("linear", "{ on: linear }"),
        on("stripe", "{ on: stripe }"),
        on("partition", r#"{ on: partition, mkfs: ["-m", "reflink=0"] }"#),
        case(
            "unmounted",
            "template: { unmounted: { nvdimms: 2 } }",
            "\n  - expect: { badblocks: [] }\n",
        ),
        case("devdax", "template: devdax", HIT_DEVICE),
    ];
    let count = cases.len();
    let out = tempfile::tempdir().unwrap();
    let told = listened(request(cases, Isolation::Clone, out.path()));
    assert_eq!(told.results.len(), count);
    for result in &told.results {
        let environment = &result.environment;
        assert_eq!(
            (result.verdict, environment.isolation.as_str()),
            (Verdict::Pass, "clone"),
            "{}: {} {:#?}",
            result.case,
            result.reason,
            result.findings
        );
    }
}

#[test]
fn a_case_that_wants_a_boot_gets_one_beside_clones() {
    let cases = vec![
        case("booted", "template: xfs\nisolation: boot", HIT),
        case("cloned", "template: xfs", HIT),
    ];
    let out = tempfile::tempdir().unwrap();
    let told = listened(request(cases, Isolation::Clone, out.path()));
    let had: HashMap<_, _> = told
        .results
        .iter()
        .map(|result| {
            let isolation = result.environment.isolation.as_str();
            (result.case.as_str(), (result.verdict, isolation))
        })
        .collect();
    assert_eq!(
        had,
        HashMap::from([
            ("stacks/booted", (Verdict::Pass, "boot")),
            ("stacks/cloned", (Verdict::Pass, "clone"))
        ])
    );
}
