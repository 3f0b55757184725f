// SPDX-License-Identifier: MIT OR Apache-2.0
//! How a run is told to end early, and what it still waits for then.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How a run is told to end early. Clones tell the same run.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    /// No case begins any more; those that run are finished and judged.
    pub politely: CancellationToken,
    /// Nothing is waited for: guests are ended, and what they were doing has no result.
    pub at_once: CancellationToken,
}

/// The cases that have begun and have no result yet.
#[derive(Debug, Default)]
pub(super) struct Running(watch::Sender<Vec<String>>);

impl Running {
    /// Counts one more case that runs.
    pub(super) fn begin(&self, case: &str) {
        self.0.send_modify(|cases| cases.push(case.to_owned()));
    }

    /// This one's result is told.
    pub(super) fn end(&self, case: &str) {
        self.0.send_modify(|cases| {
            if let Some(at) = cases.iter().position(|one| one == case) {
                cases.remove(at);
            }
        });
    }

    /// Resolves when the run is to end: at once, or politely when no case runs any more. `waiting` hears for which ones
    /// that takes time.
    pub(super) async fn ended(&self, stop: &Stop, waiting: impl FnOnce(&[String])) {
        let politely = async {
            stop.politely.cancelled().await;
            let mut cases = self.0.subscribe();
            let now = cases.borrow_and_update().clone();
            if !now.is_empty() {
                waiting(&now);
            }
            // Fails only when there is no sender, and that is ours.
            drop(cases.wait_for(Vec::is_empty).await);
        };
        tokio::select! {
            () = politely => {}
            () = stop.at_once.cancelled() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    fn is_ready(future: std::pin::Pin<&mut impl Future>) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        future.poll(&mut context).is_ready()
    }

    #[test]
    fn politely_is_when_the_last_case_has_its_result() {
        let (running, stop, heard) = (Running::default(), Stop::default(), RefCell::new(Vec::new()));
        running.begin("a");
        running.begin("b");
        let mut ended = pin!(running.ended(&stop, |cases| heard.borrow_mut().extend_from_slice(cases)));
        assert!(!is_ready(ended.as_mut()));
        stop.politely.cancel();
        assert!(!is_ready(ended.as_mut()));
        assert_eq!(*heard.borrow(), ["a", "b"]);
        running.end("a");
        assert!(!is_ready(ended.as_mut()));
        running.end("b");
        assert!(is_ready(ended.as_mut()));
    }

    #[test]
    fn with_no_case_running_there_is_nothing_to_wait_for() {
        let (running, stop) = (Running::default(), Stop::default());
        stop.politely.cancel();
        let ended = pin!(running.ended(&stop, |cases| panic!("waits for {cases:?}")));
        assert!(is_ready(ended));
    }

    #[test]
    fn at_once_is_at_once() {
        let (running, stop) = (Running::default(), Stop::default());
        running.begin("a");
        stop.politely.cancel();
        stop.at_once.cancel();
        let ended = pin!(running.ended(&stop, |_| {}));
        assert!(is_ready(ended));
    }
}
