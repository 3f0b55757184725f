// SPDX-License-Identifier: MIT OR Apache-2.0
//! What running guests needs: QEMU, an accelerator, memory.

use super::cache::size;
use super::finding::Finding;
use guest_images::qemu::{OLDEST, Qemu, VARIABLE};
use guest_images::survey::{self, CacheFolder, CachedQemu};
use harness::template::devices;
use machine::accel::{self, Accelerator, Host};
use machine::guest::footprint;
use machine::qemu::GuestMemory;
use std::path::Path;
use testcases::Template;

/// The QEMU that a run would use.
#[derive(Debug)]
pub(super) enum Found {
    /// Chosen, or on PATH.
    Installed(Qemu),
    /// In the cache; with why the one on PATH is passed over, if there is one.
    Cached(CachedQemu, Option<String>),
    /// Nowhere yet; likewise.
    Nowhere(Option<String>),
    /// The chosen one will not do.
    Refused(String),
}

impl Found {
    /// Whether none will be fetched. Nor is one in the stead of a choice that will not do: that has to be mended.
    pub(super) fn is_settled(&self) -> bool {
        !matches!(self, Self::Nowhere(_))
    }

    fn digest(&self) -> Option<&str> {
        match self {
            Self::Installed(qemu) => Some(&qemu.digest),
            Self::Cached(qemu, _) => Some(&qemu.digest),
            Self::Nowhere(_) | Self::Refused(_) => None,
        }
    }
}

/// In the order in which a run looks.
pub(super) fn find_qemu(chosen: Option<&Path>, folder: &CacheFolder) -> Found {
    let passed_over = match survey::installed_qemu(chosen) {
        Ok(Some(qemu)) => return Found::Installed(qemu),
        Ok(None) => None,
        Err(error) => {
            let why = format!("{:#}", anyhow::Error::from(error));
            if chosen.is_some() {
                return Found::Refused(why);
            }
            Some(why)
        }
    };
    match folder.qemu() {
        Some(cached) => Found::Cached(cached, passed_over),
        None => Found::Nowhere(passed_over),
    }
}

/// `reachable` says whether the package archive can be used.
pub(super) fn examine(qemu: &Found, folder: &CacheFolder, reachable: bool) -> Vec<Finding> {
    vec![
        qemu_finding(qemu, folder, reachable, survey::debian_release().as_deref()),
        accelerator(qemu, folder, &Host::look()),
        memory(footprint(&devices(&Template::default()))),
    ]
}

fn qemu_finding(qemu: &Found, folder: &CacheFolder, reachable: bool, release: Option<&str>) -> Finding {
    const SUBJECT: &str = "QEMU";
    let (major, minor, _) = OLDEST;
    let instead = format!("install qemu-system-x86_64 {major}.{minor} or newer, or name one in {VARIABLE}");
    let on_path = |why: &Option<String>| why.clone().unwrap_or_else(|| "not on PATH".to_owned());
    match (qemu, release) {
        (Found::Installed(qemu), _) => {
            Finding::ok(SUBJECT, format!("{}, {} ({})", qemu.version_text, qemu.binary.display(), qemu.origin))
        }
        (Found::Cached(cached, why), _) => {
            let version = cached.package_version.as_deref().unwrap_or("of unrecorded version");
            Finding::ok(SUBJECT, format!("{version}, in the cache ({})", on_path(why)))
        }
        (Found::Refused(why), _) => Finding::missing(SUBJECT, why).way_out(format!(
            "name a qemu-system-x86_64 of at least {major}.{minor}, or leave the choice (--qemu, {VARIABLE}) out"
        )),
        (Found::Nowhere(why), Some(release)) if reachable => Finding::note(
            SUBJECT,
            format!(
                "{}; the one packaged for {release} will be fetched into {} when first needed (about 16 MB)",
                on_path(why),
                folder.path.display()
            ),
        ),
        (Found::Nowhere(why), Some(_)) => {
            Finding::missing(SUBJECT, format!("{}, and none can be fetched", on_path(why))).way_out(instead)
        }
        (Found::Nowhere(why), None) => {
            Finding::missing(SUBJECT, format!("{}, and none can be fetched, for this is no Debian release", on_path(why)))
                .way_out(instead)
        }
    }
}

fn accelerator(qemu: &Found, folder: &CacheFolder, host: &Host) -> Finding {
    const SUBJECT: &str = "accelerator";
    let remembered = qemu
        .digest()
        .and_then(|digest| accel::remembered(&folder.path, digest, host));
    match remembered {
        Some((Accelerator::Kvm, reason)) => Finding::ok(SUBJECT, format!("kvm: {reason}")),
        Some((Accelerator::Tcg, reason)) => {
            Finding::note(SUBJECT, format!("tcg (emulation, slower): {reason}"))
        }
        None if host.kvm.opens() => Finding::note(
            SUBJECT,
            format!(
                "{}; the first run boots a guest under it to see whether it works",
                host.kvm
            ),
        ),
        None => Finding::note(SUBJECT, format!("tcg (emulation, slower): {}", host.kvm)),
    }
}

/// `footprint` is what one guest can come to hold, in bytes.
fn memory(footprint: u64) -> Finding {
    const SUBJECT: &str = "memory";
    match GuestMemory::place_for(footprint) {
        Ok(place) => Finding::ok(
            SUBJECT,
            format!("a guest holds up to {}; {place}", size(footprint)),
        ),
        Err(error) => Finding::missing(SUBJECT, format!("{:#}", anyhow::Error::from(error))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Level;
    use machine::accel::KvmDevice;

    fn folder() -> CacheFolder {
        CacheFolder {
            path: "/nowhere/at/all".into(),
            exists: false,
            writable: true,
            used: 0,
            free: 1 << 40,
        }
    }

    #[test]
    fn a_qemu_that_can_be_fetched_is_not_missing() {
        let nowhere = Found::Nowhere(None);
        let finding = |qemu, reachable, release| qemu_finding(qemu, &folder(), reachable, release);
        assert_eq!(finding(&nowhere, true, Some("bookworm")).level, Level::Note);
        assert_eq!(finding(&nowhere, false, Some("bookworm")).level, Level::Missing);
        assert_eq!(finding(&nowhere, true, None).level, Level::Missing);
        let old = Found::Nowhere(Some("it is QEMU 6.2".to_owned()));
        assert!(
            finding(&old, true, Some("bookworm"))
                .text
                .contains("it is QEMU 6.2")
        );
    }

    #[test]
    fn a_chosen_qemu_that_will_not_do_is_never_replaced() {
        let found = find_qemu(Some(Path::new("/bin/true")), &folder());
        let finding = qemu_finding(&found, &folder(), true, Some("bookworm"));
        assert_eq!(finding.level, Level::Missing);
        assert!(finding.text.contains("/bin/true"), "{}", finding.text);
        assert!(finding.way_out.unwrap().contains("--qemu"));
    }

    #[test]
    fn without_a_device_there_is_nothing_to_try() {
        let host = |kvm| Host {
            kernel: "6.1".to_owned(),
            kvm,
        };
        let path = std::path::PathBuf::from("/dev/kvm");
        let text = |kvm| accelerator(&Found::Nowhere(None), &folder(), &host(kvm)).text;
        let absent = text(KvmDevice::Absent { path: path.clone() });
        assert!(
            absent.starts_with("tcg") && absent.contains("does not exist"),
            "{absent}"
        );
        let opens = text(KvmDevice::Opens {
            path,
            identity: "10:232".to_owned(),
        });
        assert!(opens.contains("the first run boots a guest"), "{opens}");
    }

    #[test]
    fn more_memory_than_there_is_has_a_way_out() {
        let finding = memory(u64::MAX / 2);
        assert_eq!(finding.level, Level::Missing);
        assert!(finding.text.contains("TMPDIR"), "{}", finding.text);
    }
}
