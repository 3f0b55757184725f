// SPDX-License-Identifier: MIT OR Apache-2.0
//! Debian package versions and their order, as Debian Policy §5.6.12 defines it.

use std::cmp::Ordering;

/// Compares two Debian versions: epoch, then upstream version, then revision.
pub(crate) fn compare(left: &str, right: &str) -> Ordering {
    let (left, right) = (Parts::of(left), Parts::of(right));
    left.epoch
        .cmp(&right.epoch)
        .then_with(|| compare_part(left.upstream, right.upstream))
        .then_with(|| compare_part(left.revision, right.revision))
}

struct Parts<'a> {
    epoch: u64,
    upstream: &'a str,
    revision: &'a str,
}

impl<'a> Parts<'a> {
    fn of(version: &'a str) -> Self {
        let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        Self {
            epoch: epoch.parse().unwrap_or(0),
            upstream,
            revision,
        }
    }
}

/// Alternates between runs of non-digits, compared by [`weight`], and runs of digits, compared as numbers.
fn compare_part(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.as_bytes(), right.as_bytes());
    while !left.is_empty() || !right.is_empty() {
        let (left_text, right_text) = (take(&mut left, false), take(&mut right, false));
        for at in 0..left_text.len().max(right_text.len()) {
            let order = weight(left_text.get(at)).cmp(&weight(right_text.get(at)));
            if order.is_ne() {
                return order;
            }
        }
        let (left_number, right_number) = (number(take(&mut left, true)), number(take(&mut right, true)));
        let order = left_number
            .len()
            .cmp(&right_number.len())
            .then_with(|| left_number.cmp(right_number));
        if order.is_ne() {
            return order;
        }
    }
    Ordering::Equal
}

/// Cuts the leading run of digits (or of non-digits) off.
fn take<'a>(text: &mut &'a [u8], digits: bool) -> &'a [u8] {
    let end = text
        .iter()
        .position(|byte| byte.is_ascii_digit() != digits)
        .unwrap_or(text.len());
    let (run, rest) = text.split_at(end);
    *text = rest;
    run
}

/// Without leading zeros the longer number is the greater, so numbers of any length can be compared.
fn number(digits: &[u8]) -> &[u8] {
    let zeros = digits.iter().take_while(|&&byte| byte == b'0').count();
    digits.get(zeros..).unwrap_or_default()
}

/// `~` sorts before the end, the end before letters, letters before everything else.
fn weight(byte: Option<&u8>) -> i32 {
    match byte {
        Some(b'~') => -1,
        None => 0,
        Some(letter) if letter.is_ascii_alphabetic() => i32::from(*letter),
        Some(other) => i32::from(*other) + 256,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_order() {
        let ascending = [
            "0~~",
            "0~",
            "0",
            "1.0~rc1-1",
            "1.0-1",
            "1.0-1+b1",
            "1.0-1.1",
            "1.0a-1",
            "1.0+x-1",
            "6.1.99-1",
            "6.1.192-1",
            "6.1.192-2",
            "6.12.90-1~bpo12+1",
            "6.12.90-2~bpo12+1",
            "6.12.117-1~bpo12+1",
            "6.12.117-1~deb12u1",
            "6.12.117-1",
            "7.2.13-1",
            "7.10-1",
            "99999999999999999999999999-1",
            "1:0.1-1",
            "2:0.1-1",
        ];
        for (at, lesser) in ascending.iter().enumerate() {
            assert_eq!(compare(lesser, lesser), Ordering::Equal, "{lesser}");
            for greater in &ascending[at + 1..] {
                assert_eq!(compare(lesser, greater), Ordering::Less, "{lesser} < {greater}");
                assert_eq!(
                    compare(greater, lesser),
                    Ordering::Greater,
                    "{greater} > {lesser}"
                );
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn it_is_an_order(
            one in "([0-9]:)?[0-9][a-z0-9.+~]{0,6}(-[a-z0-9.+~]{1,3})?",
            two in "([0-9]:)?[0-9][a-z0-9.+~]{0,6}(-[a-z0-9.+~]{1,3})?",
            three in "([0-9]:)?[0-9][a-z0-9.+~]{0,6}(-[a-z0-9.+~]{1,3})?",
        ) {
            proptest::prop_assert_eq!(compare(&one, &two), compare(&two, &one).reverse());
            if compare(&one, &two).is_le() && compare(&two, &three).is_le() {
                proptest::prop_assert!(compare(&one, &three).is_le());
            }
        }
    }

    #[test]
    fn spellings_of_the_same() {
        for (left, right) in [
            ("1.0", "0:1.0"),
            ("1.0-0", "1.0"),
            ("1.01", "1.1"),
            ("00012", "12"),
        ] {
            assert_eq!(compare(left, right), Ordering::Equal, "{left} = {right}");
        }
    }
}
