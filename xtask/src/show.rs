// SPDX-License-Identifier: MIT OR Apache-2.0
//! `show`: cases in words.

use crate::Stopped;
use crate::flags::{CaseFlags, ShowFlags};
use crate::{print, select};
use anyhow::anyhow;
use reports::ExitStatus;
use testcases::Coverage;

pub(crate) fn run(flags: &ShowFlags) -> Result<ExitStatus, Stopped> {
    let cases = select::cases(&CaseFlags {
        cases: flags.cases.clone(),
        filters: flags.filters.clone(),
    })?;
    if cases.is_empty() {
        return Err(Stopped::usage(anyhow!("there is no such case")));
    }
    let coverage = Coverage::ours().map_err(Stopped::broken)?;
    let told: Vec<String> = cases
        .iter()
        .map(|case| match &flags.kernel {
            Some(kernel) => testcases::show(&case.for_kernel(kernel), &coverage),
            None => testcases::show(case, &coverage),
        })
        .collect();
    print::text(&told.join("\n"), "cannot print the cases")
}
