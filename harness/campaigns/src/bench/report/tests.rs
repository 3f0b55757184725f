// SPDX-License-Identifier: MIT OR Apache-2.0
#![expect(clippy::float_cmp, reason = "the numbers are chosen to be exact")]

use super::*;
use crate::bench::CloneTimes;
use std::time::Duration;

fn spread(median: f64) -> Spread {
    Spread {
        median,
        min: median / 2.0,
        max: median * 2.0,
    }
}

fn pass(wall: u64, cpu: u64, first: u64, verdicts: u32) -> Pass {
    Pass {
        wall: Duration::from_secs(wall),
        cpu: Duration::from_secs(cpu),
        first: Duration::from_secs(first),
        verdicts,
        broken: 0,
        accelerator: "tcg".to_owned(),
    }
}

fn report() -> Report {
    let clone = [pass(10, 8, 2, 4), pass(20, 12, 3, 4), pass(30, 16, 4, 4)];
    let boot = [pass(120, 100, 9, 4)];
    Report {
        kernel: "debian-6.12".to_owned(),
        kernel_release: "6.12.1-amd64".to_owned(),
        qemu: "QEMU emulator version 10.0.0".to_owned(),
        accelerator: "tcg".to_owned(),
        host: HostFacts {
            processor: "A CPU".to_owned(),
            cores: 2,
            memory_mib: 7900,
        },
        rounds: 3,
        beginnings: Beginnings {
            bare_qemu_ms: spread(60.0),
            cold_boot_ms: spread(3210.4),
            clone_ms: CloneTimes {
                greeting: spread(70.0),
                awake: spread(90.0),
                session: spread(200.0),
                answer: spread(250.0),
            },
            boot_to_clone_ratio: 12.84,
            clone_to_qmp_ratio: 4.17,
            clone_to_own_greeting_ratio: 3.57,
            clone_memory_mib: spread(55.25),
            clone_proportional_mib: spread(80.0),
        },
        suite: Suites {
            cases: 4,
            rounds: 3,
            clone: Suite::of(&clone).unwrap(),
            boot: Suite::of(&boot).unwrap(),
        },
        case: None,
        first_verdict_s: FirstVerdict::of(&Passes {
            warm: clone.to_vec(),
            cold: boot.to_vec(),
            ..Passes::default()
        })
        .unwrap(),
        soak: None,
        at_once: None,
    }
}

#[test]
fn a_suite_counts_per_pass() {
    let suite = report().suite.clone;
    assert_eq!(suite.verdicts, 12);
    assert_eq!(suite.wall_s.median, 20.0);
    assert_eq!(
        suite.verdicts_per_minute,
        Spread {
            median: 12.0,
            min: 8.0,
            max: 24.0
        }
    );
    assert_eq!(suite.cpu_seconds_per_verdict.median, 3.0);
    assert_eq!(Suite::of(&[]), None);
}

#[test]
fn the_object_has_the_keys_that_scripts_ask_for() {
    let json = serde_json::to_value(report()).unwrap();
    assert_eq!(json["boot_to_clone_ratio"], 12.84);
    assert_eq!(json["clone_to_qmp_ratio"], 4.17);
    assert_eq!(json["host"]["cores"], 2);
    assert_eq!(json["host"]["memory_mib"], 7900);
    for path in [
        "/bare_qemu_ms",
        "/cold_boot_ms",
        "/clone_ms/greeting",
        "/clone_ms/awake",
        "/clone_ms/session",
        "/clone_ms/answer",
        "/clone_memory_mib",
        "/suite/clone/verdicts_per_minute",
        "/suite/clone/cpu_seconds_per_verdict",
        "/suite/boot/verdicts_per_minute",
        "/suite/boot/cpu_seconds_per_verdict",
        "/first_verdict_s/cold",
        "/first_verdict_s/warm",
    ] {
        let spread = json.pointer(path).unwrap_or_else(|| panic!("no {path}"));
        for part in ["median", "min", "max"] {
            assert!(spread[part].is_f64(), "{path} has no {part}: {spread}");
        }
    }
    for key in ["kernel", "qemu", "accelerator"] {
        assert!(json[key].is_string(), "no {key}");
    }
    // What was not asked for is not there, rather than null.
    assert!(json.get("soak").is_none() && json.get("at_once").is_none());
}

#[test]
fn the_table_shows_medians_and_ranges_in_columns() {
    let table = report().to_string();
    let line = |what: &str| {
        table
            .lines()
            .find(|line| line.starts_with(what))
            .unwrap_or_else(|| panic!("no {what} in\n{table}"))
    };
    let words = |what: &str| line(what).split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(
        words("cold boot: first answer"),
        "cold boot: first answer 3210 ms 1605 to 6421"
    );
    assert_eq!(words("cold boot / clone"), "cold boot / clone 12.8 ×");
    assert_eq!(
        words("clone: its own memory"),
        "clone: its own memory 55.2 MiB 27.6 to 110"
    );
    assert_eq!(
        line("clone: first answer").find("ms"),
        line("bare QEMU").find("ms")
    );
    assert!(!table.contains("broke"), "{table}");
    assert!(!table.contains("soak"), "{table}");
}

#[test]
fn broken_cases_are_not_passed_over() {
    let mut report = report();
    report.suite.boot.broken = 2;
    assert!(report.to_string().contains("isolation boot, 2 broke"));
}
