// SPDX-License-Identifier: MIT OR Apache-2.0
//! Texts to look for, numbers of times, fills, paths, rows.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;
use testcases::{Count, FilePath, Glob, Placeholder, Row, Seconds, Sha256};

fn is_in(glob: &str, line: &str) -> bool {
    let value = |placeholder: &Placeholder| match placeholder {
        Placeholder::Pfn => Some("0x1012a9".to_owned()),
        Placeholder::Victim(name) => Some(format!("victim-{name}:97")),
        Placeholder::Pid(name) => (name.as_str() == "alice").then(|| "97".to_owned()),
    };
    glob.parse::<Glob>().unwrap().fill(value).unwrap().is_in(line)
}

#[test]
fn a_text_is_found_anywhere_in_a_line() {
    const LINE: &str = "[   12.3] Memory failure: 0x1012a9: Sending SIGBUS to victim-alice:97 due to hardware memory corruption";
    for (glob, found) in [
        ("Sending SIGBUS", true),
        ("sending sigbus", false),
        ("Memory failure: {pfn}: Sending SIGBUS to {alice}", true),
        ("Sending SIGBUS to {bob}", false),
        (":{alice.pid} due", true),
        ("failure*SIGBUS*corruption", true),
        ("SIGBUS*failure", false),
        ("^[", true),
        ("^Memory", false),
        ("corruption$", true),
        ("memory$", false),
        ("^[*corruption$", true),
        ("^*Memory*$", true),
        ("a**e", true),
    ] {
        assert_eq!(is_in(glob, LINE), found, "{glob}");
    }
    assert!(is_in("^1$", "1") && !is_in("^1$", "10") && !is_in("^1$", "01"));
    assert!(is_in("^$", "") && !is_in("^$", " "));
    assert!(is_in("{{ \"type\"", "{ \"type\": \"media\" }"));
    assert!(is_in("a*a", "aa") && !is_in("a*a", "a"));
    assert!(is_in("^ab*b$", "abb") && !is_in("^ab*b$", "ab"));
}

#[test]
fn what_is_not_known_yet_is_named() {
    let glob: Glob = "{pfn} {alice} {bob.pid}".parse().unwrap();
    let names: Vec<_> = glob.placeholders().map(ToString::to_string).collect();
    assert_eq!(names, ["{pfn}", "{alice}", "{bob.pid}"]);
    let missing = glob.fill(|placeholder| (*placeholder == Placeholder::Pfn).then(String::new));
    assert_eq!(missing.unwrap_err().to_string(), "{alice}");
}

#[test]
fn a_text_that_says_nothing_is_none() {
    for text in [
        "",
        " ",
        "* *",
        "*",
        "**",
        "^",
        "$",
        "^*",
        "*$",
        "^*$",
        "{",
        "{}",
        "{Alice}",
        "{alice.comm}",
        "{alice",
        "x {pfn",
    ] {
        assert!(text.parse::<Glob>().is_err(), "{text:?} was taken");
    }
}

#[test]
fn numbers_of_times() {
    for (text, inside, outside) in [
        ("2", vec![2], vec![1, 3]),
        ("1..3", vec![1, 2, 3], vec![0, 4]),
        (">=2", vec![2, 99], vec![0, 1]),
        ("0", vec![0], vec![1]),
    ] {
        let count: Count = text.parse().unwrap();
        assert_eq!(count.to_string(), text);
        assert!(inside.iter().all(|times| count.contains(*times)), "{text}");
        assert!(!outside.iter().any(|times| count.contains(*times)), "{text}");
    }
    for text in [
        "",
        "x",
        "-1",
        "3..1",
        "1..",
        "..3",
        ">2",
        "<=2",
        "1.5",
        "1...3",
        "99999999999",
    ] {
        assert!(text.parse::<Count>().is_err(), "{text:?} was taken");
    }
    assert_eq!(Count::default(), Count::ONCE);
}

#[test]
fn paths_have_parts() {
    let path = |text: &str| text.parse::<FilePath>().unwrap();
    let deep = path("d/e/a");
    assert_eq!((deep.name(), deep.parent()), ("a", Some(path("d/e"))));
    assert_eq!(path("a").parent(), None);
    assert_eq!(deep.parts().collect::<Vec<_>>(), ["d", "e", "a"]);
    assert!(deep.is_below(&path("d")) && !path("da").is_below(&path("d")) && !path("d").is_below(&path("d")));
    assert_eq!(deep.moved(&path("d"), &path("x")), Some(path("x/e/a")));
    assert_eq!(path("d").moved(&path("d"), &path("x")), Some(path("x")));
    assert_eq!(path("da").moved(&path("d"), &path("x")), None);
    for text in ["", "/a", "a/", "a//b", "../a", "a/.", "A", "a b"] {
        assert!(text.parse::<FilePath>().is_err(), "{text:?} was taken");
    }
}

#[test]
fn rows_times_and_checksums() {
    assert_eq!(Row::all().count(), 108);
    assert!(Row::new(0).is_none() && Row::new(108).is_some() && Row::new(109).is_none());
    let seconds = |text: &str| {
        text.parse::<Seconds>()
            .map(|seconds| seconds.duration().as_secs())
            .ok()
    };
    assert_eq!(
        (
            seconds("30s"),
            seconds("2min"),
            seconds("0s"),
            seconds("30"),
            seconds("1h")
        ),
        (Some(30), Some(120), None, None, None)
    );
    let sum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    assert_eq!(sum.parse::<Sha256>().unwrap().to_string(), sum);
    assert!(sum[1..].parse::<Sha256>().is_err() && "é".repeat(32).parse::<Sha256>().is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_a_pattern_or_none(text in "\\PC{0,20}", line in "\\PC{0,20}") {
        if let Ok(glob) = text.parse::<Glob>() {
            prop_assert_eq!(glob.as_str(), text.as_str());
            if let Ok(pattern) = glob.fill(|_| Some("x".to_owned())) {
                let _ = pattern.is_in(&line);
            }
        }
    }

    #[test]
    fn a_line_has_its_own_parts(line in "[a-z ]{1,20}", from in 0..20_usize, length in 1..20_usize, star in 0..20_usize) {
        let part: String = line.chars().skip(from % line.len()).take(length).collect();
        prop_assume!(!part.trim().is_empty());
        prop_assert!(is_in(&part, &line));
        let cut = star % part.len();
        let glob = format!("{}*{}", &part[..cut], &part[cut..]);
        prop_assert!(is_in(&glob, &line));
    }

    #[test]
    fn any_text_is_a_number_of_times_or_none(text in "\\PC{0,12}") {
        let _ = text.parse::<Count>();
        let _ = text.parse::<Seconds>();
        let _ = text.parse::<FilePath>();
    }
}
