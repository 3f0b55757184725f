// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which cases are meant.

use crate::Stopped;
use crate::flags::CaseFlags;
use anyhow::{Context, anyhow};
use globset::{Glob, GlobMatcher};
use std::path::{Path, PathBuf};
use testcases::{Case, CaseId, Diagnostics, discover, load};

/// The selected cases, in order; every diagnostic of every selected file, if there is any, as one usage error.
pub(crate) fn cases(flags: &CaseFlags) -> Result<Vec<Case>, Stopped> {
    let root = &from_here(&flags.cases);
    let (named, filters): (Vec<&String>, Vec<&String>) = flags
        .filters
        .iter()
        .partition(|filter| is_named(Path::new(filter)));
    let filters: Vec<Filter> = filters
        .into_iter()
        .map(|text| Filter::parse(text))
        .collect::<Result<_, _>>()?;
    let mut cases = Vec::new();
    let mut faults = Vec::new();
    for path in named {
        for (path, root) in own_root(Path::new(path), root)? {
            take(load(&path, &root), |_| true, &mut cases, &mut faults);
        }
    }
    if !filters.is_empty() || flags.filters.is_empty() {
        for path in all_below(root)? {
            let wanted =
                |case: &Case| filters.is_empty() || filters.iter().any(|filter| filter.takes(&case.id));
            if filters.is_empty() || filters.iter().any(|filter| filter.may_take(&path, root)) {
                take(load(&path, root), wanted, &mut cases, &mut faults);
            }
        }
    }
    for filter in &filters {
        if faults.is_empty() && !cases.iter().any(|case| filter.takes(&case.id)) {
            eprintln!(
                "note: no case matches `{}`; `cargo xtask test --list` names them all",
                filter.text
            );
        }
    }
    if faults.is_empty() {
        cases.sort_by(|one, other| one.id.cmp(&other.id));
        let file = |case: &Case| case.path.canonicalize().unwrap_or_else(|_| case.path.clone());
        cases.dedup_by(|one, other| one.id == other.id && file(one) == file(other));
        return once(cases);
    }
    let files = if faults.len() == 1 {
        "a case file is".to_owned()
    } else {
        format!("{} case files are", faults.len())
    };
    Err(Stopped::usage(anyhow!("{files} wrong\n\n{}", faults.join("\n"))))
}

/// The cases, if no two of them have one name: they would share one folder of evidence, and nothing that is said of the name
/// would tell of which.
fn once(cases: Vec<Case>) -> Result<Vec<Case>, Stopped> {
    match cases.windows(2).find(|pair| pair[0].id == pair[1].id) {
        Some([one, other]) => Err(Stopped::usage(anyhow!(
            "two cases are called `{}`: {} and {}; rename one, or run them one after the other",
            one.id,
            one.path.display(),
            other.path.display()
        ))),
        _ => Ok(cases),
    }
}

fn take(
    loaded: Result<Vec<Case>, Diagnostics>,
    wanted: impl Fn(&Case) -> bool,
    cases: &mut Vec<Case>,
    faults: &mut Vec<String>,
) {
    match loaded {
        Ok(more) => cases.extend(more.into_iter().filter(wanted)),
        Err(diagnostics) => faults.push(diagnostics.to_string()),
    }
}

fn all_below(root: &Path) -> Result<Vec<PathBuf>, Stopped> {
    discover(root)
        .with_context(|| format!("cannot read the cases in {}", root.display()))
        .map_err(Stopped::usage)
}

/// The path as seen from the current folder, when it lies below: that is how reports are read.
fn from_here(path: &Path) -> PathBuf {
    let below = std::env::current_dir()
        .ok()
        .and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    match below {
        Some(below) if below.as_os_str().is_empty() => PathBuf::from("."),
        Some(below) => below,
        None => path.to_owned(),
    }
}

/// A case file or a folder, rather than a part of a name.
fn is_named(path: &Path) -> bool {
    let is_yaml = path
        .extension()
        .is_some_and(|extension| extension == "yaml" || extension == "yml");
    is_yaml && path.is_file() || path.components().count() > 1 && path.is_dir() || path == Path::new(".")
}

/// The case files that a path names, each with the folder that its name is counted from. A file among the cases keeps its
/// usual name; one from elsewhere is named by itself, or from the folder that was named.
fn own_root(path: &Path, cases: &Path) -> Result<Vec<(PathBuf, PathBuf)>, Stopped> {
    let absolute = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (path, cases) = (absolute(path), absolute(cases));
    let below = path.starts_with(&cases);
    if path.is_dir() {
        let root = if below { cases } else { path.clone() };
        let files = all_below(&path)?;
        return Ok(files.into_iter().map(|file| (file, root.clone())).collect());
    }
    let root = if below {
        cases
    } else {
        path.parent().map(Path::to_owned).unwrap_or_default()
    };
    Ok(vec![(path, root)])
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

    /// Whether a file can give cases that this takes.
    fn may_take(&self, path: &Path, root: &Path) -> bool {
        // A file without a proper name is met again, and explained, when it is loaded.
        let Ok(file) = CaseId::from_path(path, root) else {
            return true;
        };
        // Which cases a file gives is known only when it is read; up to the first dot their names are the file's.
        let start = self.text.split('.').next().unwrap_or_default();
        let pattern = Glob::new(start).map(|glob| glob.compile_matcher());
        self.takes(&file)
            || self.text.contains('.')
                && match (&self.pattern, pattern) {
                    (Some(_), Ok(pattern)) => pattern.is_match(file.as_str()),
                    (Some(_), Err(_)) => true,
                    (None, _) => file.as_str().ends_with(start),
                }
    }

    fn takes(&self, id: &CaseId) -> bool {
        match &self.pattern {
            Some(pattern) => pattern.is_match(id.as_str()) || pattern.is_match(id.file()),
            None => id.as_str().contains(&self.text),
        }
    }
}
