// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which cases are meant.

use crate::Stopped;
use crate::flags::CaseFlags;
use anyhow::{Context, anyhow};
use globset::{Glob, GlobMatcher};
use std::path::{Path, PathBuf};
use testcases::{Case, CaseId, discover, load};

/// The selected cases, in order; every diagnostic of every selected file, if there is any, as one usage error.
pub(crate) fn cases(flags: &CaseFlags) -> Result<Vec<Case>, Stopped> {
    let files = files(flags)?;
    let mut cases = Vec::new();
    let mut faults = Vec::new();
    for (path, root) in files {
        match load(&path, &root) {
            Ok(case) => cases.push(case),
            Err(diagnostics) => faults.push(diagnostics.to_string()),
        }
    }
    if faults.is_empty() {
        Ok(cases)
    } else {
        let files = if faults.len() == 1 {
            "a case file is".to_owned()
        } else {
            format!("{} case files are", faults.len())
        };
        Err(Stopped::usage(anyhow!("{files} wrong\n\n{}", faults.join("\n"))))
    }
}

/// The selected files, each with the folder that its name is counted from.
fn files(flags: &CaseFlags) -> Result<Vec<(PathBuf, PathBuf)>, Stopped> {
    let root = &from_here(&flags.cases);
    let below = |paths: Vec<PathBuf>| paths.into_iter().map(|path| (path, root.clone())).collect();
    let (named, filters): (Vec<&String>, Vec<&String>) = flags
        .filters
        .iter()
        .partition(|filter| is_case_file(Path::new(filter)));
    let mut selected: Vec<(PathBuf, PathBuf)> = named
        .into_iter()
        .map(|file| own_root(Path::new(file), root))
        .collect();
    if filters.is_empty() && !selected.is_empty() {
        return Ok(selected);
    }
    let all = discover(root)
        .with_context(|| format!("cannot read the cases in {}", root.display()))
        .map_err(Stopped::usage)?;
    if filters.is_empty() {
        return Ok(below(all));
    }
    let filters: Vec<Filter> = filters
        .into_iter()
        .map(|text| Filter::parse(text))
        .collect::<Result<_, _>>()?;
    let found: Vec<PathBuf> = all
        .iter()
        .filter(|path| filters.iter().any(|filter| filter.takes(path, root)))
        .cloned()
        .collect();
    for filter in &filters {
        if !all.iter().any(|path| filter.takes(path, root)) {
            eprintln!(
                "note: no case matches `{}`; `cargo xtask test --list` names them all",
                filter.text
            );
        }
    }
    selected.extend(below(found) as Vec<_>);
    selected.sort();
    selected.dedup();
    Ok(selected)
}

/// The path as seen from the current folder, when it lies below: that is how reports are read.
fn from_here(path: &Path) -> PathBuf {
    let below = std::env::current_dir()
        .ok()
        .and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    below.unwrap_or_else(|| path.to_owned())
}

fn is_case_file(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "yaml" || extension == "yml")
        && path.is_file()
}

/// A file among the cases keeps its usual name; one from elsewhere is named by itself.
fn own_root(path: &Path, cases: &Path) -> (PathBuf, PathBuf) {
    let absolute = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (path, cases) = (absolute(path), absolute(cases));
    if path.starts_with(&cases) {
        return (path, cases);
    }
    let root = path.parent().map(Path::to_owned).unwrap_or_default();
    (path, root)
}

struct Filter {
    text: String,
    pattern: Option<GlobMatcher>,
}

impl Filter {
    fn parse(text: &str) -> Result<Self, Stopped> {
        let pattern = if text.contains(['*', '?', '[', '{']) {
            let glob = Glob::new(text)
                .with_context(|| format!("`{text}` is no pattern"))
                .map_err(Stopped::usage)?;
            Some(glob.compile_matcher())
        } else {
            None
        };
        Ok(Self {
            text: text.to_owned(),
            pattern,
        })
    }

    fn takes(&self, path: &Path, root: &Path) -> bool {
        // A file without a proper name is met again, and explained, when it is loaded.
        let Ok(id) = CaseId::from_path(path, root) else {
            return true;
        };
        match &self.pattern {
            Some(pattern) => pattern.is_match(id.as_str()),
            None => id.as_str().contains(&self.text),
        }
    }
}
