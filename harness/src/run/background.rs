// SPDX-License-Identifier: MIT OR Apache-2.0
//! Blocking work beside the run.

/// Runs `job` where it may block. A panic in it goes on here.
///
/// The pool's thread lives at least as long as the job, which waits for every child that it starts: so although
/// `PR_SET_PDEATHSIG` counts threads and not processes, no child is killed before its time.
pub(super) async fn in_background<T: Send + 'static>(job: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(job).await {
        Ok(answer) => answer,
        // Blocking jobs are never aborted, so this is a panic.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
