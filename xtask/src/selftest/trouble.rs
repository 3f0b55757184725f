// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can come of a fault.

/// How a fault ended.
pub(super) type Outcome = Result<(), Trouble>;

/// Why a fault did not end as it must.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Taster did something else.
    Wrong {
        /// What it must do.
        expected: String,
        /// What it did.
        saw: String,
    },
    /// This machine does not let the fault be made, and why not.
    NotMade(String),
    /// The self-test could not do its own part.
    Stuck(anyhow::Error),
    /// Somebody ended the self-test.
    Interrupted,
}

impl From<anyhow::Error> for Trouble {
    fn from(error: anyhow::Error) -> Self {
        Self::Stuck(error)
    }
}

/// What must be, and what is instead.
pub(super) fn wrong(expected: impl Into<String>, saw: impl Into<String>) -> Trouble {
    Trouble::Wrong {
        expected: expected.into(),
        saw: saw.into(),
    }
}

/// Holds, or else is wrong.
pub(super) fn must(holds: bool, expected: impl Into<String>, saw: impl Into<String>) -> Outcome {
    if holds { Ok(()) } else { Err(wrong(expected, saw)) }
}
