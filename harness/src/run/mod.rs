// SPDX-License-Identifier: MIT OR Apache-2.0
//! A whole run: cases × kernels in, one stream of events out.
//!
//! Every planned pair of case and kernel gets exactly one result, also when it could not even begin.

mod accelerator;
mod background;
mod case_run;
mod clock;
mod guests;
mod one_kernel;
mod order;
mod out;
mod request;
mod stop;
mod teller;

pub use out::{OutError, OutFolder};
pub use request::{CASE_DEADLINE, Request};
pub use stop::Stop;
pub use teller::Teller;

use accelerator::choose;
use background::in_background;
use case_run::unjudged;
use clock::Clock;
use guest_images::qemu::Qemu;
use guest_images::with_causes;
use guest_images::{Image, Kernel, KernelSpec};
use machine::accel::Choice;
use machine::snapshot::Store;
use reports::{CaseResult, Environment, EventKind, ExitStatus, Verdict};
use std::sync::{Arc, OnceLock};
use stop::Running;
use testcases::Isolation;

/// Something the user named is wrong, found before anything was judged.
#[derive(Debug, thiserror::Error)]
#[error("cannot run on the kernel {kernel}")]
pub struct WrongKernel {
    /// As it was given.
    pub kernel: String,
    /// What is wrong with it.
    #[source]
    pub source: guest_images::Error,
}

/// Runs it all, and tells `teller`, from `RunStarted` to `RunFinished`. Ends early when `stop` says so.
///
/// Fails, with nothing judged, when a kernel that the user named is none; that run has its end and its reports, too.
pub async fn run(request: Request, teller: Arc<Teller>, stop: Stop) -> Result<ExitStatus, WrongKernel> {
    let request = Arc::new(request);
    teller.tell(EventKind::RunStarted {
        taster: env!("CARGO_PKG_VERSION").to_owned(),
        command: request.command.clone(),
        started_at: jiff::Timestamp::now(),
        planned: request.cases.len() * request.kernels.len(),
        host: host_name(),
    });
    let deadline = request.run_deadline;
    let clock = match Clock::start() {
        Ok(clock) => Some(Arc::new(clock)),
        Err(error) => {
            teller.note(format!(
                "nobody watches whether this machine stands still: no thread for it: {error}"
            ));
            None
        }
    };
    let mut run = Run {
        request,
        teller,
        results: Vec::new(),
        choice: None,
        store: OnceLock::new(),
        running: Arc::default(),
        stop: stop.clone(),
        clock,
    };
    let running = Arc::clone(&run.running);
    let teller = Arc::clone(&run.teller);
    let stopped = running.ended(&stop, |cases| {
        teller.note(format!("interrupted: waiting for {}", cases.join(", ")));
    });
    let out_of_time = async {
        match deadline {
            Some(deadline) => tokio::time::sleep(deadline).await,
            None => std::future::pending().await,
        }
    };
    let outcome = tokio::select! {
        outcome = run.all() => Some(outcome),
        () = stopped => None,
        () = out_of_time => None,
    };
    let interrupted = stop.politely.is_cancelled() || stop.at_once.is_cancelled();
    if outcome.is_none() && !interrupted {
        let seconds = deadline.unwrap_or_default().as_secs();
        run.teller.note(format!(
            "the run was ended: its {seconds} s are over, and not all verdicts are given"
        ));
    }
    let exit = match &outcome {
        Some(Err(_)) => ExitStatus::Usage,
        None if !interrupted => ExitStatus::Broken,
        _ => reports::exit_status(&run.results, interrupted),
    };
    run.teller
        .note(format!("reports and evidence: {}", run.request.out.display()));
    run.teller.tell(EventKind::RunFinished {
        exit,
        interrupted,
        seconds: run.teller.elapsed(),
    });
    match outcome {
        Some(Err(wrong)) => Err(wrong),
        _ => Ok(exit),
    }
}

/// A kernel, or why it cannot be had.
type Resolved = Result<Kernel, guest_images::Error>;

struct Run {
    request: Arc<Request>,
    teller: Arc<Teller>,
    results: Vec<CaseResult>,
    choice: Option<Result<Choice, String>>,
    /// Where templates are kept, once somebody has asked for it.
    store: OnceLock<Option<Store>>,
    running: Arc<Running>,
    stop: Stop,
    /// None where it could not be started; a note has said so.
    clock: Option<Arc<Clock>>,
}

impl Run {
    async fn all(&mut self) -> Result<(), WrongKernel> {
        // Nothing is fetched for nothing.
        if self.request.cases.is_empty() {
            return Ok(());
        }
        let chosen = match self.request.qemu {
            Some(_) => Some(self.qemu().await),
            None => None,
        };
        if let Some(Err(why)) = &chosen {
            for spec in &self.request.kernels.clone() {
                self.all_broken(&spec.to_string(), why);
            }
            return Ok(());
        }
        let kernels = self.resolve_all().await?;
        let qemu = match chosen {
            Some(chosen) => chosen,
            None => self.qemu().await,
        };
        for (name, kernel) in kernels {
            if self.stop.politely.is_cancelled() {
                return Ok(());
            }
            match (kernel, &qemu) {
                (Err(error), _) => self.all_broken(&name, &with_causes(&error)),
                (_, Err(why)) => self.all_broken(&name, why),
                (Ok(kernel), Ok(qemu)) => self.on_kernel(kernel, qemu).await,
            }
        }
        self.look_for_damage().await;
        self.prune().await;
        Ok(())
    }

    /// All kernels, in the order given. Paths are looked at first, so that what the user typed wrong is told before
    /// anything is fetched or booted.
    async fn resolve_all(&self) -> Result<Vec<(String, Resolved)>, WrongKernel> {
        let specs = &self.request.kernels;
        let mut order: Vec<usize> = (0..specs.len()).collect();
        order.sort_by_key(|&index| matches!(specs[index], KernelSpec::Named(_)));
        let mut resolved = Vec::new();
        for index in order {
            let spec = &specs[index];
            match self.resolve(spec.clone()).await {
                Err(source) if source.is_usage() => {
                    return Err(WrongKernel {
                        kernel: spec.to_string(),
                        source,
                    });
                }
                kernel => resolved.push((index, spec.to_string(), kernel)),
            }
        }
        resolved.sort_by_key(|(index, ..)| *index);
        Ok(resolved
            .into_iter()
            .map(|(_, name, kernel)| (name, kernel))
            .collect())
    }

    async fn resolve(&self, spec: KernelSpec) -> Result<Kernel, guest_images::Error> {
        let (request, teller) = (Arc::clone(&self.request), Arc::clone(&self.teller));
        in_background(move || guest_images::resolve_kernel(&spec, &request.cache, &*teller)).await
    }

    async fn qemu(&self) -> Result<Qemu, String> {
        let (request, teller) = (Arc::clone(&self.request), Arc::clone(&self.teller));
        let found = in_background(move || {
            guest_images::qemu::locate(request.qemu.as_deref(), &request.cache, &*teller)
        })
        .await
        .map_err(|error| with_causes(&error))?;
        self.teller
            .note(format!("{}: {}", found.version_text, found.origin));
        Ok(found)
    }

    async fn image(&self, kernel: Kernel) -> Result<Image, String> {
        let (request, teller) = (Arc::clone(&self.request), Arc::clone(&self.teller));
        in_background(move || guest_images::build_image(kernel, &request.cache, &*teller))
            .await
            .map_err(|error| with_causes(&error))
    }

    fn all_broken(&mut self, kernel: &str, why: &str) {
        let environment = Environment {
            kernel: kernel.to_owned(),
            ..Environment::default()
        };
        for case in &self.request.cases.clone() {
            self.result(unjudged(
                case,
                environment.clone(),
                Verdict::Broken,
                why.to_owned(),
            ));
        }
    }

    fn result(&mut self, result: CaseResult) {
        self.teller.tell(EventKind::CaseFinished {
            result: Box::new(result.clone()),
        });
        self.results.push(result);
    }

    /// Where something could not be done, it may be the cache that is damaged: without a word, if size and time stayed.
    async fn look_for_damage(&self) {
        if !self
            .results
            .iter()
            .any(|result| result.verdict == Verdict::Broken)
        {
            return;
        }
        let (cache, teller) = (self.request.cache.clone(), Arc::clone(&self.teller));
        match in_background(move || cache.remove_damaged(&*teller)).await {
            Ok(damaged) if !damaged.is_empty() => self.teller.note(format!(
                "the cache was damaged, which may be why cases are broken; run again, and these are made anew: {}",
                damaged.join(", ")
            )),
            Ok(_) => {}
            Err(error) => self
                .teller
                .note(format!("the cache could not be looked through for damage: {}", with_causes(&error))),
        }
    }

    /// Keeps the templates of many kernels and images from filling the disk.
    async fn prune(&self) {
        let Some(store) = self.store().cloned() else {
            return;
        };
        match in_background(move || store.prune()).await {
            Ok(pruned) if pruned.removed > 0 => self.teller.note(format!(
                "{} templates that were not used for long are removed from the cache ({} MiB)",
                pruned.removed,
                pruned.freed >> 20
            )),
            Ok(_) => {}
            Err(error) => self.teller.note(format!(
                "old templates could not be removed: {}",
                with_causes(&error)
            )),
        }
    }

    /// Where templates are kept; none if every case is to boot a guest of its own, and if that was not asked for, a note
    /// has said why.
    fn store(&self) -> Option<&Store> {
        self.store.get_or_init(|| self.open_store()).as_ref()
    }

    fn open_store(&self) -> Option<Store> {
        if self.request.isolation == Isolation::Boot {
            return None;
        }
        match Store::open(self.request.cache.root()) {
            Ok(store) => {
                self.teller.note(match store.place() {
                    Ok(place) => format!("templates are kept {place}"),
                    Err(why) => format!(
                        "no new template can be kept, so cases that want one boot their guests: {why}"
                    ),
                });
                Some(store)
            }
            Err(error) => {
                self.teller.note(format!(
                    "every case boots a guest of its own: {}",
                    with_causes(&error)
                ));
                None
            }
        }
    }

    /// The accelerator, chosen once for the whole run by booting this image.
    async fn accelerator(&mut self, image: &Image, qemu: &Qemu) -> Result<Choice, String> {
        if let Some(known) = &self.choice {
            return known.clone();
        }
        let choice = choose(
            self.request.accelerator,
            &self.request.cache,
            image,
            qemu,
            &self.teller,
        )
        .await;
        if let Ok(choice) = &choice {
            for note in &choice.notes {
                self.teller.note(note.clone());
            }
            self.teller.note(format!("accelerator {}", choice.reason));
        }
        self.choice = Some(choice.clone());
        choice
    }
}

/// This host, for the record.
fn host_name() -> String {
    nix::sys::utsname::uname().map_or_else(
        |_| "unknown".to_owned(),
        |name| name.nodename().to_string_lossy().into_owned(),
    )
}
