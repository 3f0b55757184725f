// SPDX-License-Identifier: MIT OR Apache-2.0
//! Paragraphs of `Field: value` lines, the format of package indexes and of `apt-get indextargets`.

use std::io::BufRead;

/// One paragraph; continuation lines are left out, since nothing that is read here has any.
#[derive(Debug, Default)]
pub(crate) struct Paragraph(Vec<(String, String)>);

impl Paragraph {
    /// The value of a field; names compare without regard to case (Debian Policy §5.1).
    pub(crate) fn get(&self, field: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(field))
            .map(|(_, value)| value.as_str())
    }
}

/// Hands each paragraph whose *first line* passes `wanted` to `each`.
///
/// Indexes have a hundred thousand paragraphs and a few of interest: only those are taken apart.
pub(crate) fn paragraphs(
    mut text: impl BufRead,
    wanted: impl Fn(&str) -> bool,
    mut each: impl FnMut(Paragraph),
) -> std::io::Result<()> {
    let (mut line, mut current, mut first) = (Vec::new(), None::<Paragraph>, true);
    loop {
        line.clear();
        let count = text.read_until(b'\n', &mut line)?;
        let blank = line.iter().all(u8::is_ascii_whitespace);
        if blank {
            if let Some(done) = current.take() {
                each(done);
            }
            first = true;
            if count == 0 {
                return Ok(());
            }
            continue;
        }
        if first {
            first = false;
            current = wanted(String::from_utf8_lossy(&line).trim_end()).then(Paragraph::default);
        }
        let Some(paragraph) = &mut current else { continue };
        let line = String::from_utf8_lossy(&line);
        if line.starts_with([' ', '\t', '#']) {
            continue;
        }
        if let Some((name, value)) = line.split_once(':') {
            paragraph.0.push((name.to_owned(), value.trim().to_owned()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_wanted_are_read() {
        let text = "Package: a\nVersion: 1\nDescription: one\n more: of it\n\n\nPackage: b\nVersion: 2\n\nPackage: a\nVERSION:3";
        let mut found = Vec::new();
        paragraphs(
            text.as_bytes(),
            |line| line == "Package: a",
            |one| found.push(one),
        )
        .unwrap();
        let versions: Vec<_> = found.iter().map(|one| one.get("Version").unwrap()).collect();
        assert_eq!(versions, ["1", "3"]);
        assert_eq!(found[0].get(" more"), None);
        assert_eq!(found[0].get("Nothing"), None);
    }
}
