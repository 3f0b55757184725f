// SPDX-License-Identifier: MIT OR Apache-2.0
//! One true run, as evidence made by hand, and ways to make it false.

pub(super) use crate::judge::{judge, record_predictions};
pub(super) use crate::observe::evidence::{
    After, Brought, End, Evidence, Filesystem, Hit, Injected, Layout, Observation, PageAfter, StepEvidence,
    Tried, Unfinished, VictimAfter, VictimView,
};
pub(super) use crate::observe::probes::{Blind, NotifyCall, ShutdownFlags};
pub(super) use crate::oracle::facts;
pub(super) use guest_agent::address::{DeviceOffset, FileOffset, FsOffset, GuestPhysical, MappingOffset};
pub(super) use guest_agent::call::BadMemory;
pub(super) use guest_agent::call::{
    BadRange, Contents, Handled, PageEntry, Refusal, SpaceOwner, SpaceRecord,
};
pub(super) use guest_agent::trace::TraceLine;
pub(super) use guest_agent::victim::{Ended, KillPolicy, Signal, Spot};
pub(super) use reports::Verdict;
pub(super) use std::collections::BTreeMap;
pub(super) use std::path::Path;
pub(super) use testcases::{
    Action, Case, CaseId, Expect, KernelVersion, Operation, Outcome, StateExpectation, parse,
};

pub(super) const CASE: &str = r#"
summary: One shared block, three victims.
why: the judge's own test
template: xfs
steps:
  - write:   { file: a, size: 2MiB, fill: 0x5a }
  - reflink: { from: a, to: b }
  - write:   { file: c, size: 2MiB, fill: 0x11 }
  - victim:  { name: alice, maps: a, touches: 4KiB, kill: early }
  - victim:  { name: bob,   maps: b, touches: 4KiB, kill: early }
  - victim:  { name: carol, maps: c, touches: 4KiB, kill: early }
  - inject:  { machine-check: action-optional, at: { file: a, offset: 4KiB } }
  - expect:
      killed:
        alice: { code: BUS_MCEERR_AO, at: 4KiB, lsb: 12 }
        bob:   { code: BUS_MCEERR_AO, at: 4KiB, lsb: 12 }
      alive: [carol]
      notify_failure: { returned: 0 }
      filesystem: up
      badblocks: [{ file: a, offset: 4KiB, length: 4KiB }]
  - expect:  { read: { file: b, offset: 4KiB }, error: EIO }
  - expect:  { read: { file: c, offset: 0 }, contains: 0x11 }
known_issues:
  - kernel: "<6.2"
    splat: dax_insert_entry
    because: shared fsdax pages were not counted
"#;

pub(super) const STATE: usize = 7;
pub(super) const READ: usize = 8;
pub(super) const CONTENTS: usize = 9;
pub(super) const INJECT: usize = 6;

pub(super) fn case_from(text: &str) -> Case {
    let path = Path::new("cases/data/shared.yaml");
    let id = CaseId::from_path(path, Path::new("cases")).unwrap();
    parse(text, path, id).unwrap()
}

pub(super) fn case() -> Case {
    case_from(CASE)
}

pub(super) fn new_kernel() -> KernelVersion {
    "6.12.117".parse().unwrap()
}

pub(super) fn old_kernel() -> KernelVersion {
    "6.1.192".parse().unwrap()
}

pub(super) fn spot(offset: u64) -> Spot {
    Spot {
        mapping: 0,
        offset: MappingOffset(offset),
    }
}

pub(super) fn sigbus() -> Signal {
    Signal {
        number: 7,
        code: 5,
        address: 0x7f00_0000_1000,
        at: Some(spot(4096)),
        lsb: Some(12),
        tid: 91,
    }
}

pub(super) fn view(pid: i32, signals: Vec<Signal>) -> VictimView {
    VictimView {
        pid,
        ended: None,
        signals,
        before: 0,
        pending: 0,
        threads: BTreeMap::from([(pid, "itself".to_owned()), (pid + 100, "worker".to_owned())]),
    }
}

pub(super) fn victims() -> BTreeMap<String, VictimView> {
    BTreeMap::from([
        ("alice".to_owned(), view(91, vec![sigbus()])),
        ("bob".to_owned(), view(92, vec![Signal { tid: 92, ..sigbus() }])),
        ("carol".to_owned(), view(93, vec![])),
    ])
}

pub(super) const PAGE: DeviceOffset = DeviceOffset(0x19000);
pub(super) const PHYSICAL: GuestPhysical = GuestPhysical(0x1_0121_9000);

pub(super) fn bad_page() -> BadRange {
    BadRange {
        start: PAGE,
        length: 4096,
    }
}

pub(super) fn bad_memory() -> BadMemory {
    BadMemory {
        start: PHYSICAL,
        length: 4096,
    }
}

pub(super) fn notify_call() -> NotifyCall {
    NotifyCall {
        offset: PAGE,
        length: 4096,
        flags: 0,
        returned: Some(0),
    }
}

pub(super) fn observation() -> Observation {
    Observation {
        victims: victims(),
        notify_failure: vec![notify_call()],
        sent: Vec::new(),
        injectors: Vec::new(),
        filesystem: Filesystem::Up,
        badblocks: vec![bad_memory()],
        injected: vec![PHYSICAL],
        layout: Layout::from([("a".to_owned(), BTreeMap::from([(4096, PHYSICAL)]))]),
        devices: Layout::from([("data".to_owned(), BTreeMap::from([(PAGE.0, PHYSICAL)]))]),
        entries: Vec::new(),
        log: None,
        trace: None,
        hardware_corrupted: None,
        page_flags: None,
        files: BTreeMap::new(),
        watched: BTreeMap::new(),
    }
}

pub(super) fn eio() -> Refusal {
    Refusal {
        what: "read /mnt/b".to_owned(),
        errno: 5,
    }
}

pub(super) fn contents(byte: u8) -> Contents {
    Contents {
        length: 4096,
        uniform: Some(byte),
        counting: false,
        head: vec![byte; 16],
        turn: None,
        sha256: None,
    }
}

pub(super) fn read(contents: Contents) -> StepEvidence {
    StepEvidence::Operation(Tried::Succeeded(Brought::Contents {
        contents,
        other: None,
    }))
}

/// Somebody who wants to hear early and has the second page of an owner of the block present.
pub(super) fn early(name: &str, pid: i32, inode: Option<u64>) -> facts::VictimFacts {
    let page = inode.map(|inode| facts::MappedPage {
        map: 0,
        at: 4096,
        address: 0x7f00_0000_1000,
        file: facts::FilePlace {
            inode,
            offset: FileOffset(4096),
        },
        private: false,
        entry: facts::Entry::Here(Some(testcases::PageSize::Base)),
    });
    facts::VictimFacts {
        name: name.to_owned(),
        pid,
        alive: true,
        sigbus: facts::Disposition::Handler,
        threads: vec![facts::ThreadFacts {
            name: facts::MAIN_THREAD.to_owned(),
            tid: pid,
            policy: KillPolicy::Early,
            blocks_sigbus: false,
            has_sigbus_pending: false,
        }],
        pages: page.into_iter().collect(),
    }
}

pub(super) fn owner(inode: u64) -> facts::OwnerFacts {
    facts::OwnerFacts {
        record: SpaceRecord {
            start: FsOffset(0x18000),
            length: 0x20_0000,
            owner: SpaceOwner::Inode {
                number: inode,
                offset: FileOffset(0),
            },
            attribute_fork: false,
            extent_map: false,
            unwritten: false,
            shared: true,
        },
        inode: Some(facts::InodeFacts {
            name: None,
            kind: Some(facts::InodeKind::Regular),
            dax: Some(true),
            in_core: Some(true),
        }),
        faulted: Some(true),
    }
}

/// The error of the case, with everything as the oracle would have it.
pub(super) fn hit() -> Hit {
    let told = |pid: i32, signals: Vec<Signal>| VictimAfter {
        pages: signals
            .iter()
            .map(|_| PageAfter {
                map: 0,
                at: 4096,
                entry: PageEntry {
                    present: false,
                    swapped: false,
                    physical: None,
                },
            })
            .collect(),
        signals: signals
            .into_iter()
            .map(|signal| Signal { tid: pid, ..signal })
            .collect(),
        threads: BTreeMap::from([(pid, facts::MAIN_THREAD.to_owned())]),
        ended: None,
        pending: 0,
    };
    Hit {
        nvdimm: Some((0, PAGE)),
        physical: PHYSICAL,
        handled: Handled::Finished,
        injector: None,
        injection: facts::Injection {
            by: testcases::Mechanism::MachineCheck(testcases::Severity::ActionOptional),
            current: None,
            page: facts::Page {
                physical: PHYSICAL,
                device: Some(PAGE),
                region: facts::Region::Data(FsOffset(PAGE.0)),
            },
        },
        facts: facts::Facts {
            filesystem: facts::Filesystem::Mounted(facts::Mounted {
                state: facts::MountState::ReadWrite,
                rmapbt: true,
                realtime_rmapbt: false,
                stack: facts::Stack::Plain,
            }),
            owners: Some(vec![owner(131), owner(132)]),
            victims: vec![
                early("alice", 91, Some(131)),
                early("bob", 92, Some(132)),
                early("carol", 93, None),
            ],
            badblocks: Some(Vec::new()),
            ram: None,
            gone: false,
            settings: facts::Settings::default(),
        },
        after: Some(After {
            victims: BTreeMap::from([
                ("alice".to_owned(), told(91, vec![sigbus()])),
                ("bob".to_owned(), told(92, vec![sigbus()])),
                ("carol".to_owned(), told(93, vec![])),
            ]),
            notify_failure: vec![notify_call()],
            filesystem: Filesystem::Up,
            badblocks: Some(vec![bad_page()]),
            hardware_corrupted: 4096,
            events: vec!["pfn 0x101219: recovery action for dax page: Recovered".to_owned()],
        }),
    }
}

pub(super) fn truth() -> Evidence {
    let mut steps = vec![StepEvidence::Done; INJECT];
    steps.push(StepEvidence::Injected(Injected { hits: vec![hit()] }));
    steps.push(StepEvidence::State(Box::new(observation())));
    steps.push(StepEvidence::Operation(Tried::Refused(eio())));
    steps.push(read(contents(0x11)));
    Evidence {
        steps,
        victims: victims(),
        log: vec!["Memory failure: 0x101219: recovery action for dax page: Recovered".to_owned()],
        log_before: Some(0),
        said: BTreeMap::new(),
        trace: Vec::new(),
        blind: Blind::default(),
        unfinished: None,
        end: End::Completed,
    }
}

/// The case with something else expected where the state is looked at.
pub(super) fn expecting(change: impl FnOnce(&mut StateExpectation)) -> Case {
    let mut case = case();
    if let Action::Expect(Expect::State(state)) = &mut case.steps[STATE].action {
        change(state);
    }
    case
}

/// The case with something else tried in place of its last read.
pub(super) fn trying(operation: Operation, outcome: Outcome) -> Case {
    let mut case = case();
    case.steps[CONTENTS].action = Action::Expect(Expect::Operation { operation, outcome });
    case
}

/// The truth, with something else tried in place of the last read.
pub(super) fn with_operation(tried: Tried) -> Evidence {
    let mut evidence = truth();
    evidence.steps[CONTENTS] = StepEvidence::Operation(tried);
    evidence
}

pub(super) fn assert_passes(case: &Case, evidence: &Evidence) {
    let judgement = judge(case, &new_kernel(), evidence);
    assert_eq!(judgement.verdict, Verdict::Pass, "{:#?}", judgement.findings);
}

/// What nobody expected can be named by a known issue, just as it is.
fn assert_can_be_named(findings: &[reports::Finding]) {
    for finding in findings {
        let Some(signature) = &finding.signature else {
            assert!(
                ["splat", "known-issue"].contains(&finding.kind.as_str()),
                "{finding:#?}"
            );
            continue;
        };
        let text = CASE.replace("splat: dax_insert_entry", &format!("finding: {signature}"));
        let issues = case_from(&text).known_issues;
        assert_eq!(&issues[0].findings[0].to_string(), signature);
    }
}

/// The case fails for one thing, and says `words` of it.
pub(super) fn assert_only(case: &Case, evidence: &Evidence, words: &str) {
    let judgement = judge(case, &new_kernel(), evidence);
    assert_eq!(judgement.verdict, Verdict::Fail, "{judgement:#?}");
    assert_eq!(judgement.findings.len(), 1, "{:#?}", judgement.findings);
    assert_can_be_named(&judgement.findings);
    let text = format!("{:?}", judgement.findings);
    assert!(text.contains(words), "{words:?} is not in {text}");
}

pub(super) fn with_state(change: impl FnOnce(&mut Observation)) -> Evidence {
    let mut evidence = truth();
    let mut state = observation();
    change(&mut state);
    evidence.victims.clone_from(&state.victims);
    evidence.steps[STATE] = StepEvidence::State(Box::new(state));
    evidence
}

pub(super) fn assert_fails(evidence: &Evidence, words: &str) {
    let judgement = judge(&case(), &new_kernel(), evidence);
    assert_eq!(judgement.verdict, Verdict::Fail, "{judgement:?}");
    assert_can_be_named(&judgement.findings);
    let text = format!("{:?}", judgement.findings);
    assert!(text.contains(words), "{words:?} is not in {text}");
}
