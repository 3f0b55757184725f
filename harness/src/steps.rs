// SPDX-License-Identifier: MIT OR Apache-2.0
//! One case carried out in one guest: steps in, evidence out. It judges nothing.

use crate::guest::agent::CallError;
use crate::guest::{Death, Guest};
use crate::inject::{InjectError, inject};
use crate::nvdimm::{self, Dax, MOUNT_POINT, NvdimmError, Place, path_of};
use crate::observe::evidence::{
    End, Evidence, Filesystem, Injected, Layout, Observation, StepEvidence, Tried, VictimView,
};
use crate::observe::probes::{self, Blind};
use guest_agent::address::{FileOffset, GuestPhysical, PAGE_SIZE};
use guest_agent::call::{
    AskVictim, Call, CreateFile, Hello, IsShutDown, MarkTrace, Outcome, ReadAt, ReadLog, ReadTrace, Reflink,
    ReleaseVictim, StartVictim, Stat, Unmount, VictimStarted, VictimState, WriteAt, WriteFile,
};
use guest_agent::victim::KillPolicy as GuestPolicy;
use reports::StepRecord;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use testcases::{
    Action, BadRange, Case, Expect, Injection, KillPolicy, Operation, Step, Target, Template, VictimSpec,
    describe,
};

/// What a system call may take before the kernel counts as stuck in it.
const OPERATION: Duration = Duration::from_secs(60);
/// Questions that no error in the kernel under test should delay.
const QUESTION: Duration = Duration::from_secs(30);
/// After something took too long: does the guest still answer at all?
const PULSE: Duration = Duration::from_secs(10);
/// Lines of the console that stand in for the kernel's log when the guest is dead.
const LAST_LINES: usize = 400;
/// The longest range of badblocks that an expectation may name, in pages.
const LONGEST_RANGE: u64 = 1 << 16;

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

/// Carries a case out in a guest that is in the case's template, with the filesystem mounted, and collects what there is to
/// see. The guest is left as it is.
pub async fn carry_out(
    guest: &Guest,
    case: &Case,
    tell: &mut (dyn FnMut(News) + Send),
) -> (Evidence, Vec<StepRecord>) {
    let mut scene = Scene::new(guest, case);
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

/// Something that ends the play.
enum Trouble {
    /// The kernel did not come back, or the guest is lost; which of the two is found out later.
    Call(CallError),
    /// The harness cannot go on.
    Harness(String),
    /// The step cannot be done in this guest.
    Impossible(String),
    /// The kernel refused what the step needs.
    Refused(guest_agent::call::Refusal),
}

impl From<CallError> for Trouble {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<NvdimmError> for Trouble {
    fn from(error: NvdimmError) -> Self {
        match error {
            NvdimmError::Call(error) => Self::Call(error),
            NvdimmError::NoSuchPlace(what) => Self::Impossible(what),
            NvdimmError::Raw { .. } => Self::Impossible(error.to_string()),
            NvdimmError::Unresolved { refusal, .. }
            | NvdimmError::NoSpaceMap(refusal)
            | NvdimmError::Proof(refusal) => Self::Refused(refusal),
            other => Self::Harness(chain(&other)),
        }
    }
}

impl From<InjectError> for Trouble {
    fn from(error: InjectError) -> Self {
        match error {
            InjectError::Call(error) => Self::Call(error),
            InjectError::NotAcknowledged(_) => Self::Harness(chain(&error)),
        }
    }
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

struct Scene<'a> {
    guest: &'a Guest,
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
    fn new(guest: &'a Guest, case: &'a Case) -> Self {
        let Template::Xfs { mount, .. } = &case.template;
        Self {
            guest,
            case,
            steps: Vec::new(),
            victims: BTreeMap::new(),
            blind: Blind::default(),
            dax: Dax::Absent,
            layout: Layout::new(),
            since: 0,
            latest: None,
            mounted_since: 0,
            mounted: true,
            mount_options: mount.clone(),
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
        self.dax = nvdimm::still_dax(&self.guest.agent).await?;
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

    async fn act(&mut self, action: &Action) -> Result<StepEvidence, Trouble> {
        match action {
            Action::Write(write) => {
                let path = path_of(write.file.as_str());
                let call = WriteFile {
                    path,
                    size: write.size.0,
                    fill: write.fill,
                };
                Ok(done(self.call(call).await?))
            }
            Action::Reflink(link) => {
                let call = Reflink {
                    from: path_of(link.from.as_str()),
                    to: path_of(link.to.as_str()),
                };
                Ok(done(self.call(call).await?))
            }
            Action::Victim(spec) => self.start_victim(spec).await,
            Action::Release(release) => {
                for name in &release.victims {
                    let state = self
                        .call(ReleaseVictim {
                            name: name.as_str().to_owned(),
                        })
                        .await?;
                    if let Some(victim) = self.victims.get_mut(name.as_str()) {
                        victim.hear(state);
                        victim.released = true;
                    }
                }
                Ok(StepEvidence::Done)
            }
            Action::Inject(injection) => self.inject(injection).await,
            Action::Unmount(_) => Ok(done(self.unmount().await?)),
            Action::Mount(mount) => {
                let options = mount.options.clone();
                Ok(done(self.mount(options).await?))
            }
            Action::Expect(Expect::State(_)) => Ok(StepEvidence::State(self.observe().await?)),
            Action::Expect(Expect::Operation { operation, .. }) => {
                Ok(StepEvidence::Operation(self.operate(operation).await?))
            }
        }
    }

    async fn start_victim(&mut self, spec: &VictimSpec) -> Result<StepEvidence, Trouble> {
        let touches = FileOffset(spec.touches.0);
        let call = StartVictim {
            name: spec.name.as_str().to_owned(),
            path: path_of(spec.maps.as_str()),
            touches: vec![touches],
            policy: match spec.kill {
                KillPolicy::Early => GuestPolicy::Early,
                KillPolicy::Late => GuestPolicy::Late,
                KillPolicy::Default => GuestPolicy::Default,
            },
        };
        match self.call(call).await? {
            VictimStarted::Refused(refusal) => Ok(StepEvidence::Refused(refusal)),
            // A first load that faulted is in the victim's record of signals, where the judge reads it.
            VictimStarted::Running { pid, .. } => {
                let view = VictimView {
                    pid,
                    ended: None,
                    signals: Vec::new(),
                    before: 0,
                    pending: 0,
                };
                let victim = Victim {
                    file: spec.maps.as_str().to_owned(),
                    touches,
                    view,
                    released: false,
                };
                self.victims.insert(spec.name.as_str().to_owned(), victim);
                Ok(StepEvidence::Done)
            }
        }
    }

    async fn unmount(&mut self) -> Result<Outcome<()>, CallError> {
        let outcome = self
            .call(Unmount {
                at: MOUNT_POINT.to_owned(),
            })
            .await?;
        if outcome == Outcome::Done(()) {
            self.mounted = false;
        }
        Ok(outcome)
    }

    async fn mount(&mut self, options: Option<String>) -> Result<Outcome<()>, Trouble> {
        let options = options.unwrap_or_else(|| self.mount_options.clone());
        let mark = self.call(MarkTrace {}).await?;
        let outcome = nvdimm::mount(&self.guest.agent, &options, OPERATION).await?;
        if outcome == Outcome::Done(()) {
            self.mounted = true;
            self.mounted_since = mark;
            self.mount_options = options;
            self.dax = nvdimm::still_dax(&self.guest.agent).await?;
        }
        Ok(outcome)
    }

    async fn inject(&mut self, injection: &Injection) -> Result<StepEvidence, Trouble> {
        self.require_dax(&injection.at).await?;
        if self.latest.is_none() {
            self.layout = self.survey().await?;
        }
        let place = nvdimm::locate(&self.guest.agent, &injection.at).await?;
        self.check_against_victims(&injection.at, place).await?;
        for victim in self.victims.values_mut() {
            victim.view.before = victim.view.signals.len();
        }
        self.since = self.call(MarkTrace {}).await?;
        let injected = inject(&self.guest.agent, &self.guest.qmp, injection.by, place).await?;
        self.latest = Some(injected.clone());
        Ok(StepEvidence::Injected(injected))
    }

    /// Without DAX the page is one of the page cache, and everything that follows would be about something else.
    async fn require_dax(&self, target: &Target) -> Result<(), Trouble> {
        let (dax, what) = match target {
            Target::File { file, .. } => {
                let path = path_of(file.as_str());
                match nvdimm::is_dax(&self.guest.agent, path.clone()).await? {
                    Outcome::Done(dax) => (dax, path),
                    Outcome::Refused(refusal) => return Err(Trouble::Refused(refusal)),
                }
            }
            Target::Metadata { .. } | Target::FreeSpace { .. } => (self.dax, MOUNT_POINT.to_owned()),
        };
        match dax {
            Dax::Proved => Ok(()),
            Dax::Absent => Err(Trouble::Impossible(format!(
                "{what} is not DAX (statx shows no STATX_ATTR_DAX; mount options: {}): a memory error there would hit \
                 the page cache",
                self.mount_options
            ))),
        }
    }

    /// Where the files lie that expectations about badblocks name. Asked before the first injection: afterwards a
    /// filesystem that shut down answers nothing.
    async fn survey(&self) -> Result<Layout, Trouble> {
        let mut layout = Layout::new();
        let states = self.case.steps.iter().filter_map(|step| match &step.action {
            Action::Expect(Expect::State(state)) => state.badblocks.as_ref(),
            _ => None,
        });
        for range in states.flatten() {
            let BadRange::File { file, offset, length } = range else {
                continue;
            };
            let end = offset.0.saturating_add(length.0);
            let mut page = FileOffset(offset.0).page().0;
            if (end - page) / PAGE_SIZE > LONGEST_RANGE {
                return Err(Trouble::Impossible(format!(
                    "a bad range of {length} is longer than can be followed"
                )));
            }
            let pages = layout.entry(file.as_str().to_owned()).or_default();
            while page < end {
                let found = nvdimm::resolve(
                    &self.guest.agent,
                    &path_of(file.as_str()),
                    FileOffset(page),
                    false,
                )
                .await?;
                pages.insert(page, found.device_offset);
                page += PAGE_SIZE;
            }
        }
        Ok(layout)
    }

    /// A victim that has the very page mapped and present knows its address independently.
    async fn check_against_victims(&self, target: &Target, place: Place) -> Result<(), Trouble> {
        let Target::File { file, offset } = target else {
            return Ok(());
        };
        let page = FileOffset(offset.0).page();
        for (name, victim) in &self.victims {
            if victim.released || victim.file != file.as_str() || victim.touches.page() != page {
                continue;
            }
            let state = self
                .call(AskVictim {
                    name: name.clone(),
                    page: Some(page),
                })
                .await?;
            let mapped = state
                .entry
                .and_then(|entry| entry.physical)
                .map(GuestPhysical::page);
            if mapped.is_some_and(|mapped| mapped != place.physical.page()) {
                return Err(Trouble::Harness(format!(
                    "{name} has {file} at {page} mapped to {mapped:x?}, but it was computed to be at {}",
                    place.physical.page()
                )));
            }
        }
        Ok(())
    }

    async fn ask_victims(&mut self) -> Result<(), CallError> {
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

    async fn observe(&mut self) -> Result<Observation, Trouble> {
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
            badblocks: nvdimm::ask(&self.guest.agent).await?.badblocks,
            injected: self.latest.as_ref().map(|latest| latest.page),
            layout: self.layout.clone(),
        })
    }

    async fn filesystem(&self) -> Result<Filesystem, Trouble> {
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

    async fn operate(&mut self, operation: &Operation) -> Result<Tried, Trouble> {
        let nothing = |()| None;
        Ok(match operation {
            Operation::Read { file, offset, length } => {
                let (path, offset) = (path_of(file.as_str()), FileOffset(offset.0));
                tried(
                    self.call(ReadAt {
                        path,
                        offset,
                        length: length.0,
                    })
                    .await?,
                    Some,
                )
            }
            Operation::Write {
                file,
                offset,
                length,
                fill,
            } => {
                let (path, offset) = (path_of(file.as_str()), FileOffset(offset.0));
                tried(
                    self.call(WriteAt {
                        path,
                        offset,
                        length: length.0,
                        fill: *fill,
                    })
                    .await?,
                    nothing,
                )
            }
            Operation::Create { file } => tried(
                self.call(CreateFile {
                    path: path_of(file.as_str()),
                })
                .await?,
                nothing,
            ),
            Operation::Stat { file } => tried(
                self.call(Stat {
                    path: path_of(file.as_str()),
                })
                .await?,
                |_size| None,
            ),
            Operation::Mount { options } => tried(self.mount(options.clone()).await?, nothing),
            Operation::Unmount => tried(self.unmount().await?, nothing),
        })
    }

    fn views(&self) -> BTreeMap<String, VictimView> {
        self.victims
            .iter()
            .map(|(name, victim)| (name.clone(), victim.view.clone()))
            .collect()
    }

    async fn into_evidence(mut self, mut end: End) -> Evidence {
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
    fn hear(&mut self, state: VictimState) {
        self.view.ended = state.ended;
        self.view.signals = state.signals;
        self.view.pending = state.pending;
    }
}

fn done(outcome: Outcome<()>) -> StepEvidence {
    match outcome {
        Outcome::Done(()) => StepEvidence::Done,
        Outcome::Refused(refusal) => StepEvidence::Refused(refusal),
    }
}

fn tried<T>(outcome: Outcome<T>, keep: impl FnOnce(T) -> Option<guest_agent::call::Contents>) -> Tried {
    match outcome {
        Outcome::Done(value) => Tried::Succeeded(keep(value)),
        Outcome::Refused(refusal) => Tried::Refused(refusal),
    }
}
