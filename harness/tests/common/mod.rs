// SPDX-License-Identifier: MIT OR Apache-2.0
//! Real guests for tests: the user's cache, runs that are listened to, and templates in the way that runs make them.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(
    clippy::unwrap_used,
    reason = "a test's helper functions fail like the test itself"
)]

pub(crate) mod workbench;

use guest_images::{Cache, KernelSpec};
use harness::run::{CASE_DEADLINE, Request, Stop, Teller, run};
use reports::{CaseResult, Event, EventKind, Reader, Readers};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use testcases::{Case, CaseId, Isolation};

/// The user's.
pub(crate) fn cache() -> Cache {
    Cache::open(std::env::var_os("TASTER_CACHE").map(PathBuf::from)).unwrap()
}

/// The QEMU that the user has chosen, if any.
pub(crate) fn chosen_qemu() -> Option<PathBuf> {
    std::env::var_os("TASTER_QEMU").map(PathBuf::from)
}

fn cases_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testcases/cases")
}

/// The text of one of our own cases, for example of `data/shared-block`.
pub(crate) fn text_of(case: &str) -> String {
    std::fs::read_to_string(cases_folder().join(format!("{case}.yaml"))).unwrap()
}

/// A case that reads so, under a name of its own.
pub(crate) fn parsed(name: &str, text: &str) -> Case {
    let path = PathBuf::from(format!("cases/{name}.yaml"));
    let id = CaseId::from_path(&path, Path::new("cases")).unwrap();
    testcases::parse(text, &path, id).unwrap_or_else(|faults| panic!("{faults}"))
}

/// One of our own cases.
pub(crate) fn own_case(name: &str) -> Case {
    parsed(name, &text_of(name))
}

/// These cases on the default kernel, with evidence in `out`.
pub(crate) fn request(cases: Vec<Case>, isolation: Isolation, out: &Path) -> Request {
    Request {
        cases,
        kernels: vec![KernelSpec::default_kernel().unwrap()],
        qemu: chosen_qemu(),
        accelerator: None,
        isolation,
        jobs: None,
        shuffle: None,
        case_deadline: CASE_DEADLINE,
        run_deadline: None,
        out: out.to_owned(),
        cache: cache(),
        command: Vec::new(),
    }
}

/// What a run has told.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) results: Vec<CaseResult>,
    pub(crate) notes: Vec<String>,
}

impl Told {
    /// The notes that contain `words`.
    pub(crate) fn notes_with(&self, words: &str) -> Vec<&String> {
        self.notes.iter().filter(|note| note.contains(words)).collect()
    }
}

#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Told>>);

impl Reader for Listener {
    fn event(&mut self, event: &Event) {
        let mut told = self.0.lock().unwrap();
        match &event.kind {
            EventKind::CaseFinished { result } => told.results.push((**result).clone()),
            EventKind::Note { text } => told.notes.push(text.clone()),
            _ => {}
        }
    }

    fn finish(&mut self) -> Result<(), reports::Error> {
        Ok(())
    }
}

/// Runs it to its end and listens.
pub(crate) fn listened(request: Request) -> Told {
    let listener = Listener::default();
    let teller = Arc::new(Teller::new(Readers::new().with(listener.clone())));
    tokio::runtime::Runtime::new()
        .unwrap()
        .block_on(run(request, teller, Stop::default()))
        .unwrap();
    let mut told = std::mem::take(&mut *listener.0.lock().unwrap());
    // Told as they end; which guest was quicker is no property of a run.
    told.results.sort_by(|one, other| one.case.cmp(&other.case));
    told
}
