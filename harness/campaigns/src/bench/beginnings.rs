// SPDX-License-Identifier: MIT OR Apache-2.0
//! How guests begin, and what a clone adds: bare QEMU, boot and clone in turns, so that the machine's other work hits
//! all alike.

use super::usage::Memory;
use super::workplace::{Workplace, thrown_away};
use super::{BenchError, Spread};
use machine::guest::{BOOT_DEADLINE, Beginning, Guest};
use machine::qemu::spawn;
use machine::snapshot::{Snapshot, Workshop};
use serde::Serialize;
use std::time::{Duration, Instant};

/// For a bare QEMU to quit.
const QUIT_PATIENCE: Duration = Duration::from_secs(5);

/// What one round has measured.
#[derive(Debug, Clone, Copy)]
pub(super) struct Round {
    bare: Duration,
    boot: Duration,
    clone: Beginning,
    memory: Memory,
}

/// One of each, one after the other; each is gone before the next begins.
pub(super) async fn round(
    workplace: &Workplace,
    workshop: &Workshop<'_>,
    template: &Snapshot,
) -> Result<Round, BenchError> {
    let hardware = &workplace.hardware;
    let machine = template.machine();

    let started = Instant::now();
    let spawned = spawn(&hardware.program, machine).await?;
    let bare = started.elapsed();
    spawned.process.end(&spawned.qmp, QUIT_PATIENCE).await;

    let evidence = thrown_away(workplace.folder());
    let booted = Guest::boot(
        hardware,
        machine,
        &workplace.image,
        evidence.clone(),
        BOOT_DEADLINE,
    )
    .await?;
    let boot = booted.beginning.answer;
    booted.stop().await;

    let cloned = workshop.clone_guest(template, evidence).await?;
    let clone = cloned.beginning;
    // At its first answer, like the times.
    let memory = Memory::of(cloned.pid());
    cloned.stop().await;
    Ok(Round {
        bare,
        boot,
        clone,
        memory: memory?,
    })
}

/// A clone's way to its first answer; each counts from the start of its process, in ms.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CloneTimes {
    /// QEMU's monitor greets.
    pub greeting: Spread,
    /// The saved state is loaded, and the guest runs.
    pub awake: Spread,
    /// Somebody is logged in.
    pub session: Spread,
    /// The agent has answered.
    pub answer: Spread,
}

/// What all rounds say.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Beginnings {
    /// A bare QEMU of the guests' machine, from the start of its process to its monitor's greeting, in ms. Like any that
    /// is to boot it loads kernel and initramfs into memory first; [`CloneTimes::greeting`] is that of one that does not.
    pub bare_qemu_ms: Spread,
    /// Our own fastest boot, from the start of its process to the agent's first answer, in ms.
    pub cold_boot_ms: Spread,
    /// A clone, to the same answer.
    pub clone_ms: CloneTimes,
    /// Cold boot over clone, both to the first answer.
    pub boot_to_clone_ratio: f64,
    /// Clone, to its first answer, over bare QEMU, to its greeting.
    pub clone_to_qmp_ratio: f64,
    /// Clone, to its first answer, over the same clone's greeting: the harder measure, because that QEMU loads nothing.
    pub clone_to_own_greeting_ratio: f64,
    /// What a clone has written to and nobody shares, in MiB.
    pub clone_memory_mib: Spread,
    /// A clone's share of all that it maps (PSS), in MiB.
    pub clone_proportional_mib: Spread,
}

impl Beginnings {
    /// Of these rounds; none if there are none.
    pub(super) fn of(rounds: &[Round]) -> Option<Self> {
        let ms =
            |time: fn(&Round) -> Duration| Spread::of(rounds.iter().map(|r| time(r).as_secs_f64() * 1e3));
        let bare_qemu_ms = ms(|r| r.bare)?;
        let cold_boot_ms = ms(|r| r.boot)?;
        let clone_ms = CloneTimes {
            greeting: ms(|r| r.clone.monitor)?,
            awake: ms(|r| r.clone.awake)?,
            session: ms(|r| r.clone.session)?,
            answer: ms(|r| r.clone.answer)?,
        };
        Some(Self {
            bare_qemu_ms,
            cold_boot_ms,
            clone_ms,
            boot_to_clone_ratio: cold_boot_ms.ratio_to(&clone_ms.answer),
            clone_to_qmp_ratio: clone_ms.answer.ratio_to(&bare_qemu_ms),
            clone_to_own_greeting_ratio: clone_ms.answer.ratio_to(&clone_ms.greeting),
            clone_memory_mib: Spread::of(rounds.iter().map(|r| r.memory.own))?,
            clone_proportional_mib: Spread::of(rounds.iter().map(|r| r.memory.proportional))?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::float_cmp, reason = "the numbers are chosen to be exact")]

    use super::*;

    fn round(bare: u64, boot: u64, answer: u64) -> Round {
        Round {
            bare: Duration::from_millis(bare),
            boot: Duration::from_millis(boot),
            clone: Beginning {
                monitor: Duration::from_millis(answer / 8),
                awake: Duration::from_millis(answer / 2),
                session: Duration::from_millis(answer * 3 / 4),
                answer: Duration::from_millis(answer),
            },
            memory: Memory {
                own: 50.0,
                proportional: 60.0,
            },
        }
    }

    #[test]
    fn ratios_compare_the_same_point() {
        let rounds = [
            round(100, 4000, 400),
            round(90, 3000, 300),
            round(300, 9000, 1000),
        ];
        let all = Beginnings::of(&rounds).unwrap();
        assert_eq!(all.boot_to_clone_ratio, 10.0);
        assert_eq!(all.clone_to_qmp_ratio, 4.0);
        assert_eq!(all.clone_to_own_greeting_ratio, 8.0);
        assert_eq!(all.bare_qemu_ms.max, 300.0);
        assert_eq!(all.clone_ms.awake.min, 150.0);
        assert_eq!(all.clone_memory_mib.median, 50.0);
    }

    #[test]
    fn no_rounds_say_nothing() {
        assert_eq!(Beginnings::of(&[]), None);
    }
}
