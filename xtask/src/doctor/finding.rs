// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a check comes to, and how that is shown.

use reports::text::one_line;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// As it should be.
    Ok,
    /// Good to know; a run goes on without.
    Note,
    /// A run cannot do without.
    Missing,
}

impl Level {
    /// Readable without colours: what is missing stands out by its capitals.
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Missing => "MISSING",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) level: Level,
    /// The thing, in a word or three.
    pub(super) subject: &'static str,
    /// What was found.
    pub(super) text: String,
    /// What to do about it.
    pub(super) way_out: Option<String>,
}

impl Finding {
    pub(super) fn ok(subject: &'static str, text: impl Into<String>) -> Self {
        Self::new(Level::Ok, subject, text)
    }

    pub(super) fn note(subject: &'static str, text: impl Into<String>) -> Self {
        Self::new(Level::Note, subject, text)
    }

    pub(super) fn missing(subject: &'static str, text: impl Into<String>) -> Self {
        Self::new(Level::Missing, subject, text)
    }

    fn new(level: Level, subject: &'static str, text: impl Into<String>) -> Self {
        Self {
            level,
            subject,
            text: text.into(),
            way_out: None,
        }
    }

    pub(super) fn way_out(mut self, way_out: impl Into<String>) -> Self {
        self.way_out = Some(way_out.into());
        self
    }
}

/// Findings that belong together.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) title: &'static str,
    pub(super) findings: Vec<Finding>,
}

/// Whether nothing that is needed is missing.
pub(super) fn is_well(groups: &[Group]) -> bool {
    missing(groups).is_empty()
}

fn missing(groups: &[Group]) -> Vec<&'static str> {
    groups
        .iter()
        .flat_map(|group| &group.findings)
        .filter(|finding| finding.level == Level::Missing)
        .map(|finding| finding.subject)
        .collect()
}

/// One line for each finding, under the titles of the groups; the last line sums them up.
pub(super) fn render(groups: &[Group]) -> String {
    let width = groups
        .iter()
        .flat_map(|group| &group.findings)
        .map(|finding| finding.subject.chars().count())
        .max()
        .unwrap_or_default();
    let mut lines = Vec::new();
    for Group { title, findings } in groups {
        lines.push((*title).to_owned());
        lines.extend(findings.iter().map(|finding| line(finding, width)));
    }
    let missing = missing(groups);
    let sum = match missing.len() {
        0 => "all that is needed is here, or can be fetched".to_owned(),
        1 => format!("1 thing is missing: {}", missing.join(", ")),
        count => format!("{count} things are missing: {}", missing.join(", ")),
    };
    format!("{}\n\n{sum}\n", lines.join("\n"))
}

fn line(finding: &Finding, width: usize) -> String {
    let (word, subject) = (finding.level.word(), finding.subject);
    // What a program says of itself may have several lines.
    let text = one_line(&finding.text);
    let line = format!("  {word:<7}  {subject:<width$}  {text}");
    match &finding.way_out {
        Some(way_out) => format!("{line}: {}", one_line(way_out)),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_each_and_the_sum_at_the_end() {
        let groups = [
            Group {
                title: "building",
                findings: vec![
                    Finding::ok("C compiler", "cc 12.2.0"),
                    Finding::missing("OpenSSL headers", "ssh2 needs them\nto build")
                        .way_out("apt-get install libssl-dev"),
                ],
            },
            Group {
                title: "guests",
                findings: vec![Finding::note("QEMU", "not on PATH")],
            },
        ];
        assert_eq!(
            render(&groups),
            "building\n\
             \x20 ok       C compiler       cc 12.2.0\n\
             \x20 MISSING  OpenSSL headers  ssh2 needs them to build: apt-get install libssl-dev\n\
             guests\n\
             \x20 note     QEMU             not on PATH\n\
             \n\
             1 thing is missing: OpenSSL headers\n"
        );
        assert!(!is_well(&groups));
    }

    #[test]
    fn notes_do_no_harm() {
        let groups = [Group {
            title: "guests",
            findings: vec![Finding::ok("a", "b"), Finding::note("c", "d")],
        }];
        assert!(is_well(&groups));
        assert!(render(&groups).ends_with("\nall that is needed is here, or can be fetched\n"));
    }
}
