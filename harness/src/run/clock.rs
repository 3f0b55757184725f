// SPDX-License-Identifier: MIT OR Apache-2.0
//! Our own clock: whether this process, or the machine below it, stood still for a while.
//!
//! Whoever is stopped (Ctrl-Z, a suspended laptop, a paused virtual machine) sees deadlines pass that nobody could keep, and so
//! does the guest. None of that is the kernel's doing.

use nix::time::{ClockId, clock_gettime};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How often the clock beats.
const BEAT: Duration = Duration::from_secs(1);

/// By how much a beat may be late on a machine that is only busy.
const LATE: Duration = Duration::from_secs(10);

/// Beats until it is dropped.
#[derive(Debug)]
pub(super) struct Clock {
    beats: Arc<Mutex<Beats>>,
    /// Dropped with the clock, which ends its thread.
    _end: mpsc::Sender<()>,
}

/// A moment, counted from the host's boot, also through its suspension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(Duration);

impl Moment {
    /// Now.
    pub(super) fn now() -> Self {
        // Linux knows this clock since 2.6.39; it cannot fail with a valid pointer.
        clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(Self(Duration::ZERO), |time| Self(time.into()))
    }
}

/// What the beats have shown.
#[derive(Debug)]
struct Beats {
    last: Moment,
    /// When each standstill ended, and how long it was.
    standstills: Vec<(Moment, Duration)>,
}

impl Beats {
    fn beat(&mut self, now: Moment) {
        if let Some(standstill) = self.standstill(now) {
            self.standstills.push((now, standstill));
        }
        self.last = now;
    }

    /// The standstill that ends with a beat at this moment.
    fn standstill(&self, now: Moment) -> Option<Duration> {
        let since = now.0.saturating_sub(self.last.0);
        (since > BEAT + LATE).then_some(since)
    }

    /// The longest standstill that ended after `since`, also one that ends just now.
    fn longest(&self, since: Moment, now: Moment) -> Option<Duration> {
        let ended = self.standstills.iter().filter(|(end, _)| *end > since);
        ended.map(|(_, length)| *length).chain(self.standstill(now)).max()
    }
}

impl Clock {
    /// Begins to beat. Fails when no thread can be started.
    pub(super) fn start() -> std::io::Result<Self> {
        let beats = Arc::new(Mutex::new(Beats {
            last: Moment::now(),
            standstills: Vec::new(),
        }));
        let (end, ended) = mpsc::channel::<()>();
        let ours = Arc::clone(&beats);
        thread::Builder::new().name("clock".to_owned()).spawn(move || {
            while ended.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                ours.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .beat(Moment::now());
            }
        })?;
        Ok(Self { beats, _end: end })
    }

    /// Why nothing that took time since then is the kernel's doing: for how long we stood still. `None` if we did not.
    pub(super) fn stood_still(&self, since: Moment) -> Option<String> {
        let beats = self.beats.lock().unwrap_or_else(PoisonError::into_inner);
        let longest = beats.longest(since, Moment::now())?;
        Some(format!(
            "this machine, or Taster on it, stood still for {} s while the case ran (stopped, suspended, or paused), so that no \
             deadline meant anything; run the case again",
            longest.as_secs()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    #[test]
    fn a_beat_that_is_much_too_late_is_a_standstill_of_the_cases_that_ran_then() {
        let mut beats = Beats {
            last: at(100),
            standstills: Vec::new(),
        };
        for second in [101, 102, 109, 110] {
            beats.beat(at(second));
        }
        // Seven seconds late is a busy machine.
        assert_eq!(beats.longest(at(0), at(111)), None);
        beats.beat(at(180));
        assert_eq!(beats.longest(at(105), at(181)), Some(Duration::from_secs(70)));
        // A case that began later has nothing to do with it.
        assert_eq!(beats.longest(at(181), at(182)), None);
        // The case may be asked before the clock beats again.
        assert_eq!(beats.longest(at(181), at(300)), Some(Duration::from_secs(120)));
    }
}
