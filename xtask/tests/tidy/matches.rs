// SPDX-License-Identifier: MIT OR Apache-2.0
//! Finds in the text of a source file where an enum is not matched kind by kind: by a wildcard arm, or by an `if let`, a
//! `let … else` or a `matches!` that says nothing of the other kinds. Whoever adds a kind must be asked for each place.

/// The enums to which kinds are added: what a case can do, what is known of it, what the guest can be asked, and the ways in
/// which an error is made.
pub(crate) const ENUMS: [&str; 24] = [
    "Operation",
    "FileOperation",
    "MountOperation",
    "SystemOperation",
    "VictimOperation",
    "OperationDocument",
    "Writes",
    "Effect",
    "NewSize",
    "SizeChange",
    "DataAccess",
    "AnyCall",
    "GuestCall",
    "ChangeCall",
    "FactsCall",
    "FileCall",
    "KernelFileCall",
    "MountCall",
    "ObserveCall",
    "VictimCall",
    "FileChange",
    "MountChange",
    "Order",
    "Mechanism",
];

/// Where an enum may be matched otherwise, and why.
pub(crate) const EXCEPTIONS: [(&str, &str); 1] = [
    // The conditions of the rules: a row is for those that it names, and the row that is for all others comes last. A
    // mechanism for which no row is right shows where the suite runs: the oracle foretells of each error what comes of it.
    ("harness/verdict/src/oracle/rules.rs", "Mechanism"),
];

/// The lines, counted from 1, at which one of the enums is not matched kind by kind, each with what is wrong.
pub(crate) fn faults(source: &str) -> Vec<(usize, String)> {
    let code = source.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
    let code = with_self_named(&blanked(code));
    let mut found: Vec<(usize, String)> = Vec::new();
    for at in words(&code, "match") {
        let Some(open) = at_depth_0(&code, at, |rest| rest.starts_with('{')) else {
            continue;
        };
        let arms = arms(&code, open + 1, closing(&code, open));
        found
            .extend(catch_all(&arms).map(|(at, name)| (at, format!("an arm for all other kinds of {name}"))));
    }
    for at in words(&code, "let") {
        let end = at_depth_0(&code, at, |rest| {
            rest.starts_with('=') && !rest.starts_with("==") && !rest.starts_with("=>")
        });
        if let Some((_, name)) = end.and_then(|end| named(&code[at..end]).next()) {
            found.push((at, format!("a `let` that is for some kinds of {name} only")));
        }
    }
    for at in words(&code, "matches!") {
        let open = at + "matches!".len();
        if let Some((_, name)) = named(&code[open..closing(&code, open)]).next() {
            found.push((
                at,
                format!("a `matches!` that is false of all other kinds of {name}"),
            ));
        }
    }
    for at in words(&code, "use") {
        let end = code[at..].find(';').map_or(code.len(), |length| at + length);
        let imported = &code[at..end];
        for name in ENUMS {
            let kinds = words(imported, name).any(|at| imported[at + name.len()..].starts_with("::"));
            if kinds {
                found.push((at, format!("kinds of {name} are called by half their names")));
            }
        }
    }
    found.sort_unstable();
    let line = |at: usize| code[..at].matches('\n').count() + 1;
    found.into_iter().map(|(at, what)| (line(at), what)).collect()
}

/// The enums that a source file declares.
pub(crate) fn declared(source: &str) -> Vec<String> {
    let code = blanked(source);
    let name = |at: usize| {
        let rest = code[at + "enum".len()..].trim_start();
        rest.chars().take_while(|letter| is_part(*letter)).collect()
    };
    words(&code, "enum").map(name).collect()
}

/// The text without its comments and without what stands in quotes; every line keeps its number.
fn blanked(text: &str) -> String {
    let mut blank = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if let Some(raw) = rest.strip_prefix("r#\"") {
            raw.find("\"#").map_or(rest.len(), |end| end + 5)
        } else if next == '"' {
            quoted(rest, '"')
        } else if next == '\'' && (rest.starts_with("'\\") || rest.chars().nth(2) == Some('\'')) {
            quoted(rest, '\'')
        } else {
            blank.push(next);
            rest = &rest[next.len_utf8()..];
            continue;
        };
        blank.extend(rest[..length].chars().filter(|letter| *letter == '\n'));
        blank.push(' ');
        rest = &rest[length..];
    }
    blank
}

/// The length of what stands in quotes, with them.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        if !escaped && letter == quote {
            return at + quote.len_utf8();
        }
        escaped = !escaped && letter == '\\';
    }
    text.len()
}

/// The same with the name of one of the enums in place of `Self` in what is implemented for it.
fn with_self_named(code: &str) -> String {
    let mut text = String::with_capacity(code.len());
    let mut done = 0;
    for at in words(code, "impl") {
        let Some(open) = code[at..].find('{').map(|length| at + length) else {
            continue;
        };
        let header = &code[at..open];
        let of = header.rsplit(" for ").next().unwrap_or(header);
        let Some(name) = ENUMS.into_iter().find(|name| words(of, name).next().is_some()) else {
            continue;
        };
        if at < done {
            continue;
        }
        let end = closing(code, open);
        text.push_str(&code[done..open]);
        text.push_str(&code[open..end].replace("Self::", &format!("{name}::")));
        done = end;
    }
    text.push_str(&code[done..]);
    text
}

fn is_part(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// Where a word stands that is no part of a longer one.
fn words<'t>(text: &'t str, word: &'t str) -> impl Iterator<Item = usize> + 't {
    let alone =
        move |at: &usize| !text[..*at].ends_with(is_part) && !text[at + word.len()..].starts_with(is_part);
    text.match_indices(word).map(|(at, _)| at).filter(alone)
}

/// From `start` on, where something stands that is in no further bracket.
fn at_depth_0(text: &str, start: usize, is_it: impl Fn(&str) -> bool) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, letter) in text[start..].char_indices() {
        if depth == 0 && is_it(&text[start + at..]) {
            return Some(start + at);
        }
        depth = depth_after(depth, letter)?;
    }
    None
}

/// In how many brackets one is after this letter; in none where it closes one that was never opened.
fn depth_after(depth: usize, letter: char) -> Option<usize> {
    match letter {
        '(' | '[' | '{' => Some(depth + 1),
        ')' | ']' | '}' => depth.checked_sub(1),
        _ => Some(depth),
    }
}

/// Where the bracket that opens at `open` is closed.
fn closing(text: &str, open: usize) -> usize {
    let end = at_depth_0(text, open + 1, |rest| rest.starts_with([')', ']', '}']));
    end.unwrap_or(text.len())
}

/// The patterns between two places, with where each begins. Each alternative is one.
fn arms(code: &str, mut at: usize, end: usize) -> Vec<(usize, String)> {
    let mut patterns = Vec::new();
    let block = &code[..end];
    loop {
        at += block[at..]
            .find(|letter: char| !letter.is_whitespace() && letter != ',')
            .unwrap_or(end - at);
        if block[at..].starts_with("#[") {
            at = closing(block, at + 1) + 1;
            continue;
        }
        let Some(arrow) = at_depth_0(block, at, |rest| rest.starts_with("=>")) else {
            return patterns;
        };
        let guard = at_depth_0(&block[..arrow], at, |rest| rest.starts_with(" if "));
        let pattern = block[at..guard.unwrap_or(arrow)].split_whitespace();
        let pattern = pattern.collect::<Vec<_>>().join(" ").replace("( ", "(");
        let mut start = 0;
        while let Some(bar) = at_depth_0(&pattern, start, |rest| rest.starts_with('|')) {
            patterns.push((at, pattern[start..bar].trim().to_owned()));
            start = bar + 1;
        }
        patterns.push((at, pattern[start..].trim().to_owned()));
        let body = arrow
            + 2
            + block[arrow + 2..]
                .find(|letter: char| !letter.is_whitespace())
                .unwrap_or(0);
        at = if block[body..].starts_with('{') {
            closing(block, body) + 1
        } else {
            at_depth_0(block, body, |rest| rest.starts_with(',')).unwrap_or(end)
        };
        at = at.min(end);
    }
}

/// Where kinds of the enums are named in a pattern, with their paths, and of which enums they are.
fn named(pattern: &str) -> impl Iterator<Item = (usize, &'static str)> {
    let kinds = move |name: &'static str| {
        let is_kind = move |at: &usize| {
            let kind = pattern[at + name.len()..].strip_prefix("::");
            kind.is_some_and(|kind| kind.starts_with(|letter: char| letter.is_ascii_uppercase()))
        };
        words(pattern, name).filter(is_kind).map(move |at| {
            let path = pattern[..at].trim_end_matches(|letter| is_part(letter) || letter == ':');
            (path.len(), name)
        })
    };
    ENUMS.into_iter().flat_map(kinds)
}

/// The arms that take whatever is left where another arm names a kind.
fn catch_all(arms: &[(usize, String)]) -> impl Iterator<Item = (usize, &'static str)> {
    let mut before: Vec<(&str, &'static str)> = Vec::new();
    for (_, pattern) in arms {
        for (kind, name) in named(pattern) {
            // Here, or further out, something could stand for whatever is left.
            let outside = |at: &usize| {
                (*at == 0 || pattern[..*at].ends_with(['(', ' ']))
                    && pattern[*at..kind].chars().try_fold(0, depth_after).is_some()
            };
            before.extend((0..=kind).filter(outside).map(|at| (&pattern[..at], name)));
        }
    }
    arms.iter().filter_map(move |(at, pattern)| {
        let whatever = |(prefix, name): &(&str, &'static str)| {
            let rest = pattern.strip_prefix(prefix)?;
            let rest = rest.strip_prefix("ref ").unwrap_or(rest);
            let all = rest.starts_with(|letter: char| letter == '_' || letter.is_ascii_lowercase());
            let end = rest.trim_start_matches(is_part);
            (all && (end.is_empty() || end.starts_with([',', ')']))).then_some((*at, *name))
        };
        before.iter().find_map(whatever)
    })
}

#[cfg(test)]
mod tests {
    use super::faults;

    fn lines(source: &str) -> Vec<usize> {
        faults(source).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn an_arm_for_whatever_is_left_is_found() {
        let source = r#"
fn f(operation: &Operation, other: Other) {
    match other {
        Other::A => "match Operation::File(_) { _ => 1 }",
        _ => "",
    }
    match operation {
        Operation::File(FileOperation::Read(read)) if read.direct => { 1 }
        Operation::File(_) => 2,
        Operation::Mount(model::MountOperation::Mount(_)) => 3,
        Operation::Mount(_) => 4,
        // An arm `_ => 0` is none here.
        Operation::System(_)
        | Operation::Victim(_) => 5,
    }
    match action {
        Action::Operation(Operation::File(_) | Operation::Mount(_)) => 1,
        Action::Operation(Operation::System(_)) | Action::Fork(_) => 2,
    }
    let far = match (operation, other) {
        (Operation::File(_), Other::A) => 1,
        (_, Other::A) => 2,
        (other, _) => 3,
    };
    match action {
        Some(Action::Operation(call::Operation::File(_))) => 1,
        Some(Action::Fork(_)) => 2,
        Some(_) => 3,
        None => 4,
    }
}
"#;
        // In the first two the kinds of the inner enum are left, in the next two those of the outer.
        assert_eq!(lines(source), [9, 11, 22, 23, 28]);
    }

    #[test]
    fn declared_enums_are_known_by_their_names() {
        let source = "calls! { enum FileCall; }\n// enum None\nenum Order<'a> { A }\npub enum Effect {}";
        assert_eq!(super::declared(source), ["FileCall", "Order", "Effect"]);
    }

    #[test]
    fn what_is_for_some_kinds_only_is_found() {
        let source = "
use crate::model::Operation::{File, Mount};
use crate::model::{Operation, Order};
impl<'a> Order {
    fn f(&self) -> bool {
        let unmaps = matches!(self, Self::Unmap { .. });
        if let Some(Self::Unpin) = other {
            return Order::Unpin == *self;
        }
        let Order::Fork { name } = self else {
            return false;
        };
        let order = Order::Unpin;
        match self {
            Self::Unpin => true,
            rest => false,
        }
    }
}
impl Other {
    fn f(&self) -> bool {
        let FileOrder::A(order) = order;
        match self {
            Self::Unpin => true,
            _ => false,
        }
    }
}
#[cfg(test)]
mod tests {
    fn f() {
        let Order::Fork { name } = order else {};
    }
}
";
        assert_eq!(lines(source), [2, 6, 7, 10, 16]);
    }
}
