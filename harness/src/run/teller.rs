// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where a run's events are made: whatever happens is told here, and nowhere else.

use reports::{Event, EventKind, Reader, Readers, WorkOutcome};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Stamps events and hands them to their readers, in one order for all of them.
pub struct Teller {
    start: Instant,
    inner: Mutex<Inner>,
}

struct Inner {
    readers: Readers,
    work: HashMap<String, Instant>,
}

impl Teller {
    /// A teller for these readers; the clock starts now.
    pub fn new(readers: Readers) -> Self {
        Self {
            start: Instant::now(),
            inner: Mutex::new(Inner {
                readers,
                work: HashMap::new(),
            }),
        }
    }

    /// Tells one event.
    pub fn tell(&self, kind: EventKind) {
        self.lock().tell(self.start, kind);
    }

    /// Tells something worth a line of its own.
    pub fn note(&self, text: impl Into<String>) {
        self.tell(EventKind::Note { text: text.into() });
    }

    /// Seconds since the run began.
    pub fn elapsed(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }

    /// Lets every reader finish; the first trouble that one of them had is the answer.
    pub fn finish(&self) -> Result<(), reports::Error> {
        self.lock().readers.finish()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Readers remember their own trouble; a panic in one is no reason to silence the others.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn tell(&mut self, start: Instant, kind: EventKind) {
        self.readers.event(&Event {
            at: start.elapsed().as_secs_f64(),
            kind,
        });
    }
}

impl guest_images::Progress for Teller {
    fn started(&self, work: &str, what: &str) {
        let mut inner = self.lock();
        inner.work.insert(work.to_owned(), Instant::now());
        inner.tell(
            self.start,
            EventKind::WorkStarted {
                work: work.to_owned(),
                what: what.to_owned(),
            },
        );
    }

    fn advanced(&self, work: &str, done: u64, total: Option<u64>, unit: &str) {
        self.tell(EventKind::WorkProgress {
            work: work.to_owned(),
            done,
            total,
            unit: unit.to_owned(),
            detail: None,
        });
    }

    fn finished(&self, work: &str, outcome: Result<&str, &str>) {
        let mut inner = self.lock();
        let seconds = inner
            .work
            .remove(work)
            .map_or(0.0, |start| start.elapsed().as_secs_f64());
        let outcome = match outcome {
            Ok(text) => WorkOutcome::Ok(text.to_owned()),
            Err(text) => WorkOutcome::Error(text.to_owned()),
        };
        inner.tell(
            self.start,
            EventKind::WorkFinished {
                work: work.to_owned(),
                seconds,
                outcome,
            },
        );
    }

    fn note(&self, text: &str) {
        Self::note(self, text);
    }
}
