// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sizes, errno names, kernel versions and ranges, names.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use proptest::prelude::*;
use testcases::{Bytes, BytesError, CaseId, Errno, FileName, KernelRange, KernelVersion, ReturnCode};

fn version(text: &str) -> KernelVersion {
    text.parse().unwrap()
}

fn range(text: &str) -> KernelRange {
    text.parse().unwrap()
}

fn any_version() -> impl Strategy<Value = KernelVersion> {
    (1..9_u32, 0..30_u32, 0..200_u32, prop::option::of(1..9_u32)).prop_map(
        |(major, minor, patch, candidate)| KernelVersion {
            major,
            minor,
            patch,
            candidate,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bytes_read_what_they_print(number: u64) {
        prop_assert_eq!(Bytes(number).to_string().parse(), Ok(Bytes(number)));
        prop_assert_eq!(format!("{number:#x}").parse(), Ok(Bytes(number)));
        prop_assert_eq!(number.to_string().parse(), Ok(Bytes(number)));
    }

    #[test]
    fn bytes_count_in_powers_of_two(number in 0..1_u64 << 24, unit in 0..4_usize) {
        let (name, factor) = [("KiB", 1_u64 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)][unit];
        prop_assert_eq!(format!("{number}{name}").parse(), Ok(Bytes(number * factor)));
    }

    #[test]
    fn bytes_take_any_text_without_a_fault(text in "\\PC*") {
        let _ = text.parse::<Bytes>();
    }

    #[test]
    fn versions_read_what_they_print(version in any_version()) {
        prop_assert_eq!(version.to_string().parse(), Ok(version));
        prop_assert_eq!(format!("{version}-56-amd64").parse(), Ok(version));
    }

    #[test]
    fn versions_are_ordered(one in any_version(), two in any_version()) {
        prop_assert_eq!(one < two, two > one);
        prop_assert_eq!(one == two, one.cmp(&two).is_eq());
    }

    #[test]
    fn a_bound_splits_the_kernels_in_two(version in any_version(), bound in any_version(), parts in 1..4_usize) {
        let bound = KernelVersion { candidate: None, ..bound }.to_string();
        let bound = bound.split('.').take(parts).collect::<Vec<_>>().join(".");
        let holds = |sign: &str| range(&format!("{sign}{bound}")).contains(&version);
        prop_assert_ne!(holds(">="), holds("<"));
        prop_assert_ne!(holds("<="), holds(">"));
        prop_assert_eq!(holds(""), holds(">=") && holds("<="));
        prop_assert_eq!(range(&format!(">={bound}")).to_string(), format!(">={bound}"));
    }

    #[test]
    fn a_range_that_is_read_has_a_kernel(low in any_version(), high in any_version(), version in any_version()) {
        let text = format!(">={low}, <{high}");
        match text.parse::<KernelRange>() {
            Ok(range) => prop_assert!(range.contains(&low) || !range.contains(&version)),
            Err(_) => prop_assert!(low >= high, "{} refused", text),
        }
    }
}

#[test]
fn bytes_print_the_nicest_unit() {
    for (number, text) in [
        (0, "0"),
        (512, "512"),
        (4096, "4KiB"),
        (2 << 20, "2MiB"),
        (1 << 30, "1GiB"),
        (4097, "4097"),
    ] {
        assert_eq!(Bytes(number).to_string(), text);
    }
}

#[test]
fn units_that_mean_two_things_are_refused_with_the_one_that_does_not() {
    for (text, better) in [
        ("4K", "4KiB"),
        ("4KB", "4KiB"),
        ("512M", "512MiB"),
        ("1 gb", "1GiB"),
        ("4kib", "4KiB"),
    ] {
        match text.parse::<Bytes>() {
            Err(BytesError::Ambiguous { better: found, .. }) => assert_eq!(found, better),
            other => panic!("{text} gave {other:?}"),
        }
    }
    for text in [
        "",
        "KiB",
        "-1",
        "1.5MiB",
        "1_000",
        "0x",
        "0xg",
        "4KiBs",
        "16777216TiB",
    ] {
        assert!(text.parse::<Bytes>().is_err(), "{text:?} was taken");
    }
}

#[test]
fn errnos_are_those_of_linux() {
    for (name, number) in [
        ("EPERM", 1),
        ("EIO", 5),
        ("EFAULT", 14),
        ("EUCLEAN", 117),
        ("EHWPOISON", 133),
    ] {
        let errno: Errno = name.parse().unwrap();
        assert_eq!(errno.number(), number);
        assert_eq!(errno.to_string(), name);
        assert_eq!(Errno::from_number(number), Some(errno));
    }
    assert_eq!("EFSCORRUPTED".parse::<Errno>().unwrap().to_string(), "EUCLEAN");
    assert_eq!("EWOULDBLOCK".parse::<Errno>().unwrap().to_string(), "EAGAIN");
    // 41 and 58 were never given out.
    let known = (0..200)
        .filter(|number| Errno::from_number(*number).is_some())
        .count();
    assert_eq!(known, 131);
    assert!("EOI".parse::<Errno>().is_err());
}

#[test]
fn return_codes_are_zero_or_negative() {
    assert_eq!(ReturnCode::from_raw(-117).unwrap().to_string(), "-EUCLEAN (-117)");
    assert_eq!(ReturnCode::from_raw(0), Some(ReturnCode::ZERO));
    assert_eq!(ReturnCode::from_raw(117), None);
    assert_eq!(ReturnCode::from_raw(i32::MIN), None);
    assert_eq!(ReturnCode::from("EIO".parse::<Errno>().unwrap()).raw(), -5);
}

#[test]
fn versions_are_read_from_release_strings() {
    for (text, expected) in [
        ("6.12", "6.12.0"),
        ("6.12.117", "6.12.117"),
        ("6.1.0-56-amd64", "6.1.0"),
        ("6.12.117+deb12-amd64", "6.12.117"),
        ("6.13.0-rc3", "6.13.0-rc3"),
        ("6.13-rc7-amd64", "6.13.0-rc7"),
        ("6.13~rc7-1~exp1", "6.13.0-rc7"),
        ("6.18.0-rc1-00012-gabcdef012345", "6.18.0-rc1"),
    ] {
        assert_eq!(version(text).to_string(), expected, "from {text}");
    }
    for text in [
        "",
        "6",
        "v6.1",
        "6.",
        "6.x",
        "6.1.2.3",
        "six",
        "6.1 ",
        "99999999999.1",
    ] {
        assert!(text.parse::<KernelVersion>().is_err(), "{text:?} was taken");
    }
    assert!(version("6.13.0-rc3") < version("6.13.0-rc10"));
    assert!(version("6.13.0-rc3") < version("6.13"));
    assert!(version("6.12.200") < version("6.13.0-rc1"));
}

#[test]
fn ranges_compare_as_far_as_they_are_written() {
    for (text, kernel, inside) in [
        (">=6.1", "6.1.0", true),
        (">=6.1", "6.0.19", false),
        ("<6.2", "6.1.192", true),
        ("<6.2", "6.2.0", false),
        ("<6.2", "6.2.0-rc1", false),
        (">=6.2", "6.2.0-rc1", true),
        ("<6.2-rc3", "6.2.0-rc1", true),
        ("<6.2-rc3", "6.2.0", false),
        (">6.2-rc3", "6.2.0-rc3", false),
        ("<=6.1", "6.1.192", true),
        (">6.1", "6.1.192", false),
        (">6.1", "6.2.0-rc1", true),
        (">=6.1, <6.13", "6.12.117", true),
        (">=6.1, <6.13", "6.13.0-rc1", false),
        ("6.12", "6.12.117", true),
        ("6.12", "6.13.0", false),
        ("=6.12.5", "6.12.5", true),
        ("6", "6.18.1", true),
        ("any", "2.6.32", true),
    ] {
        assert_eq!(
            range(text).contains(&version(kernel)),
            inside,
            "{kernel} in {text}"
        );
    }
    for text in [
        "",
        ">>6.1",
        "6.1 - 6.5",
        ">=",
        "6.1,",
        "6.1.x",
        ">6.5, <6.1",
        ">6.1, <6.2",
        "6.1, 6.2",
    ] {
        assert!(text.parse::<KernelRange>().is_err(), "{text:?} was taken");
    }
    assert!(range("<6.2").overlaps(&range(">=6.1")));
    assert!(!range("<6.2").overlaps(&range(">=6.2")));
    assert!(range("any").overlaps(&range("6.1")));
}

#[test]
fn names_mean_the_same_everywhere() {
    for name in ["a", "file-1", "0_x"] {
        assert!(name.parse::<FileName>().is_ok(), "{name:?} was refused");
    }
    for name in ["", "..", "a/b", "-rf", "_a", "A", "a b", "a\n", &"a".repeat(65)] {
        assert!(name.parse::<FileName>().is_err(), "{name:?} was taken");
    }
    for id in ["data/shared-block", "a"] {
        assert_eq!(id.parse::<CaseId>().unwrap().as_str(), id);
    }
    for id in ["", "/a", "a//b", "../a", "A"] {
        assert!(id.parse::<CaseId>().is_err(), "{id:?} was taken");
    }
}
