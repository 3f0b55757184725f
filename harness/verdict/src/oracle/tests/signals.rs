// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who is told, and how.

use super::world::{
    A, B, C, HERE, HERE_2M, blocking, consumed_by, default, early, faulted, file, fork_of, late, madvise,
    main_of, page, page_in, thread, victim, with_sigbus, world,
};
use super::{ALL, NEW, OLD, RECOVERED, RECOVERED_MCE, Row, row};
use crate::oracle::facts::{Disposition, Entry, FilePlace, Region, ThreadOf, VictimFacts};
use guest_agent::address::FileOffset;
use guest_agent::victim::KillPolicy;
use testcases::MadviseError::Hwpoison;
use testcases::Mechanism::{MachineCheck, Madvise};
use testcases::Severity::ActionOptional;

/// A process of two threads with policies of their own.
fn two_threads(first: KillPolicy, second: KillPolicy) -> VictimFacts {
    VictimFacts {
        threads: vec![thread("main", first), thread("worker", second)],
        ..victim("alice", first, [page(A, HERE)])
    }
}

fn dead(victim: VictimFacts) -> VictimFacts {
    VictimFacts {
        alive: false,
        ..victim
    }
}

fn waiting(mut victim: VictimFacts) -> VictimFacts {
    for thread in &mut victim.threads {
        thread.has_sigbus_pending = true;
    }
    blocking(victim)
}

/// The page lies twice in one file.
fn twice_in_a(entry: Entry) -> crate::oracle::facts::MappedPage {
    let mut second = page(A, entry);
    second.file = FilePlace {
        inode: A,
        offset: FileOffset(0x8_1000),
    };
    second.at = 0x8_1000;
    second.address += 0x8_0000;
    second
}

fn second_extent() -> crate::oracle::facts::OwnerFacts {
    fork_of(A, |record| {
        record.owner = guest_agent::call::SpaceOwner::Inode {
            number: A,
            offset: FileOffset(0x8_0000),
        };
    })
}

fn told() -> Vec<Row> {
    let early_a = || early("alice", [page(A, HERE)]);
    let shared = || world([file(A), file(B)]);
    let unshared = || world([file(A)]);
    let ignoring = |victim| with_sigbus(victim, Disposition::Ignored);
    let unhandled = |victim| with_sigbus(victim, Disposition::Default);
    vec![
        // Who is signalled for another's error.
        row(
            "default, sysctl 0",
            unshared().victims([default("alice", [page(A, HERE)])]),
            ALL,
            "alice: -",
            RECOVERED,
        ),
        row(
            "early",
            unshared().victims([early_a()]),
            ALL,
            "alice: AO, gone: alice",
            RECOVERED,
        ),
        row(
            "default, sysctl 1",
            unshared()
                .early_kill()
                .victims([default("alice", [page(A, HERE)])]),
            ALL,
            "alice: AO, gone: alice",
            RECOVERED,
        ),
        row(
            "late, sysctl 1, nobody else",
            unshared().early_kill().victims([late("alice", [page(A, HERE)])]),
            ALL,
            "alice: -",
            RECOVERED,
        ),
        row(
            "late, sysctl 1, another collected",
            unshared()
                .early_kill()
                .victims([default("alice", [page(A, HERE)]), late("bob", [page(A, HERE)])]),
            ALL,
            "alice: AO, bob: -, gone: alice bob",
            RECOVERED,
        ),
        row(
            "maps another file",
            unshared().victims([early("carol", [])]),
            ALL,
            "carol: -",
            RECOVERED,
        ),
        row(
            "mapped, not touched",
            unshared().victims([early("dave", [page(A, Entry::Absent)])]),
            ALL,
            "dave: -",
            RECOVERED,
        ),
        row(
            "MAP_PRIVATE, only read",
            unshared().victims([{
                let mut alice = early_a();
                alice.pages[0].private = true;
                alice
            }]),
            ALL,
            "alice: AO, gone: alice",
            RECOVERED,
        ),
        row(
            "MAP_PRIVATE, written",
            unshared().victims([{
                let mut alice = early("alice", [page(A, Entry::Elsewhere)]);
                alice.pages[0].private = true;
                alice
            }]),
            ALL,
            "alice: -",
            RECOVERED,
        ),
        row(
            "unlinked, open and mapped",
            world([super::world::file_that(A, |inode| inode.kind = None)]).victims([early_a()]),
            ALL,
            "alice: AO, gone: alice",
            RECOVERED,
        ),
        row(
            "a private copy keeps its entry when others lose theirs",
            unshared().victims([early_a(), {
                let mut bob = late("bob", [page(A, Entry::Elsewhere)]);
                bob.pages[0].private = true;
                bob
            }]),
            ALL,
            "alice: AO, bob: -, gone: alice",
            RECOVERED,
        ),
        row(
            "a victim that has died before",
            unshared().victims([dead(early_a()), early("bob", [page(A, HERE)])]),
            ALL,
            "bob: AO, gone: bob",
            RECOVERED,
        ),
        row(
            "madvise",
            unshared()
                .by(madvise("alice"))
                .victims([default("alice", [page(A, HERE)])]),
            ALL,
            "alice: AR, gone: alice",
            RECOVERED,
        ),
        row(
            "two files, two early",
            shared().victims([early_a(), early("bob", [page(B, HERE)])]),
            ALL,
            "alice: AO, bob: AO, gone: alice bob",
            RECOVERED,
        ),
        row(
            "the same by machine check",
            shared().by(MachineCheck(ActionOptional)).victims([
                early_a(),
                early("bob", [page(B, HERE)]),
                early("carol", []),
            ]),
            ALL,
            "alice: AO, bob: AO, carol: -, gone: alice bob",
            RECOVERED_MCE,
        ),
        row(
            "madvise through one file, default through the other",
            shared()
                .by(madvise("alice"))
                .victims([default("alice", [page(A, HERE)]), default("bob", [page(B, HERE)])]),
            ALL,
            "alice: AR, bob: -, gone: alice",
            RECOVERED,
        ),
        row(
            "sysctl 1",
            unshared().early_kill().victims([
                default("alice", [page(A, HERE)]),
                late("bob", [page(A, HERE)]),
                default("carol", []),
                default("dave", [page(A, Entry::Absent)]),
            ]),
            ALL,
            "alice: AO, bob: -, carol: -, dave: -, gone: alice bob",
            RECOVERED,
        ),
        row(
            "SIGBUS blocked",
            unshared().victims([blocking(early_a())]),
            ALL,
            "alice: keep SIGBUS pending, gone: alice",
            RECOVERED,
        ),
        row(
            "blocked, one waiting already",
            unshared().victims([waiting(early_a())]),
            ALL,
            "alice: keep SIGBUS pending, gone: alice",
            RECOVERED,
        ),
        row(
            "blocked and ignored: it waits",
            unshared().victims([ignoring(blocking(early_a()))]),
            ALL,
            "alice: keep SIGBUS pending, gone: alice",
            RECOVERED,
        ),
        row(
            "one waiting that is no longer blocked",
            unshared().victims([{
                let mut alice = waiting(early_a());
                alice.threads[0].blocks_sigbus = false;
                alice
            }]),
            ALL,
            "alice: -, gone: alice",
            RECOVERED,
        ),
        row(
            "no handler",
            unshared().victims([unhandled(early_a())]),
            ALL,
            "alice: die of SIGBUS",
            RECOVERED,
        ),
        row(
            "SIGBUS ignored",
            unshared().victims([ignoring(early_a())]),
            ALL,
            "alice: -, gone: alice",
            RECOVERED,
        ),
        row(
            "the second thread is early",
            unshared().victims([two_threads(KillPolicy::Default, KillPolicy::Early)]),
            ALL,
            "alice: AO, to thread worker, gone: alice",
            RECOVERED,
        ),
        row(
            "the first of two early",
            unshared().victims([two_threads(KillPolicy::Early, KillPolicy::Early)]),
            ALL,
            "alice: AO, gone: alice",
            RECOVERED,
        ),
        row(
            "a late first thread does not answer for a default second one, sysctl 1",
            unshared()
                .early_kill()
                .victims([two_threads(KillPolicy::Late, KillPolicy::Default)]),
            ALL,
            "alice: AO, to thread worker, gone: alice",
            RECOVERED,
        ),
        row(
            "madvise by the second thread: it is current",
            unshared()
                .by((
                    Madvise(Hwpoison),
                    ThreadOf {
                        victim: "alice".into(),
                        thread: "worker".into(),
                        ..main_of("alice")
                    },
                ))
                .victims([two_threads(KillPolicy::Early, KillPolicy::Late)]),
            ALL,
            "alice: AR, to thread worker, gone: alice",
            RECOVERED,
        ),
        row(
            "a child has inherited early",
            unshared().victims([early_a(), early("amy", [page(A, HERE)])]),
            ALL,
            "alice: AO, amy: AO, gone: alice amy",
            RECOVERED,
        ),
        row(
            "one process maps three files that share",
            world([file(A), file(B), file(C)]).victims([early(
                "alice",
                [page_in(0, A, HERE), page_in(1, B, HERE), page_in(2, C, HERE)],
            )]),
            ALL,
            "alice: 1 to 3 of (AO | AO at 4KiB of mapping 1, lsb 12 | AO at 4KiB of mapping 2, lsb 12), gone: alice alice alice",
            RECOVERED,
        ),
        row(
            "and injects it: one signal, for it is in the kernel all the while",
            shared()
                .by(madvise("alice"))
                .victims([late("alice", [page_in(0, A, HERE), page_in(1, B, HERE)])]),
            ALL,
            "alice: one of (AR | AR at 4KiB of mapping 1, lsb 12), gone: alice alice",
            RECOVERED,
        ),
        row(
            "one file mapped twice, once touched",
            unshared().victims([early(
                "alice",
                [page_in(0, A, HERE), page_in(1, A, Entry::Absent)],
            )]),
            ALL,
            "alice: AO, gone: alice",
            RECOVERED,
        ),
        row(
            "one file mapped twice, both touched",
            unshared().victims([early("alice", [page_in(0, A, HERE), page_in(1, A, HERE)])]),
            ALL,
            "alice: 1 to 2 of (AO | AO at 4KiB of mapping 1, lsb 12), gone: alice alice",
            RECOVERED,
        ),
        row(
            "one file has the block twice",
            world([file(A), second_extent()]).victims([
                early("alice", [page(A, HERE), twice_in_a(Entry::Absent)]),
                early("bob", [twice_in_a(HERE)]),
                late("eve", [page(A, HERE)]),
            ]),
            ALL,
            "alice: AO, bob: AO at 516KiB, lsb 12, eve: -, gone: alice bob eve",
            RECOVERED,
        ),
        row(
            "2 MiB",
            unshared().victims([early("alice", [page(A, HERE_2M)])]),
            ALL,
            "alice: AO at 4KiB, lsb 21, gone: alice",
            RECOVERED,
        ),
        row(
            "2 MiB by madvise",
            unshared()
                .by(madvise("alice"))
                .victims([early("alice", [page(A, HERE_2M)])]),
            ALL,
            "alice: AR at 4KiB, lsb 21, gone: alice",
            RECOVERED,
        ),
        row(
            "another 2 MiB of the file",
            unshared().victims([early("alice", [page(A, HERE_2M)]), early("bob", [])]),
            ALL,
            "alice: AO at 4KiB, lsb 21, bob: -, gone: alice",
            RECOVERED,
        ),
        row(
            "2 MiB shared by reflink",
            shared().victims([
                early("alice", [page(A, HERE_2M)]),
                early("bob", [page(B, HERE_2M)]),
            ]),
            ALL,
            "alice: AO at 4KiB, lsb 21, bob: AO at 4KiB, lsb 21, gone: alice bob",
            RECOVERED,
        ),
        row(
            "the size of the entry is not known",
            unshared().victims([early("alice", [page(A, Entry::Here(None))])]),
            ALL,
            "alice: AO at 4KiB, gone: alice",
            RECOVERED,
        ),
    ]
}

/// Those who run into the error themselves, and those who are found without a filesystem's help.
fn others() -> Vec<Row> {
    let early_a = || early("alice", [page(A, HERE)]);
    let shared = || world([file(A), file(B)]);
    let unshared = || world([file(A)]);
    let ignoring = |victim| with_sigbus(victim, Disposition::Ignored);
    let unhandled = |victim| with_sigbus(victim, Disposition::Default);
    let dies_first = "injector ?, notify 0, up, badblocks same, event Recovered, corrupted 4096";
    vec![
        // A process that runs into the error itself.
        row(
            "action required, default policy",
            unshared()
                .by(consumed_by("alice"))
                .victims([default("alice", [page(A, HERE)])]),
            ALL,
            "alice: AR, gone? alice",
            RECOVERED_MCE,
        ),
        row(
            "action required takes the sharers along that are early",
            shared().by(consumed_by("alice")).victims([
                late("alice", [page(A, HERE)]),
                early("bob", [page(B, HERE)]),
                default("carol", [page(B, HERE)]),
            ]),
            ALL,
            "alice: AR, bob: AO, carol: -, gone: bob carol, gone? alice",
            RECOVERED_MCE,
        ),
        row(
            "madvise, SIGBUS blocked: forced",
            unshared().by(madvise("alice")).victims([blocking(early_a())]),
            ALL,
            "alice: die of SIGBUS",
            dies_first,
        ),
        row(
            "madvise, SIGBUS ignored: forced",
            unshared().by(madvise("alice")).victims([ignoring(early_a())]),
            ALL,
            "alice: die of SIGBUS",
            dies_first,
        ),
        row(
            "madvise, no handler",
            unshared().by(madvise("alice")).victims([unhandled(early_a())]),
            ALL,
            "alice: die of SIGBUS",
            dies_first,
        ),
        row(
            "madvise faults the page in",
            unshared()
                .by(madvise("alice"))
                .victims([default("alice", [page(A, Entry::Absent)])]),
            ALL,
            "alice: AR at 4KiB",
            RECOVERED,
        ),
        row(
            "madvise faults a shared page in and takes another's entry for the same file",
            shared().by(madvise("alice")).victims([
                default("alice", [page(A, Entry::Absent)]),
                early("bob", [page(A, HERE)]),
                early("carol", [page(B, HERE)]),
                late("dave", [page(A, HERE)]),
            ]),
            NEW,
            "alice: AR at 4KiB, bob: -, carol: AO, dave: -, gone: bob carol dave",
            RECOVERED,
        ),
        row(
            "leaves it",
            shared().by(madvise("alice")).victims([
                default("alice", [page(A, Entry::Absent)]),
                early("bob", [page(A, HERE)]),
            ]),
            OLD,
            "alice: AR at 4KiB, bob: AO, gone: bob",
            RECOVERED,
        ),
        row(
            "madvise faults in the place where it injects, and no other of the file that has the block too",
            world([file(A), second_extent()])
                .by((
                    Madvise(Hwpoison),
                    ThreadOf {
                        at: 0x8_1000,
                        ..main_of("alice")
                    },
                ))
                .victims([default(
                    "alice",
                    [page(A, Entry::Absent), twice_in_a(Entry::Absent)],
                )]),
            ALL,
            "alice: AR at 516KiB",
            RECOVERED,
        ),
        row(
            "one block twice in a file: both places go, the early ones of both are told",
            world([file(A), second_extent()])
                .by(consumed_by("alice"))
                .victims([
                    late("alice", [page(A, HERE), twice_in_a(Entry::Absent)]),
                    early("bob", [page(A, HERE)]),
                    early("carol", [twice_in_a(HERE)]),
                    late("dave", [twice_in_a(HERE)]),
                ]),
            ALL,
            "alice: AR, bob: AO, carol: AO at 516KiB, lsb 12, dave: -, gone: bob carol dave, gone? alice",
            RECOVERED_MCE,
        ),
        row(
            "madvise faults in what its process has in another mapping",
            unshared()
                .by(madvise("alice"))
                .victims([default("alice", [page(A, Entry::Absent), page_in(1, A, HERE)])]),
            ALL,
            "alice: one of (AR at 4KiB | AR at 4KiB of mapping 1, lsb 12), gone: alice",
            RECOVERED,
        ),
        row(
            "its own fault takes the entry of the other mapping away where the block is shared",
            shared()
                .by(madvise("alice"))
                .victims([default("alice", [page(A, Entry::Absent), page_in(1, A, HERE)])]),
            NEW,
            "alice: AR at 4KiB, gone: alice",
            RECOVERED,
        ),
        row(
            "the private copy was hit before: the file's page is not its any more",
            unshared().victims([
                early("alice", [page(A, Entry::Poisoned)]),
                early("bob", [page(A, HERE)]),
            ]),
            ALL,
            "alice: -, bob: AO, gone: bob",
            RECOVERED,
        ),
        row(
            "a victim without known threads",
            unshared().victims([VictimFacts {
                threads: Vec::new(),
                ..early_a()
            }]),
            ALL,
            "alice: ?",
            RECOVERED,
        ),
        // Without a filesystem's help.
        row(
            "rmapbt=0, mapped",
            unshared()
                .without_rmapbt()
                .victims([early_a(), late("bob", [page(A, HERE)])]),
            ALL,
            "alice: AO, bob: -, gone: alice bob",
            "injector ok, notify -EOPNOTSUPP, up, badblocks same, event Recovered, corrupted 4096",
        ),
        row(
            "rmapbt=0, GETFSMAP and FIEMAP named no owner, a victim does",
            world([]).without_rmapbt().victims([early_a()]),
            ALL,
            "alice: AO, gone: alice",
            "injector ok, notify -EOPNOTSUPP, up, badblocks same, event Recovered, corrupted 4096",
        ),
        row(
            "rmapbt=0, faulted in once, nobody has it now",
            world([faulted(A, true)])
                .without_rmapbt()
                .victims([early("alice", [page(A, Entry::Absent)])]),
            ALL,
            "alice: -",
            "injector ok, notify -EOPNOTSUPP, up, badblocks same, event Recovered, corrupted 4096",
        ),
        row(
            "realtime device without reverse mappings",
            unshared()
                .region(Region::Realtime(super::world::PLACE))
                .victims([early_a()]),
            ALL,
            "alice: AO, gone: alice",
            "injector ok, notify -EOPNOTSUPP, up, badblocks same, event Recovered, corrupted 4096",
        ),
    ]
}

pub(super) fn rows() -> Vec<Row> {
    [told(), others()].into_iter().flatten().collect()
}
