// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files and folders as they really are: unreadable, too large, wrongly named.

#![allow(
    clippy::unwrap_used,
    clippy::format_push_string,
    reason = "a test may panic, and need not be fast"
)]

use std::fs;
use std::path::Path;

use testcases::{discover, load, load_all};

const GOOD: &str = "summary: s\nwhy: w\ntemplate: xfs\nsteps:\n  - expect: { filesystem: up }\n";

/// What is said of the file `name` in a folder where `make` has put something under that name.
fn said_of(name: &str, make: impl FnOnce(&Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    make(&path);
    let text = load(&path, folder.path()).map_or_else(|wrong| wrong.to_string(), |case| format!("{case:?}"));
    text.replace(&folder.path().display().to_string(), "CASES")
}

#[test]
fn a_file_that_is_not_there() {
    let said = said_of("a.yaml", |_| ());
    assert!(
        said.starts_with("error: cannot read this file: No such file"),
        "{said}"
    );
    assert!(
        said.contains("CASES/a.yaml") && said.contains("help: check the path"),
        "{said}"
    );
}

#[test]
fn a_folder() {
    let said = said_of("a.yaml", |path| fs::create_dir(path).unwrap());
    assert!(
        said.starts_with("error: this is a folder, and a case is a file"),
        "{said}"
    );
}

#[test]
fn a_file_that_is_too_large() {
    let said = said_of("a.yaml", |path| {
        fs::write(path, " ".repeat((1 << 20) + 1)).unwrap();
    });
    assert!(
        said.starts_with("error: this file has 1048577 bytes, and no case needs more than 1048576"),
        "{said}"
    );
}

#[test]
fn a_file_that_is_not_utf8() {
    let said = said_of("a.yaml", |path| {
        fs::write(path, b"summary: s\nwhy: caf\xe9\n").unwrap();
    });
    insta::assert_snapshot!(said, @r"
    error: this file is not UTF-8: a byte 0xe9 means nothing here
     --> CASES/a.yaml:2:9
      |
    2 | why: caf�
      |         ^ not UTF-8
      |
      = help: save the file as UTF-8
    ");
}

#[test]
fn a_file_of_another_name() {
    let said = said_of("a.yml", |path| fs::write(path, GOOD).unwrap());
    assert!(said.contains("a case file's name ends in `.yaml`"), "{said}");
    let said = said_of("A b.yaml", |path| fs::write(path, GOOD).unwrap());
    assert!(said.contains("`A b` cannot be part of a case's name"), "{said}");
}

#[test]
fn endless_nesting() {
    let nested = |depth: usize| format!("summary: {}{}\n", "[".repeat(depth), "]".repeat(depth));
    let said = said_of("a.yaml", |path| fs::write(path, nested(40)).unwrap());
    assert!(
        said.starts_with("error: the document is nested more than 32 levels deep"),
        "{said}"
    );
    let said = said_of("a.yaml", |path| fs::write(path, nested(100_000)).unwrap());
    assert!(said.starts_with("error: "), "{said}");
}

#[test]
fn a_great_many_mistakes() {
    let mut source = GOOD.to_owned();
    for key in 0..2_000 {
        source.push_str(&format!(
            "k{key}: 1
"
        ));
    }
    let said = said_of("a.yaml", |path| fs::write(path, source).unwrap());
    assert!(
        said.ends_with("There are more mistakes in CASES/a.yaml; these are the first 32."),
        "{said}"
    );
}

#[test]
fn a_folder_of_cases() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir_all(root.join("b/c")).unwrap();
    for file in [
        "b/c/z.yaml",
        "b/a.yaml",
        "y.yaml",
        ".hidden.yaml",
        "README.md",
        "old.yml",
    ] {
        fs::write(root.join(file), GOOD).unwrap();
    }
    fs::write(root.join("wrong.yaml"), "sumary: s\n").unwrap();
    let found = discover(root).unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|path| path.strip_prefix(root).unwrap().to_str().unwrap())
        .collect();
    assert_eq!(
        found,
        ["b/a.yaml", "b/c/z.yaml", "old.yml", "wrong.yaml", "y.yaml"]
    );

    let (cases, wrong) = load_all(root);
    let ids: Vec<_> = cases.iter().map(|case| case.id.as_str()).collect();
    assert_eq!(ids, ["b/a", "b/c/z", "y"]);
    assert_eq!(wrong.len(), 2);

    // The same folder, written in another way.
    let case = load(&root.join("b/../y.yaml"), &root.join("b/..")).unwrap();
    assert_eq!(case[0].id.as_str(), "y");
}

#[test]
fn no_folder_of_cases() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let error = discover(&nowhere).unwrap_err().to_string();
    assert!(
        error.starts_with("cannot look for cases in ") && error.ends_with("nowhere"),
        "{error}"
    );
    let (cases, wrong) = load_all(&nowhere);
    assert!(cases.is_empty());
    assert!(
        wrong[0]
            .to_string()
            .contains("help: name the folder that holds the case files"),
        "{}",
        wrong[0]
    );
}
