// SPDX-License-Identifier: MIT OR Apache-2.0
//! Machine checks, and the proof that the kernel has finished with one.
//!
//! Three things are waited for, each an event:
//!
//! 1. `nfit_handle_mce` has returned for the address. It is the last handler in the decode chain that does anything; for an
//!    action-optional error `uc_decode_notifier`, which calls `memory_failure()`, comes before it in the same task.
//! 2. For an action-required error `memory_failure()` is called elsewhere: in task work of the thread that consumed it
//!    (`arch/x86/kernel/cpu/mce/core.c:kill_me_maybe`), before that thread executes another instruction in user mode. So
//!    when the thread has been heard of again, or is known to be dead, that is over, and its signal delivered.
//! 3. Every CPU has run something else. The exception's handler is not preemptible and clears MCIP and the banks as the last
//!    thing it does (`do_machine_check`), so a CPU on which a thread has run has left it; QEMU resets a guest that takes
//!    a machine check while MCIP is set. The broadcast reaches all of them.

use super::{ACKNOWLEDGEMENT, Done, HANDLING, InjectError};
use guest_agent::address::GuestPhysical;
use guest_agent::call::{AwaitHandled, Handled, MarkTrace, OrderVictim, Outcome, VisitCpus, WriteKernelFile};
use guest_agent::victim::Order;
use machine::guest::agent::{Agent, CallError};
use machine::qemu::{MachineCheck, Qmp, inject as raise, inject_into_user_mode};
use std::ops::Range;
use verdict::observe::probes::{HANDLED_ENTER, HANDLED_LEAVE};

/// How often the machine is stopped to find a CPU in the loop. The thread is all that its CPU has to do, so that nearly every
/// stop finds it there; an agent's call between two stops makes the guest go on.
const STOPS: u32 = 200;

/// A thread of a victim that spins on a byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spinner {
    /// The victim.
    pub victim: String,
    /// Where its loop's code is.
    pub code: Range<u64>,
}

/// Where machine checks are raised.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checks<'a> {
    pub(super) agent: &'a Agent,
    pub(super) qmp: &'a Qmp,
}

impl Checks<'_> {
    pub(super) async fn optional(&self, physical: GuestPhysical) -> Result<Done, InjectError> {
        self.free_cpus().await?;
        let since = self.agent.call(MarkTrace {}, HANDLING).await?;
        let check = MachineCheck::action_optional(physical.0);
        raise(self.qmp, &check, ACKNOWLEDGEMENT).await?;
        let handled = self.await_decode_chain(since, physical).await?;
        if handled == Handled::Finished {
            self.free_cpus().await?;
        }
        Ok(Done {
            handled,
            injector: None,
        })
    }

    pub(super) async fn required(
        &self,
        spinner: &Spinner,
        physical: GuestPhysical,
    ) -> Result<Done, InjectError> {
        let since = self.agent.call(MarkTrace {}, HANDLING).await?;
        self.catch(spinner, physical).await?;
        let handled = self.await_decode_chain(since, physical).await?;
        if handled == Handled::Finished {
            let order = Order::StopSpinning;
            let name = spinner.victim.clone();
            self.agent.call(OrderVictim { name, order }, HANDLING).await?;
            self.free_cpus().await?;
        }
        Ok(Done {
            handled,
            injector: None,
        })
    }

    async fn catch(&self, spinner: &Spinner, physical: GuestPhysical) -> Result<(), InjectError> {
        let mut last = Vec::new();
        for _ in 0..STOPS {
            self.free_cpus().await?;
            match inject_into_user_mode(self.qmp, &spinner.code, physical.0, ACKNOWLEDGEMENT).await? {
                Ok(_acknowledged) => return Ok(()),
                Err(elsewhere) => last = elsewhere,
            }
        }
        Err(InjectError::NeverThere {
            attempts: STOPS,
            last,
        })
    }

    /// mce-inject hands a record to the same chain without an exception. The last write's answer says only that it was logged;
    /// one that is refused ends it.
    pub(super) async fn software(
        &self,
        record: Vec<WriteKernelFile>,
        physical: GuestPhysical,
    ) -> Result<Done, InjectError> {
        let since = self.agent.call(MarkTrace {}, HANDLING).await?;
        for write in record {
            if let Outcome::Refused(refusal) = self.agent.call(write, HANDLING).await? {
                return Ok(Done::by_call(Outcome::Refused(refusal)));
            }
        }
        Ok(Done {
            handled: self.await_decode_chain(since, physical).await?,
            ..Done::by_call(Outcome::Done(()))
        })
    }

    /// Waits for the end of the decode chain.
    async fn await_decode_chain(&self, since: usize, address: GuestPhysical) -> Result<Handled, CallError> {
        let barrier = AwaitHandled {
            since,
            enter: HANDLED_ENTER.to_owned(),
            leave: HANDLED_LEAVE.to_owned(),
            address,
            deadline_ms: u64::try_from(HANDLING.as_millis()).unwrap_or(u64::MAX),
        };
        self.agent.call(barrier, HANDLING * 2).await
    }

    /// Waits until every CPU has run something: none is in the exception's handler any more.
    async fn free_cpus(&self) -> Result<(), CallError> {
        self.agent.call(VisitCpus {}, HANDLING).await.map(drop)
    }
}
