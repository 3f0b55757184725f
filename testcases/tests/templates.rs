// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the head of a case says of its guest.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use testcases::{Case, Ground, Isolation, Log, PageSize, Template, Xfs, parse};

fn headed(head: &str) -> Case {
    let source = format!("summary: s\nwhy: w\n{head}\nsteps:\n  - expect: {{ badblocks: [] }}\n");
    parse(&source, Path::new("case.yaml"), "case".parse().unwrap()).unwrap_or_else(|wrong| panic!("{wrong}"))
}

#[test]
fn a_word_is_a_template_without_parameters() {
    let plain = headed("template: xfs");
    assert_eq!(plain.template, Template::Xfs(Xfs::default()));
    assert_eq!(plain.isolation, Isolation::Clone);
    assert_eq!(
        headed("template: unmounted").template,
        Template::Unmounted { nvdimms: 1 }
    );
    let align = PageSize::Huge;
    assert_eq!(headed("template: devdax").template, Template::Devdax { align });
}

#[test]
fn parameters_say_what_is_special() {
    let stacked = headed("template: { xfs: { mkfs: [\"-m\", \"rmapbt=0\"], log: external, on: stripe } }");
    let expected = Xfs {
        mkfs: vec!["-m".to_owned(), "rmapbt=0".to_owned()],
        log: Log::External,
        on: Ground::Stripe,
        ..Xfs::default()
    };
    assert_eq!(stacked.template, Template::Xfs(expected));
    let realtime = headed("template: { xfs: { realtime: true } }\nisolation: boot");
    assert!(matches!(&realtime.template, Template::Xfs(xfs) if xfs.realtime));
    assert_eq!(realtime.isolation, Isolation::Boot);
    assert_eq!(
        headed("template: { unmounted: { nvdimms: 2 } }").template,
        Template::Unmounted { nvdimms: 2 }
    );
    let align = PageSize::Base;
    let small = headed("template: { devdax: { align: 4KiB } }").template;
    assert_eq!(small, Template::Devdax { align });
}
