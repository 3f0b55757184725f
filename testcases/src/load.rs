// SPDX-License-Identifier: MIT OR Apache-2.0
//! From files to cases.

use std::path::Path;

use crate::check::check;
use crate::diagnostic::{Diagnostic, Diagnostics, merged};
use crate::library::{DiscoverError, LARGEST, Library, bytes_of, discover, no_file, too_large};
use crate::lower::{self, Parts};
use crate::model::{Case, CaseId, CaseIdError, Included, Step};
use crate::source::Sources;
use crate::syntax;

/// Reads the cases in the file `path`, which lies below `root`, the folder of cases: one, or where it has parameters one for
/// each of their combinations.
///
/// # Errors
/// Everything that is wrong with the file, be it that it cannot be read.
pub fn load(path: &Path, root: &Path) -> Result<Vec<Case>, Diagnostics> {
    let refuse = |diagnostic: Diagnostic| Diagnostics::new(path, "", vec![diagnostic]);
    if path.is_dir() {
        return Err(refuse(no_file("a folder")));
    }
    let id = id_of(path, root).map_err(|error| {
        refuse(
            Diagnostic::new(format!("this file cannot be a case: {error}")).help("rename or move the file"),
        )
    })?;
    let bytes = bytes_of(path).map_err(|diagnostic| refuse(*diagnostic))?;
    match std::str::from_utf8(&bytes) {
        Ok(source) => read(source, path, id, Some(root)),
        Err(error) => Err(not_utf8(path, &bytes, error.valid_up_to())),
    }
}

/// The name of a case, even if its path and the folder's are written in different ways.
fn id_of(path: &Path, root: &Path) -> Result<CaseId, CaseIdError> {
    match (
        CaseId::from_path(path, root),
        path.canonicalize(),
        root.canonicalize(),
    ) {
        (Err(CaseIdError::Outside { .. }), Ok(path), Ok(root)) => CaseId::from_path(&path, &root),
        (id, ..) => id,
    }
}

/// Reads the case in `source`; `path` is what the diagnostics and the case call the file. Where parameters make several cases
/// of it, this is the first.
///
/// # Errors
/// Everything that is wrong with the text: first its form, part for part, and when that is right, how the parts fit together.
/// That it includes steps from a file is wrong too, for a text lies in no folder.
pub fn parse(source: &str, path: &Path, id: CaseId) -> Result<Case, Diagnostics> {
    let mut cases = read(source, path, id, None)?;
    Ok(cases.swap_remove(0))
}

/// Reads all cases in `source`, of which there is at least one; else like [`parse`].
///
/// # Errors
/// Like [`parse`].
pub fn parse_all(source: &str, path: &Path, id: CaseId) -> Result<Vec<Case>, Diagnostics> {
    read(source, path, id, None)
}

fn read(source: &str, path: &Path, id: CaseId, root: Option<&Path>) -> Result<Vec<Case>, Diagnostics> {
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    if source.len() as u64 > LARGEST {
        return Err(Diagnostics::new(path, "", vec![too_large(source.len() as u64)]));
    }
    let mut library = Library::new(root, Sources::new(path, source));
    let document = syntax::open(source, 0, lower::may_be_empty)
        .map_err(|found| Diagnostics::new(path, source, found))?;
    let mut found = Vec::new();
    let Some(all) = lower::cases(document, &mut library, &mut found) else {
        return Err(Diagnostics::of(library.sources, found));
    };
    let checked = |parts: &Parts| {
        let name = parts.suffix.as_deref().unwrap_or_default();
        (format!("in the case `.{name}`"), check(parts))
    };
    let wrong = merged(all.iter().map(checked).collect());
    if !wrong.is_empty() {
        return Err(Diagnostics::of(library.sources, wrong));
    }
    let file = FileOfCases { path, id };
    all.into_iter()
        .map(|parts| {
            file.case(parts, &library.sources).map_err(|error| {
                let title = format!("a case of this file cannot be called so: {error}");
                Diagnostics::new(path, source, vec![Diagnostic::new(title)])
            })
        })
        .collect()
}

/// How a file is called.
struct FileOfCases<'a> {
    path: &'a Path,
    id: CaseId,
}

impl FileOfCases<'_> {
    /// A finished case of the file.
    fn case(&self, parts: Parts, sources: &Sources) -> Result<Case, CaseIdError> {
        let id = match parts.suffix {
            Some(suffix) => self.id.instance(&suffix)?,
            None => self.id.clone(),
        };
        let line = |place: usize| sources.position(place).line;
        let steps = parts.steps.into_iter().map(|step| {
            let start = step.node.span.start;
            let included = step.from.is_some().then(|| Included {
                path: sources
                    .of(start)
                    .map(|source| source.path.clone())
                    .unwrap_or_default(),
                line: line(start),
            });
            Step {
                line: line(step.from.map_or(start, |from| from.start)),
                included,
                when: step.when,
                action: step.action,
            }
        });
        let known_issues = parts.known_issues.into_iter().map(|(mut issue, node)| {
            issue.line = line(node.span.start);
            issue
        });
        Ok(Case {
            id,
            path: self.path.to_owned(),
            summary: parts.summary,
            why: parts.why,
            covers: parts.covers,
            parameters: parts.parameters,
            template: parts.template,
            isolation: parts.isolation,
            kernel: parts.kernel,
            steps: steps.collect(),
            known_issues: known_issues.collect(),
        })
    }
}

/// Reads every case below `root`: those that are right, in the order of their names, and what is wrong with the others.
pub fn load_all(root: &Path) -> (Vec<Case>, Vec<Diagnostics>) {
    let mut cases = Vec::new();
    let mut wrong = Vec::new();
    match discover(root) {
        Ok(files) => {
            for path in files {
                match load(&path, root) {
                    Ok(more) => cases.extend(more),
                    Err(diagnostics) => wrong.push(diagnostics),
                }
            }
        }
        Err(DiscoverError { path, source }) => {
            let diagnostic = Diagnostic::new(format!("cannot look for cases here: {source}"))
                .help("name the folder that holds the case files");
            wrong.push(Diagnostics::new(&path, "", vec![diagnostic]));
        }
    }
    cases.sort_by(|one, other| one.id.cmp(&other.id));
    (cases, wrong)
}

fn not_utf8(path: &Path, bytes: &[u8], valid: usize) -> Diagnostics {
    let wrong = bytes.get(valid).copied().unwrap_or_default();
    let diagnostic = Diagnostic::new(format!(
        "this file is not UTF-8: a byte {wrong:#04x} means nothing here"
    ))
    .at(valid..valid + char::REPLACEMENT_CHARACTER.len_utf8(), "not UTF-8")
    .help("save the file as UTF-8");
    Diagnostics::new(path, &String::from_utf8_lossy(bytes), vec![diagnostic])
}
