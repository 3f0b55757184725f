// SPDX-License-Identifier: MIT OR Apache-2.0
//! `check`: are the case files right?

use crate::Stopped;
use crate::flags::CheckFlags;
use crate::select;
use reports::ExitStatus;
use std::collections::BTreeSet;

pub(crate) fn run(flags: &CheckFlags) -> Result<ExitStatus, Stopped> {
    let cases = select::cases(&flags.cases)?;
    if cases.is_empty() {
        // What was asked for and is not there has been named.
        return Ok(ExitStatus::NothingJudged);
    }
    let files: BTreeSet<_> = cases.iter().map(|case| &case.path).collect();
    let files = match files.len() {
        1 => "1 case file, right".to_owned(),
        many => format!("{many} case files, all of them right"),
    };
    let all = match cases.len() {
        1 => "1 case".to_owned(),
        many => format!("{many} cases"),
    };
    println!("{files}: {all}");
    Ok(ExitStatus::Ok)
}
