// SPDX-License-Identifier: MIT OR Apache-2.0
//! The state of a stopped guest, to a file and back.
//!
//! QEMU's migration with the capability `x-ignore-shared` leaves out memory that is shared with a file, for that file
//! *is* the memory: what remains are the devices, a third of a MiB. The capability is marked unstable, so it is
//! looked for, and its absence is an answer ([`CannotClone`]), not an accident.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::capabilities::Capabilities;
use super::qmp::{Events, Qmp, QmpError};

/// The capability that leaves shared memory out of the stream.
const IGNORE_SHARED: &str = "x-ignore-shared";
/// For commands that are answered at once.
const PROMPT: Duration = Duration::from_secs(10);

/// How the stream gets into a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// QEMU opens the file itself: from 8.2 on.
    File,
    /// A shell that QEMU starts does: before that.
    Exec,
}

/// How a QEMU can save and restore.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cloning {
    /// Its way into a file.
    pub route: Route,
    /// Whether a clone's memory files can be opened for reading only: from 8.2 on.
    pub sealed: bool,
}

/// This QEMU cannot clone guests.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "this QEMU cannot save a guest without copying its memory: its migration lacks the capability {IGNORE_SHARED}"
)]
pub struct CannotClone;

impl Cloning {
    /// What `capabilities` allow.
    pub fn of(capabilities: &Capabilities) -> Result<Self, CannotClone> {
        let capability = ["capabilities", "capability"];
        if !capabilities.accepts("migrate-set-capabilities", &capability, IGNORE_SHARED) {
            return Err(CannotClone);
        }
        let transport = ["channels", "addr", "transport"];
        let to_file = ["migrate", "migrate-incoming"]
            .iter()
            .all(|command| capabilities.accepts(command, &transport, "file"));
        Ok(Self {
            route: if to_file { Route::File } else { Route::Exec },
            // Only memory-backend-file has it, so that the many variants of object-add need not be told apart.
            sealed: capabilities.has_argument("object-add", &["rom"]),
        })
    }
}

/// Why a guest's state was not saved or restored.
#[derive(Debug, thiserror::Error)]
pub enum MigrationError {
    /// QEMU refused a command, or is gone.
    #[error("cannot {what} the guest's state")]
    Qmp {
        /// `save` or `restore`.
        what: &'static str,
        /// The cause.
        #[source]
        source: QmpError,
    },
    /// It began, and failed.
    #[error("QEMU could not {what} the guest's state ({path}): {why}")]
    Failed {
        /// `save` or `restore`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// QEMU's words.
        why: String,
    },
    /// It began, and did not end.
    #[error("QEMU did not {what} the guest's state within {} s ({path}); it says: {status}", .after.as_secs_f32())]
    Timeout {
        /// `save` or `restore`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The deadline that passed.
        after: Duration,
        /// What `query-migrate` says.
        status: String,
    },
    /// QMP is JSON, and JSON is Unicode.
    #[error("the path {} is no UTF-8, so QEMU cannot be told it", .0.display())]
    Path(PathBuf),
}

#[derive(Clone, Copy)]
enum Direction {
    Out,
    In,
}

impl Direction {
    fn what(self) -> &'static str {
        match self {
            Self::Out => "save",
            Self::In => "restore",
        }
    }

    fn command(self) -> &'static str {
        match self {
            Self::Out => "migrate",
            Self::In => "migrate-incoming",
        }
    }
}

/// Stops the guest and writes the state of its devices to `path`. Its memory is in its files once QEMU has ended.
pub async fn save(qmp: &Qmp, route: Route, path: &Path, deadline: Duration) -> Result<(), MigrationError> {
    let until = Instant::now() + deadline;
    command(qmp, Direction::Out, "stop", Value::Null).await?;
    transfer(qmp, Direction::Out, route, path, (until, deadline)).await
}

/// Brings a guest that was started with [`Start::Restore`](super::Start::Restore) into the state at `path`, and lets it run.
pub async fn restore(qmp: &Qmp, route: Route, path: &Path, deadline: Duration) -> Result<(), MigrationError> {
    let until = Instant::now() + deadline;
    transfer(qmp, Direction::In, route, path, (until, deadline)).await?;
    command(qmp, Direction::In, "cont", Value::Null).await
}

async fn command(
    qmp: &Qmp,
    direction: Direction,
    name: &str,
    arguments: Value,
) -> Result<(), MigrationError> {
    qmp.raw(name, arguments, PROMPT)
        .await
        .map(drop)
        .map_err(|source| MigrationError::Qmp {
            what: direction.what(),
            source,
        })
}

async fn transfer(
    qmp: &Qmp,
    direction: Direction,
    route: Route,
    path: &Path,
    (until, deadline): (Instant, Duration),
) -> Result<(), MigrationError> {
    let address = address(direction, route, path)?;
    let capabilities = json!({ "capabilities": [
        { "capability": IGNORE_SHARED, "state": true },
        { "capability": "events", "state": true },
    ]});
    command(qmp, direction, "migrate-set-capabilities", capabilities).await?;
    let mut events = qmp.events();
    command(qmp, direction, direction.command(), address).await?;
    let ended = timeout_at(until, outcome(&mut events)).await;
    if let Ok(Some(true)) = ended {
        return Ok(());
    }
    let reply = qmp
        .raw("query-migrate", Value::Null, PROMPT)
        .await
        .map_err(|source| MigrationError::Qmp {
            what: direction.what(),
            source,
        })?;
    let text = |key| reply.get(key).and_then(Value::as_str);
    let status = text("status").unwrap_or("nothing");
    match (ended, status) {
        (_, "completed") => Ok(()),
        (Err(_elapsed), _) => Err(MigrationError::Timeout {
            what: direction.what(),
            path: path.to_owned(),
            after: deadline,
            status: status.to_owned(),
        }),
        _ => Err(MigrationError::Failed {
            what: direction.what(),
            path: path.to_owned(),
            why: text("error-desc").unwrap_or(status).to_owned(),
        }),
    }
}

/// Whether it succeeded; `None` when the connection ended first.
async fn outcome(events: &mut Events) -> Option<bool> {
    while let Some(event) = events.next().await {
        if event.name == "MIGRATION" {
            match event.data.get("status").and_then(Value::as_str) {
                Some("completed") => return Some(true),
                Some("failed" | "cancelled") => return Some(false),
                _ => {}
            }
        }
    }
    None
}

/// The arguments that name the file.
fn address(direction: Direction, route: Route, path: &Path) -> Result<Value, MigrationError> {
    let name = path
        .to_str()
        .ok_or_else(|| MigrationError::Path(path.to_owned()))?;
    Ok(match route {
        // Not the URI `file:`, in which a path that contains ",offset=" means another file.
        Route::File => json!({ "channels": [{
            "channel-type": "main",
            "addr": { "transport": "file", "filename": name, "offset": 0 },
        }]}),
        Route::Exec => {
            let redirection = match direction {
                Direction::Out => '>',
                Direction::In => '<',
            };
            json!({ "uri": format!("exec:exec cat {redirection} {}", quoted(name)) })
        }
    })
}

/// One word for a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests;
