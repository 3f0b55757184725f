// SPDX-License-Identifier: MIT OR Apache-2.0
//! Results and runs for the tests of this crate.

use proptest::prelude::*;

use crate::{
    Attachment, CaseResult, Environment, Event, EventKind, ExitStatus, Finding, LogLines, PredictionRecord,
    RunRecord, SourceLine, StepRecord, Unpredicted, Verdict, WorkOutcome, exit_status,
};

/// The moment at which every sample begins.
pub(crate) fn moment() -> jiff::Timestamp {
    "2026-11-21T07:22:00Z".parse().unwrap()
}

/// A result with nothing to say.
pub(crate) fn result(case: &str, kernel: &str, verdict: Verdict) -> CaseResult {
    CaseResult {
        case: case.to_owned(),
        file: format!("testcases/cases/{case}.yaml"),
        summary: String::new(),
        verdict,
        reason: String::new(),
        findings: Vec::new(),
        known_issues: Vec::new(),
        environment: Environment {
            kernel: kernel.to_owned(),
            ..Environment::default()
        },
        steps: Vec::new(),
        started_at: moment(),
        seconds: 0.0,
        log: String::new(),
        log_lines: LogLines::default(),
        source: Vec::new(),
        oracle: Vec::new(),
        attachments: Vec::new(),
        evidence: serde_json::Value::Null,
    }
}

/// Where the full samples ran.
fn environment(kernel: &str, release: &str) -> Environment {
    Environment {
        kernel: kernel.to_owned(),
        kernel_release: release.to_owned(),
        kernel_version: "#1 SMP PREEMPT_DYNAMIC".to_owned(),
        kernel_commit: None,
        qemu_version: "7.2.22".to_owned(),
        accelerator: "tcg".to_owned(),
        accelerator_reason: "/dev/kvm opens, but a guest on it never got to its first instruction".to_owned(),
        cpu_model: "max".to_owned(),
        image: "sha256:0123abcd".to_owned(),
        isolation: "clone".to_owned(),
    }
}

/// The same in the order of a record.
pub(crate) fn one_of_each_in_order() -> Vec<CaseResult> {
    let mut results = one_of_each();
    crate::fold::put_in_order(&mut results);
    results
}

/// One result of each verdict, with everything such a result can have, on two kernels.
pub(crate) fn one_of_each() -> Vec<CaseResult> {
    let new = environment("debian-6.12", "6.12.41+deb13-amd64");
    let old = environment("debian-6.1", "6.1.0-44-amd64");
    let steps = vec![
        StepRecord {
            index: 0,
            line: 9,
            what: "write a".into(),
            seconds: 0.25,
            outcome: None,
        },
        StepRecord {
            index: 1,
            line: 10,
            what: "expect killed".into(),
            seconds: 0.5,
            outcome: Some("bob is alive".into()),
        },
    ];
    let log = (1..=25).fold(String::new(), |log, n| {
        log + &format!("[   12.{n:06}] Memory failure: line {n}\n")
    });
    let attachments = vec![Attachment {
        name: "console".into(),
        path: "shared-block/console.log".into(),
    }];
    vec![
        CaseResult {
            summary: "Poison on a free block harms nobody.".into(),
            environment: new.clone(),
            seconds: 8.0625,
            steps: steps[..1].to_vec(),
            ..result("free-space/nobody", "", Verdict::Pass)
        },
        CaseResult {
            summary: "Both mappers of a shared block die.".into(),
            reason: "2 expectations did not hold".into(),
            findings: vec![
                Finding {
                    step: Some(1),
                    line: Some(27),
                    what: "bob did not get the signal the case expects.".into(),
                    expected: Some("SIGBUS with BUS_MCEERR_AO at 4096, lsb 12".into()),
                    seen: Some("alive\n(no signal at all)".into()),
                    because: Some(
                        "mm/memory-failure.c:mf_dax_kill_procs: file data;\nbob had the page".into(),
                    ),
                    ..Finding::default()
                },
                Finding {
                    step: None,
                    line: None,
                    what: "The kernel printed ]]> <&\" and\u{1b}[31m red.".into(),
                    expected: None,
                    seen: None,
                    ..Finding::default()
                },
            ],
            environment: new.clone(),
            seconds: 9.5,
            steps,
            log,
            log_lines: LogLines { own: 25, all: 417 },
            source: vec![SourceLine {
                line: 27,
                text: "  - expect: { victim: bob, got: { signal: BUS_MCEERR_AO, at: 4KiB } }".into(),
            }],
            oracle: vec![PredictionRecord {
                compared: vec!["victim bob".into()],
                unpredicted: vec![Unpredicted {
                    part: "injector".into(),
                    why: "the injecting victim dies before it can tell".into(),
                }],
                ..PredictionRecord::default()
            }],
            attachments: attachments.clone(),
            ..result("data/shared-block", "", Verdict::Fail)
        },
        CaseResult {
            known_issues: vec!["shared fsdax pages were not accounted until 6.2".into()],
            reason: "splat: WARNING in dax_insert_entry".into(),
            environment: old.clone(),
            seconds: 130.0,
            ..result("data/shared-block", "", Verdict::KnownIssue)
        },
        CaseResult {
            reason: "the mount is not DAX".into(),
            environment: old.clone(),
            ..result("free-space/nobody", "", Verdict::Untestable)
        },
        CaseResult {
            reason: "QEMU died of SIGSEGV".into(),
            environment: Environment {
                kernel: "debian-6.12".into(),
                ..Environment::default()
            },
            seconds: 1.5,
            log: "[    0.000000] Linux version 6.12\n".into(),
            attachments,
            ..result("metadata/ag-header", "", Verdict::Broken)
        },
    ]
}

/// The stream of a run that gave these results.
pub(crate) fn stream(results: Vec<CaseResult>, interrupted: bool) -> Vec<Event> {
    let exit = exit_status(&results, interrupted);
    let text = "accelerator: tcg, because /dev/kvm does not work".to_owned();
    let work = "packages".to_owned();
    let mut kinds = vec![
        EventKind::RunStarted {
            taster: "0.1.0".into(),
            command: vec!["test".into(), "--kernel".into(), "debian-6.12".into()],
            started_at: moment(),
            planned: results.len(),
            host: "lab".into(),
        },
        EventKind::Note { text },
        EventKind::WorkStarted {
            work: work.clone(),
            what: "fetch debian-6.12".into(),
        },
        EventKind::WorkProgress {
            work: work.clone(),
            done: 15 << 20,
            total: Some(30 << 20),
            unit: "B".into(),
            detail: Some("linux-image".into()),
        },
        EventKind::WorkFinished {
            work,
            seconds: 3.25,
            outcome: WorkOutcome::Ok("30.0 MiB".into()),
        },
    ];
    for result in results {
        let (case, kernel) = (result.case.clone(), result.environment.kernel.clone());
        kinds.push(EventKind::CaseStarted {
            case: case.clone(),
            kernel: kernel.clone(),
            steps: result.steps.len(),
        });
        for step in &result.steps {
            let (case, kernel) = (case.clone(), kernel.clone());
            kinds.push(EventKind::StepStarted {
                case: case.clone(),
                kernel: kernel.clone(),
                index: step.index,
                what: step.what.clone(),
            });
            kinds.push(EventKind::StepFinished {
                case,
                kernel,
                step: step.clone(),
            });
        }
        kinds.push(EventKind::CaseFinished {
            result: Box::new(result),
        });
    }
    let end = f64::from(u32::try_from(kinds.len()).unwrap());
    kinds.push(EventKind::RunFinished {
        exit,
        interrupted,
        seconds: end,
    });
    (0_u32..)
        .zip(kinds)
        .map(|(at, kind)| Event {
            at: f64::from(at),
            kind,
        })
        .collect()
}

/// The record of a run that gave these results.
pub(crate) fn record(results: Vec<CaseResult>, interrupted: bool) -> RunRecord {
    RunRecord::from_events(stream(results, interrupted)).unwrap()
}

/// Text in which everything that XML and terminals stumble over is likely.
pub(crate) fn any_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        "[\\x00-\\x7f]{0,8}",
        prop::sample::select(vec![
            "\u{1b}[",
            "\u{1b}]",
            "]]>",
            "]]",
            ">",
            "<![CDATA[",
            "&amp;",
            "\u{fffe}",
            "\r\n",
            "\u{9b}"
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

/// Any verdict.
pub(crate) fn any_verdict() -> impl Strategy<Value = Verdict> {
    prop::sample::select(Verdict::ALL.to_vec())
}

/// Any result: hostile text everywhere, few names, so that some collide.
pub(crate) fn any_result() -> impl Strategy<Value = CaseResult> {
    let names = (
        prop::sample::select(vec!["a/b", "a/c", "d"]),
        prop::sample::select(vec!["k1", "k2"]),
    );
    let texts = prop::collection::vec(any_text(), 8);
    // Eighths, for they come out of JSON as they went in.
    (names, any_verdict(), texts, any_text(), 0..1000_u32).prop_map(
        |((case, kernel), verdict, texts, log, eighths)| {
            let mut result = result(case, kernel, verdict);
            let [reason, what, expected, seen, because, step, release, why] = texts.try_into().unwrap();
            result.reason = reason;
            result.findings = vec![Finding {
                step: None,
                line: None,
                what,
                expected: Some(expected),
                seen: Some(seen),
                because: Some(why.clone()),
                ..Finding::default()
            }];
            result.oracle = vec![PredictionRecord {
                unpredicted: vec![Unpredicted {
                    part: "injector".to_owned(),
                    why,
                }],
                ..PredictionRecord::default()
            }];
            result.known_issues = vec![because];
            result.steps = vec![StepRecord {
                index: 0,
                line: 1,
                what: step,
                seconds: 0.5,
                outcome: None,
            }];
            result.environment.kernel_release = release;
            result.seconds = f64::from(eighths) / 8.0;
            result.log = log;
            result
        },
    )
}

/// Any run: finished or interrupted, with all of its results or without some, and whatever its runner said of it.
pub(crate) fn any_record() -> impl Strategy<Value = RunRecord> {
    let exit = prop::option::weighted(
        0.3,
        prop::sample::select(vec![
            ExitStatus::Ok,
            ExitStatus::Failed,
            ExitStatus::Usage,
            ExitStatus::Broken,
        ]),
    );
    let owed = prop_oneof![3 => Just(0_usize), 1 => 1..3_usize];
    (
        prop::collection::vec(any_result(), 0..5),
        prop::bool::weighted(0.2),
        exit,
        owed,
    )
        .prop_map(|(results, interrupted, said, owed)| {
            let mut record = record(results, interrupted);
            record.planned += owed;
            record.exit = said.unwrap_or(record.exit);
            record
        })
}
