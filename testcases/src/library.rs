// SPDX-License-Identifier: MIT OR Apache-2.0
//! Files of cases and of steps, and how they are found and read.

use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::diagnostic::Diagnostic;
use crate::source::Sources;
use crate::suggest;

/// A case is a page or two of text; whatever is longer than this many bytes is no case.
pub(crate) const LARGEST: u64 = 1 << 20;

/// A folder of cases that cannot be looked through.
#[derive(Debug, thiserror::Error)]
#[error("cannot look for cases in {}", path.display())]
pub struct DiscoverError {
    /// The folder.
    pub path: PathBuf,
    /// The cause.
    #[source]
    pub source: io::Error,
}

/// The files below `root` that are, or want to be, cases: every `*.yaml` and `*.yml` that is not hidden, sorted.
///
/// Files and folders whose name begins with `_` hold steps for other files, and are no cases. A `.yml` is listed so that
/// [`load`](crate::load) can say that it has the wrong name, rather than that it is never run.
pub fn discover(root: &Path) -> Result<Vec<PathBuf>, DiscoverError> {
    let files = yaml_files(root, &|name| !name.starts_with(b"_"))?;
    Ok(files)
}

/// The files of YAML below `root` that are not hidden and on whose way every name pleases `wanted`.
fn yaml_files(root: &Path, wanted: &dyn Fn(&[u8]) -> bool) -> Result<Vec<PathBuf>, DiscoverError> {
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
            let name = entry.file_name();
            let name = name.as_encoded_bytes();
            if name.starts_with(b".") || !wanted(name) {
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

/// The bytes of a file, or why it has none.
pub(crate) fn bytes_of(path: &Path) -> Result<Vec<u8>, Box<Diagnostic>> {
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

pub(crate) fn no_file(what: &str) -> Diagnostic {
    Diagnostic::new(format!("this is {what}, and a case is a file")).help("name a file that ends in `.yaml`")
}

pub(crate) fn too_large(bytes: u64) -> Diagnostic {
    Diagnostic::new(format!(
        "this file has {bytes} bytes, and no case needs more than {LARGEST}"
    ))
    .help("is it the right file? If so, make several cases of it")
}

/// The texts of a case, and where more can be had.
pub(crate) struct Library<'a> {
    /// The folder of cases; nothing for a case that is only a text.
    root: Option<&'a Path>,
    /// What has been read.
    pub(crate) sources: Sources,
}

/// A text that is included.
pub(crate) struct IncludedText {
    pub(crate) text: String,
    /// Where it begins among all texts.
    pub(crate) base: usize,
}

impl<'a> Library<'a> {
    pub(crate) fn new(root: Option<&'a Path>, sources: Sources) -> Self {
        Self { root, sources }
    }

    /// Reads the steps that are called `name`, for an include at `span`.
    pub(crate) fn include(
        &mut self,
        name: &str,
        span: Range<usize>,
    ) -> Result<IncludedText, Box<Diagnostic>> {
        let refuse = |title: String, label: &str, help: &str| {
            Box::new(Diagnostic::new(title).at(span.clone(), label).help(help))
        };
        let Some(root) = self.root else {
            return Err(refuse(
                "a text that is no file cannot include others".to_owned(),
                "from which folder?",
                "save it among the cases",
            ));
        };
        let plain =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "_-".contains(letter);
        let mut parts = name.split('/');
        if parts.any(|part| part.is_empty() || !part.chars().all(plain)) {
            return Err(refuse(
                format!("`{name}` is no name of a file of steps"),
                "not a plain path",
                "write its path below the folder of cases, without `.yaml`, such as `_parts/two-sharers`",
            ));
        }
        if !name.split('/').any(|part| part.starts_with('_')) {
            return Err(refuse(
                format!("`{name}` would be a case, not steps for others"),
                "no `_` in it",
                "a file of steps, or its folder, has a name that begins with `_`",
            ));
        }
        let path = root.join(format!("{name}.yaml"));
        let bytes = bytes_of(&path).map_err(|why| {
            if path.exists() {
                let title = format!("`{name}` cannot be included: {}", why.title());
                return refuse(
                    title,
                    "included here",
                    why.way_out().unwrap_or("look at the file"),
                );
            }
            let known = Self::steps_below(root);
            let near = suggest::nearest(name, known.iter().map(String::as_str));
            let help = near.map_or_else(|| format!("make it: {}", path.display()), suggest::did_you_mean);
            refuse(format!("there is no file of steps `{name}`"), "not there", &help)
        })?;
        let text = String::from_utf8(bytes).map_err(|_| {
            let title = format!("`{name}` is not UTF-8");
            refuse(title, "included here", "save the file as UTF-8")
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned();
        let base = self.sources.add(&path, &text, Some(span));
        Ok(IncludedText { text, base })
    }

    /// The names of all files of steps; none if the folder cannot be looked through, which is then said elsewhere.
    fn steps_below(root: &Path) -> Vec<String> {
        let name = |path: &PathBuf| {
            let below = path.strip_prefix(root).ok()?.with_extension("");
            let name = below.to_str()?.to_owned();
            name.split('/').any(|part| part.starts_with('_')).then_some(name)
        };
        let files = yaml_files(root, &|_| true).unwrap_or_default();
        files.iter().filter_map(name).collect()
    }
}
