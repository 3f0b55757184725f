// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a page can be used after an error.

use super::facts::{Facts, OwnerFacts};
use super::prediction::{Afterwards, BadblocksAfter, FilesystemAfter, Justification, Part, Use};
use super::rule::first;
use super::rules::ACCESS;
use super::situation::Access;
use guest_agent::address::DeviceOffset;
use testcases::KernelVersion;

/// `None` for a page that belongs to no DAX file, or to a filesystem that is not mounted.
pub(super) fn afterwards(
    facts: &Facts,
    page: Option<DeviceOffset>,
    filesystem: &Part<FilesystemAfter>,
    badblocks: &Part<BadblocksAfter>,
    kernel: &KernelVersion,
) -> Part<Option<Afterwards>> {
    let is_dax = |owner: &OwnerFacts| {
        let record = &owner.record;
        let dax = owner.inode.as_ref().is_some_and(|inode| inode.dax == Some(true));
        dax && !record.attribute_fork && !record.extent_map
    };
    let is_file = facts.owners.iter().flatten().any(is_dax);
    let shut_down = match filesystem {
        Part::Known(FilesystemAfter::Up) => false,
        Part::Known(FilesystemAfter::ShutDown(_)) => true,
        Part::Known(FilesystemAfter::Unmounted) => return Part::Known(None),
        Part::Unknown(why) => return Part::Unknown(why.clone()),
    };
    let Some(page) = page.filter(|_| is_file) else {
        return Part::Known(None);
    };
    let bad = match badblocks {
        Part::Known(after) => after.added.is_some() || facts.is_bad(page) == Some(true),
        Part::Unknown(why) => return Part::Unknown(why.clone()),
    };
    let read = Access {
        faults: None,
        bad,
        shut_down,
    };
    let load = Access {
        faults: Some(true),
        ..read
    };
    let end = |access: &Access| {
        first(ACCESS, access, kernel).map(|rule| Use {
            end: rule.then,
            rule: Justification::of("the page afterwards", rule),
        })
    };
    match (end(&load), end(&read)) {
        (Some(load), Some(read)) => Part::Known(Some(Afterwards { load, read })),
        _ => Part::Unknown("no rule says how an access ends".to_owned()),
    }
}
