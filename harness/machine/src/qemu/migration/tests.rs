// SPDX-License-Identifier: MIT OR Apache-2.0
use super::super::qmp::scripted::{Peer, SECOND};
use super::*;

const STATE: &str = "/cache/it's here/state";

async fn migration(peer: &mut Peer, status: &str) {
    peer.event("MIGRATION", json!({ "status": status })).await;
}

#[tokio::test]
async fn saving_stops_the_guest_first_and_waits_for_the_end() {
    let (qmp, mut peer) = Peer::connected().await;
    let script = async {
        peer.answer("stop", json!({})).await;
        let capabilities = peer.answer("migrate-set-capabilities", json!({})).await;
        assert_eq!(capabilities["capabilities"][0]["capability"], "x-ignore-shared");
        let address = peer.answer("migrate", json!({})).await;
        assert_eq!(address["channels"][0]["addr"]["filename"], STATE);
        for status in ["setup", "active", "completed"] {
            migration(&mut peer, status).await;
        }
    };
    let (saved, ()) = tokio::join!(save(&qmp, Route::File, Path::new(STATE), SECOND), script);
    saved.unwrap();
}

#[tokio::test]
async fn restoring_lets_the_guest_run_only_after_the_end() {
    let (qmp, mut peer) = Peer::connected().await;
    let script = async {
        peer.answer("migrate-set-capabilities", json!({})).await;
        let address = peer.answer("migrate-incoming", json!({})).await;
        assert_eq!(address["uri"], r"exec:exec cat < '/cache/it'\''s here/state'");
        for status in ["active", "completed"] {
            migration(&mut peer, status).await;
        }
        peer.answer("cont", json!({})).await;
    };
    let (restored, ()) = tokio::join!(restore(&qmp, Route::Exec, Path::new(STATE), SECOND), script);
    restored.unwrap();
}

#[tokio::test]
async fn a_failure_is_told_in_qemus_words() {
    let (qmp, mut peer) = Peer::connected().await;
    let script = async {
        peer.answer("migrate-set-capabilities", json!({})).await;
        peer.answer("migrate-incoming", json!({})).await;
        migration(&mut peer, "failed").await;
        let reply = json!({ "status": "failed", "error-desc": "Unknown ramblock" });
        peer.answer("query-migrate", reply).await;
    };
    let (restored, ()) = tokio::join!(restore(&qmp, Route::File, Path::new(STATE), SECOND), script);
    let text = restored.unwrap_err().to_string();
    assert!(
        text.contains("restore") && text.contains("Unknown ramblock"),
        "{text}"
    );
}

#[tokio::test]
async fn one_that_does_not_end_is_given_up_with_its_status() {
    let (qmp, mut peer) = Peer::connected().await;
    let script = async {
        peer.answer("stop", json!({})).await;
        peer.answer("migrate-set-capabilities", json!({})).await;
        peer.answer("migrate", json!({})).await;
        peer.answer("query-migrate", json!({ "status": "active" })).await;
    };
    let patience = Duration::from_millis(50);
    let (saved, ()) = tokio::join!(save(&qmp, Route::File, Path::new(STATE), patience), script);
    let text = saved.unwrap_err().to_string();
    assert!(text.contains("active"), "{text}");
}

#[tokio::test]
async fn a_refused_capability_is_an_error_before_anything_is_written() {
    let (qmp, mut peer) = Peer::connected().await;
    let script = async {
        peer.answer("stop", json!({})).await;
        let command = peer.hear().await;
        let refusal =
            json!({ "error": { "class": "GenericError", "desc": "no such capability" }, "id": command.id });
        peer.say(&refusal.to_string()).await;
    };
    let (saved, ()) = tokio::join!(save(&qmp, Route::File, Path::new(STATE), SECOND), script);
    assert!(matches!(
        saved,
        Err(MigrationError::Qmp {
            source: QmpError::Refused { .. },
            ..
        })
    ));
}

/// What `Cloning` makes of a QEMU whose schema has these values.
async fn judged(capability: &str, transport: &str, option: &str) -> Result<Cloning, CannotClone> {
    let (qmp, mut peer) = Peer::connected().await;
    let command =
        |name: &str, arguments: &str| json!({ "name": name, "meta-type": "command", "arg-type": arguments });
    let object = |name: &str, member: &str, kind: &str| json!({ "name": name, "meta-type": "object", "members": [{ "name": member, "type": kind }] });
    let choice = |name: &str, value: &str| json!({ "name": name, "meta-type": "enum", "members": [{ "name": value }] });
    let schema = json!([
        command("migrate-set-capabilities", "caps"),
        object("caps", "capabilities", "[cap]"),
        { "name": "[cap]", "meta-type": "array", "element-type": "cap" },
        object("cap", "capability", "cap-name"),
        choice("cap-name", capability),
        command("migrate", "to"),
        command("migrate-incoming", "to"),
        object("to", "channels", "[channel]"),
        { "name": "[channel]", "meta-type": "array", "element-type": "channel" },
        object("channel", "addr", "address"),
        object("address", "transport", "transport-name"),
        choice("transport-name", transport),
        command("object-add", "options"),
        { "name": "options", "meta-type": "object", "members": [], "variants": [{ "case": "file", "type": "file" }] },
        object("file", option, "bool"),
        { "name": "bool", "meta-type": "builtin", "json-type": "boolean" },
    ]);
    let script = async {
        peer.answer("query-commands", json!([])).await;
        peer.answer("query-qmp-schema", schema).await;
    };
    let (capabilities, ()) = tokio::join!(Capabilities::query(&qmp, SECOND), script);
    Cloning::of(&capabilities.unwrap())
}

#[tokio::test]
async fn the_schema_decides_how_and_whether() {
    let new = Cloning {
        route: Route::File,
        sealed: true,
    };
    assert_eq!(judged("x-ignore-shared", "file", "rom").await, Ok(new));
    let old = Cloning {
        route: Route::Exec,
        sealed: false,
    };
    assert_eq!(judged("x-ignore-shared", "exec", "readonly").await, Ok(old));
    assert_eq!(judged("xbzrle", "file", "rom").await, Err(CannotClone));
}
