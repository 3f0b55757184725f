// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a victim has said so far.

use guest_agent::call::Refusal;
use guest_agent::victim::{Ended, Mapped, Reply, Report, Signal, ThreadState, Touch};
use std::collections::BTreeMap;

/// All of it.
#[derive(Default)]
pub(super) struct Heard {
    /// Its mappings; `None` for one that is unmapped.
    pub(super) mapped: Option<Vec<Option<Mapped>>>,
    pub(super) refused: Option<Refusal>,
    pub(super) trouble: Vec<String>,
    pub(super) touched: Vec<(Touch, Reply)>,
    pub(super) signals: Vec<Signal>,
    /// Replies that nobody has fetched yet, each with the number of signals that it had got by then.
    pub(super) replies: BTreeMap<u64, (Reply, usize)>,
    pub(super) threads: Vec<ThreadState>,
    pub(super) pongs: u64,
    pub(super) ended: Option<Ended>,
    /// Pings and orders are numbered alike.
    numbers: u64,
}

impl Heard {
    /// A new number for a command.
    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn note(&mut self, report: Report) {
        match report {
            Report::Mapped { mappings, .. } => {
                self.mapped = Some(mappings.into_iter().map(Some).collect());
            }
            Report::Touched { touch, reply } => self.touched.push((touch, reply)),
            Report::Signal(signal) => self.signals.push(signal),
            Report::Pong { number, threads } => {
                self.pongs = number;
                self.threads = threads;
            }
            Report::Replied { number, reply } => {
                self.replies.insert(number, (reply, self.signals.len()));
            }
            Report::Failed { what, errno } if self.mapped.is_none() => {
                self.refused = Some(Refusal { what, errno });
            }
            Report::Failed { what, errno } => self.trouble.push(format!("{what} (errno {errno})")),
        }
    }

    /// The mapping is gone.
    pub(super) fn forget_mapping(&mut self, index: usize) {
        if let Some(place) = self.mapped.as_mut().and_then(|all| all.get_mut(index)) {
            *place = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_knows_which_signals_came_before_it() {
        let mut heard = Heard::default();
        let signal = Signal {
            number: 7,
            code: 4,
            address: 0,
            at: None,
            lsb: None,
            tid: 1,
        };
        heard.note(Report::Mapped {
            pid: 1,
            mappings: Vec::new(),
        });
        heard.note(Report::Signal(signal.clone()));
        heard.note(Report::Replied {
            number: 1,
            reply: Reply::Done,
        });
        heard.note(Report::Signal(signal));
        assert_eq!(heard.replies.remove(&1), Some((Reply::Done, 1)));
        let failed = Report::Failed {
            what: "mmap".to_owned(),
            errno: 95,
        };
        heard.note(failed.clone());
        assert!(heard.refused.is_none() && heard.trouble.len() == 1);
        let mut unmapped = Heard::default();
        unmapped.note(failed);
        assert_eq!(unmapped.refused.map(|refusal| refusal.errno), Some(95));
    }
}
