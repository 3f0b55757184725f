// SPDX-License-Identifier: MIT OR Apache-2.0
//! The static program inside the guest: PID 1, and a tool box of subcommands.

mod guest;

use guest::{init, resolve, serve, victim};
use std::process::ExitCode;

const USAGE: &str = "\
guest-agent serve                                answer requests on the connections of the socket that is standard input
guest-agent victim                               be a victim: the first line of standard input says which (JSON), the
                                                 others what to do; reports on standard output
guest-agent resolve FILE BYTE                    file offset -> offset on the filesystem's device, and pagemap's answer";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        _ if std::process::id() == 1 => init::run(),
        ["serve"] => serve::run(),
        ["victim"] => victim::run(),
        ["resolve", file, byte] => resolve::run(file, byte),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("guest-agent: {error}");
            ExitCode::FAILURE
        }
    }
}
