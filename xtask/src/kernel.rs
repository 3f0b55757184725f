// SPDX-License-Identifier: MIT OR Apache-2.0
//! `kernel build`: from a source tree, or from nothing, to a kernel that can be tested.

use crate::Stopped;
use crate::flags::{KernelBuildFlags, KernelCommand, KernelFlags, workspace};
use guest_images::build::{BuildRequest, Built, Flavour, build, fetch_source};
use guest_images::{Cache, Error, KernelSpec};
use harness::run::Teller;
use reports::terminal::Look;
use reports::{ExitStatus, Readers, Terminal};
use std::io::IsTerminal;
use std::path::PathBuf;

pub(crate) fn run(flags: KernelFlags) -> Result<ExitStatus, Stopped> {
    match flags.command {
        KernelCommand::Build(flags) => build_one(flags),
    }
}

fn build_one(flags: KernelBuildFlags) -> Result<ExitStatus, Stopped> {
    let cache = Cache::open(flags.cache.root.clone()).map_err(Stopped::of_images)?;
    let teller = on_stderr();
    let built = prepared(flags, &cache, &teller).and_then(|request| build(&request, &cache, &teller));
    teller.finish().map_err(Stopped::broken)?;
    match built {
        Ok(built) => {
            println!("{}", describe_built(&built));
            Ok(ExitStatus::Ok)
        }
        Err(error @ (Error::DoesNotBuild { .. } | Error::KernelLacks { .. })) => Err(Stopped {
            status: ExitStatus::Failed,
            error: error.into(),
        }),
        Err(error) => Err(Stopped::of_images(error)),
    }
}

/// A teller that shows people what goes on; standard output stays for what a command answers.
pub(crate) fn on_stderr() -> Teller {
    let look = Look::for_output(std::io::stderr().is_terminal());
    Teller::new(Readers::new().with(Terminal::new(std::io::stderr(), look)))
}

/// What to build and where; the source of a distribution's kernel is there after that.
fn prepared(flags: KernelBuildFlags, cache: &Cache, teller: &Teller) -> Result<BuildRequest, Error> {
    let (flavour, folder) = if flags.debug {
        (Flavour::Debug, "build-debug")
    } else {
        (Flavour::Plain, "build")
    };
    let (tree, out) = if let Some(tree) = flags.tree {
        (tree, flags.out)
    } else {
        let name = match flags.source {
            Some(name) => name,
            None => KernelSpec::default_kernel()?.to_string(),
        };
        let place = kernels_folder().join(&name);
        let tree = place.join("source");
        fetch_source(&name, &tree, cache, teller)?;
        (tree, Some(flags.out.unwrap_or_else(|| place.join(folder))))
    };
    Ok(BuildRequest {
        tree,
        out,
        flavour,
        jobs: flags.jobs,
    })
}

/// Where sources that nobody named a place for are unpacked and built.
pub(crate) fn kernels_folder() -> PathBuf {
    workspace().join("target/kernels")
}

fn describe_built(built: &Built) -> String {
    let mut lines = Vec::new();
    if !built.not_taken.is_empty() {
        lines.push(format!(
            "this version did not take (and a case can do without): {}",
            built.not_taken.join(" ")
        ));
    }
    let compiled = match built.compiled {
        0 => "nothing had to be compiled".to_owned(),
        some => format!("{some} files compiled"),
    };
    lines.push(format!("{} is built, {compiled}; test it:", built.release));
    lines.push(format!("cargo xtask test --kernel {}", built.folder.display()));
    lines.join("\n")
}
