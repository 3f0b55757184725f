// SPDX-License-Identifier: MIT OR Apache-2.0
//! Progress where nobody watches: a line now and then.

use std::collections::HashMap;

use super::paint::{amount, headed, percent};
use crate::EventKind;
use crate::text::one_line;

/// Work that tells how far it is gets a line for each of these steps, in per cent.
const STEP_PERCENT: u64 = 10;

/// Work that tells no end, or is slow, gets a line after this many seconds.
const STEP_SECONDS: f64 = 10.0;

/// The work under way.
#[derive(Debug, Default)]
pub(super) struct Plain {
    work: HashMap<String, Work>,
}

#[derive(Debug)]
struct Work {
    what: String,
    /// When its last line was, in seconds since the run began.
    last_line: f64,
    /// How many steps its last line was at.
    steps: u64,
}

impl Plain {
    /// The lines an event is worth, most often none. `at` is the event's own time, so this needs no clock.
    pub(super) fn lines(&mut self, at: f64, kind: &EventKind) -> String {
        match kind {
            EventKind::WorkStarted { work, what } => {
                let what = one_line(what);
                let line = headed("begin", &what);
                self.work.insert(
                    work.clone(),
                    Work {
                        what,
                        last_line: at,
                        steps: 0,
                    },
                );
                line
            }
            EventKind::WorkProgress {
                work,
                done,
                total,
                unit,
                detail,
            } => {
                let Some(work) = self.work.get_mut(work) else {
                    return String::new();
                };
                let percent = percent(*done, *total);
                let steps = percent.map_or(0, |percent| percent / STEP_PERCENT);
                // The end has a line of its own, from `WorkFinished`.
                let far = steps > work.steps && percent < Some(100);
                if !far && at - work.last_line < STEP_SECONDS {
                    return String::new();
                }
                work.last_line = at;
                work.steps = steps;
                let head = percent.map_or_else(|| "…".to_owned(), |percent| format!("{percent} %"));
                headed(
                    &head,
                    &progress(&work.what, *done, *total, unit, detail.as_deref()),
                )
            }
            EventKind::WorkFinished { work, .. } => {
                self.work.remove(work);
                String::new()
            }
            _ => String::new(),
        }
    }
}

/// How far work is, in words.
pub(super) fn progress(
    what: &str,
    done: u64,
    total: Option<u64>,
    unit: &str,
    detail: Option<&str>,
) -> String {
    let mut text = match total {
        Some(total) if unit == "B" => {
            format!("{what}: {} of {}", amount(done, unit), amount(total, unit))
        }
        Some(total) => format!("{what}: {done} of {}", amount(total, unit)),
        None => format!("{what}: {}", amount(done, unit)),
    };
    if let Some(detail) = detail.map(one_line).filter(|detail| !detail.is_empty()) {
        text = format!("{text}, {detail}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::Plain;
    use crate::EventKind;

    fn progress(done: u64, total: Option<u64>) -> EventKind {
        EventKind::WorkProgress {
            work: "w".into(),
            done,
            total,
            unit: "B".into(),
            detail: None,
        }
    }

    fn begun() -> Plain {
        let mut plain = Plain::default();
        plain.lines(
            0.0,
            &EventKind::WorkStarted {
                work: "w".into(),
                what: "fetch".into(),
            },
        );
        plain
    }

    #[test]
    fn a_thousand_steps_are_nine_lines() {
        let mut plain = begun();
        let lines: String = (0..=1000)
            .map(|n| plain.lines(1.0, &progress(n, Some(1000))))
            .collect();
        assert_eq!(lines.lines().count(), 9, "{lines}");
        assert!(lines.contains("90 %  fetch: 900 B of 1000 B"), "{lines}");
    }

    #[test]
    fn slow_work_is_heard_of_every_ten_seconds() {
        let mut plain = begun();
        let lines: String = (0..35_u32)
            .map(|n| plain.lines(f64::from(n), &progress(u64::from(n), None)))
            .collect();
        assert_eq!(lines.lines().count(), 3, "{lines}");
        assert!(plain.lines(40.0, &progress(1, Some(1000))).contains("0 %  fetch"));
    }

    #[test]
    fn unknown_work_is_no_news() {
        assert_eq!(Plain::default().lines(99.0, &progress(5, Some(10))), "");
    }
}
