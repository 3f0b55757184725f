// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who was told, and what.

use super::truth::*;
use crate::observe::evidence::{Access, AccessResult};
use crate::observe::probes::signals_in_lines;
use testcases::{
    BusCode, Bytes, DeadlySignal, Lsb, Place, SentSignal, SignalExpectation, VictimOperation, VictimPlace,
};

fn expectation(code: BusCode, times: &str) -> SignalExpectation {
    SignalExpectation {
        code,
        at: Place {
            map: 0,
            at: Bytes(4096),
        },
        lsb: Lsb::Bits(12),
        thread: None,
        times: times.parse().unwrap(),
    }
}

/// Alice's signals are these, and expected to be so.
fn alice(expected: Vec<SignalExpectation>, got: Vec<Signal>) -> (Case, Evidence) {
    let case = expecting(|state| {
        state.killed.insert("alice".parse().unwrap(), expected);
    });
    let evidence = with_state(|state| state.victims.get_mut("alice").unwrap().signals = got);
    (case, evidence)
}

fn with_code(code: i32) -> Signal {
    Signal { code, ..sigbus() }
}

#[test]
fn a_list_is_what_she_got_in_order() {
    let list = || {
        vec![
            expectation(BusCode::MceerrAo, "1..2"),
            expectation(BusCode::MceerrAr, ">=1"),
        ]
    };
    for got in [vec![5, 4], vec![5, 5, 4, 4, 4]] {
        let (case, evidence) = alice(list(), got.into_iter().map(with_code).collect());
        assert_passes(&case, &evidence);
    }
    for got in [vec![4, 5], vec![5], vec![5, 5, 5, 4], vec![5, 4, 5], vec![]] {
        let (case, evidence) = alice(list(), got.iter().copied().map(with_code).collect());
        assert_only(&case, &evidence, "alice was not signalled as expected");
    }
    // What may come any number of times leaves enough for what must come after it.
    let greedy = vec![
        expectation(BusCode::MceerrAo, ">=1"),
        expectation(BusCode::MceerrAo, "1"),
    ];
    let (case, evidence) = alice(greedy, vec![with_code(5), with_code(5)]);
    assert_passes(&case, &evidence);
}

#[test]
fn the_size_of_the_error_is_there_or_not() {
    let signal = |lsb| Signal {
        code: BusCode::Adrerr.number(),
        lsb,
        ..sigbus()
    };
    let wanted = |lsb| SignalExpectation {
        lsb,
        ..expectation(BusCode::Adrerr, "1")
    };
    for (expected, seen, passes) in [
        (Lsb::None, None, true),
        (Lsb::None, Some(12), false),
        (Lsb::Bits(12), None, false),
        (Lsb::Bits(12), Some(21), false),
        (Lsb::Any, None, true),
        (Lsb::Any, Some(12), true),
    ] {
        let (case, evidence) = alice(vec![wanted(expected)], vec![signal(seen)]);
        if passes {
            assert_passes(&case, &evidence);
        } else {
            assert_only(&case, &evidence, "alice was not signalled as expected");
        }
    }
}

#[test]
fn a_place_in_another_mapping_is_another_place() {
    let mut elsewhere = expectation(BusCode::MceerrAo, "1");
    elsewhere.at.map = 1;
    let (case, evidence) = alice(vec![elsewhere], vec![sigbus()]);
    assert_only(&case, &evidence, "at 4KiB of mapping 1");
}

#[test]
fn a_signal_goes_to_the_thread_that_wants_it() {
    let mut to_worker = expectation(BusCode::MceerrAo, "1");
    to_worker.thread = Some("worker".parse().unwrap());
    let for_worker = Signal { tid: 191, ..sigbus() };
    let (case, evidence) = alice(vec![to_worker.clone()], vec![for_worker]);
    assert_passes(&case, &evidence);
    let (case, evidence) = alice(vec![to_worker], vec![sigbus()]);
    assert_only(&case, &evidence, "to thread worker");
}

#[test]
fn whoever_has_no_handler_dies() {
    let case = expecting(|state| {
        state.killed.remove("bob");
        state.died.insert("bob".parse().unwrap(), DeadlySignal::Sigbus);
    });
    let ended = |ended| {
        with_state(|state| {
            let bob = state.victims.get_mut("bob").unwrap();
            bob.signals.clear();
            bob.ended = ended;
        })
    };
    assert_passes(&case, &ended(Some(Ended::Killed(7))));
    assert_only(&case, &ended(Some(Ended::Killed(9))), "signal 9 killed it");
    assert_only(&case, &ended(None), "bob did not die as expected");
    // An end that nobody speaks of is no pass.
    let silent = expecting(|state| {
        state.killed.remove("bob");
    });
    assert_only(&silent, &ended(Some(Ended::Killed(7))), "bob ended by itself");
}

#[test]
fn a_blocked_signal_waits() {
    let case = expecting(|state| {
        state.killed.remove("bob");
        state.pending.push("bob".parse().unwrap());
    });
    let waits = |pending, signals: Vec<Signal>| {
        with_state(|state| {
            let bob = state.victims.get_mut("bob").unwrap();
            (bob.pending, bob.signals) = (pending, signals);
        })
    };
    assert_passes(&case, &waits(1 << 6, vec![]));
    assert_only(&case, &waits(0, vec![]), "no SIGBUS waits for bob");
    assert_only(&case, &waits(1 << 6, vec![sigbus()]), "no SIGBUS waits for bob");
}

fn touch(raises: SignalExpectation) -> Case {
    let place = VictimPlace {
        victim: "carol".parse().unwrap(),
        place: raises.at,
    };
    trying(
        Operation::Victim(VictimOperation::Touch(place)),
        Outcome::Raises(raises),
    )
}

fn faulted(signals: std::ops::Range<usize>, ended: Option<Ended>) -> Tried {
    Tried::ByVictim(Access {
        victim: "carol".to_owned(),
        result: ended.is_none().then_some(AccessResult::Faulted),
        signals,
        ended,
    })
}

#[test]
fn an_access_raises_a_signal_that_belongs_to_it() {
    let case = touch(expectation(BusCode::MceerrAr, "1"));
    let mut evidence = with_operation(faulted(0..1, None));
    let carol =
        |evidence: &mut Evidence, signals| evidence.victims.get_mut("carol").unwrap().signals = signals;
    carol(&mut evidence, vec![with_code(4)]);
    assert_passes(&case, &evidence);
    carol(&mut evidence, vec![with_code(2)]);
    assert_only(&case, &evidence, "BUS_ADRERR");
    // A second one is nobody's.
    carol(&mut evidence, vec![with_code(4), with_code(4)]);
    assert_only(
        &case,
        &evidence,
        "carol was signalled, which no expectation names",
    );
    // None at all is no fault.
    let none = with_operation(faulted(0..0, None));
    assert_only(&case, &none, "another answer to");
}

#[test]
fn what_an_access_raised_belongs_to_no_later_expectation() {
    // An access before the last look at the state: then carol counts as left alone.
    let mut case = touch(expectation(BusCode::MceerrAr, "1"));
    let mut evidence = with_operation(faulted(0..1, None));
    evidence.victims.get_mut("carol").unwrap().signals = vec![with_code(4)];
    case.steps.push(case.steps[STATE].clone());
    let mut later = observation();
    later.victims.clone_from(&evidence.victims);
    evidence.steps.push(StepEvidence::State(Box::new(later)));
    assert_passes(&case, &evidence);
}

#[test]
fn an_access_may_kill_whoever_has_no_handler() {
    let case = touch(expectation(BusCode::MceerrAr, "1"));
    let mut evidence = with_operation(faulted(0..0, Some(Ended::Killed(7))));
    evidence.victims.get_mut("carol").unwrap().ended = Some(Ended::Killed(7));
    let sent = |code| {
        let line = format!(
            "x-9 [000] d..1. 1.0: signal_generate: sig=7 errno=0 code={code} comm=carol pid=93 grp=0 res=0"
        );
        vec![TraceLine::parse(&line).unwrap()]
    };
    evidence.trace = sent(4);
    assert_passes(&case, &evidence);
    evidence.trace = sent(2);
    assert_only(&case, &evidence, "signal 7 killed it");
}

/// A signal to xfs_io, and to another of the case's processes; the first is sent before the injection.
fn with_strangers(code: i32) -> Evidence {
    let line = |task: &str, pid: i32, code: i32| {
        let text = format!(
            "kworker/0:1-25 [000] d..1. 1.0: signal_generate: sig=7 errno=0 code={code} comm={task} pid={pid} grp=0 res=0"
        );
        TraceLine::parse(&text).unwrap()
    };
    let trace = vec![
        line("xfs_io", 70, 5),
        line("xfs_io", 77, code),
        line("bob", 92, 5),
    ];
    let mut evidence = with_state(|state| state.sent = signals_in_lines(&trace[1..], 1));
    evidence.trace = trace;
    evidence
}

/// A case that asks the log for "Sending SIGBUS to xfs_io:" has spoken of that process; one that asks for less has not.
#[test]
fn a_process_that_the_case_names_in_the_log_is_no_stranger() {
    let mut evidence = with_strangers(5);
    evidence.trace.remove(0);
    if let StepEvidence::State(state) = &mut evidence.steps[STATE] {
        let line = "Memory failure: 0x1: Sending SIGBUS to xfs_io:77 due to hardware memory corruption";
        state.log = Some(vec![line.to_owned()]);
    }
    let asks = |text: &str| {
        expecting(|state| {
            state.log = Some(testcases::Lines {
                has: vec![text.parse().unwrap()],
                lacks: Vec::new(),
            });
        })
    };
    assert_passes(&asks("Sending SIGBUS to xfs_io:"), &evidence);
    for names_nobody in ["Sending SIGBUS to", "xfs_io:77", "Memory failure: 0x1"] {
        assert_only(
            &asks(names_nobody),
            &evidence,
            "a process that is no victim was signalled",
        );
    }
    // Of another process of that name the line says nothing.
    if let StepEvidence::State(state) = &mut evidence.steps[STATE] {
        state.log = Some(vec![
            "Memory failure: 0x1: Sending SIGBUS to xfs_io:78 due to".to_owned(),
        ]);
    }
    assert_only(
        &asks("Sending SIGBUS to xfs_io:"),
        &evidence,
        "a process that is no victim was signalled",
    );
}

#[test]
fn a_process_of_the_cases_own_is_told_rightly() {
    let case = |signal| {
        expecting(|state| {
            state.signalled.insert("xfs_io".parse().unwrap(), signal);
        })
    };
    let mut in_time = with_strangers(5);
    in_time.trace.remove(0);
    if let StepEvidence::State(state) = &mut in_time.steps[STATE] {
        state.sent = signals_in_lines(&in_time.trace, 0);
    }
    for signal in [SentSignal::MceerrAo, SentSignal::Sigbus] {
        assert_passes(&case(signal), &in_time);
    }
    for (signal, words) in [
        (SentSignal::MceerrAr, "SIGBUS BUS_MCEERR_AO (pid 77)"),
        (SentSignal::Sigkill, "SIGBUS BUS_MCEERR_AO (pid 77)"),
    ] {
        assert_only(&case(signal), &in_time, words);
    }
    // No signal at all, and one that came before the injection and of which nobody spoke.
    assert_only(&case(SentSignal::Sigbus), &truth(), "no signal");
    assert_only(
        &case(SentSignal::Sigbus),
        &with_strangers(5),
        "signal 7 to xfs_io (pid 70)",
    );
    // Of another process nothing was said; a victim of that name is none.
    let other = expecting(|state| {
        state.signalled.insert("bob".parse().unwrap(), SentSignal::Sigbus);
    });
    let judgement = judge(&other, &new_kernel(), &in_time);
    let whats: Vec<&str> = judgement
        .findings
        .iter()
        .map(|found| found.what.as_str())
        .collect();
    assert_eq!(
        whats,
        [
            "bob, a process of the case's own, was not signalled as expected",
            "a process that is no victim was signalled",
        ]
    );
}
