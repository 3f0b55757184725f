// SPDX-License-Identifier: MIT OR Apache-2.0
//! What becomes of those who use a page afterwards.

use super::world::{A, World, already_bad, file, file_that, special, world};
use super::{ALL, NEW, OLD, V7_2};
use crate::oracle::facts::MountState;
use crate::oracle::predict;
use crate::oracle::prediction::{Afterwards, Part, Prediction};
use crate::oracle::rule::first;
use crate::oracle::rules::ACCESS;
use crate::oracle::situation::{Access, AccessEnd};
use guest_agent::call::SpaceOwner;
use nix::errno::Errno;
use testcases::Mechanism::MachineCheck;
use testcases::Severity::ActionOptional;
use testcases::{BusCode, KernelVersion};

pub(super) struct Row {
    name: &'static str,
    pub(super) access: Access,
    pub(super) kernels: &'static [KernelVersion],
    end: AccessEnd,
}

const LOAD: Access = Access {
    faults: Some(true),
    bad: true,
    shut_down: false,
};
const READ: Access = Access { faults: None, ..LOAD };
const EIO: AccessEnd = AccessEnd::Fails(Errno::EIO);
const ADRERR: AccessEnd = AccessEnd::Raises(BusCode::Adrerr, None);

const fn row(name: &'static str, access: Access, kernels: &'static [KernelVersion], end: AccessEnd) -> Row {
    Row {
        name,
        access,
        kernels,
        end,
    }
}

pub(super) const ROWS: &[Row] = &[
    row(
        "mapped reader",
        Access {
            faults: Some(false),
            ..LOAD
        },
        ALL,
        AccessEnd::Works,
    ),
    row("fresh mapping, old", LOAD, OLD, ADRERR),
    row(
        "fresh mapping",
        LOAD,
        NEW,
        AccessEnd::Raises(BusCode::MceerrAr, Some(12)),
    ),
    row("pread and pwrite", READ, ALL, EIO),
    row(
        "a touch without a badblock",
        Access { bad: false, ..LOAD },
        ALL,
        AccessEnd::Works,
    ),
    row(
        "a new fault after a shutdown",
        Access {
            shut_down: true,
            bad: false,
            ..LOAD
        },
        ALL,
        ADRERR,
    ),
    row(
        "a mapping that is there after a shutdown",
        Access {
            shut_down: true,
            faults: Some(false),
            ..LOAD
        },
        ALL,
        AccessEnd::Works,
    ),
    row(
        "read or write after a shutdown",
        Access {
            shut_down: true,
            bad: false,
            ..READ
        },
        ALL,
        EIO,
    ),
];

#[test]
fn every_access_ends_as_predicted() {
    for row in ROWS {
        for kernel in row.kernels {
            let end = first(ACCESS, &row.access, kernel).map(|rule| rule.then);
            assert_eq!(end, Some(row.end), "{} on {kernel}", row.name);
        }
    }
}

/// How a load that faults ends, and how read(2) does.
fn ends(after: Part<Option<Afterwards>>) -> Part<Option<(AccessEnd, AccessEnd)>> {
    match after {
        Part::Known(after) => Part::Known(after.map(|after| (after.load.end, after.read.end))),
        Part::Unknown(why) => Part::Unknown(why),
    }
}

#[test]
fn a_prediction_says_how_the_page_can_be_used() {
    let after = |world: World| {
        let (facts, injection) = world.finish();
        match predict(&facts, &injection, &V7_2) {
            Prediction::Handled(handled) => ends(handled.afterwards),
            Prediction::Panic(_) => Part::Known(None),
        }
    };
    let all = |load, read| Part::Known(Some((load, read)));
    let told = AccessEnd::Raises(BusCode::MceerrAr, Some(12));
    assert_eq!(after(world([file(A)])), all(AccessEnd::Works, AccessEnd::Works));
    assert_eq!(
        after(world([file(A)]).by(MachineCheck(ActionOptional))),
        all(told, EIO)
    );
    assert_eq!(after(world([file(A)]).with(already_bad)), all(told, EIO));
    assert_eq!(
        after(world([file(A), special(SpaceOwner::AgBtree)])),
        all(ADRERR, EIO)
    );
    assert_eq!(after(world([special(SpaceOwner::AgHeader)])), Part::Known(None));
    assert_eq!(
        after(world([file_that(A, |inode| inode.dax = Some(false))])),
        Part::Known(None)
    );
    assert_eq!(after(world([file(A)]).unmounted()), Part::Known(None));
    let shut = |mounted: &mut crate::oracle::facts::Mounted| mounted.state = MountState::ShutDown;
    assert_eq!(after(world([file(A)]).mounted(shut)), all(ADRERR, EIO));
    let unread = after(world([file(A)]).with(|facts| facts.badblocks = None));
    assert_eq!(unread.reason(), Some("the badblocks of before are not known"));
}
