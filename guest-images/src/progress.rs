// SPDX-License-Identifier: MIT OR Apache-2.0
//! How long work says what it is doing; who draws it is not known here.

/// Receives what the long work of this crate says of itself.
///
/// `work` is a short, stable word that ties the calls of one piece of work together (`fetch kernel`); pieces may
/// overlap when several images are prepared at once.
pub trait Progress: Send + Sync {
    /// A piece of work begins; `what` is what it is done to, for people.
    fn started(&self, work: &str, what: &str);
    /// `done` of `total` (if that is known), both in `unit`.
    fn advanced(&self, work: &str, done: u64, total: Option<u64>, unit: &str);
    /// The work ended; either side is a sentence for people, and may be empty.
    fn finished(&self, work: &str, outcome: Result<&str, &str>);
    /// Whether the user still wants the work to be done. Asked between two lines of a build; a build that is not wanted any
    /// more is ended, and so is its work, as a failure.
    fn is_wanted(&self) -> bool {
        true
    }
    /// Something worth a line of its own: a damaged entry rebuilt, another run waited for.
    fn note(&self, text: &str);
}

/// Says nothing, for tests and for callers that show nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn started(&self, _work: &str, _what: &str) {}
    fn advanced(&self, _work: &str, _done: u64, _total: Option<u64>, _unit: &str) {}
    fn finished(&self, _work: &str, _outcome: Result<&str, &str>) {}
    fn note(&self, _text: &str) {}
}

/// Runs `job` between `started` and `finished`.
pub(crate) fn piece_of_work<T>(
    progress: &dyn Progress,
    work: &str,
    what: &str,
    job: impl FnOnce() -> Result<T, crate::Error>,
) -> Result<T, crate::Error> {
    progress.started(work, what);
    let outcome = job();
    match &outcome {
        Ok(_) => progress.finished(work, Ok("")),
        // The error itself goes to the caller; here its first line will do.
        Err(error) => progress.finished(work, Err(error.to_string().lines().next().unwrap_or_default())),
    }
    outcome
}
