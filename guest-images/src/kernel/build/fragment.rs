// SPDX-License-Identifier: MIT OR Apache-2.0
//! The configurations that are kept in `guest-images/kernel/`, and whether a tree took them.

use crate::kernel::config::Config;

const PLAIN: &str = include_str!("../../../kernel/taster.config");
const DEBUG: &str = include_str!("../../../kernel/taster-debug.config");

/// Which of the configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flavour {
    /// What a case needs, and little more: `taster.config`.
    #[default]
    Plain,
    /// The same with KASAN, lockdep and other watchmen: `taster-debug.config` laid over it.
    Debug,
}

impl Flavour {
    /// The whole fragment. Of a line that is there twice, Kconfig takes the last.
    pub(super) fn text(self) -> String {
        match self {
            Self::Plain => PLAIN.to_owned(),
            Self::Debug => format!("{PLAIN}{DEBUG}"),
        }
    }

    /// The lines that `config` does not have as they are written.
    pub(super) fn not_taken(self, config: &Config) -> Vec<String> {
        self.text()
            .lines()
            .filter(|line| {
                line.strip_prefix("CONFIG_")
                    .and_then(|rest| rest.split_once('='))
                    .is_some_and(|(name, value)| config.value(name) != Some(value))
            })
            .map(str::to_owned)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::config::NEEDS;
    use crate::kernel::inspect::fitness;

    #[test]
    fn the_fragments_have_all_that_a_case_needs_built_in() {
        for flavour in [Flavour::Plain, Flavour::Debug] {
            let fit = fitness(Some(&Config::parse(&flavour.text())), None).unwrap();
            // What is not written there is either selected by what is, or missed by every case.
            let missing: Vec<String> = fit.missing.iter().map(ToString::to_string).collect();
            assert!(missing.is_empty(), "{}", missing.join("\n"));
        }
        assert!(
            NEEDS
                .iter()
                .all(|need| PLAIN.contains(&format!("CONFIG_{}=y\n", need.option)))
        );
    }

    #[test]
    fn the_fragments_say_each_thing_once_and_nothing_is_a_module() {
        let text = Flavour::Debug.text();
        let mut options: Vec<&str> = text.lines().filter(|line| line.starts_with("CONFIG_")).collect();
        assert!(options.iter().all(|line| line.ends_with("=y")));
        let count = options.len();
        options.sort_unstable();
        options.dedup();
        assert_eq!(options.len(), count);
        for watchman in [
            "KASAN",
            "PROVE_LOCKING",
            "DEBUG_VM",
            "DEBUG_ATOMIC_SLEEP",
            "DETECT_HUNG_TASK",
        ] {
            let line = format!("CONFIG_{watchman}=y\n");
            assert!(DEBUG.contains(&line) && !PLAIN.contains(&line), "{watchman}");
        }
    }

    #[test]
    fn what_a_tree_did_not_take_is_named() {
        let taken = Flavour::Plain.text().replace("CONFIG_KVM_GUEST=y\n", "");
        assert_eq!(
            Flavour::Plain.not_taken(&Config::parse(&taken)),
            ["CONFIG_KVM_GUEST=y"]
        );
    }
}
