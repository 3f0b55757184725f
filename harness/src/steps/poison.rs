// SPDX-License-Identifier: MIT OR Apache-2.0
//! Injecting: what must be asked before it is too late, the error itself, and what it has brought.

use super::facts::{Beside, Ordinary, coverings, mapped_at, of_page, place_of, ram, records_of};
use super::victims::spot;
use super::{OPERATION, QUESTION, Scene, Trouble};
use crate::inject::{Done, InjectError, Injector, Spinner, by_madvise, describe_to_oracle};
use crate::nvdimm::{Part as Device, path_of};
use crate::places::{Page, page_starts};
use guest_agent::MOUNT_POINT;
use guest_agent::address::{FileOffset, FsOffset, GuestPhysical, PAGE_SIZE};
use guest_agent::call::{
    AskAccounts, AskExtents, AskFacts, AskFlags, AskPageFlags, AskVictim, Covering, Handled, MarkLog,
    MarkTrace, MountState, Outcome as Answer, PageAsked, PageFacts, ReadKernelFile, Refusal, Space,
    SpaceOwner, SpaceRecord, Stat, Whereabouts,
};
use guest_agent::victim::{Madvise, Order, Reply, Spot};
use testcases::{
    Action, BadRange, Bytes, Expect, FileKind, FilePath, Injection, MadviseError, Mechanism, Place, Severity,
};
use verdict::observe::evidence::{Filesystem, Hit, Injected, StepEvidence, Unfinished};
use verdict::oracle::facts::{Facts, MAIN_THREAD, Region, ThreadOf};

/// The longest range of badblocks that an expectation may name, in pages.
const LONGEST_RANGE: usize = 1 << 16;
/// The CPU on which a victim spins.
const SPINNING_CPU: u32 = 0;
/// Whether corrupt-pfn passes some pages over (mm/hwpoison-inject.c).
const CORRUPT_FILTER: &str = "/sys/kernel/debug/hwpoison/corrupt-filter-enable";

/// Who of the victims makes an injection, and from where.
struct ByVictim {
    name: String,
    place: Place,
}

impl Scene<'_> {
    pub(super) async fn inject(&mut self, injection: &Injection) -> Result<StepEvidence, Trouble> {
        self.learn_inodes().await?;
        self.survey().await?;
        let pages = self.aim(&injection.at).await?;
        self.begin_window().await?;
        for _ in 0..injection.times.get() {
            for (index, page) in pages.iter().enumerate() {
                let by = injection.at.victim().map(|(name, place)| ByVictim {
                    name: name.as_str().to_owned(),
                    place: Place {
                        map: place.map,
                        at: Bytes(place.at.0 + PAGE_SIZE * u64::try_from(index).unwrap_or_default()),
                    },
                });
                let hit = self.hit(injection.by, *page, by.as_ref()).await?;
                let finished = hit.handled == Handled::Finished;
                self.latest.push(hit);
                if !finished {
                    break;
                }
            }
        }
        let hits = self.latest.clone();
        Ok(StepEvidence::Injected(Injected { hits }))
    }

    /// What earlier injections have brought belongs to the time before this one.
    async fn begin_window(&mut self) -> Result<(), Trouble> {
        self.ask_victims(QUESTION).await?;
        for victim in self.victims.values_mut() {
            victim.view.before = victim.view.signals.len();
        }
        self.latest.clear();
        self.trace_since = self.call(MarkTrace {}).await?;
        self.log_since = self.call(MarkLog {}).await?;
        self.corrupted_before = self.call(AskAccounts {}).await?.hardware_corrupted;
        Ok(())
    }

    /// One error in one page, with the facts from before and what is seen after.
    async fn hit(&mut self, by: Mechanism, page: Page, victim: Option<&ByVictim>) -> Result<Hit, Trouble> {
        let before_spin = victim.and_then(|victim| self.told(&victim.name));
        let spinner = match victim {
            Some(victim) if by == Mechanism::MachineCheck(Severity::ActionRequired) => {
                Some(self.spin(victim).await?)
            }
            Some(_) | None => None,
        };
        let thread = victim.map(|by| ThreadOf {
            victim: by.name.clone(),
            // The thread that spins bears the victim's own name.
            thread: match spinner {
                Some(_) => by.name.clone(),
                None => MAIN_THREAD.to_owned(),
            },
            map: spot(by.place).mapping,
            at: spot(by.place).offset.page().0,
        });
        let injection = describe_to_oracle(by, page, thread).ok_or_else(|| {
            Trouble::Harness(format!(
                "{} needs a victim, and the case names none",
                mechanism(by)
            ))
        })?;
        let facts = self.facts(page, victim).await?;
        let before = self.before_hit().await?;
        self.unfinished = Some(Unfinished {
            injection: injection.clone(),
            facts: facts.clone(),
        });
        let done = match (&spinner, victim, by) {
            (Some(spinner), ..) => self.consume(spinner, page, before_spin).await?,
            (None, Some(victim), Mechanism::Madvise(error)) => self.madvise(victim, error).await?,
            (
                None,
                Some(_) | None,
                Mechanism::MachineCheck(_)
                | Mechanism::Madvise(_)
                | Mechanism::Debugfs(_)
                | Mechanism::Sysfs(_)
                | Mechanism::MceInject(_),
            ) => self.injector().inject(by, page).await?.ok_or_else(|| {
                Trouble::NoSuchTarget(format!(
                    "{} has nothing to hit at {}",
                    mechanism(by),
                    page.physical
                ))
            })?,
        };
        let after = match done.handled {
            Handled::Finished => {
                self.unfinished = None;
                Some(self.after_hit(&before, &facts, page).await?)
            }
            // What is stuck in the kernel must not be asked for more.
            Handled::Stuck | Handled::Silent => None,
        };
        Ok(Hit {
            nvdimm: page.nvdimm,
            physical: page.physical,
            handled: done.handled,
            injector: done.injector,
            injection,
            facts,
            after,
        })
    }

    /// How many signals a victim has told of by now, and whether she has ended.
    fn told(&self, victim: &str) -> Option<(usize, bool)> {
        let victim = self.victims.get(victim)?;
        Some((victim.view.signals.len(), victim.view.ended.is_some()))
    }

    /// Has a spinning thread consume the error. One whose load raises a signal by itself does not spin, and then no machine check
    /// can interrupt it: the page has an error already, and a second one needs a CPU that reads it.
    async fn consume(
        &mut self,
        spinner: &Spinner,
        page: Page,
        before_spin: Option<(usize, bool)>,
    ) -> Result<Done, Trouble> {
        match self.injector().consume(spinner, page.physical).await {
            Err(error @ InjectError::NeverThere { .. }) => {
                self.ask_victims(QUESTION).await?;
                if self.told(&spinner.victim) == before_spin {
                    return Err(error.into());
                }
                let bad = self.pmem_at(page).await?.badblocks;
                let place = page.nvdimm.map(|(_, at)| at.0..at.0 + PAGE_SIZE);
                let is_bad = place.zip(bad).is_some_and(|(place, bad)| {
                    bad.iter()
                        .any(|range| range.start.0 < place.end && place.start < range.start.0 + range.length)
                });
                Err(Trouble::Untestable(never_spun(&spinner.victim, is_bad)))
            }
            other => Ok(other?),
        }
    }

    fn injector(&self) -> Injector<'_> {
        Injector {
            agent: &self.guest.agent,
            qmp: &self.guest.qmp,
            stack: self.stack,
        }
    }

    /// Starts a thread of the victim that does nothing but load the byte, over and over.
    async fn spin(&mut self, victim: &ByVictim) -> Result<Spinner, Trouble> {
        let order = Order::Spin {
            at: spot(victim.place),
            cpu: SPINNING_CPU,
        };
        match self.raw_order(&victim.name, order).await?.reply {
            Some(Reply::Spinning {
                code_start, code_end, ..
            }) => Ok(Spinner {
                victim: victim.name.clone(),
                code: code_start..code_end,
            }),
            _ => Err(Trouble::Harness(format!(
                "{} was told to load {} over and over, and did not begin",
                victim.name, victim.place
            ))),
        }
    }

    async fn madvise(&mut self, victim: &ByVictim, error: MadviseError) -> Result<Done, Trouble> {
        let order = Order::Advise {
            advice: Madvise::Error(error),
            at: spot(victim.place),
            length: PAGE_SIZE,
        };
        let access = self.order(&victim.name, order).await?;
        Ok(by_madvise(access.result.as_ref()))
    }

    /// Everything that the oracle wants to know of the time before.
    async fn facts(&mut self, page: Page, victim: Option<&ByVictim>) -> Result<Facts, Trouble> {
        let on_device = self.stack.mapped_by().is_some();
        let on_data = match page.used {
            Some((Device::Data, offset)) if !on_device => Some(PageAsked {
                offset,
                physical: page.physical,
            }),
            _ => None,
        };
        let call = AskFacts {
            at: MOUNT_POINT.to_owned(),
            device: self.device.clone(),
            pages: on_data.into_iter().collect(),
            paths: self.names.all().map(|(path, _)| path_of(path)).collect(),
        };
        let said = self.guest.agent.call(call, OPERATION).await?;
        if let Some(geometry) = said.mount.geometry {
            self.geometry = Some(geometry);
        }
        let mut seen = said.pages.first().cloned();
        let rmapbt = self.geometry.is_none_or(|geometry| geometry.rmapbt);
        match (page.used, &mut seen) {
            (Some((_, offset)), _) if on_device => {
                let records = Answer::Done(vec![self.whole_device().await?]);
                seen = Some(self.page_of_files(offset, page.physical, records, &said).await?);
            }
            // Who owns a block of the realtime device, and who maps it, only the files can tell.
            (Some((Device::Realtime, offset)), _) => {
                let records = self.owners_by_files(Device::Realtime, &said.mount).await?;
                seen = Some(self.page_of_files(offset, page.physical, records, &said).await?);
            }
            (_, Some(seen)) if !rmapbt && matches!(seen.owners, Answer::Done(_)) => {
                seen.owners = self.owners_by_files(Device::Data, &said.mount).await?;
            }
            _ => {}
        }
        let beside = Beside {
            names: &self.names,
            victims: &self.victims,
            mounting: &self.mounting,
            shut_down: matches!(self.filesystem_of(&said.mount).await?, Filesystem::ShutDown(_)),
            geometry: self.geometry,
            stack: self.stack,
            pmem: self.pmem_at(page).await?,
            ordinary: self.ordinary(page, victim, &said).await?,
            corrupt_filter: self.corrupt_filter().await?,
        };
        Ok(of_page(&said, seen.as_ref(), &beside))
    }

    /// What a page of ordinary memory is, and where it is mapped. A private copy may be shared with those who were forked since, at the
    /// same place of the file; of one that is hit by its number, or by a mark, nobody says whose it is.
    async fn ordinary(
        &self,
        page: Page,
        victim: Option<&ByVictim>,
        said: &guest_agent::call::Facts,
    ) -> Result<Ordinary, Trouble> {
        let place = victim.and_then(|by| place_of(&by.name, spot(by.place), said));
        let (Region::OrdinaryMemory, Some(place)) = (page.region, place) else {
            return Ok(Ordinary::default());
        };
        let pfns = vec![page.physical.pfn()];
        let flags = self.guest.agent.call(AskPageFlags { pfns }, QUESTION).await?;
        Ok(Ordinary {
            ram: flags.first().copied().and_then(ram),
            mapped: self.entries_at(mapped_at(place, said), page.physical).await?,
        })
    }

    /// What victims have at these places, for one page.
    async fn entries_at(
        &self,
        places: Vec<(String, Spot)>,
        physical: GuestPhysical,
    ) -> Result<Vec<Covering>, Trouble> {
        let mut mapped = Vec::new();
        for (name, at) in places {
            let call = AskVictim {
                name: name.clone(),
                pages: vec![at],
            };
            let pages = self.guest.agent.call(call, QUESTION).await?.pages;
            mapped.extend(pages.into_iter().map(|page| Covering {
                victim: name.clone(),
                at,
                copied: page.entry.present && page.entry.physical.map(GuestPhysical::page) != Some(physical),
                entry: page.entry,
                size: page.size,
            }));
        }
        Ok(mapped)
    }

    /// The character device as the one owner of all that is on it.
    async fn whole_device(&self) -> Result<SpaceRecord, Trouble> {
        let call = Stat {
            path: self.stack.device().to_owned(),
            follow: true,
        };
        match self.guest.agent.call(call, QUESTION).await? {
            Answer::Done(status) => Ok(SpaceRecord {
                start: FsOffset(0),
                length: self.stack.size(),
                owner: SpaceOwner::Inode {
                    number: status.inode,
                    offset: FileOffset(0),
                },
                attribute_fork: false,
                extent_map: false,
                unwritten: false,
                shared: false,
            }),
            Answer::Refused(refusal) => Err(Trouble::Refused(refusal)),
        }
    }

    async fn corrupt_filter(&self) -> Result<bool, Trouble> {
        let path = CORRUPT_FILTER.to_owned();
        Ok(
            match self.guest.agent.call(ReadKernelFile { path }, QUESTION).await? {
                Answer::Done(text) => text.trim() != "0",
                // The module is not loaded; the injection will say so itself.
                Answer::Refused(_) => false,
            },
        )
    }

    /// Who owns the blocks of a device, by the files of the case; refused where these cannot be reached by their names.
    async fn owners_by_files(
        &self,
        device: Device,
        mount: &MountState,
    ) -> Result<Answer<Vec<SpaceRecord>>, Trouble> {
        match mount.whereabouts {
            Whereabouts::Here | Whereabouts::Nowhere => Ok(Answer::Done(self.files_on(device).await?)),
            Whereabouts::Detached | Whereabouts::Elsewhere(_) | Whereabouts::Covered(_) => {
                Ok(Answer::Refused(Refusal {
                    what: format!("the extents of the case's files, which are not at {MOUNT_POINT}"),
                    errno: nix::libc::ENOENT,
                }))
            }
        }
    }

    /// Where the case's files lie on a device, from their own extents: all that a filesystem without a reverse mapping can say.
    async fn files_on(&self, device: Device) -> Result<Vec<SpaceRecord>, Trouble> {
        let mut records = Vec::new();
        for (path, named) in self.names.all() {
            let (FileKind::File, Some(number)) = (named.kind, named.inode) else {
                continue;
            };
            let path = path_of(path);
            let realtime = match self
                .guest
                .agent
                .call(AskFlags { path: path.clone() }, QUESTION)
                .await?
            {
                Answer::Done(flags) => flags.realtime,
                // One that cannot be asked, as after a shutdown, tells nothing.
                Answer::Refused(_) => continue,
            };
            if realtime != (device == Device::Realtime) {
                continue;
            }
            let call = AskExtents { path, sync: false };
            if let Answer::Done(extents) = self.guest.agent.call(call, QUESTION).await? {
                records.extend(records_of(number, &extents));
            }
        }
        Ok(records)
    }

    /// Who owns a page of the realtime device, or of the character device, and where living victims' mappings cover it.
    async fn page_of_files(
        &self,
        offset: FsOffset,
        physical: GuestPhysical,
        owners: Answer<Vec<SpaceRecord>>,
        said: &guest_agent::call::Facts,
    ) -> Result<PageFacts, Trouble> {
        let records = match owners {
            Answer::Done(records) => records,
            Answer::Refused(refusal) => {
                return Ok(PageFacts {
                    offset,
                    physical,
                    owners: Answer::Refused(refusal.clone()),
                    mapped: Answer::Refused(refusal),
                });
            }
        };
        let mapped = self
            .entries_at(coverings(offset, &records, said), physical)
            .await?;
        Ok(PageFacts {
            offset,
            physical,
            owners: Answer::Done(records),
            mapped: Answer::Done(mapped),
        })
    }

    /// Where the files lie that expectations about badblocks name, if that is not known yet. Asked before an injection:
    /// afterwards a filesystem that shut down answers nothing.
    ///
    /// What cannot be asked now, as of a file on a filesystem that is not mounted, is no failure: only an expectation needs it,
    /// and asks once more.
    pub(super) async fn survey(&mut self) -> Result<(), Trouble> {
        let mut space = None;
        for (file, range) in self.bad_ranges() {
            // One that the case has not made yet is looked for before the next injection.
            if self.names.get(file.as_str()).is_none() {
                continue;
            }
            for at in range {
                let known = self.layout.get(file.as_str());
                if known.is_some_and(|pages| pages.contains_key(&at)) {
                    continue;
                }
                let place = match self.place_in_memory(&mut space, &file, at).await {
                    Ok(place) => place,
                    Err(Trouble::Refused(refusal)) => {
                        let why = format!("{} (errno {})", refusal.what, refusal.errno);
                        self.unplaced.insert(file.as_str().to_owned(), why);
                        break;
                    }
                    Err(Trouble::NoSuchTarget(why)) => {
                        self.unplaced.insert(file.as_str().to_owned(), why);
                        break;
                    }
                    Err(other) => return Err(other),
                };
                self.unplaced.remove(file.as_str());
                let pages = self.layout.entry(file.as_str().to_owned()).or_default();
                pages.insert(at, place);
            }
        }
        Ok(())
    }

    /// Where a byte of a file lies. Who owns what is asked once.
    async fn place_in_memory(
        &mut self,
        space: &mut Option<Space>,
        file: &FilePath,
        at: u64,
    ) -> Result<GuestPhysical, Trouble> {
        if space.is_none() {
            *space = self.space().await?;
        }
        let (device, offset) = self.place_of_byte(space.as_ref(), file, FileOffset(at)).await?;
        Ok(self.stack.place(device, offset)?.physical)
    }

    /// The parts of files that expectations about badblocks name, page by page.
    fn bad_ranges(&self) -> Vec<(FilePath, Vec<u64>)> {
        let states = self.case.steps.iter().filter_map(|step| match &step.action {
            Action::Expect(Expect::State(state)) => state.badblocks.as_ref(),
            _ => None,
        });
        states
            .flatten()
            .filter_map(|range| match range {
                BadRange::File { file, offset, length } => {
                    let pages = page_starts(offset.0, Some(length.0)).take(LONGEST_RANGE);
                    Some((file.clone(), pages.collect()))
                }
                BadRange::Injected { .. } | BadRange::Device { .. } => None,
            })
            .collect()
    }
}

/// Why nobody could consume an error.
fn never_spun(victim: &str, is_bad: bool) -> String {
    let why = if is_bad {
        ": the page is in the badblocks already, so that its fault fails"
    } else {
        ""
    };
    format!(
        "no machine check can be consumed by {victim}: her own load raises a signal before any is injected{why}, and no CPU ever \
         stands in her loop"
    )
}

/// A way of injecting, as kernel people name it.
const fn mechanism(by: Mechanism) -> &'static str {
    match by {
        Mechanism::MachineCheck(Severity::ActionRequired) => "an action-required machine check",
        Mechanism::MachineCheck(Severity::ActionOptional) => "an action-optional machine check",
        Mechanism::Madvise(_) => "madvise(2)",
        Mechanism::Debugfs(_) => "debugfs's hwpoison",
        Mechanism::Sysfs(_) => "a write to sysfs",
        Mechanism::MceInject(_) => "mce-inject",
    }
}
