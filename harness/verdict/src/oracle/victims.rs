// SPDX-License-Identifier: MIT OR Apache-2.0
//! Who is collected, what each is told, and whose page-table entries are gone afterwards.

use super::facts::{
    Disposition, Entry, Facts, FilePlace, Injection, MappedPage, ThreadFacts, ThreadOf, VictimFacts,
};
use super::prediction::{
    EntryAfter, ExpectedSignal, Fate, Justification, Part, SignalCode, SignalPlace, Told,
};
use super::reasons;
use super::rule::{Kernels, first};
use super::rules::{CHOSEN, DELIVERY};
use super::situation::{Delivery, Sent, Urgency, Wish};
use guest_agent::victim::KillPolicy;
use nix::errno::Errno;
use std::collections::BTreeMap;
use testcases::{BusCode, KernelVersion, Mechanism, PageSize, Severity};

/// Since when a read fault on a shared block takes the entries of others for the same file away: the DAX entry is
/// replaced, because shared pages are counted (`fs/dax.c:dax_insert_entry`).
const READ_FAULT_UNMAPS: Kernels = Kernels::Since(6, 2);

/// Through which bytes of which files processes are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reach {
    /// These, each on its own.
    Places {
        /// The bytes.
        places: Vec<FilePlace>,
        /// What `si_addr` says of the page.
        told: Address,
    },
    /// The private copy that is hit, wherever it is mapped.
    Copy(Urgency),
    /// Some of those who have the page in their page table; which ones cannot be told.
    Some(String),
    /// It cannot be told for anybody.
    Unknown(String),
}

/// What `si_addr` says of the page that went bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Address {
    /// Where it is.
    Page,
    /// Where it is, but only as exactly as `si_addr_lsb` says.
    AsLsbSays,
    /// Where the page of this size begins that it is a part of: struct pages of that order are found by their head.
    StartOf(PageSize),
}

impl Reach {
    /// Nobody is reached.
    pub(super) const fn nobody() -> Self {
        Self::Places {
            places: Vec::new(),
            told: Address::Page,
        }
    }
}

/// What decides about the victims.
pub(super) struct Hit<'a> {
    pub(super) facts: &'a Facts,
    pub(super) injection: &'a Injection,
    pub(super) reach: &'a Reach,
    /// The result of `memory_failure()`.
    pub(super) result: &'a Part<Option<Result<(), Errno>>>,
    /// The rule by which those are told who are reached.
    pub(super) told: &'a Justification,
    pub(super) kernel: &'a KernelVersion,
}

/// The fate of every victim that lives, and the rules that it follows from.
pub(super) fn fates(hit: &Hit) -> (BTreeMap<String, Part<Fate>>, Vec<Justification>) {
    let mut justifications = Vec::new();
    let collections: Vec<Collection> = hit
        .facts
        .victims
        .iter()
        .filter(|victim| victim.alive)
        .map(|victim| hit.collect(victim, &mut justifications))
        .collect();
    let fates = collections
        .iter()
        .map(|collection| {
            let fate = hit.fate(collection, &collections, &mut justifications);
            (collection.victim.name.clone(), fate)
        })
        .collect();
    (fates, justifications)
}

/// What one victim adds to the lists of those to be told (`struct to_kill`).
struct Collection<'a> {
    victim: &'a VictimFacts,
    /// The thread that is told, and whether the signal is forced.
    chosen: Option<(&'a ThreadFacts, bool)>,
    /// The rule by which its last thread does not want to be told, where none does.
    unwilling: Option<Justification>,
    /// Its pages on the lists.
    pages: Part<Vec<&'a MappedPage>>,
}

impl<'a> Hit<'a> {
    fn collect(&self, victim: &'a VictimFacts, justifications: &mut Vec<Justification>) -> Collection<'a> {
        let chosen = self.choose(victim, justifications);
        let unwilling = chosen.is_none().then(|| justifications.last().cloned()).flatten();
        let pages = match self.reach {
            Reach::Unknown(why) => Part::Unknown(why.clone()),
            Reach::Some(why) if victim.pages.iter().any(|page| self.is_listed(victim, page)) => {
                Part::Unknown(why.clone())
            }
            Reach::Some(_) => Part::Known(Vec::new()),
            Reach::Copy(_) => {
                let pages = victim.pages.iter();
                Part::Known(pages.filter(|page| self.is_listed(victim, page)).collect())
            }
            Reach::Places { places, .. } => Part::Known(
                places
                    .iter()
                    .flat_map(|place| victim.pages.iter().filter(move |page| page.file == *place))
                    .filter(|page| self.is_listed(victim, page))
                    .collect(),
            ),
        };
        Collection {
            victim,
            chosen,
            unwilling,
            pages,
        }
    }

    /// `task_early_kill()`: the current thread if it is one of this process, else the first that wants to be told.
    fn choose(
        &self,
        victim: &'a VictimFacts,
        justifications: &mut Vec<Justification>,
    ) -> Option<(&'a ThreadFacts, bool)> {
        let by_force = *self.reach != Reach::Copy(Urgency::Optional);
        if let Some(current) = self.current_in(victim).filter(|_| by_force) {
            let thread = victim.threads.iter().find(|thread| thread.name == current.thread);
            return thread.map(|thread| (thread, true));
        }
        victim.threads.iter().find_map(|thread| {
            let wish = Wish {
                policy: thread.policy,
                early_kill: self.facts.settings.early_kill,
            };
            let rule = first(CHOSEN, &wish, self.kernel)?;
            justifications.push(Justification::of(name_of(victim, thread), rule));
            rule.then.then_some((thread, false))
        })
    }

    fn current_in(&self, victim: &VictimFacts) -> Option<&'a ThreadOf> {
        self.injection
            .current
            .as_ref()
            .filter(|thread| thread.victim == victim.name)
    }

    /// Who of this victim consumes the error.
    fn consumer_in(&self, victim: &VictimFacts) -> Option<&'a ThreadOf> {
        self.current_in(victim)
            .filter(|_| self.injection.by == Mechanism::MachineCheck(Severity::ActionRequired))
    }

    /// Whether a page is on the list. What madvise faults in has an entry by then.
    fn is_listed(&self, victim: &VictimFacts, page: &MappedPage) -> bool {
        match page.entry {
            Entry::Here(_) => !self.is_taken(page),
            Entry::Absent => self.faulted_in().is_some_and(|faulted| {
                self.current_in(victim).is_some() && (faulted.map, faulted.at) == (page.map, page.at)
            }),
            Entry::Poisoned | Entry::Elsewhere => false,
        }
    }

    /// The page that madvise faults in, because the injecting victim has nothing where it injects.
    fn faulted_in(&self) -> Option<&'a MappedPage> {
        let page = self.facts.injecting_page(self.injection.current.as_ref()?)?;
        (page.entry == Entry::Absent).then_some(page)
    }

    /// Whether an entry is lost to the injector's own fault, before any list is made: one of the injector's own as well, in
    /// another of its mappings.
    fn is_taken(&self, page: &MappedPage) -> bool {
        let shared = self.facts.owners.as_ref().is_some_and(|owners| owners.len() > 1);
        shared
            && READ_FAULT_UNMAPS.contain(self.kernel)
            && matches!(page.entry, Entry::Here(_))
            && self.faulted_in().is_some_and(|faulted| faulted.file == page.file)
    }

    fn fate(
        &self,
        of: &Collection,
        all: &[Collection],
        justifications: &mut Vec<Justification>,
    ) -> Part<Fate> {
        let victim = of.victim;
        let pages = match &of.pages {
            Part::Known(pages) => pages,
            Part::Unknown(why) => return Part::Unknown(why.clone()),
        };
        if victim.threads.is_empty() {
            return Part::Unknown("its threads are not known".to_owned());
        }
        let signals = match (of.chosen, self.kernel_signal(victim)) {
            (Some((thread, forced)), _) if !pages.is_empty() => self.signals(thread, forced, pages),
            (_, Part::Unknown(why)) => return Part::Unknown(why),
            (_, Part::Known(Some(signal))) => vec![signal],
            (_, Part::Known(None)) => Vec::new(),
        };
        let (told, rule) = match of.chosen {
            Some((thread, forced)) if !signals.is_empty() => {
                let Some((delivery, rule)) = self.deliver(victim, thread, forced, justifications) else {
                    return Part::Unknown("no rule says what the signal does".to_owned());
                };
                let told = told(delivery, signals);
                let rule = match told {
                    Told::Signals { .. } if pages.is_empty() => reasons::CONSUMED.of(&victim.name),
                    Told::Signals { .. } => self.told.clone(),
                    Told::Nothing | Told::Dies | Told::Pending => rule,
                };
                (told, rule)
            }
            _ => (Told::Nothing, self.passed_over(of, !pages.is_empty())),
        };
        let entries = if told == Told::Dies {
            Vec::new()
        } else {
            self.entries(victim, all)
        };
        Part::Known(Fate {
            because: self.because(of, !pages.is_empty()),
            rule,
            pending_before: victim.threads.iter().any(|thread| thread.has_sigbus_pending),
            told,
            entries,
        })
    }

    /// Why a victim is told nothing.
    fn passed_over(&self, of: &Collection, listed: bool) -> Justification {
        let name = of.victim.name.as_str();
        let reaches = match self.reach {
            Reach::Places { places, .. } => !places.is_empty(),
            Reach::Copy(_) | Reach::Some(_) | Reach::Unknown(_) => true,
        };
        let here = |page: &&MappedPage| matches!(page.entry, Entry::Here(_));
        let pages = &of.victim.pages;
        if listed {
            // Who is on the list and not told did not want to hear of it.
            return of.unwilling.clone().unwrap_or_else(|| self.told.clone());
        }
        if !reaches {
            self.told.clone()
        } else if self.is_of_copy() {
            reasons::NOT_THE_COPY.of(name)
        } else if pages.is_empty() {
            reasons::NOT_MAPPED.of(name)
        } else if pages.iter().any(|page| self.is_taken(page)) {
            reasons::TAKEN_AWAY.of(name)
        } else if pages.iter().any(|page| here(&page)) {
            self.told.clone()
        } else {
            reasons::NOT_PRESENT.of(name)
        }
    }

    fn signals(&self, thread: &ThreadFacts, forced: bool, pages: &[&MappedPage]) -> Vec<ExpectedSignal> {
        let told = match self.reach {
            Reach::Places { told, .. } => *told,
            Reach::Copy(_) => Address::Page,
            Reach::Some(_) | Reach::Unknown(_) => Address::AsLsbSays,
        };
        let signal = |page: &&MappedPage| ExpectedSignal {
            code: SignalCode::Bus(if forced {
                BusCode::MceerrAr
            } else {
                BusCode::MceerrAo
            }),
            thread: thread.name.clone(),
            place: Some(place(told, page)),
        };
        pages.iter().map(signal).collect()
    }

    /// `kill_me_maybe()`: a thread that consumed the error and could not be told of it by `memory_failure()`.
    fn kernel_signal(&self, victim: &VictimFacts) -> Part<Option<ExpectedSignal>> {
        let Some(consumer) = self.consumer_in(victim) else {
            return Part::Known(None);
        };
        match self.result {
            Part::Known(Some(Err(errno))) if !matches!(errno, Errno::EHWPOISON | Errno::EOPNOTSUPP) => {
                Part::Known(Some(ExpectedSignal {
                    code: SignalCode::Kernel,
                    thread: consumer.thread.clone(),
                    place: None,
                }))
            }
            Part::Known(_) => Part::Known(None),
            Part::Unknown(why) => Part::Unknown(why.clone()),
        }
    }

    fn deliver(
        &self,
        victim: &VictimFacts,
        thread: &ThreadFacts,
        forced: bool,
        justifications: &mut Vec<Justification>,
    ) -> Option<(Delivery, Justification)> {
        let sent = Sent {
            forced,
            disposition: victim.sigbus,
            blocked: thread.blocks_sigbus,
            pending: thread.has_sigbus_pending,
        };
        let rule = first(DELIVERY, &sent, self.kernel)?;
        let justification = Justification::of(name_of(victim, thread), rule);
        justifications.push(justification.clone());
        Some((rule.then, justification))
    }

    /// Whether a private copy is hit.
    const fn is_of_copy(&self) -> bool {
        matches!(self.reach, Reach::Copy(_))
    }

    /// `unmap_and_kill()`: as soon as anybody is on a file's list, all entries for that page of that file go; those of
    /// private copies stay (`even_cows` is 0). A private copy that is hit itself goes everywhere, and nothing is faulted in
    /// in its place.
    fn entries(&self, victim: &VictimFacts, all: &[Collection]) -> Vec<EntryAfter> {
        let consumes = self.consumer_in(victim).is_some();
        let after = |page: &MappedPage| EntryAfter {
            map: page.map,
            at: page.at,
            gone: if self.is_of_copy() {
                Part::Known(true)
            } else if consumes {
                Part::Unknown("it may touch the page again at once".to_owned())
            } else if self.is_taken(page) {
                Part::Known(true)
            } else {
                collected(page.file, all)
            },
            rule: if self.is_of_copy() {
                reasons::COPY_UNMAPPED.of(&victim.name)
            } else {
                reasons::UNMAPPED.of(&victim.name)
            },
        };
        let present = victim
            .pages
            .iter()
            .filter(|page| matches!(page.entry, Entry::Here(_)));
        present.map(after).collect()
    }

    /// What decided about a victim: "had the page present at 0x7f00 (4 KiB, early)".
    fn because(&self, of: &Collection, collected: bool) -> String {
        let victim = of.victim;
        let wish = match of.chosen {
            Some((_, true)) => "it ran into the error itself".to_owned(),
            Some((thread, false)) => format!("{}{}", policy(thread.policy), sigbus(victim, thread)),
            None => match victim.threads.first() {
                Some(thread) => policy(thread.policy).to_owned(),
                None => "of unknown policy".to_owned(),
            },
        };
        let entry = |page: &MappedPage| {
            let at = page.address;
            let how = match page.entry {
                Entry::Here(_) if self.is_of_copy() => format!("the copy present at {at:#x} ({wish})"),
                Entry::Here(Some(PageSize::Base)) => format!("the page present at {at:#x} (4 KiB, {wish})"),
                Entry::Here(Some(PageSize::Huge)) => format!("the page present at {at:#x} (2 MiB, {wish})"),
                Entry::Here(None) => format!("the page present at {at:#x} ({wish})"),
                Entry::Absent if collected => format!("no page-table entry at {at:#x} before ({wish})"),
                Entry::Absent => format!("no page-table entry at {at:#x} ({wish})"),
                Entry::Poisoned => format!("no page at {at:#x} since an earlier error ({wish})"),
                Entry::Elsewhere if page.private => {
                    format!("a private copy of its own at {at:#x} ({wish})")
                }
                Entry::Elsewhere => format!("another page at {at:#x} ({wish})"),
            };
            let taken = if self.is_taken(page) {
                " until the injector's fault took its entry away"
            } else {
                ""
            };
            format!("{how}{taken}")
        };
        let pages: Vec<String> = victim.pages.iter().map(entry).collect();
        if pages.is_empty() {
            return format!("did not map the page ({wish})");
        }
        format!("had {}", pages.join(", and "))
    }
}

/// Where a signal points that tells of this page.
fn place(told: Address, page: &MappedPage) -> SignalPlace {
    let size = page.entry.size();
    let exact = SignalPlace {
        map: page.map,
        at: page.at,
        address: page.address,
        lsb: size.map(PageSize::shift),
        exact: true,
    };
    match told {
        Address::Page => exact,
        Address::AsLsbSays => SignalPlace {
            exact: size == Some(PageSize::Base),
            ..exact
        },
        // Mappings of it begin at multiples of that size, in memory as in the device.
        Address::StartOf(unit) => {
            let into = page.address % unit.bytes();
            SignalPlace {
                at: page.at.saturating_sub(into),
                address: page.address - into,
                lsb: Some(unit.shift()),
                ..exact
            }
        }
    }
}

/// Whether anybody is on the list of this file.
fn collected(place: FilePlace, all: &[Collection]) -> Part<bool> {
    let mut doubt = None;
    for collection in all {
        match &collection.pages {
            Part::Known(pages)
                if collection.chosen.is_some() && pages.iter().any(|page| page.file == place) =>
            {
                return Part::Known(true);
            }
            Part::Known(_) => {}
            Part::Unknown(why) => doubt = Some(why.clone()),
        }
    }
    doubt.map_or(Part::Known(false), Part::Unknown)
}

fn told(delivery: Delivery, any_of: Vec<ExpectedSignal>) -> Told {
    match delivery {
        Delivery::Nothing => Told::Nothing,
        Delivery::Pends => Told::Pending,
        Delivery::Dies => Told::Dies,
        Delivery::Once => Told::Signals { any_of, most: 1 },
        Delivery::AtLeastOnce => Told::Signals {
            most: any_of.len(),
            any_of,
        },
    }
}

fn name_of(victim: &VictimFacts, thread: &ThreadFacts) -> String {
    if victim.threads.len() == 1 {
        victim.name.clone()
    } else {
        format!("{}'s thread {}", victim.name, thread.name)
    }
}

const fn policy(policy: KillPolicy) -> &'static str {
    match policy {
        KillPolicy::Early => "early",
        KillPolicy::Late => "late",
        KillPolicy::Default => "default policy",
    }
}

fn sigbus(victim: &VictimFacts, thread: &ThreadFacts) -> &'static str {
    match (victim.sigbus, thread.blocks_sigbus) {
        (_, true) => ", SIGBUS blocked",
        (Disposition::Handler, false) => "",
        (Disposition::Default, false) => ", no handler",
        (Disposition::Ignored, false) => ", SIGBUS ignored",
    }
}
