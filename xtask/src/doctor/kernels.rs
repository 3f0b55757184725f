// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `kernel build`, `bisect` and `mutants` need besides. Runs do without, so nothing here is missing.

use super::finding::Finding;
use guest_images::build::{Tool, survey_tools};

pub(super) fn examine() -> Vec<Finding> {
    survey_tools()
        .into_iter()
        .map(|(tool, here)| finding(tool, here))
        .collect()
}

fn finding(tool: Tool, here: bool) -> Finding {
    let what_for = format!("for {}", tool.what_for);
    if here {
        return Finding::ok(tool.name, what_for);
    }
    let text = format!("{what_for}: not here; kernels cannot be built");
    let install = format!("apt-get install {}", tool.package);
    if tool.fetched {
        Finding::note(
            tool.name,
            format!("{what_for}: not here, and fetched when a kernel is built"),
        )
        .way_out(format!("or {install}"))
    } else {
        Finding::note(tool.name, text).way_out(install)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Level;

    #[test]
    fn what_is_fetched_is_told_from_what_is_not() {
        let tools = survey_tools();
        let of = |name: &str| tools.iter().find(|(tool, _)| tool.name == name).unwrap().0;
        let flex = finding(of("flex"), false);
        assert!(
            flex.level == Level::Note && flex.text.contains("fetched"),
            "{flex:?}"
        );
        let gcc = finding(of("gcc"), false);
        assert!(gcc.text.contains("cannot be built") && gcc.way_out.unwrap().contains("install gcc"));
        assert_eq!(finding(of("gcc"), true).level, Level::Ok);
    }
}
