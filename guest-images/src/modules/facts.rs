// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the facts about a kernel's modules come from: depmod's lists if they are there, else the modules themselves.
//!
//! A package has no modules.dep (it is made when it is installed), and neither has a build tree; but each module
//! carries `depends=`, `softdep=` and `alias=` in its .modinfo section, which is what depmod would read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::file::{ModInfo, stem};
use super::{Facts, Soft, normal};
use crate::error::{Error, IoContext};

/// A folder of modules: an installed one, one unpacked from a package, or a build tree.
pub(crate) struct ModuleFolder {
    /// By normal name.
    files: BTreeMap<String, PathBuf>,
    built_in: BTreeSet<String>,
    lists: Option<Lists>,
}

/// What depmod made of the modules.
struct Lists {
    depends: BTreeMap<String, Vec<String>>,
    soft: BTreeMap<String, Soft>,
    aliases: BTreeMap<String, Vec<String>>,
}

impl ModuleFolder {
    /// The modules in `folder`, which has a `modules.dep`, or a `modules.order`, or at least modules below it.
    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        let built_in = optional_text(&folder.join("modules.builtin"))?;
        let built_in = built_in
            .lines()
            .filter_map(|line| stem(Path::new(line.trim())))
            .map(normal)
            .collect();
        if folder.join("modules.dep").is_file() {
            let (files, depends) = read_dep(folder)?;
            let soft = parse_softdep(&optional_text(&folder.join("modules.softdep"))?);
            let aliases = parse_alias(&optional_text(&folder.join("modules.alias"))?);
            return Ok(Self {
                files,
                built_in,
                lists: Some(Lists {
                    depends,
                    soft,
                    aliases,
                }),
            });
        }
        let files = if folder.join("kernel/sched").is_dir() {
            built_in_tree(folder)?
        } else {
            let mut files = BTreeMap::new();
            walk(folder, &mut files)?;
            files
        };
        Ok(Self {
            files,
            built_in,
            lists: None,
        })
    }

    /// The release that a module was built for, from its `vermagic=`.
    pub(crate) fn release_of(file: &Path) -> Result<Option<String>, Error> {
        let info = ModInfo::of(file)?;
        let release = info
            .all("vermagic")
            .next()
            .and_then(|magic| magic.split(' ').next())
            .map(str::to_owned);
        Ok(release)
    }

    fn info(&self, name: &str) -> Result<Option<ModInfo>, Error> {
        self.files.get(name).map(|file| ModInfo::of(file)).transpose()
    }
}

impl Facts for ModuleFolder {
    fn file(&self, name: &str) -> Option<PathBuf> {
        self.files.get(name).cloned()
    }

    fn built_in(&self, name: &str) -> bool {
        self.built_in.contains(name)
    }

    fn depends(&self, name: &str) -> Result<Vec<String>, Error> {
        if let Some(lists) = &self.lists {
            return Ok(lists.depends.get(name).cloned().unwrap_or_default());
        }
        let Some(info) = self.info(name)? else {
            return Ok(Vec::new());
        };
        let names = info.all("depends").flat_map(|list| list.split(','));
        Ok(names.filter(|name| !name.is_empty()).map(normal).collect())
    }

    fn soft(&self, name: &str) -> Result<Soft, Error> {
        if let Some(lists) = &self.lists {
            return Ok(lists.soft.get(name).cloned().unwrap_or_default());
        }
        let mut soft = Soft::default();
        if let Some(info) = self.info(name)? {
            info.all("softdep").for_each(|text| soft.add(text));
        }
        Ok(soft)
    }

    fn providers(&self, alias: &str) -> Result<Vec<String>, Error> {
        if let Some(lists) = &self.lists {
            return Ok(lists.aliases.get(alias).cloned().unwrap_or_default());
        }
        // Soft dependencies by alias name algorithms (`crc32c`), whose modules are in these folders; to read all
        // four thousand modules of a distribution's kernel for them would take long.
        let algorithmic = |file: &Path| {
            file.components()
                .any(|part| matches!(part.as_os_str().to_str(), Some("crypto" | "lib")))
        };
        let mut found = Vec::new();
        for (name, file) in &self.files {
            if algorithmic(file) && ModInfo::of(file)?.all("alias").any(|one| normal(one) == alias) {
                found.push(name.clone());
            }
        }
        Ok(found)
    }
}

impl Soft {
    /// Adds `pre: a b post: c`.
    fn add(&mut self, text: &str) {
        let mut before = None;
        for word in text.split_ascii_whitespace() {
            match (word, before) {
                ("pre:", _) => before = Some(true),
                ("post:", _) => before = Some(false),
                (name, Some(true)) => self.pre.push(normal(name)),
                (name, Some(false)) => self.post.push(normal(name)),
                (_, None) => {}
            }
        }
    }
}

type FilesAndDependencies = (BTreeMap<String, PathBuf>, BTreeMap<String, Vec<String>>);

fn read_dep(folder: &Path) -> Result<FilesAndDependencies, Error> {
    let path = folder.join("modules.dep");
    let text = fs::read_to_string(&path).during("read", &path)?;
    let (mut files, mut depends) = (BTreeMap::new(), BTreeMap::new());
    for line in text.lines() {
        let parts = line
            .split_once(':')
            .and_then(|(file, needs)| Some((file, normal(stem(Path::new(file))?), needs)));
        let Some((file, name, needs)) = parts else {
            return Err(Error::Modules {
                path,
                why: format!("this line of it is not understood: {line}"),
            });
        };
        let needs = needs
            .split_ascii_whitespace()
            .filter_map(|file| stem(Path::new(file)))
            .map(normal);
        // The list is transitive and the nearest comes first: the farthest has to be loaded first.
        let mut needs: Vec<String> = needs.collect();
        needs.reverse();
        files.insert(name.clone(), folder.join(file));
        depends.insert(name, needs);
    }
    Ok((files, depends))
}

fn parse_softdep(text: &str) -> BTreeMap<String, Soft> {
    let mut all: BTreeMap<String, Soft> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, rest)) = line
            .strip_prefix("softdep ")
            .and_then(|rest| rest.split_once(' '))
        {
            all.entry(normal(name)).or_default().add(rest);
        }
    }
    all
}

fn parse_alias(text: &str) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines() {
        // Aliases with wildcards are for devices; soft dependencies do not name them.
        if let ["alias", alias, module] = line.split_ascii_whitespace().collect::<Vec<_>>()[..]
            && !alias.contains(['*', '?', '['])
        {
            all.entry(normal(alias)).or_default().push(normal(module));
        }
    }
    all
}

/// A build tree lists its modules by object or module file, with or without a leading `kernel/` by age.
fn built_in_tree(tree: &Path) -> Result<BTreeMap<String, PathBuf>, Error> {
    let order = optional_text(&tree.join("modules.order"))?;
    let mut files = BTreeMap::new();
    for line in order.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let line = line
            .strip_suffix(".o")
            .map_or_else(|| line.to_owned(), |stem| format!("{stem}.ko"));
        // `kernel/` is a folder of the source, too: take the spelling under which the module is there.
        let spellings = [Some(line.as_str()), line.strip_prefix("kernel/")];
        let file = spellings
            .into_iter()
            .flatten()
            .map(|spelling| tree.join(spelling))
            .find(|path| path.is_file());
        if let (Some(file), Some(name)) = (file, stem(Path::new(&line))) {
            files.insert(normal(name), file);
        }
    }
    Ok(files)
}

fn walk(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<(), Error> {
    for found in fs::read_dir(folder).during("read", folder)? {
        let found = found.during("read", folder)?;
        let path = found.path();
        // `build` and `source` are links out of an installed tree, and are not followed.
        if found.file_type().during("read", &path)?.is_dir() {
            walk(&path, files)?;
        } else if let Some(name) = stem(&path) {
            files.insert(normal(name), path);
        }
    }
    Ok(())
}

/// The text of a list that a tree need not have.
fn optional_text(path: &Path) -> Result<String, Error> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(Error::io("read", path, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soft_dependencies_of_both_kinds() {
        let all = parse_softdep("# x\nsoftdep a-b pre: c d post: e\nsoftdep a-b pre: f\nnonsense\n");
        let expected = Soft {
            pre: vec!["c".into(), "d".into(), "f".into()],
            post: vec!["e".into()],
        };
        assert_eq!(all["a_b"], expected);
    }

    #[test]
    fn a_build_tree_of_either_age() {
        let tree = tempfile::tempdir().unwrap();
        for path in [
            "kernel/sched/x",
            "fs/xfs/xfs.ko",
            "mm/hwpoison-inject.ko",
            "kernel/trace/probe.ko",
        ] {
            let path = tree.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        for order in [
            "kernel/fs/xfs/xfs.ko\nkernel/mm/hwpoison-inject.ko\nkernel/kernel/trace/probe.ko\n",
            "fs/xfs/xfs.o\nmm/hwpoison-inject.o\nkernel/trace/probe.o\nfs/not/built.o\n",
        ] {
            fs::write(tree.path().join("modules.order"), order).unwrap();
            fs::write(
                tree.path().join("modules.builtin"),
                "kernel/drivers/acpi/nfit/nfit.ko\n",
            )
            .unwrap();
            let facts = ModuleFolder::open(tree.path()).unwrap();
            assert_eq!(facts.file("xfs"), Some(tree.path().join("fs/xfs/xfs.ko")));
            assert_eq!(
                facts.file("probe"),
                Some(tree.path().join("kernel/trace/probe.ko"))
            );
            assert!(facts.file("hwpoison_inject").is_some() && facts.file("built").is_none());
            assert!(facts.built_in("nfit"));
        }
    }

    #[test]
    fn a_bad_list_is_told() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("modules.dep"), "what is this\n").unwrap();
        assert!(
            ModuleFolder::open(folder.path())
                .err()
                .unwrap()
                .to_string()
                .contains("what is this")
        );
    }
}
