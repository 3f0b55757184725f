// SPDX-License-Identifier: MIT OR Apache-2.0
//! The program as its users meet it: what is typed, what is answered, and the exit status. No guest, no network.
#![allow(
    clippy::unwrap_used,
    reason = "a test's helper functions fail like the test itself"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A folder to be in, with an empty cache.
struct Place(tempfile::TempDir);

/// What the program answered.
struct Answer {
    status: i32,
    /// Standard output and standard error, one after the other.
    text: String,
}

impl Answer {
    /// Checks the status, and that all of these words were said.
    #[track_caller]
    fn is(&self, status: i32, words: &[&str]) {
        let Self { status: found, text } = self;
        assert_eq!(*found, status, "{text}");
        for word in words {
            assert!(text.contains(word), "no `{word}` in:\n{text}");
        }
    }
}

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, content: &str) -> String {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The command, cut off from the machine's own cache and choices, and from every way to fetch anything.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .args(arguments)
            .current_dir(self.0.path())
            .env("TASTER_CACHE", self.path("cache"))
            .env("PATH", self.path("no-programs"))
            .env_remove("TASTER_QEMU")
            .env_remove("CARGO")
            .env_remove("RUSTC");
        command
    }

    fn run(&self, arguments: &[&str]) -> Answer {
        answer(&mut self.command(arguments))
    }

    /// `test` with reports in `out`.
    fn test(&self, arguments: &[&str]) -> Answer {
        self.run(&[&["test", "--out", "out"], arguments].concat())
    }

    fn junit(&self) -> String {
        fs::read_to_string(self.path("out/junit.xml")).unwrap()
    }
}

fn answer(command: &mut Command) -> Answer {
    let output = command.output().unwrap();
    Answer {
        status: output.status.code().unwrap(),
        text: [output.stdout, output.stderr]
            .map(|bytes| String::from_utf8(bytes).unwrap())
            .concat(),
    }
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn help_names_every_command() {
    let place = Place::new();
    place
        .run(&["--help"])
        .is(0, &["test", "check", "doctor", "report"]);
    place
        .run(&["test", "--help"])
        .is(0, &["--kernel", "TASTER_CACHE", "Exit status"]);
}

#[test]
fn a_typing_mistake_is_answered_with_the_nearest_word() {
    let place = Place::new();
    place.run(&["tset"]).is(2, &["tset", "similar", "'test'"]);
    place
        .run(&["test", "--kernl", "debian-6.12"])
        .is(2, &["--kernl", "similar", "'--kernel'"]);
    place
        .run(&["test", "--accel", "kvn"])
        .is(2, &["`kvn`", "`kvm` or `tcg`"]);
    place.run(&[]).is(2, &["Usage"]);
    assert!(is_empty(place.0.path()));
}

#[test]
fn a_kernel_that_is_none_is_a_usage_error() {
    let place = Place::new();
    place.test(&["--kernel", "debian-6.13"]).is(
        2,
        &[
            "`debian-6.13`",
            "did you mean `debian-6.1",
            "known kernels: debian-6.1, ",
        ],
    );
    place
        .test(&["--kernel", "/nonexistent"])
        .is(2, &["`/nonexistent`", "no such file"]);
    // Nothing was begun, so there is nothing to keep.
    assert!(is_empty(place.0.path()));
}

#[test]
fn a_file_that_is_no_kernel_leaves_reports_that_say_so() {
    let place = Place::new();
    place
        .test(&["--kernel", "/etc/passwd"])
        .is(2, &["/etc/passwd is no kernel", "neither a bzImage nor an ELF"]);
    place
        .run(&["report", "out"])
        .is(2, &["Nothing was judged", "0 passed, 0 failed"]);
    place.run(&["report", "--check", "out"]).is(0, &["exit status 2"]);
}

#[test]
fn the_list_names_cases_and_kernels() {
    let place = Place::new();
    place.run(&["test", "--list"]).is(
        0,
        &[
            "data/shared-block",
            "metadata/ag-header",
            "free-space/nobody",
            "debian-6.12",
            "(default)",
        ],
    );
    let some = place.run(&["test", "--list", "free-space/*"]);
    some.is(0, &["free-space/nobody"]);
    assert!(!some.text.contains("data/shared-block"), "{}", some.text);
    assert!(is_empty(place.0.path()));
}

#[test]
fn the_repositorys_own_cases_are_right() {
    Place::new()
        .run(&["check"])
        .is(0, &["case files, all of them right"]);
}

/// Two cases of one name would write into one folder of evidence.
#[test]
fn two_cases_of_one_name_are_refused() {
    let place = Place::new();
    let case = "summary: s\nwhy: w\ntemplate: xfs\nsteps:\n  - expect: { filesystem: up }\n";
    for folder in ["one", "two"] {
        fs::create_dir(place.path(folder)).unwrap();
        place.file(&format!("{folder}/same.yaml"), case);
    }
    let twice = place.run(&["check", "./one", "./two"]);
    twice.is(
        2,
        &["two cases are called `same`", "one/same.yaml", "two/same.yaml"],
    );
    // One file by two ways is one case.
    place.run(&["check", "./one", "one/same.yaml"]).is(0, &["1 case"]);
}

#[test]
fn what_matches_no_case_is_not_called_right() {
    let nothing = Place::new().run(&["check", "no-such-case"]);
    nothing.is(4, &["no case matches `no-such-case`"]);
    assert!(!nothing.text.contains("right"), "{}", nothing.text);
}

const MATRIX: &str = "\
parameters: { policy: [early, late] }
summary: A process with the ${policy} policy.
why: the test's own
covers: [10]
template: xfs
steps:
  - include: { steps: _parts/file, with: { size: 2MiB } }
  - victim: { name: alice, maps: a, touches: 0, kill: \"${policy}\" }
  - when: { kernel: \"<6.5\" }
    expect: { alive: [alice] }
  - expect: { filesystem: up }
";

const PART: &str = "\
summary: A file.
parameters: [size]
steps:
  - write: { file: a, size: \"${size}\", fill: 1 }
";

/// A folder of cases: one file that gives two.
fn matrix(place: &Place) {
    fs::create_dir_all(place.path("cases/_parts")).unwrap();
    fs::create_dir_all(place.path("cases/signals")).unwrap();
    place.file("cases/signals/policy.yaml", MATRIX);
    place.file("cases/_parts/file.yaml", PART);
}

#[test]
fn a_case_is_told_in_words() {
    let place = Place::new();
    place.run(&["show", "shared-block"]).is(
        0,
        &[
            "data/shared-block\n",
            "  why        One page can belong",
            "  template   xfs\n",
            "  kernels    >=6.1\n",
            "Inject a machine check (action optional) at a+4KiB.",
            "the kernel prints “dax_insert_entry”",
        ],
    );
    place
        .run(&["show", "no/such/case"])
        .is(2, &["there is no such case"]);
    place.run(&["show"]).is(2, &["<CASE>"]);
    matrix(&place);
    let late = place.run(&["show", "--cases", "cases", "policy.late"]);
    late.is(
        0,
        &[
            "signals/policy.late\n",
            "  with       policy = late\n",
            "  shows      10: ",
            "      7  Write a (2MiB, filled with 0x01). [cases/_parts/file.yaml:4]",
            "Expect alice alive. (only on <6.5)",
        ],
    );
    assert!(!late.text.contains("early.\n"), "{}", late.text);
    let newer = place.run(&["show", "--cases", "cases", "--kernel", "6.12", "signals/*.late"]);
    newer.is(0, &["signals/policy.late\n"]);
    assert!(!newer.text.contains("alice alive"), "{}", newer.text);
}

#[test]
fn check_takes_names_files_and_folders() {
    let place = Place::new();
    matrix(&place);
    for path in ["cases/signals/policy.yaml", "cases/signals", "policy.early"] {
        let count = if path == "policy.early" {
            "1 case\n"
        } else {
            "2 cases\n"
        };
        place
            .run(&["check", "--cases", "cases", path])
            .is(0, &["1 case file, right", count]);
    }
    place.file("cases/_parts/file.yaml", &PART.replace("fill", "fil"));
    place.run(&["check", "--cases", "cases", "./cases"]).is(
        2,
        &[
            "_parts/file.yaml:4:40",
            "policy.yaml:7:23",
            "included here",
            "did you mean `fill`?",
        ],
    );
    // What is not asked for does not stand in the way.
    place.file("cases/_parts/file.yaml", PART);
    place.file("cases/other.yaml", "summary: [x]\n");
    let run = |arguments: &[&str]| place.run(&[&["check", "--cases", "cases"], arguments].concat());
    run(&["signals"]).is(0, &["2 cases"]);
    run(&[]).is(2, &["a case file is wrong", "other.yaml:1:10"]);
}

#[test]
fn the_folder_of_cases_may_be_the_one_that_one_stands_in() {
    let place = Place::new();
    matrix(&place);
    let cases = place.path("cases");
    let standing = |folder: &str| {
        answer(
            place
                .command(&["check", "--cases", folder, "signals"])
                .current_dir(&cases),
        )
    };
    standing(cases.to_str().unwrap()).is(0, &["2 cases"]);
    standing(".").is(0, &["2 cases"]);
}

#[test]
fn a_wrong_case_file_is_shown_with_line_and_column() {
    let place = Place::new();
    let bad = place.file("bad.yaml", "summary: x\nstepz: []\n");
    for command in ["test", "check"] {
        place
            .run(&[command, &bad])
            .is(2, &["bad.yaml:2:1", "stepz: []", "did you mean `steps`?"]);
    }
    assert!(!place.path("cache").exists());
}

#[test]
fn a_folder_of_cases_that_is_not_there_is_named() {
    let place = Place::new();
    for command in ["test", "check"] {
        place
            .run(&[command, "--cases", "/nonexistent"])
            .is(2, &["/nonexistent", "No such file or directory"]);
    }
}

#[test]
fn a_run_that_judges_nothing_is_no_success() {
    let place = Place::new();
    place.test(&["no/such/case"]).is(
        4,
        &[
            "no case matches `no/such/case`",
            "Nothing was judged: no case ran.",
            "0 passed, 0 failed, 0 skipped",
        ],
    );
    let junit = place.junit();
    let totals = reports::junit_totals(&junit).unwrap();
    assert_eq!((totals.tests, totals.errors), (1, 1), "{junit}");
    place.run(&["report", "--check", "out"]).is(0, &["exit status 4"]);
}

#[test]
fn a_qemu_that_is_none_breaks_every_case_and_says_why() {
    let place = Place::new();
    place.test(&["--qemu", "/bin/true"]).is(
        3,
        &[
            "/bin/true",
            "it does not say that it is QEMU",
            "leave the choice out",
        ],
    );
    let totals = reports::junit_totals(&place.junit()).unwrap();
    assert!(totals.errors == totals.tests && totals.errors > 0, "{totals:?}");
    place.run(&["report", "--check", "out"]).is(0, &["exit status 3"]);
}

#[test]
fn without_network_and_cache_every_case_is_broken_and_the_way_out_is_told() {
    let place = Place::new();
    place.test(&["data/shared-block"]).is(
        3,
        &["BROKEN", "apt-get", "install it", "0 passed, 1 failed, 0 skipped"],
    );
    place.run(&["report", "--check", "out"]).is(0, &["errors 1"]);
}

#[test]
fn a_report_is_rendered_again_from_its_record() {
    let place = Place::new();
    let first = place.test(&[
        "data/shared-block",
        "metadata/ag-header",
        "free-space/nobody",
        "--qemu",
        "/bin/true",
    ]);
    let junit = place.junit();
    fs::remove_file(place.path("out/junit.xml")).unwrap();
    let again = place.run(&["report", "out"]);
    again.is(first.status, &["BROKEN", "0 passed, 3 failed, 0 skipped"]);
    assert_eq!(place.junit(), junit);
    assert_eq!(
        first.text.lines().last(),
        again.text.lines().last(),
        "{}",
        again.text
    );
}

#[test]
fn a_folder_without_a_report_is_the_wrong_folder() {
    let place = Place::new();
    place
        .run(&["report", "nowhere"])
        .is(2, &["nowhere does not exist"]);
    place
        .run(&["report", "."])
        .is(2, &["holds no report.json", "reports and evidence"]);
    assert!(is_empty(place.0.path()));
}

#[test]
fn a_damaged_report_is_refused() {
    let place = Place::new();
    for (content, why) in [
        ("{ \"schema\": \"taster", "is not the record of a run"),
        (
            "{\"schema\": \"another\", \"version\": 1}",
            "its schema is \"another\"",
        ),
        (
            "{\"schema\": \"taster-report\", \"version\": 99}",
            "record of version 99",
        ),
    ] {
        place.file("report.json", content);
        for arguments in [&["report", "."][..], &["report", "--check", "."]] {
            place.run(arguments).is(3, &["report.json", why]);
        }
    }
    assert!(!place.path("junit.xml").exists());
}

#[test]
fn a_junit_document_that_was_tampered_with_is_found_out() {
    let place = Place::new();
    place.test(&["no/such/case"]).is(4, &[]);
    let good = place.junit();
    let check = |content: &str| {
        place.file("out/junit.xml", content);
        place.run(&["report", "--check", "out"])
    };
    check(&good).is(0, &["the reports agree"]);
    check(&good.replace("</testsuites>", "")).is(3, &["junit.xml", "breaks off"]);
    check(&good.replacen("errors=\"1\"", "errors=\"0\"", 1)).is(3, &["junit.xml", "0 errors"]);
    check(&good.replace("Nothing was judged", "All is well")).is(3, &["junit.xml", "differ from line"]);
    // Checking writes nothing.
    assert_ne!(place.junit(), good);
    fs::remove_file(place.path("out/junit.xml")).unwrap();
    place
        .run(&["report", "--check", "out"])
        .is(3, &["cannot read", "junit.xml"]);
    assert!(!place.path("out/junit.xml").exists());
}

#[test]
fn the_doctor_names_what_is_missing_and_the_way_out() {
    let place = Place::new();
    place.run(&["doctor", "--qemu", "/bin/true"]).is(
        3,
        &[
            "MISSING  C compiler",
            "apt-get install gcc",
            "libssl-dev pkg-config",
            "note     git",
            "MISSING  QEMU",
            "cannot use /bin/true as QEMU",
            "things are missing: cargo, rustc, C compiler",
        ],
    );
    assert!(is_empty(place.0.path()), "the doctor writes nothing");
}

#[test]
fn the_doctor_looks_into_the_cache_that_it_is_told() {
    let place = Place::new();
    let file = place.file("no-folder", "");
    place
        .run(&["doctor", "--cache", &file])
        .is(3, &["MISSING  folder", "no-folder cannot be written", "--cache"]);
    let nowhere = answer(
        place
            .command(&["doctor"])
            .env_remove("TASTER_CACHE")
            .env_remove("XDG_CACHE_HOME")
            .env_remove("HOME"),
    );
    nowhere.is(2, &["HOME is not set", "TASTER_CACHE"]);
}

/// What a run of three cases leaves, each broken for want of a QEMU.
const BROKEN: [&str; 3] = ["--qemu", "/bin/true", "data/*"];

#[test]
fn who_stops_listening_still_gets_reports() {
    let place = Place::new();
    let mut run = place.command(&[&["test", "--out", "out"], &BROKEN[..]].concat());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let closed = run.stdout(writer).stderr(Stdio::null()).status().unwrap();
    // What `| head -1` ends in is what the run comes to.
    assert_eq!(closed.code(), Some(3));
    place.run(&["report", "--check", "out"]).is(0, &["exit status 3"]);

    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let mut run = place.command(&["test", "--out", "full", "no/such/case"]);
    let said = run.stdout(full).output().unwrap();
    assert_eq!(said.status.code(), Some(3));
    assert!(String::from_utf8(said.stderr).unwrap().contains("terminal"));
    place
        .run(&["report", "--check", "full"])
        .is(0, &["exit status 4"]);
}

#[test]
fn a_run_that_dies_does_not_leave_the_reports_of_the_one_before() {
    let place = Place::new();
    place.test(&["no/such/case"]).is(4, &[]);
    let events = fs::read_to_string(place.path("out/events.jsonl")).unwrap();
    // The second run is killed after its first event: what is left is that alone.
    place.test(&BROKEN).is(3, &[]);
    let second = fs::read_to_string(place.path("out/events.jsonl")).unwrap();
    let start = second.lines().next().unwrap().to_owned() + "\n";
    assert!(!events.starts_with(&start));
    // Beside the first one's reports, as an older program would leave it, it is found out.
    place.file("out/events.jsonl", &events);
    place.run(&["report", "--check", "out"]).is(3, &["another run"]);
    // A run killed after its first events.
    fs::remove_file(place.path("out/report.json")).unwrap();
    fs::remove_file(place.path("out/junit.xml")).unwrap();
    place.file("out/events.jsonl", &start);
    place.run(&["report", "--check", "out"]).is(3, &["junit.xml"]);
    place
        .run(&["report", "out"])
        .is(130, &["The run was interrupted"]);
    place
        .run(&["report", "--check", "out"])
        .is(0, &["exit status 130"]);
}

#[test]
fn two_runs_do_not_share_a_folder() {
    let place = Place::new();
    place.test(&["no/such/case"]).is(4, &[]);
    let held = fs::File::open(place.path("out/.lock")).unwrap();
    held.lock().unwrap();
    let us = format!("process {}", std::process::id());
    place.test(&["no/such/case"]).is(2, &["another run", &us]);
    place.run(&["report", "out"]).is(2, &["another run", &us]);
    drop(held);
    place.test(&["no/such/case"]).is(4, &[]);
}
