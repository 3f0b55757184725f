// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the cases of one kernel get their guests: cloned from a template, or booted.

use super::Teller;
use crate::nvdimm::Stack;
use crate::template::{self, TemplateError};
use guest_images::qemu::Qemu;
use guest_images::with_causes;
use guest_images::{Image, Progress};
use machine::guest::{self, BOOT_DEADLINE, Evidence, Guest, Hardware, Mishap};
use machine::qemu::Machine;
use machine::snapshot::{self, MakeError, SnapshotError, Store, Workshop};
use reports::Verdict;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use testcases::{Case, Isolation, Template};
use tokio::sync::OnceCell;

/// Why there is no guest, and what that means for the cases that wanted one.
#[derive(Debug, Clone)]
pub(super) struct NoGuest {
    /// Untestable when the kernel lacks something, broken otherwise.
    pub(super) verdict: Verdict,
    /// In one sentence.
    pub(super) why: String,
    /// What it was lost to, where another try may well succeed.
    pub(super) mishap: Option<Mishap>,
}

impl From<String> for NoGuest {
    /// Whatever went wrong on the host's side is the harness's trouble.
    fn from(why: String) -> Self {
        Self {
            verdict: Verdict::Broken,
            why,
            mishap: None,
        }
    }
}

impl From<TemplateError> for NoGuest {
    fn from(error: TemplateError) -> Self {
        if error.is_lack() {
            return Self {
                verdict: Verdict::Untestable,
                why: error.to_string(),
                mishap: None,
            };
        }
        Self {
            verdict: Verdict::Broken,
            why: format!(
                "the guest could not be brought into the case's template: {}",
                with_causes(&error)
            ),
            mishap: Mishap::of(&error),
        }
    }
}

impl NoGuest {
    fn broken(error: &(dyn std::error::Error + 'static)) -> Self {
        Self {
            verdict: Verdict::Broken,
            why: with_causes(error),
            mishap: Mishap::of(error),
        }
    }
}

/// A guest in which a case can begin.
pub(super) struct Ready {
    pub(super) guest: Guest,
    /// What lies on its NVDIMMs.
    pub(super) stack: Stack,
    /// How it was had.
    pub(super) isolation: Isolation,
}

/// A source of guests.
pub(super) struct Guests<'a> {
    pub(super) hardware: &'a Hardware,
    pub(super) qemu: &'a Qemu,
    pub(super) image: &'a Image,
    pub(super) store: Option<&'a Store>,
    pub(super) teller: &'a Teller,
    /// What has become of each template that was asked for; whoever comes first makes it.
    made: Mutex<HashMap<Template, Arc<OnceCell<Made<'a>>>>>,
    /// One template at a time is made; they build on each other. True once it is known that this QEMU can save no guest,
    /// whatever its template; a note has said so.
    making: tokio::sync::Mutex<bool>,
}

/// What has become of a template.
#[derive(Clone)]
enum Made<'a> {
    /// Guests are cloned from it.
    Cached(&'a Store, Arc<snapshot::Snapshot>),
    /// It cannot be kept, so guests are booted; a note has said why.
    NotCacheable,
    /// No guest gets into this state.
    Failed(NoGuest),
}

impl<'a> Guests<'a> {
    /// Guests that boot `image` on `hardware`; without a store, each is booted.
    pub(super) fn new(
        hardware: &'a Hardware,
        qemu: &'a Qemu,
        image: &'a Image,
        store: Option<&'a Store>,
        teller: &'a Teller,
    ) -> Self {
        Self {
            hardware,
            qemu,
            image,
            store,
            teller,
            made: Mutex::default(),
            making: tokio::sync::Mutex::default(),
        }
    }

    /// A guest of its own, in the state in which the case begins. One that meets a mishap on the way there is made anew, once, with
    /// a note.
    pub(super) async fn get(&self, case: &Case, evidence: Evidence<'_>) -> Result<Ready, NoGuest> {
        match self.try_to_get(case, evidence.clone()).await {
            Err(NoGuest {
                mishap: Some(mishap),
                why,
                ..
            }) => {
                self.note_loss(&format!("the guest of {}", case.id), mishap, &why);
                self.try_to_get(case, evidence).await
            }
            got => got,
        }
    }

    /// Tells that something is made once more.
    pub(super) fn note_loss(&self, what: &str, mishap: Mishap, why: &str) {
        self.teller.note(format!(
            "{what} {mishap} before the case began, and is made anew: {}",
            why.lines().next().unwrap_or_default()
        ));
    }

    async fn try_to_get(&self, case: &Case, evidence: Evidence<'_>) -> Result<Ready, NoGuest> {
        let template = &case.template;
        match self.template(case).await {
            Made::Failed(why) => Err(why),
            Made::NotCacheable => self.booted(template, evidence).await,
            Made::Cached(store, kept) => {
                let note = |text: &str| self.teller.note(text);
                let stack = template::stack(&kept)?;
                let guest = self
                    .workshop(store, &note)
                    .clone_guest(&kept, evidence)
                    .await
                    .map_err(|error| NoGuest::broken(&error))?;
                Ok(Ready {
                    guest,
                    stack,
                    isolation: Isolation::Clone,
                })
            }
        }
    }

    /// The machine of a template.
    fn machine(&self, template: &Template) -> Machine {
        guest::machine(self.image, self.hardware.accelerator, template::devices(template))
    }

    fn workshop<'b>(&'b self, store: &'b Store, note: &'b (dyn Fn(&str) + Sync)) -> Workshop<'b> {
        Workshop {
            store,
            hardware: self.hardware,
            qemu: self.qemu,
            image: self.image,
            note,
        }
    }

    /// Sees to it that the case's template is there, if it begins with one.
    pub(super) async fn prepare(&self, case: &Case) {
        self.template(case).await;
    }

    /// What became of the case's template, which is made at most once.
    async fn template(&self, case: &Case) -> Made<'a> {
        let (Isolation::Clone, Some(store)) = (case.isolation, self.store) else {
            return Made::NotCacheable;
        };
        let cell = {
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(made.entry(case.template.clone()).or_default())
        };
        cell.get_or_init(|| self.obtain(store, &case.template))
            .await
            .clone()
    }

    /// Finds the template, or makes it as a work of its own.
    async fn obtain(&self, store: &'a Store, template: &Template) -> Made<'a> {
        let mut cannot_clone = self.making.lock().await;
        if *cannot_clone {
            return Made::NotCacheable;
        }
        let machine = self.machine(template);
        let there = template::key(self.image, self.qemu, &machine, template).is_ok_and(|key| store.has(&key));
        if !there {
            let what = format!(
                "bring a guest of {} into the template {template}",
                self.image.kernel.name
            );
            self.teller.started("template", &what);
        }
        let mut made = self.make_or_explain(store, template, &mut cannot_clone).await;
        if let Made::Failed(lost) = &made
            && let Some(mishap) = lost.mishap
        {
            self.note_loss(&format!("the template {template}"), mishap, &lost.why);
            made = self.make_or_explain(store, template, &mut cannot_clone).await;
        }
        if !there {
            self.teller.finished(
                "template",
                match &made {
                    Made::Cached(..) => Ok(""),
                    Made::NotCacheable => Ok("it cannot be kept"),
                    Made::Failed(no_guest) => Err(&no_guest.why),
                },
            );
        }
        made
    }

    async fn make_or_explain(
        &self,
        store: &'a Store,
        template: &Template,
        cannot_clone: &mut bool,
    ) -> Made<'a> {
        match self.make(store, template).await {
            Ok(kept) => Made::Cached(store, Arc::new(kept)),
            Err(MakeError::Setup(error)) => Made::Failed(error.into()),
            // A guest that cannot be booted for a template cannot be booted for a case either.
            Err(MakeError::Snapshot(error @ SnapshotError::Guest { .. })) if !error.is_cannot_clone() => {
                Made::Failed(NoGuest::broken(&error))
            }
            Err(MakeError::Snapshot(error)) => {
                *cannot_clone = error.is_cannot_clone();
                let why = with_causes(&error);
                let who = if *cannot_clone {
                    "every case".to_owned()
                } else {
                    format!("every case that begins with the template {template}")
                };
                self.teller.note(format!(
                    "{who} boots a guest of its own, because that cannot be kept: {why}"
                ));
                Made::NotCacheable
            }
        }
    }

    async fn make(
        &self,
        store: &Store,
        wanted: &Template,
    ) -> Result<snapshot::Snapshot, MakeError<TemplateError>> {
        let note = |text: &str| self.teller.note(text);
        let machine = self.machine(wanted);
        let chain = template::keep(&self.workshop(store, &note), &machine, wanted).await?;
        Ok(chain.last())
    }

    async fn booted(&self, template: &Template, evidence: Evidence<'_>) -> Result<Ready, NoGuest> {
        let machine = self.machine(template);
        let guest = Guest::boot(self.hardware, &machine, self.image, evidence, BOOT_DEADLINE)
            .await
            .map_err(|error| NoGuest::broken(&error))?;
        match template::bring(&guest, &machine, template).await {
            Ok(stack) => Ok(Ready {
                guest,
                stack,
                isolation: Isolation::Boot,
            }),
            Err(error) => {
                guest.stop().await;
                Err(error.into())
            }
        }
    }
}
