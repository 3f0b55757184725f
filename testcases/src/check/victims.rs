// SPDX-License-Identifier: MIT OR Apache-2.0
//! The victims of a case: who runs from which step on, and what each has mapped.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::{Walk, names};
use crate::diagnostic::Diagnostic;
use crate::lower::LoweredStep;
use crate::model::{Access, Action, CharacterDevice, FileKind, ForkSpec, Mapped, Mapping, Place, VictimSpec};
use crate::syntax::Node;
use crate::value::{Bytes, FilePath, ThreadName, VictimName};

/// The unit of mappings.
const PAGE: u64 = 4096;
/// The largest page by which a part of a file is mapped.
const HUGE_PAGE: u64 = 2 << 20;
/// More than any case accesses at once.
const MOST_HUGE_PAGES: u64 = 4096;

/// A victim that was started.
#[derive(Debug, Clone)]
pub(super) struct Victim {
    pub(super) spec: VictimSpec,
    pub(super) made: Range<usize>,
    /// How far each mapping goes, and what says so; nothing where that cannot be told.
    pub(super) limits: Vec<Option<(Bytes, Range<usize>)>>,
    /// Where it may have pages: of which mapping, and which huge page's worth of what that maps. All of a huge page is there
    /// once a byte of it is.
    accessed: BTreeSet<(u32, u64)>,
    /// The mappings that it has given up.
    unmapped: BTreeSet<u32>,
    /// Where it ended, and how that is called.
    ended: Option<(Range<usize>, &'static str)>,
}

/// The victims of a case.
#[derive(Debug, Default)]
pub(super) struct Victims {
    so_far: BTreeMap<VictimName, Victim>,
    ever: BTreeMap<VictimName, Range<usize>>,
}

impl Victims {
    /// Knows every victim that the case will start; none runs yet.
    pub(super) fn all(steps: &[&LoweredStep]) -> Self {
        let mut victims = Self::default();
        for step in steps {
            let (name, node) = match &step.action {
                Action::Victim(victim) => (&victim.name, step.node.at("victim").at("name")),
                Action::Fork(fork) => (&fork.child, step.node.at("fork").at("child")),
                _ => continue,
            };
            let span = node.handle.clone();
            victims.ever.entry(name.clone()).or_insert(span);
        }
        victims
    }

    fn make(&mut self, name: &VictimName, victim: Victim, found: &mut Vec<Diagnostic>) {
        if let Some(first) = self.so_far.get(name) {
            found.push(
                Diagnostic::new(format!("there is a victim `{name}` already"))
                    .at(victim.made, "started a second time")
                    .see(first.made.clone(), "first started here")
                    .help("give one of the two another name, even if the first has been released"),
            );
            return;
        }
        self.so_far.insert(name.clone(), victim);
    }

    /// The child of a victim runs from here on, with the mappings of its parent and without its threads.
    pub(super) fn fork(
        &mut self,
        fork: &ForkSpec,
        parent: Range<usize>,
        child: Range<usize>,
        found: &mut Vec<Diagnostic>,
    ) {
        let Some(victim) = self.running(&fork.victim, parent, found).cloned() else {
            return;
        };
        let spec = VictimSpec {
            name: fork.child.clone(),
            threads: BTreeMap::new(),
            ..victim.spec
        };
        let victim = Victim {
            spec,
            made: child,
            ..victim
        };
        self.make(&fork.child, victim, found);
    }

    /// Whether the case starts a victim of this name, be it later.
    pub(super) fn is_one(&self, name: &str) -> bool {
        self.ever.keys().any(|victim| victim.as_str() == name)
    }

    /// A victim that is named here, if it was ever started.
    pub(super) fn known(
        &self,
        name: &VictimName,
        usage: Range<usize>,
        found: &mut Vec<Diagnostic>,
    ) -> Option<&Victim> {
        let victim = self.so_far.get(name);
        if victim.is_none() {
            found.push(self.unknown(name, usage));
        }
        victim
    }

    /// A victim that does something here, if it still runs.
    pub(super) fn running(
        &self,
        name: &VictimName,
        usage: Range<usize>,
        found: &mut Vec<Diagnostic>,
    ) -> Option<&Victim> {
        let victim = self.known(name, usage.clone(), found)?;
        match &victim.ended {
            None => Some(victim),
            Some((span, how)) => {
                found.push(
                    Diagnostic::new(format!("`{name}` has ended, and does nothing any more"))
                        .at(usage, "would have to run")
                        .see(span.clone(), *how)
                        .help("move one of the two steps"),
                );
                None
            }
        }
    }

    /// The victim ends here.
    pub(super) fn release(&mut self, name: &VictimName, span: Range<usize>, found: &mut Vec<Diagnostic>) {
        match self.so_far.get_mut(name) {
            None => found.push(self.unknown(name, span)),
            Some(Victim {
                ended: Some((first, RELEASED)),
                ..
            }) => found.push(
                Diagnostic::new(format!("`{name}` was released before"))
                    .at(span, "released a second time")
                    .see(first.clone(), "first released here")
                    .help("take one of the two away"),
            ),
            Some(victim) => victim.ended = Some((span, RELEASED)),
        }
    }

    /// The victim is dead from here on.
    pub(super) fn dies(&mut self, name: &VictimName, span: Range<usize>) {
        if let Some(victim) = self.so_far.get_mut(name) {
            victim.ended.get_or_insert((span, "expected to be dead here"));
        }
    }

    /// The victim gives up a mapping here.
    pub(super) fn unmap(
        &mut self,
        name: &VictimName,
        map: u32,
        span: Range<usize>,
        found: &mut Vec<Diagnostic>,
    ) {
        if let Some(victim) = self.so_far.get_mut(name)
            && !victim.unmapped.insert(map)
        {
            found.push(
                Diagnostic::new(format!("`{name}` has given up mapping {map} before"))
                    .at(span, "given up a second time")
                    .help("take one of the two away"),
            );
        }
    }

    /// Whether a victim still has a mapping; says so if not.
    pub(super) fn has_mapping(
        &self,
        name: &VictimName,
        map: u32,
        span: Range<usize>,
        found: &mut Vec<Diagnostic>,
    ) {
        let gone = self
            .so_far
            .get(name)
            .is_some_and(|victim| victim.unmapped.contains(&map));
        if gone {
            found.push(
                Diagnostic::new(format!("`{name}` has given up mapping {map}"))
                    .at(span, "nothing is mapped there")
                    .help("move this step before the `unmap`"),
            );
        }
    }

    /// The victim reads or writes `length` bytes from a place on.
    pub(super) fn accesses(&mut self, name: &VictimName, place: Place, length: Bytes) {
        if let Some(victim) = self.so_far.get_mut(name)
            && let Some((first, last)) = victim.huge_pages(place, length)
        {
            // What reaches further than its mapping is refused elsewhere.
            let most = first.saturating_add(MOST_HUGE_PAGES);
            let pages = (first..=last.min(most)).map(|page| (place.map, page));
            victim.accessed.extend(pages);
        }
    }

    /// The victims that run and map something, and where they were started.
    pub(super) fn mapping(&self) -> Vec<(&VictimName, Range<usize>)> {
        let maps = |victim: &Victim| victim.ended.is_none() && victim.unmapped.len() < victim.spec.maps.len();
        self.so_far
            .iter()
            .filter(|(_, victim)| maps(victim))
            .map(|(name, victim)| (name, victim.made.clone()))
            .collect()
    }

    /// Whether there is or will be such a victim.
    pub(super) fn unknown(&self, name: &VictimName, usage: Range<usize>) -> Diagnostic {
        let known = self
            .so_far
            .iter()
            .map(|(name, victim)| (name.as_str(), &victim.made));
        let make = format!("start it first: `- victim: {{ name: {name}, maps: FILE, touches: 0 }}`");
        names::unknown("victim", name.as_str(), usage, known, self.ever.get(name), &make)
    }
}

const RELEASED: &str = "released here";

impl Victim {
    /// Whether it may write to a mapping.
    pub(super) fn may_write(&self, map: u32) -> bool {
        let index = usize::try_from(map).unwrap_or(usize::MAX);
        self.spec
            .maps
            .get(index)
            .is_none_or(|mapping| mapping.access == Access::Write)
    }

    /// The first and the last of the huge pages in which these bytes lie, counted from the start of what is mapped: it is
    /// there that a huge page must be aligned.
    fn huge_pages(&self, place: Place, length: Bytes) -> Option<(u64, u64)> {
        let mapping = self.spec.maps.get(usize::try_from(place.map).ok()?)?;
        let first = mapping.offset.checked_add(place.at)?;
        let last = first.get().checked_add(length.get().saturating_sub(1))?;
        Some((first.get() / HUGE_PAGE, last / HUGE_PAGE))
    }

    /// Whether it may have a page at a place; of one outside its mappings nothing is known.
    pub(super) fn may_have_page(&self, place: Place) -> bool {
        let index = usize::try_from(place.map).unwrap_or(usize::MAX);
        let limit = self.limits.get(index).and_then(Option::as_ref);
        let outside = limit.is_some_and(|(limit, _)| place.at >= *limit);
        let pages = self.huge_pages(place, Bytes(1));
        outside || pages.is_none_or(|(page, _)| self.accessed.contains(&(place.map, page)))
    }

    /// Whether it has accessed anything.
    pub(super) fn has_accessed(&self) -> bool {
        !self.accessed.is_empty()
    }

    /// Whether it has a thread of this name.
    pub(super) fn has_thread(&self, thread: &ThreadName) -> bool {
        self.spec.threads.contains_key(thread)
    }
}

impl Walk<'_> {
    /// A victim starts.
    pub(super) fn victim(&mut self, victim: &VictimSpec, step: &Node) {
        let node = step.at("victim");
        let is_file = |mapping: &Mapping| matches!(mapping.of, Mapped::File(_));
        if victim.maps.iter().any(is_file) {
            self.needs_mount(step.key("victim"));
        }
        let mut limits = Vec::new();
        for (index, mapping) in victim.maps.iter().enumerate() {
            let written = match &node.at("maps").kind {
                crate::syntax::Kind::List(_) => node.at("maps").nth(index),
                _ => node.at("maps"),
            };
            limits.push(match &mapping.of {
                Mapped::File(file) => self.maps_file(file, mapping, written),
                Mapped::Device(CharacterDevice::Dax) => self.maps_device(mapping, written, victim, node),
            });
        }
        let started = Victim {
            spec: victim.clone(),
            made: node.at("name").handle.clone(),
            limits,
            accessed: BTreeSet::new(),
            unmapped: BTreeSet::new(),
            ended: None,
        };
        let before = self.found.len();
        self.victims.make(&victim.name, started, &mut self.found);
        if self.found.len() == before {
            self.first_accesses(victim, node);
        }
    }

    /// A victim maps a file; `written` is what says so. What is returned is how far the mapping goes, and what says that.
    fn maps_file(
        &mut self,
        path: &FilePath,
        mapping: &Mapping,
        written: &Node,
    ) -> Option<(Bytes, Range<usize>)> {
        let file = written.entry("file").map_or(written, |entry| &entry.value);
        let known = self.files.used(path, file, &mut self.found);
        if let Some(known) = known.as_ref().filter(|known| known.kind == FileKind::Directory) {
            self.found.push(
                Diagnostic::new(format!(
                    "`{path}` is {}, and cannot be mapped",
                    known.kind.called()
                ))
                .at(file.handle.clone(), "not a file")
                .help("name a file"),
            );
        }
        if !mapping.offset.is_multiple_of(PAGE) {
            self.found.push(
                Diagnostic::new(format!("a mapping cannot begin at {}", mapping.offset))
                    .at(written.at("offset").handle.clone(), "not a multiple of 4KiB")
                    .help("choose a multiple of 4KiB; what is touched is counted from there"),
            );
        }
        let size = known.and_then(|known| Some((known.size?, known.size_span)));
        if let Some(length) = mapping.length {
            self.not_empty(length, written.at("length"));
        } else if mapping.offset.get() > 0 {
            self.inside(path, file, mapping.offset, None, written.at("offset"));
        }
        match (mapping.length, size) {
            (Some(length), _) => Some((length, written.at("length").handle.clone())),
            (None, Some((size, span))) => {
                let rest = size.get().saturating_sub(mapping.offset.get());
                Some((Bytes(rest), span))
            }
            (None, None) => None,
        }
    }

    /// What a victim reads and writes when it starts.
    fn first_accesses(&mut self, victim: &VictimSpec, node: &Node) {
        for (key, places) in [("touches", &victim.touches), ("stores", &victim.stores)] {
            for (index, place) in places.iter().enumerate() {
                let written = match &node.at(key).kind {
                    crate::syntax::Kind::List(_) => node.at(key).nth(index),
                    _ => node.at(key),
                };
                let at = (written.at("at"), written.at("map"));
                self.in_mapping(&victim.name, node.at("name"), *place, at, None);
                self.victims.accesses(&victim.name, *place, Bytes(1));
                let mapping = victim.maps.get(usize::try_from(place.map).unwrap_or(usize::MAX));
                if key == "stores" && mapping.is_some_and(|mapping| mapping.access == Access::Read) {
                    self.found.push(
                        Diagnostic::new(format!("`{}` may not write to this mapping", victim.name))
                            .at(written.handle.clone(), "stored to")
                            .help("add `access: write`"),
                    );
                }
                if key == "stores" {
                    self.stores_to_file(&victim.name, *place, written.handle.clone());
                }
            }
        }
        if victim.page.is_some() && victim.touches.is_empty() && victim.stores.is_empty() {
            self.found.push(
                Diagnostic::new("nothing is touched, so nothing shows by which pages it is mapped")
                    .at(node.at("page").handle.clone(), "cannot be proved")
                    .help("add `touches: 0`"),
            );
        }
    }
}
