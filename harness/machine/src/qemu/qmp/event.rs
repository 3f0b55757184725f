// SPDX-License-Identifier: MIT OR Apache-2.0
//! Events: what QEMU says without having been asked.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokio::sync::broadcast;

/// One event, whether or not anybody has heard of its kind before.
#[derive(Debug, Clone)]
pub struct QmpEvent {
    /// For example `SHUTDOWN`.
    pub name: String,
    /// The event's data as sent; `Null` if it has none.
    pub data: Value,
    /// The host's clock when QEMU sent it; `None` if QEMU could not read its clock (it then sends -1).
    pub timestamp: Option<SystemTime>,
    /// The same, typed; `None` if qapi's schema lacks the event or one of the values in it.
    pub typed: Option<qapi::qmp::Event>,
}

impl QmpEvent {
    /// Reads a decoded line; `None` if it is not an event.
    pub(super) fn from_line(line: &Value) -> Option<Self> {
        let name = line.get("event")?.as_str()?.to_owned();
        let data = line.get("data").cloned().unwrap_or(Value::Null);
        Some(Self {
            typed: typed(&name, &data),
            timestamp: line.get("timestamp").and_then(timestamp),
            name,
            data,
        })
    }
}

/// The event as qapi knows it. The timestamp is replaced: qapi refuses a negative one and shows none to its reader.
fn typed(name: &str, data: &Value) -> Option<qapi::qmp::Event> {
    let mut event = json!({ "event": name, "timestamp": { "seconds": 0, "microseconds": 0 } });
    if !data.is_null() {
        event["data"] = data.clone();
    }
    serde_json::from_value(event).ok()
}

fn timestamp(value: &Value) -> Option<SystemTime> {
    let seconds = value.get("seconds")?.as_u64()?;
    let microseconds = value.get("microseconds")?.as_u64()?;
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_secs(seconds))?
        .checked_add(Duration::from_micros(microseconds))
}

/// The events since the subscription, in order.
#[derive(Debug)]
pub struct Events {
    receiver: broadcast::Receiver<QmpEvent>,
}

impl Events {
    pub(super) fn new(receiver: broadcast::Receiver<QmpEvent>) -> Self {
        Self { receiver }
    }

    /// The next event, or `None` once the connection has ended.
    ///
    /// A subscriber that lets more than a thousand events pile up loses the oldest of them; the line log has them all.
    /// Can be dropped and called again without losing an event.
    pub async fn next(&mut self) -> Option<QmpEvent> {
        loop {
            match self.receiver.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// An event that has already arrived, if there is one.
    pub fn try_next(&mut self) -> Option<QmpEvent> {
        loop {
            match self.receiver.try_recv() {
                Ok(event) => return Some(event),
                Err(broadcast::error::TryRecvError::Lagged(_)) => {}
                Err(broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed) => {
                    return None;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_event_is_typed_even_without_a_clock() {
        let event = QmpEvent::from_line(&json!({
            "event": "STOP", "timestamp": { "seconds": -1, "microseconds": -1 }
        }))
        .unwrap();
        assert!(matches!(event.typed, Some(qapi::qmp::Event::STOP { .. })));
        assert_eq!(event.timestamp, None);
    }

    #[test]
    fn an_unknown_value_costs_the_type_only() {
        let data = json!({ "guest": true, "reason": "bored" });
        let event = QmpEvent::from_line(&json!({
            "event": "SHUTDOWN", "data": data, "timestamp": { "seconds": 5, "microseconds": 250_000 }
        }))
        .unwrap();
        assert!(event.typed.is_none());
        assert_eq!((event.name.as_str(), &event.data), ("SHUTDOWN", &data));
        assert_eq!(
            event.timestamp,
            Some(SystemTime::UNIX_EPOCH + Duration::from_millis(5250))
        );
    }

    #[test]
    fn a_reply_is_no_event() {
        assert!(QmpEvent::from_line(&json!({ "return": {}, "id": 1 })).is_none());
    }
}
