// SPDX-License-Identifier: MIT OR Apache-2.0
//! `make`, in a kernel's source tree.

use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::complaint::{FirstComplaint, is_progress};
use super::tools::Tools;
use crate::child;
use crate::error::{Error, IoContext};
use crate::kernel::config::{Config, Setting};
use crate::progress::{Progress, piece_of_work};

/// All that a build printed, in the folder that was built in.
const LOG: &str = ".taster-build.log";

/// A tree and how to build it.
pub(super) struct Make<'a> {
    tree: &'a Path,
    out: Option<&'a Path>,
    tools: &'a Tools,
    jobs: NonZeroUsize,
}

impl<'a> Make<'a> {
    pub(super) fn new(
        tree: &'a Path,
        out: Option<&'a Path>,
        tools: &'a Tools,
        jobs: Option<NonZeroUsize>,
    ) -> Self {
        let processors = || std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        Self {
            tree,
            out,
            tools,
            jobs: jobs.unwrap_or_else(processors),
        }
    }

    /// The source.
    pub(super) fn tree(&self) -> &Path {
        self.tree
    }

    /// Where configuration and kernel are.
    pub(super) fn folder(&self) -> &Path {
        self.out.unwrap_or(self.tree)
    }

    /// Runs one of Kconfig's targets; with `fragment`, over that instead of the `.config`.
    pub(super) fn configure(
        &self,
        target: &str,
        fragment: Option<&Path>,
        progress: &dyn Progress,
    ) -> Result<(), Error> {
        let mut command = self.command(&[target]);
        if let Some(fragment) = fragment {
            command.env("KCONFIG_ALLCONFIG", fragment);
        }
        self.run(&mut command, progress, |_line| ())
    }

    /// Builds the kernel, and modules if it is configured to have any; how many files were compiled.
    pub(super) fn build(&self, progress: &dyn Progress) -> Result<u64, Error> {
        let targets = self.targets()?;
        let what = format!(
            "build {} ({}, {} at once)",
            self.folder().display(),
            targets.join(" and "),
            self.jobs
        );
        piece_of_work(progress, "kernel", &what, || {
            let mut compiled = 0;
            let mut command = self.command(&targets);
            command.arg(format!("-j{}", self.jobs));
            self.run(&mut command, progress, |line| {
                if is_progress(line) && matches!(line.split_whitespace().next(), Some("CC" | "AS")) {
                    compiled += 1;
                    progress.advanced("kernel", compiled, None, "files");
                }
            })?;
            Ok(compiled)
        })
    }

    /// What `uname -r` will say.
    pub(super) fn release(&self) -> Result<String, Error> {
        let path = self.folder().join("include/config/kernel.release");
        Ok(fs::read_to_string(&path).during("read", &path)?.trim().to_owned())
    }

    /// A vmlinux is enough where QEMU can enter it, and saves compressing it.
    fn targets(&self) -> Result<Vec<&'static str>, Error> {
        let path = self.folder().join(".config");
        let config = Config::parse(&fs::read_to_string(&path).during("read", &path)?);
        let image = match config.setting("PVH") {
            Setting::BuiltIn => "vmlinux",
            Setting::Module | Setting::NotSet => "bzImage",
        };
        let mut targets = vec![image];
        if config.has_modules() {
            targets.push("modules");
        }
        Ok(targets)
    }

    fn command(&self, targets: &[&str]) -> Command {
        // The shell lays both streams together, so that what is complained about stands in its order.
        let mut command = child::command("sh");
        command
            .args(["-c", "exec make \"$@\" 2>&1", "make"])
            .current_dir(self.tree)
            .env("LC_ALL", "C")
            // Another make's flags are none of ours.
            .env_remove("MAKEFLAGS")
            .env_remove("MAKELEVEL");
        self.tools.equip(&mut command);
        if let Some(out) = self.out {
            let mut assignment = std::ffi::OsString::from("O=");
            assignment.push(out);
            command.arg(assignment);
        }
        command.args(targets);
        command
    }

    fn run(
        &self,
        command: &mut Command,
        progress: &dyn Progress,
        mut line: impl FnMut(&str),
    ) -> Result<(), Error> {
        let mut log = String::new();
        let mut complaint = FirstComplaint::default();
        let (status, _) = child::run_lines(command, |text| {
            log.push_str(text);
            log.push('\n');
            complaint.take(text);
            line(text);
            if progress.is_wanted() {
                Ok(())
            } else {
                Err(std::io::ErrorKind::Interrupted.into())
            }
        })?;
        let path: PathBuf = self.folder().join(LOG);
        fs::write(&path, &log).during("write", &path)?;
        if status.success() {
            return Ok(());
        }
        if log.contains("No space left on device") {
            return Err(Error::NoSpace {
                path: self.folder().to_owned(),
            });
        }
        Err(Error::DoesNotBuild {
            tree: self.tree.to_owned(),
            headline: complaint.headline(),
            complaint: complaint.text(),
            log: path,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::Silent;

    /// A tree of one makefile.
    fn tree(recipe: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".config"), "CONFIG_PVH=y\n").unwrap();
        fs::write(folder.path().join("Makefile"), format!("vmlinux:\n{recipe}")).unwrap();
        folder
    }

    fn build(tree: &Path, progress: &dyn Progress) -> Result<u64, Error> {
        let tools = Tools::of_host();
        Make::new(tree, None, &tools, NonZeroUsize::new(1)).build(progress)
    }

    #[test]
    fn files_are_counted_and_the_first_complaint_is_told() {
        let built = tree("\t@echo '  CC      a.o'; echo '  LD      b'; echo '  AS      c.o'\n");
        assert_eq!(build(built.path(), &Silent).unwrap(), 2);
        let failing = tree("\t@echo '  CC      a.o'; echo 'a.c:1:1: error: no' >&2; exit 1\n");
        let text = build(failing.path(), &Silent).unwrap_err().to_string();
        assert!(text.contains("does not build: a.c:1:1: error: no"), "{text}");
        let log = fs::read_to_string(failing.path().join(LOG)).unwrap();
        assert!(log.contains("CC      a.o\na.c:1:1"), "{log}");
    }

    #[test]
    fn a_build_that_is_not_wanted_any_more_is_ended() {
        struct Unwanted;
        impl Progress for Unwanted {
            fn started(&self, _work: &str, _what: &str) {}
            fn advanced(&self, _work: &str, _done: u64, _total: Option<u64>, _unit: &str) {}
            fn finished(&self, _work: &str, _outcome: Result<&str, &str>) {}
            fn note(&self, _text: &str) {}
            fn is_wanted(&self) -> bool {
                false
            }
        }
        let endless = tree("\t@echo '  CC      a.o'; exec sleep 30\n");
        let started = std::time::Instant::now();
        assert!(build(endless.path(), &Unwanted).is_err());
        assert!(started.elapsed().as_secs() < 20);
    }
}
