// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations in words: as something that is told to be done, and as something that ends in some way.

use super::{list, place};
use crate::model::{
    FileRange, LinkTarget, Operation, RangeToRange, StoreSpec, Sync, VictimPlace, WriteSource,
};
use crate::value::Bytes;

/// `punch a+4KiB (4KiB)`: what a step does.
pub(super) fn told(operation: &Operation) -> String {
    let (verb, rest) = words(operation);
    join(&verb.bare, &rest)
}

/// `punching a+4KiB (4KiB)`: what an expectation is about.
pub(super) fn clause(operation: &Operation) -> String {
    let (verb, rest) = words(operation);
    join(&verb.ing, &rest)
}

fn join(verb: &str, rest: &str) -> String {
    if rest.is_empty() {
        verb.to_owned()
    } else {
        format!("{verb} {rest}")
    }
}

/// A verb in its two forms.
struct Verb {
    bare: String,
    ing: String,
}

fn verb(bare: &str, ing: &str) -> Verb {
    Verb {
        bare: bare.to_owned(),
        ing: ing.to_owned(),
    }
}

fn words(operation: &Operation) -> (Verb, String) {
    match operation {
        Operation::WriteFile(write) => (
            verb("write", "writing"),
            format!("{} ({}, filled with {})", write.file, write.size, write.fill),
        ),
        Operation::Write(write) => {
            let with = match &write.source {
                WriteSource::Fill(fill) => format!("with {fill}"),
                WriteSource::Mapping(at) => format!("from {}", place(at)),
            };
            let how = if write.direct { ", directly" } else { "" };
            (
                verb("write", "writing"),
                format!("{} {with}{how}", range(&write.file, write.offset, write.length)),
            )
        }
        Operation::Read(read) => {
            let into = read
                .into
                .as_ref()
                .map_or(String::new(), |at| format!(" into {}", place(at)));
            let how = if read.direct { ", directly" } else { "" };
            (
                verb("read", "reading"),
                format!("{}{into}{how}", range(&read.file, read.offset, read.length)),
            )
        }
        Operation::Create { file } => (verb("create", "creating"), file.to_string()),
        Operation::Mkdir { directory } => (verb("make", "making"), format!("directory {directory}")),
        Operation::Rmdir { directory } => (verb("remove", "removing"), format!("directory {directory}")),
        Operation::List { directory } => (
            verb("list", "listing"),
            directory
                .as_ref()
                .map_or("the top directory".to_owned(), ToString::to_string),
        ),
        Operation::Symlink { at, to } => {
            let to = match to {
                LinkTarget::Text(text) => format!("to {text}"),
                LinkTarget::Length(length) => format!("of {} letters", length.get()),
            };
            (verb("make", "making"), format!("symlink {at} {to}"))
        }
        Operation::Readlink { file } => (verb("read", "reading"), format!("symlink {file}")),
        Operation::Rename(names) => (
            verb("rename", "renaming"),
            format!("{} to {}", names.from, names.to),
        ),
        Operation::Link(names) => (verb("link", "linking"), format!("{} to {}", names.from, names.to)),
        Operation::Unlink { file } => (verb("unlink", "unlinking"), file.to_string()),
        Operation::Reflink(names) => (
            verb("reflink", "reflinking"),
            format!("{} to {}", names.from, names.to),
        ),
        Operation::ReflinkRange(ranges) => (verb("reflink", "reflinking"), from_to(ranges)),
        Operation::Dedupe(ranges) => (verb("dedupe", "deduping"), from_to(ranges)),
        Operation::Copy(ranges) => (verb("copy", "copying"), from_to(ranges)),
        Operation::Allocate(allocate) => {
            let keep = if allocate.keep_size { ", size kept" } else { "" };
            (
                verb("allocate", "allocating"),
                format!(
                    "{}{keep}",
                    range(&allocate.file, allocate.offset, allocate.length)
                ),
            )
        }
        Operation::Punch(part) => (verb("punch", "punching"), part_of(part)),
        Operation::Zero(part) => (verb("zero", "zeroing"), part_of(part)),
        Operation::Collapse(part) => (verb("collapse", "collapsing"), part_of(part)),
        Operation::Insert(part) => (verb("insert", "inserting"), part_of(part)),
        Operation::Unshare(part) => (verb("unshare", "unsharing"), part_of(part)),
        Operation::Truncate(truncate) => (
            verb("truncate", "truncating"),
            format!("{} to {}", truncate.file, truncate.size),
        ),
        Operation::Fragment(fragment) => (
            verb("write", "writing"),
            format!(
                "{} ({} extents, filled with {})",
                fragment.file, fragment.extents, fragment.fill
            ),
        ),
        Operation::Sync(Sync::Filesystem) => (verb("sync", "syncing"), "the filesystem".to_owned()),
        Operation::Sync(Sync::File(file)) => (verb("sync", "syncing"), file.to_string()),
        Operation::Sync(Sync::Data(file)) => (verb("sync", "syncing"), format!("the data of {file}")),
        Operation::Stat { file } => (verb("stat", "stat of"), file.to_string()),
        Operation::SetXattr(xattr) => (
            verb("set", "setting"),
            format!(
                "{} of {} ({}, filled with {:#04x})",
                xattr.name, xattr.file, xattr.size, xattr.fill
            ),
        ),
        Operation::GetXattr(xattr) => (
            verb("get", "getting"),
            format!("{} of {}", xattr.name, xattr.file),
        ),
        Operation::RemoveXattr(xattr) => (
            verb("remove", "removing"),
            format!("{} of {}", xattr.name, xattr.file),
        ),
        Operation::SetFlags(flags) => {
            let switch = |name: &str, on: Option<bool>| {
                on.map(|on| format!("{name} {}", if on { "on" } else { "off" }))
            };
            let number = |name: &str, size: Option<Bytes>| size.map(|size| format!("{name} {size}"));
            let all = [
                switch("dax", flags.dax),
                number("extsize", flags.extsize),
                number("cowextsize", flags.cowextsize),
                switch("realtime", flags.realtime),
            ];
            (
                verb("set", "setting"),
                format!("{} of {}", list(all.into_iter().flatten()), flags.file),
            )
        }
        Operation::Open { file } => (verb("open", "opening"), file.to_string()),
        Operation::Close { file } => (verb("close", "closing"), file.to_string()),
        Operation::DropCaches => (verb("drop", "dropping"), "caches".to_owned()),
        Operation::Mount(mount) => (
            verb("mount", "mounting"),
            mount
                .options
                .as_ref()
                .map_or(String::new(), |options| format!("with {options}")),
        ),
        Operation::Unmount => (verb("unmount", "unmounting"), String::new()),
        Operation::Remount { options } => (verb("remount", "remounting"), format!("with {options}")),
        Operation::Freeze => (verb("freeze", "freezing"), "the filesystem".to_owned()),
        Operation::Thaw => (verb("thaw", "thawing"), "the filesystem".to_owned()),
        Operation::Shutdown { flush } => (
            verb("shut down", "shutting down"),
            format!("the filesystem (flush: {})", flush.as_str()),
        ),
        Operation::Repair => (
            verb("check", "checking"),
            "the filesystem with xfs_repair -n".to_owned(),
        ),
        Operation::Run(run) => (verb("run", "running"), format!("`{}`", one_line(&run.command))),
        Operation::Sysctl { values } => (
            verb("set", "setting"),
            list(values.iter().map(|(name, value)| format!("{name} to {value}"))),
        ),
        Operation::Set(set) => (
            verb("set", "setting"),
            format!("{} to {}", set.file, one_line(&set.to)),
        ),
        Operation::Touch(at) => (by(at, "reads", "reading"), format!("at {}", at.place)),
        Operation::Store(StoreSpec { victim, place, fill }) => (
            Verb {
                bare: format!("{victim} writes"),
                ing: format!("{victim}'s writing"),
            },
            format!("{fill:#04x} at {place}"),
        ),
        Operation::Unmap { victim, map } => (
            Verb {
                bare: format!("{victim} unmaps"),
                ing: format!("{victim}'s unmapping"),
            },
            format!("mapping {map}"),
        ),
        Operation::Policy(policy) => {
            let who = match &policy.thread {
                Some(thread) => format!("{}'s thread {thread}", policy.victim),
                None => policy.victim.to_string(),
            };
            (
                Verb {
                    bare: format!("{who} sets"),
                    ing: format!("{who}'s setting"),
                },
                format!("its policy to {}", policy.kill.as_str()),
            )
        }
        Operation::Advise(advise) => (
            Verb {
                bare: format!("{} advises", advise.victim),
                ing: format!("{}'s advising", advise.victim),
            },
            format!(
                "{} at {} ({})",
                advise.advice.as_str(),
                advise.place,
                advise.length
            ),
        ),
    }
}

fn by(at: &VictimPlace, bare: &str, ing: &str) -> Verb {
    Verb {
        bare: format!("{} {bare}", at.victim),
        ing: format!("{}'s {ing}", at.victim),
    }
}

fn range(file: &impl ToString, offset: Bytes, length: Bytes) -> String {
    format!("{}+{offset} ({length})", file.to_string())
}

fn part_of(part: &FileRange) -> String {
    range(&part.file, part.offset, part.length)
}

fn from_to(ranges: &RangeToRange) -> String {
    format!(
        "{} to {}+{}",
        range(&ranges.from, ranges.offset, ranges.length),
        ranges.to,
        ranges.at
    )
}

/// A text of several lines in one, and not too long.
pub(in crate::model) fn one_line(text: &str) -> String {
    const LONGEST: usize = 60;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() <= LONGEST {
        return line;
    }
    let start: String = line.chars().take(LONGEST).collect();
    format!("{start}…")
}
