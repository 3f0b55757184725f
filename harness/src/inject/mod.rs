// SPDX-License-Identifier: MIT OR Apache-2.0
//! One memory error, by one mechanism, at one page, acknowledged in that mechanism's own way:
//!
//! - a machine check by QEMU's MEMORY_FAILURE event, and its end by the handlers' ([`machine_check`]);
//! - a write to a file of the kernel's by what the write got: the handler runs within it;
//! - madvise(2) by what the call got, likewise.

mod kernel_file;
mod machine_check;

use crate::nvdimm::Stack;
use crate::places::Page;
use guest_agent::address::GuestPhysical;
use guest_agent::call::{Handled, Outcome};
use machine::guest::agent::{Agent, CallError};
use machine::qemu::{NotAcknowledged, Qmp, VirtualCpu};
use machine_check::Checks;
use std::time::Duration;
use testcases::{Mechanism, Severity};
use verdict::observe::evidence::{AccessResult, Brought, Tried};
use verdict::oracle::facts::{self as oracle, ThreadOf};

pub use machine_check::Spinner;

/// QEMU raises the exception at once.
const ACKNOWLEDGEMENT: Duration = Duration::from_secs(20);
/// The handler runs in a worker of the guest, under emulation, perhaps beside other guests.
const HANDLING: Duration = Duration::from_secs(30);

/// An injection that cannot be counted.
#[derive(Debug, thiserror::Error)]
pub enum InjectError {
    /// QEMU did not say that the guest got it.
    #[error("the machine check was never acknowledged, so nothing was injected")]
    NotAcknowledged(#[from] NotAcknowledged),
    /// The vCPU was never seen where it should be.
    #[error(
        "nothing was injected: in {attempts} stops of the machine no CPU stood in the victim's loop in user mode; last seen: {}",
        places(last)
    )]
    NeverThere {
        /// How often one looked.
        attempts: u32,
        /// Where the CPUs stood at last.
        last: Vec<VirtualCpu>,
    },
    /// The guest could not be asked.
    #[error(transparent)]
    Call(#[from] CallError),
}

fn places(cpus: &[VirtualCpu]) -> String {
    cpus.iter()
        .map(VirtualCpu::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// What came of an injection.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// Whether the kernel has finished with it.
    pub handled: Handled,
    /// What the injecting call got, if there was one.
    pub injector: Option<Tried>,
}

impl Done {
    fn by_call(answer: Outcome<()>) -> Self {
        Self {
            handled: Handled::Finished,
            injector: Some(match answer {
                Outcome::Done(()) => Tried::Succeeded(Brought::Nothing),
                Outcome::Refused(refusal) => Tried::Refused(refusal),
            }),
        }
    }
}

/// Where errors are injected.
#[derive(Debug, Clone, Copy)]
pub struct Injector<'a> {
    /// The agent of the guest.
    pub agent: &'a Agent,
    /// The monitor of its machine.
    pub qmp: &'a Qmp,
    /// The devices of its NVDIMMs.
    pub stack: &'a Stack,
}

impl Injector<'_> {
    /// Injects into `page`, and waits until the kernel has finished with it or the patience for that is over. What a victim
    /// does (madvise, a consumed machine check) has its own ways: [`Injector::consume`], and the victim's orders.
    ///
    /// `None`: this mechanism is a victim's, or the page has no place where the mechanism looks.
    pub async fn inject(&self, mechanism: Mechanism, page: Page) -> Result<Option<Done>, InjectError> {
        let checks = Checks {
            agent: self.agent,
            qmp: self.qmp,
        };
        let write = match mechanism {
            Mechanism::MachineCheck(Severity::ActionOptional) => {
                return checks.optional(page.physical).await.map(Some);
            }
            Mechanism::MceInject(kind) => {
                let record = kernel_file::of_mce_inject(kind, page.physical);
                return checks.software(record, page.physical).await.map(Some);
            }
            Mechanism::MachineCheck(Severity::ActionRequired) | Mechanism::Madvise(_) => return Ok(None),
            Mechanism::Debugfs(file) => kernel_file::of_debugfs(file, page.physical),
            Mechanism::Sysfs(file) => match kernel_file::of_sysfs(file, page, self.stack) {
                Some(write) => write,
                None => return Ok(None),
            },
        };
        let answer = self.agent.call(write, HANDLING).await?;
        Ok(Some(Done::by_call(answer)))
    }

    /// Has the CPU on which `spinner` spins consume an error in the page at `physical`.
    pub async fn consume(&self, spinner: &Spinner, physical: GuestPhysical) -> Result<Done, InjectError> {
        let checks = Checks {
            agent: self.agent,
            qmp: self.qmp,
        };
        checks.required(spinner, physical).await
    }
}

/// What madvise(2) got by which a victim injected.
pub fn by_madvise(result: Option<&AccessResult>) -> Done {
    let injector = result.map(|result| match result {
        AccessResult::Refused(refusal) => Tried::Refused(refusal.clone()),
        AccessResult::Done | AccessResult::Byte(_) | AccessResult::Moved { .. } | AccessResult::Faulted => {
            Tried::Succeeded(Brought::Nothing)
        }
    });
    Done {
        handled: Handled::Finished,
        injector,
    }
}

/// The oracle's description of an injection; `thread` is who makes the call or consumes the error, where that is a victim's.
/// `None`: it must be a victim's, and there is none.
pub fn describe_to_oracle(
    mechanism: Mechanism,
    page: Page,
    thread: Option<ThreadOf>,
) -> Option<oracle::Injection> {
    let current = thread.filter(|_| mechanism.needs_victim());
    if mechanism.needs_victim() && current.is_none() {
        return None;
    }
    Some(oracle::Injection {
        by: mechanism,
        current,
        page: oracle::Page {
            physical: page.physical,
            device: page.nvdimm.map(|(_, at)| at),
            region: page.region,
        },
    })
}
