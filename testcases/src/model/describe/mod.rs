// SPDX-License-Identifier: MIT OR Apache-2.0
//! One short line for each step.

mod expect;
mod operation;

use super::{
    Action, DebugfsFile, Disposition, Expect, Injection, KillPolicy, MadviseError, Mapping, MappingKind,
    MceInject, Mechanism, SysfsFile, Target, VictimSpec,
};
use crate::model::words::{list, place};
use crate::value::{Bytes, ThreadName};

/// What a step does, in one short line for people, such as
/// `inject a machine check (action optional) at a+4KiB`.
pub fn describe(action: &Action) -> String {
    match action {
        Action::Operation(operation) => operation::told(operation),
        Action::Victim(victim) => started(victim),
        Action::Fork(fork) => format!("{} forks {}", fork.victim, fork.child),
        Action::Release(release) => format!("release {}", list(&release.victims)),
        Action::Mark(mark) => format!("mark {} as {}", target(&mark.at), mark.name),
        Action::Watch(watcher) => format!("watch {}", watcher.as_str()),
        Action::Inject(injection) => injected(injection),
        Action::Expect(Expect::State(state)) => format!("expect {}", expect::state(state)),
        Action::Expect(Expect::Operation { operation, outcome }) => {
            format!(
                "expect that {} {}",
                operation::clause(operation),
                expect::ending(outcome)
            )
        }
    }
}

fn started(victim: &VictimSpec) -> String {
    let maps = list(victim.maps.iter().map(mapping));
    let mut parts = vec![format!("victim {} maps {maps}", victim.name)];
    for (verb, places) in [("reads", &victim.touches), ("writes", &victim.stores)] {
        if !places.is_empty() {
            parts.push(format!("{verb} at {}", list(places)));
        }
    }
    parts.extend(victim.page.map(|page| format!("by {page} pages")));
    parts.extend(match victim.kill {
        KillPolicy::Early => Some("killed early".to_owned()),
        KillPolicy::Late => Some("killed late".to_owned()),
        KillPolicy::Default => None,
    });
    parts.extend(match victim.sigbus {
        Disposition::Handler => None,
        Disposition::Default => Some("with no handler for SIGBUS".to_owned()),
        Disposition::Ignored => Some("with SIGBUS ignored".to_owned()),
        Disposition::Blocked => Some("with SIGBUS blocked".to_owned()),
    });
    let thread = |(name, kill): (&ThreadName, &KillPolicy)| format!("thread {name} ({})", kill.as_str());
    parts.extend(victim.threads.iter().map(thread));
    parts.join(", ")
}

fn mapping(mapping: &Mapping) -> String {
    let kind = match mapping.mapping {
        MappingKind::Shared => "",
        MappingKind::Private => " privately",
        MappingKind::Sync => " with MAP_SYNC",
    };
    let part = match (mapping.offset, mapping.length) {
        (Bytes(0), None) => String::new(),
        (offset, None) => format!(" from {offset}"),
        (offset, Some(length)) => format!("+{offset} ({length})"),
    };
    let cached = if mapping.dax {
        ""
    } else {
        " through the page cache"
    };
    format!("{}{part}{kind}{cached}", mapping.of)
}

fn injected(injection: &Injection) -> String {
    let by = match injection.by {
        Mechanism::MachineCheck(severity) => format!("a machine check ({severity})"),
        Mechanism::Madvise(MadviseError::Hwpoison) => "an error by MADV_HWPOISON".to_owned(),
        Mechanism::Madvise(MadviseError::SoftOffline) => "an offlining by MADV_SOFT_OFFLINE".to_owned(),
        Mechanism::Debugfs(DebugfsFile::CorruptPfn) => "an error through corrupt-pfn".to_owned(),
        Mechanism::Debugfs(DebugfsFile::UnpoisonPfn) => "a recovery through unpoison-pfn".to_owned(),
        Mechanism::Sysfs(SysfsFile::HardOfflinePage) => "an error through hard_offline_page".to_owned(),
        Mechanism::Sysfs(SysfsFile::SoftOfflinePage) => "an offlining through soft_offline_page".to_owned(),
        Mechanism::Sysfs(SysfsFile::Badblocks) => "bad sectors through the device's badblocks".to_owned(),
        Mechanism::MceInject(MceInject::Software) => "a software machine check through mce-inject".to_owned(),
        Mechanism::MceInject(kind) => {
            format!("a software machine check ({}) through mce-inject", kind.as_str())
        }
    };
    let times = match injection.times.get() {
        1 => String::new(),
        times => format!(", {times} times"),
    };
    format!("inject {by} at {}{times}", target(&injection.at))
}

/// What an injection hits, in words.
pub fn target(target: &Target) -> String {
    let range = |length: Option<Bytes>| length.map_or(String::new(), |length| format!(" ({length})"));
    match target {
        Target::File {
            file,
            offset,
            length,
            dax,
        } => {
            let cached = if *dax { "" } else { " below the page cache" };
            format!("{file}+{offset}{}{cached}", range(*length))
        }
        Target::Victim { at, length } => format!("{}{}", place(at), range(*length)),
        Target::GroupMetadata { kind, ag } => format!("the {kind} of AG {ag}"),
        Target::Log => "the log".to_owned(),
        Target::FileMetadata { kind, file } => format!("the {kind} of {file}"),
        Target::Quota => "the quota's inode".to_owned(),
        Target::Mark(name) => format!("what was marked as {name}"),
        Target::FreeSpace { ag } => format!("a free block of AG {ag}"),
        Target::CowStaging { ag } => format!("a block of AG {ag} that is staged for a copy on write"),
        Target::Unwritten { file } => format!("an unwritten block of {file}"),
        Target::LastBlockOfGroup { ag } => format!("the last block of AG {ag}"),
        Target::LastBlockOfDevice => "the last block of the filesystem".to_owned(),
        Target::Device { of, offset, length } => {
            format!("{offset}{} of the {} device", range(*length), of.as_str())
        }
        Target::Pfn(pfn) => format!("page frame {pfn:#x}"),
    }
}
