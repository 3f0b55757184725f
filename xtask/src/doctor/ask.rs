// SPDX-License-Identifier: MIT OR Apache-2.0
//! Asking programs of this machine.

use guest_images::child;
use std::ffi::OsStr;
use std::io;
use std::process::Stdio;

/// What a program answered.
#[derive(Debug)]
pub(super) enum Answer {
    /// What it printed, without the blanks around it.
    Yes(String),
    /// It ran and failed.
    No,
    /// There is no such program.
    Absent,
    /// It is there and cannot be run.
    Trouble(io::Error),
}

/// Runs a program to its end.
pub(super) fn ask(program: impl AsRef<OsStr>, arguments: &[&str]) -> Answer {
    let output = child::command(program)
        .env("LC_ALL", "C")
        .args(arguments)
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) if output.status.success() => {
            Answer::Yes(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        }
        Ok(_) => Answer::No,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Answer::Absent,
        Err(error) => Answer::Trouble(error),
    }
}

/// The first line that a program answers to `--version`, or in a few words why there is none.
pub(super) fn version_line(program: impl AsRef<OsStr>) -> Result<String, String> {
    match ask(program, &["--version"]) {
        Answer::Yes(text) => Ok(text.lines().next().unwrap_or_default().to_owned()),
        Answer::No => Err("does not tell its version".to_owned()),
        Answer::Absent => Err("is not on PATH".to_owned()),
        Answer::Trouble(error) => Err(format!("cannot be run ({error})")),
    }
}

/// The first two numbers of a version: `(1, 89)` of `cargo 1.89.0 (c24e10642 2025-06-23)`.
pub(super) fn version(line: &str) -> Option<(u32, u32)> {
    line.split_whitespace().find_map(|word| {
        let mut numbers = word.split(['.', '-']);
        let major = numbers.next()?.parse().ok()?;
        Some((major, numbers.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_what_programs_say() {
        assert_eq!(version("cargo 1.89.0 (c24e10642 2025-06-23)"), Some((1, 89)));
        assert_eq!(
            version("rustc 1.97.0-nightly (1234567 2026-05-01)"),
            Some((1, 97))
        );
        assert_eq!(version("1.89"), Some((1, 89)));
        assert_eq!(version("no number"), None);
    }

    #[test]
    fn what_a_program_answers() {
        assert!(matches!(ask("sh", &["-c", "echo ' hello '"]), Answer::Yes(text) if text == "hello"));
        assert!(matches!(ask("sh", &["-c", "exit 3"]), Answer::No));
        assert!(matches!(ask("no-such-program-here", &[]), Answer::Absent));
        assert_eq!(
            version_line("no-such-program-here").unwrap_err(),
            "is not on PATH"
        );
    }
}
