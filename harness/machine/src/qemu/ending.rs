// SPDX-License-Identifier: MIT OR Apache-2.0
//! When and why a guest came to its end.
//!
//! Machines run with `-no-reboot`. A guest that panics (with `panic=-1` on its command line) or takes a triple fault
//! therefore shows as SHUTDOWN with the reason `guest-reset`, whereupon QEMU exits.

use std::fmt;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;

use super::process::{Exit, QemuProcess};
use super::qmp::{Events, Qmp, QmpEvent};

/// The first sign of a guest's end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The guest, or somebody on the host, shut the machine down.
    Shutdown {
        /// Whether it was the guest.
        by_guest: bool,
        /// QEMU's `ShutdownCause`, for example `guest-reset` for a panic or `host-qmp-quit`.
        reason: String,
    },
    /// The machine was reset, which it should never be: what ran in it is lost.
    Reset {
        /// Whether it was the guest.
        by_guest: bool,
        /// QEMU's `ShutdownCause`.
        reason: String,
    },
    /// The guest reported a panic (to a pvpanic device).
    Panicked,
    /// QEMU ended without announcing it.
    Exited(Exit),
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = |by_guest: &bool| if *by_guest { "the guest" } else { "the host" };
        match self {
            Self::Shutdown {
                by_guest: true,
                reason,
            } if reason == "guest-reset" => {
                f.write_str("the guest panicked or rebooted (QEMU: shutdown, guest-reset)")
            }
            Self::Shutdown { by_guest, reason } => {
                write!(f, "{} shut the machine down ({reason})", who(by_guest))
            }
            Self::Reset { by_guest, reason } => write!(f, "{} reset the machine ({reason})", who(by_guest)),
            Self::Panicked => f.write_str("the guest panicked"),
            Self::Exited(exit) => exit.fmt(f),
        }
    }
}

/// How long an announcement may trail behind the exit that it announced.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl Ending {
    fn from_event(event: &QmpEvent) -> Option<Self> {
        let by_guest = event.data.get("guest").and_then(Value::as_bool).unwrap_or(false);
        let reason = event
            .data
            .get("reason")
            .and_then(Value::as_str)
            .unwrap_or("no reason given")
            .to_owned();
        match event.name.as_str() {
            "SHUTDOWN" => Some(Self::Shutdown { by_guest, reason }),
            "RESET" => Some(Self::Reset { by_guest, reason }),
            "GUEST_PANICKED" => Some(Self::Panicked),
            _ => None,
        }
    }
}

/// Watches for the end of one guest. Clones watch the same.
#[derive(Debug, Clone)]
pub struct EndingWatch {
    seen: watch::Receiver<Option<Ending>>,
}

impl EndingWatch {
    /// Begins to watch.
    pub fn start(qmp: &Qmp, process: &QemuProcess) -> Self {
        Self::follow(qmp.events(), process.exited())
    }

    /// The same, from its two sources.
    fn follow(mut events: Events, exited: impl Future<Output = Exit> + Send + 'static) -> Self {
        let (tell, seen) = watch::channel(None);
        tokio::spawn(async move {
            let announced = async {
                while let Some(event) = events.next().await {
                    if let Some(ending) = Ending::from_event(&event) {
                        return Some(ending);
                    }
                }
                None
            };
            tokio::pin!(announced, exited);
            // An announcement says more than the exit that follows it, and may still be on its way when that is known.
            let ending = tokio::select! {
                biased;
                announcement = &mut announced => match announcement {
                    Some(ending) => ending,
                    None => Ending::Exited(exited.await),
                },
                exit = &mut exited => match timeout(LAST_WORDS, announced).await {
                    Ok(Some(ending)) => ending,
                    Ok(None) | Err(_) => Ending::Exited(exit),
                },
            };
            tell.send_replace(Some(ending));
        });
        Self { seen }
    }

    /// Waits for the end. Never resolves before it; may be called any number of times.
    pub async fn ended(&self) -> Ending {
        let mut seen = self.seen.clone();
        let ending = seen
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|ending| ending.clone());
        match ending {
            Some(ending) => ending,
            // The watching task ended without a word, which only the end of its runtime causes.
            None => std::future::pending().await,
        }
    }

    /// The end, if it has come.
    pub fn now(&self) -> Option<Ending> {
        self.seen.borrow().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::qmp::scripted::Peer;
    use super::*;

    fn exit() -> Exit {
        Exit {
            status: None,
            stderr: String::new(),
        }
    }

    #[tokio::test]
    async fn a_panicking_guest_is_told_from_an_exit() {
        let (qmp, mut peer) = Peer::connected().await;
        let watch = EndingWatch::follow(qmp.events(), std::future::pending());
        assert_eq!(watch.now(), None);
        peer.event("NIC_RX_FILTER_CHANGED", serde_json::json!({ "path": "x" }))
            .await;
        peer.event(
            "SHUTDOWN",
            serde_json::json!({ "guest": true, "reason": "guest-reset" }),
        )
        .await;
        let ending = watch.ended().await;
        assert_eq!(
            ending,
            Ending::Shutdown {
                by_guest: true,
                reason: "guest-reset".to_owned()
            }
        );
        assert_eq!(watch.now().as_ref(), Some(&ending));
        assert!(ending.to_string().starts_with("the guest panicked or rebooted"));
    }

    #[tokio::test]
    async fn an_exit_alone_is_an_end() {
        let (qmp, peer) = Peer::connected().await;
        let (gone, wait) = tokio::sync::oneshot::channel::<()>();
        let watch = EndingWatch::follow(qmp.events(), async move {
            drop(wait.await);
            exit()
        });
        drop(peer);
        let early = tokio::time::timeout(Duration::from_millis(20), watch.ended()).await;
        assert!(
            early.is_err(),
            "the end of the monitor is not yet the end of QEMU: {early:?}"
        );
        drop(gone);
        assert_eq!(watch.ended().await, Ending::Exited(exit()));
    }
}
