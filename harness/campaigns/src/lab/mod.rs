// SPDX-License-Identifier: MIT OR Apache-2.0
//! Building a tree and running cases on it, with what goes wrong sorted by what it means for a search.
//!
//! [`trial`] says what a tested commit is, and is pure; [`git_clone`] is where trees come from that are not the user's own.

pub mod git_clone;
pub mod trial;

use guest_images::build::{BuildRequest, Built, Flavour, build};
use guest_images::with_causes;
use guest_images::{Cache, Error, Image, KernelSpec, Progress, forget_image};
use harness::run::{CASE_DEADLINE, Request, Stop, Teller, run};
use machine::accel::Accelerator;
use machine::snapshot::Store;
use reports::{CaseResult, Readers, SharedRecorder};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use testcases::{Case, Isolation};
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use trial::{Signature, Trial, weigh};

/// What every trial of a search has in common.
pub struct Lab<'a> {
    /// The cases that are run.
    pub cases: Vec<Case>,
    /// A folder to build trees in; `None` to build them where they are.
    pub build_in: Option<PathBuf>,
    /// Which configuration a tree gets that has none of its own.
    pub flavour: Flavour,
    /// A QEMU to use instead of the one that would be found.
    pub qemu: Option<PathBuf>,
    /// An accelerator to use instead of the best that works.
    pub accelerator: Option<Accelerator>,
    /// How many compilers and how many guests at once; `None` for as many as this machine can take.
    pub jobs: Option<NonZeroUsize>,
    /// Where packages, kernels and images are kept.
    pub cache: &'a Cache,
    /// Told of what takes long.
    pub progress: &'a dyn Progress,
    /// Where guests run. Never called from inside it.
    pub runtime: Handle,
    /// Ends everything.
    pub cancel: CancellationToken,
}

/// Why there are no results.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// This kernel cannot be tested, and another one may be: it does not build, lacks an option, has no usable image.
    #[error("{0}")]
    ThisKernel(String),
    /// No kernel can be tested here and now.
    #[error("{0}")]
    Everything(String),
    /// The user has ended it.
    #[error("interrupted")]
    Interrupted,
}

impl Lab<'_> {
    /// Builds a tree.
    pub fn build(&self, tree: &Path) -> Result<Built, Trouble> {
        let request = BuildRequest {
            tree: tree.to_owned(),
            out: self.build_in.clone(),
            flavour: self.flavour,
            jobs: self.jobs,
        };
        let built = build(&request, self.cache, self.progress);
        // Ctrl-C reaches the compilers as well, and their end says nothing of the source.
        self.go_on()?;
        built.map_err(|error| match &error {
            Error::DoesNotBuild { .. } | Error::KernelLacks { .. } => {
                Trouble::ThisKernel(with_causes(&error))
            }
            _ => Trouble::Everything(with_causes(&error)),
        })
    }

    /// Runs `cases` `rounds` times on a built tree; records go into `out`, a folder for each round.
    ///
    /// What is wrong with this machine is found before any guest starts, so that a broken verdict is the kernel's.
    pub fn run(
        &self,
        cases: &[Case],
        tree: &Path,
        rounds: u32,
        out: &Path,
    ) -> Result<Vec<Vec<CaseResult>>, Trouble> {
        guest_images::qemu::locate(self.qemu.as_deref(), self.cache, self.progress)
            .map_err(|error| Trouble::Everything(with_causes(&error)))?;
        self.image(tree)?;
        (1..=rounds)
            .map(|round| self.round(cases, tree, &out.join(format!("round-{round}"))))
            .collect()
    }

    fn image(&self, tree: &Path) -> Result<Image, Trouble> {
        let kernel = guest_images::resolve_kernel(&spec(tree), self.cache, self.progress)
            .and_then(|kernel| kernel.require_complete().map(|()| kernel))
            .map_err(|error| match error {
                Error::NoSpace { .. } => Trouble::Everything(with_causes(&error)),
                _ => Trouble::ThisKernel(with_causes(&error)),
            })?;
        guest_images::build_image(kernel, self.cache, self.progress)
            .map_err(|error| Trouble::Everything(with_causes(&error)))
    }

    /// Removes from the cache what was made for the kernel that is built in this tree now, some 400 MB: nobody will build
    /// the same one again. What cannot be removed is told, and goes with its age.
    pub fn forget(&self, tree: &Path) {
        // Without an image there is nothing that was made from it.
        let Ok(image) = self.image(tree) else { return };
        let templates = Store::open(self.cache.root()).and_then(|store| store.forget_image(&image.id));
        let left: Vec<String> = [
            templates.err().map(|error| with_causes(&error)),
            forget_image(self.cache, &image.id, self.progress)
                .err()
                .map(|error| with_causes(&error)),
        ]
        .into_iter()
        .flatten()
        .collect();
        if !left.is_empty() {
            self.progress.note(&format!(
                "what was made for this kernel stays in the cache: {}",
                left.join("; ")
            ));
        }
    }

    fn round(&self, cases: &[Case], tree: &Path, out: &Path) -> Result<Vec<CaseResult>, Trouble> {
        let everything = |error: reports::Error| Trouble::Everything(with_causes(&error));
        std::fs::create_dir_all(out).map_err(|error| {
            Trouble::Everything(format!(
                "cannot make the folder for evidence {}: {error}",
                out.display()
            ))
        })?;
        let recorder = SharedRecorder::default();
        let teller = Arc::new(Teller::new(Readers::new().with(recorder.clone())));
        let request = Request {
            cases: cases.to_vec(),
            kernels: vec![spec(tree)],
            qemu: self.qemu.clone(),
            accelerator: self.accelerator,
            isolation: Isolation::Clone,
            jobs: self.jobs,
            shuffle: None,
            case_deadline: CASE_DEADLINE,
            run_deadline: None,
            out: out.to_owned(),
            cache: self.cache.clone(),
            command: std::env::args().collect(),
        };
        let stop = Stop {
            at_once: self.cancel.clone(),
            ..Stop::default()
        };
        let ended = self.runtime.block_on(run(request, Arc::clone(&teller), stop));
        teller.finish().map_err(everything)?;
        self.go_on()?;
        ended.map_err(|error| Trouble::ThisKernel(with_causes(&error)))?;
        let record = recorder.take().into_record().map_err(everything)?;
        record.write(out.join("report.json")).map_err(everything)?;
        Ok(record.results)
    }

    /// Builds the tree, runs the cases, and weighs them. What is wrong with this kernel is an answer, too.
    pub fn examine(
        &self,
        tree: &Path,
        rounds: u32,
        like: Option<&Signature>,
        out: &Path,
    ) -> Result<Trial, Trouble> {
        let results = self
            .build(tree)
            .and_then(|built| self.run(&self.cases, &built.folder, rounds, out));
        match results {
            Ok(results) => Ok(weigh(&results, like)),
            Err(Trouble::ThisKernel(why)) => Ok(Trial::cannot_tell(why)),
            Err(other) => Err(other),
        }
    }

    fn go_on(&self) -> Result<(), Trouble> {
        if self.cancel.is_cancelled() {
            Err(Trouble::Interrupted)
        } else {
            Ok(())
        }
    }
}

fn spec(tree: &Path) -> KernelSpec {
    KernelSpec::Tree {
        tree: tree.to_owned(),
        modules: None,
    }
}
