// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which accelerator really works.
//!
//! That /dev/kvm exists, opens, and even creates a virtual machine proves nothing: under some hypervisors firmware runs
//! on it while Linux does not get to its first line. So a *canary*, a real guest, is booted under each candidate with a
//! deadline, and the answer is remembered for this QEMU on this host.

mod cache;
mod host;

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use cache::{Cache, Trial};
pub use host::{Host, KvmDevice};

/// Who executes the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accelerator {
    /// The processor, by the kernel's KVM.
    Kvm,
    /// QEMU, by translation.
    Tcg,
}

impl fmt::Display for Accelerator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        })
    }
}

impl std::str::FromStr for Accelerator {
    type Err = UnknownAccelerator;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "kvm" => Ok(Self::Kvm),
            "tcg" => Ok(Self::Tcg),
            other => Err(UnknownAccelerator(other.to_owned())),
        }
    }
}

/// Not the name of an accelerator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no accelerator `{0}`: it is `kvm` or `tcg`")]
pub struct UnknownAccelerator(String);

/// The accelerator to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// It.
    pub accelerator: Accelerator,
    /// Why this one, for people: `tcg: /dev/kvm opens, but a guest did not boot under it within 20 s`.
    pub reason: String,
    /// Whether it is an earlier run's answer, so that no canary was booted.
    pub from_cache: bool,
    /// What else people should know: a cache that could not be read or written.
    pub notes: Vec<String>,
}

/// Why a canary is dead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CanaryFailure {
    /// The canary guest did not boot in time.
    #[error("a guest did not boot under it within {} s", .after.as_secs_f32())]
    TimedOut {
        /// The deadline that passed.
        after: Duration,
    },
    /// It could not, for example because QEMU ended.
    #[error("a guest did not boot under it: {cause}")]
    Died {
        /// What happened.
        cause: String,
    },
    /// A signal ended its QEMU, which says nothing about the accelerator.
    #[error("its QEMU was ended: {cause}")]
    Killed {
        /// What happened.
        cause: String,
    },
}

impl CanaryFailure {
    /// Whether this, beside the time in which a guest booted under emulation just afterwards, shows that the accelerator does
    /// not work here. A canary that was given twice that time and did not sing is slower than emulation; one that was given
    /// less may only have met a busy machine.
    fn is_shown_beside(&self, emulation: Duration) -> bool {
        match self {
            Self::TimedOut { after } => emulation * 2 <= *after,
            Self::Died { .. } => true,
            Self::Killed { .. } => false,
        }
    }
}

/// No accelerator works.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccelError {
    /// KVM was asked for, and its device cannot be used.
    #[error("kvm was asked for, but {device}")]
    NoKvm {
        /// What is wrong with the device, and what to do about it.
        device: KvmDevice,
    },
    /// The accelerator that was asked for does not work.
    #[error("{accelerator} was asked for, but {failure}; leave the choice open to have another one tried")]
    Forced {
        /// The accelerator asked for.
        accelerator: Accelerator,
        /// How its canary died.
        failure: CanaryFailure,
    },
    /// Emulation needs nothing from the host, so that something else is wrong: the QEMU, the kernel or the image.
    #[error("even plain emulation (tcg) does not work here: {failure}; and {other}")]
    Nothing {
        /// How its canary died.
        failure: CanaryFailure,
        /// Why there was no KVM.
        other: String,
    },
}

/// Chooses an accelerator: `forced`, or else KVM if a guest boots under it, or else emulation.
///
/// `canary` boots a guest under an accelerator and says how long that took; it must keep a deadline of its own. It is
/// called at most once for each accelerator, and not at all for what an earlier run has left in `cache_dir` for the same
/// `qemu_digest` and the same `host`. A remembered failure of KVM is believed, except when KVM is forced; what was only missed, a
/// deadline on a busy machine or a QEMU that somebody killed, is not remembered.
pub async fn choose<F, Answer>(
    forced: Option<Accelerator>,
    cache_dir: &Path,
    qemu_digest: &str,
    host: &Host,
    canary: F,
) -> Result<Choice, AccelError>
where
    F: Fn(Accelerator) -> Answer,
    Answer: Future<Output = Result<Duration, CanaryFailure>>,
{
    let mut cache = Cache::open(cache_dir, qemu_digest, host);
    let outcome = match forced {
        Some(accelerator) => force(accelerator, &mut cache, host, canary).await,
        None => choose_freely(&mut cache, host, canary).await,
    };
    cache.save();
    let (accelerator, reason, from_cache) = outcome?;
    let reason = format!("{accelerator}: {reason}");
    Ok(Choice {
        accelerator,
        reason,
        from_cache,
        notes: cache.into_notes(),
    })
}

/// What [`choose`] would answer from earlier runs alone, with its reason; none if it would have to boot a canary.
/// Boots and writes nothing.
pub fn remembered(cache_dir: &Path, qemu_digest: &str, host: &Host) -> Option<(Accelerator, String)> {
    let cache = Cache::open(cache_dir, qemu_digest, host);
    let why_not_kvm = if host.kvm.opens() {
        match cache.trial(Accelerator::Kvm)? {
            Trial::Worked { seconds } => {
                return Some((
                    Accelerator::Kvm,
                    format!("a guest booted under it in {seconds:.1} s"),
                ));
            }
            Trial::Failed { why } => format!("{}, but {why}", host.kvm),
        }
    } else {
        host.kvm.to_string()
    };
    match cache.trial(Accelerator::Tcg)? {
        Trial::Worked { .. } => Some((Accelerator::Tcg, why_not_kvm)),
        Trial::Failed { .. } => None,
    }
}

/// Accelerator, reason, and whether it came from the cache alone.
type Outcome = Result<(Accelerator, String, bool), AccelError>;

async fn force<F, Answer>(accelerator: Accelerator, cache: &mut Cache, host: &Host, canary: F) -> Outcome
where
    F: Fn(Accelerator) -> Answer,
    Answer: Future<Output = Result<Duration, CanaryFailure>>,
{
    if accelerator == Accelerator::Kvm && !host.kvm.opens() {
        return Err(AccelError::NoKvm {
            device: host.kvm.clone(),
        });
    }
    if let Some(Trial::Worked { seconds }) = cache.trial(accelerator) {
        let reason = format!("asked for; an earlier run booted a guest under it in {seconds:.1} s");
        return Ok((accelerator, reason, true));
    }
    match canary(accelerator).await {
        Ok(took) => {
            cache.record(accelerator, Trial::worked(took));
            let reason = format!(
                "asked for; a guest booted under it in {:.1} s",
                took.as_secs_f32()
            );
            Ok((accelerator, reason, false))
        }
        Err(failure) => Err(AccelError::Forced { accelerator, failure }),
    }
}

async fn choose_freely<F, Answer>(cache: &mut Cache, host: &Host, canary: F) -> Outcome
where
    F: Fn(Accelerator) -> Answer,
    Answer: Future<Output = Result<Duration, CanaryFailure>>,
{
    if !host.kvm.opens() {
        return emulate(cache, host.kvm.to_string(), None, canary).await;
    }
    match cache.trial(Accelerator::Kvm) {
        Some(Trial::Worked { seconds }) => Ok((
            Accelerator::Kvm,
            format!("a guest booted under it in {seconds:.1} s"),
            true,
        )),
        Some(Trial::Failed { why }) => emulate(cache, format!("{}, but {why}", host.kvm), None, canary).await,
        None => match canary(Accelerator::Kvm).await {
            Ok(took) => {
                cache.record(Accelerator::Kvm, Trial::worked(took));
                let seconds = took.as_secs_f64();
                let reason = format!("a guest booted under it in {seconds:.1} s");
                Ok((Accelerator::Kvm, reason, false))
            }
            Err(failure) => {
                let why = format!("{}, but {failure}", host.kvm);
                emulate(cache, why, Some(failure), canary).await
            }
        },
    }
}

/// Falls back to emulation. `failure` is how KVM failed just now: it is remembered only where it shows something, and for that
/// a guest is booted under emulation in any case, as something to compare it with.
async fn emulate<F, Answer>(
    cache: &mut Cache,
    why_not_kvm: String,
    failure: Option<CanaryFailure>,
    canary: F,
) -> Outcome
where
    F: Fn(Accelerator) -> Answer,
    Answer: Future<Output = Result<Duration, CanaryFailure>>,
{
    // A failure of emulation is never remembered: it is no property of the host, and has to be mended anyway.
    if failure.is_none() && matches!(cache.trial(Accelerator::Tcg), Some(Trial::Worked { .. })) {
        return Ok((Accelerator::Tcg, why_not_kvm, true));
    }
    match canary(Accelerator::Tcg).await {
        Ok(took) => {
            cache.record(Accelerator::Tcg, Trial::worked(took));
            if let Some(failure) = failure.filter(|failure| failure.is_shown_beside(took)) {
                let why = failure.to_string();
                cache.record(Accelerator::Kvm, Trial::Failed { why });
            }
            Ok((Accelerator::Tcg, why_not_kvm, false))
        }
        Err(failure) => Err(AccelError::Nothing {
            failure,
            other: why_not_kvm,
        }),
    }
}

#[cfg(test)]
mod tests;
