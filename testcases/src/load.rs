// SPDX-License-Identifier: MIT OR Apache-2.0
//! From files to cases.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::check::check;
use crate::diagnostic::{Diagnostic, Diagnostics, Lines};
use crate::document::Document;
use crate::lower;
use crate::model::{Case, CaseId, CaseIdError, Step};
use crate::syntax;

/// A case is a page or two of text; whatever is longer than this many bytes is no case.
const LARGEST: u64 = 1 << 20;

/// Reads the case in the file `path`, which lies below `root`, the folder of cases.
///
/// # Errors
/// Everything that is wrong with the file, be it that it cannot be read.
pub fn load(path: &Path, root: &Path) -> Result<Case, Diagnostics> {
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
        Ok(source) => parse(source, path, id),
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

/// Reads the case in `source`; `path` is what the diagnostics and the case call the file.
///
/// # Errors
/// Everything that is wrong with the text: first its form, part for part, and when that is right, how the parts fit together.
pub fn parse(source: &str, path: &Path, id: CaseId) -> Result<Case, Diagnostics> {
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let refuse = |found: Vec<Diagnostic>| Diagnostics::new(path, source, found);
    if source.len() as u64 > LARGEST {
        return Err(Diagnostics::new(path, "", vec![too_large(source.len() as u64)]));
    }
    let (document, mut root) = syntax::open::<Document>(source).map_err(refuse)?;
    let mut found = Vec::new();
    let Some(mut parts) = lower::parts(document, &mut root, &mut found) else {
        return Err(refuse(found));
    };
    let wrong = check(&parts, &root);
    if !wrong.is_empty() {
        return Err(refuse(wrong));
    }
    let lines = Lines::of(source);
    for (index, issue) in parts.known_issues.iter_mut().enumerate() {
        issue.line = lines
            .position(source, root.at("known_issues").nth(index).span.start)
            .line;
    }
    let steps = root.at("steps");
    let steps = parts
        .actions
        .into_iter()
        .enumerate()
        .map(|(index, action)| Step {
            line: lines.position(source, steps.nth(index).span.start).line,
            action,
        })
        .collect();
    Ok(Case {
        id,
        path: path.to_owned(),
        summary: parts.summary,
        why: parts.why,
        template: parts.template,
        isolation: parts.isolation,
        kernel: parts.kernel,
        steps,
        known_issues: parts.known_issues,
    })
}

/// A folder of cases that cannot be looked through.
#[derive(Debug, thiserror::Error)]
#[error("cannot look for cases in {}", path.display())]
pub struct DiscoverError {
    /// The folder.
    pub path: PathBuf,
    /// Why not.
    #[source]
    pub source: io::Error,
}

/// The files below `root` that are, or want to be, cases: every `*.yaml` and `*.yml` that is not hidden, sorted.
///
/// A `.yml` is listed so that [`load`] can say that it has the wrong name, rather than that it is never run.
pub fn discover(root: &Path) -> Result<Vec<PathBuf>, DiscoverError> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let fail = |source| DiscoverError {
            path: folder.clone(),
            source,
        };
        for entry in folder.read_dir().map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let path = entry.path();
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            // A link to a folder is not followed: it could lead round in a circle.
            if entry.file_type().map_err(fail)?.is_dir() {
                folders.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "yaml" || extension == "yml")
            {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Reads every case below `root`: those that are right, in the order of their names, and what is wrong with the others.
pub fn load_all(root: &Path) -> (Vec<Case>, Vec<Diagnostics>) {
    let mut cases = Vec::new();
    let mut wrong = Vec::new();
    match discover(root) {
        Ok(files) => {
            for path in files {
                match load(&path, root) {
                    Ok(case) => cases.push(case),
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

/// The bytes of a file, or why it has none.
fn bytes_of(path: &Path) -> Result<Vec<u8>, Box<Diagnostic>> {
    let unreadable = |error: &io::Error| {
        let help = match error.kind() {
            io::ErrorKind::NotFound => "check the path",
            io::ErrorKind::PermissionDenied => "make the file readable",
            _ => "check that it is a plain file",
        };
        Diagnostic::new(format!("cannot read this file: {error}")).help(help)
    };
    let metadata = path.metadata().map_err(|error| Box::new(unreadable(&error)))?;
    // Opening a pipe would wait for its writer.
    if !metadata.is_file() {
        return Err(Box::new(no_file("no plain file")));
    }
    if metadata.len() > LARGEST {
        return Err(Box::new(too_large(metadata.len())));
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(|error| Box::new(unreadable(&error)))?;
    Ok(bytes)
}

fn no_file(what: &str) -> Diagnostic {
    Diagnostic::new(format!("this is {what}, and a case is a file")).help("name a file that ends in `.yaml`")
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

fn too_large(bytes: u64) -> Diagnostic {
    Diagnostic::new(format!(
        "this file has {bytes} bytes, and no case needs more than {LARGEST}"
    ))
    .help("is it the right file? If so, make several cases of it")
}
