// SPDX-License-Identifier: MIT OR Apache-2.0
//! The processes of a case: started, forked, told what to do, ended.

use super::{OPERATION, Scene, Trouble};
use crate::nvdimm::{Stack, path_of};
use guest_agent::address::{FileOffset, MappingOffset};
use guest_agent::call::{
    AskVictim, ChangeFile, FileChange, ForkVictim, Obeyed, OrderVictim, Outcome as Answer, ReleaseVictim,
    StartVictim, SyncHow, VictimForked, VictimStarted, VictimState,
};
use guest_agent::victim as guest;
use guest_agent::victim::{Madvise, MappingSpec, Order, Reply, Spot, ThreadSpec, Touch};
use std::collections::BTreeMap;
use std::ops::Range;
use testcases::{
    CharacterDevice, ForkSpec, Mapped, Mapping, PageSize, Place, ReadRange, Release, VictimOperation,
    VictimPlace, VictimSpec, WriteRange,
};
use verdict::observe::evidence::{Access, AccessResult, StepEvidence, Tried, VictimView};

/// A victim, as the harness knows it.
#[derive(Debug)]
pub(super) struct Victim {
    /// What it was to be; of a child, what its parent was to be.
    pub(super) spec: VictimSpec,
    /// What the judge sees of it.
    pub(super) view: VictimView,
    /// Whether the case has ended it.
    pub(super) released: bool,
}

impl Victim {
    pub(super) fn hear(&mut self, state: VictimState) {
        self.view.ended = state.ended;
        self.view.signals = state.signals;
        self.view.pending = state.pending;
        let threads = state.threads.into_iter().map(|thread| (thread.tid, thread.name));
        self.view.threads.extend(threads);
    }
}

/// A place of a victim's mapping as the agent counts it.
pub(super) fn spot(place: Place) -> Spot {
    Spot {
        // A u32 always fits where guests run.
        mapping: usize::try_from(place.map).unwrap_or(usize::MAX),
        offset: MappingOffset(place.at.0),
    }
}

impl Scene<'_> {
    pub(super) async fn start_victim(&mut self, spec: &VictimSpec) -> Result<StepEvidence, Trouble> {
        for mapping in &spec.maps {
            match &mapping.of {
                Mapped::File(file) => self.names.map(file.as_str()),
                Mapped::Device(CharacterDevice::Dax) => {
                    let start = mapping.offset.0;
                    let length = length_on_device(mapping, self.stack);
                    self.names.map_device(start..start.saturating_add(length));
                }
            }
        }
        let loads: Vec<Touch> = spec.touches.iter().map(|place| load(*place)).collect();
        let call = StartVictim {
            spec: guest_spec(spec, loads, self.stack),
        };
        let (pid, mappings) = match self.call(call).await? {
            VictimStarted::Refused(refusal) => return Ok(StepEvidence::Refused(refusal)),
            // Whoever has no handler dies of the first load that faults; the judge reads it in the victim's end.
            VictimStarted::Ended(ended) => {
                return Ok(StepEvidence::Failed(Tried::ByVictim(Access {
                    victim: spec.name.as_str().to_owned(),
                    result: None,
                    signals: 0..0,
                    ended: Some(ended),
                })));
            }
            VictimStarted::Running { pid, mappings, .. } => (pid, mappings),
        };
        self.enroll(spec.name.as_str(), spec.clone(), pid);
        self.prove_mapped(spec, &mappings)?;
        for place in &spec.stores {
            if let Some(failed) = self.store_what_is_there(spec, *place).await? {
                return Ok(StepEvidence::Failed(failed));
            }
        }
        self.prove_pages(spec).await?;
        Ok(StepEvidence::Done)
    }

    fn enroll(&mut self, name: &str, spec: VictimSpec, pid: i32) {
        let view = VictimView {
            pid,
            ended: None,
            signals: Vec::new(),
            before: 0,
            pending: 0,
            threads: BTreeMap::new(),
        };
        let victim = Victim {
            spec,
            view,
            released: false,
        };
        self.victims.insert(name.to_owned(), victim);
    }

    /// Makes a page present and writable without changing what it holds. What ended otherwise is returned.
    async fn store_what_is_there(
        &mut self,
        spec: &VictimSpec,
        place: Place,
    ) -> Result<Option<Tried>, Trouble> {
        let name = spec.name.as_str();
        let read = self.order(name, Order::Touch(load(place))).await?;
        let Some(AccessResult::Byte(byte)) = read.result else {
            return Ok(Some(Tried::ByVictim(read)));
        };
        let wrote = self.order(name, Order::Touch(store(place, byte))).await?;
        Ok((wrote.result != Some(AccessResult::Done)).then_some(Tried::ByVictim(wrote)))
    }

    /// Whoever maps a file of another filesystem, or one through the page cache, is no victim of an error below the filesystem
    /// under test; unless the case wants just the latter, and then it has to be so.
    fn prove_mapped(&self, spec: &VictimSpec, mappings: &[guest::Mapped]) -> Result<(), Trouble> {
        for (wanted, made) in spec.maps.iter().zip(mappings) {
            let Mapped::File(file) = &wanted.of else {
                continue;
            };
            let what = format!("{}, which {} maps,", path_of(file.as_str()), spec.name);
            if !self.is_under_test(made.device) {
                return Err(self.lies_elsewhere(what));
            }
            let options = &self.mounting.options;
            match (made.dax, wanted.dax) {
                (true, true) | (false, false) => {}
                (false, true) => {
                    return Err(Trouble::Untestable(format!(
                        "{what} is not DAX (statx shows no STATX_ATTR_DAX; mount options: {options}): an error below it would \
                         not be in a page of hers. If just that is meant, write `dax: false` beside the file"
                    )));
                }
                (true, false) => {
                    return Err(Trouble::Untestable(format!(
                        "{what} is DAX (statx shows STATX_ATTR_DAX; mount options: {options}), and the case wants it not to be"
                    )));
                }
            }
        }
        Ok(())
    }

    /// A case that is about pages of one size is about nothing where the kernel has mapped others.
    async fn prove_pages(&self, spec: &VictimSpec) -> Result<(), Trouble> {
        let Some(wanted) = spec.page else {
            return Ok(());
        };
        let places = spec.touches.iter().chain(&spec.stores);
        let call = AskVictim {
            name: spec.name.as_str().to_owned(),
            pages: places.copied().map(spot).collect(),
        };
        for page in self.call(call).await?.pages {
            let size = page.size.map(|proved| proved.size);
            if size != Some(wanted) {
                let seen = match size {
                    Some(PageSize::Base) => "by pages of 4 KiB",
                    Some(PageSize::Huge) => "by a page of 2 MiB",
                    None if page.entry.present => "by pages of a size that is not proved",
                    None => "by no page",
                };
                return Err(Trouble::Untestable(format!(
                    "{} has byte {} of mapping {} mapped {seen}, not by a page of {wanted}",
                    spec.name, page.at.offset, page.at.mapping
                )));
            }
        }
        Ok(())
    }

    pub(super) async fn fork(&mut self, fork: &ForkSpec) -> Result<StepEvidence, Trouble> {
        let (name, child) = (fork.victim.as_str().to_owned(), fork.child.as_str().to_owned());
        let call = ForkVictim {
            name: name.clone(),
            child: child.clone(),
        };
        match self.call(call).await? {
            VictimForked::Refused(refusal) => Ok(StepEvidence::Refused(refusal)),
            VictimForked::Ended(ended) => Ok(StepEvidence::Failed(Tried::ByVictim(Access {
                victim: name,
                result: None,
                signals: 0..0,
                ended: Some(ended),
            }))),
            VictimForked::Running { pid } => {
                if let Some(parent) = self.victims.get(&name) {
                    let mut spec = parent.spec.clone();
                    spec.name = fork.child.clone();
                    self.enroll(&child, spec, pid);
                }
                Ok(StepEvidence::Done)
            }
        }
    }

    pub(super) async fn release(&mut self, release: &Release) -> Result<StepEvidence, Trouble> {
        for name in &release.victims {
            let name = name.as_str().to_owned();
            let state = self.call(ReleaseVictim { name: name.clone() }).await?;
            if let Some(victim) = self.victims.get_mut(&name) {
                victim.hear(state);
                victim.released = true;
            }
        }
        Ok(StepEvidence::Done)
    }

    /// Operations that a victim carries out.
    pub(super) async fn victim_operation(&mut self, operation: &VictimOperation) -> Result<Tried, Trouble> {
        let (victim, order) = match operation {
            VictimOperation::Touch(at) => (&at.victim, Order::Touch(load(at.place))),
            VictimOperation::Store(at) => (&at.victim, Order::Touch(store(at.place, at.fill))),
            VictimOperation::Unmap { victim, map } => {
                let mapping = usize::try_from(*map).unwrap_or(usize::MAX);
                (victim, Order::Unmap { mapping })
            }
            VictimOperation::Policy(change) => (
                &change.victim,
                Order::SetPolicy {
                    thread: change.thread.as_ref().map(|thread| thread.as_str().to_owned()),
                    policy: Some(change.kill),
                },
            ),
            VictimOperation::Advise(advise) => (
                &advise.victim,
                Order::Advise {
                    advice: Madvise::Advice(advise.advice),
                    at: spot(advise.place),
                    length: advise.length.0,
                },
            ),
        };
        let access = self.order(victim.as_str(), order).await?;
        Ok(Tried::ByVictim(access))
    }

    pub(super) async fn read_into(
        &mut self,
        read: &ReadRange,
        buffer: &VictimPlace,
    ) -> Result<Tried, Trouble> {
        let order = Order::ReadInto {
            path: path_of(read.file.as_str()),
            offset: FileOffset(read.offset.0),
            at: spot(buffer.place),
            length: read.length.0,
            direct: read.direct,
        };
        self.moving(buffer, order, read.length.0).await
    }

    pub(super) async fn write_from(
        &mut self,
        write: &WriteRange,
        buffer: &VictimPlace,
    ) -> Result<Tried, Trouble> {
        let path = path_of(write.file.as_str());
        let order = Order::WriteFrom {
            path: path.clone(),
            offset: FileOffset(write.offset.0),
            at: spot(buffer.place),
            length: write.length.0,
            direct: write.direct,
        };
        let tried = self.moving(buffer, order, write.length.0).await?;
        if write.sync && matches!(&tried, Tried::ByVictim(access) if access.is_success()) {
            let how = SyncHow::File;
            let change = FileChange::Sync { path, how };
            if let Answer::Refused(refusal) = self.call(ChangeFile { change }).await? {
                return Ok(Tried::Refused(refusal));
            }
        }
        Ok(tried)
    }

    async fn moving(&mut self, buffer: &VictimPlace, order: Order, of: u64) -> Result<Tried, Trouble> {
        let mut access = self.order(buffer.victim.as_str(), order).await?;
        if let Some(AccessResult::Moved { of: whole, .. }) = &mut access.result {
            *whole = of;
        }
        Ok(Tried::ByVictim(access))
    }

    /// Has a victim do something.
    pub(super) async fn raw_order(&self, name: &str, order: Order) -> Result<Obeyed, Trouble> {
        let name = name.to_owned();
        Ok(self
            .guest
            .agent
            .call(OrderVictim { name, order }, OPERATION)
            .await?)
    }

    /// Has a victim do something; what it got of it is in the victim's view, too.
    pub(super) async fn order(&mut self, name: &str, order: Order) -> Result<Access, Trouble> {
        let Obeyed {
            reply,
            signals,
            ended,
        } = self.raw_order(name, order).await?;
        Ok(Access {
            victim: name.to_owned(),
            result: reply.map(result_of).transpose()?,
            signals: self.find_signals(name, &signals).await?,
            ended,
        })
    }

    /// Asks the victim anew, and finds among all its signals those that came with an order.
    async fn find_signals(&mut self, name: &str, came: &[guest::Signal]) -> Result<Range<usize>, Trouble> {
        let call = AskVictim {
            name: name.to_owned(),
            pages: Vec::new(),
        };
        let state = self.call(call).await?;
        let Some(victim) = self.victims.get_mut(name) else {
            return Err(Trouble::Harness(format!("nobody has started {name}")));
        };
        let known = victim.view.signals.len();
        victim.hear(state);
        let fresh = victim.view.signals.get(known..).unwrap_or_default();
        // Others may have come before the order, and after its reply.
        let first = match came {
            [] => 0,
            came => fresh
                .windows(came.len())
                .position(|window| window == came)
                .ok_or_else(|| {
                    Trouble::Harness(format!("{name} has forgotten signals that it has told of"))
                })?,
        };
        Ok(known + first..known + first + came.len())
    }
}

fn result_of(reply: Reply) -> Result<AccessResult, Trouble> {
    Ok(match reply {
        Reply::Done => AccessResult::Done,
        Reply::Loaded(byte) => AccessResult::Byte(byte),
        Reply::Faulted => AccessResult::Faulted,
        Reply::Refused(refusal) => AccessResult::Refused(refusal),
        // Of how many, its caller knows.
        Reply::Moved(bytes) => AccessResult::Moved { bytes, of: bytes },
        Reply::Nonsense(what) => {
            return Err(Trouble::Harness(format!(
                "the case asks a victim for what it has not: {what}"
            )));
        }
        Reply::Contents { .. } | Reply::Spinning { .. } | Reply::Forked { .. } => {
            return Err(Trouble::Harness("a victim answered another question".to_owned()));
        }
    })
}

fn load(place: Place) -> Touch {
    Touch {
        at: spot(place),
        access: guest::Access::Load,
    }
}

fn store(place: Place, byte: u8) -> Touch {
    Touch {
        at: spot(place),
        access: guest::Access::Store(byte),
    }
}

fn guest_spec(spec: &VictimSpec, touches: Vec<Touch>, stack: &Stack) -> guest::VictimSpec {
    guest::VictimSpec {
        name: spec.name.as_str().to_owned(),
        mappings: spec
            .maps
            .iter()
            .map(|map| mapping(map, spec.page, stack))
            .collect(),
        touches,
        policy: spec.kill,
        disposition: spec.sigbus,
        threads: spec
            .threads
            .iter()
            .map(|(name, kill)| ThreadSpec {
                name: name.as_str().to_owned(),
                policy: Some(*kill),
            })
            .collect(),
    }
}

/// How much of the character device is mapped: the device itself does not tell a process how long it is.
fn length_on_device(map: &Mapping, stack: &Stack) -> u64 {
    map.length
        .map_or(stack.size().saturating_sub(map.offset.0), |length| length.0)
}

fn mapping(map: &Mapping, page: Option<PageSize>, stack: &Stack) -> MappingSpec {
    let (path, length) = match &map.of {
        Mapped::File(file) => (path_of(file.as_str()), map.length.map(|length| length.0)),
        Mapped::Device(CharacterDevice::Dax) => {
            (stack.device().to_owned(), Some(length_on_device(map, stack)))
        }
    };
    MappingSpec {
        path,
        offset: FileOffset(map.offset.0),
        length,
        kind: map.mapping,
        writable: map.access == testcases::Access::Write,
        huge: page == Some(PageSize::Huge),
    }
}
