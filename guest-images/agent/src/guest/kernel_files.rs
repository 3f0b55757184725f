// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writing and reading the kernel's own files.

use super::error::{Call, Tried};
use std::fs::{self, OpenOptions};
use std::io::Write;

/// One write(2) of a line. Nothing is created.
pub(crate) fn write(path: &str, text: &str) -> Tried<()> {
    let mut file = OpenOptions::new().write(true).open(path).of("open", path)?;
    file.write_all(format!("{text}\n").as_bytes())
        .of("write", format_args!("{text} to {path}"))
}

/// All of a file.
pub(crate) fn read(path: &str) -> Tried<String> {
    let bytes = fs::read(path).of("read", path)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.strip_suffix('\n').unwrap_or(&text).to_owned())
}
