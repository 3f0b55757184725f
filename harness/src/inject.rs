// SPDX-License-Identifier: MIT OR Apache-2.0
//! One memory error, by one mechanism, at one place, acknowledged.

use crate::guest::agent::{Agent, CallError};
use crate::nvdimm::Place;
use crate::observe::evidence::{Injected, Tried};
use crate::observe::probes::{HANDLED_ENTER, HANDLED_LEAVE};
use crate::qemu::{MachineCheck, NotAcknowledged, Qmp, inject as raise};
use guest_agent::call::{AwaitHandled, CorruptPfn, Handled, MarkTrace, Outcome};
use std::time::Duration;
use testcases::{Mechanism, Severity};

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
    /// The guest could not be asked.
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Injects, and waits until the kernel has finished with it or the patience for that is over.
///
/// For a machine check that is proved by the return of `nfit_handle_mce`, the last handler in the decode chain, for the
/// same address in the same task. corrupt-pfn calls `memory_failure()` itself (`mm/hwpoison-inject.c`): its answer is
/// the proof.
pub async fn inject(
    agent: &Agent,
    qmp: &Qmp,
    mechanism: Mechanism,
    place: Place,
) -> Result<Injected, InjectError> {
    let done = |handled, injector| Injected {
        page: place.device.page(),
        physical: place.physical.page(),
        handled,
        injector,
    };
    match mechanism {
        Mechanism::MachineCheck(Severity::ActionOptional) => {
            let since = agent.call(MarkTrace {}, HANDLING).await?;
            raise(
                qmp,
                &MachineCheck::action_optional(place.physical.0),
                ACKNOWLEDGEMENT,
            )
            .await?;
            let barrier = AwaitHandled {
                since,
                enter: HANDLED_ENTER.to_owned(),
                leave: HANDLED_LEAVE.to_owned(),
                address: place.physical,
                deadline_ms: u64::try_from(HANDLING.as_millis()).unwrap_or(u64::MAX),
            };
            let handled = agent.call(barrier, HANDLING * 2).await?;
            Ok(done(handled, None))
        }
        Mechanism::CorruptPfn => {
            let answer = agent
                .call(
                    CorruptPfn {
                        pfn: place.physical.pfn(),
                    },
                    HANDLING,
                )
                .await?;
            let tried = match answer {
                Outcome::Done(()) => Tried::Succeeded(None),
                Outcome::Refused(refusal) => Tried::Refused(refusal),
            };
            Ok(done(Handled::Finished, Some(tried)))
        }
    }
}
