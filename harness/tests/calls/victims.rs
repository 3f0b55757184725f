// SPDX-License-Identifier: MIT OR Apache-2.0
//! Victims.

use super::{Guest, counted, done, load, spot, store};
use guest_agent::address::FileOffset;
use guest_agent::call::{
    Allocation, FileChange, Fill, ForkVictim, PageSize, ReleaseVictim, SizeProof, VictimForked,
    VictimStarted, WriteKernelFile,
};
use guest_agent::victim::{
    Disposition as D, Ended, KillPolicy, KillPolicy as K, Madvise, MappingKind, MappingSpec, Order, Reply,
    ThreadSpec, Touch, VictimSpec,
};
use harness::nvdimm::path_of;
use testcases::{Advice, MadviseError};

const PAGE: u64 = 4096;
const HUGE: u64 = 2 << 20;
const SIGBUS_BIT: u64 = 1 << 6;

/// A victim that maps one file, shared and writable.
pub(crate) fn spec(name: &str, file: &str, touches: &[Touch]) -> VictimSpec {
    VictimSpec {
        mappings: vec![MappingSpec {
            writable: true,
            ..MappingSpec::whole(&path_of(file))
        }],
        touches: touches.to_vec(),
        ..VictimSpec::reader(name, &path_of(file), KillPolicy::Default, &[])
    }
}

fn touch(touch: Touch) -> Order {
    Order::Touch(touch)
}

pub(crate) async fn do_as_they_are_told(guest: &Guest<'_>) {
    guest.make("a", 8 * PAGE, Fill::Counting).await;
    guest.make("other", 8 * PAGE, Fill::Byte(0x77)).await;
    let mapping = |kind, offset| MappingSpec {
        writable: true,
        kind,
        offset: FileOffset(offset),
        ..MappingSpec::whole(&path_of("a"))
    };
    let alice = VictimSpec {
        mappings: vec![
            mapping(MappingKind::Shared, 0),
            mapping(MappingKind::Private, 0),
            mapping(MappingKind::Sync, 4 * PAGE),
        ],
        ..spec("alice", "a", &[load(spot(0, PAGE))])
    };
    let started = guest.start(alice).await;
    let VictimStarted::Running {
        mappings, touched, ..
    } = started
    else {
        panic!("{started:?}");
    };
    assert_eq!(touched, [(load(spot(0, PAGE)), Reply::Loaded(counted(1)))]);
    assert_eq!((mappings.len(), mappings[2].length), (3, 4 * PAGE));
    assert_eq!(mappings[0].inode, guest.stat("a").await.inode);

    // What is private and only read is the file's page; what is written is the victim's own.
    let page = guest.place("a", 2 * PAGE).await.physical.page();
    assert_eq!(
        guest.calmly("alice", touch(load(spot(1, 2 * PAGE)))).await,
        Reply::Loaded(counted(2))
    );
    let state = guest.state("alice", &[spot(1, 2 * PAGE)]).await;
    assert_eq!(state.pages[0].entry.physical, Some(page));
    assert_eq!(
        guest.calmly("alice", touch(store(spot(1, 2 * PAGE), 9))).await,
        Reply::Done
    );
    let state = guest
        .state("alice", &[spot(1, 2 * PAGE), spot(0, PAGE), spot(0, 3 * PAGE)])
        .await;
    assert_ne!(state.pages[0].entry.physical, Some(page));
    assert!(state.pages[0].entry.present && state.pages[1].entry.present);
    // Nobody told it to touch that one.
    assert!(!state.pages[2].entry.present, "{state:?}");
    assert_eq!(state.pages[1].size.unwrap().size, PageSize::Base);
    assert_eq!(guest.read("a", 2 * PAGE, PAGE).await.uniform, Some(counted(2)));
    // A store through a synchronous mapping is in the file.
    assert_eq!(
        guest.calmly("alice", touch(store(spot(2, 0), 0xee))).await,
        Reply::Done
    );
    assert_eq!(guest.read("a", 4 * PAGE, 1).await.uniform, Some(0xee));
    let read = Order::Read {
        at: spot(0, 5 * PAGE),
        length: 3 * PAGE,
        checksum: true,
    };
    let Reply::Contents {
        contents,
        faulted: None,
    } = guest.calmly("alice", read).await
    else {
        panic!("a sound range");
    };
    assert!(contents.counting && contents.sha256.is_some());

    // The mapping is a buffer for direct reads and writes of another file.
    let into = Order::ReadInto {
        path: path_of("other"),
        offset: FileOffset(0),
        at: spot(0, 0),
        length: PAGE,
        direct: true,
    };
    assert_eq!(guest.calmly("alice", into).await, Reply::Moved(PAGE));
    assert_eq!(guest.read("a", 0, PAGE).await.uniform, Some(0x77));
    let from = Order::WriteFrom {
        path: path_of("other"),
        offset: FileOffset(PAGE),
        at: spot(0, 6 * PAGE),
        length: PAGE,
        direct: true,
    };
    assert_eq!(guest.calmly("alice", from).await, Reply::Moved(PAGE));
    assert_eq!(guest.read("other", PAGE, PAGE).await.uniform, Some(counted(6)));

    let pin = Order::Pin {
        at: spot(0, PAGE),
        length: 2 * PAGE,
    };
    assert_eq!(guest.calmly("alice", pin).await, Reply::Moved(2 * PAGE));
    assert_eq!(guest.calmly("alice", Order::Unpin).await, Reply::Done);
    let advise = |advice| Order::Advise {
        advice: Madvise::Advice(advice),
        at: spot(0, 0),
        length: 8 * PAGE,
    };
    assert_eq!(guest.calmly("alice", advise(Advice::Dontneed)).await, Reply::Done);
    assert!(
        !guest.state("alice", &[spot(0, PAGE)]).await.pages[0]
            .entry
            .present
    );
    assert_eq!(
        guest.calmly("alice", advise(Advice::PopulateRead)).await,
        Reply::Done
    );
    assert!(
        guest.state("alice", &[spot(0, 7 * PAGE)]).await.pages[0]
            .entry
            .present
    );
    assert_eq!(
        guest.calmly("alice", Order::Unmap { mapping: 2 }).await,
        Reply::Done
    );
    for order in [
        touch(load(spot(2, 0))),
        touch(load(spot(0, 8 * PAGE))),
        Order::StopSpinning,
    ] {
        assert!(matches!(guest.calmly("alice", order).await, Reply::Nonsense(_)));
    }
    spins(guest).await;

    let not_there = guest.start(spec("nobody", "missing", &[])).await;
    assert!(
        matches!(&not_there, VictimStarted::Refused(refusal) if refusal.errno == libc::ENOENT),
        "{not_there:?}"
    );
    // Its name is free again.
    assert!(matches!(
        guest.start(spec("nobody", "a", &[])).await,
        VictimStarted::Running { .. }
    ));
    let name = "nobody".to_owned();
    assert_eq!(guest.ask(ReleaseVictim { name }).await.ended, None);
    assert_eq!(guest.state("nobody", &[]).await.ended, Some(Ended::Killed(9)));
}

async fn spins(guest: &Guest<'_>) {
    let spin = Order::Spin {
        at: spot(0, PAGE),
        cpu: 1,
    };
    let reply = guest.calmly("alice", spin.clone()).await;
    let Reply::Spinning {
        tid,
        code_start,
        code_end,
    } = reply
    else {
        panic!("{reply:?}");
    };
    assert!(code_start < code_end && code_end - code_start < 64);
    let state = guest.state("alice", &[]).await;
    assert_eq!((state.threads.len(), state.threads[1].tid), (2, tid));
    assert!(matches!(guest.calmly("alice", spin).await, Reply::Nonsense(_)));
    let Reply::Moved(loads) = guest.calmly("alice", Order::StopSpinning).await else {
        panic!("it spun");
    };
    assert!(loads > 0);
}

async fn corrupt(guest: &Guest<'_>, file: &str, offset: u64) {
    let pfn = guest.place(file, offset).await.physical.pfn();
    done(
        guest
            .ask(WriteKernelFile {
                path: "/sys/kernel/debug/hwpoison/corrupt-pfn".to_owned(),
                text: format!("{pfn:#x}"),
            })
            .await,
    );
}

pub(crate) async fn tell_their_signals(guest: &Guest<'_>) {
    guest.make("a", 8 * PAGE, Fill::Counting).await;
    let with = |name: &str, policy, disposition| VictimSpec {
        policy,
        disposition,
        ..spec(name, "a", &[load(spot(0, PAGE)), load(spot(0, 3 * PAGE))])
    };
    for (name, policy, disposition) in [
        ("early", K::Early, D::Handler),
        ("late", K::Late, D::Handler),
        ("plain", K::Default, D::Handler),
        ("dies", K::Early, D::Default),
        ("ignores", K::Early, D::Ignored),
        ("blocks", K::Early, D::Blocked),
    ] {
        let started = guest.start(with(name, policy, disposition)).await;
        assert!(matches!(started, VictimStarted::Running { .. }), "{started:?}");
        let state = guest.state(name, &[]).await;
        let expected = match disposition {
            D::Handler => (0, 0, SIGBUS_BIT),
            D::Default => (0, 0, 0),
            D::Ignored => (0, SIGBUS_BIT, 0),
            D::Blocked => (SIGBUS_BIT, 0, SIGBUS_BIT),
        };
        let bits = |mask: u64| mask & SIGBUS_BIT;
        assert_eq!(
            (bits(state.blocked), bits(state.ignored), bits(state.caught)),
            expected,
            "{name}"
        );
        assert_eq!(state.threads[0].policy, policy);
    }
    corrupt(guest, "a", PAGE).await;
    let early = guest.state("early", &[spot(0, PAGE)]).await;
    let told = early.signals[0].clone();
    assert_eq!(
        (told.number, told.code, told.at, told.lsb, told.tid),
        (7, 5, Some(spot(0, PAGE)), Some(12), early.pid)
    );
    assert_eq!((early.signals.len(), early.pages[0].entry.present), (1, false));
    for name in ["late", "plain", "ignores"] {
        let state = guest.state(name, &[]).await;
        assert_eq!(
            (state.signals.len(), state.ended, state.pending),
            (0, None, 0),
            "{name}"
        );
    }
    assert_eq!(guest.state("dies", &[]).await.ended, Some(Ended::Killed(7)));
    let blocks = guest.state("blocks", &[]).await;
    assert_eq!(
        (blocks.signals.len(), blocks.pending & SIGBUS_BIT),
        (0, SIGBUS_BIT)
    );
    let unblocked = guest.order("blocks", Order::SetDisposition(D::Handler)).await;
    assert_eq!(unblocked.reply, Some(Reply::Done));
    assert_eq!(guest.state("blocks", &[]).await.signals[0].code, 5);

    // A victim that injects is told before its call returns, whatever its policy; one that blocks it dies.
    let advise = |page: u64| Order::Advise {
        advice: Madvise::Error(MadviseError::Hwpoison),
        at: spot(0, page * PAGE),
        length: PAGE,
    };
    let obeyed = guest.order("late", advise(3)).await;
    assert_eq!((obeyed.reply, obeyed.signals.len()), (Some(Reply::Done), 1));
    let told = &obeyed.signals[0];
    assert_eq!(
        (told.code, told.at, told.lsb),
        (4, Some(spot(0, 3 * PAGE)), Some(12))
    );
    let blocked = guest.order("blocks", Order::SetDisposition(D::Blocked)).await;
    assert_eq!(blocked.reply, Some(Reply::Done));
    let obeyed = guest.order("blocks", advise(5)).await;
    assert_eq!((obeyed.reply, obeyed.ended), (None, Some(Ended::Killed(7))));
    let refused = Order::Advise {
        advice: Madvise::Error(MadviseError::SoftOffline),
        at: spot(0, 6 * PAGE),
        length: PAGE,
    };
    let reply = guest.calmly("plain", refused).await;
    assert!(
        matches!(&reply, Reply::Refused(refusal) if refusal.errno == libc::EIO),
        "{reply:?}"
    );
}

pub(crate) async fn have_threads_and_children(guest: &Guest<'_>) {
    guest.make("a", 8 * PAGE, Fill::Counting).await;
    let thread = |name: &str, policy| ThreadSpec {
        name: name.to_owned(),
        policy,
    };
    let mut crew = spec("crew", "a", &[load(spot(0, PAGE))]);
    crew.mappings.push(MappingSpec {
        kind: MappingKind::Private,
        writable: true,
        ..MappingSpec::whole(&path_of("a"))
    });
    crew.touches.push(store(spot(1, 0), 0x99));
    crew.policy = KillPolicy::Late;
    crew.threads = vec![
        thread("crew-early", Some(KillPolicy::Early)),
        thread("crew-same", None),
    ];
    assert!(matches!(guest.start(crew).await, VictimStarted::Running { .. }));
    let state = guest.state("crew", &[]).await;
    let policies: Vec<_> = state
        .threads
        .iter()
        .map(|thread| (thread.name.as_str(), thread.policy))
        .collect();
    assert_eq!(
        policies,
        [
            ("crew", KillPolicy::Late),
            ("crew-early", KillPolicy::Early),
            ("crew-same", KillPolicy::Late)
        ]
    );

    let fork = |name: &str, child: &str| ForkVictim {
        name: name.to_owned(),
        child: child.to_owned(),
    };
    let forked = guest.ask(fork("crew", "child")).await;
    let VictimForked::Running { pid } = forked else {
        panic!("{forked:?}");
    };
    let child = guest.state("child", &[spot(0, PAGE), spot(1, 0)]).await;
    assert_eq!((child.pid, child.signals.len(), child.threads.len()), (pid, 0, 1));
    assert_eq!(child.threads[0].policy, KillPolicy::Late);
    // Entries of a shared file mapping are not copied by fork (mm/memory.c:vma_needs_copy), those of private pages are.
    println!("  child: {:?}", child.pages);
    assert!(child.pages[1].entry.present);
    assert_eq!(
        guest.calmly("child", touch(load(spot(1, 0)))).await,
        Reply::Loaded(0x99)
    );
    assert_eq!(
        guest.calmly("child", touch(load(spot(0, PAGE)))).await,
        Reply::Loaded(counted(1))
    );
    let early = Order::SetPolicy {
        thread: None,
        policy: Some(KillPolicy::Early),
    };
    assert_eq!(guest.calmly("child", early).await, Reply::Done);
    let grandchild = guest.ask(fork("child", "grandchild")).await;
    assert!(
        matches!(grandchild, VictimForked::Running { .. }),
        "{grandchild:?}"
    );

    corrupt(guest, "a", PAGE).await;
    // The signal is for the thread that asked for it.
    let state = guest.state("crew", &[]).await;
    println!("  {:?}", state.signals);
    assert_eq!(state.signals.len(), 1);
    assert_eq!(
        (state.signals[0].code, state.signals[0].tid),
        (5, state.threads[1].tid)
    );
    let child = guest.state("child", &[]).await;
    assert_eq!((child.signals.len(), child.signals[0].tid), (1, child.pid));
    // It never touched the page itself.
    assert_eq!(guest.state("grandchild", &[]).await.signals.len(), 0);

    // A parent's end is not its children's.
    let name = "crew".to_owned();
    guest.ask(ReleaseVictim { name }).await;
    assert_eq!(
        guest.calmly("child", touch(load(spot(0, 2 * PAGE)))).await,
        Reply::Loaded(counted(2))
    );
    assert_eq!(guest.state("grandchild", &[]).await.ended, None);
    let cleared = Order::SetPolicy {
        thread: None,
        policy: None,
    };
    assert_eq!(guest.calmly("child", cleared).await, Reply::Done);
    println!(
        "  cleared: {:?}",
        guest.state("child", &[]).await.threads[0].policy
    );
}

/// A mapping by a 2 MiB entry is known, and so is one by 4 KiB entries of the same file.
pub(crate) async fn prove_what_maps_them(guest: &Guest<'_>) {
    guest.make("big", 4 * HUGE, Fill::Counting).await;
    // A hole at the beginning moves the file on, until its offsets leave the same remainder as its addresses.
    let remainder = guest.place("big", 0).await.physical.0 % HUGE;
    let insert = FileChange::Allocate {
        path: path_of("big"),
        mode: Allocation::Insert,
        offset: FileOffset(0),
        length: remainder,
    };
    assert_eq!(guest.change(insert).await, 0);
    let at = HUGE;
    assert_eq!(guest.place("big", at).await.physical.0 % HUGE, 0);
    let huge = |name: &str, huge| {
        let mut victim = spec(name, "big", &[]);
        victim.mappings[0].huge = huge;
        victim
    };
    assert!(matches!(
        guest.start(huge("large", true)).await,
        VictimStarted::Running { .. }
    ));
    assert!(matches!(
        guest.start(huge("small", false)).await,
        VictimStarted::Running { .. }
    ));
    for name in ["large", "small"] {
        let reply = guest.calmly(name, touch(load(spot(0, at + 5 * PAGE)))).await;
        assert!(matches!(reply, Reply::Loaded(_)));
    }
    let proof = if guest.version < (6, 7) {
        SizeProof::Fault
    } else {
        SizeProof::PageTable
    };
    let spots = [spot(0, at + 5 * PAGE), spot(0, at + 7 * PAGE)];
    let large = guest.state("large", &spots).await;
    println!("  {:?}", large.pages);
    for page in large.pages {
        let size = page.size.unwrap();
        assert_eq!((size.size, size.proof), (PageSize::Huge, proof));
    }
    // The kernel's choice of an address is as likely as not good for huge pages too: only what is claimed is judged.
    let small = guest.state("small", &spots).await;
    println!("  {:?}", small.pages);
    assert_eq!(small.pages[0].size.unwrap().proof, proof);
    // The same page by small entries: an entry for 2 MiB does not fit a mapping that begins behind its beginning.
    let mut part = huge("part", true);
    part.mappings[0].offset = FileOffset(at + PAGE);
    part.mappings[0].length = Some(16 * PAGE);
    part.touches = vec![load(spot(0, 4 * PAGE))];
    assert!(matches!(guest.start(part).await, VictimStarted::Running { .. }));
    let part = guest.state("part", &[spot(0, 4 * PAGE), spot(0, 5 * PAGE)]).await;
    println!("  {:?}", part.pages);
    let size = part.pages[0].size.unwrap();
    assert_eq!((size.size, size.proof), (PageSize::Base, proof));
    assert!(part.pages[1].size.is_none());
}
