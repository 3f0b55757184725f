// SPDX-License-Identifier: MIT OR Apache-2.0
//! Looking: what expectations are held against, and what is left at the end.

use super::{PULSE, QUESTION, Scene, Trouble, Victim};
use crate::guest::agent::CallError;
use crate::nvdimm::{self, MOUNT_POINT};
use crate::observe::evidence::{End, Evidence, Filesystem, Observation, VictimView};
use crate::observe::probes;
use guest_agent::call::{AskVictim, IsShutDown, Outcome, ReadLog, ReadTrace, VictimState};
use std::collections::BTreeMap;

/// Lines of the console that stand in for the kernel's log when the guest is dead.
const LAST_LINES: usize = 400;

impl Scene<'_> {
    pub(super) async fn ask_victims(&mut self) -> Result<(), CallError> {
        for (name, victim) in &mut self.victims {
            if !victim.released {
                let call = AskVictim {
                    name: name.clone(),
                    page: None,
                };
                victim.hear(self.guest.agent.call(call, QUESTION).await?);
            }
        }
        Ok(())
    }

    pub(super) async fn observe(&mut self) -> Result<Observation, Trouble> {
        self.ask_victims().await?;
        let trace = self
            .guest
            .agent
            .call(ReadTrace { since: self.since }, QUESTION)
            .await?;
        Ok(Observation {
            victims: self.views(),
            notify_failure: probes::notify_calls(&trace),
            injector: self.latest.as_ref().and_then(|latest| latest.injector.clone()),
            filesystem: self.filesystem().await?,
            badblocks: nvdimm::badblocks(&self.guest.agent, self.stack).await?,
            injected: self.latest.as_ref().map(|latest| latest.physical),
            layout: self.layout.clone(),
        })
    }

    pub(super) async fn filesystem(&self) -> Result<Filesystem, Trouble> {
        if !self.mounted {
            return Ok(Filesystem::Unmounted);
        }
        match self
            .call(IsShutDown {
                at: MOUNT_POINT.to_owned(),
            })
            .await?
        {
            Outcome::Done(false) => Ok(Filesystem::Up),
            Outcome::Done(true) => {
                let call = ReadTrace {
                    since: self.mounted_since,
                };
                let trace = self.guest.agent.call(call, QUESTION).await?;
                Ok(Filesystem::ShutDown(probes::first_shutdown(&trace)))
            }
            Outcome::Refused(refusal) => Err(Trouble::Refused(refusal)),
        }
    }

    pub(super) fn views(&self) -> BTreeMap<String, VictimView> {
        self.victims
            .iter()
            .map(|(name, victim)| (name.clone(), victim.view.clone()))
            .collect()
    }

    pub(super) async fn into_evidence(mut self, mut end: End) -> Evidence {
        let mut trace = Vec::new();
        let mut log = Vec::new();
        let answers = !matches!(end, End::GuestDied(_) | End::Lost(_));
        if answers {
            // A victim that cannot be asked now has been asked before; the log decides whether the kernel is well.
            if let Err(error) = self.ask_victims().await {
                end = self.lost(&error).await;
            }
        }
        let agent = &self.guest.agent;
        match agent
            .call(ReadLog { since: 0 }, if answers { QUESTION } else { PULSE })
            .await
        {
            Ok(records) => {
                log = records
                    .iter()
                    .flat_map(|record| record.text.lines())
                    .map(str::to_owned)
                    .collect();
            }
            Err(error) if answers => end = self.lost(&error).await,
            Err(_) => {}
        }
        match agent
            .call(ReadTrace { since: 0 }, if answers { QUESTION } else { PULSE })
            .await
        {
            Ok(lines) => trace = lines,
            Err(error) if answers => end = self.lost(&error).await,
            Err(_) => {}
        }
        if log.is_empty() {
            log = self.guest.console_tail(LAST_LINES);
        }
        let victims = self.views();
        Evidence {
            steps: self.steps,
            victims,
            log,
            trace,
            blind: self.blind,
            end,
        }
    }
}

impl Victim {
    pub(super) fn hear(&mut self, state: VictimState) {
        self.view.ended = state.ended;
        self.view.signals = state.signals;
        self.view.pending = state.pending;
    }
}
