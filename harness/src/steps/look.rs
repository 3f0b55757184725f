// SPDX-License-Identifier: MIT OR Apache-2.0
//! Looking: what expectations are held against, and what is left at the end.

use super::aim::device;
use super::victims::spot;
use super::{PULSE, QUESTION, Scene, Trouble};
use crate::nvdimm::{self, path_of};
use crate::places::page_starts;
use guest_agent::MOUNT_POINT;
use guest_agent::address::{FsOffset, GuestPhysical};
use guest_agent::call::{
    AskAccounts, AskExtents, AskPageFlags, AskVictim, LogRecord, MountState, Outcome as Answer, PageFlags,
    ReadLog, ReadTrace, ReadWatch, StartWatch, Stat, Whereabouts,
};
use machine::guest::agent::CallError;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use testcases::{BadRange, FilePath, FileState, KernelVersion, Place, StateExpectation, VictimName, Watcher};
use verdict::observe::evidence::{
    Away, End, EntryView, Evidence, FileView, Filesystem, Layout, Observation, StepEvidence, VictimView,
};
use verdict::observe::{patterns, probes, watched};

/// Lines of the console that stand in for the kernel's log when the guest is dead.
const LAST_LINES: usize = 400;
/// The first kernel whose XFS reports media errors and shutdowns to watchers (fs/xfs/xfs_healthmon.c, fs/fserror.c).
const REPORTS_SINCE: (u32, u32) = (7, 0);
/// How long a watcher may lag behind the handler that reports to it.
const WATCHING: Duration = Duration::from_secs(10);

impl Scene<'_> {
    /// Hears what every victim has to say. Of those that do not answer in time, the first one's error is told, once the others
    /// have been heard.
    pub(super) async fn ask_victims(&mut self, patience: Duration) -> Result<(), CallError> {
        let mut heard = Ok(());
        for (name, victim) in &mut self.victims {
            if !victim.released {
                let call = AskVictim {
                    name: name.clone(),
                    pages: Vec::new(),
                };
                match self.guest.agent.call(call, patience).await {
                    Ok(state) => victim.hear(state),
                    Err(error @ CallError::Deadline { .. }) => heard = heard.and(Err(error)),
                    Err(error) => return Err(error),
                }
            }
        }
        heard
    }

    async fn ask<C: guest_agent::call::Call>(&self, call: C) -> Result<C::Answer, CallError> {
        self.guest.agent.call(call, QUESTION).await
    }

    /// What there is to see of all that the expectation speaks about.
    pub(super) async fn observe(&mut self, wanted: &StateExpectation) -> Result<Observation, Trouble> {
        self.ask_victims(QUESTION).await?;
        let trace = self
            .ask(ReadTrace {
                since: self.trace_since,
            })
            .await?;
        let injected = self.injected();
        if wanted.badblocks.is_some() {
            self.survey().await?;
        }
        for range in wanted.badblocks.iter().flatten() {
            if let BadRange::File { file, .. } = range
                && let Some(why) = self.unplaced.get(file.as_str())
            {
                return Err(Trouble::NoSuchTarget(format!(
                    "the place of {file}, whose bad blocks are expected, cannot be asked: {why}"
                )));
            }
        }
        Ok(Observation {
            victims: self.views(),
            notify_failure: probes::notify_calls(&trace),
            sent: probes::signals_in_lines(&trace, self.trace_since),
            injectors: self
                .latest
                .iter()
                .filter_map(|hit| hit.injector.clone())
                .collect(),
            filesystem: self.filesystem().await?,
            badblocks: match wanted.badblocks {
                Some(_) => nvdimm::badblocks(&self.guest.agent, self.stack).await?,
                // Asked only where the case speaks of it: a device that was taken away has no list.
                None => Vec::new(),
            },
            layout: self.layout.clone(),
            devices: self.devices(wanted)?,
            entries: self.entries(wanted).await?,
            log: match wanted.log {
                Some(_) => Some(lines(
                    &self
                        .ask(ReadLog {
                            since: self.log_since,
                        })
                        .await?,
                )),
                None => None,
            },
            trace: (!wanted.trace.is_empty()).then_some(trace),
            hardware_corrupted: match wanted.hardware_corrupted {
                Some(_) => Some(self.corrupted_since().await?),
                None => None,
            },
            page_flags: match wanted.page_flags {
                Some(_) => Some(self.page_flags(&injected).await?),
                None => None,
            },
            files: self.files(&wanted.files).await?,
            watched: self.watched(wanted).await?,
            injected,
        })
    }

    /// Where the parts of devices lie that the expectation names.
    fn devices(&self, wanted: &StateExpectation) -> Result<Layout, Trouble> {
        let mut layout = Layout::new();
        for range in wanted.badblocks.iter().flatten() {
            let BadRange::Device { of, offset, length } = range else {
                continue;
            };
            for at in page_starts(offset.0, Some(length.0)) {
                let place = self.stack.place(device(*of), FsOffset(at))?;
                let pages = layout.entry(of.as_str().to_owned()).or_default();
                pages.insert(at, place.physical);
            }
        }
        Ok(layout)
    }

    /// The pages that the latest injection hit, each once.
    fn injected(&self) -> Vec<GuestPhysical> {
        let mut pages: Vec<GuestPhysical> = Vec::new();
        for hit in &self.latest {
            if !pages.contains(&hit.physical) {
                pages.push(hit.physical);
            }
        }
        pages
    }

    async fn entries(&self, wanted: &StateExpectation) -> Result<Vec<EntryView>, CallError> {
        let mut places: BTreeMap<&VictimName, Vec<Place>> = BTreeMap::new();
        for (name, more) in wanted.present.iter().chain(&wanted.absent) {
            places.entry(name).or_default().extend(more);
        }
        let mut entries = Vec::new();
        for (name, places) in places {
            let call = AskVictim {
                name: name.as_str().to_owned(),
                pages: places.iter().copied().map(spot).collect(),
            };
            let pages = self.ask(call).await?.pages;
            entries.extend(places.iter().map(|place| {
                EntryView {
                    victim: name.as_str().to_owned(),
                    map: place.map,
                    at: place.at.0,
                    entry: pages
                        .iter()
                        .find(|page| page.at == spot(*place))
                        .map(|page| page.entry),
                }
            }));
        }
        Ok(entries)
    }

    /// By how much the kernel's account of corrupted memory has changed since before the latest injection.
    pub(super) async fn corrupted_since(&self) -> Result<i64, CallError> {
        let now = self.ask(AskAccounts {}).await?.hardware_corrupted;
        Ok(now
            .cast_signed()
            .wrapping_sub(self.corrupted_before.cast_signed()))
    }

    async fn page_flags(&self, pages: &[GuestPhysical]) -> Result<Vec<PageFlags>, CallError> {
        let pfns = pages.iter().map(|page| page.pfn()).collect();
        self.ask(AskPageFlags { pfns }).await
    }

    async fn files(
        &mut self,
        wanted: &BTreeMap<FilePath, FileState>,
    ) -> Result<BTreeMap<String, FileView>, CallError> {
        let mut views = BTreeMap::new();
        for (file, state) in wanted {
            self.names.touch(file.as_str());
            let view = self.file(file, state).await?;
            views.insert(file.as_str().to_owned(), view);
        }
        Ok(views)
    }

    async fn file(&self, file: &FilePath, wanted: &FileState) -> Result<FileView, CallError> {
        let path = path_of(file.as_str());
        let call = Stat {
            path: path.clone(),
            follow: false,
        };
        let status = match self.ask(call).await? {
            Answer::Done(status) => status,
            Answer::Refused(refusal) => return Ok(FileView::Refused(refusal)),
        };
        let mut extents = None;
        if wanted.shared.is_some() || wanted.extents.is_some() || wanted.unwritten.is_some() {
            match self.ask(AskExtents { path, sync: true }).await? {
                Answer::Done(found) => extents = Some(found),
                Answer::Refused(refusal) => return Ok(FileView::Refused(refusal)),
            }
        }
        Ok(FileView::There { status, extents })
    }

    /// What watchers were told, after what the case expects of them has come or the patience for it is over: kernels tell them
    /// from a worker.
    async fn watched(&self, wanted: &StateExpectation) -> Result<BTreeMap<String, Vec<String>>, CallError> {
        let mut heard = BTreeMap::new();
        let injected = self.injected();
        let views = self.views();
        for (watcher, expected) in &wanted.watched {
            let until = Instant::now() + WATCHING;
            // The first question is for what there is, the others for one more than that.
            let mut at_least = 0;
            let lines = loop {
                let left = until.saturating_duration_since(Instant::now());
                let call = ReadWatch {
                    watcher: *watcher,
                    at_least,
                    deadline_ms: u64::try_from(left.as_millis()).unwrap_or_default(),
                };
                let events = self.guest.agent.call(call, QUESTION).await?;
                let came = events.len() >= at_least;
                let lines: Vec<String> = events.iter().map(watched::line).collect();
                at_least = lines.len() + 1;
                let all_there = expected
                    .has
                    .iter()
                    .all(|glob| patterns::shows(glob, &lines, &views, &injected));
                if all_there || left.is_zero() || !came {
                    break lines;
                }
            };
            heard.insert(watcher.as_str().to_owned(), lines);
        }
        Ok(heard)
    }

    /// Starts a watcher; a kernel that cannot be watched so makes the case untestable.
    pub(super) async fn watch(&self, watcher: Watcher) -> Result<(), Trouble> {
        let at = match watcher {
            Watcher::Health | Watcher::Fanotify => {
                self.xfs_reports()?;
                MOUNT_POINT.to_owned()
            }
            Watcher::Badblocks => match self.stack.pmems() {
                [pmem, ..] if self.stack.mapped_by().is_none() => {
                    format!("/sys/block/{}/badblocks", pmem.device)
                }
                _ => {
                    return Err(Trouble::Untestable(
                        "a character device has no list of bad blocks".to_owned(),
                    ));
                }
            },
        };
        let call = StartWatch { watcher, at };
        match self.ask(call).await? {
            Answer::Done(()) => Ok(()),
            Answer::Refused(refusal) => Err(Trouble::Untestable(format!(
                "this kernel cannot be watched by {}: {} (errno {})",
                watcher.as_str(),
                refusal.what,
                refusal.errno
            ))),
        }
    }

    /// Fails where XFS tells nobody of memory errors.
    fn xfs_reports(&self) -> Result<(), Trouble> {
        let release = &self.guest.welcome.release;
        let reports = release
            .parse()
            .is_ok_and(|version: KernelVersion| (version.major, version.minor) >= REPORTS_SINCE);
        if reports {
            Ok(())
        } else {
            // Older ones take the mark of fanotify, and stay silent.
            Err(Trouble::Untestable(format!(
                "XFS tells nobody of memory errors before {}.{}, and this is {release}",
                REPORTS_SINCE.0, REPORTS_SINCE.1
            )))
        }
    }

    pub(super) async fn filesystem(&self) -> Result<Filesystem, Trouble> {
        let mount = self.mount_state().await?;
        Ok(self.filesystem_of(&mount).await?)
    }

    /// The filesystem under test, from what the kernel says of its superblock and its mounts.
    pub(super) async fn filesystem_of(&self, mount: &MountState) -> Result<Filesystem, CallError> {
        let away = match &mount.whereabouts {
            Whereabouts::Nowhere => return Ok(Filesystem::Unmounted),
            Whereabouts::Here => None,
            Whereabouts::Detached => Some(Away::Detached),
            Whereabouts::Elsewhere(places) => Some(Away::Elsewhere(places.clone())),
            Whereabouts::Covered(by) => Some(Away::Covered {
                kind: by.kind.clone(),
                device: by.device.clone(),
            }),
        };
        if mount.shut_down != Some(false) {
            let since = self.mounting.since;
            let reason = probes::first_shutdown(&self.ask(ReadTrace { since }).await?);
            // Of one that nothing leads into the trace alone can tell.
            if mount.shut_down == Some(true) || reason.is_some() {
                return Ok(Filesystem::ShutDown(reason));
            }
        }
        Ok(away.map_or(Filesystem::Up, Filesystem::Away))
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
        let mut log_before = None;
        let answers = !matches!(end, End::GuestDied(_) | End::Lost(_) | End::StoodStill(_));
        if answers {
            // A victim that cannot be asked now has been asked before; the log decides whether the kernel is well.
            // Whom the kernel holds already is not waited for once more.
            let held = matches!(self.steps.last(), Some(StepEvidence::Stuck(_)));
            let patience = if held { PULSE } else { QUESTION };
            if let Err(error) = self.ask_victims(patience).await {
                end = self.unheard(end, &error).await;
            }
        }
        let agent = &self.guest.agent;
        let patience = if answers { QUESTION } else { PULSE };
        match agent.call(ReadLog { since: 0 }, patience).await {
            Ok(records) => {
                let own = records.partition_point(|record| record.sequence < self.case_log_since);
                log_before = Some(lines(records.get(..own).unwrap_or_default()).len());
                log = lines(&records);
                let lost = lost_records(&records, self.case_log_since);
                if lost > 0 && matches!(end, End::Completed | End::Stopped) {
                    end = End::Lost(format!(
                        "the kernel's log is incomplete: {lost} messages of this case were overwritten before they could be \
                         read, and what they said is not known; let the case print less, or look into its console.log"
                    ));
                }
            }
            Err(error) if answers => end = self.lost(&error).await,
            Err(_) => {}
        }
        match agent.call(ReadTrace { since: 0 }, patience).await {
            Ok(lines) => trace = lines,
            Err(error) if answers => end = self.lost(&error).await,
            Err(_) => {}
        }
        if log.is_empty() {
            log = self.guest.console_tail(LAST_LINES);
            log_before = None;
        }
        let victims = self.views();
        Evidence {
            steps: self.steps,
            victims,
            log,
            log_before,
            said: self.said,
            trace,
            blind: self.blind,
            unfinished: self.unfinished,
            end,
        }
    }
}

/// How many records from number `since` on are lacking before the last of these: the kernel counts them without a gap
/// (`kernel/printk/printk_ringbuffer.c`), and overwrites the oldest when its buffer is full.
fn lost_records(records: &[LogRecord], since: u64) -> u64 {
    let own = records.iter().filter(|record| record.sequence >= since);
    let (lost, _next) = own.fold((0, since), |(lost, next), record| {
        (lost + (record.sequence - next), record.sequence + 1)
    });
    lost
}

fn lines(records: &[LogRecord]) -> Vec<String> {
    records
        .iter()
        .flat_map(|record| record.text.lines())
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_in_the_numbers_is_a_loss_from_the_cases_first_message_on() {
        let of = |numbers: &[u64]| -> Vec<LogRecord> {
            let record = |sequence: &u64| LogRecord {
                sequence: *sequence,
                level: 4,
                micros: 0,
                text: String::new(),
            };
            numbers.iter().map(record).collect()
        };
        assert_eq!(lost_records(&of(&[7, 8, 9, 10]), 9), 0);
        assert_eq!(lost_records(&of(&[]), 9), 0);
        // What was lost before the case began is not the case's.
        assert_eq!(lost_records(&of(&[3, 8, 9]), 9), 0);
        // Overwritten before it was read, and overtaken while it was read.
        assert_eq!(lost_records(&of(&[20_009, 20_010]), 9), 20_000);
        assert_eq!(lost_records(&of(&[9, 10, 15]), 9), 4);
    }
}
