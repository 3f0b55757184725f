// SPDX-License-Identifier: MIT OR Apache-2.0
//! Progress where somebody watches: bars for work, a line with a spinner for each running case.

use std::collections::HashMap;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::plain::progress;
use crate::EventKind;
use crate::text::one_line;

/// How often spinners turn.
const TICK: Duration = Duration::from_millis(120);

const SPINNER: &str = "{spinner:>10}  {elapsed:>4}  {wide_msg}";
const BAR: &str = "{spinner:>10}  {bar:20} {percent:>3} %  {wide_msg}";

/// Everything that moves. Drawn on standard error, and not at all when that is no terminal.
pub(super) struct Live {
    all: MultiProgress,
    work: HashMap<String, (ProgressBar, String)>,
    cases: HashMap<(String, String), Running>,
}

struct Running {
    line: ProgressBar,
    steps: usize,
}

impl Live {
    pub(super) fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        Self {
            all,
            work: HashMap::new(),
            cases: HashMap::new(),
        }
    }

    /// Moves what an event moves.
    pub(super) fn show(&mut self, kind: &EventKind) {
        match kind {
            EventKind::WorkStarted { work, what } => {
                let what = one_line(what);
                let line = self.spinner(&what);
                self.work.insert(work.clone(), (line, what));
            }
            EventKind::WorkProgress {
                work,
                done,
                total,
                unit,
                detail,
            } => {
                let Some((line, what)) = self.work.get(work) else {
                    return;
                };
                if let Some(total) = total {
                    if line.length() != Some(*total) {
                        line.set_style(style(BAR));
                        line.set_length(*total);
                    }
                    line.set_position(*done);
                }
                line.set_message(progress(what, *done, *total, unit, detail.as_deref()));
            }
            EventKind::WorkFinished { work, .. } => {
                if let Some((line, _)) = self.work.remove(work) {
                    line.finish_and_clear();
                }
            }
            EventKind::CaseStarted { case, kernel, steps } => {
                let line = self.spinner(&name(case, kernel));
                self.cases
                    .insert((case.clone(), kernel.clone()), Running { line, steps: *steps });
            }
            EventKind::StepStarted {
                case,
                kernel,
                index,
                what,
            } => {
                if let Some(Running { line, steps }) = self.cases.get(&(case.clone(), kernel.clone())) {
                    let name = name(case, kernel);
                    line.set_message(format!("{name}  {}/{steps} {}", index + 1, one_line(what)));
                }
            }
            EventKind::CaseFinished { result } => {
                let key = (result.case.clone(), result.environment.kernel.clone());
                if let Some(Running { line, .. }) = self.cases.remove(&key) {
                    line.finish_and_clear();
                }
            }
            EventKind::RunFinished { .. } => self.clear(),
            EventKind::RunStarted { .. } | EventKind::Note { .. } | EventKind::StepFinished { .. } => {}
        }
    }

    /// Takes everything away, so that nothing moves below the last line.
    pub(super) fn clear(&mut self) {
        let work = self.work.drain().map(|(_, (line, _))| line);
        let cases = self.cases.drain().map(|(_, running)| running.line);
        work.chain(cases).for_each(|line| line.finish_and_clear());
    }

    /// Does something with the bars out of the way.
    pub(super) fn aside<T>(&self, act: impl FnOnce() -> T) -> T {
        self.all.suspend(act)
    }

    fn spinner(&self, message: &str) -> ProgressBar {
        let line = self.all.add(ProgressBar::no_length());
        line.set_style(style(SPINNER));
        line.set_message(message.to_owned());
        if !line.is_hidden() {
            line.enable_steady_tick(TICK);
        }
        line
    }
}

fn name(case: &str, kernel: &str) -> String {
    format!("{}  {}", one_line(kernel), one_line(case))
}

/// A style from a template of ours. Were one of them wrong, the test below would say so; people would still see a bar.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use indicatif::ProgressStyle;

    #[test]
    fn templates_are_right() {
        for template in [super::SPINNER, super::BAR] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
