// SPDX-License-Identifier: MIT OR Apache-2.0
//! Building the guest agent: a static program, out of this workspace's own source, by cargo.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::child;
use crate::elf;
use crate::error::Error;
use crate::progress::{Progress, piece_of_work};

/// glibc, linked statically: its target is there with every toolchain, musl's has to be added first.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds the agent if cargo finds it out of date; the path of the program.
///
/// Needs no network once the crates are fetched.
pub(crate) fn build(progress: &dyn Progress) -> Result<PathBuf, Error> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or(Path::new(".."));
    let target_folder = workspace.join("target").join("guest");
    piece_of_work(
        progress,
        "guest agent",
        "build the guest agent, with cargo",
        || {
            let offline = child::run(cargo(workspace, &target_folder).arg("--offline"))?;
            if !offline.status.success() {
                // Either the source is wrong, and this says so again, or crates have to be fetched.
                child::run_ok(&mut cargo(workspace, &target_folder), "building the guest agent")?;
            }
            Ok(())
        },
    )?;
    let program = target_folder.join(TARGET).join("guest").join("guest-agent");
    let needs = elf::requirements(&program)?;
    if needs.interpreter.is_some() || !needs.libraries.is_empty() {
        return Err(Error::Elf {
            path: program,
            why:
                "the guest agent is not static; is a linker or a target configured for cargo that overrides \
                  `-C target-feature=+crt-static`?"
                    .to_owned(),
        });
    }
    Ok(program)
}

fn cargo(workspace: &Path, target_folder: &Path) -> Command {
    let program = std::env::var_os("CARGO")
        .filter(|value| !value.is_empty())
        .unwrap_or_else(|| "cargo".into());
    let mut command = child::command(program);
    for (name, _) in std::env::vars_os() {
        if disturbs(&name.to_string_lossy()) {
            command.env_remove(name);
        }
    }
    command
        .current_dir(workspace)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .args([
            "build",
            "--quiet",
            "--locked",
            "--package",
            "guest-agent",
            "--bin",
            "guest-agent",
        ])
        // Named even though it is the host's own: without it the flag would hit build scripts and macros, too.
        .args(["--target", TARGET, "--profile", "guest", "--target-dir"])
        .arg(target_folder);
    command
}

/// What cargo sets for the programs that it runs, or a user for their own builds, and what would change this one.
fn disturbs(name: &str) -> bool {
    const PREFIXES: [&str; 11] = [
        "CARGO_BIN_",
        "CARGO_BUILD_",
        "CARGO_CFG_",
        "CARGO_CRATE_",
        "CARGO_ENCODED_",
        "CARGO_FEATURE_",
        "CARGO_MANIFEST_",
        "CARGO_PKG_",
        "CARGO_PRIMARY_",
        "CARGO_PROFILE_",
        "CARGO_TARGET_",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || ["RUSTFLAGS", "OUT_DIR", "CARGO_INCREMENTAL"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_to_the_registry_is_kept_and_the_rest_is_not() {
        for kept in [
            "CARGO_HOME",
            "CARGO_NET_OFFLINE",
            "CARGO_HTTP_PROXY",
            "CARGO_REGISTRIES_X_TOKEN",
            "PATH",
        ] {
            assert!(!disturbs(kept), "{kept}");
        }
        for gone in [
            "CARGO_ENCODED_RUSTFLAGS",
            "RUSTFLAGS",
            "CARGO_TARGET_DIR",
            "CARGO_PKG_NAME",
        ] {
            assert!(disturbs(gone), "{gone}");
        }
    }
}
