// SPDX-License-Identifier: MIT OR Apache-2.0
//! Machine checks: telling a virtual CPU that a piece of memory is bad.
//!
//! QEMU's human monitor has `mce`, which raises the exception and leaves the memory as it is. A refusal comes back as
//! plain text, an injection as the event MEMORY_FAILURE; nothing else counts as one.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use qapi::Enum;
use qapi::qmp::{Event, MEMORY_FAILURE, MemoryFailureAction, MemoryFailureRecipient};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::qmp::{Events, Qmp, QmpError, QmpEvent};
use super::registers::{VirtualCpu, virtual_cpus};

/// The registers' bits. From the Intel SDM, volume 3B, chapter "Machine-Check Architecture", and as Linux reads them in
/// arch/x86/kernel/cpu/mce/severity.c (which bits together grade an error) and core.c (which address is usable).
pub mod bits {
    /// IA32_MCi_STATUS 63, VAL: the bank holds an error.
    pub const STATUS_VAL: u64 = 1 << 63;
    /// IA32_MCi_STATUS 61, UC: the hardware did not correct it.
    pub const STATUS_UC: u64 = 1 << 61;
    /// IA32_MCi_STATUS 60, EN: the error was enabled; Linux drops one that was not ("Not enabled").
    pub const STATUS_EN: u64 = 1 << 60;
    /// IA32_MCi_STATUS 59, MISCV: IA32_MCi_MISC means something.
    pub const STATUS_MISCV: u64 = 1 << 59;
    /// IA32_MCi_STATUS 58, ADDRV: IA32_MCi_ADDR means something.
    pub const STATUS_ADDRV: u64 = 1 << 58;
    /// IA32_MCi_STATUS 56, S: reported by a machine check exception; without it Linux leaves the bank to its poller.
    pub const STATUS_S: u64 = 1 << 56;
    /// IA32_MCi_STATUS 55, AR: software must act before the interrupted program goes on.
    pub const STATUS_AR: u64 = 1 << 55;
    /// IA32_MCi_STATUS 15:0, MCACOD: memory scrubbing, channel 0. Linux takes 0xc0 to 0xcf, uncorrected and without AR, for
    /// an action-optional error (severity.c: "Action optional: memory scrubbing error").
    pub const MCACOD_MEMORY_SCRUB: u64 = 0xc0;
    /// IA32_MCi_STATUS 15:0, MCACOD: data load. Linux grades it, with AR and in user mode, "Action required: data load in user
    /// process" (severity.c); in the kernel it panics.
    pub const MCACOD_DATA_LOAD: u64 = 0x134;
    /// IA32_MCi_STATUS 15:0, MCACOD: a generic error of bus or interconnect (0000 1PPT RRRR IILL). Linux does not count it among
    /// the errors of memory (core.c, mce_is_memory_error).
    pub const MCACOD_BUS: u64 = 0xe0f;
    /// IA32_MCi_STATUS 15:0: where the code stands.
    pub const MCACOD: u64 = 0xffff;

    /// IA32_MCG_STATUS 0, RIPV: the interrupted program can go on.
    pub const MCG_RIPV: u64 = 1 << 0;
    /// IA32_MCG_STATUS 1, EIPV: the interrupted instruction is the one that met the error. Without it Linux takes an
    /// action-required error for one of another thread and does nothing.
    pub const MCG_EIPV: u64 = 1 << 1;
    /// IA32_MCG_STATUS 2, MCIP: a machine check is in progress.
    pub const MCG_MCIP: u64 = 1 << 2;

    /// IA32_MCi_MISC 8:6, address mode 2: the address is a physical one; Linux uses no other.
    pub const MISC_PHYSICAL: u64 = 2 << 6;
    /// IA32_MCi_MISC 8:6: where the address mode stands; 0 is an offset into a segment.
    pub const MISC_ADDRESS_MODE: u64 = 7 << 6;
    /// IA32_MCi_MISC 5:0: the lowest valid bit of the address. 12 says that one page of 4 KiB is bad; it is the
    /// si_addr_lsb that processes get to see.
    pub const MISC_LSB_PAGE: u64 = 12;
    /// IA32_MCi_MISC 5:0: 64 bytes are bad.
    pub const MISC_LSB_CACHE_LINE: u64 = 6;
    /// IA32_MCi_MISC 5:0: where the lowest valid bit stands.
    pub const MISC_LSB: u64 = 0x3f;
}

/// One machine check exception.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MachineCheck {
    /// The virtual CPU that takes it.
    pub cpu: u8,
    /// The bank of registers that reports it; QEMU has 0 to 9.
    pub bank: u8,
    /// IA32_MCi_STATUS.
    pub status: u64,
    /// IA32_MCG_STATUS.
    pub mcg_status: u64,
    /// IA32_MCi_ADDR: a guest physical address.
    pub address: u64,
    /// IA32_MCi_MISC.
    pub misc: u64,
    /// Whether the other CPUs take part, as on Intel hardware: Linux panics if it waits for them in vain.
    pub broadcast: bool,
}

impl MachineCheck {
    /// The bank by which Intel's memory controllers, and so QEMU's own forwarding of host errors, report.
    const MEMORY_BANK: u8 = 9;

    /// An action-optional error (SRAO) found by memory scrubbing in the page at the guest physical `address`: nobody
    /// has consumed the bad data yet. Taken by CPU 0, broadcast to the others.
    pub const fn action_optional(address: u64) -> Self {
        Self {
            cpu: 0,
            bank: Self::MEMORY_BANK,
            status: bits::STATUS_VAL
                | bits::STATUS_UC
                | bits::STATUS_EN
                | bits::STATUS_MISCV
                | bits::STATUS_ADDRV
                | bits::STATUS_S
                | bits::MCACOD_MEMORY_SCRUB,
            mcg_status: bits::MCG_RIPV | bits::MCG_MCIP,
            address,
            misc: bits::MISC_PHYSICAL | bits::MISC_LSB_PAGE,
            broadcast: true,
        }
    }
}

impl MachineCheck {
    /// The bank by which Intel's data caches report what an instruction has consumed.
    const DATA_CACHE_BANK: u8 = 1;

    /// An action-required error (SRAR): the instruction at which `cpu` stands has loaded bad data from the page at the guest
    /// physical `address`. The CPU must be in user mode, or Linux panics; see [`inject_into_user_mode`].
    pub const fn action_required(cpu: u8, address: u64) -> Self {
        Self {
            cpu,
            bank: Self::DATA_CACHE_BANK,
            status: bits::STATUS_VAL
                | bits::STATUS_UC
                | bits::STATUS_EN
                | bits::STATUS_MISCV
                | bits::STATUS_ADDRV
                | bits::STATUS_S
                | bits::STATUS_AR
                | bits::MCACOD_DATA_LOAD,
            mcg_status: bits::MCG_RIPV | bits::MCG_EIPV | bits::MCG_MCIP,
            address,
            misc: bits::MISC_PHYSICAL | bits::MISC_LSB_PAGE,
            broadcast: true,
        }
    }
}

impl fmt::Display for MachineCheck {
    /// The human monitor's command line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cpu,
            bank,
            status,
            mcg_status,
            address,
            misc,
            broadcast,
        } = self;
        let broadcast = if *broadcast { "-b " } else { "" };
        write!(
            f,
            "mce {broadcast}{cpu} {bank} {status:#x} {mcg_status:#x} {address:#x} {misc:#x}"
        )
    }
}

/// The proof that the guest got it.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    /// QEMU's MEMORY_FAILURE.
    pub event: MEMORY_FAILURE,
}

/// A machine check that did not happen, or cannot be proved to have.
#[derive(Debug, thiserror::Error)]
pub enum NotAcknowledged {
    /// The monitor printed something instead.
    #[error("QEMU did not inject the machine check, it answered: {text}")]
    Refused {
        /// What it printed.
        text: String,
    },
    /// QEMU reports that it did something else with it.
    #[error("the machine check was not injected into the guest: recipient {}, action {}", recipient.name(), action.name())]
    Diverted {
        /// Who got it.
        recipient: MemoryFailureRecipient,
        /// What was done; `reset` when the guest was not ready to take a machine check.
        action: MemoryFailureAction,
    },
    /// No event.
    #[error("QEMU did not report MEMORY_FAILURE within {after:?} after `{command}`")]
    NoEvent {
        /// The monitor command.
        command: String,
        /// The deadline that passed.
        after: Duration,
    },
    /// The monitor did not say where the CPUs are.
    #[error("QEMU's `info registers -a` shows no CPU, but: {text:?}")]
    NoRegisters {
        /// What it printed.
        text: String,
    },
    /// The connection ended before the event.
    #[error("QEMU was gone before it reported MEMORY_FAILURE")]
    Gone,
    /// The monitor could not be asked.
    #[error(transparent)]
    Qmp(#[from] QmpError),
}

/// Injects `check` and waits until QEMU says that the guest got it.
///
/// That is when the exception is raised, not when the guest has handled it.
pub async fn inject(
    qmp: &Qmp,
    check: &MachineCheck,
    deadline: Duration,
) -> Result<Acknowledged, NotAcknowledged> {
    let until = Instant::now() + deadline;
    let command = check.to_string();
    let mut events = qmp.events();
    let text = qmp.hmp(&command, deadline).await?;
    if !text.trim().is_empty() {
        return Err(NotAcknowledged::Refused {
            text: text.trim().to_owned(),
        });
    }
    let first = match timeout_at(until, next_report(&mut events)).await {
        Err(_elapsed) => {
            return Err(NotAcknowledged::NoEvent {
                command,
                after: deadline,
            });
        }
        Ok(None) => return Err(NotAcknowledged::Gone),
        Ok(Some(report)) => report,
    };
    // A broadcast is reported once for each CPU, before the command's answer; it counts if it did for all of them.
    let others = std::iter::from_fn(|| events.try_next()).filter_map(report_in);
    for MEMORY_FAILURE {
        recipient, action, ..
    } in std::iter::once(first.clone()).chain(others)
    {
        match (recipient, action) {
            (MemoryFailureRecipient::guest, MemoryFailureAction::inject) => {}
            _ => return Err(NotAcknowledged::Diverted { recipient, action }),
        }
    }
    Ok(Acknowledged { event: first })
}

/// Stops the machine; if one of its CPUs then stands in `code` in user mode, that CPU takes an action-required machine check
/// for the page at the guest physical `address`. In any case the machine goes on.
///
/// Where the CPUs stood otherwise is no error: the caller lets the guest do something and tries again.
pub async fn inject_into_user_mode(
    qmp: &Qmp,
    code: &Range<u64>,
    address: u64,
    deadline: Duration,
) -> Result<Result<Acknowledged, Vec<VirtualCpu>>, NotAcknowledged> {
    qmp.raw("stop", Value::Null, deadline).await?;
    let injected = while_stopped(qmp, code, address, deadline).await;
    // A machine that stays stopped would look like a guest that hangs, so it goes on even after a failure.
    qmp.raw("cont", Value::Null, deadline).await?;
    injected
}

async fn while_stopped(
    qmp: &Qmp,
    code: &Range<u64>,
    address: u64,
    deadline: Duration,
) -> Result<Result<Acknowledged, Vec<VirtualCpu>>, NotAcknowledged> {
    let text = qmp.hmp("info registers -a", deadline).await?;
    let cpus = virtual_cpus(&text);
    match cpus.iter().find(|cpu| cpu.runs(code)) {
        Some(cpu) => {
            let check = MachineCheck::action_required(cpu.index, address);
            Ok(Ok(inject(qmp, &check, deadline).await?))
        }
        None if cpus.is_empty() => Err(NotAcknowledged::NoRegisters { text }),
        None => Ok(Err(cpus)),
    }
}

async fn next_report(events: &mut Events) -> Option<MEMORY_FAILURE> {
    loop {
        if let Some(report) = report_in(events.next().await?) {
            return Some(report);
        }
    }
}

fn report_in(event: QmpEvent) -> Option<MEMORY_FAILURE> {
    match event.typed {
        Some(Event::MEMORY_FAILURE { data, .. }) => Some(data),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
