// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which shared libraries a program needs, found among unpacked packages instead of on the host.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use object::Endianness;
use object::elf::{DT_NEEDED, FileHeader64};
use object::read::elf::{Dyn as _, FileHeader, ProgramHeader as _};

use crate::error::{Error, IoContext};

/// What the dynamic linker has to provide for one ELF file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Requirements {
    /// The dynamic linker itself, as an absolute path in the guest; `None` in libraries and static programs.
    pub(crate) interpreter: Option<String>,
    /// File names of libraries (DT_NEEDED).
    pub(crate) libraries: Vec<String>,
}

/// Reads what a 64-bit ELF file needs.
pub(crate) fn requirements(path: &Path) -> Result<Requirements, Error> {
    let data = std::fs::read(path).during("read", path)?;
    read(&data).map_err(|why| Error::Elf {
        path: path.to_owned(),
        why: format!("not a usable ELF file: {why}"),
    })
}

fn read(data: &[u8]) -> object::Result<Requirements> {
    let header = FileHeader64::<Endianness>::parse(data)?;
    let endian = header.endian()?;
    let mut found = Requirements::default();
    for segment in header.program_headers(endian, data)? {
        if let Some(interpreter) = segment.interpreter(endian, data)? {
            found.interpreter = Some(String::from_utf8_lossy(interpreter).into_owned());
        }
    }
    let sections = header.sections(endian, data)?;
    if let Some((dynamic, strings)) = sections.dynamic(endian, data)? {
        let strings = sections.strings(endian, data, strings)?;
        for entry in dynamic.iter().filter(|entry| entry.tag(endian) == DT_NEEDED) {
            found
                .libraries
                .push(String::from_utf8_lossy(entry.string(endian, strings)?).into_owned());
        }
    }
    Ok(found)
}

/// Everything that some programs need in order to start.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Closure {
    /// Libraries, by the file name they are asked for under.
    pub(crate) libraries: BTreeMap<String, PathBuf>,
    /// Dynamic linkers, by their path in the guest.
    pub(crate) interpreters: BTreeMap<String, PathBuf>,
}

/// Follows DT_NEEDED from `programs` to the end; libraries are looked for in `folders`, in order.
pub(crate) fn closure<'a>(
    programs: impl IntoIterator<Item = &'a Path>,
    folders: &[PathBuf],
) -> Result<Closure, Error> {
    let mut closure = Closure::default();
    let mut queue: Vec<PathBuf> = programs.into_iter().map(Path::to_owned).collect();
    let mut seen = BTreeSet::new();
    while let Some(file) = queue.pop() {
        if !seen.insert(file.clone()) {
            continue;
        }
        let needed = requirements(&file)?;
        let locate = |name: &str| {
            let found = folders
                .iter()
                .map(|folder| folder.join(name))
                .find(|path| path.is_file());
            found.ok_or_else(|| Error::Elf {
                path: file.clone(),
                why: format!("it needs {name}, which none of its packages has"),
            })
        };
        if let Some(interpreter) = needed.interpreter {
            let name = interpreter.rsplit('/').next().unwrap_or(&interpreter);
            closure.interpreters.insert(interpreter.clone(), locate(name)?);
        }
        for name in needed.libraries {
            let path = locate(&name)?;
            queue.push(path.clone());
            closure.libraries.insert(name, path);
        }
    }
    // The linker is often asked for as a library, too; once is enough.
    let linkers: Vec<PathBuf> = closure.interpreters.values().cloned().collect();
    closure.libraries.retain(|_, path| !linkers.contains(path));
    Ok(closure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host_folders() -> Vec<PathBuf> {
        [
            "/lib/x86_64-linux-gnu",
            "/usr/lib/x86_64-linux-gnu",
            "/lib64",
            "/usr/lib64",
            "/usr/lib",
        ]
        .map(PathBuf::from)
        .to_vec()
    }

    #[test]
    fn this_test_needs_libc_and_a_linker() {
        let me = std::env::current_exe().unwrap();
        let found = requirements(&me).unwrap();
        assert!(
            found
                .interpreter
                .as_deref()
                .is_some_and(|path| path.contains("ld-linux")),
            "{found:?}"
        );
        assert!(
            found.libraries.iter().any(|name| name == "libc.so.6"),
            "{found:?}"
        );
    }

    #[test]
    fn the_closure_holds_its_own_needs() {
        let me = std::env::current_exe().unwrap();
        let found = closure([me.as_path()], &host_folders()).unwrap();
        assert!(found.libraries.contains_key("libc.so.6") && found.interpreters.len() == 1);
        for library in found.libraries.values() {
            for needed in requirements(library).unwrap().libraries {
                assert!(
                    found.libraries.contains_key(&needed) || needed.contains("ld-linux"),
                    "{needed}"
                );
            }
        }
    }

    #[test]
    fn an_absent_library_is_named_with_who_needs_it() {
        let me = std::env::current_exe().unwrap();
        let text = closure([me.as_path()], &[]).unwrap_err().to_string();
        assert!(text.contains("ld-linux") || text.contains("lib"), "{text}");
        assert!(text.contains(&me.display().to_string()), "{text}");
    }

    #[test]
    fn no_elf_is_no_elf() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "#!/bin/sh\n").unwrap();
        assert!(
            requirements(file.path())
                .unwrap_err()
                .to_string()
                .contains("not a usable ELF file")
        );
    }
}
