// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether what an injection hits can be there.

use super::{Walk, names};
use crate::diagnostic::Diagnostic;
use crate::model::{FileKind, FileMetadata, Injection, MarkSpec, Target};
use crate::syntax::Node;
use crate::value::{Bytes, FilePath};

impl Walk<'_> {
    pub(super) fn inject(&mut self, injection: &Injection, step: &Node) {
        self.target(&injection.at, step, "inject");
        self.has_badblocks(injection, step);
        // A victim's own madvise(2) brings the page in, and who consumes an error reads it.
        if let Target::Victim { at, length } = &injection.at
            && injection.by.needs_victim()
        {
            let length = length.unwrap_or(Bytes(1));
            self.victims.accesses(&at.victim, at.place, length);
        }
        self.injected = Some((injection.by, step.key("inject")));
    }

    pub(super) fn mark(&mut self, mark: &MarkSpec, step: &Node) {
        self.target(&mark.at, step, "mark");
        let span = step.at("mark").at("name").handle.clone();
        if let Some(first) = self.marks.insert(mark.name.clone(), span.clone()) {
            self.found.push(
                Diagnostic::new(format!("there is a mark `{}` already", mark.name))
                    .at(span, "made a second time")
                    .see(first, "first made here")
                    .help("give one of the two another name"),
            );
        }
    }

    fn target(&mut self, target: &Target, step: &Node, verb: &str) {
        let at = step.at(verb).at("at");
        let asks_filesystem = !matches!(
            target,
            Target::Device { .. } | Target::Pfn(_) | Target::Victim { .. } | Target::Mark(_)
        );
        if asks_filesystem {
            self.needs_mount(step.key(verb));
        }
        match target {
            Target::File {
                file, offset, length, ..
            } => {
                let length = length.map(|length| (length, at.at("length")));
                self.inside(file, at.at("file"), *offset, length, at.at("offset"));
            }
            Target::Victim { at: whose, length } => {
                let span = at.at("victim").handle.clone();
                if self
                    .victims
                    .running(&whose.victim, span, &mut self.found)
                    .is_some()
                {
                    let places = (at.at("offset"), at.at("map"));
                    let length = length.map(|length| (length, at.at("length")));
                    self.in_mapping(&whose.victim, at.at("victim"), whose.place, places, length);
                    let span = at.at("map").handle.clone();
                    self.victims
                        .has_mapping(&whose.victim, whose.place.map, span, &mut self.found);
                }
            }
            Target::FileMetadata { kind, file } => {
                let needed = match kind {
                    FileMetadata::Directory => Some(FileKind::Directory),
                    FileMetadata::Symlink => Some(FileKind::Symlink),
                    FileMetadata::ExtentMap => Some(FileKind::File),
                    FileMetadata::Attributes => None,
                };
                self.has_metadata(file, needed, at);
            }
            Target::Unwritten { file } => self.has_metadata(file, Some(FileKind::File), at),
            Target::Device { length, .. } => {
                if let Some(length) = length {
                    self.not_empty(*length, at.at("length"));
                }
            }
            Target::GroupMetadata { .. }
            | Target::Log
            | Target::FreeSpace { .. }
            | Target::CowStaging { .. }
            | Target::LastBlockOfGroup { .. }
            | Target::LastBlockOfDevice
            | Target::Quota
            | Target::Pfn(_) => {}
            Target::Mark(name) if self.marks.contains_key(name) => {}
            Target::Mark(name) => {
                let known = self.marks.iter().map(|(name, span)| (name.as_str(), span));
                let make =
                    format!("mark it first: `- mark: {{ name: {name}, at: {{ file: FILE, offset: 0 }} }}`");
                let usage = at.at("mark").handle.clone();
                self.found
                    .push(names::unknown("mark", name.as_str(), usage, known, None, &make));
            }
        }
    }

    fn has_metadata(&mut self, file: &FilePath, needed: Option<FileKind>, at: &Node) {
        let Some(known) = self.files.used(file, at.at("file"), &mut self.found) else {
            return;
        };
        if let Some(needed) = needed.filter(|needed| *needed != known.kind) {
            self.found.push(
                Diagnostic::new(format!("`{file}` is {}", known.kind.called()))
                    .at(at.at("file").handle.clone(), format!("needs {}", needed.called()))
                    .help("name another, or another kind of target"),
            );
        }
    }
}
