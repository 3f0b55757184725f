// SPDX-License-Identifier: MIT OR Apache-2.0
//! The coverage table: what a kernel should do, row by row, and which cases show it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde::Deserialize;

use crate::diagnostic::Diagnostics;
use crate::model::Case;
use crate::syntax;
use crate::value::Row;

/// The rows of the coverage table, in sections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    sections: Vec<Section>,
}

/// Rows about one subject.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    section: String,
    rows: Vec<Behaviour>,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Behaviour {
    row: Row,
    shows: String,
    not_reachable: Option<String>,
}

/// Why a text is no coverage table.
#[derive(Debug, thiserror::Error)]
pub enum CoverageError {
    /// It is written in another way.
    #[error("the list of rows cannot be read")]
    Form(#[source] Diagnostics),
    /// The rows are not 1 to 108, each once and in order.
    #[error("row {found} stands where row {expected} should: the table has all rows, each once, in order")]
    Order {
        /// The row that should be there.
        expected: u8,
        /// The row that is, 0 if there is none.
        found: u8,
    },
}

impl Coverage {
    /// The table of this repository, `testcases/coverage.yaml`.
    ///
    /// # Errors
    /// When the file was wrong when this program was built.
    pub fn ours() -> Result<Self, CoverageError> {
        Self::parse(include_str!("../coverage.yaml"))
    }

    /// Reads a table.
    ///
    /// # Errors
    /// When it is no list of sections, or lacks a row.
    pub fn parse(text: &str) -> Result<Self, CoverageError> {
        let refuse = |found| CoverageError::Form(Diagnostics::new(Path::new("coverage.yaml"), text, found));
        let root = syntax::open(text, 0, |_| false).map_err(refuse)?;
        let mut found = Vec::new();
        let sections: Option<Vec<Section>> = root.read(&mut found);
        let sections = sections.ok_or_else(|| refuse(found))?;
        let mut rows = sections.iter().flat_map(|section| &section.rows);
        for expected in Row::all() {
            let found = rows.next().map_or(0, |row| row.row.number());
            if found != expected.number() {
                let expected = expected.number();
                return Err(CoverageError::Order { expected, found });
            }
        }
        match rows.next() {
            None => Ok(Self { sections }),
            Some(more) => Err(CoverageError::Order {
                expected: 0,
                found: more.row.number(),
            }),
        }
    }

    /// What a row is about.
    pub fn shows(&self, row: Row) -> Option<&str> {
        self.rows()
            .find(|known| known.row == row)
            .map(|known| known.shows.as_str())
    }

    fn rows(&self) -> impl Iterator<Item = &Behaviour> {
        self.sections.iter().flat_map(|section| &section.rows)
    }

    /// The table with the cases that cover each row, in Markdown, for a page that lies beside the folder `cases`.
    pub fn table(&self, cases: &[Case]) -> String {
        let mut files: BTreeMap<Row, BTreeMap<&str, usize>> = BTreeMap::new();
        for case in cases {
            for row in &case.covers {
                *files.entry(*row).or_default().entry(case.id.file()).or_default() += 1;
            }
        }
        let covered = self.rows().filter(|row| files.contains_key(&row.row)).count();
        let unreachable = self.rows().filter(|row| row.not_reachable.is_some()).count();
        let mut text = format!(
            "{covered} of {} rows are shown by a case; {unreachable} are not reachable by one.\n",
            Row::LAST
        );
        for Section { section, rows } in &self.sections {
            // Writing to a String cannot fail.
            let _ = write!(text, "\n| # | {section} | cases |\n| --- | --- | --- |\n");
            for Behaviour {
                row,
                shows,
                not_reachable,
            } in rows
            {
                let cases: Vec<String> = files
                    .get(row)
                    .into_iter()
                    .flatten()
                    .map(|(file, count)| linked(file, *count))
                    .collect();
                let cases = match (cases.as_slice(), not_reachable) {
                    ([], Some(why)) => format!("not reachable: {why}"),
                    ([], None) => "none yet".to_owned(),
                    (cases, _) => cases.join(", "),
                };
                let _ = writeln!(text, "| {row} | {shows} | {cases} |");
            }
        }
        text
    }
}

fn linked(file: &str, count: usize) -> String {
    let many = match count {
        1 => String::new(),
        count => format!(" ({count})"),
    };
    format!("[{file}](cases/{file}.yaml){many}")
}
