// SPDX-License-Identifier: MIT OR Apache-2.0
//! The two tasks at our end of a QMP socket, and the table of commands that wait for an answer.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{broadcast, mpsc, oneshot};

use super::error::Refusal;
use super::event::{Events, QmpEvent};
use super::line::read_line;

/// Which way a line went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// What QEMU said.
    In,
    /// What QEMU was told.
    Out,
}

/// Sees every line of a conversation, without its end, as it passes: evidence. Called from the transport's tasks, so it
/// must not block for long.
pub type LineLog = Arc<dyn Fn(Direction, &str) + Send + Sync>;

/// Resolves to what QEMU died of. Asked once the connection ends, so that whoever waited for an answer learns the cause
/// and not just the symptom.
pub type Obituary = Pin<Box<dyn Future<Output = String> + Send>>;

/// How long the obituary may take. QEMU closes its sockets a moment before it can be reaped.
const OBITUARY_PATIENCE: Duration = Duration::from_secs(1);

/// Events that may pile up for a slow subscriber.
const EVENT_BACKLOG: usize = 1024;

/// An answer, in so far as all answers are alike.
pub(super) type Answer = Result<Value, Refusal>;

/// The part of a connection that its tasks and its users share.
pub(super) struct Exchange {
    state: Mutex<State>,
    /// Weak: events end when the reader, which holds the strong one, ends.
    events: broadcast::WeakSender<QmpEvent>,
    outgoing: mpsc::UnboundedSender<String>,
    tasks: Mutex<Vec<tokio::task::AbortHandle>>,
}

enum State {
    Open {
        next_id: u64,
        waiting: HashMap<u64, oneshot::Sender<Result<Answer, Closed>>>,
    },
    Closed(Closed),
}

/// The reason why a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Closed(pub(super) Arc<str>);

/// A place in the table; leaving it takes the entry out, whoever gave up on the answer and for whatever reason.
pub(super) struct Waiting<'a> {
    exchange: &'a Exchange,
    pub(super) id: u64,
    pub(super) answer: oneshot::Receiver<Result<Answer, Closed>>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let State::Open { waiting, .. } = &mut *self.exchange.lock() {
            waiting.remove(&self.id);
        }
    }
}

impl Exchange {
    /// Starts the tasks. The greeting is reported through the oneshot: it is the only line that is neither an answer
    /// nor an event.
    pub(super) fn start(
        stream: UnixStream,
        log: Option<LineLog>,
        obituary: Option<Obituary>,
    ) -> (Arc<Self>, Events, oneshot::Receiver<Value>) {
        let (incoming, write) = stream.into_split();
        let (outgoing, lines) = mpsc::unbounded_channel();
        let (events, first_subscriber) = broadcast::channel(EVENT_BACKLOG);
        let exchange = Arc::new(Self {
            state: Mutex::new(State::Open {
                next_id: 1,
                waiting: HashMap::new(),
            }),
            events: events.downgrade(),
            outgoing,
            tasks: Mutex::new(Vec::new()),
        });
        let (greeting, greeted) = oneshot::channel();
        let table = Arc::downgrade(&exchange);
        let reader_log = log.clone();
        let reader = tokio::spawn(async move {
            let receive = |line: &str, greeting: &mut Option<oneshot::Sender<Value>>| {
                if let Some(exchange) = table.upgrade() {
                    exchange.receive(line, &events, greeting);
                }
            };
            let end = read(incoming, reader_log, greeting, receive).await;
            let cause = cause_of(end, obituary).await;
            if let Some(exchange) = table.upgrade() {
                exchange.close(&cause);
            }
        });
        let writer = tokio::spawn(write_all(write, lines, log));
        *exchange.tasks.lock().unwrap_or_else(PoisonError::into_inner) =
            vec![reader.abort_handle(), writer.abort_handle()];
        (exchange, Events::new(first_subscriber), greeted)
    }

    /// Makes a place for the answer to a command that is about to be sent.
    pub(super) fn expect_answer(&self) -> Result<Waiting<'_>, Closed> {
        match &mut *self.lock() {
            State::Closed(closed) => Err(closed.clone()),
            State::Open { next_id, waiting } => {
                let id = *next_id;
                *next_id += 1;
                let (sender, answer) = oneshot::channel();
                waiting.insert(id, sender);
                Ok(Waiting {
                    exchange: self,
                    id,
                    answer,
                })
            }
        }
    }

    /// Queues a line. If the connection has ended, the end itself answers whoever waits.
    pub(super) fn send(&self, line: String) {
        // Fails only when the writer is gone, which a write error did; the reader meets the same end and reports it.
        drop(self.outgoing.send(line));
    }

    pub(super) fn events(&self) -> Events {
        let receiver = match self.events.upgrade() {
            Some(sender) => sender.subscribe(),
            // A channel without a sender: the subscriber sees the end at once.
            None => broadcast::channel(1).1,
        };
        Events::new(receiver)
    }

    /// Why the connection has ended, if it has.
    pub(super) fn closed(&self) -> Option<Closed> {
        match &*self.lock() {
            State::Closed(closed) => Some(closed.clone()),
            State::Open { .. } => None,
        }
    }

    fn receive(
        &self,
        line: &str,
        events: &broadcast::Sender<QmpEvent>,
        greeting: &mut Option<oneshot::Sender<Value>>,
    ) {
        // A line that is no JSON is nothing that anybody waits for; the log has it.
        let Ok(message) = serde_json::from_str::<Value>(line) else {
            return;
        };
        if let Some(event) = QmpEvent::from_line(&message) {
            // An error says that nobody listens, which is everybody's right.
            drop(events.send(event));
        } else if message.get("QMP").is_some() {
            if let Some(greeting) = greeting.take() {
                drop(greeting.send(message));
            }
        } else if let Some(id) = message.get("id").and_then(Value::as_u64) {
            self.answer(id, answer_in(message));
        }
    }

    fn answer(&self, id: u64, answer: Answer) {
        let State::Open { waiting, .. } = &mut *self.lock() else {
            return;
        };
        // No entry: the answer to a command that nobody waits for any more.
        if let Some(sender) = waiting.remove(&id) {
            drop(sender.send(Ok(answer)));
        }
    }

    fn close(&self, cause: &str) {
        let closed = Closed(cause.into());
        let before = std::mem::replace(&mut *self.lock(), State::Closed(closed.clone()));
        if let State::Open { waiting, .. } = before {
            for sender in waiting.into_values() {
                drop(sender.send(Err(closed.clone())));
            }
        }
    }

    /// The state; no code panics while holding the lock, and if it did the table would still be whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        for task in self
            .tasks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .drain(..)
        {
            task.abort();
        }
    }
}

/// Passes lines on until there are no more, and returns how that came.
async fn read(
    stream: OwnedReadHalf,
    log: Option<LineLog>,
    greeting: oneshot::Sender<Value>,
    mut receive: impl FnMut(&str, &mut Option<oneshot::Sender<Value>>),
) -> io::Result<()> {
    let mut stream = BufReader::with_capacity(64 << 10, stream);
    let mut greeting = Some(greeting);
    let mut line = Vec::new();
    while read_line(&mut stream, &mut line).await? {
        // QEMU escapes all but ASCII; anything else is noise, and may be shown as such.
        let line = String::from_utf8_lossy(&line);
        let line = line.trim_end_matches('\r');
        if let Some(log) = &log {
            log(Direction::In, line);
        }
        receive(line, &mut greeting);
    }
    Ok(())
}

/// Writes whole lines, in order. One task does it all, so that a caller who gives up in the middle tears no line.
async fn write_all(
    mut stream: OwnedWriteHalf,
    mut lines: mpsc::UnboundedReceiver<String>,
    log: Option<LineLog>,
) {
    while let Some(mut line) = lines.recv().await {
        if let Some(log) = &log {
            log(Direction::Out, &line);
        }
        line.push('\n');
        if stream.write_all(line.as_bytes()).await.is_err() {
            // The reader meets the end of the same socket, and tells.
            return;
        }
    }
}

/// Why the connection ended, from QEMU's side if that can be learnt.
async fn cause_of(end: io::Result<()>, obituary: Option<Obituary>) -> String {
    if let Some(obituary) = obituary
        && let Ok(cause) = tokio::time::timeout(OBITUARY_PATIENCE, obituary).await
    {
        return cause;
    }
    match end {
        Ok(()) => "the connection to its monitor was closed".to_owned(),
        // What a QEMU that exits with unread input leaves behind: an ordinary end.
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
            "the connection to its monitor was reset".to_owned()
        }
        Err(error) => format!("the connection to its monitor failed: {error}"),
    }
}

fn answer_in(mut message: Value) -> Answer {
    if let Some(error) = message.get("error") {
        let text = |key: &str| {
            error
                .get(key)
                .and_then(Value::as_str)
                .unwrap_or("(nothing)")
                .to_owned()
        };
        return Err(Refusal {
            class: text("class"),
            description: text("desc"),
        });
    }
    Ok(message.get_mut("return").map_or(Value::Null, Value::take))
}
