// SPDX-License-Identifier: MIT OR Apache-2.0
//! Why something could not be measured.

use harness::nvdimm::NvdimmError;
use harness::run::WrongKernel;
use harness::template;
use machine::accel::UnknownAccelerator;
use machine::guest::GuestError;
use machine::guest::agent::CallError;
use machine::qemu::QemuError;
use machine::snapshot;
use std::io;
use testcases::Isolation;

/// Why something could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The user named a kernel that is none.
    #[error(transparent)]
    Kernel(Box<WrongKernel>),
    /// No image or no QEMU.
    #[error("there is nothing to measure: no {what}")]
    Images {
        /// What there is none of.
        what: &'static str,
        /// The cause.
        #[source]
        source: guest_images::Error,
    },
    /// A pass over the suite that brought no verdict.
    #[error(
        "a run of the suite (isolation {isolation}) judged nothing, so nothing can be measured; its first case says: \
         {why}"
    )]
    NothingJudged {
        /// How the cases were to get guests.
        isolation: Isolation,
        /// What the first of them came to.
        why: String,
    },
    /// A case that was to be timed brought no verdict.
    #[error("the case {case} was not judged, so it has no time: {why}")]
    NotJudged {
        /// The case.
        case: String,
        /// The reason, in words.
        why: String,
    },
    /// A bare QEMU did not greet.
    #[error("a bare QEMU of the guests' machine did not start")]
    Bare(#[from] QemuError),
    /// A guest did not boot.
    #[error("a guest did not boot")]
    Boot(#[source] Box<GuestError>),
    /// No template can be kept, or no guest can be cloned from it.
    #[error("guests cannot be cloned here")]
    Clone(#[source] Box<snapshot::SnapshotError>),
    /// A guest did not get into the template's state.
    #[error("a guest did not get into the template's state")]
    State(#[from] template::TemplateError),
    /// A cloned guest did not answer.
    #[error("a cloned guest could not be asked whether it is sound")]
    Call(#[from] CallError),
    /// A cloned guest's filesystem did not answer.
    #[error("a cloned guest's filesystem could not be asked whether it is sound")]
    Nvdimm(#[from] NvdimmError),
    /// A cloned guest is not what its template was.
    #[error("clone {number} is not sound: {why}")]
    Unsound {
        /// Which, from 1; 0 is the vandal.
        number: usize,
        /// What is wrong with it.
        why: String,
    },
    /// Something on this machine could not be used.
    #[error("cannot {doing} {what}")]
    Io {
        /// What was tried.
        doing: &'static str,
        /// What it was done to.
        what: String,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Numbers of no measurement.
    #[error("nothing was measured: there were no rounds")]
    NoRounds,
    /// A kernel of no version.
    #[error("the kernel's version is not known here")]
    Version(#[from] testcases::KernelVersionError),
    /// The run chose an accelerator that has no name here.
    #[error("the run's accelerator is not known here")]
    Accelerator(#[from] UnknownAccelerator),
    /// Somebody stopped it.
    #[error("interrupted")]
    Interrupted,
}

impl From<WrongKernel> for BenchError {
    fn from(error: WrongKernel) -> Self {
        Self::Kernel(Box::new(error))
    }
}

impl From<snapshot::SnapshotError> for BenchError {
    fn from(error: snapshot::SnapshotError) -> Self {
        Self::Clone(Box::new(error))
    }
}

impl From<GuestError> for BenchError {
    fn from(error: GuestError) -> Self {
        Self::Boot(Box::new(error))
    }
}

impl BenchError {
    pub(super) fn io(doing: &'static str, what: impl Into<String>, source: io::Error) -> Self {
        Self::Io {
            doing,
            what: what.into(),
            source,
        }
    }
}
