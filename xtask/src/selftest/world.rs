// SPDX-License-Identifier: MIT OR Apache-2.0
//! A world for one fault: cases, a folder for reports, and everything else that a run could leave something in.

use super::leftovers;
use super::processes::in_its_own_session;
use super::running::{Ended, Running};
use super::setting::{Setting, copy};
use super::trouble::{Outcome, Trouble};
use anyhow::Context;
use guest_images::child;
use nix::unistd::Pid;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tempfile::TempDir;

pub(super) struct World<'s> {
    pub(super) setting: &'s Setting,
    folder: TempDir,
    /// Of every run that was started.
    pub(super) sessions: RefCell<Vec<Pid>>,
    /// Where runs were told to put their reports.
    pub(super) outs: RefCell<BTreeSet<PathBuf>>,
    /// The cache, if it is this world's own.
    own_cache: RefCell<Option<PathBuf>>,
    /// What was in memory before.
    pub(super) shared_memory: BTreeSet<PathBuf>,
}

/// A run to be started. Standard output and error go to a file unless they are led elsewhere.
pub(super) struct Plan<'w> {
    world: &'w World<'w>,
    out: PathBuf,
    arguments: Vec<OsString>,
    stdout: Option<Stdio>,
    /// What the program is started by; none if it is started by itself.
    starter: Vec<OsString>,
}

impl<'s> World<'s> {
    pub(super) fn new(setting: &'s Setting) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("world-")
            .tempdir_in(setting.folder())
            .context("cannot make a folder for a fault")?;
        let world = Self {
            setting,
            folder,
            sessions: RefCell::default(),
            outs: RefCell::default(),
            own_cache: RefCell::default(),
            shared_memory: leftovers::shared_memory()?,
        };
        for part in ["cases/x", "here", "tmp", "said"] {
            world.make_folder(part)?;
        }
        Ok(world)
    }

    /// A path inside.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(super) fn make_folder(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.path(name);
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(path)
    }

    /// Adds the case `x/NAME`.
    pub(super) fn add_case(&self, name: &str, text: &str) -> anyhow::Result<()> {
        let path = self.path(&format!("cases/x/{name}.yaml"));
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Adds a program, which bash is to run, and returns its path.
    pub(super) fn add_program(&self, name: &str, script: &str) -> anyhow::Result<PathBuf> {
        let path = self.path(name);
        fs::write(&path, format!("#!/bin/bash\n{script}\n"))
            .and_then(|()| fs::set_permissions(&path, Permissions::from_mode(0o755)))
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// The cache that this world's runs use.
    pub(super) fn cache(&self) -> PathBuf {
        let own = self.own_cache.borrow().clone();
        own.unwrap_or_else(|| self.setting.cache())
    }

    /// Gives this world a cache of its own, without these parts of the common one.
    pub(super) fn own_cache_without(&self, parts: &[&str]) -> anyhow::Result<PathBuf> {
        let common = self.setting.cache();
        let own = self.make_folder("cache")?;
        let names = fs::read_dir(&common).with_context(|| format!("cannot read {}", common.display()))?;
        for entry in names {
            let entry = entry.with_context(|| format!("cannot read {}", common.display()))?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if !parts.iter().any(|part| name.starts_with(part)) {
                copy(&entry.path(), &own)?;
            }
        }
        *self.own_cache.borrow_mut() = Some(own.clone());
        Ok(own)
    }

    /// Gives this world another cache.
    pub(super) fn use_cache(&self, path: &Path) {
        *self.own_cache.borrow_mut() = Some(path.to_owned());
    }

    /// A run of all cases, one guest at a time.
    pub(super) fn test(&self) -> Plan<'_> {
        let mut arguments: Vec<OsString> = ["test", "--jobs", "1"].map(OsString::from).to_vec();
        let pairs = [("--cases", self.path("cases")), ("--cache", self.cache())];
        for (name, value) in pairs {
            arguments.extend([OsString::from(name), value.into()]);
        }
        Plan {
            world: self,
            out: self.path("out"),
            arguments,
            stdout: None,
            starter: Vec::new(),
        }
    }

    /// Runs another command of this program to its end.
    pub(super) fn command<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
    ) -> Result<Ended, Trouble> {
        let plan = Plan {
            arguments: arguments
                .into_iter()
                .map(|word| word.as_ref().to_owned())
                .collect(),
            ..self.test()
        };
        plan.launch()?.end()
    }

    /// Fails if a process of the runs so far is left.
    pub(super) fn left_no_process(&self) -> Outcome {
        leftovers::look(self, leftovers::processes_of)
    }

    /// Fails if anything is left of the runs so far.
    pub(super) fn left_nothing(&self) -> Outcome {
        leftovers::look(self, leftovers::everything_of)
    }
}

impl<'w> Plan<'w> {
    pub(super) fn args<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// With its reports elsewhere than in `out`.
    pub(super) fn out(mut self, name: &str) -> Self {
        self.out = self.world.path(name);
        self
    }

    /// With another standard output.
    pub(super) fn stdout(mut self, stdout: Stdio) -> Self {
        self.stdout = Some(stdout);
        self
    }

    /// Started by another program, which gets this one and its arguments as its own last ones.
    pub(super) fn by<A: Into<OsString>>(mut self, starter: impl IntoIterator<Item = A>) -> Self {
        self.starter = starter.into_iter().map(Into::into).collect();
        self
    }

    /// Starts it.
    pub(super) fn start(mut self) -> anyhow::Result<Running<'w>> {
        let setting = self.world.setting;
        let named = |list: &[OsString], name: &str| list.iter().any(|word| word == name);
        if !named(&self.arguments, "--kernel") {
            self.arguments
                .extend([OsString::from("--kernel"), OsString::from(&setting.kernel)]);
        }
        if let Some(qemu) = setting
            .chosen
            .as_ref()
            .filter(|_| !named(&self.arguments, "--qemu"))
        {
            self.arguments.extend([OsString::from("--qemu"), qemu.into()]);
        }
        self.arguments
            .extend([OsString::from("--out"), self.out.clone().into()]);
        self.world.outs.borrow_mut().insert(self.out.clone());
        self.launch()
    }

    fn launch(self) -> anyhow::Result<Running<'w>> {
        let world = self.world;
        let number = world.sessions.borrow().len();
        let said = world.path(&format!("said/{number}"));
        let to = |path: &Path| File::create(path).with_context(|| format!("cannot make {}", path.display()));
        let stderr = to(&said)?;
        let stdout = match self.stdout {
            Some(stdout) => stdout,
            None => stderr
                .try_clone()
                .context("cannot lead standard output into a file")?
                .into(),
        };
        let program = world.setting.program.clone().into_os_string();
        let mut words = self.starter.into_iter().chain([program]).chain(self.arguments);
        let first = words.next().unwrap_or_default();
        let mut command = child::command(&first);
        command
            .args(words)
            .current_dir(world.path("here"))
            .env("TMPDIR", world.path("tmp"))
            .env_remove("TASTER_CACHE")
            .env_remove("TASTER_QEMU")
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr);
        in_its_own_session(&mut command);
        let child = command
            .spawn()
            .with_context(|| format!("cannot start {}", first.display()))?;
        let session = Pid::from_raw(i32::try_from(child.id()).context("a process number is too large")?);
        world.sessions.borrow_mut().push(session);
        Ok(Running {
            setting: world.setting,
            child,
            session,
            out: self.out,
            said,
        })
    }
}
