// SPDX-License-Identifier: MIT OR Apache-2.0
//! Text that came out of a guest, made safe to show.
//!
//! A serial console carries what the firmware and the kernel paint with (escape sequences), and whatever else a dying
//! guest puts on the wire. None of it may reach a person's terminal or an XML document as it is.

use std::iter::Peekable;
use std::str::Chars;

/// What stands for a character that cannot be shown.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

const ESCAPE: char = '\u{1b}';
const BELL: char = '\u{7}';

/// Text without escape sequences, carriage returns and control characters; what is left is lines and tabs of
/// characters that XML 1.0 allows. Cleaning twice is the same as cleaning once.
///
/// Sequences are those of ECMA-48 §5; one that breaks off takes nothing beyond its own line with it. Line ends become
/// `\n`. Any other control character, and U+FFFE and U+FFFF (XML 1.0 §2.2), becomes U+FFFD, so that one sees that
/// something was there.
pub fn clean(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            ESCAPE => skip_escape_sequence(&mut rest),
            '\r' => {
                if rest.peek() != Some(&'\n') {
                    clean.push('\n');
                }
            }
            '\n' | '\t' => clean.push(c),
            '\u{fffe}' | '\u{ffff}' => clean.push(REPLACEMENT),
            c if c.is_control() => clean.push(REPLACEMENT),
            c => clean.push(c),
        }
    }
    clean
}

/// Cleaned text on one line: every run of white space is one space, with none at either end.
pub fn one_line(text: &str) -> String {
    clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text of at most about `limit` bytes: the head and the tail of a longer one, cut at line ends where there are any
/// near, with a line between them that says how much is left out.
pub fn head_and_tail(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let half = limit / 2;
    let boundary = |at: &usize| text.is_char_boundary(*at);
    let head = &text[..(0..=half).rev().find(boundary).unwrap_or(0)];
    let tail = &text[(text.len() - half..=text.len())
        .find(boundary)
        .unwrap_or(text.len())..];
    // A line longer than this is cut through rather than lost.
    let near = half / 4;
    let head = match head.rfind('\n') {
        Some(end) if head.len() - end <= near => &head[..end],
        _ => head,
    };
    let tail = match tail.find('\n') {
        Some(end) if end <= near => &tail[end + 1..],
        _ => tail,
    };
    let left_out = text.len() - head.len() - tail.len();
    format!("{head}\n[… {left_out} bytes left out …]\n{tail}")
}

/// The last `most` lines of a text, and how many lines it has in all.
pub fn last_lines(text: &str, most: usize) -> (Vec<&str>, usize) {
    let lines: Vec<&str> = text.lines().collect();
    let all = lines.len();
    (lines[all.saturating_sub(most)..].to_vec(), all)
}

/// Passes over the rest of an escape sequence whose ESC is gone.
fn skip_escape_sequence(rest: &mut Peekable<Chars<'_>>) {
    match rest.peek() {
        Some('[') => {
            rest.next();
            // CSI: parameters and intermediates, then one final character.
            while rest.next_if(|c| (' '..='?').contains(c)).is_some() {}
            rest.next_if(|c| ('@'..='~').contains(c));
        }
        // OSC, DCS, SOS, PM, APC: a string up to its terminator.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            rest.next();
            skip_control_string(rest);
        }
        // A sequence of intermediates and one final character, or just the latter.
        Some(' '..='~') => {
            while rest.next_if(|c| (' '..='/').contains(c)).is_some() {}
            rest.next_if(|c| ('0'..='~').contains(c));
        }
        _ => {}
    }
}

/// Passes over a control string up to BEL or ST, if it has such an end on this line. One that has none is broken, and
/// taking it at its word would swallow the rest of the log.
fn skip_control_string(rest: &mut Peekable<Chars<'_>>) {
    let mut ahead = rest.clone();
    while let Some(c) = ahead.next() {
        match c {
            '\n' => return,
            BELL => {
                *rest = ahead;
                return;
            }
            ESCAPE => {
                if ahead.next_if_eq(&'\\').is_some() {
                    *rest = ahead;
                }
                return;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{clean, head_and_tail, last_lines, one_line};
    use crate::samples::any_text;

    #[test]
    fn escape_sequences_go_and_the_words_stay() {
        for (dirty, tidy) in [
            ("\u{1b}[1;31mred\u{1b}[0m alert", "red alert"),
            ("\u{1b}]0;title\u{7}after", "after"),
            ("\u{1b}]8;;http://x\u{1b}\\link\u{1b}]8;;\u{1b}\\", "link"),
            ("\u{1b}(Bplain\u{1b}c", "plain"),
            (
                "\u{1b}[2J\u{1b}[1;1HSeaBIOS\r\nBooting\rlinux",
                "SeaBIOS\nBooting\nlinux",
            ),
            ("ends in \u{1b}", "ends in "),
            ("breaks off \u{1b}[12\nnext", "breaks off \nnext"),
            ("no end \u{1b}]0;title\nnext line", "no end 0;title\nnext line"),
            (
                "nul\0bell\u{7}c1\u{9b}fffe\u{fffe}ffff\u{ffff}",
                "nul\u{fffd}bell\u{fffd}c1\u{fffd}fffe\u{fffd}ffff\u{fffd}",
            ),
            ("tab\tstays ]]> too", "tab\tstays ]]> too"),
        ] {
            assert_eq!(clean(dirty), tidy, "{dirty:?}");
        }
    }

    #[test]
    fn one_line_has_no_ends() {
        assert_eq!(one_line("  a\r\n\tb\u{1b}[0m  c "), "a b c");
    }

    #[test]
    fn short_text_is_left_alone_and_long_text_loses_its_middle() {
        assert_eq!(head_and_tail("short", 5), "short");
        let long = (0..1000).fold(String::new(), |text, n| text + &format!("line {n}\n"));
        let cut = head_and_tail(&long, 200);
        assert!(cut.starts_with("line 0\nline 1\n"), "{cut}");
        assert!(cut.ends_with("line 998\nline 999\n"), "{cut}");
        let left_out: usize = cut
            .split("[… ")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        let marker = format!("\n[… {left_out} bytes left out …]\n");
        assert_eq!(cut.len() - marker.len() + left_out, long.len());
    }

    #[test]
    fn last_lines_counts_all() {
        assert_eq!(last_lines("a\nb\nc\n", 2), (vec!["b", "c"], 3));
        assert_eq!(last_lines("", 2), (vec![], 0));
    }

    proptest! {
        #[test]
        fn cleaned_text_is_clean(text in any_text()) {
            let tidy = clean(&text);
            prop_assert_eq!(&clean(&tidy), &tidy);
            let allowed = |c| {
                matches!(c, '\t' | '\n' | ' '..='\u{7e}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
            };
            prop_assert!(tidy.chars().all(allowed));
        }

        #[test]
        fn a_cut_is_bounded(text in any_text(), limit in 0..64_usize) {
            prop_assert!(head_and_tail(&text, limit).len() <= limit.max(text.len().min(limit)) + 64);
        }
    }
}
