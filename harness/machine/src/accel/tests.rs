// SPDX-License-Identifier: MIT OR Apache-2.0
use std::cell::RefCell;
use std::fs;

use super::*;

const KVM_HANGS: Result<f32, CanaryFailure> = Err(CanaryFailure::TimedOut {
    after: Duration::from_secs(20),
});

fn died(cause: &str) -> Result<f32, CanaryFailure> {
    Err(CanaryFailure::Died {
        cause: cause.to_owned(),
    })
}

/// A host, a cache, and canaries with fixed fates.
struct Lab {
    cache: tempfile::TempDir,
    host: Host,
    kvm: Result<f32, CanaryFailure>,
    tcg: Result<f32, CanaryFailure>,
    booted: RefCell<Vec<Accelerator>>,
}

impl Lab {
    fn new(kvm: Result<f32, CanaryFailure>, tcg: Result<f32, CanaryFailure>) -> Self {
        let device = KvmDevice::Opens {
            path: "/dev/kvm".into(),
            identity: "10:232".to_owned(),
        };
        let host = Host {
            kernel: "6.1.0 #1 SMP".to_owned(),
            kvm: device,
        };
        Self {
            cache: tempfile::tempdir().unwrap(),
            host,
            kvm,
            tcg,
            booted: RefCell::default(),
        }
    }

    fn without_kvm(device: fn(std::path::PathBuf) -> KvmDevice) -> Self {
        let mut lab = Self::new(died("must not be booted"), Ok(6.5));
        lab.host.kvm = device("/dev/kvm".into());
        lab
    }

    async fn choose(&self, forced: Option<Accelerator>) -> Result<Choice, AccelError> {
        choose(
            forced,
            self.cache.path(),
            "digest",
            &self.host,
            |accelerator| async move {
                self.booted.borrow_mut().push(accelerator);
                let fate = match accelerator {
                    Accelerator::Kvm => &self.kvm,
                    Accelerator::Tcg => &self.tcg,
                };
                fate.clone().map(Duration::from_secs_f32)
            },
        )
        .await
    }

    /// The canaries that were booted since the last time.
    fn booted(&self) -> Vec<Accelerator> {
        self.booted.take()
    }

    fn cache_file(&self) -> std::path::PathBuf {
        let files: Vec<_> = fs::read_dir(self.cache.path())
            .unwrap()
            .map(|e| e.unwrap().path())
            .collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files.into_iter().next().unwrap()
    }
}

#[tokio::test]
async fn kvm_that_works_is_taken_and_remembered() {
    let lab = Lab::new(Ok(1.25), died("must not be booted"));
    let choice = lab.choose(None).await.unwrap();
    assert_eq!(choice.reason, "kvm: a guest booted under it in 1.2 s");
    assert_eq!((choice.accelerator, choice.from_cache), (Accelerator::Kvm, false));
    assert_eq!(lab.booted(), [Accelerator::Kvm]);
    let again = lab.choose(None).await.unwrap();
    assert_eq!(
        again,
        Choice {
            from_cache: true,
            ..choice
        }
    );
    assert_eq!(lab.booted(), []);
}

#[tokio::test]
async fn kvm_that_opens_and_hangs_gives_way_to_emulation() {
    let lab = Lab::new(KVM_HANGS, Ok(6.5));
    let choice = lab.choose(None).await.unwrap();
    assert_eq!(
        choice.reason,
        "tcg: /dev/kvm opens, but a guest did not boot under it within 20 s"
    );
    assert_eq!((choice.from_cache, &choice.notes[..]), (false, &[][..]));
    assert_eq!(lab.booted(), [Accelerator::Kvm, Accelerator::Tcg]);
    let again = lab.choose(None).await.unwrap();
    assert_eq!(
        again,
        Choice {
            from_cache: true,
            ..choice
        }
    );
    assert_eq!(lab.booted(), []);
}

#[tokio::test]
async fn without_a_device_kvm_is_not_tried() {
    let absent = Lab::without_kvm(|path| KvmDevice::Absent { path });
    let choice = absent.choose(None).await.unwrap();
    assert!(
        choice.reason.starts_with("tcg: /dev/kvm does not exist"),
        "{}",
        choice.reason
    );
    let denied = Lab::without_kvm(|path| KvmDevice::Denied { path });
    let choice = denied.choose(None).await.unwrap();
    assert!(choice.reason.contains("usermod -aG kvm"), "{}", choice.reason);
    assert_eq!(denied.booted(), [Accelerator::Tcg]);
}

#[tokio::test]
async fn failing_emulation_is_an_error_with_both_causes_and_is_not_remembered() {
    let lab = Lab::new(KVM_HANGS, died("QEMU exited with status 1: no firmware"));
    let message = lab.choose(None).await.unwrap_err().to_string();
    assert!(
        message.contains("no firmware") && message.contains("/dev/kvm opens, but"),
        "{message}"
    );
    lab.booted();
    assert!(lab.choose(None).await.is_err());
    assert_eq!(lab.booted(), [Accelerator::Kvm, Accelerator::Tcg]);
}

#[tokio::test]
async fn what_was_only_missed_is_forgotten() {
    // Emulation took almost as long: the machine was busy. And a QEMU that was killed says nothing about KVM.
    let killed = Err(CanaryFailure::Killed {
        cause: "QEMU was killed by SIGKILL".to_owned(),
    });
    for (kvm, tcg) in [(KVM_HANGS, 15.0), (killed, 6.5)] {
        let mut lab = Lab::new(kvm, Ok(tcg));
        assert_eq!(lab.choose(None).await.unwrap().accelerator, Accelerator::Tcg);
        assert_eq!(lab.booted(), [Accelerator::Kvm, Accelerator::Tcg]);
        lab.kvm = Ok(1.0);
        assert_eq!(lab.choose(None).await.unwrap().accelerator, Accelerator::Kvm);
    }
}

#[tokio::test]
async fn forced_kvm_fails_rather_than_gives_way() {
    let lab = Lab::new(died("failed to set MSR 0x10a"), Ok(6.5));
    let error = lab.choose(Some(Accelerator::Kvm)).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("kvm was asked for, but a guest did not boot under it: failed")
    );
    assert_eq!(lab.booted(), [Accelerator::Kvm]);

    let absent = Lab::without_kvm(|path| KvmDevice::Absent { path });
    let error = absent.choose(Some(Accelerator::Kvm)).await.unwrap_err();
    assert!(matches!(error, AccelError::NoKvm { .. }), "{error:?}");
    assert_eq!(absent.booted(), []);
}

#[tokio::test]
async fn a_remembered_failure_of_kvm_does_not_bind_who_forces_it() {
    let mut lab = Lab::new(KVM_HANGS, Ok(6.5));
    lab.choose(None).await.unwrap();
    lab.booted();
    lab.kvm = Ok(1.0);
    let choice = lab.choose(Some(Accelerator::Kvm)).await.unwrap();
    assert_eq!(choice.reason, "kvm: asked for; a guest booted under it in 1.0 s");
    assert_eq!(lab.booted(), [Accelerator::Kvm]);
    assert_eq!(lab.choose(None).await.unwrap().accelerator, Accelerator::Kvm);
}

#[tokio::test]
async fn forced_emulation_does_not_try_kvm() {
    let lab = Lab::new(Ok(1.0), Ok(6.5));
    let choice = lab.choose(Some(Accelerator::Tcg)).await.unwrap();
    assert_eq!((choice.accelerator, choice.from_cache), (Accelerator::Tcg, false));
    assert!(lab.choose(Some(Accelerator::Tcg)).await.unwrap().from_cache);
    assert_eq!(lab.booted(), [Accelerator::Tcg]);
}

#[tokio::test]
async fn a_damaged_or_foreign_cache_is_ignored_with_a_word_and_mended() {
    let lab = Lab::new(KVM_HANGS, Ok(6.5));
    lab.choose(None).await.unwrap();
    let file = lab.cache_file();
    let good = fs::read_to_string(&file).unwrap();
    for bad in [
        &good[..good.len() / 2],
        "",
        &good.replace("digest", "another"),
        "{\"kvm\": 1}",
    ] {
        fs::write(&file, bad).unwrap();
        lab.booted();
        let choice = lab.choose(None).await.unwrap();
        assert!(!choice.from_cache);
        assert!(
            choice.notes[0].starts_with("ignored the accelerator cache "),
            "{:?}",
            choice.notes
        );
        assert_eq!(lab.booted().len(), 2);
        assert_eq!(fs::read_to_string(&file).unwrap(), good);
    }
}

#[tokio::test]
async fn another_kernel_is_another_question() {
    let mut lab = Lab::new(KVM_HANGS, Ok(6.5));
    lab.choose(None).await.unwrap();
    lab.booted();
    lab.host.kernel.push_str(" with a fix");
    assert!(!lab.choose(None).await.unwrap().from_cache);
    assert_eq!(lab.booted().len(), 2);
}

#[tokio::test]
async fn a_cache_that_cannot_be_written_is_a_note() {
    let lab = Lab::new(Ok(1.0), Ok(6.5));
    let file = lab.cache.path().join("file");
    fs::write(&file, "").unwrap();
    let choice = choose(None, &file, "digest", &lab.host, async |_| {
        Ok(Duration::from_secs(1))
    })
    .await
    .unwrap();
    assert_eq!(choice.accelerator, Accelerator::Kvm);
    assert!(
        choice
            .notes
            .iter()
            .any(|note| note.starts_with("could not write")),
        "{:?}",
        choice.notes
    );
}

#[test]
fn a_device_is_looked_at_by_opening_it() {
    let directory = tempfile::tempdir().unwrap();
    assert!(matches!(
        KvmDevice::look(&directory.path().join("none")),
        KvmDevice::Absent { .. }
    ));
    assert!(matches!(
        KvmDevice::look(directory.path()),
        KvmDevice::Broken { .. }
    ));
    match KvmDevice::look(Path::new("/dev/null")) {
        KvmDevice::Opens { identity, .. } => assert_eq!(identity, "1:3"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_are_read_and_written() {
    assert_eq!("kvm".parse(), Ok(Accelerator::Kvm));
    assert_eq!(Accelerator::Tcg.to_string(), "tcg");
    assert!(
        "hvf"
            .parse::<Accelerator>()
            .unwrap_err()
            .to_string()
            .contains("`hvf`")
    );
}

#[tokio::test]
async fn what_is_remembered_is_what_would_be_chosen() {
    let labs = [
        Lab::new(Ok(1.25), died("must not be booted")),
        Lab::new(KVM_HANGS, Ok(6.5)),
        Lab::without_kvm(|path| KvmDevice::Absent { path }),
    ];
    for lab in labs {
        let ask = || remembered(lab.cache.path(), "digest", &lab.host);
        assert_eq!(ask(), None);
        assert_eq!(fs::read_dir(lab.cache.path()).unwrap().count(), 0);
        let choice = lab.choose(None).await.unwrap();
        let (accelerator, reason) = ask().unwrap();
        assert_eq!(
            (accelerator, format!("{accelerator}: {reason}")),
            (choice.accelerator, choice.reason)
        );
        assert_eq!(remembered(lab.cache.path(), "another QEMU", &lab.host), None);
    }
}
