// SPDX-License-Identifier: MIT OR Apache-2.0
//! The searches as their users, and git, meet them: what is answered before anything is built. No guest, no network.
#![allow(
    clippy::unwrap_used,
    reason = "a test's helper functions fail like the test itself"
)]

use std::path::Path;
use std::process::Command;

/// Exit status, standard output, standard error.
fn ask(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(arguments)
        .current_dir(folder)
        .env("TASTER_CACHE", folder.join("cache"))
        .env_remove("TASTER_QEMU")
        .output()
        .unwrap();
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn a_step_that_cannot_be_taken_stops_git_bisect_instead_of_saying_bad() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, word) in [
        (&["bisect-step", "--typo"][..], "command line"),
        (&["bisect-step", "--repeat", "0"], "command line"),
        (&["bisect-step", "--case", "no/such"], "no such case"),
        (&["bisect-step", "--case", "data/"], "no Makefile"),
        (&["bisect-step", "--tree", "nowhere"], "nowhere"),
    ] {
        let (status, said, _) = ask(folder.path(), arguments);
        // Above 128: neither bad nor skipped (git-bisect(1), "bisect run").
        assert_eq!(status, 129, "{arguments:?}: {said}");
        let last = said.lines().last().unwrap();
        assert!(
            last.starts_with("bisect-step: stop: ") && last.contains(word),
            "{last}"
        );
    }
    let (status, said, _) = ask(folder.path(), &["bisect-step", "--help"]);
    assert!(status == 0 && said.contains("125"), "{said}");
}

#[test]
fn a_bisection_of_nothing_says_what_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let git = |arguments: &[&str]| {
        let done = Command::new("git")
            .arg("-C")
            .arg(folder.path())
            .args(arguments)
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    git(&["init", "--quiet"]);
    let bisect = |more: &[&str]| ask(folder.path(), &[&["bisect", "--tree", "."], more].concat());
    let (status, _, said) = bisect(&["--good", "a", "--bad", "b", "--case", "data/"]);
    assert!(
        status == 2 && said.contains("rev-parse b") && said.contains("no such commit"),
        "{said}"
    );
    let (status, _, said) = bisect(&["--good", "a", "--bad", "b"]);
    assert!(status == 2 && said.contains("--case"), "{said}");
}

#[test]
fn mutants_are_listed_one_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let (status, listed, _) = ask(folder.path(), &["mutants", "--list"]);
    assert_eq!(status, 0);
    assert!(listed.lines().count() >= 30);
    for name in [
        "block-count-one-short",
        "scan-stopped-at-first-metadata",
        "sb-born-on-the-wrong-word",
        "eopnotsupp-without-generic-path",
        "partition-check-removed",
        "attr-fork-test-dropped",
        "enodata-taken-for-an-error",
        "ao-and-ar-swapped",
        "lsb-always-12",
        "data-offset-not-subtracted",
        "bad-range-not-recorded",
    ] {
        assert_eq!(
            listed.lines().filter(|line| line.starts_with(name)).count(),
            1,
            "{name}"
        );
    }
    let (status, _, said) = ask(folder.path(), &["mutants", "no-such-mutant"]);
    assert!(status == 2 && said.contains("--list"), "{said}");
    // Nobody can notice it, so it names nobody.
    let (status, _, said) = ask(folder.path(), &["mutants", "--named", "length-in-sectors"]);
    assert!(status == 2 && said.contains("without --named"), "{said}");
    let (status, _, said) = ask(folder.path(), &["mutants", "--named", "--case", "data/"]);
    assert!(status == 2 && said.contains("--case"), "{said}");
    std::fs::write(folder.path().join("page.md"), "# No table\n").unwrap();
    let (status, _, said) = ask(folder.path(), &["mutants", "lsb-zero", "--table", "page.md"]);
    assert!(status == 2 && said.contains("<!-- fates: begin -->"), "{said}");
}

#[test]
fn what_is_no_source_is_not_built() {
    let folder = tempfile::tempdir().unwrap();
    let (status, _, said) = ask(folder.path(), &["kernel", "build", "--tree", "."]);
    assert!(status == 2 && said.contains("no Makefile"), "{said}");
    let (status, _, said) = ask(folder.path(), &["kernel", "build", "--source", "debian-6.18"]);
    assert!(
        said.contains("there is source for") && status == 3,
        "{status} {said}"
    );
    let (status, _, said) = ask(folder.path(), &["kernel", "build", "--source", "debian-6.11"]);
    assert!(status == 2 && said.contains("did you mean"), "{said}");
}
