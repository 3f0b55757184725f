// SPDX-License-Identifier: MIT OR Apache-2.0
//! What ends a case early, and whose doing it is.

use crate::inject::InjectError;
use crate::nvdimm::NvdimmError;
use guest_images::with_causes;
use machine::guest::agent::CallError;

/// Something that ends the play.
pub(super) enum Trouble {
    /// The kernel did not come back, or the guest is lost; which of the two is found out later.
    Call(CallError),
    /// The harness cannot go on.
    Harness(String),
    /// The case asks for what is not in this filesystem.
    NoSuchTarget(String),
    /// The step cannot be done in this guest: a precondition is missing.
    Untestable(String),
    /// The kernel refused what the step needs.
    Refused(guest_agent::call::Refusal),
}

impl From<CallError> for Trouble {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl From<NvdimmError> for Trouble {
    fn from(error: NvdimmError) -> Self {
        match error {
            NvdimmError::Call(error) => Self::Call(error),
            NvdimmError::NoPart(_)
            | NvdimmError::NoByte { .. }
            | NvdimmError::Nowhere { .. }
            | NvdimmError::Beyond { .. }
            | NvdimmError::Gone(_) => Self::NoSuchTarget(error.to_string()),
            NvdimmError::CutOff(_) => Self::Untestable(error.to_string()),
            NvdimmError::Unresolved { refusal, .. }
            | NvdimmError::NoSpaceMap(refusal)
            | NvdimmError::Proof(refusal) => Self::Refused(refusal),
            other => Self::Harness(with_causes(&other)),
        }
    }
}

impl From<InjectError> for Trouble {
    fn from(error: InjectError) -> Self {
        match error {
            InjectError::Call(error) => Self::Call(error),
            InjectError::NotAcknowledged(_) | InjectError::NeverThere { .. } => {
                Self::Harness(with_causes(&error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testcases::Bytes;

    #[test]
    fn a_place_without_a_block_is_what_the_case_asks_for() {
        let nowhere = NvdimmError::Nowhere {
            path: "/mnt/a".to_owned(),
            offset: Bytes(8 << 10),
            size: Bytes(64 << 10),
        };
        assert!(matches!(Trouble::from(nowhere), Trouble::NoSuchTarget(_)));
    }
}
