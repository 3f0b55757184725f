// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a scalar is: a text, unless it is written without quotes and reads as something else.

/// The text of a scalar, without its quotes.
#[derive(Debug, Clone)]
pub(crate) struct Scalar {
    pub(super) text: String,
    /// Whether it is written without quotes, and not as a block of text.
    plain: bool,
}

/// What a scalar says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Meaning<'a> {
    Nothing,
    Truth(bool),
    Unsigned(u64),
    Negative(i64),
    /// A whole number that 64 bits do not hold.
    TooLarge,
    Float(f64),
    Text(&'a str),
}

impl Scalar {
    /// A scalar that may read as a number, a truth value or nothing.
    pub(super) fn plain(text: String) -> Self {
        Self { text, plain: true }
    }

    /// A text, whatever it looks like.
    pub(crate) fn text(text: String) -> Self {
        Self { text, plain: false }
    }

    /// What it says by the core schema of YAML 1.2 (section 10.3.2), with `0b` and signs before `0x` beside.
    pub(super) fn meaning(&self) -> Meaning<'_> {
        let text = self.text.as_str();
        match text {
            _ if !self.plain => Meaning::Text(text),
            "" | "~" | "null" | "Null" | "NULL" => Meaning::Nothing,
            "true" | "True" | "TRUE" => Meaning::Truth(true),
            "false" | "False" | "FALSE" => Meaning::Truth(false),
            _ => number(text).unwrap_or(Meaning::Text(text)),
        }
    }
}

fn number(text: &str) -> Option<Meaning<'static>> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let negative = text.starts_with('-');
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    // Two signs are text, and so is `012`, which is ten to some readers and twelve to others.
    if digits.starts_with(['-', '+']) || (all_digits && digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    let radix = [("0x", 16), ("0o", 8), ("0b", 2)];
    let (digits_of_it, radix) = radix
        .iter()
        .find_map(|(prefix, radix)| Some((digits.strip_prefix(prefix)?, *radix)))
        .unwrap_or((digits, 10));
    if !digits_of_it.starts_with('+')
        && let Ok(size) = u128::from_str_radix(digits_of_it, radix)
    {
        return Some(match (negative, u64::try_from(size), i128::try_from(size)) {
            (false, Ok(number), _) | (true, Ok(number @ 0), _) => Meaning::Unsigned(number),
            (true, _, Ok(number)) => i64::try_from(-number).map_or(Meaning::TooLarge, Meaning::Negative),
            _ => Meaning::TooLarge,
        });
    }
    let float = match (digits, negative) {
        (".inf" | ".Inf" | ".INF", false) => f64::INFINITY,
        (".inf" | ".Inf" | ".INF", true) => f64::NEG_INFINITY,
        _ if matches!(text, ".nan" | ".NaN" | ".NAN") => f64::NAN,
        // Rust also reads `inf` and `nan`, which are words to YAML.
        _ => text.parse().ok().filter(|number: &f64| number.is_finite())?,
    };
    Some(Meaning::Float(float))
}
