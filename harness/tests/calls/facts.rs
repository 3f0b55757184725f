// SPDX-License-Identifier: MIT OR Apache-2.0
//! Facts for the oracle.

use super::victims::spec;
use super::{Guest, done, errno, load, spot, store};
use guest_agent::MOUNT_POINT;
use guest_agent::call::{
    Caches, ChangeMount, Facts, FileChange, Fill, GoingDown, MountChange, PageSize, SpaceOwner, Unmount,
    VictimStarted, WhyInCore,
};
use guest_agent::victim::{Disposition, KillPolicy, MappingKind, MappingSpec, VictimSpec};
use harness::nvdimm::{self, path_of};
use std::time::Duration;

const PAGE: u64 = 4096;

pub(crate) async fn change_nothing(guest: &Guest<'_>) {
    guest.make("a", 8 * PAGE, Fill::Counting).await;
    let reflink = FileChange::Reflink {
        from: path_of("a"),
        to: path_of("b"),
    };
    assert_eq!(guest.change(reflink).await, 0);
    guest.make("aside", 8 * PAGE, Fill::Byte(1)).await;
    guest.make("gone", 8 * PAGE, Fill::Byte(1)).await;
    let alice = VictimSpec {
        policy: KillPolicy::Early,
        mappings: vec![
            MappingSpec {
                kind: MappingKind::Private,
                writable: true,
                ..MappingSpec::whole(&path_of("a"))
            },
            MappingSpec::whole(&path_of("gone")),
        ],
        ..spec("alice", "a", &[store(spot(0, 2 * PAGE), 1)])
    };
    let bob = VictimSpec {
        disposition: Disposition::Blocked,
        ..spec("bob", "b", &[load(spot(0, 2 * PAGE))])
    };
    for victim in [alice, bob, spec("carol", "b", &[load(spot(0, 5 * PAGE))])] {
        let started = guest.start(victim).await;
        assert!(matches!(started, VictimStarted::Running { .. }), "{started:?}");
    }
    let place = guest.place("gone", 0).await.device.0;
    let unlink = FileChange::Unlink {
        path: path_of("gone"),
    };
    assert_eq!(guest.change(unlink).await, 0);
    let drop = FileChange::DropCaches { what: Caches::Both };
    assert_eq!(guest.change(drop).await, 0);
    let shared = guest.place("a", 2 * PAGE).await;
    let pages = [shared.device.0, place, 0];
    let files = ["a", "b", "aside", "nowhere"];

    let facts = guest.facts(&pages, &files).await;
    println!("  {:#?}", facts.pages);
    println!("  {:?}", facts.in_core);
    assert!(!facts.early_kill && facts.recovery && facts.mount.shut_down == Some(false));
    let [page, gone, header] = &facts.pages[..] else {
        panic!("three pages were asked for");
    };
    assert_eq!((page.offset.0, page.physical), (shared.device.0, shared.physical));
    let (a, b) = (guest.stat("a").await.inode, guest.stat("b").await.inode);
    let mut owners: Vec<u64> = done(page.owners.clone())
        .iter()
        .filter_map(|record| match record.owner {
            SpaceOwner::Inode { number, .. } if record.shared => Some(number),
            _ => None,
        })
        .collect();
    owners.sort_unstable();
    assert_eq!(owners, [a.min(b), a.max(b)]);
    assert_eq!(done(header.owners.clone())[0].owner, SpaceOwner::AgHeader);
    assert_eq!(done(header.mapped.clone()), []);

    let mapped = done(page.mapped.clone());
    let of = |name: &str| mapped.iter().find(|covering| covering.victim == name).unwrap();
    assert_eq!(mapped.len(), 3);
    assert!(of("alice").copied && of("alice").entry.present && !of("alice").points_there());
    assert!(of("bob").points_there() && of("bob").at == spot(0, 2 * PAGE));
    assert_eq!(of("bob").size.unwrap().size, PageSize::Base);
    assert!(!of("carol").entry.present && of("carol").size.is_none());
    // Its name is gone, and it is found.
    assert_eq!(done(gone.mapped.clone())[0].at, spot(1, 0));
    assert_eq!(facts.victims["alice"].state.threads[0].policy, KillPolicy::Early);
    assert_eq!(facts.victims["bob"].mappings[0].as_ref().unwrap().inode, b);

    assert!(
        facts.in_core[&a]
            .why
            .contains(&WhyInCore::Mapped("alice".to_owned()))
    );
    assert_eq!(facts.in_core[&a].dax, Some(true));
    // Asking does not bring anything in: a second time says the same, and what nobody keeps in core is not there.
    let aside = |facts: &Facts| {
        facts
            .in_core
            .values()
            .any(|inode| inode.why.contains(&WhyInCore::Cached(path_of("aside"))))
    };
    let again = guest.facts(&pages, &files).await;
    assert_eq!(
        (again.pages == facts.pages, again.in_core == facts.in_core),
        (true, true)
    );
    assert!(!aside(&facts), "{:?}", facts.in_core);
    guest.stat("aside").await;
    assert!(aside(&guest.facts(&pages, &files).await));
    assert!(
        !guest.state("carol", &[spot(0, 2 * PAGE)]).await.pages[0]
            .entry
            .present
    );

    // Of a filesystem that is shut down, and of one that is not mounted, is said what can be.
    let at = MOUNT_POINT.to_owned();
    let change = MountChange::ShutDown(GoingDown::LogFlush);
    assert_eq!(
        errno(
            &guest
                .ask(ChangeMount {
                    at: at.clone(),
                    change
                })
                .await
        ),
        0
    );
    let down = guest.facts(&pages, &files).await;
    println!(
        "  shut down: {:?} {:?} {:?}",
        down.pages[0].owners, down.pages[0].mapped, down.in_core
    );
    assert_eq!(down.mount.shut_down, Some(true));
    assert_eq!(
        (errno(&down.pages[0].owners), errno(&down.pages[0].mapped)),
        (libc::EIO, libc::EIO)
    );
    assert!(down.in_core.contains_key(&a));
    for name in ["alice", "bob", "carol"] {
        let name = name.to_owned();
        guest.ask(guest_agent::call::ReleaseVictim { name }).await;
    }
    assert_eq!(errno(&guest.ask(Unmount { at }).await), 0);
    let gone = guest.facts(&pages, &files).await;
    println!("  unmounted: {:?}", gone.pages[0].owners);
    assert!(gone.mount.mounted.is_none() && gone.in_core.is_empty());
    assert_ne!(errno(&gone.pages[0].owners), 0);
    assert_eq!(done(gone.pages[0].mapped.clone()), []);
    let mounted = nvdimm::mount(
        &guest.clone.agent,
        &guest.stack,
        "dax=always",
        Duration::from_secs(60),
    )
    .await;
    assert_eq!(errno(&mounted.unwrap()), 0);
}
