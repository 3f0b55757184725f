// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which modules to load, and in which order, told by the target kernel's own files and never by the host's modprobe
//! (which leaves out what the *host* has loaded or built in).

mod facts;
mod file;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(crate) use facts::ModuleFolder;
pub(crate) use file::{guest_name, read};

use crate::error::Error;

/// A module to be loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlannedModule {
    /// With underscores: `virtio_pci`.
    pub(crate) name: String,
    /// Its file, perhaps compressed.
    pub(crate) file: PathBuf,
    /// Whether the guest is fine if it cannot be loaded: soft dependencies and what is merely welcome.
    pub(crate) optional: bool,
}

/// What to load, in order, and what is not to be had.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) load: Vec<PlannedModule>,
    /// Modules that were asked for, are not built in, and are not there.
    pub(crate) absent: Vec<String>,
}

/// What is known about the modules of one kernel; names are [`normal`].
pub(crate) trait Facts {
    /// The file of a module, if there is one.
    fn file(&self, name: &str) -> Option<PathBuf>;
    /// Whether it is part of the kernel image.
    fn built_in(&self, name: &str) -> bool;
    /// The modules whose symbols it uses.
    fn depends(&self, name: &str) -> Result<Vec<String>, Error>;
    /// What it asks to be loaded before and after it, by module name or alias.
    fn soft(&self, name: &str) -> Result<Soft, Error>;
    /// The modules that answer to an alias.
    fn providers(&self, alias: &str) -> Result<Vec<String>, Error>;
}

/// Soft dependencies (modprobe.d(5)).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Soft {
    pub(crate) pre: Vec<String>,
    pub(crate) post: Vec<String>,
}

/// A module's name as the kernel spells it: dashes and underscores are the same to it.
pub(crate) fn normal(name: &str) -> String {
    name.replace('-', "_")
}

/// The order in which to load `needed` and, where they exist, `welcome`, with all that they depend on before them.
pub(crate) fn plan(facts: &dyn Facts, needed: &[&str], welcome: &[&str]) -> Result<Plan, Error> {
    let mut planner = Planner {
        facts,
        plan: Plan::default(),
        state: BTreeMap::new(),
    };
    for name in needed {
        let name = normal(name);
        if facts.file(&name).is_none() && !facts.built_in(&name) {
            planner.plan.absent.push(name);
        } else {
            planner.visit(&name, false)?;
        }
    }
    for name in welcome {
        planner.visit(&normal(name), true)?;
    }
    Ok(planner.plan)
}

struct Planner<'a> {
    facts: &'a dyn Facts,
    plan: Plan,
    /// By name: where in the order it stands, or `None` while its dependencies are being placed.
    state: BTreeMap<String, Option<usize>>,
}

impl Planner<'_> {
    fn visit(&mut self, name: &str, optional: bool) -> Result<(), Error> {
        match self.state.get(name) {
            Some(Some(at)) => {
                if !optional {
                    self.require(*at)?;
                }
                return Ok(());
            }
            // A cycle; soft dependencies have them (modprobe breaks them in the same way).
            Some(None) => return Ok(()),
            None => {}
        }
        if self.facts.built_in(name) {
            return Ok(());
        }
        let Some(file) = self.facts.file(name) else {
            return Ok(());
        };
        self.state.insert(name.to_owned(), None);
        let soft = self.facts.soft(name)?;
        self.visit_soft(&soft.pre)?;
        for dependency in self.facts.depends(name)? {
            if self.facts.file(&dependency).is_none() && !self.facts.built_in(&dependency) {
                return Err(Error::Modules {
                    path: file,
                    why: format!(
                        "it depends on the module {dependency}, which is not there; build or install all modules"
                    ),
                });
            }
            self.visit(&dependency, optional)?;
        }
        self.state.insert(name.to_owned(), Some(self.plan.load.len()));
        self.plan.load.push(PlannedModule {
            name: name.to_owned(),
            file,
            optional,
        });
        self.visit_soft(&soft.post)
    }

    fn visit_soft(&mut self, names: &[String]) -> Result<(), Error> {
        for name in names {
            let name = normal(name);
            if self.facts.built_in(&name) || self.facts.file(&name).is_some() {
                self.visit(&name, true)?;
                continue;
            }
            for provider in self.facts.providers(&name)? {
                self.visit(&provider, true)?;
            }
        }
        Ok(())
    }

    /// Something that was placed as optional turns out to be needed, and with it what it depends on.
    fn require(&mut self, at: usize) -> Result<(), Error> {
        let Some(module) = self.plan.load.get_mut(at).filter(|module| module.optional) else {
            return Ok(());
        };
        module.optional = false;
        let name = module.name.clone();
        for dependency in self.facts.depends(&name)? {
            if let Some(Some(at)) = self.state.get(&dependency) {
                self.require(*at)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// An installed tree out of the texts of its lists.
    fn folder(dep: &str, builtin: &str, softdep: &str, alias: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("modules.dep", dep);
        write("modules.builtin", builtin);
        write("modules.softdep", softdep);
        write("modules.alias", alias);
        for file in dep
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(file, _)| file)
        {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        folder
    }

    fn names(plan: &Plan) -> Vec<String> {
        plan.load
            .iter()
            .map(|one| format!("{}{}", one.name, if one.optional { "?" } else { "" }))
            .collect()
    }

    fn planned(folder: &Path, needed: &[&str], welcome: &[&str]) -> Plan {
        let facts = ModuleFolder::open(folder).unwrap();
        plan(&facts, needed, welcome).unwrap()
    }

    const DEP: &str = "kernel/fs/xfs/xfs.ko.xz: kernel/lib/libcrc32c.ko.xz\n\
        kernel/lib/libcrc32c.ko.xz:\n\
        kernel/crypto/crc32c_generic.ko.xz:\n\
        kernel/arch/x86/crypto/crc32c-intel.ko.xz:\n\
        kernel/mm/hwpoison-inject.ko.xz:\n\
        kernel/drivers/virtio/virtio_pci.ko.xz: kernel/drivers/virtio/virtio_ring.ko.xz kernel/drivers/virtio/virtio.ko.xz\n\
        kernel/drivers/virtio/virtio_ring.ko.xz: kernel/drivers/virtio/virtio.ko.xz\n\
        kernel/drivers/virtio/virtio.ko.xz:\n";

    #[test]
    fn dependencies_come_first_and_soft_ones_too() {
        let folder = folder(
            DEP,
            "kernel/drivers/nvdimm/libnvdimm.ko\n",
            "# comment\nsoftdep libcrc32c pre: crc32c\nsoftdep xfs pre: crc32c\n",
            "alias crc32c crc32c_generic\nalias crc32c crc32c_intel\nalias pci:v* virtio_pci\n",
        );
        let plan = planned(
            folder.path(),
            &["virtio_pci", "libnvdimm", "xfs", "hwpoison-inject"],
            &["mce-inject"],
        );
        let expected = [
            "virtio",
            "virtio_ring",
            "virtio_pci",
            "crc32c_generic?",
            "crc32c_intel?",
            "libcrc32c",
            "xfs",
            "hwpoison_inject",
        ];
        assert_eq!(names(&plan), expected);
        assert!(plan.absent.is_empty());
    }

    #[test]
    fn what_is_nowhere_is_absent_and_what_is_welcome_is_not_missed() {
        let folder = folder(DEP, "", "", "");
        let plan = planned(folder.path(), &["nfit", "xfs"], &["mce-inject", "crc32c_intel"]);
        assert_eq!(plan.absent, ["nfit"]);
        assert_eq!(names(&plan), ["libcrc32c", "xfs", "crc32c_intel?"]);
    }

    #[test]
    fn cycles_end() {
        let dep = "kernel/a.ko: kernel/b.ko\nkernel/b.ko: kernel/a.ko\nkernel/c.ko:\n";
        let folder = folder(dep, "", "softdep c pre: a post: c\nsoftdep b post: c\n", "");
        assert_eq!(names(&planned(folder.path(), &["c"], &[])), ["b?", "a?", "c"]);
    }

    #[test]
    fn what_was_optional_becomes_needed_with_its_dependencies() {
        let dep = "kernel/a.ko:\nkernel/b.ko: kernel/a.ko\nkernel/c.ko:\n";
        let folder = folder(dep, "", "softdep c pre: b\n", "");
        assert_eq!(names(&planned(folder.path(), &["c"], &[])), ["a?", "b?", "c"]);
        assert_eq!(names(&planned(folder.path(), &["c", "b"], &[])), ["a", "b", "c"]);
    }

    #[test]
    fn a_broken_dependency_is_named() {
        let folder = folder("kernel/a.ko: kernel/b.ko\n", "", "", "");
        let facts = ModuleFolder::open(folder.path()).unwrap();
        let text = plan(&facts, &["a"], &[]).unwrap_err().to_string();
        assert!(text.contains("a.ko") && text.contains("module b"), "{text}");
    }
}
