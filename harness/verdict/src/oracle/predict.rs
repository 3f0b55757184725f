// SPDX-License-Identifier: MIT OR Apache-2.0
//! From facts to a prediction, table by table.

mod alone;

use super::afterwards::afterwards;
use super::facts::{Facts, FilePlace, Filesystem, Injection, InodeKind, MappedPage, MountState, OwnerFacts};
use super::prediction::{
    BadblocksAfter, Decided, EventResult, FilesystemAfter, Handled, InjectorEnd, Justification, NotifyCalls,
    ONE_PAGE, Part, Prediction, Told,
};
use super::reasons::{self, Reason};
use super::rule::{Rule, first};
use super::rules::{ANSWER, ENTRANCE, OWNER};
use super::situation::{Answer, Asked, Entrance, Loss, StructPages, Urgency, Way};
use super::victims::{Address, Hit, Reach, fates};
use guest_agent::address::{DeviceOffset, PAGE_SIZE};
use guest_agent::call::{BadRange, SECTOR, SpaceOwner};
use nix::errno::Errno;
use std::collections::BTreeSet;
use testcases::{KernelVersion, ShutdownReason};
use testcases::{MceInject, Mechanism, SysfsFile};

/// What must come of `injection` in a guest of which `facts` hold, under this kernel.
pub fn predict(facts: &Facts, injection: &Injection, kernel: &KernelVersion) -> Prediction {
    Oracle {
        facts,
        injection,
        kernel,
        justifications: Vec::new(),
    }
    .speak()
}

/// How `memory_failure()` ends, and what else came of it.
struct Outcome {
    /// The result of `memory_failure()`; `None` when it was not called.
    result: Part<Option<Result<(), Errno>>>,
    notify: Part<NotifyCalls>,
    shuts_down: Part<bool>,
    /// Through which places processes are reached.
    reach: Reach,
    /// What decided about the filesystem, where that is known already.
    answered: Option<Justification>,
    /// What decided about the end, where that is known already.
    ended: Option<Justification>,
    /// What decided about who is told, where that is another.
    told: Option<Justification>,
}

impl Outcome {
    /// Nobody is told, nothing shuts down.
    fn quiet(result: Option<Result<(), Errno>>, notify: NotifyCalls) -> Self {
        Self {
            result: Part::Known(result),
            notify: Part::Known(notify),
            shuts_down: Part::Known(false),
            reach: Reach::nobody(),
            answered: None,
            ended: None,
            told: None,
        }
    }

    /// `hwpoison_user_mappings()`, then `me_pagecache_clean()`: what a store has copied is dirty, so those who have it are told;
    /// then nobody but `memory_failure()` has it any more, which counts as recovered.
    fn of_copy(urgency: Urgency) -> Self {
        Self {
            reach: Reach::Copy(urgency),
            ..Self::quiet(Some(Ok(())), NotifyCalls::Never)
        }
    }

    /// What was decided by no other rule was decided by this one.
    fn decided_by(mut self, justification: &Justification) -> Self {
        self.answered.get_or_insert_with(|| justification.clone());
        self.ended.get_or_insert_with(|| justification.clone());
        self
    }
}

struct Oracle<'a> {
    facts: &'a Facts,
    injection: &'a Injection,
    kernel: &'a KernelVersion,
    justifications: Vec<Justification>,
}

impl<'a> Oracle<'a> {
    fn speak(mut self) -> Prediction {
        let way = self.way();
        let Some(rule) = self.rule("the error", ENTRANCE, &way) else {
            return self.nothing_known("no rule says whether the error reaches memory_failure()");
        };
        let says = rule.says;
        let outcome = match rule.then {
            Entrance::Panic => return Prediction::Panic(Justification::of("the error", rule)),
            Entrance::Unknown => return self.nothing_known(says),
            Entrance::Ends(_) | Entrance::OnlyBadblocks => Outcome::quiet(None, NotifyCalls::Never),
            Entrance::OrdinaryMemory => Outcome {
                result: Part::Unknown(says.to_owned()),
                reach: Reach::Unknown("ordinary memory is handled by other parts of mm".to_owned()),
                ..Outcome::quiet(None, NotifyCalls::Never)
            },
            Entrance::PrivateCopy(urgency) => Outcome::of_copy(urgency),
            Entrance::MemoryFailure => self.memory_failure(),
        };
        let injector = match rule.then {
            Entrance::Ends(result) if way.by.has_injector() => Part::Known(InjectorEnd::Returns(result)),
            Entrance::OnlyBadblocks => Part::Known(InjectorEnd::Returns(Ok(()))),
            _ => self.injector(&outcome),
        };
        let recorded = match rule.then {
            Entrance::OnlyBadblocks if way.by == Mechanism::Sysfs(SysfsFile::Badblocks) => reasons::WRITTEN,
            _ if way.is_of_nfit() => reasons::RECORDED,
            _ => reasons::NOT_RECORDED,
        };
        self.conclude(outcome, injector, recorded, &Justification::of("the error", rule))
    }

    /// The first rule of a table that applies, remembered as a justification.
    fn rule<S, T>(
        &mut self,
        subject: &str,
        table: &'static [Rule<S, T>],
        situation: &S,
    ) -> Option<&'static Rule<S, T>> {
        let rule = first(table, situation, self.kernel);
        self.justifications
            .extend(rule.map(|rule| Justification::of(subject, rule)));
        rule
    }

    fn way(&self) -> Way {
        Way {
            by: self.injection.by,
            region: self.injection.page.region,
            filesystem: self.facts.filesystem,
            entry: self.injecting_page().map(|page| page.entry),
            unwritten: self.is_unwritten_there(),
            bad: self.page().and_then(|page| self.facts.is_bad(page)),
            ram: self.facts.ram,
            struct_pages: if self.facts.gone {
                StructPages::Gone
            } else {
                StructPages::There
            },
            recovery: self.facts.settings.recovery,
            filter: self.facts.settings.corrupt_filter,
        }
    }

    /// The page of the injecting thread's own mapping at which it injects.
    fn injecting_page(&self) -> Option<&'a MappedPage> {
        self.facts.injecting_page(self.injection.current.as_ref()?)
    }

    /// Whether the file has nothing written where the injecting thread injects.
    fn is_unwritten_there(&self) -> bool {
        let Some(page) = self.injecting_page() else {
            return false;
        };
        let owners = self.facts.owners.iter().flatten();
        let mut there = owners.filter(|owner| self.place(owner) == Some(page.file));
        there.any(|owner| owner.record.unwritten)
    }

    /// `memory_failure_dev_pagemap()`: the filesystem first, then mm alone.
    fn memory_failure(&mut self) -> Outcome {
        let asked = Asked {
            region: self.injection.page.region,
            filesystem: self.facts.filesystem,
            owners_known: self.facts.owners.is_some(),
        };
        let Some(rule) = self.rule("the filesystem", ANSWER, &asked) else {
            return Self::unknown("no rule says what the filesystem answers");
        };
        let outcome = match rule.then {
            Answer::Refused(errno) => Outcome::quiet(Some(Err(errno)), NotifyCalls::Never),
            Answer::Refuses(errno) => Outcome::quiet(Some(Err(errno)), NotifyCalls::Once(Err(errno))),
            Answer::ShutsDown => Outcome {
                shuts_down: Part::Known(true),
                ..Outcome::quiet(Some(Err(Errno::EUCLEAN)), NotifyCalls::Once(Err(Errno::EUCLEAN)))
            },
            Answer::Nobody => self.fallback(NotifyCalls::Never),
            Answer::Unsupported => self.fallback(NotifyCalls::Once(Err(Errno::EOPNOTSUPP))),
            Answer::Search => self.search(),
            Answer::Unknown => Self::unknown(rule.says),
        };
        outcome.decided_by(&Justification::of("the filesystem", rule))
    }

    fn unknown(why: &str) -> Outcome {
        Outcome {
            result: Part::Unknown(why.to_owned()),
            notify: Part::Unknown(why.to_owned()),
            shuts_down: Part::Unknown(why.to_owned()),
            reach: Reach::Unknown(why.to_owned()),
            answered: None,
            ended: None,
            told: None,
        }
    }

    /// Each owner of the page with what is lost through it, and the rule that says so.
    fn losses(&mut self) -> Vec<(&'a OwnerFacts, Loss, Justification)> {
        let owners = self.facts.owners.as_deref().unwrap_or_default();
        let mut losses = Vec::new();
        for owner in owners {
            let name = owner_name(owner);
            let rule = self.rule(&name, OWNER, &self.as_mapped(owner));
            losses.extend(rule.map(|rule| (owner, rule.then, Justification::of(name, rule))));
        }
        losses
    }

    /// The owner, known for a file if a victim maps it: nothing else can be mapped.
    fn as_mapped(&self, owner: &OwnerFacts) -> OwnerFacts {
        let mut known = owner.clone();
        let pages = self.facts.victims.iter().flat_map(|victim| &victim.pages);
        let inodes: BTreeSet<u64> = pages.map(|page| page.file.inode).collect();
        if let (SpaceOwner::Inode { number, .. }, Some(inode)) = (owner.record.owner, &mut known.inode)
            && inodes.contains(&number)
        {
            inode.kind = inode.kind.or(Some(InodeKind::Regular));
        }
        known
    }

    fn place(&self, owner: &OwnerFacts) -> Option<FilePlace> {
        owner.place(self.injection.page.region.fs_offset()?)
    }

    fn page(&self) -> Option<DeviceOffset> {
        self.injection.page.device
    }

    /// `xfs_dax_notify_dev_failure()`: every owner on its own; metadata do not end the search.
    fn search(&mut self) -> Outcome {
        let losses = self.losses();
        let metadata = losses.iter().any(|(_, loss, _)| *loss == Loss::Metadata);
        let doubt = losses.iter().find(|(_, loss, _)| *loss == Loss::Unknown);
        // Who maps a page of an inode of unknown kind shows that it is a file.
        let places: Vec<FilePlace> = losses
            .iter()
            .filter(|(_, loss, _)| matches!(loss, Loss::Data | Loss::Unknown))
            .filter_map(|(owner, ..)| self.place(owner))
            .collect();
        let (result, shuts_down) = match (metadata, doubt) {
            (true, _) => (Part::Known(Err(Errno::EUCLEAN)), Part::Known(true)),
            (false, None) => (Part::Known(Ok(())), Part::Known(false)),
            (false, Some((_, _, why))) => (
                Part::Unknown(why.says.to_owned()),
                Part::Unknown(why.says.to_owned()),
            ),
        };
        // What is lost with the gravest of them decides.
        let justification_of = |loss: &Loss| {
            let of_these = losses.iter().find(|(_, of, _)| of == loss);
            of_these.map(|(_, _, justification)| justification.clone())
        };
        let gravest = [Loss::Metadata, Loss::Unknown, Loss::Data, Loss::Nothing]
            .iter()
            .find_map(justification_of);
        Outcome {
            notify: map(&result, NotifyCalls::Once),
            result: map(&result, Some),
            shuts_down,
            reach: Reach::Places {
                places,
                told: Address::Page,
            },
            answered: gravest.clone(),
            ended: gravest,
            told: justification_of(&Loss::Data),
        }
    }

    /// What the injector's call returns for a result of `memory_failure()`.
    fn injector(&self, outcome: &Outcome) -> Part<InjectorEnd> {
        if !self.injection.by.has_injector() {
            return Part::Known(InjectorEnd::NoCall);
        }
        match &outcome.result {
            // madvise_inject_error, hwpoison_inject, hard_offline_page_store: EOPNOTSUPP stays inside the kernel.
            Part::Known(None | Some(Err(Errno::EOPNOTSUPP))) => Part::Known(InjectorEnd::Returns(Ok(()))),
            Part::Known(Some(result)) => Part::Known(InjectorEnd::Returns(*result)),
            Part::Unknown(why) => Part::Unknown(why.clone()),
        }
    }

    fn conclude(
        mut self,
        outcome: Outcome,
        injector: Part<InjectorEnd>,
        recorded: Reason,
        entrance: &Justification,
    ) -> Prediction {
        let ended = outcome.ended.unwrap_or_else(|| entrance.clone());
        let hit = Hit {
            facts: self.facts,
            injection: self.injection,
            reach: &outcome.reach,
            result: &outcome.result,
            told: outcome.told.as_ref().unwrap_or(&ended),
            kernel: self.kernel,
        };
        let (victims, justifications) = fates(&hit);
        self.justifications.extend(justifications);
        let injector = match self
            .injection
            .current
            .as_ref()
            .and_then(|thread| victims.get(&thread.victim))
        {
            Some(Part::Known(fate))
                if fate.told == Told::Dies && injector != Part::Known(InjectorEnd::NoCall) =>
            {
                Part::Unknown("the injecting victim dies before it can tell".to_owned())
            }
            _ => injector,
        };
        let filesystem = self.filesystem(&outcome.shuts_down);
        let badblocks = self.badblocks(recorded);
        Prediction::Handled(Box::new(Handled {
            victims,
            injector,
            afterwards: afterwards(self.facts, self.page(), &filesystem, &badblocks, self.kernel),
            filesystem,
            badblocks,
            corrupted: map(
                &outcome.result,
                |result| if reported(result) { ONE_PAGE } else { 0 },
            ),
            event: map(&outcome.result, event),
            notify: outcome.notify,
            justifications: self.justifications,
            decided: Decided {
                filesystem: Some(outcome.answered.unwrap_or_else(|| entrance.clone())),
                end: Some(ended),
                badblocks: Some(recorded.of("the badblocks")),
            },
        }))
    }

    fn filesystem(&self, shuts_down: &Part<bool>) -> Part<FilesystemAfter> {
        match (self.facts.filesystem, shuts_down) {
            (Filesystem::Unmounted, _) => Part::Known(FilesystemAfter::Unmounted),
            (Filesystem::Mounted(mounted), _) if mounted.state == MountState::ShutDown => {
                Part::Known(FilesystemAfter::ShutDown(None))
            }
            (Filesystem::Mounted(_), Part::Known(true)) => {
                Part::Known(FilesystemAfter::ShutDown(Some(ShutdownReason::CorruptOndisk)))
            }
            (Filesystem::Mounted(_), Part::Known(false)) => Part::Known(FilesystemAfter::Up),
            (Filesystem::Mounted(_), Part::Unknown(why)) => Part::Unknown(why.clone()),
        }
    }

    fn badblocks(&self, recorded: Reason) -> Part<BadblocksAfter> {
        let Some(before) = &self.facts.badblocks else {
            return Part::Unknown("the badblocks of before are not known".to_owned());
        };
        // As much as the machine check says, in whole sectors (drivers/acpi/nfit/mce.c, drivers/nvdimm/badrange.c).
        let length = match self.injection.by {
            Mechanism::MceInject(MceInject::CacheLine) => SECTOR,
            Mechanism::MceInject(
                MceInject::Software | MceInject::Corrected | MceInject::UnusableAddress | MceInject::Bus,
            )
            | Mechanism::MachineCheck(_)
            | Mechanism::Madvise(_)
            | Mechanism::Debugfs(_)
            | Mechanism::Sysfs(_) => PAGE_SIZE,
        };
        let added = self
            .page()
            .filter(|_| recorded != reasons::NOT_RECORDED)
            .map(|start| BadRange { start, length });
        Part::Known(BadblocksAfter {
            before: before.clone(),
            added,
        })
    }

    fn nothing_known(self, why: &str) -> Prediction {
        let why = || why.to_owned();
        let victims = self.facts.victims.iter().filter(|victim| victim.alive);
        Prediction::Handled(Box::new(Handled {
            victims: victims
                .map(|victim| (victim.name.clone(), Part::Unknown(why())))
                .collect(),
            injector: Part::Unknown(why()),
            notify: Part::Unknown(why()),
            filesystem: Part::Unknown(why()),
            badblocks: Part::Unknown(why()),
            corrupted: Part::Unknown(why()),
            event: Part::Unknown(why()),
            afterwards: Part::Unknown(why()),
            justifications: self.justifications,
            decided: Decided::default(),
        }))
    }
}

/// `mm/memory-failure.c:action_result` reports every result but EOPNOTSUPP.
fn reported(result: Option<Result<(), Errno>>) -> bool {
    !matches!(result, None | Some(Err(Errno::EOPNOTSUPP)))
}

fn event(result: Option<Result<(), Errno>>) -> Option<EventResult> {
    let result = result.filter(|&result| reported(Some(result)))?;
    Some(match result {
        Ok(()) => EventResult::Recovered,
        Err(_) => EventResult::Failed,
    })
}

fn map<T: Copy, U>(part: &Part<T>, with: impl Fn(T) -> U) -> Part<U> {
    match part {
        Part::Known(value) => Part::Known(with(*value)),
        Part::Unknown(why) => Part::Unknown(why.clone()),
    }
}

/// Who owns a block that belongs to no inode, as the constants of `xfs_fs.h` (`XFS_FMR_OWN_*`) have it.
const fn special_owner(owner: SpaceOwner) -> &'static str {
    match owner {
        SpaceOwner::Free => "a free block",
        SpaceOwner::Unknown => "a block of an unknown owner",
        SpaceOwner::AgHeader => "an allocation group's header",
        SpaceOwner::Log => "the log",
        SpaceOwner::AgBtree => "an allocation group's btree",
        SpaceOwner::InodeBtree => "the inode btree",
        SpaceOwner::InodeChunk => "a chunk of inodes",
        SpaceOwner::RefcountBtree => "the reference-count btree",
        SpaceOwner::CowStaging => "a block staged for copy on write",
        SpaceOwner::Inode { .. } => "an inode",
        SpaceOwner::Other(_) => "a block of another special owner",
    }
}

fn owner_name(owner: &OwnerFacts) -> String {
    match (&owner.inode, owner.record.owner) {
        (Some(inode), SpaceOwner::Inode { number, .. }) => match &inode.name {
            Some(name) => name.clone(),
            None => format!("inode {number}"),
        },
        (_, SpaceOwner::Inode { number, .. }) => format!("inode {number}"),
        (_, special) => special_owner(special).to_owned(),
    }
}
