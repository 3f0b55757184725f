// SPDX-License-Identifier: MIT OR Apache-2.0
//! The accelerator of a run: whichever boots the very image that the cases will use.

use super::Teller;
use guest_images::qemu::Qemu;
use guest_images::with_causes;
use guest_images::{Cache, Image};
use machine::accel::{self, Accelerator, CanaryFailure, Choice, Host};
use machine::guest::{GuestError, Hardware, Mishap, canary};
use machine::qemu::Program;
use std::time::Duration;

/// A guest under hardware virtualisation boots in a second or two; what needs longer than this hangs.
const KVM_CANARY: Duration = Duration::from_secs(20);
/// Emulation is slow, and there is nothing else to fall back to.
const TCG_CANARY: Duration = Duration::from_secs(120);

/// Chooses the accelerator; the canary is `image` itself, booted to the point where its agent is ready.
pub(super) async fn choose(
    forced: Option<Accelerator>,
    cache: &Cache,
    image: &Image,
    qemu: &Qemu,
    teller: &Teller,
) -> Result<Choice, String> {
    let boot = async |accelerator| {
        let deadline = match accelerator {
            Accelerator::Kvm => KVM_CANARY,
            Accelerator::Tcg => TCG_CANARY,
        };
        guest_images::Progress::started(
            teller,
            "canary",
            &format!("boot a guest under {accelerator}, to see whether it works"),
        );
        let hardware = Hardware {
            program: Program::from(qemu),
            accelerator,
        };
        let result = canary(&hardware, image, deadline).await;
        let outcome = result.map_err(|error| match error {
            GuestError::Silent { .. } => CanaryFailure::TimedOut { after: deadline },
            other if Mishap::of(&other) == Some(Mishap::Emulator) => CanaryFailure::Killed {
                cause: with_causes(&other),
            },
            other => CanaryFailure::Died {
                cause: with_causes(&other),
            },
        });
        match &outcome {
            Ok(took) => guest_images::Progress::finished(
                teller,
                "canary",
                Ok(&format!("{:.1} s", took.as_secs_f32())),
            ),
            Err(failure) => guest_images::Progress::finished(teller, "canary", Err(&failure.to_string())),
        }
        outcome
    };
    accel::choose(forced, cache.root(), &qemu.digest, &Host::look(), boot)
        .await
        .map_err(|error| with_causes(&error))
}
