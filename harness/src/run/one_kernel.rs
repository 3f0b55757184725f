// SPDX-License-Identifier: MIT OR Apache-2.0
//! All cases on one kernel.

use super::Run;
use super::case_run::{Stage, unjudged};
use super::guests::Guests;
use super::order::order;
use super::request::default_jobs;
use futures_util::stream::{self, StreamExt};
use guest_images::Kernel;
use guest_images::qemu::Qemu;
use machine::guest::Hardware;
use machine::qemu::{Machine, Program};
use reports::{Environment, Verdict};
use std::pin::pin;
use std::sync::Arc;
use testcases::{Case, KernelVersion};
use tokio::sync::Semaphore;

impl Run {
    /// Every case on this kernel: what cannot be judged on it first, and why, then the others.
    pub(super) async fn on_kernel(&mut self, kernel: Kernel, qemu: &Qemu) {
        let mut environment = Environment {
            kernel: kernel.name.clone(),
            kernel_release: kernel.release.clone(),
            kernel_version: kernel.version.clone(),
            kernel_commit: kernel.commit.clone(),
            qemu_version: qemu.version_text.clone(),
            cpu_model: Machine::CPU_MODEL.to_owned(),
            ..Environment::default()
        };
        if kernel.rebuild.is_some() {
            let commit = kernel.commit.as_deref().unwrap_or("no git commit");
            self.teller
                .note(format!("{}: release {}, {commit}", kernel.name, kernel.release));
        }
        let version: KernelVersion = match kernel.version.parse() {
            Ok(version) => version,
            Err(error) => return self.all_broken(&kernel.name, &format!("{error}")),
        };
        // What cannot run here says why before anything boots.
        let mut runnable = Vec::new();
        for case in &self.request.cases.clone() {
            match precondition(case, &kernel, &version) {
                None => runnable.push(case.clone()),
                Some(why) => {
                    self.result(unjudged(case, environment.clone(), Verdict::Untestable, why));
                }
            }
        }
        if runnable.is_empty() {
            return;
        }
        if let Some(why) = &kernel.why_not_vmlinux {
            self.teller
                .note(format!("{}: booted as a bzImage: {why}", kernel.name));
        }
        let prepared = match self.image(kernel).await {
            Ok(image) => self.accelerator(&image, qemu).await.map(|choice| (image, choice)),
            Err(why) => Err(why),
        };
        let (image, choice) = match prepared {
            Ok(prepared) => prepared,
            Err(why) => {
                for case in &runnable {
                    self.result(unjudged(case, environment.clone(), Verdict::Broken, why.clone()));
                }
                return;
            }
        };
        environment.image.clone_from(&image.id);
        environment.accelerator = choice.accelerator.to_string();
        environment.accelerator_reason.clone_from(&choice.reason);
        let hardware = Hardware {
            program: Program::from(qemu),
            accelerator: choice.accelerator,
        };
        let (store, teller) = (self.store().cloned(), Arc::clone(&self.teller));
        let guests = Guests::new(&hardware, qemu, &image, store.as_ref(), &teller);
        match self.request.shuffle {
            Some(seed) => fastrand::Rng::with_seed(seed).shuffle(&mut runnable),
            None => runnable = order(runnable),
        }
        self.carried_out(&runnable, &guests, &version, &environment).await;
    }

    /// Carries cases out in guests of theirs, so many at once.
    async fn carried_out(
        &mut self,
        cases: &[Case],
        guests: &Guests<'_>,
        version: &KernelVersion,
        environment: &Environment,
    ) {
        let (request, teller) = (Arc::clone(&self.request), Arc::clone(&self.teller));
        let (running, stop, clock) = (Arc::clone(&self.running), self.stop.clone(), self.clock.clone());
        let jobs = request.jobs.unwrap_or_else(|| default_jobs(request.isolation));
        let places = Semaphore::new(jobs.get());
        let stages = cases.iter().map(|case| {
            let stage = Stage {
                case,
                guests,
                version,
                environment: environment.clone(),
                deadline: request.case_deadline,
                out: &request.out,
                teller: &teller,
                clock: clock.as_deref(),
            };
            let name = on(case.id.as_str(), &environment.kernel);
            let (places, running, stop) = (&places, &running, &stop);
            async move {
                // Fails only when closed, and nobody closes it. Whoever asked first is served first.
                let _place = places.acquire().await.ok()?;
                if stop.politely.is_cancelled() {
                    return None;
                }
                // A template is nobody's case: what it takes is not the case's time.
                guests.prepare(case).await;
                if stop.politely.is_cancelled() {
                    return None;
                }
                running.begin(&name);
                Some((name, stage.run().await))
            }
        });
        as_they_end(stages, |finished| {
            if let Some((name, result)) = finished {
                self.result(result);
                running.end(&name);
            }
        })
        .await;
    }
}

/// Carries them all on, and tells what each comes to as soon as it is there: a verdict that waits for a slower case is lost
/// when the run is killed. Order belongs to whoever renders.
async fn as_they_end<F: Future>(stages: impl ExactSizeIterator<Item = F>, mut tell: impl FnMut(F::Output)) {
    let all = stages.len();
    let mut ended = pin!(stream::iter(stages).buffer_unordered(all));
    while let Some(output) = ended.next().await {
        tell(output);
    }
}

/// Why a case cannot be judged on this kernel, as far as that is known before anything boots.
fn precondition(case: &Case, kernel: &Kernel, version: &KernelVersion) -> Option<String> {
    if !case.kernel.contains(version) {
        return Some(format!(
            "the case is for kernels {}; this one is {version}",
            case.kernel
        ));
    }
    let missing: Vec<String> = kernel.missing.iter().map(ToString::to_string).collect();
    let way_out = kernel.rebuild.as_ref();
    let way_out = way_out
        .map(|command| format!("; to complete it: {command}"))
        .unwrap_or_default();
    (!missing.is_empty()).then(|| {
        format!(
            "this kernel lacks what is needed: {}{way_out}",
            missing.join("; ")
        )
    })
}

/// How people call a case that runs.
fn on(case: &str, kernel: &str) -> String {
    format!("{case} on {kernel}")
}

#[cfg(test)]
mod tests {
    use super::as_they_end;
    use futures_util::future::{self, Either};
    use std::pin::pin;
    use std::task::{Context, Waker};

    #[test]
    fn no_verdict_waits_for_a_slower_case() {
        let mut told = Vec::new();
        let stages = [
            Either::Left(future::pending()),
            Either::Right(future::ready("quick")),
        ];
        let mut all = Box::pin(as_they_end(stages.into_iter(), |name: &str| told.push(name)));
        let mut context = Context::from_waker(Waker::noop());
        assert!(pin!(&mut all).poll(&mut context).is_pending());
        drop(all);
        assert_eq!(told, ["quick"]);
    }
}
