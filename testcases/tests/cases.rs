// SPDX-License-Identifier: MIT OR Apache-2.0
//! The cases that we ship.

use std::path::Path;

use testcases::{Coverage, describe, discover, json_schema, load_all, show, steps_schema};

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
            let line = lines[step.line - 1].trim_start();
            assert!(line.starts_with("- "), "{} line {}: {line}", case.id, step.line);
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

/// `TASTER_WRITE_SCHEMA=1 cargo test -p testcases schema` writes the files anew.
#[test]
fn the_schemas_are_up_to_date() {
    for (name, schema) in [
        ("schema.json", json_schema()),
        ("schema-steps.json", steps_schema()),
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
        let now = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
        if std::env::var_os("TASTER_WRITE_SCHEMA").is_some() {
            std::fs::write(&path, &now).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            committed == now,
            "{name} is not what the types say: TASTER_WRITE_SCHEMA=1 cargo test -p testcases schema"
        );
    }
}

/// `TASTER_WRITE_COVERAGE=1 cargo test -p testcases coverage` writes the table anew.
#[test]
fn the_coverage_table_is_up_to_date() {
    let (begin, end) = ("<!-- coverage: begin -->\n", "<!-- coverage: end -->");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = readme.split_once(begin).unwrap();
    let (old, after) = rest.split_once(end).unwrap();
    let (cases, _) = load_all(&folder());
    let table = format!("\n{}\n", Coverage::ours().unwrap().table(&cases));
    if std::env::var_os("TASTER_WRITE_COVERAGE").is_some() {
        std::fs::write(&path, format!("{before}{begin}{table}{end}{after}")).unwrap();
    } else {
        assert!(
            old == table,
            "the table in README.md is not what the cases say: TASTER_WRITE_COVERAGE=1 cargo test -p testcases coverage"
        );
    }
}

#[test]
fn a_table_that_lacks_a_row_is_none() {
    let table = |rows: &str| {
        let text = format!("- section: s\n  rows: [{rows}]\n");
        Coverage::parse(&text).unwrap_err().to_string()
    };
    let order = |found: u8, expected: u8| {
        format!("row {found} stands where row {expected} should: the table has all rows, each once, in order")
    };
    assert_eq!(table(""), order(0, 1));
    assert_eq!(table("{ row: 1, shows: a }, { row: 1, shows: b }"), order(1, 2));
    assert_eq!(
        table("{ row: 1, shows: a, reachable: no }"),
        "the list of rows cannot be read"
    );
}

#[test]
fn every_case_can_be_shown() {
    let coverage = Coverage::ours().unwrap();
    for case in load_all(&folder()).0 {
        let shown = show(&case, &coverage);
        assert!(shown.starts_with(case.id.as_str()), "{shown}");
        assert!(
            shown.lines().all(|line| line.chars().count() <= 120),
            "a line is too long:\n{shown}"
        );
        for step in &case.steps {
            assert!(shown.contains(&format!(" {}  ", step.line)), "{shown}");
        }
    }
}

#[test]
fn the_schema_lets_parameters_stand_for_values() {
    let schema = json_schema();
    let parameter = serde_json::json!({ "$ref": "#/definitions/Parameter" });
    let takes = |definition: &str, property: &str| {
        let property = &schema["definitions"][definition]["properties"][property];
        assert!(!property.is_null(), "{definition} has no {property}");
        let kinds = property["anyOf"].as_array();
        kinds.is_some_and(|kinds| kinds.contains(&parameter))
    };
    for (definition, property) in [
        ("Victim", "kill"),
        ("Victim", "page"),
        ("Victim", "touches"),
        ("Write", "size"),
        ("Write", "fill"),
        ("Write", "direct"),
        ("Target", "ag"),
        ("Expect", "filesystem"),
        ("Inject", "machine-check"),
        ("KnownIssue", "kernel"),
    ] {
        assert!(
            takes(definition, property),
            "{definition}.{property} takes no parameter"
        );
    }
    assert!(!takes("KnownIssue", "when"));
}
