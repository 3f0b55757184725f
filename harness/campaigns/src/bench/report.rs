// SPDX-License-Identifier: MIT OR Apache-2.0
//! What was measured: as data, and as a table.

use super::endurance::{AtOnce, Soak};
use super::suite::Pass;
use super::usage::HostFacts;
use super::{Beginnings, BothWays, Passes, Spread};
use serde::Serialize;
use std::fmt::{self, Write};

/// All that one `bench` has measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The kernel, by the name it was chosen by.
    pub kernel: String,
    /// What its `uname -r` says.
    pub kernel_release: String,
    /// The version that QEMU reports of itself.
    pub qemu: String,
    /// Who executes the guests' instructions.
    pub accelerator: String,
    /// The machine that did the measuring.
    pub host: HostFacts,
    /// How often each beginning was measured.
    pub rounds: usize,
    /// How guests begin, and what a clone adds.
    #[serde(flatten)]
    pub beginnings: Beginnings,
    /// The whole suite.
    pub suite: Suites,
    /// One case, in a clone and as other harnesses run it; for kernels that are packaged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub case: Option<BothWays>,
    /// From the start of a run to its first verdict.
    pub first_verdict_s: FirstVerdict,
    /// Many clones in a row, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub soak: Option<Soak>,
    /// Many clones at once, if that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_once: Option<AtOnce>,
}

/// The suite, in both isolations.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Suites {
    /// How many cases were to run.
    pub cases: usize,
    /// How often the whole of it was run in each isolation.
    pub rounds: usize,
    /// Each case in a clone of a template that was there.
    pub clone: Suite,
    /// Each case in a guest booted for it.
    pub boot: Suite,
}

/// The suite in one isolation; each number is that of a whole pass.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Suite {
    /// Judgements of the kernel in all passes together.
    pub verdicts: u32,
    /// Cases in all passes together whose harness failed.
    pub broken: u32,
    /// From the start of a pass to its end, in seconds.
    pub wall_s: Spread,
    /// Judgements over time.
    pub verdicts_per_minute: Spread,
    /// CPU time of the run and its guests, over judgements.
    pub cpu_seconds_per_verdict: Spread,
}

impl Suite {
    /// Of these passes; none if there are none.
    pub(super) fn of(passes: &[Pass]) -> Option<Self> {
        let each = |of: fn(&Pass) -> f64| Spread::of(passes.iter().map(of));
        Some(Self {
            verdicts: passes.iter().map(|pass| pass.verdicts).sum(),
            broken: passes.iter().map(|pass| pass.broken).sum(),
            wall_s: each(|pass| pass.wall.as_secs_f64())?,
            verdicts_per_minute: each(|pass| f64::from(pass.verdicts) * 60.0 / pass.wall.as_secs_f64())?,
            cpu_seconds_per_verdict: each(|pass| pass.cpu.as_secs_f64() / f64::from(pass.verdicts))?,
        })
    }
}

/// From the start of a run of the whole suite to its first verdict, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct FirstVerdict {
    /// With the image in the cache and no template: the first run with an image.
    pub cold: Spread,
    /// With the templates in the cache, too.
    pub warm: Spread,
    /// Of a build tree whose vmlinux is new, so that image and templates are still to be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub new_vmlinux: Option<Spread>,
}

impl FirstVerdict {
    /// Of these passes; none if there are none.
    pub(super) fn of(passes: &Passes) -> Option<Self> {
        let first = |passes: &[Pass]| Spread::of(passes.iter().map(|pass| pass.first.as_secs_f64()));
        Some(Self {
            cold: first(&passes.cold)?,
            warm: first(&passes.warm)?,
            new_vmlinux: first(&passes.rebuilt),
        })
    }
}

/// The table that `bench` prints.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "kernel       {} ({})", self.kernel, self.kernel_release)?;
        writeln!(f, "qemu         {}, {}", self.qemu, self.accelerator)?;
        writeln!(
            f,
            "host         {}, {} cores, {} MiB",
            self.host.processor, self.host.cores, self.host.memory_mib
        )?;
        writeln!(
            f,
            "rounds       {} of each beginning, {} of the suite ({} cases)",
            self.rounds, self.suite.rounds, self.suite.cases
        )?;
        let rows = self.rows();
        let width = rows.iter().map(|row| row.what.chars().count()).max().unwrap_or(0);
        for row in &rows {
            if row.first_of_group {
                f.write_char('\n')?;
            }
            let unit = row.unit;
            match row.value {
                Value::Spread(Spread { median, min, max }) => writeln!(
                    f,
                    "{:width$}  {:>9} {unit:<4} {} to {}",
                    row.what,
                    number(median),
                    number(min),
                    number(max)
                )?,
                Value::Number(value) => {
                    writeln!(f, "{:width$}  {:>9} {unit}", row.what, number(value))?;
                }
            }
        }
        for (isolation, suite) in [("clone", &self.suite.clone), ("boot", &self.suite.boot)] {
            if suite.broken > 0 {
                writeln!(
                    f,
                    "\nof the suite's cases in isolation {isolation}, {} broke; their time is counted, and they are no \
                     verdicts",
                    suite.broken
                )?;
            }
        }
        if let Some(soak) = &self.soak {
            let (before, after) = (&soak.before, &soak.after);
            writeln!(
                f,
                "\nsoak: a clone overwrote its NVDIMM and panicked; then {} in a row in {} s, all sound; the template is \
                 what it was\n      this process after the first and after the last: files {} and {}, children {} and \
                 {}, threads {} and {}, MiB {} and {}",
                soak.clones,
                number(soak.wall_s),
                before.files,
                after.files,
                before.children,
                after.children,
                before.threads,
                after.threads,
                number(before.resident_mib),
                number(after.resident_mib)
            )?;
        }
        if let Some(at_once) = &self.at_once {
            writeln!(
                f,
                "\nat once: {} clones alive together after {} s, all sound",
                at_once.clones,
                number(at_once.alive_together_s)
            )?;
        }
        Ok(())
    }
}

struct Row {
    what: &'static str,
    value: Value,
    unit: &'static str,
    first_of_group: bool,
}

#[derive(Clone, Copy)]
enum Value {
    Spread(Spread),
    Number(f64),
}

impl Report {
    fn rows(&self) -> Vec<Row> {
        let Beginnings {
            bare_qemu_ms,
            cold_boot_ms,
            clone_ms,
            boot_to_clone_ratio,
            clone_to_qmp_ratio,
            clone_to_own_greeting_ratio,
            clone_memory_mib,
            clone_proportional_mib,
        } = self.beginnings;
        let (clone, boot) = (&self.suite.clone, &self.suite.boot);
        let mut groups = vec![
            vec![
                ("bare QEMU: monitor greets", Value::Spread(bare_qemu_ms), "ms"),
                ("cold boot: first answer", Value::Spread(cold_boot_ms), "ms"),
                ("clone: monitor greets", Value::Spread(clone_ms.greeting), "ms"),
                ("clone: state is loaded", Value::Spread(clone_ms.awake), "ms"),
                ("clone: logged in", Value::Spread(clone_ms.session), "ms"),
                ("clone: first answer", Value::Spread(clone_ms.answer), "ms"),
                ("cold boot / clone", Value::Number(boot_to_clone_ratio), "×"),
                ("clone / bare QEMU", Value::Number(clone_to_qmp_ratio), "×"),
                (
                    "clone / its own greeting",
                    Value::Number(clone_to_own_greeting_ratio),
                    "×",
                ),
            ],
            vec![
                ("clone: its own memory", Value::Spread(clone_memory_mib), "MiB"),
                (
                    "clone: proportional memory (PSS)",
                    Value::Spread(clone_proportional_mib),
                    "MiB",
                ),
            ],
            vec![
                ("suite, clone: a whole pass", Value::Spread(clone.wall_s), "s"),
                ("suite, boot: a whole pass", Value::Spread(boot.wall_s), "s"),
                (
                    "suite, clone: verdicts per minute",
                    Value::Spread(clone.verdicts_per_minute),
                    "",
                ),
                (
                    "suite, boot: verdicts per minute",
                    Value::Spread(boot.verdicts_per_minute),
                    "",
                ),
                (
                    "suite, clone: CPU per verdict",
                    Value::Spread(clone.cpu_seconds_per_verdict),
                    "s",
                ),
                (
                    "suite, boot: CPU per verdict",
                    Value::Spread(boot.cpu_seconds_per_verdict),
                    "s",
                ),
            ],
            vec![
                (
                    "first verdict, no templates yet",
                    Value::Spread(self.first_verdict_s.cold),
                    "s",
                ),
                (
                    "first verdict, templates cached",
                    Value::Spread(self.first_verdict_s.warm),
                    "s",
                ),
            ],
        ];
        if let (Some(new), Some(last)) = (self.first_verdict_s.new_vmlinux, groups.last_mut()) {
            last.push(("first verdict, a vmlinux never seen", Value::Spread(new), "s"));
        }
        if let Some(case) = &self.case {
            groups.push(vec![
                ("one case: in a clone", Value::Spread(case.clone_s), "s"),
                (
                    "one case: booting the packaged bzImage",
                    Value::Spread(case.packaged_boot_s),
                    "s",
                ),
                ("packaged boot / clone", Value::Number(case.ratio), "×"),
            ]);
        }
        if let Some(soak) = &self.soak {
            groups.push(vec![("soak: first answer", Value::Spread(soak.answer_ms), "ms")]);
        }
        if let Some(at_once) = &self.at_once {
            groups.push(vec![
                (
                    "at once: each one's own memory",
                    Value::Spread(at_once.own_mib),
                    "MiB",
                ),
                (
                    "at once: proportional memory (PSS)",
                    Value::Spread(at_once.proportional_mib),
                    "MiB",
                ),
            ]);
        }
        groups
            .into_iter()
            .flat_map(|group| {
                group
                    .into_iter()
                    .enumerate()
                    .map(|(index, (what, value, unit))| Row {
                        what,
                        value,
                        unit,
                        first_of_group: index == 0,
                    })
            })
            .collect()
    }
}

/// As many digits as mean something.
fn number(value: f64) -> String {
    let decimals = match value.abs() {
        small if small < 10.0 => 2,
        middling if middling < 100.0 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests;
