// SPDX-License-Identifier: MIT OR Apache-2.0
use serde_json::{Value, json};

use super::super::qmp::scripted::{Peer, SECOND};
use super::*;

const ADDRESS: u64 = 0x1_0120_1000;

fn memory_failure(recipient: &str, action: &str) -> Value {
    json!({ "recipient": recipient, "action": action,
            "flags": { "action-required": false, "recursive": false } })
}

#[test]
fn an_action_optional_check_as_it_was_seen_to_work() {
    assert_eq!(
        MachineCheck::action_optional(ADDRESS).to_string(),
        "mce -b 0 9 0xbd000000000000c0 0x5 0x101201000 0x8c"
    );
}

#[test]
fn an_action_required_check_as_it_was_seen_to_work() {
    assert_eq!(
        MachineCheck::action_required(0, ADDRESS).to_string(),
        "mce -b 0 1 0xbd80000000000134 0x7 0x101201000 0x8c"
    );
}

/// Injects against a monitor that sends `events` and then answers `text`.
async fn against(
    events: &[(&str, &str)],
    text: &str,
    deadline: Duration,
) -> Result<Acknowledged, NotAcknowledged> {
    let (qmp, mut peer) = Peer::connected().await;
    let script = async {
        let command = peer.hear().await;
        assert_eq!(command.name, "human-monitor-command");
        for (recipient, action) in events {
            peer.event("MEMORY_FAILURE", memory_failure(recipient, action))
                .await;
        }
        peer.reply(&command.id, json!(text)).await;
    };
    let check = MachineCheck::action_optional(ADDRESS);
    tokio::join!(inject(&qmp, &check, deadline), script).0
}

#[tokio::test]
async fn the_event_acknowledges() {
    let both_cpus = [("guest", "inject"), ("guest", "inject")];
    let acknowledged = against(&both_cpus, "", SECOND).await.unwrap();
    assert!(!acknowledged.event.flags.action_required);
}

#[tokio::test]
async fn text_is_a_refusal_whatever_else_there_is() {
    let text = "CPU 0: Uncorrected error reporting disabled for bank 9\r\n";
    match against(&[("guest", "inject")], text, SECOND).await {
        Err(NotAcknowledged::Refused { text }) => assert!(text.ends_with("bank 9")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn silence_is_no_injection() {
    let silent = against(&[], "", Duration::from_millis(20)).await;
    assert!(
        matches!(silent, Err(NotAcknowledged::NoEvent { .. })),
        "{silent:?}"
    );
}

#[tokio::test]
async fn a_reset_is_no_injection_on_any_cpu() {
    let reset = against(&[("guest", "inject"), ("guest", "reset")], "", SECOND).await;
    assert!(
        matches!(reset, Err(NotAcknowledged::Diverted { .. })),
        "{reset:?}"
    );
    let hypervisor = against(&[("hypervisor", "ignore")], "", SECOND).await;
    assert!(
        matches!(hypervisor, Err(NotAcknowledged::Diverted { .. })),
        "{hypervisor:?}"
    );
}

#[tokio::test]
async fn an_event_from_before_does_not_count() {
    let (qmp, mut peer) = Peer::connected().await;
    let mut seen = qmp.events();
    peer.event("MEMORY_FAILURE", memory_failure("guest", "inject"))
        .await;
    seen.next().await.unwrap();
    let check = MachineCheck::action_optional(ADDRESS);
    let (result, _) = tokio::join!(
        inject(&qmp, &check, Duration::from_millis(20)),
        peer.answer("human-monitor-command", json!(""))
    );
    assert!(
        matches!(result, Err(NotAcknowledged::NoEvent { .. })),
        "{result:?}"
    );
}

#[tokio::test]
async fn a_qemu_that_dies_meanwhile_is_gone() {
    let (qmp, mut peer) = Peer::connected().await;
    let script = async {
        peer.answer("human-monitor-command", json!("")).await;
        drop(peer);
    };
    let check = MachineCheck::action_optional(ADDRESS);
    let (result, ()) = tokio::join!(inject(&qmp, &check, SECOND), script);
    assert!(matches!(result, Err(NotAcknowledged::Gone)), "{result:?}");
}

const SPIN: Range<u64> = 0x40_1000..0x40_1010;

fn standing_at(instruction: u64, level: u8) -> String {
    format!("CPU#0\r\nRIP=ffffffff81000000 CPL=0 HLT=1\r\nCPU#1\r\nRIP={instruction:x} CPL={level} HLT=0\r\n")
}

#[tokio::test]
async fn the_cpu_that_spins_takes_it_while_the_machine_stands() {
    let (qmp, mut peer) = Peer::connected().await;
    let script = async {
        peer.answer("stop", json!({})).await;
        peer.answer("human-monitor-command", json!(standing_at(0x40_1004, 3)))
            .await;
        let command = peer.hear().await;
        assert_eq!(
            command.arguments["command-line"],
            MachineCheck::action_required(1, ADDRESS).to_string()
        );
        peer.event("MEMORY_FAILURE", memory_failure("guest", "inject"))
            .await;
        peer.reply(&command.id, json!("")).await;
        peer.answer("cont", json!({})).await;
    };
    let (result, ()) = tokio::join!(inject_into_user_mode(&qmp, &SPIN, ADDRESS, SECOND), script);
    assert!(matches!(result, Ok(Ok(_))), "{result:?}");
}

#[tokio::test]
async fn a_cpu_in_the_kernel_or_elsewhere_is_left_alone() {
    for (instruction, level) in [(0x40_1004, 0), (0x40_1010, 3)] {
        let (qmp, mut peer) = Peer::connected().await;
        let script = async {
            peer.answer("stop", json!({})).await;
            peer.answer("human-monitor-command", json!(standing_at(instruction, level)))
                .await;
            peer.answer("cont", json!({})).await;
        };
        let (result, ()) = tokio::join!(inject_into_user_mode(&qmp, &SPIN, ADDRESS, SECOND), script);
        assert!(matches!(&result, Ok(Err(cpus)) if cpus.len() == 2), "{result:?}");
    }
}

#[tokio::test]
async fn the_machine_goes_on_after_a_refusal() {
    let (qmp, mut peer) = Peer::connected().await;
    let script = async {
        peer.answer("stop", json!({})).await;
        peer.answer("human-monitor-command", json!("unknown command"))
            .await;
        peer.answer("cont", json!({})).await;
    };
    let (result, ()) = tokio::join!(inject_into_user_mode(&qmp, &SPIN, ADDRESS, SECOND), script);
    assert!(
        matches!(result, Err(NotAcknowledged::NoRegisters { .. })),
        "{result:?}"
    );
}
