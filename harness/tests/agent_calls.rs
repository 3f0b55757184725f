// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the agent can be asked, asked of a real guest: that each call does what it says, and what kernels answer.
//!
//! The default kernel's guest is asked, or those of the kernels that `TASTER_TEST_KERNELS` names, with blanks between.
#![allow(
    clippy::unwrap_used,
    reason = "a test's helper functions fail like the test itself"
)]

mod calls;
mod common;

use calls::Guest;
use common::workbench::Workbench;
use guest_images::KernelSpec;
use harness::template::stack;
use machine::snapshot::Store;
use std::pin::Pin;

/// Asks about one subject, in a clone of its own.
type Subject = for<'a> fn(&'a Guest) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

async fn in_clones(subjects: &[(&str, Subject)]) {
    let kernels = match std::env::var("TASTER_TEST_KERNELS") {
        Ok(names) => names
            .split_whitespace()
            .map(|name| KernelSpec::parse(name, None).unwrap())
            .collect(),
        Err(_) => vec![KernelSpec::default_kernel().unwrap()],
    };
    for kernel in kernels {
        let bench = Workbench::of(&kernel);
        let store = Store::open(bench.cache.root()).unwrap();
        let chain = bench.chain(&store).await;
        for (name, subject) in subjects {
            println!("{kernel}: {name}");
            let folder = tempfile::tempdir().unwrap();
            let clone = bench.clone_of(&store, &chain.xfs, folder.path()).await;
            let guest = Guest::new(&clone, stack(&chain.xfs).unwrap()).await;
            subject(&guest).await;
            clone.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_mounts() {
    in_clones(&[
        ("files", |guest| {
            Box::pin(calls::files::are_changed_and_read(guest))
        }),
        ("sharing", |guest| Box::pin(calls::files::share_blocks(guest))),
        ("mounts", |guest| {
            Box::pin(calls::mounts::are_changed_and_described(guest))
        }),
        ("whereabouts", |guest| {
            Box::pin(calls::mounts::are_where_the_kernel_says(guest))
        }),
        ("space", |guest| {
            Box::pin(calls::space::has_an_owner_everywhere(guest))
        }),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn victims() {
    in_clones(&[
        ("orders", |guest| {
            Box::pin(calls::victims::do_as_they_are_told(guest))
        }),
        ("signals", |guest| {
            Box::pin(calls::victims::tell_their_signals(guest))
        }),
        ("threads", |guest| {
            Box::pin(calls::victims::have_threads_and_children(guest))
        }),
        ("huge pages", |guest| {
            Box::pin(calls::victims::prove_what_maps_them(guest))
        }),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_and_what_is_known_of_them() {
    in_clones(&[
        ("facts", |guest| Box::pin(calls::facts::change_nothing(guest))),
        ("injections", |guest| {
            Box::pin(calls::errors::are_made_in_the_guest(guest))
        }),
        ("shutdown", |guest| {
            Box::pin(calls::errors::shut_down_and_are_watched(guest))
        }),
        ("runs", |guest| Box::pin(calls::runs_have_deadlines(guest))),
    ])
    .await;
}
