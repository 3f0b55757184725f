// SPDX-License-Identifier: MIT OR Apache-2.0
//! Calls to the agent in the guest, many at once, each with a deadline.

use super::session::{Heard, Identity, Session, SessionError};
use guest_agent::AGENT_PORT;
use guest_agent::call::{Call, Failure, Request, Response};
use std::collections::HashMap;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Why a call has no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// Nothing came in time.
    #[error("the guest did not answer `{call}` within {} s", .deadline.as_secs_f64())]
    Deadline {
        /// The call's name.
        call: &'static str,
        /// The time that it had.
        deadline: Duration,
    },
    /// The session is gone.
    #[error("the SSH session ended while `{call}` was waiting: {why}")]
    Closed {
        /// The call's name.
        call: &'static str,
        /// What the session said last.
        why: String,
    },
    /// The agent could not do it.
    #[error("`{call}` failed {failure}")]
    Failed {
        /// The call's name.
        call: &'static str,
        /// What it said.
        failure: Failure,
    },
    /// The two sides do not understand each other: the image holds another version of the agent.
    #[error("`{call}`: cannot make sense of the agent's answer ({why})")]
    Language {
        /// The call's name.
        call: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

type Answer = Result<serde_json::Value, Failure>;

#[derive(Debug, Default)]
struct Waiting {
    calls: HashMap<u64, oneshot::Sender<Answer>>,
    closed: Option<String>,
}

/// The agent of one guest.
#[derive(Debug)]
pub struct Agent {
    session: Session,
    next: AtomicU64,
    waiting: Arc<Mutex<Waiting>>,
}

fn locked(waiting: &Mutex<Waiting>) -> MutexGuard<'_, Waiting> {
    // Nothing between lock and unlock can leave the table half changed.
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Agent {
    /// Logs in over `stream` and connects to the agent.
    pub async fn connect(
        stream: UnixStream,
        identity: Identity,
        patience: Duration,
    ) -> Result<Self, SessionError> {
        let (session, heard) = Session::start(stream, identity, AGENT_PORT, patience).await?;
        let waiting = Arc::<Mutex<Waiting>>::default();
        tokio::spawn(hand_out(heard, Arc::clone(&waiting)));
        Ok(Self {
            session,
            next: AtomicU64::new(1),
            waiting,
        })
    }

    /// Ends the connection and the session in good order, and hands back the socket, which stays open.
    pub async fn hang_up(self) -> Result<UnixStream, SessionError> {
        self.session.hang_up().await
    }

    /// Asks, and waits for the answer at most `deadline`. A late answer is dropped.
    pub async fn call<C: Call>(&self, call: C, deadline: Duration) -> Result<C::Answer, CallError> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let language = |error: serde_json::Error| CallError::Language {
            call: C::NAME,
            why: error.to_string(),
        };
        let arguments = serde_json::to_value(call).map_err(language)?;
        let mut line = serde_json::to_vec(&Request {
            id,
            call: C::NAME.to_owned(),
            arguments,
        })
        .map_err(language)?;
        line.push(b'\n');
        let (answer_there, answer) = oneshot::channel();
        {
            let mut waiting = locked(&self.waiting);
            if let Some(why) = &waiting.closed {
                return Err(CallError::Closed {
                    call: C::NAME,
                    why: why.clone(),
                });
            }
            waiting.calls.insert(id, answer_there);
        }
        self.session.say(line);
        match tokio::time::timeout(deadline, answer).await {
            Ok(Ok(Ok(value))) => serde_json::from_value(value).map_err(language),
            Ok(Ok(Err(failure))) => Err(CallError::Failed {
                call: C::NAME,
                failure,
            }),
            Ok(Err(_dropped)) => {
                let why = locked(&self.waiting).closed.clone().unwrap_or_default();
                Err(CallError::Closed { call: C::NAME, why })
            }
            Err(_elapsed) => {
                locked(&self.waiting).calls.remove(&id);
                Err(CallError::Deadline {
                    call: C::NAME,
                    deadline,
                })
            }
        }
    }
}

async fn hand_out(mut heard: mpsc::UnboundedReceiver<Heard>, waiting: Arc<Mutex<Waiting>>) {
    let why = loop {
        match heard.recv().await {
            Some(Heard::Line(line)) => match serde_json::from_str::<Response>(&line) {
                Ok(response) => {
                    if let Some(call) = locked(&waiting).calls.remove(&response.id) {
                        // The caller may have met its deadline this instant.
                        let _late = call.send(response.result);
                    }
                }
                Err(error) => break format!("the agent said {line:?}, which is no answer: {error}"),
            },
            Some(Heard::Closed(why)) => break why,
            None => break "the session's thread is gone".to_owned(),
        }
    };
    let mut waiting = locked(&waiting);
    waiting.closed = Some(why);
    waiting.calls.clear();
}
