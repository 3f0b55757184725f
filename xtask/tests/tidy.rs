// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can be kept by machine is kept here: the crates' arrows, the words that must not be in the repository, and
//! what every case must say.
#![allow(
    clippy::unwrap_used,
    reason = "a test's helper functions fail like the test itself"
)]

#[path = "tidy/matches.rs"]
mod matches;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every text file of the repository, as git would know it.
fn files() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && name != ".git" {
                    walk(&path, found);
                }
            } else if let Ok(text) = fs::read_to_string(&path) {
                found.push((path, text));
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), &mut found);
    assert!(
        found.len() > 50,
        "only {} files: the walk has gone wrong",
        found.len()
    );
    found
}

fn faults(list: &[String]) {
    assert!(list.is_empty(), "\n{}", list.join("\n"));
}

/// Who may know about whom; an arrow that is not here must not be there.
const ARROWS: [(&str, &[&str]); 10] = [
    (
        "xtask",
        &[
            "campaigns",
            "harness",
            "machine",
            "guest-images",
            "testcases",
            "reports",
        ],
    ),
    (
        "harness/campaigns",
        &[
            "harness",
            "machine",
            "verdict",
            "guest-images",
            "guest-agent",
            "testcases",
            "reports",
        ],
    ),
    (
        "harness",
        &[
            "machine",
            "verdict",
            "guest-images",
            "guest-agent",
            "testcases",
            "reports",
        ],
    ),
    ("harness/machine", &["guest-images", "guest-agent"]),
    ("harness/verdict", &["guest-agent", "testcases", "reports"]),
    ("guest-images", &["guest-agent"]),
    ("guest-images/agent", &["words"]),
    ("testcases", &["words"]),
    ("testcases/words", &[]),
    ("reports", &[]),
];

#[test]
fn arrows_between_crates_point_one_way() {
    let name = |folder: &str| {
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        let line = manifest
            .lines()
            .find_map(|line| line.strip_prefix("name = "))
            .unwrap();
        line.trim_matches('"').to_owned()
    };
    let ours: BTreeSet<String> = ARROWS.iter().map(|(folder, _)| name(folder)).collect();
    let mut list = Vec::new();
    for (folder, allowed) in ARROWS {
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        let known: BTreeSet<&str> = manifest
            .lines()
            .filter_map(|line| line.split(['.', ' ', '=']).next())
            .filter(|name| ours.contains(*name))
            .collect();
        for name in known.iter().filter(|name| !allowed.contains(name)) {
            list.push(format!(
                "{folder}/Cargo.toml knows about {name}, which is not in the design"
            ));
        }
    }
    faults(&list);
    let members: BTreeSet<PathBuf> = files()
        .into_iter()
        .filter(|(path, text)| path.ends_with("Cargo.toml") && text.contains("[package]"))
        .map(|(path, _)| path.parent().unwrap().strip_prefix(root()).unwrap().to_owned())
        .collect();
    let known: BTreeSet<PathBuf> = ARROWS.iter().map(|(folder, _)| PathBuf::from(folder)).collect();
    assert_eq!(members, known, "a crate without arrows in this test");
}

/// Crates that a judge stands on must not be able to ask anything: what they know, they were given.
const ASKING: [&str; 8] = [
    "tokio::",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::env",
    "std::time::Instant",
    "std::time::SystemTime",
];

#[test]
fn the_verdict_does_no_io() {
    let mut list = Vec::new();
    let verdict = root().join("harness/verdict");
    for (path, text) in files().into_iter().filter(|(path, _)| path.starts_with(&verdict)) {
        for (number, line) in text.lines().enumerate() {
            if let Some(word) = ASKING.iter().find(|word| line.contains(*word)) {
                list.push(format!("{}:{} has {word}", path.display(), number + 1));
            }
        }
    }
    faults(&list);
}

/// Hosts that may be named: they name formats, people, and the threads and commits behind a case; they are not contacted.
const HARMLESS_HOSTS: [&str; 9] = [
    "lore.kernel.org",
    "git.kernel.org",
    "www.apache.org",
    "json-schema.org",
    "www.w3.org",
    "mirror.example",
    "security.example",
    "example.org",
    "example.com",
];

#[test]
fn no_registry_host_is_named() {
    let mut list = Vec::new();
    for (path, text) in files() {
        if path.ends_with("Cargo.lock") {
            continue;
        }
        for (number, line) in text.lines().enumerate() {
            for url in line.split("://").skip(1) {
                let host: String = url
                    .chars()
                    .take_while(|c| c.is_ascii_alphanumeric() || "-.".contains(*c))
                    .collect();
                let is_host = host.contains('.') && !host.starts_with('.') && !host.ends_with('.');
                if is_host && !HARMLESS_HOSTS.contains(&host.as_str()) && !host.ends_with(".example") {
                    list.push(format!("{}:{} names the host {host}", path.display(), number + 1));
                }
            }
        }
    }
    faults(&list);
}

/// The hosts that this machine's own package tools are set up for.
fn configured_hosts() -> BTreeSet<String> {
    let mut configurations = vec![
        PathBuf::from("/etc/apt/sources.list"),
        PathBuf::from("/etc/pip.conf"),
    ];
    configurations.extend(
        fs::read_dir("/etc/apt/sources.list.d")
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path()),
    );
    if let Some(home) = std::env::var_os("HOME") {
        configurations.extend([".cargo/config.toml", ".npmrc"].map(|name| Path::new(&home).join(name)));
    }
    let texts = configurations
        .iter()
        .filter_map(|path| fs::read_to_string(path).ok())
        .collect::<Vec<_>>()
        .join("\n");
    let urls = texts.split("://").skip(1);
    urls.map(|url| {
        url.chars()
            .take_while(|c| c.is_ascii_alphanumeric() || "-.".contains(*c))
            .collect::<String>()
    })
    .filter(|host| host.contains('.'))
    .collect()
}

#[test]
fn no_host_of_this_machines_package_tools_is_named() {
    let hosts = configured_hosts();
    let mut list = Vec::new();
    for (path, text) in files() {
        for host in hosts.iter().filter(|host| text.contains(host.as_str())) {
            list.push(format!(
                "{} names {host}, which belongs into the host's own configuration",
                path.display()
            ));
        }
    }
    faults(&list);
}

#[test]
fn no_path_of_somebodys_machine() {
    // Written in two halves, so that this file does not find itself.
    let words: BTreeMap<&str, String> = [
        ("a home", "home/"),
        ("a workplace", "work/"),
        ("a checkout", "builds/"),
    ]
    .into_iter()
    .map(|(what, tail)| (what, format!("\"/{tail}")))
    .collect();
    let mut list = Vec::new();
    for (path, text) in files() {
        for (number, line) in text.lines().enumerate() {
            for (what, word) in &words {
                if line.contains(word.as_str()) {
                    list.push(format!("{}:{} names {what}", path.display(), number + 1));
                }
            }
        }
    }
    faults(&list);
}

#[test]
fn every_case_has_a_summary_and_a_provenance() {
    let (cases, faulty) = testcases::load_all(&root().join("testcases/cases"));
    let mut list: Vec<String> = faulty.iter().map(ToString::to_string).collect();
    assert!(cases.len() >= 3, "only {} cases", cases.len());
    for case in &cases {
        if case.summary.split_whitespace().count() < 5 {
            list.push(format!("{}: the summary says too little", case.id));
        }
        if case.why.split_whitespace().count() < 3 {
            list.push(format!("{}: `why` names no provenance", case.id));
        }
    }
    faults(&list);
}

#[test]
fn sources_are_licensed_finished_and_of_a_size_to_hold_in_mind() {
    const LONGEST: usize = 700;
    // Each in two pieces, so that this file does not find itself.
    let unfinished = [
        concat!("to", "do!("),
        concat!("unimplemen", "ted!("),
        concat!("#[ign", "ore]"),
        concat!("FIX", "ME"),
        concat!("XX", "X"),
        concat!("db", "g!("),
    ];
    let mut list = Vec::new();
    for (path, text) in files() {
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let shown = path.display();
        if !text.starts_with("// SPDX-License-Identifier: MIT OR Apache-2.0\n") {
            list.push(format!("{shown}: no licence in the first line"));
        }
        let lines = text.lines().count();
        if lines > LONGEST {
            list.push(format!(
                "{shown}: {lines} lines; past {LONGEST} its job was two jobs"
            ));
        }
        for (number, line) in text.lines().enumerate() {
            if unfinished.iter().any(|mark| line.contains(mark)) {
                list.push(format!("{shown}:{}: unfinished: {}", number + 1, line.trim()));
            }
        }
    }
    faults(&list);
}

#[test]
fn whoever_adds_an_operation_a_call_or_a_mechanism_is_asked_for_each_place() {
    let is_source = |path: &Path| {
        path.extension().is_some_and(|extension| extension == "rs")
            && !path.components().any(|part| part.as_os_str() == "tests")
            && path.file_name().is_some_and(|name| name != "tests.rs")
    };
    let (mut list, mut declared) = (Vec::new(), BTreeSet::new());
    for (path, text) in files().into_iter().filter(|(path, _)| is_source(path)) {
        let faults = matches::faults(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let is_excepted = |what: &str| {
            let mut exceptions = matches::EXCEPTIONS.iter();
            exceptions
                .any(|(place, name)| path.ends_with(place) && what.contains(&format!("kinds of {name} ")))
        };
        list.extend(
            faults
                .into_iter()
                .filter(|(_, what)| !is_excepted(what))
                .map(|(line, what)| format!("{}:{line}: {what}; name each kind, in a match", path.display())),
        );
        declared.extend(matches::declared(&text).unwrap());
    }
    for name in matches::ENUMS.iter().filter(|name| !declared.contains(**name)) {
        list.push(format!(
            "nothing is called {name}, which this test would look after"
        ));
    }
    let like_those = |name: &&String| name.ends_with("Operation") || name.ends_with("Call");
    for name in declared.iter().filter(like_those) {
        if !matches::ENUMS.contains(&name.as_str()) {
            list.push(format!(
                "{name} is not looked after: name it in xtask/tests/tidy/matches.rs"
            ));
        }
    }
    faults(&list);
}
