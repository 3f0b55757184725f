// SPDX-License-Identifier: MIT OR Apache-2.0
//! Kernel messages, trace events, watchers.

use super::truth::*;
use testcases::{Count, FieldValue, Lines, TraceExpectation, Watcher};

fn lines(has: &[&str], lacks: &[&str]) -> Lines {
    let globs = |globs: &[&str]| globs.iter().map(|glob| glob.parse().unwrap()).collect();
    Lines {
        has: globs(has),
        lacks: globs(lacks),
    }
}

fn said(lines: &[&str]) -> Vec<String> {
    lines.iter().map(|&line| line.to_owned()).collect()
}

#[test]
fn messages_that_are_there_and_not_there() {
    let case = expecting(|state| {
        state.log = Some(lines(
            &[
                "{pfn}: Sending SIGBUS to {alice} due",
                "recovery action*Recovered",
            ],
            &["SIGBUS to {carol}"],
        ));
    });
    let log = |lines: &[&str]| with_state(|state| state.log = Some(said(lines)));
    let alice = "Memory failure: 0x101219: Sending SIGBUS to alice:91 due to hardware memory corruption";
    let carol = "Memory failure: 0x101219: Sending SIGBUS to carol:93 due to hardware memory corruption";
    let recovered = "Memory failure: 0x101219: recovery action for dax page: Recovered";
    assert_passes(&case, &log(&[alice, recovered]));
    assert_only(
        &case,
        &log(&[alice]),
        "the kernel's log lacks `recovery action*Recovered`",
    );
    assert_only(&case, &log(&[recovered]), "Sending SIGBUS to alice:91 due");
    assert_only(
        &case,
        &log(&[alice, recovered, carol]),
        "the kernel's log has `SIGBUS to {carol}`",
    );
    assert_only(&case, &truth(), "was not looked at");
    // What a placeholder stands for must be known, or a lack would be no news.
    let nobody = expecting(|state| state.log = Some(lines(&[], &["{dave}"])));
    assert_only(&nobody, &log(&[alice]), "nothing that {dave} stands for");
}

#[test]
fn what_a_watcher_was_told() {
    let case = expecting(|state| {
        state
            .watched
            .insert(Watcher::Health, lines(&["media-error"], &["unmount"]));
    });
    let told = |lines: &[&str]| {
        with_state(|state| {
            state.watched = BTreeMap::from([("health".to_owned(), said(lines))]);
        })
    };
    assert_passes(&case, &told(&["{\"what\":{\"media-error\":{}}}"]));
    assert_only(&case, &told(&[]), "what health was told lacks `media-error`");
    assert_only(
        &case,
        &told(&["media-error", "unmount"]),
        "what health was told has `unmount`",
    );
    assert_only(&case, &truth(), "was not looked at");
}

fn traced(wanted: TraceExpectation) -> Case {
    expecting(|state| state.trace = vec![wanted])
}

fn trace(texts: &[&str]) -> Evidence {
    let line = |text: &&str| TraceLine::parse(&format!("x-1 [000] d..1. 1.0: {text}")).unwrap();
    with_state(|state| state.trace = Some(texts.iter().map(line).collect()))
}

#[test]
fn events_by_field_and_number() {
    let wanted = |times| TraceExpectation {
        event: "taster_mf_ret".to_owned(),
        has: None,
        fields: BTreeMap::from([("ret".to_owned(), FieldValue::Number(-117))]),
        times,
    };
    let event = |ret: i32| format!("taster_mf_ret: (a+0x1/0x2 <- memory_failure) ret={ret}");
    let (right, wrong) = (event(-117), event(0));
    let once = traced(wanted(Count::ONCE));
    assert_passes(&once, &trace(&[&right, &wrong]));
    assert_only(
        &once,
        &trace(&[&wrong]),
        "taster_mf_ret with ret=-117 came 0 times",
    );
    assert_only(&once, &trace(&[&right, &right]), "came 2 times");
    assert_only(&once, &truth(), "was not looked at");
    assert_passes(&traced(wanted(Count::exactly(0))), &trace(&[&wrong]));
}

/// That none of them has the value proves nothing where none of them has the field.
#[test]
fn a_field_that_this_kernel_does_not_print() {
    for times in [Count::ONCE, Count::exactly(0)] {
        let wanted = traced(TraceExpectation {
            event: "mce_record".to_owned(),
            has: None,
            fields: BTreeMap::from([("APIC".to_owned(), FieldValue::Number(0))]),
            times,
        });
        let judged = judge(&wanted, &new_kernel(), &trace(&["mce_record: CPU: 0, TSC: 0"]));
        assert_eq!(judged.verdict, Verdict::Untestable, "{}", judged.reason);
        assert_eq!(
            judged.reason,
            "this kernel's mce_record has no field APIC that could be looked at: CPU: 0, TSC: 0"
        );
    }
}

#[test]
fn events_by_their_text() {
    let wanted = |text: &str| TraceExpectation {
        event: "memory_failure_event".to_owned(),
        has: Some(text.parse().unwrap()),
        fields: BTreeMap::new(),
        times: Count::ONCE,
    };
    let event = "memory_failure_event: pfn 0x101219: recovery action for dax page: Recovered";
    assert_passes(&traced(wanted("{pfn}: *Recovered")), &trace(&[event]));
    assert_only(
        &traced(wanted("Failed")),
        &trace(&[event]),
        "with `Failed` came 0 times",
    );
}

#[test]
fn an_event_that_nobody_traces_proves_nothing() {
    let case = traced(TraceExpectation {
        event: "sched_switch".to_owned(),
        has: None,
        fields: BTreeMap::new(),
        times: Count::exactly(0),
    });
    let judgement = judge(&case, &new_kernel(), &trace(&[]));
    assert_eq!(judgement.verdict, Verdict::Broken);
    assert!(
        judgement.reason.contains("nobody traces sched_switch"),
        "{}",
        judgement.reason
    );
    // One that this kernel cannot be asked for makes the case untestable.
    let case = traced(TraceExpectation {
        event: "taster_kill".to_owned(),
        has: None,
        fields: BTreeMap::new(),
        times: Count::exactly(0),
    });
    let mut evidence = trace(&[]);
    evidence.blind = Blind::from_unavailable(&["p:taster_kill mf_dax_kill_procs: No such file".to_owned()]);
    assert_eq!(
        judge(&case, &new_kernel(), &evidence).verdict,
        Verdict::Untestable
    );
}
