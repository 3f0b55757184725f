// SPDX-License-Identifier: MIT OR Apache-2.0
//! Asking QEMU.

use std::fmt;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout_at};

use super::error::QmpError;
use super::event::Events;
use super::transport::{Closed, Exchange, LineLog, Obituary};

/// What a QEMU calls itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Version {
    /// Of 10.0.2, the 10.
    pub major: u32,
    /// Of 10.0.2, the 0.
    pub minor: u32,
    /// Of 10.0.2, the 2.
    pub micro: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

/// The first thing that QEMU says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// For reports. What a QEMU can do is asked of it (see `Capabilities`), not concluded from this.
    pub version: Version,
    /// The distribution's name for the build; often empty.
    pub package: String,
}

/// A negotiated connection to a QEMU monitor. Clones share it; it closes with the last one.
#[derive(Clone)]
pub struct Qmp {
    exchange: Arc<Exchange>,
    greeting: Greeting,
}

impl fmt::Debug for Qmp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Qmp")
            .field("greeting", &self.greeting)
            .finish_non_exhaustive()
    }
}

impl Qmp {
    /// Waits for QEMU's greeting at the other end of `stream` and enters command mode, all before `deadline` has passed.
    ///
    /// Must be called in a tokio runtime with time and I/O, on which the connection's tasks then run. `log` sees every
    /// line, the greeting included. `obituary` is asked for the cause when the connection ends.
    pub async fn connect(
        stream: StdUnixStream,
        log: Option<LineLog>,
        obituary: Option<Obituary>,
        deadline: Duration,
    ) -> Result<Self, QmpError> {
        let until = Instant::now() + deadline;
        stream.set_nonblocking(true).map_err(QmpError::Socket)?;
        let stream = UnixStream::from_std(stream).map_err(QmpError::Socket)?;
        let (exchange, mut events, greeted) = Exchange::start(stream, log, obituary);
        let line = match timeout_at(until, greeted).await {
            Err(_elapsed) => return Err(QmpError::NoGreeting { after: deadline }),
            Ok(Ok(line)) => line,
            Ok(Err(_ended)) => {
                // Events end when the cause of the end is known.
                let known = async { while events.next().await.is_some() {} };
                drop(timeout_at(until, known).await);
                let closed = exchange
                    .closed()
                    .unwrap_or_else(|| Closed("the connection was closed".into()));
                return Err(closed.instead_of("qmp_capabilities"));
            }
        };
        let greeting = greeting_in(&line).ok_or_else(|| QmpError::NotQmp {
            line: line.to_string().chars().take(200).collect(),
        })?;
        let qmp = Self { exchange, greeting };
        // Out-of-band execution is left off: it would let QEMU answer `id`-less errors out of order, for no gain here.
        qmp.raw(
            "qmp_capabilities",
            Value::Null,
            until.saturating_duration_since(Instant::now()),
        )
        .await?;
        Ok(qmp)
    }

    /// What QEMU said of itself.
    pub fn greeting(&self) -> &Greeting {
        &self.greeting
    }

    /// Executes a command of qapi's schema and returns its typed reply.
    ///
    /// The deadline spans sending and waiting. Dropping the future, or its running into the deadline, does not call the
    /// command back: QEMU may still execute it.
    pub async fn execute<C: qapi::Command>(
        &self,
        command: &C,
        deadline: Duration,
    ) -> Result<C::Ok, QmpError> {
        let arguments = serde_json::to_value(command).map_err(|source| QmpError::Encode {
            command: C::NAME.to_owned(),
            source,
        })?;
        let reply = self.raw(C::NAME, arguments, deadline).await?;
        serde_json::from_value(reply).map_err(|source| QmpError::Decode {
            command: C::NAME.to_owned(),
            source,
        })
    }

    /// Executes any command: for those that qapi's schema lacks or makes awkward. `arguments` is a JSON object, or `Null`
    /// for none.
    pub async fn raw(&self, name: &str, arguments: Value, deadline: Duration) -> Result<Value, QmpError> {
        let until = Instant::now() + deadline;
        let mut waiting = self
            .exchange
            .expect_answer()
            .map_err(|closed| closed.instead_of(name))?;
        let mut message = json!({ "execute": name, "id": waiting.id });
        if !arguments.is_null() {
            message["arguments"] = arguments;
        }
        self.exchange.send(message.to_string());
        match timeout_at(until, &mut waiting.answer).await {
            Err(_elapsed) => Err(QmpError::Timeout {
                command: name.to_owned(),
                after: deadline,
            }),
            Ok(Ok(Ok(Ok(reply)))) => Ok(reply),
            Ok(Ok(Ok(Err(refusal)))) => Err(QmpError::Refused {
                command: name.to_owned(),
                refusal,
            }),
            Ok(Ok(Err(closed))) => Err(closed.instead_of(name)),
            Ok(Err(_dropped)) => {
                Err(Closed("the connection to its monitor was given up".into()).instead_of(name))
            }
        }
    }

    /// Executes a command line of the human monitor and returns the text that it prints, which is empty for most commands
    /// that work; the human monitor has no notion of an error.
    pub async fn hmp(&self, command_line: &str, deadline: Duration) -> Result<String, QmpError> {
        let command = qapi::qmp::human_monitor_command {
            cpu_index: None,
            command_line: command_line.to_owned(),
        };
        self.execute(&command, deadline).await
    }

    /// Subscribes to events from now on. Subscribe *before* sending the command whose event matters.
    pub fn events(&self) -> Events {
        self.exchange.events()
    }
}

impl Closed {
    fn instead_of(&self, command: &str) -> QmpError {
        QmpError::Closed {
            command: command.to_owned(),
            cause: self.0.to_string(),
        }
    }
}

fn greeting_in(line: &Value) -> Option<Greeting> {
    let version = line.get("QMP")?.get("version")?;
    Some(Greeting {
        version: Version::deserialize(version.get("qemu")?).ok()?,
        package: version
            .get("package")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned(),
    })
}
