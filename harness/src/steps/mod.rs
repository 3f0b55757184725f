// SPDX-License-Identifier: MIT OR Apache-2.0
//! One case carried out in one guest: steps in, evidence out. It judges nothing.

mod act;
mod look;
mod poison;
mod trouble;

use crate::guest::agent::CallError;
use crate::guest::{Death, Guest};
use crate::nvdimm::{self, Dax, Stack};
use crate::observe::evidence::{End, Evidence, Injected, Layout, StepEvidence, VictimView};
use crate::observe::probes::{self, Blind};
use guest_agent::address::FileOffset;
use guest_agent::call::{Call, Hello, MarkTrace};
use reports::StepRecord;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use testcases::{Case, Step, Template, Xfs, describe};
use trouble::Trouble;
pub(crate) use trouble::chain;

/// What a system call may take before the kernel counts as stuck in it.
const OPERATION: Duration = Duration::from_secs(60);
/// Questions that no error in the kernel under test should delay.
const QUESTION: Duration = Duration::from_secs(30);
/// After something took too long: does the guest still answer at all?
const PULSE: Duration = Duration::from_secs(10);
/// What is heard while a case is carried out.
#[derive(Debug)]
pub enum News {
    /// A step begins.
    Started {
        /// Its index.
        index: usize,
        /// In words.
        what: String,
    },
    /// A step has ended.
    Finished(StepRecord),
}

/// Carries a case out in a guest that is in the case's template, with these devices, and collects what there is to
/// see. The guest is left as it is.
pub async fn carry_out(
    guest: &Guest,
    stack: &Stack,
    case: &Case,
    tell: &mut (dyn FnMut(News) + Send),
) -> (Evidence, Vec<StepRecord>) {
    let mut scene = Scene::new(guest, stack, case);
    let mut records = Vec::new();
    let end = tokio::select! {
        end = scene.play(tell, &mut records) => end,
        death = guest.wait_for_end() => dead(&death),
    };
    (scene.into_evidence(end).await, records)
}

fn dead(death: &Death) -> End {
    match death {
        Death::Kernel(how) => End::GuestDied(how.clone()),
        Death::Qemu(how) => End::Lost(format!("QEMU went away: {how}")),
    }
}

struct Scene<'a> {
    guest: &'a Guest,
    stack: &'a Stack,
    case: &'a Case,
    steps: Vec<StepEvidence>,
    victims: BTreeMap<String, Victim>,
    blind: Blind,
    dax: Dax,
    layout: Layout,
    /// Trace lines before the latest injection.
    since: usize,
    latest: Option<Injected>,
    /// Trace lines before the latest mount.
    mounted_since: usize,
    mounted: bool,
    mount_options: String,
}

struct Victim {
    file: String,
    touches: FileOffset,
    view: VictimView,
    released: bool,
}

impl<'a> Scene<'a> {
    fn new(guest: &'a Guest, stack: &'a Stack, case: &'a Case) -> Self {
        let (mounted, mount_options) = match &case.template {
            Template::Xfs(xfs) => (true, xfs.mount.clone()),
            Template::Unmounted { .. } => (false, Xfs::default().mount),
        };
        Self {
            guest,
            stack,
            case,
            steps: Vec::new(),
            victims: BTreeMap::new(),
            blind: Blind::default(),
            dax: Dax::Absent,
            layout: Layout::new(),
            since: 0,
            latest: None,
            mounted_since: 0,
            mounted,
            mount_options,
        }
    }

    async fn call<C: Call>(&self, call: C) -> Result<C::Answer, CallError> {
        self.guest.agent.call(call, OPERATION).await
    }

    async fn play(&mut self, tell: &mut (dyn FnMut(News) + Send), records: &mut Vec<StepRecord>) -> End {
        if let Err(trouble) = self.enter().await {
            return match trouble {
                Trouble::Impossible(why) | Trouble::Harness(why) => End::Lost(why),
                Trouble::Refused(refusal) => End::Lost(format!(
                    "the template is not usable: {} (errno {})",
                    refusal.what, refusal.errno
                )),
                Trouble::Call(error) => self.lost(&error).await,
            };
        }
        for (index, step) in self.case.steps.iter().enumerate() {
            let what = describe(&step.action);
            tell(News::Started {
                index,
                what: what.clone(),
            });
            let started = Instant::now();
            let result = self.step(step).await;
            let outcome = match &result {
                Ok(StepEvidence::Refused(refusal)) => {
                    Some(format!("{} (errno {})", refusal.what, refusal.errno))
                }
                Ok(StepEvidence::Impossible(why) | StepEvidence::Stuck(why)) => Some(why.clone()),
                Ok(_) => None,
                Err(end) => Some(format!("{end:?}")),
            };
            let seconds = started.elapsed().as_secs_f64();
            let record = StepRecord {
                index,
                line: step.line,
                what,
                seconds,
                outcome,
            };
            records.push(record.clone());
            tell(News::Finished(record));
            match result {
                Ok(evidence) => {
                    let stop = matches!(
                        evidence,
                        StepEvidence::Refused(_) | StepEvidence::Impossible(_) | StepEvidence::Stuck(_)
                    );
                    self.steps.push(evidence);
                    if stop {
                        return End::Stopped;
                    }
                }
                Err(end) => return end,
            }
        }
        match self.ask_victims().await {
            Ok(()) => End::Completed,
            Err(error) => self.lost(&error).await,
        }
    }

    /// Enters the template that the guest has been brought into.
    async fn enter(&mut self) -> Result<(), Trouble> {
        let started = self.call(probes::request()).await?;
        self.blind = Blind::from_unavailable(&started.unavailable);
        if self.mounted {
            self.dax = nvdimm::still_dax(&self.guest.agent).await?;
        }
        self.since = self.call(MarkTrace {}).await?;
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Result<StepEvidence, End> {
        match self.act(&step.action).await {
            Ok(evidence) => Ok(evidence),
            Err(Trouble::Impossible(why)) => Ok(StepEvidence::Impossible(why)),
            Err(Trouble::Refused(refusal)) => Ok(StepEvidence::Refused(refusal)),
            Err(Trouble::Harness(why)) => Err(End::Lost(why)),
            Err(Trouble::Call(error @ CallError::Deadline { .. })) => {
                // The kernel's fault, if the guest is otherwise well.
                match self.guest.agent.call(Hello {}, PULSE).await {
                    Ok(_) => Ok(StepEvidence::Stuck(error.to_string())),
                    Err(_) => Err(self.lost(&error).await),
                }
            }
            Err(Trouble::Call(error)) => Err(self.lost(&error).await),
        }
    }

    /// The guest does not answer: is it dead?
    async fn lost(&self, error: &CallError) -> End {
        match self.guest.ended(true).await {
            Some(death) => dead(&death),
            None => End::Lost(format!(
                "{error}; the last lines of its console:\n    {}",
                self.guest.console_tail(12).join("\n    ")
            )),
        }
    }
}
