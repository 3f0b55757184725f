// SPDX-License-Identifier: MIT OR Apache-2.0
//! What building needs: this program, and the one inside the guest, which is built when an image is.

use super::ask::{Answer, ask, version, version_line};
use super::finding::Finding;
use std::path::Path;

/// The oldest toolchain, from the workspace's manifest.
const RUST_VERSION: &str = env!("CARGO_PKG_RUST_VERSION");

pub(super) fn examine() -> Vec<Finding> {
    vec![
        machine(std::env::consts::ARCH),
        toolchain("cargo", "CARGO"),
        toolchain("rustc", "RUSTC"),
        c_compiler(),
        openssl(),
        static_libc(),
        git(),
    ]
}

/// Kernels, QEMU and the agent are all for one architecture.
fn machine(architecture: &str) -> Finding {
    if architecture == "x86_64" {
        Finding::ok("machine", architecture)
    } else {
        Finding::missing("machine", format!("{architecture}, and guests are x86_64"))
            .way_out("use an x86_64 machine")
    }
}

/// `variable` is where cargo names the program to whatever it runs.
fn toolchain(program: &'static str, variable: &str) -> Finding {
    let named = std::env::var_os(variable).filter(|value| !value.is_empty());
    toolchain_finding(program, version_line(named.unwrap_or_else(|| program.into())))
}

fn toolchain_finding(program: &'static str, line: Result<String, String>) -> Finding {
    let way_out = format!("install Rust {RUST_VERSION} or newer, with rustup for example");
    match line {
        Err(why) => Finding::missing(program, format!("{program} {why}")).way_out(way_out),
        Ok(line) => match (version(&line), version(RUST_VERSION)) {
            (Some(found), Some(oldest)) if found >= oldest => Finding::ok(program, line),
            _ => Finding::missing(program, format!("{line} is older than {RUST_VERSION}")).way_out(way_out),
        },
    }
}

fn c_compiler() -> Finding {
    const SUBJECT: &str = "C compiler";
    match version_line("cc") {
        Ok(line) => Finding::ok(SUBJECT, line),
        Err(why) => Finding::missing(SUBJECT, format!("cc {why}; libssh2 is compiled with it"))
            .way_out("apt-get install gcc libc6-dev"),
    }
}

/// The ssh2 crate links libssh2 against the system's OpenSSL, found by pkg-config.
fn openssl() -> Finding {
    const SUBJECT: &str = "OpenSSL headers";
    let install = "apt-get install libssl-dev pkg-config";
    match ask("pkg-config", &["--modversion", "openssl"]) {
        Answer::Yes(version) => Finding::ok(SUBJECT, version),
        Answer::No => Finding::missing(SUBJECT, "ssh2 needs them to build").way_out(install),
        Answer::Absent => {
            Finding::missing(SUBJECT, "pkg-config, which finds them, is not on PATH").way_out(install)
        }
        Answer::Trouble(error) => {
            Finding::missing(SUBJECT, format!("pkg-config cannot be run ({error})")).way_out(install)
        }
    }
}

/// The compiler prints a path when it has the library, and the bare name when it has not.
fn static_libc() -> Finding {
    const SUBJECT: &str = "static C library";
    let lacking = |why: &str| {
        Finding::missing(SUBJECT, format!("{why}; the program inside the guest links it"))
            .way_out("apt-get install libc6-dev")
    };
    match ask("cc", &["-print-file-name=libc.a"]) {
        Answer::Yes(path) if Path::new(&path).is_absolute() && Path::new(&path).is_file() => {
            let path = std::fs::canonicalize(&path).unwrap_or_else(|_| path.into());
            Finding::ok(SUBJECT, path.display().to_string())
        }
        Answer::Yes(_) | Answer::No => lacking("the C compiler finds no libc.a"),
        Answer::Absent | Answer::Trouble(_) => lacking("there is no C compiler to ask for it"),
    }
}

fn git() -> Finding {
    const SUBJECT: &str = "git";
    match version_line("git") {
        Ok(line) => Finding::ok(SUBJECT, line),
        Err(why) => Finding::note(
            SUBJECT,
            format!("git {why}; reports will not name the commit of a kernel build tree"),
        )
        .way_out("apt-get install git"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Level;

    #[test]
    fn an_old_toolchain_is_as_good_as_none() {
        let level = |line: Result<&str, &str>| {
            toolchain_finding("rustc", line.map(str::to_owned).map_err(str::to_owned)).level
        };
        let (major, minor) = version(RUST_VERSION).unwrap();
        assert_eq!(
            level(Ok(&format!("rustc {major}.{minor}.0 (x 2025-01-01)"))),
            Level::Ok
        );
        assert_eq!(level(Ok(&format!("rustc {}.0.0", major + 1))), Level::Ok);
        assert_eq!(
            level(Ok(&format!("rustc {major}.{}.9", minor - 1))),
            Level::Missing
        );
        assert_eq!(level(Ok("something else")), Level::Missing);
        let absent = toolchain_finding("rustc", Err("is not on PATH".to_owned()));
        assert_eq!(
            (absent.level, &*absent.text),
            (Level::Missing, "rustc is not on PATH")
        );
    }

    #[test]
    fn other_machines_are_no_use() {
        assert_eq!(machine("x86_64").level, Level::Ok);
        assert_eq!(machine("aarch64").level, Level::Missing);
    }
}
