// SPDX-License-Identifier: MIT OR Apache-2.0
//! The kinds of findings, and what is said of each.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{FindingValue, FindingWord};

/// What a finding is about. The oracle's findings have the same kinds as those of the case's own expectations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// How a step ended, or an operation that an expectation tries.
    Operation,
    /// Whether the kernel lives on.
    Kernel,
    /// How far the kernel came with a machine check that it took.
    MachineCheck,
    /// What a victim was told: signals, and its end.
    Victim,
    /// What a process was told that is no victim.
    Stranger,
    /// Whether a victim has a page-table entry at a place.
    Entry,
    /// What the injecting call got.
    Injector,
    /// What every call of `xfs_dax_notify_failure` returned, in order.
    NotifyFailure,
    /// The state of the filesystem.
    Filesystem,
    /// The device's bad sectors, held against those that are expected.
    Badblocks,
    /// By how many bytes `HardwareCorrupted` has grown.
    HardwareCorrupted,
    /// A flag of the page that was hit.
    PageFlag,
    /// Whether the filesystem answers for a file at all.
    File,
    /// The size of a file.
    FileSize,
    /// Whether a file goes past the page cache.
    FileDax,
    /// How many of a file's extents are shared.
    FileShared,
    /// How many extents a file has.
    FileExtents,
    /// Whether a file has an unwritten extent.
    FileUnwritten,
    /// Whether the kernel's log, or what a watcher was told, has a line.
    Line,
    /// How often a trace event came.
    Trace,
    /// What every `memory_failure_event` said, in order.
    MemoryFailureEvent,
}

/// A key by which a known issue says which finding of a kind it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Key {
    Of,
    Operation,
    At,
    Text,
}

impl Key {
    pub(crate) const ALL: [Self; 4] = [Self::Of, Self::Operation, Self::At, Self::Text];

    /// As it is written.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Of => "of",
            Self::Operation => "operation",
            Self::At => "at",
            Self::Text => "text",
        }
    }
}

/// A form that `seen` can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Word(FindingWord),
    Error,
    Number,
    Signal,
    Sent,
    Died,
    Exited,
    Shutdown,
}

impl Form {
    const fn is_of(self, value: &FindingValue) -> bool {
        match (self, value) {
            (Self::Word(word), FindingValue::Word(seen)) => word as usize == *seen as usize,
            (Self::Error, FindingValue::Error(_))
            | (Self::Number, FindingValue::Number(_))
            | (Self::Signal, FindingValue::Signal(_))
            | (Self::Sent, FindingValue::Sent(_))
            | (Self::Died, FindingValue::Died(_))
            | (Self::Exited, FindingValue::Exited(_))
            | (Self::Shutdown, FindingValue::Shutdown(_)) => true,
            (
                Self::Word(_)
                | Self::Error
                | Self::Number
                | Self::Signal
                | Self::Sent
                | Self::Died
                | Self::Exited
                | Self::Shutdown,
                _,
            ) => false,
        }
    }
}

impl fmt::Display for Form {
    /// As a help tells it.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word(word) => write!(formatter, "`{}`", word.as_str()),
            Self::Error => formatter.write_str("an errno such as `EIO`"),
            Self::Number => formatter.write_str("a number"),
            Self::Signal => formatter.write_str("a signal such as `BUS_MCEERR_AO at 4KiB lsb 12`"),
            Self::Sent => formatter.write_str("`SIGBUS`"),
            Self::Died => formatter.write_str("`died of SIGBUS`"),
            Self::Exited => formatter.write_str("`exited 1`"),
            Self::Shutdown => formatter.write_str("`shutdown corrupt-incore`"),
        }
    }
}

/// What is said of findings of a kind.
pub(crate) struct Shape {
    /// The keys without which a known issue would mean any finding of the kind.
    pub(crate) needs: &'static [Key],
    /// The other keys that it may have.
    pub(crate) may_have: &'static [Key],
    /// What `seen` can be.
    pub(crate) seen: &'static [Form],
}

impl FindingKind {
    /// The word that a case writes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operation => "operation",
            Self::Kernel => "kernel",
            Self::MachineCheck => "machine-check",
            Self::Victim => "victim",
            Self::Stranger => "stranger",
            Self::Entry => "entry",
            Self::Injector => "injector",
            Self::NotifyFailure => "notify-failure",
            Self::Filesystem => "filesystem",
            Self::Badblocks => "badblocks",
            Self::HardwareCorrupted => "hardware-corrupted",
            Self::PageFlag => "page-flag",
            Self::File => "file",
            Self::FileSize => "file-size",
            Self::FileDax => "file-dax",
            Self::FileShared => "file-shared",
            Self::FileExtents => "file-extents",
            Self::FileUnwritten => "file-unwritten",
            Self::Line => "line",
            Self::Trace => "trace",
            Self::MemoryFailureEvent => "memory-failure-event",
        }
    }

    pub(crate) const fn shape(self) -> Shape {
        use FindingWord as W;
        const OF: &[Key] = &[Key::Of];
        const fn shape(needs: &'static [Key], seen: &'static [Form]) -> Shape {
            Shape {
                needs,
                may_have: &[],
                seen,
            }
        }
        match self {
            Self::Operation => Shape {
                needs: &[Key::Operation],
                may_have: &[Key::Of, Key::At],
                seen: &[
                    Form::Word(W::Ok),
                    Form::Error,
                    Form::Number,
                    Form::Word(W::Counting),
                    Form::Word(W::OtherBytes),
                    Form::Word(W::None),
                    Form::Word(W::Short),
                    Form::Word(W::Differs),
                    Form::Word(W::OtherNames),
                    Form::Word(W::OtherOutput),
                    Form::Word(W::Deadline),
                    Form::Word(W::NoAnswer),
                    Form::Word(W::Faulted),
                    Form::Signal,
                    Form::Died,
                    Form::Exited,
                ],
            },
            Self::Kernel => Shape {
                needs: &[Key::Operation],
                may_have: &[Key::Of, Key::At],
                seen: &[Form::Word(W::Died), Form::Word(W::WentOn)],
            },
            Self::MachineCheck => shape(&[], &[Form::Word(W::NeverEntered), Form::Word(W::NeverLeft)]),
            Self::Victim => shape(
                OF,
                &[
                    Form::Word(W::None),
                    Form::Signal,
                    Form::Word(W::Pending),
                    Form::Died,
                    Form::Exited,
                    Form::Word(W::Unknown),
                ],
            ),
            Self::Stranger => shape(OF, &[Form::Sent, Form::Word(W::None)]),
            Self::Entry => shape(
                &[Key::Of, Key::At],
                &[
                    Form::Word(W::Present),
                    Form::Word(W::Absent),
                    Form::Word(W::Unknown),
                ],
            ),
            Self::Injector => shape(
                &[],
                &[
                    Form::Word(W::Ok),
                    Form::Error,
                    Form::Word(W::None),
                    Form::Number,
                    Form::Word(W::NoAnswer),
                    Form::Word(W::Faulted),
                    Form::Signal,
                    Form::Died,
                    Form::Exited,
                ],
            ),
            Self::NotifyFailure => shape(
                &[],
                &[
                    Form::Word(W::None),
                    Form::Number,
                    Form::Error,
                    Form::Word(W::NoReturn),
                ],
            ),
            Self::Filesystem => shape(
                &[],
                &[
                    Form::Word(W::Up),
                    Form::Word(W::Unmounted),
                    Form::Word(W::Detached),
                    Form::Word(W::Elsewhere),
                    Form::Word(W::Covered),
                    Form::Shutdown,
                ],
            ),
            Self::Badblocks => shape(
                &[],
                &[
                    Form::Word(W::None),
                    Form::Word(W::Fewer),
                    Form::Word(W::More),
                    Form::Word(W::Other),
                    Form::Word(W::Unknown),
                ],
            ),
            Self::HardwareCorrupted => shape(&[], &[Form::Number, Form::Word(W::Unseen)]),
            Self::PageFlag => shape(
                OF,
                &[Form::Word(W::Set), Form::Word(W::Clear), Form::Word(W::Unseen)],
            ),
            Self::File => shape(OF, &[Form::Error, Form::Number, Form::Word(W::Unseen)]),
            Self::FileSize | Self::FileExtents => shape(OF, &[Form::Number]),
            Self::FileDax | Self::FileUnwritten => shape(OF, &[Form::Word(W::True), Form::Word(W::False)]),
            Self::FileShared => shape(
                OF,
                &[Form::Word(W::All), Form::Word(W::Some), Form::Word(W::None)],
            ),
            Self::Line => shape(
                &[Key::Of, Key::Text],
                &[
                    Form::Word(W::Present),
                    Form::Word(W::Absent),
                    Form::Word(W::Unknown),
                    Form::Word(W::Unseen),
                ],
            ),
            Self::Trace => Shape {
                needs: OF,
                may_have: &[Key::Text],
                seen: &[Form::Number, Form::Word(W::Unknown), Form::Word(W::Unseen)],
            },
            Self::MemoryFailureEvent => shape(
                &[],
                &[
                    Form::Word(W::None),
                    Form::Word(W::Recovered),
                    Form::Word(W::Failed),
                ],
            ),
        }
    }

    /// Whether a finding of this kind can be about such a value.
    pub fn can_see(self, value: &FindingValue) -> bool {
        self.shape().seen.iter().any(|form| form.is_of(value))
    }
}

impl fmt::Display for FindingKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}
