// SPDX-License-Identifier: MIT OR Apache-2.0
//! One case carried out in one guest: steps in, evidence out. It judges nothing.

mod aftermath;
mod aim;
mod commands;
mod facts;
mod look;
mod mounts;
mod names;
mod operate;
mod poison;
mod trouble;
mod victims;

use crate::nvdimm::{self, Stack};
use crate::places::Page;
use guest_agent::call::{
    AskAccounts, AskRegions, BlockDevice, Call, Geometry, Hello, MarkLog, MarkTrace, Region,
};
use guest_agent::victim::Ended;
use machine::guest::agent::CallError;
use machine::guest::{Death, Guest};
use mounts::Mounting;
use names::Names;
use reports::StepRecord;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use testcases::{Action, Case, Expect, Step, Template, describe};
use trouble::Trouble;
use verdict::judge::describe_attempt;
use verdict::observe::evidence::{
    AccessResult, Brought, End, Evidence, Hit, Layout, StepEvidence, Tried, Unfinished,
};
use verdict::observe::probes::{self, Blind};
use victims::Victim;

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
        /// What it is, in words.
        what: String,
    },
    /// A step has ended.
    Finished(StepRecord),
}

/// Carries a case out in a guest that is in the case's template, with these devices, and collects what there is to see. The
/// guest is left as it is.
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
    names: Names,
    /// The device of the filesystem under test, as the kernel knew it when that was mounted last; none on a character device.
    device: Option<BlockDevice>,
    mounting: Mounting,
    /// The NVDIMMs of the guest.
    nvdimms: Vec<Region>,
    /// The shape of the filesystem, as it was told last.
    geometry: Option<Geometry>,
    blind: Blind,
    layout: Layout,
    /// Files whose places could not be asked when that was tried last, and why not.
    unplaced: BTreeMap<String, String>,
    /// The pages that the case has marked.
    marks: BTreeMap<String, Page>,
    /// The errors of the latest injection.
    latest: Vec<Hit>,
    /// The one that is just being made.
    unfinished: Option<Unfinished>,
    /// Trace lines before the latest injection, or the case.
    trace_since: usize,
    /// The number of the first kernel message after it began.
    log_since: u64,
    /// The number of the first kernel message after the case began.
    case_log_since: u64,
    /// The line of the step that is carried out.
    line: usize,
    /// What commands said, by the lines of their steps.
    said: BTreeMap<usize, Vec<String>>,
    /// `HardwareCorrupted` just before it, in bytes.
    corrupted_before: u64,
}

impl<'a> Scene<'a> {
    fn new(guest: &'a Guest, stack: &'a Stack, case: &'a Case) -> Self {
        Self {
            guest,
            stack,
            case,
            steps: Vec::new(),
            victims: BTreeMap::new(),
            names: Names::default(),
            device: None,
            mounting: Mounting::of_template(&case.template),
            nvdimms: Vec::new(),
            geometry: None,
            blind: Blind::default(),
            layout: Layout::new(),
            unplaced: BTreeMap::new(),
            marks: BTreeMap::new(),
            latest: Vec::new(),
            unfinished: None,
            trace_since: 0,
            log_since: 0,
            case_log_since: 0,
            line: 0,
            said: BTreeMap::new(),
            corrupted_before: 0,
        }
    }

    async fn call<C: Call>(&self, call: C) -> Result<C::Answer, CallError> {
        self.guest.agent.call(call, OPERATION).await
    }

    async fn play(&mut self, tell: &mut (dyn FnMut(News) + Send), records: &mut Vec<StepRecord>) -> End {
        if let Err(trouble) = self.enter().await {
            return match trouble {
                Trouble::Untestable(why) | Trouble::Harness(why) | Trouble::NoSuchTarget(why) => {
                    End::Lost(why)
                }
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
            self.line = step.line;
            let started = Instant::now();
            let result = self.step(step).await;
            let outcome = match &result {
                Ok(StepEvidence::Refused(refusal)) => {
                    Some(format!("{} (errno {})", refusal.what, refusal.errno))
                }
                Ok(StepEvidence::Impossible(why) | StepEvidence::Stuck(why))
                | Err(End::GuestDied(why) | End::Lost(why) | End::StoodStill(why)) => Some(why.clone()),
                Ok(StepEvidence::Failed(tried)) => Some(describe_attempt(tried)),
                Ok(_) | Err(End::Completed | End::Stopped) => None,
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
                        StepEvidence::Refused(_)
                            | StepEvidence::Failed(_)
                            | StepEvidence::Impossible(_)
                            | StepEvidence::Stuck(_)
                    );
                    self.steps.push(evidence);
                    if stop {
                        return End::Stopped;
                    }
                }
                Err(end) => return end,
            }
        }
        match self.ask_victims(QUESTION).await {
            Ok(()) => End::Completed,
            Err(error) => self.unheard(End::Completed, &error).await,
        }
    }

    /// Enters the template that the guest has been brought into.
    async fn enter(&mut self) -> Result<(), Trouble> {
        let started = self.call(probes::request()).await?;
        self.blind = Blind::from_unavailable(&started.unavailable);
        self.nvdimms = self.call(AskRegions {}).await?;
        self.device = self.block_device().await?;
        if matches!(self.case.template, Template::Xfs(_)) {
            self.mounting.dax = nvdimm::still_dax(&self.guest.agent).await?;
            self.geometry = self.mount_state().await?.geometry;
        }
        self.trace_since = self.call(MarkTrace {}).await?;
        self.log_since = self.call(MarkLog {}).await?;
        self.case_log_since = self.log_since;
        self.corrupted_before = self.call(AskAccounts {}).await?.hardware_corrupted;
        Ok(())
    }

    async fn act(&mut self, action: &Action) -> Result<StepEvidence, Trouble> {
        match action {
            Action::Operation(operation) => {
                let tried = self.operate(operation, None).await?;
                commands::has_its_programs(&tried, None)?;
                self.can_mount(operation, &tried).await?;
                Ok(must_succeed(tried))
            }
            Action::Victim(spec) => self.start_victim(spec).await,
            Action::Fork(fork) => self.fork(fork).await,
            Action::Release(release) => self.release(release).await,
            Action::Mark(mark) => self.mark(mark).await,
            Action::Watch(watcher) => self.watch(*watcher).await.map(|()| StepEvidence::Done),
            Action::Inject(injection) => self.inject(injection).await,
            Action::Expect(Expect::State(state)) => {
                Ok(StepEvidence::State(Box::new(self.observe(state).await?)))
            }
            Action::Expect(Expect::Operation { operation, outcome }) => {
                let tried = self.operate(operation, Some(outcome)).await?;
                commands::has_its_programs(&tried, Some(outcome))?;
                Ok(StepEvidence::Operation(tried))
            }
        }
    }

    async fn step(&mut self, step: &Step) -> Result<StepEvidence, End> {
        match self.act(&step.action).await {
            Ok(evidence) => Ok(evidence),
            Err(Trouble::Untestable(why)) => Ok(StepEvidence::Impossible(why)),
            Err(Trouble::Refused(refusal)) => Ok(StepEvidence::Refused(refusal)),
            Err(Trouble::NoSuchTarget(why)) => {
                Err(End::Lost(format!("the case asks for what is not there: {why}")))
            }
            Err(Trouble::Harness(why)) => Err(End::Lost(why)),
            // What hangs before anything was injected is a question of our own, of a state that the case itself has made.
            Err(Trouble::Call(error))
                if matches!(step.action, Action::Inject(_))
                    && !self.has_injected()
                    && self.is_held(&error).await =>
            {
                Err(End::Lost(format!(
                    "nothing was injected: {error}, which is a question of the harness's own"
                )))
            }
            Err(Trouble::Call(error)) if self.is_held(&error).await => {
                Ok(StepEvidence::Stuck(error.to_string()))
            }
            Err(Trouble::Call(error)) => Err(self.lost(&error).await),
        }
    }

    /// Whether an error has been made by now, or is just being made.
    fn has_injected(&self) -> bool {
        let earlier = self
            .steps
            .iter()
            .any(|step| matches!(step, StepEvidence::Injected(_)));
        earlier || !self.latest.is_empty() || self.unfinished.is_some()
    }

    /// Whether it is the kernel that holds what was asked for: the call has not come back, and the guest is otherwise well.
    async fn is_held(&self, error: &CallError) -> bool {
        matches!(error, CallError::Deadline { .. }) && self.guest.agent.call(Hello {}, PULSE).await.is_ok()
    }

    /// How the play ends that would have ended so, but for a victim that did not answer. One that the kernel holds makes the
    /// last step one that it did not come back from, unless the play has stopped at such a step anyway.
    async fn unheard(&mut self, end: End, error: &CallError) -> End {
        if !self.is_held(error).await {
            return self.lost(error).await;
        }
        match self.steps.last_mut() {
            Some(last) if end == End::Completed => {
                *last = StepEvidence::Stuck(error.to_string());
                End::Stopped
            }
            _ => end,
        }
    }

    /// The guest does not answer: is it dead?
    async fn lost(&self, error: &CallError) -> End {
        match self.guest.ended(true).await {
            Some(death) => dead(&death),
            None => End::Lost(of_call(error, &self.guest.console_tail(LOOKED_AT))),
        }
    }
}

/// Lines of the console in which the reason is looked for why a guest does not answer.
const LOOKED_AT: usize = 400;
/// Lines of the console that are shown where none is found.
const SHOWN: usize = 12;

/// Of a guest that does not answer, and of whose end nothing is seen.
const BUSY: &str = "its kernel has not died: the guest is stuck, or too busy with what the case has started; let the case start \
                    less, or try again with `--jobs 1`";

/// A call without the answer that was wanted. A guest whose agent has answered is not stuck.
fn of_call(error: &CallError, console: &[String]) -> String {
    let answered = match error {
        CallError::Failed { .. } | CallError::Language { .. } => true,
        CallError::Deadline { .. } | CallError::Closed { .. } => false,
    };
    match memory_is_full(console) {
        Some(full) => format!("{error}; {full}"),
        None if answered => error.to_string(),
        None => format!("{error}; {}", last_words(console)),
    }
}

/// What the console says of a guest whose memory was full.
fn memory_is_full(console: &[String]) -> Option<String> {
    // mm/oom_kill.c:__oom_kill_process
    let killed = console
        .iter()
        .filter(|line| line.contains("Out of memory: Killed process"));
    let last = killed.clone().next_back()?;
    Some(format!(
        "the guest's memory is full, and the kernel has killed {} of its processes for it, the last one here: `{}`; what the \
         case runs has taken it, so let it take less",
        killed.count(),
        last.trim()
    ))
}

/// The last lines of the console of a guest that does not answer.
fn last_words(console: &[String]) -> String {
    let last = &console[console.len().saturating_sub(SHOWN)..];
    if last.is_empty() {
        return BUSY.to_owned();
    }
    format!(
        "{BUSY}; the last lines of its console:\n    {}",
        last.join("\n    ")
    )
}

/// The evidence of an operation that must succeed.
fn must_succeed(tried: Tried) -> StepEvidence {
    let done = match &tried {
        Tried::Refused(refusal) => return StepEvidence::Refused(refusal.clone()),
        Tried::Succeeded(Brought::Differs) => false,
        Tried::Succeeded(Brought::Moved { bytes, of }) => bytes == of,
        Tried::Succeeded(Brought::Ran { ended, .. }) => *ended == Some(Ended::Exited(0)),
        Tried::Succeeded(
            Brought::Nothing | Brought::Contents { .. } | Brought::Names(_) | Brought::Text(_),
        ) => true,
        Tried::ByVictim(access) => match &access.result {
            Some(AccessResult::Refused(refusal)) if access.signals.is_empty() => {
                return StepEvidence::Refused(refusal.clone());
            }
            _ => access.is_success(),
        },
    };
    if done {
        StepEvidence::Done
    } else {
        StepEvidence::Failed(tried)
    }
}

#[cfg(test)]
mod tests {
    use super::{last_words, memory_is_full, of_call};
    use guest_agent::call::Failure;
    use machine::guest::agent::CallError;
    use std::time::Duration;

    #[test]
    fn a_guest_that_answers_is_not_called_stuck() {
        let console = ["[ 9.3] x".to_owned()];
        let failed = CallError::Failed {
            call: "resolve",
            failure: Failure {
                what: "no such thing".to_owned(),
            },
        };
        assert!(!of_call(&failed, &console).contains("stuck"));
        let silent = CallError::Deadline {
            call: "resolve",
            deadline: Duration::from_secs(5),
        };
        assert!(of_call(&silent, &console).contains("the guest is stuck, or too busy"));
    }

    #[test]
    fn a_guest_whose_memory_is_full_says_so() {
        let full: Vec<String> = [
            "[ 9.1] sh invoked oom-killer: gfp_mask=0xcc0",
            "[ 9.2] Out of memory: Killed process 92 (sh) total-vm:4kB",
            "[ 9.3] x",
        ]
        .map(str::to_owned)
        .to_vec();
        let words = memory_is_full(&full).unwrap();
        assert!(
            words.starts_with("the guest's memory is full, and the kernel has killed 1 of its processes"),
            "{words}"
        );
        assert!(words.contains("Killed process 92 (sh)"), "{words}");
        let other: Vec<String> = (0..40).map(|line| format!("line {line}")).collect();
        let words = last_words(&other);
        assert!(words.contains("line 39") && !words.contains("line 27"), "{words}");
        assert!(last_words(&[]).ends_with("`--jobs 1`"));
    }
}
