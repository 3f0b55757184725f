// SPDX-License-Identifier: MIT OR Apache-2.0
//! Page tables, the injector's answer, the filesystem, accounts and files.

use super::Checks;
use crate::judge::oracle::About;
use crate::judge::{values, words};
use crate::observe::evidence::{Evidence, StepEvidence};
use crate::observe::evidence::{FileView, Filesystem, Observation, Tried};
use crate::observe::probes::ShutdownFlags;
use crate::oracle::parts;
use guest_agent::call::{Extent, PageFlags};
use testcases::{
    Action, CallResult, Case, Errno, Expect, FileState, FilesystemState, FindingKind, FindingSignature,
    FindingValue, FindingWord, NotifyFailure, PageFlag, PageFlagsExpectation, Place, Sharing, ShutdownReason,
    StateExpectation, VictimName,
};

/// Flags of pages that the case asks about and this kernel shows of no such page: whatever is expected would prove nothing.
pub(in crate::judge) fn invisible_flags(case: &Case, evidence: &Evidence) -> Option<String> {
    let states = case.steps.iter().zip(&evidence.steps);
    states
        .filter_map(|(step, seen)| match (&step.action, seen) {
            (Action::Expect(Expect::State(expected)), StepEvidence::State(seen))
                if expected.page_flags.is_some() =>
            {
                Some(seen)
            }
            _ => None,
        })
        .find(|seen| {
            let flags = seen.page_flags.as_deref().unwrap_or_default();
            flags.contains(&PageFlags::BeyondReach)
        })
        .map(|_| "this kernel's /proc/kpageflags ends before the page that was hit".to_owned())
}

impl Checks<'_> {
    /// Entries of page tables.
    pub(super) fn mappings(&mut self, step: usize, expected: &StateExpectation, seen: &Observation) {
        let both = [(&expected.present, true), (&expected.absent, false)];
        for (places, wanted) in both {
            for (name, places) in places {
                for place in places {
                    self.entry(step, name, *place, wanted, seen);
                }
            }
        }
    }

    fn entry(&mut self, step: usize, name: &VictimName, place: Place, wanted: bool, seen: &Observation) {
        let entry = seen
            .entries
            .iter()
            .find(|entry| entry.victim == name.as_str() && entry.map == place.map && entry.at == place.at.0)
            .and_then(|found| found.entry);
        let is = |present: bool| {
            if present {
                "a present entry"
            } else {
                "no present entry"
            }
        };
        let signature = |seen: FindingWord| {
            FindingSignature::new(FindingKind::Entry, [seen])
                .of(name.as_str())
                .at(place)
        };
        match entry {
            Some(entry) if entry.present == wanted => return,
            Some(entry) => self.note(
                step,
                signature(if entry.present {
                    FindingWord::Present
                } else {
                    FindingWord::Absent
                }),
                format!("{name} has {} at {place}", is(entry.present)),
                is(wanted),
                is(entry.present),
            ),
            None => self.note(
                step,
                signature(FindingWord::Unknown),
                format!("{name}'s page table has nothing to say of {place}"),
                is(wanted),
                "no process, or no mapping there",
            ),
        }
        self.knew(step, About::Entry(name.as_str(), place));
    }

    pub(super) fn injector(&mut self, step: usize, expected: &StateExpectation, seen: &Observation) {
        let Some(wanted) = expected.injector else {
            return;
        };
        let agrees = |tried: &Tried| match (wanted, tried) {
            (CallResult::Succeeds, Tried::Succeeded(_)) => true,
            (CallResult::Error(errno), Tried::Refused(refusal)) => {
                Errno::from_number(refusal.errno) == Some(errno)
            }
            _ => false,
        };
        let other = seen.injectors.iter().find(|tried| !agrees(tried));
        if seen.injectors.is_empty() || other.is_some() {
            let got = other.map_or("no call".to_owned(), words::describe_attempt);
            let values = match other {
                None => vec![FindingWord::None.into()],
                Some(Tried::Succeeded(_)) => vec![FindingWord::Ok.into()],
                Some(other) => values::tried(other, &seen.victims),
            };
            self.note(
                step,
                FindingSignature::new(FindingKind::Injector, values),
                "the injecting call got another answer",
                wanted.to_string(),
                got,
            );
            self.knew(step, About::Part(parts::INJECTOR));
        }
    }

    pub(super) fn filesystem(&mut self, step: usize, expected: &StateExpectation, seen: &Observation) {
        if let Some(notify) = expected.notify_failure
            && self.evidence.blind.notify_failure.is_none()
        {
            self.notify_failure(step, notify, seen);
        }
        if let Some(state) = expected.filesystem
            && !same_filesystem(state, &seen.filesystem)
        {
            let values = [values::filesystem(&seen.filesystem)];
            self.note(
                step,
                FindingSignature::new(FindingKind::Filesystem, values),
                "the filesystem is in another state",
                state.to_string(),
                words::describe_filesystem(&seen.filesystem),
            );
            self.knew(step, About::Part(parts::FILESYSTEM));
        }
    }

    fn notify_failure(&mut self, step: usize, expected: NotifyFailure, seen: &Observation) {
        let returns: Vec<Option<i32>> = seen.notify_failure.iter().map(|call| call.returned).collect();
        let (agrees, wanted) = match expected {
            NotifyFailure::Never => (returns.is_empty(), NO_CALL.to_owned()),
            NotifyFailure::Called { returned, calls } => {
                let value = returned.errno().map_or(0, |errno| -errno.number());
                let right = returns.iter().all(|&got| got == Some(value));
                let (many, wanted) = match calls {
                    Some(calls) => (returns.len() == calls as usize, calls_of(calls as usize)),
                    None => (
                        !returns.is_empty(),
                        "at least 1 call of xfs_dax_notify_failure".to_owned(),
                    ),
                };
                let returning = words::errno(value);
                (right && many, format!("{wanted}, each returning {returning}"))
            }
        };
        if !agrees {
            let ended = |value: &Option<i32>| match value {
                Some(value) => format!("returned {}", words::errno(*value)),
                None => "did not return".to_owned(),
            };
            let ends: Vec<String> = returns.iter().map(ended).collect();
            let got = match ends.as_slice() {
                [] => NO_CALL.to_owned(),
                ends => format!("{}: {}", calls_of(ends.len()), ends.join(", ")),
            };
            let values = returns.iter().map(|&value| values::returned(value));
            self.note(
                step,
                FindingSignature::new(FindingKind::NotifyFailure, values),
                "xfs_dax_notify_failure answered otherwise",
                wanted,
                got,
            );
            self.knew(step, About::Part(parts::NOTIFY_FAILURE));
        }
    }

    /// What the kernel has counted, and the flags of pages.
    pub(super) fn accounts(&mut self, step: usize, expected: &StateExpectation, seen: &Observation) {
        if let Some(wanted) = expected.hardware_corrupted {
            let grown = seen.hardware_corrupted;
            if grown.and_then(|grown| u64::try_from(grown).ok()) != Some(wanted.0) {
                let value = grown.map_or(FindingWord::Unseen.into(), FindingValue::Number);
                self.note(
                    step,
                    FindingSignature::new(FindingKind::HardwareCorrupted, [value]),
                    "HardwareCorrupted has changed by another amount",
                    format!("{wanted} more"),
                    grown.map_or("nobody has looked".to_owned(), |grown| {
                        format!("{grown} bytes more")
                    }),
                );
                self.knew(step, About::Part(parts::HARDWARE_CORRUPTED));
            }
        }
        if let Some(wanted) = &expected.page_flags {
            self.page_flags(step, wanted, seen.page_flags.as_deref());
        }
    }

    fn page_flags(&mut self, step: usize, wanted: &PageFlagsExpectation, seen: Option<&[PageFlags]>) {
        let signature = |flag: &PageFlag, seen: FindingWord| {
            FindingSignature::new(FindingKind::PageFlag, [seen]).of(flag.to_string())
        };
        let Some(pages @ [_, ..]) = seen else {
            // One of them stands for all.
            if let Some(flag) = wanted.has.first().or_else(|| wanted.lacks.first()) {
                let what = "no page's flags were looked at";
                let signature = signature(flag, FindingWord::Unseen);
                self.note(step, signature, what, "a page that was hit", "none");
            }
            return;
        };
        for page in pages {
            // What cannot be seen makes the case untestable, and does not come here.
            let PageFlags::Known(flags) = page else {
                continue;
            };
            let set = |flag: &PageFlag| flags & (1 << flag.bit()) != 0;
            if let Some(flag) = wanted.has.iter().find(|flag| !set(flag)) {
                let what = format!("the page that was hit lacks the flag {flag}");
                let seen = format!("flags {flags:#x}");
                self.note(step, signature(flag, FindingWord::Clear), what, "set", seen);
            }
            if let Some(flag) = wanted.lacks.iter().find(|flag| set(flag)) {
                let what = format!("the page that was hit has the flag {flag}");
                let seen = format!("flags {flags:#x}");
                self.note(step, signature(flag, FindingWord::Set), what, "not set", seen);
            }
        }
    }

    pub(super) fn files(&mut self, step: usize, expected: &StateExpectation, seen: &Observation) {
        for (file, wanted) in &expected.files {
            match seen.files.get(file.as_str()) {
                Some(FileView::There { status, extents }) => {
                    if let Some(size) = wanted.size
                        && status.size != size.0
                    {
                        let what = format!("{file} has another size");
                        self.note(
                            step,
                            of_file(
                                file.as_str(),
                                FindingKind::FileSize,
                                FindingValue::size(status.size),
                            ),
                            what,
                            size.to_string(),
                            testcases::Bytes(status.size).to_string(),
                        );
                    }
                    if let Some(dax) = wanted.dax
                        && status.dax != dax
                    {
                        let is = |dax| if dax { "DAX" } else { "not DAX" };
                        self.note(
                            step,
                            of_file(file.as_str(), FindingKind::FileDax, status.dax.into()),
                            format!("{file} is {}", is(status.dax)),
                            is(dax),
                            is(status.dax),
                        );
                    }
                    self.extents(step, file.as_str(), wanted, extents.as_deref());
                }
                Some(FileView::Refused(refusal)) => {
                    let what = format!("the kernel says nothing of {file}");
                    let value = FindingValue::returned(refusal.errno);
                    let signature = of_file(file.as_str(), FindingKind::File, value);
                    self.note(step, signature, what, "an answer", words::refusal(refusal));
                }
                None => self.note(
                    step,
                    of_file(file.as_str(), FindingKind::File, FindingWord::Unseen.into()),
                    format!("{file} was not looked at"),
                    "an answer",
                    "nothing",
                ),
            }
        }
    }

    fn extents(&mut self, step: usize, file: &str, wanted: &FileState, extents: Option<&[Extent]>) {
        let asked = wanted.shared.is_some() || wanted.extents.is_some() || wanted.unwritten.is_some();
        let extents = match extents {
            _ if !asked => return,
            Some(extents) => extents,
            None => {
                let what = format!("nobody has looked at the extents of {file}");
                let signature = of_file(file, FindingKind::File, FindingWord::Unseen.into());
                self.note(step, signature, what, "its extents", "nothing");
                return;
            }
        };
        if let Some(sharing) = wanted.shared {
            let shared = extents.iter().filter(|extent| extent.shared).count();
            let seen = match shared {
                0 => Sharing::None,
                all if all == extents.len() => Sharing::All,
                _ => Sharing::Some,
            };
            if seen != sharing {
                let word = match seen {
                    Sharing::All => FindingWord::All,
                    Sharing::Some => FindingWord::Some,
                    Sharing::None => FindingWord::None,
                };
                self.note(
                    step,
                    of_file(file, FindingKind::FileShared, word.into()),
                    format!("{file} shares its blocks otherwise"),
                    format!("{} of its extents shared", sharing.as_str()),
                    format!("{shared} of {} extents shared", extents.len()),
                );
            }
        }
        if let Some(count) = wanted.extents
            && !count.contains(extents.len())
        {
            let what = format!("{file} has another number of extents");
            let seen = extents.len();
            let signature = of_file(file, FindingKind::FileExtents, FindingValue::count(seen));
            self.note(step, signature, what, count.to_string(), seen.to_string());
        }
        if let Some(unwritten) = wanted.unwritten {
            let seen = extents.iter().any(|extent| extent.unwritten);
            if seen != unwritten {
                let has = |any| {
                    if any {
                        "an unwritten extent"
                    } else {
                        "no unwritten extent"
                    }
                };
                self.note(
                    step,
                    of_file(file, FindingKind::FileUnwritten, seen.into()),
                    format!("{file} has {}", has(seen)),
                    has(unwritten),
                    has(seen),
                );
            }
        }
    }
}

/// What [`calls_of`] says of none.
const NO_CALL: &str = "no call of xfs_dax_notify_failure";

/// "1 call of xfs_dax_notify_failure", "2 calls of xfs_dax_notify_failure".
fn calls_of(count: usize) -> String {
    let calls = if count == 1 { "call" } else { "calls" };
    format!("{count} {calls} of xfs_dax_notify_failure")
}

/// That a file is seen so.
fn of_file(file: &str, kind: FindingKind, seen: FindingValue) -> FindingSignature {
    FindingSignature::new(kind, [seen]).of(file)
}

fn same_filesystem(expected: FilesystemState, seen: &Filesystem) -> bool {
    match (expected, seen) {
        (FilesystemState::Up, Filesystem::Up) | (FilesystemState::Unmounted, Filesystem::Unmounted) => true,
        (FilesystemState::Shutdown(reason), Filesystem::ShutDown(Some(flags))) => {
            flags.0 & shutdown_flag(reason) != 0
        }
        _ => false,
    }
}

/// The reason of a shutdown; nothing for flags of which none is known.
pub(in crate::judge) fn shutdown_reason(flags: ShutdownFlags) -> Option<ShutdownReason> {
    ShutdownReason::ALL
        .into_iter()
        .find(|reason| flags.0 & shutdown_flag(*reason) != 0)
}

/// `SHUTDOWN_*`, `fs/xfs/xfs_mount.h`.
const fn shutdown_flag(reason: ShutdownReason) -> u32 {
    match reason {
        ShutdownReason::MetadataIo => 1,
        ShutdownReason::LogIo => 2,
        ShutdownReason::Forced => 4,
        ShutdownReason::CorruptIncore => 8,
        ShutdownReason::CorruptOndisk => 16,
        ShutdownReason::DeviceRemoved => 32,
    }
}
