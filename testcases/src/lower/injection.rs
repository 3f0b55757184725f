// SPDX-License-Identifier: MIT OR Apache-2.0
//! Memory errors: one way, one target, and the two must fit.

use std::num::NonZeroU32;

use super::keys::{just_one, misfits, needed, present};
use crate::diagnostic::Diagnostic;
use crate::document::{InjectDocument, LastBlockWord, MarkDocument, MetadataWord, SpaceWord, TargetDocument};
use crate::model::{
    FileMetadata, GroupMetadata, Injection, MarkSpec, Mechanism, Place, Severity, SysfsFile, Target,
    VictimPlace,
};
use crate::syntax::Node;

const WAYS: [&str; 5] = ["machine-check", "madvise", "debugfs", "sysfs", "mce-inject"];
const TARGETS: [&str; 7] = [
    "victim",
    "metadata",
    "space",
    "last-block",
    "device",
    "pfn",
    "mark",
];
const EVERY_TARGET: &str =
    "write one of `{ file: a, offset: 4KiB }`, `{ metadata: ag-header, ag: 1 }`, `{ space: free, ag: 0 }`";

/// The injection that a document writes.
pub(super) fn injection(
    inject: InjectDocument,
    node: &Node,
    found: &mut Vec<Diagnostic>,
) -> Option<Injection> {
    let before = found.len();
    let way = just_one(
        node,
        &WAYS,
        "the way of the injection",
        "write either `machine-check: action-optional` or `debugfs: corrupt-pfn`",
        found,
    );
    let by = inject.machine_check.map(Mechanism::MachineCheck);
    let by = by.or(inject.madvise.map(Mechanism::Madvise));
    let by = by.or(inject.debugfs.map(Mechanism::Debugfs));
    let by = by.or(inject.sysfs.map(Mechanism::Sysfs));
    let by = by.or(inject.mce_inject.map(Mechanism::MceInject));
    let at = target(inject.at, node.at("at"), found);
    let (way, by, at) = (way?, by?, at?);
    if let Some(why) = by.why_victim().filter(|_| at.victim().is_none()) {
        found.push(
            Diagnostic::new(why)
                .at(node.at("at").handle.clone(), "nobody's page")
                .see(node.at(way).handle.clone(), "because of this")
                .help("name whose page it is: `at: { victim: alice, offset: 4KiB }`"),
        );
    }
    if by == Mechanism::MachineCheck(Severity::ActionRequired)
        && matches!(at, Target::Victim { length: Some(_), .. })
    {
        found.push(
            Diagnostic::new("a processor consumes one error at a time")
                .at(node.at("at").key("length"), "a range")
                .help("take `length` away, and inject again for the next page"),
        );
    }
    if by == Mechanism::Sysfs(SysfsFile::Badblocks) && matches!(at, Target::Pfn(_)) {
        found.push(
            Diagnostic::new("bad blocks are places of a device, not of memory")
                .at(node.at("at").key("pfn"), "a page frame")
                .see(node.at(way).handle.clone(), "because of this")
                .help("write `at: { device: 4KiB }`, or a part of a file"),
        );
    }
    (found.len() == before).then(|| Injection {
        by,
        at,
        times: inject.times.unwrap_or(NonZeroU32::MIN),
    })
}

/// The mark that a document writes.
pub(super) fn mark(mark: MarkDocument, node: &Node, found: &mut Vec<Diagnostic>) -> Option<MarkSpec> {
    let at = target(mark.at, node.at("at"), found)?;
    if let Target::File { length: Some(_), .. }
    | Target::Victim { length: Some(_), .. }
    | Target::Device { length: Some(_), .. } = at
    {
        found.push(
            Diagnostic::new("a mark is one page")
                .at(node.at("at").key("length"), "a range")
                .help("take `length` away, and mark every page under a name of its own"),
        );
        return None;
    }
    Some(MarkSpec { name: mark.name, at })
}

fn target(target: TargetDocument, node: &Node, found: &mut Vec<Diagnostic>) -> Option<Target> {
    let before = found.len();
    // A file stands alone, or says whose metadata or space is meant.
    let kind = match present(node, &TARGETS).as_slice() {
        [] => just_one(node, &["file"], "the target", EVERY_TARGET, found)?,
        _ => just_one(node, &TARGETS, "the target", EVERY_TARGET, found)?,
    };
    let refuse = |keys: &[&'static str], found: &mut Vec<Diagnostic>| misfits(node, kind, keys, found);
    let ag = target.ag.unwrap_or(0);
    if kind != "file" {
        refuse(&["dax"], found);
    }
    let lowered = match kind {
        "file" => {
            refuse(&["ag", "map", "of"], found);
            let offset = needed(target.offset, node, "offset", kind, found);
            target.file.zip(offset).map(|(file, offset)| Target::File {
                file,
                offset,
                length: target.length,
                dax: target.dax.unwrap_or(true),
            })
        }
        "victim" => {
            refuse(&["file", "ag", "of"], found);
            let offset = needed(target.offset, node, "offset", kind, found);
            target.victim.zip(offset).map(|(victim, at)| Target::Victim {
                at: VictimPlace {
                    victim,
                    place: Place {
                        map: target.map.unwrap_or(0),
                        at,
                    },
                },
                length: target.length,
            })
        }
        "metadata" => {
            refuse(&["offset", "length", "map", "of"], found);
            metadata(target.metadata?, &target, node, found)
        }
        "space" => {
            refuse(&["offset", "length", "map", "of"], found);
            match target.space? {
                SpaceWord::Unwritten => {
                    refuse(&["ag"], found);
                    let file = needed(target.file, node, "file", "space", found);
                    file.map(|file| Target::Unwritten { file })
                }
                word => {
                    refuse(&["file"], found);
                    Some(match word {
                        SpaceWord::CowStaging => Target::CowStaging { ag },
                        _ => Target::FreeSpace { ag },
                    })
                }
            }
        }
        "last-block" => {
            refuse(&["file", "offset", "length", "map", "of"], found);
            Some(match target.last_block? {
                LastBlockWord::Group => Target::LastBlockOfGroup { ag },
                LastBlockWord::Device => {
                    refuse(&["ag"], found);
                    Target::LastBlockOfDevice
                }
            })
        }
        "device" => {
            refuse(&["file", "offset", "map", "ag"], found);
            Some(Target::Device {
                of: target.of.unwrap_or_default(),
                offset: target.device?,
                length: target.length,
            })
        }
        "mark" => {
            refuse(&["file", "offset", "length", "map", "ag", "of"], found);
            target.mark.map(Target::Mark)
        }
        _ => {
            refuse(&["file", "offset", "length", "map", "ag", "of"], found);
            target.pfn.map(Target::Pfn)
        }
    };
    lowered.filter(|_| found.len() == before)
}

fn metadata(
    word: MetadataWord,
    target: &TargetDocument,
    node: &Node,
    found: &mut Vec<Diagnostic>,
) -> Option<Target> {
    let group = match word {
        MetadataWord::AgHeader => Ok(GroupMetadata::AgHeader),
        MetadataWord::AgBtree => Ok(GroupMetadata::AgBtree),
        MetadataWord::InodeBtree => Ok(GroupMetadata::InodeBtree),
        MetadataWord::RefcountBtree => Ok(GroupMetadata::RefcountBtree),
        MetadataWord::InodeChunk => Ok(GroupMetadata::InodeChunk),
        MetadataWord::Log => {
            misfits(node, "metadata", &["file", "ag"], found);
            return Some(Target::Log);
        }
        MetadataWord::Quota => {
            misfits(node, "metadata", &["file", "ag"], found);
            return Some(Target::Quota);
        }
        MetadataWord::ExtentMap => Err(FileMetadata::ExtentMap),
        MetadataWord::Attributes => Err(FileMetadata::Attributes),
        MetadataWord::Directory => Err(FileMetadata::Directory),
        MetadataWord::Symlink => Err(FileMetadata::Symlink),
    };
    match group {
        Ok(kind) => {
            misfits(node, "metadata", &["file"], found);
            Some(Target::GroupMetadata {
                kind,
                ag: target.ag.unwrap_or(0),
            })
        }
        Err(kind) => {
            misfits(node, "metadata", &["ag"], found);
            let file = needed(target.file.clone(), node, "file", "metadata", found)?;
            Some(Target::FileMetadata { kind, file })
        }
    }
}
