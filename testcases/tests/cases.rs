// SPDX-License-Identifier: MIT OR Apache-2.0
//! The cases that we ship.

use std::path::Path;

use testcases::{Action, describe, discover, json_schema, load_all};

fn folder() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cases")
}

#[test]
fn every_case_is_sound() {
    let (cases, wrong) = load_all(&folder());
    for diagnostics in &wrong {
        eprintln!("{diagnostics}\n");
    }
    assert!(
        wrong.is_empty(),
        "{} case files are faulty, see above",
        wrong.len()
    );
    let ids: Vec<_> = cases.iter().map(|case| case.id.as_str()).collect();
    for id in ["data/shared-block", "free-space/nobody", "metadata/ag-header"] {
        assert!(ids.contains(&id), "{id} is not among {ids:?}");
    }
}

#[test]
fn every_step_knows_its_line_and_can_be_told_in_one() {
    for case in load_all(&folder()).0 {
        let source = std::fs::read_to_string(&case.path).unwrap();
        let lines: Vec<_> = source.lines().collect();
        for step in &case.steps {
            let line = lines[step.line - 1];
            let word = match step.action {
                Action::Write(_) => "- write:",
                Action::Reflink(_) => "- reflink:",
                Action::Victim(_) => "- victim:",
                Action::Release(_) => "- release:",
                Action::Inject(_) => "- inject:",
                Action::Expect(_) => "- expect:",
                Action::Unmount(_) => "- unmount:",
                Action::Mount(_) => "- mount:",
            };
            assert!(
                line.trim_start().starts_with(word),
                "{} line {}: {line}",
                case.id,
                step.line
            );
            let told = describe(&step.action);
            assert!(!told.is_empty() && !told.contains('\n'), "{told:?}");
        }
        for issue in &case.known_issues {
            assert!(
                lines[issue.line - 1].trim_start().starts_with("- "),
                "{}",
                lines[issue.line - 1]
            );
        }
    }
}

#[test]
fn every_case_names_the_schema_for_editors() {
    for path in discover(&folder()).unwrap() {
        let source = std::fs::read_to_string(&path).unwrap();
        let first = source.lines().next().unwrap_or_default();
        let schema = first
            .strip_prefix("# yaml-language-server: $schema=")
            .unwrap_or_else(|| {
                panic!("{} begins with {first:?} instead of the schema", path.display());
            });
        let schema = path.parent().unwrap().join(schema);
        assert!(
            schema.is_file(),
            "{} names {}, which is not there",
            path.display(),
            schema.display()
        );
    }
}

/// `TASTER_WRITE_SCHEMA=1 cargo test -p testcases schema` writes the file anew.
#[test]
fn the_schema_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema.json");
    let now = format!("{}\n", serde_json::to_string_pretty(&json_schema()).unwrap());
    if std::env::var_os("TASTER_WRITE_SCHEMA").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == now,
        "schema.json is not what the types say: TASTER_WRITE_SCHEMA=1 cargo test -p testcases schema"
    );
}
