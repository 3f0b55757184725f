// SPDX-License-Identifier: MIT OR Apache-2.0
//! The transport against a peer that does what real QEMUs were seen to do, and worse.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::scripted::{Peer, SECOND};
use super::*;

#[tokio::test]
async fn the_greeting_is_read() {
    let (qmp, _peer) = Peer::connected().await;
    assert_eq!(qmp.greeting().version.to_string(), "10.0.2");
    assert_eq!(qmp.greeting().package, "Debian");
}

#[tokio::test]
async fn typed_commands_and_refusals() {
    let (qmp, mut peer) = Peer::connected().await;
    let script = async {
        peer.answer(
            "query-status",
            json!({ "status": "running", "running": true, "singlestep": false }),
        )
        .await;
        let refused = peer.hear().await;
        peer.say(
            &json!({ "id": refused.id, "error": { "class": "CommandNotFound", "desc": "what?" } })
                .to_string(),
        )
        .await;
        peer.answer("query-status", json!("on fire")).await;
    };
    let client = async {
        let status = qmp.execute(&qapi::qmp::query_status {}, SECOND).await.unwrap();
        assert_eq!(status.status, qapi::qmp::RunState::running);
        match qmp.raw("cxl-bake", json!({ "heat": 9 }), SECOND).await {
            Err(QmpError::Refused { command, refusal }) => {
                assert_eq!(command, "cxl-bake");
                assert!(refusal.is_unknown_command());
            }
            other => panic!("{other:?}"),
        }
        let odd = qmp.execute(&qapi::qmp::query_status {}, SECOND).await;
        assert!(matches!(odd, Err(QmpError::Decode { .. })), "{odd:?}");
    };
    tokio::join!(script, client);
}

#[tokio::test]
async fn what_qapi_does_not_know_harms_nothing() {
    let (qmp, mut peer) = Peer::connected().await;
    let mut events = qmp.events();
    peer.event("TOASTER_READY", json!({ "slices": 2 })).await;
    peer.event("SHUTDOWN", json!({ "guest": true, "reason": "ennui" }))
        .await;
    peer.say(r#"{"event": "STOP", "timestamp": {"seconds": -1, "microseconds": -1}}"#)
        .await;
    peer.say("this is not JSON \u{1b}[0m").await;
    peer.say_bytes(b"\xff\xfe\n").await;
    peer.say(r#"{"error": {"class": "GenericError", "desc": "nobody asked"}}"#)
        .await;
    peer.say(r#"{"return": {}, "id": "not ours"}"#).await;
    peer.say(r#"["neither"]"#).await;

    let mut next = async || events.next().await.unwrap();
    let toast = next().await;
    assert_eq!(
        (toast.name.as_str(), &toast.data["slices"]),
        ("TOASTER_READY", &json!(2))
    );
    assert!(toast.typed.is_none() && toast.timestamp.is_some());
    let shutdown = next().await;
    assert_eq!(shutdown.data["reason"], "ennui");
    assert!(shutdown.typed.is_none());
    let stop = next().await;
    assert!(stop.timestamp.is_none() && stop.typed.is_some());

    let (reply, _) = tokio::join!(
        qmp.hmp("info x", SECOND),
        peer.answer("human-monitor-command", json!("y"))
    );
    assert_eq!(reply.unwrap(), "y");
}

#[tokio::test]
async fn a_late_answer_is_nobodys() {
    let (qmp, mut peer) = Peer::connected().await;
    let slow = qmp.raw("slow", Value::Null, Duration::from_millis(10)).await;
    assert!(matches!(slow, Err(QmpError::Timeout { .. })), "{slow:?}");
    let late = peer.hear().await;
    assert_eq!(late.name, "slow");
    peer.reply(&late.id, json!("slow's")).await;
    for _ in 0..3 {
        let (reply, _) = tokio::join!(
            qmp.raw("quick", Value::Null, SECOND),
            peer.answer("quick", json!("its own"))
        );
        assert_eq!(reply.unwrap(), "its own");
    }
}

#[tokio::test]
async fn fifty_in_flight_answered_backwards() {
    let (qmp, mut peer) = Peer::connected().await;
    let mut asked = tokio::task::JoinSet::new();
    for number in 0..50 {
        let qmp = qmp.clone();
        asked.spawn(async move {
            (
                number,
                qmp.raw("echo", json!({ "n": number }), SECOND).await.unwrap(),
            )
        });
    }
    let mut received = Vec::new();
    for _ in 0..50 {
        received.push(peer.hear().await);
    }
    for command in received.iter().rev() {
        peer.reply(&command.id, command.arguments["n"].clone()).await;
    }
    while let Some(result) = asked.join_next().await {
        let (number, reply) = result.unwrap();
        assert_eq!(reply, json!(number));
    }
}

#[tokio::test]
async fn the_end_reaches_everybody_with_its_cause() {
    let obituary: Obituary = Box::pin(async { "QEMU was killed by SIGSEGV".to_owned() });
    let (qmp, mut peer) = Peer::negotiated(None, Some(obituary)).await;
    let qmp = qmp.unwrap();
    let mut events = qmp.events();
    let script = async {
        for _ in 0..2 {
            peer.hear().await;
        }
        peer.say_bytes(b"{\"return\": {}, \"id\"").await;
        drop(peer);
    };
    let (first, second, ()) = tokio::join!(
        qmp.raw("one", Value::Null, SECOND),
        qmp.raw("two", Value::Null, SECOND),
        script
    );
    for (result, name) in [
        (first, "one"),
        (second, "two"),
        (qmp.raw("three", Value::Null, SECOND).await, "three"),
    ] {
        match result {
            Err(QmpError::Closed { command, cause }) => {
                assert_eq!(
                    (command.as_str(), cause.as_str()),
                    (name, "QEMU was killed by SIGSEGV")
                );
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(events.next().await.is_none());
    assert!(qmp.events().next().await.is_none());
}

#[tokio::test]
async fn unread_input_at_the_end_is_an_ordinary_end() {
    let (qmp, mut peer) = Peer::connected().await;
    peer.event("STOP", json!({})).await;
    // The peer leaves with our command unread, so that our reader meets ECONNRESET instead of an end of file.
    let (reply, ()) = tokio::join!(qmp.raw("unread", Value::Null, SECOND), async { drop(peer) });
    assert!(matches!(reply, Err(QmpError::Closed { .. })), "{reply:?}");
}

#[tokio::test]
async fn a_silent_peer_and_one_that_is_no_qemu() {
    let (_peer, stream) = Peer::silent();
    let silent = Qmp::connect(stream, None, None, Duration::from_millis(10)).await;
    assert!(matches!(silent, Err(QmpError::NoGreeting { .. })), "{silent:?}");

    let (mut peer, stream) = Peer::silent();
    peer.say(r#"{"QMP": "or so they say"}"#).await;
    let other = Qmp::connect(stream, None, None, SECOND).await;
    assert!(matches!(other, Err(QmpError::NotQmp { .. })), "{other:?}");

    let (peer, stream) = Peer::silent();
    drop(peer);
    let gone = Qmp::connect(stream, None, None, SECOND).await;
    assert!(matches!(gone, Err(QmpError::Closed { .. })), "{gone:?}");
}

#[tokio::test]
async fn every_line_is_evidence() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&lines);
    let log: LineLog =
        Arc::new(move |direction, line| kept.lock().unwrap().push((direction, line.to_owned())));
    let (qmp, mut peer) = Peer::negotiated(Some(log), None).await;
    let qmp = qmp.unwrap();
    peer.say("noise").await;
    let (reply, _) = tokio::join!(
        qmp.raw("stop", Value::Null, SECOND),
        peer.answer("stop", json!({}))
    );
    reply.unwrap();
    let lines = lines.lock().unwrap();
    let directions: Vec<Direction> = lines.iter().map(|(direction, _)| *direction).collect();
    let outgoing = lines
        .iter()
        .filter(|(direction, _)| *direction == Direction::Out)
        .count();
    assert_eq!((directions.len(), outgoing), (6, 2), "{lines:?}");
    assert!(
        lines[0].1.contains("QMP") && lines.iter().any(|(_, line)| line == "noise"),
        "{lines:?}"
    );
    assert!(lines.iter().all(|(_, line)| !line.ends_with(['\r', '\n'])));
}

#[tokio::test]
async fn the_last_client_closes_the_connection() {
    let (qmp, mut peer) = Peer::connected().await;
    drop(qmp.clone());
    let (reply, _) = tokio::join!(
        qmp.raw("stop", Value::Null, SECOND),
        peer.answer("stop", json!({}))
    );
    reply.unwrap();
    drop(qmp);
    peer.end().await;
}
