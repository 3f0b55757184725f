// SPDX-License-Identifier: MIT OR Apache-2.0
//! A QEMU of the tests' own making, at the other end of a socket pair.

use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::{LineLog, Obituary, Qmp, QmpError};

pub(in crate::qemu) const SECOND: Duration = Duration::from_secs(1);

const GREETING: &str = r#"{"QMP": {"version": {"qemu": {"micro": 2, "minor": 0, "major": 10}, "package": "Debian"}, "capabilities": ["oob", "telepathy"]}}"#;

/// The scripted end.
pub(in crate::qemu) struct Peer(BufReader<UnixStream>);

/// A command as the peer received it.
pub(in crate::qemu) struct Received {
    pub(in crate::qemu) name: String,
    pub(in crate::qemu) arguments: Value,
    pub(in crate::qemu) id: Value,
}

impl Peer {
    /// A peer that has not said anything, and the client's end.
    pub(in crate::qemu) fn silent() -> (Self, StdUnixStream) {
        let (ours, theirs) = StdUnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (Self(BufReader::new(UnixStream::from_std(ours).unwrap())), theirs)
    }

    /// A peer that has been negotiated with.
    pub(in crate::qemu) async fn connected() -> (Qmp, Self) {
        let (qmp, peer) = Self::negotiated(None, None).await;
        (qmp.unwrap(), peer)
    }

    pub(in crate::qemu) async fn negotiated(
        log: Option<LineLog>,
        obituary: Option<Obituary>,
    ) -> (Result<Qmp, QmpError>, Self) {
        let (mut peer, stream) = Self::silent();
        let script = async {
            peer.say(GREETING).await;
            peer.answer("qmp_capabilities", json!({})).await;
        };
        let (qmp, ()) = tokio::join!(Qmp::connect(stream, log, obituary, SECOND), script);
        (qmp, peer)
    }

    pub(in crate::qemu) async fn say(&mut self, line: &str) {
        self.say_bytes(format!("{line}\r\n").as_bytes()).await;
    }

    pub(in crate::qemu) async fn say_bytes(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).await.unwrap();
    }

    pub(in crate::qemu) async fn event(&mut self, name: &str, data: impl Into<Value>) {
        let data = data.into();
        let timestamp = json!({ "seconds": 1, "microseconds": 2 });
        self.say(&json!({ "event": name, "data": data, "timestamp": timestamp }).to_string())
            .await;
    }

    pub(in crate::qemu) async fn hear(&mut self) -> Received {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        let mut message: Value = serde_json::from_str(&line).unwrap();
        Received {
            name: message["execute"].as_str().unwrap().to_owned(),
            arguments: message["arguments"].take(),
            id: message["id"].take(),
        }
    }

    pub(in crate::qemu) async fn reply(&mut self, id: &Value, value: impl Into<Value>) {
        let value = value.into();
        self.say(&json!({ "return": value, "id": id }).to_string()).await;
    }

    /// Expects the command `name` next, and answers it. Returns its arguments.
    pub(in crate::qemu) async fn answer(&mut self, name: &str, value: impl Into<Value>) -> Value {
        let command = self.hear().await;
        assert_eq!(command.name, name);
        self.reply(&command.id, value).await;
        command.arguments
    }

    /// Waits until the client closes the connection.
    pub(in crate::qemu) async fn end(&mut self) {
        let mut rest = Vec::new();
        tokio::time::timeout(
            SECOND,
            tokio::io::AsyncReadExt::read_to_end(&mut self.0, &mut rest),
        )
        .await
        .unwrap()
        .unwrap();
    }
}
