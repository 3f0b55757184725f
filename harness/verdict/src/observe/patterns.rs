// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the placeholders of a case's patterns stand for in this run.

use super::evidence::VictimView;
use guest_agent::address::GuestPhysical;
use std::collections::BTreeMap;
use testcases::{Glob, Pattern, Placeholder};

/// The longest name that the kernel keeps of a task (TASK_COMM_LEN, with its end).
const COMM: usize = 15;

/// The pattern with what is known now: one for each page that was hit, if it names the page. The error is the first
/// placeholder of which nothing is known.
pub fn fill(
    glob: &Glob,
    victims: &BTreeMap<String, VictimView>,
    injected: &[GuestPhysical],
) -> Result<Vec<Pattern>, Placeholder> {
    let names_page = glob
        .placeholders()
        .any(|placeholder| *placeholder == Placeholder::Pfn);
    let filled = |page: Option<&GuestPhysical>| {
        glob.fill(|placeholder| match placeholder {
            Placeholder::Pfn => page.map(|page| format!("{:#x}", page.pfn())),
            Placeholder::Victim(name) => victims
                .get(name.as_str())
                .map(|victim| format!("{}:{}", comm(name.as_str()), victim.pid)),
            Placeholder::Pid(name) => victims.get(name.as_str()).map(|victim| victim.pid.to_string()),
        })
    };
    if names_page && !injected.is_empty() {
        injected.iter().map(|page| filled(Some(page))).collect()
    } else {
        filled(None).map(|pattern| vec![pattern])
    }
}

/// Whether some line has the pattern; of several pages, each must show.
pub fn shows(
    glob: &Glob,
    lines: &[String],
    victims: &BTreeMap<String, VictimView>,
    injected: &[GuestPhysical],
) -> bool {
    fill(glob, victims, injected).is_ok_and(|patterns| {
        patterns
            .iter()
            .all(|pattern| lines.iter().any(|line| pattern.is_in(line)))
    })
}

/// As much of a victim's name as the kernel keeps.
fn comm(name: &str) -> &str {
    name.get(..COMM).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice() -> BTreeMap<String, VictimView> {
        let view = VictimView {
            pid: 91,
            ended: None,
            signals: Vec::new(),
            before: 0,
            pending: 0,
            threads: BTreeMap::new(),
        };
        BTreeMap::from([
            ("alice".to_owned(), view.clone()),
            ("alexandra-the-great".to_owned(), view),
        ])
    }

    #[test]
    fn a_victim_is_called_as_the_kernel_calls_it() {
        let lines = [
            "Memory failure: 0x101202: Sending SIGBUS to alice:91 due to hardware memory corruption"
                .to_owned(),
            "Sending SIGBUS to alexandra-the-g:91 due".to_owned(),
        ];
        let page = [GuestPhysical(0x1_0120_2000)];
        let shown = |text: &str| shows(&text.parse().unwrap(), &lines, &alice(), &page);
        assert!(shown("{pfn}: Sending SIGBUS to {alice} due"));
        assert!(shown("SIGBUS to {alexandra-the-great}"));
        assert!(shown("alice:{alice.pid}"));
        assert!(!shown("{bob}"), "nobody of that name");
        assert!(!shown("{pfn}: Sending SIGBUS to {alexandra-the-great}"));
    }

    #[test]
    fn each_page_of_several_must_show() {
        let pages = [GuestPhysical(0x1000), GuestPhysical(0x2000)];
        let glob: Glob = "{pfn}: recovery".parse().unwrap();
        let line = |pfn: u32| format!("Memory failure: {pfn:#x}: recovery action");
        assert!(!shows(&glob, &[line(1)], &alice(), &pages));
        assert!(shows(&glob, &[line(1), line(2)], &alice(), &pages));
        assert!(!shows(&glob, &[line(1)], &alice(), &[]), "nothing was hit");
    }
}
