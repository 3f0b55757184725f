// SPDX-License-Identifier: MIT OR Apache-2.0
//! Would we notice? The case of the shared block, once as it stands and then with one thing turned round at a time, each
//! in a real guest: what is not true must never come out as a pass.
//!
//! These boot guests of the default kernel; the first time on a machine that fetches packages.
#![allow(
    clippy::unwrap_used,
    reason = "a test's helper functions fail like the test itself"
)]

use guest_images::{Cache, KernelSpec};
use harness::run::{CASE_DEADLINE, Isolation, Request, Teller, run};
use reports::{CaseResult, Event, EventKind, Reader, Readers, Verdict};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use testcases::{Case, CaseId, parse};
use tokio_util::sync::CancellationToken;

const INJECTION: &str = "  - inject:  { machine-check: action-optional, at: { file: a, offset: 4KiB } }\n";

fn original() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testcases/cases/data/shared-block.yaml");
    std::fs::read_to_string(path).unwrap()
}

/// The original with one piece of text replaced; the piece must be there.
fn turned(from: &str, to: &str) -> String {
    let text = original();
    assert!(text.contains(from), "the case no longer contains {from:?}");
    text.replacen(from, to, 1)
}

fn case(name: &str, text: &str) -> Case {
    let path = PathBuf::from(format!("cases/control/{name}.yaml"));
    let id = CaseId::from_path(&path, Path::new("cases")).unwrap();
    parse(text, &path, id).unwrap_or_else(|faults| panic!("{faults}"))
}

#[derive(Clone, Default)]
struct Results(Arc<Mutex<Vec<CaseResult>>>);

impl Reader for Results {
    fn event(&mut self, event: &Event) {
        if let EventKind::CaseFinished { result } = &event.kind {
            self.0.lock().unwrap().push((**result).clone());
        }
    }

    fn finish(&mut self) -> Result<(), reports::Error> {
        Ok(())
    }
}

fn judged(cases: Vec<Case>) -> Vec<CaseResult> {
    let out = tempfile::tempdir().unwrap();
    let results = Results::default();
    let request = Request {
        cases,
        kernels: vec![KernelSpec::default_kernel().unwrap()],
        qemu: std::env::var_os("TASTER_QEMU").map(PathBuf::from),
        accelerator: None,
        isolation: Isolation::Clone,
        jobs: None,
        case_deadline: CASE_DEADLINE,
        run_deadline: None,
        out: out.path().to_owned(),
        cache: Cache::open(std::env::var_os("TASTER_CACHE").map(PathBuf::from)).unwrap(),
        command: Vec::new(),
    };
    let teller = Arc::new(Teller::new(Readers::new().with(results.clone())));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime
        .block_on(run(request, teller, CancellationToken::new()))
        .unwrap();
    let results = results.0.lock().unwrap();
    results.clone()
}

#[test]
fn what_is_not_true_never_passes() {
    let controls = [
        ("as-it-stands", original(), Verdict::Pass, ""),
        (
            "nothing-injected",
            turned(INJECTION, ""),
            Verdict::Fail,
            "alice was not signalled as expected",
        ),
        (
            "carol-expected-dead",
            turned("      alive: [carol]\n", "").replacen(
                "      killed:\n",
                "      killed:\n        carol: { code: BUS_MCEERR_AO, at: 4KiB, lsb: 12 }\n",
                1,
            ),
            Verdict::Fail,
            "carol was not signalled as expected",
        ),
        (
            "bobs-address-off-by-a-page",
            turned(
                "bob:   { code: BUS_MCEERR_AO, at: 4KiB",
                "bob:   { code: BUS_MCEERR_AO, at: 8KiB",
            ),
            Verdict::Fail,
            "bob was not signalled as expected",
        ),
        (
            "not-dax",
            turned("template: xfs\n", "template: { xfs: { mount: dax=never } }\n"),
            Verdict::Untestable,
            "is not DAX",
        ),
        (
            "another-return-value",
            turned(
                "notify_failure: { returned: 0 }",
                "notify_failure: { returned: EUCLEAN }",
            ),
            Verdict::Fail,
            "xfs_dax_notify_failure answered otherwise",
        ),
    ];
    let results = judged(controls.iter().map(|(name, text, ..)| case(name, text)).collect());
    assert_eq!(results.len(), controls.len());
    for ((name, _, verdict, words), result) in controls.iter().zip(&results) {
        assert_eq!(
            result.verdict, *verdict,
            "{name}: {} {:#?}",
            result.reason, result.findings
        );
        assert!(result.reason.contains(words), "{name}: {}", result.reason);
    }
}
