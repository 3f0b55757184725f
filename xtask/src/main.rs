// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line: it parses, wires, prints, and decides nothing.

mod bench;
mod bisect;
mod bisect_step;
mod check;
mod doctor;
mod flags;
mod interrupt;
mod kernel;
mod lab;
mod mutants;
mod print;
mod report;
mod select;
mod selftest;
mod show;
mod test;

use clap::Parser;
use flags::{Command, Flags};
use std::process::ExitCode;

fn main() -> ExitCode {
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) if bisect_step::is_meant() && error.use_stderr() => {
            eprint!("{error}");
            println!("bisect-step: stop: the command line is wrong");
            return ExitCode::from(bisect_step::STOP);
        }
        Err(error) => error.exit(),
    };
    let result = match flags.command {
        Command::Test(flags) => test::run(flags),
        Command::Check(flags) => check::run(&flags),
        Command::Show(flags) => show::run(&flags),
        Command::Doctor(flags) => doctor::run(&flags),
        Command::Report(flags) => report::run(&flags),
        Command::Bench(flags) => bench::run(flags),
        Command::Kernel(flags) => kernel::run(flags),
        Command::BisectStep(flags) => {
            bisect_step::stop_at_panic();
            return bisect_step::run(flags);
        }
        Command::Bisect(flags) => bisect::run(flags),
        Command::Mutants(flags) => mutants::run(flags),
        Command::Selftest(flags) => selftest::run(flags),
    };
    match result {
        Ok(status) => ExitCode::from(status.code()),
        Err(Stopped { status, error }) => {
            print::aside(&format!("error: {error:#}"));
            ExitCode::from(status.code())
        }
    }
}

use test::out_folder;

/// A command that could not be carried out, with the exit status for its reason.
#[derive(Debug)]
struct Stopped {
    status: reports::ExitStatus,
    error: anyhow::Error,
}

impl Stopped {
    /// The user typed something wrong.
    fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self {
            status: reports::ExitStatus::Usage,
            error: error.into(),
        }
    }

    /// This machine or our own files are not as they should be.
    fn broken(error: impl Into<anyhow::Error>) -> Self {
        Self {
            status: reports::ExitStatus::Broken,
            error: error.into(),
        }
    }

    /// Whichever of the two it was.
    fn of_images(error: guest_images::Error) -> Self {
        if error.is_usage() {
            Self::usage(error)
        } else {
            Self::broken(error)
        }
    }
}
